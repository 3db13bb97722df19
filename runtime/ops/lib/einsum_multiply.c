// SPDX-License-Identifier: Apache-2.0
// The product of two operands, summed over some of their axes: a strip of neighbouring results at a
// time. Where the last kept axis is contiguous in an operand, whole strips are multiplied and
// added; else each result is a dot product along the innermost summed axis.
#include <stdalign.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/einsum.h"
#include "runtime/ops/lib/typed.h"

enum { STRIP = 256, WORK_PER_GRAIN = 32 * 1024 };

struct axis {
    int64_t dim, a, b; // strides in the operands
};

struct plan {
    const struct bnr_einsum_product *p;
    struct axis kept[BNR_EINSUM_AXES], summed[BNR_EINSUM_AXES];
    int n_kept, n_summed; // at least 1 each: an axis of dim 1 stands for none
    size_t row, strips;   // length of the last kept axis, strips in it
    bool whole_strips;
};

// For every combination of the summed axes (but the innermost, when it is the loop's own) the
// offsets of the operands; false after the last.
static bool advance(const struct axis *axes, int n, int64_t *at, int64_t *a, int64_t *b) {
    for (int k = n - 1; k >= 0; k--) {
        *a += axes[k].a;
        *b += axes[k].b;
        if (++at[k] < axes[k].dim)
            return true;
        *a -= axes[k].a * axes[k].dim;
        *b -= axes[k].b * axes[k].dim;
        at[k] = 0;
    }
    return false;
}

#define DEFINE_STRIPS(T)                                                                           \
    static void add_products_##T(T *acc, const T *x, int64_t sx, const T *y, int64_t sy,           \
                                 size_t n) {                                                       \
        if (sx == 0 && sy == 1) {                                                                  \
            const T factor = *x;                                                                   \
            for (size_t j = 0; j < n; j++)                                                         \
                acc[j] += factor * y[j];                                                           \
        } else if (sx == 1 && sy == 0) {                                                           \
            const T factor = *y;                                                                   \
            for (size_t j = 0; j < n; j++)                                                         \
                acc[j] += x[j] * factor;                                                           \
        } else {                                                                                   \
            for (size_t j = 0; j < n; j++)                                                         \
                acc[j] += x[(int64_t)j * sx] * y[(int64_t)j * sy];                                 \
        }                                                                                          \
    }                                                                                              \
    static T dot_##T(const T *x, int64_t sx, const T *y, int64_t sy, int64_t n) {                  \
        T sum = 0;                                                                                 \
        for (int64_t i = 0; i < n; i++)                                                            \
            sum += x[i * sx] * y[i * sy];                                                          \
        return sum;                                                                                \
    }                                                                                              \
    static void strip_##T(const struct plan *q, int64_t a, int64_t b, T *y, size_t n) {            \
        const T *xa = q->p->a->data, *xb = q->p->b->data;                                          \
        const struct axis *last = &q->kept[q->n_kept - 1];                                         \
        const struct axis *inner = &q->summed[q->n_summed - 1];                                    \
        int64_t at[BNR_EINSUM_AXES] = {0};                                                         \
        memset(y, 0, n * sizeof *y);                                                               \
        if (q->whole_strips) {                                                                     \
            do                                                                                     \
                add_products_##T(y, xa + a, last->a, xb + b, last->b, n);                          \
            while (advance(q->summed, q->n_summed, at, &a, &b));                                   \
            return;                                                                                \
        }                                                                                          \
        do                                                                                         \
            for (size_t j = 0; j < n; j++)                                                         \
                y[j] += dot_##T(xa + a + (int64_t)j * last->a, inner->a,                           \
                                xb + b + (int64_t)j * last->b, inner->b, inner->dim);              \
        while (advance(q->summed, q->n_summed - 1, at, &a, &b));                                   \
    }
DEFINE_STRIPS(double)
DEFINE_STRIPS(uint64_t)

static void multiply_pieces(void *cx, size_t begin, size_t end) {
    const struct plan *q = cx;
    const struct axis *last = &q->kept[q->n_kept - 1];
    for (size_t piece = begin; piece < end; piece++) {
        const size_t column = piece % q->strips * STRIP, left = q->row - column;
        const size_t to = piece / q->strips * q->row + column;
        int64_t a = (int64_t)column * last->a, b = (int64_t)column * last->b;
        size_t rest = piece / q->strips;
        for (int k = q->n_kept - 2; k >= 0; k--) {
            const int64_t i = (int64_t)(rest % (size_t)q->kept[k].dim);
            rest /= (size_t)q->kept[k].dim;
            a += i * q->kept[k].a;
            b += i * q->kept[k].b;
        }
        const size_t n = left < STRIP ? left : STRIP;
        if (q->p->integer)
            strip_uint64_t(q, a, b, (uint64_t *)q->p->y + to, n);
        else
            strip_double(q, a, b, (double *)q->p->y + to, n);
    }
}

static struct axis axis_of(const struct bnr_einsum_product *p, int i) {
    return (struct axis){p->dims[i], p->a->stride[i], p->b->stride[i]};
}

void bnr__einsum_multiply(const struct bnr_einsum_product *p, struct bnr_pool *pool) {
    struct plan q = {.p = p};
    uint64_t kept = 0;
    size_t results = 1, work = 1;
    for (int k = 0; k < p->n_kept; k++) {
        kept |= (uint64_t)1 << p->kept[k];
        q.kept[q.n_kept++] = axis_of(p, p->kept[k]);
        results *= (size_t)p->dims[p->kept[k]];
    }
    for (int i = 0; i < BNR_EINSUM_AXES; i++)
        if (((p->a->mask | p->b->mask) & ~kept) >> i & 1)
            q.summed[q.n_summed++] = axis_of(p, i);
    bool empty = false;
    for (int k = 0; k < q.n_summed; k++) {
        empty = empty || q.summed[k].dim == 0;
        work = work < WORK_PER_GRAIN ? work * (size_t)q.summed[k].dim : work;
    }
    if (results == 0)
        return;
    if (empty) {
        memset(p->y, 0, results * sizeof(double));
        return;
    }
    if (q.n_kept == 0)
        q.kept[q.n_kept++] = (struct axis){.dim = 1};
    if (q.n_summed == 0)
        q.summed[q.n_summed++] = (struct axis){.dim = 1};
    const struct axis *last = &q.kept[q.n_kept - 1];
    q.row = (size_t)last->dim;
    q.strips = (q.row + STRIP - 1) / STRIP;
    q.whole_strips = q.row >= 4 && (last->a == 1 || last->b == 1);
    work *= q.row < STRIP ? q.row : STRIP;
    bnr__parallel_for(pool, results / q.row * q.strips, 1 + WORK_PER_GRAIN / work, multiply_pieces,
                      &q);
}
