// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/cumulative.h"

#include "runtime/kernels/pieces.h"
#include "runtime/ops/lib/lanes.h"

enum bnr_status bnr__cumulative_infer(struct bnr_infer *cx) {
    double value;
    enum bnr_status status;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_MATH));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    const bool known = bnr__infer_scalar(cx, 1, &value, &status);
    BNR_TRY(status);
    int axis;
    if (known && cx->in[0]->type.shape.rank >= 0)
        BNR_TRY(bnr__infer_axis(cx, (int64_t)value, cx->in[0]->type.shape.rank, &axis));
    return bnr__infer_same(cx);
}

enum { STRIP = 256, WIDE = 512, GRAIN = 16 * 1024 };

struct job {
    const struct bnr_tensor *x;
    struct bnr_tensor *y;
    struct bnr_lanes l;
    bool product, exclusive, reverse;
};

// Defines name_lane, which goes along a lane of neighbours, and name_strip, which goes along
// `width` neighbouring lanes at once, on accumulators of type T.
#define CUMULATIVE(name, T, loads, stores, plus, times)                                            \
    static inline T name##_next(T *acc, T x, bool product, bool exclusive) {                       \
        const T before = *acc;                                                                     \
        *acc = product ? times : plus;                                                             \
        return exclusive ? before : *acc;                                                          \
    }                                                                                              \
    static void name##_lane(const struct job *j, size_t start) {                                   \
        T v[STRIP], acc = j->product;                                                              \
        for (size_t done = 0, n; done < j->l.n; done += n) {                                       \
            n = min_size(j->l.n - done, STRIP);                                                    \
            const size_t at = start + (j->reverse ? j->l.n - done - n : done);                     \
            loads(v, j->x->dtype, bnr__at(j->x, at), n);                                           \
            for (size_t i = 0; i < n; i++) {                                                       \
                T *e = &v[j->reverse ? n - 1 - i : i];                                             \
                *e = name##_next(&acc, *e, j->product, j->exclusive);                              \
            }                                                                                      \
            stores(j->y->dtype, bnr__at_mut(j->y, at), v, n);                                      \
        }                                                                                          \
    }                                                                                              \
    static void name##_strip(const struct job *j, size_t start, size_t width) {                    \
        T v[STRIP], acc[STRIP];                                                                    \
        for (size_t i = 0; i < width; i++)                                                         \
            acc[i] = j->product;                                                                   \
        for (size_t k = 0; k < j->l.n; k++) {                                                      \
            const size_t at = start + (j->reverse ? j->l.n - 1 - k : k) * j->l.inner;              \
            loads(v, j->x->dtype, bnr__at(j->x, at), width);                                       \
            for (size_t i = 0; i < width; i++)                                                     \
                v[i] = name##_next(&acc[i], v[i], j->product, j->exclusive);                       \
            stores(j->y->dtype, bnr__at_mut(j->y, at), v, width);                                  \
        }                                                                                          \
    }
CUMULATIVE(f64, double, bnr__load_f64, bnr__store_f64, before + x, before *x)
CUMULATIVE(i64, int64_t, bnr__load_i64, bnr__store_i64, (int64_t)((uint64_t)before + (uint64_t)x),
           (int64_t)((uint64_t)before *(uint64_t)x))

// f64_strip for sums of float32, without the conversions' passes; at most WIDE lanes.
static void f32_strip(const struct job *j, size_t start, size_t width) {
    double acc[WIDE] = {0};
    for (size_t k = 0; k < j->l.n; k++) {
        const size_t at = start + (j->reverse ? j->l.n - 1 - k : k) * j->l.inner;
        const float *restrict x = j->x->f32 + at;
        float *restrict y = j->y->f32 + at;
        for (size_t i = 0; i < width && j->exclusive; i++) {
            y[i] = (float)acc[i];
            acc[i] += (double)x[i];
        }
        for (size_t i = 0; i < width && !j->exclusive; i++) {
            acc[i] += (double)x[i];
            y[i] = (float)acc[i];
        }
    }
}

static bool sums_floats(const struct job *j) {
    return j->x->dtype == BNR_FLOAT && !j->product && j->l.inner > 1 && j->x->data != j->y->data;
}

static void run_wide(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const size_t strips = ceil_div(j->l.inner, WIDE);
    for (size_t piece = begin; piece < end; piece++) {
        const size_t column = piece % strips * WIDE;
        f32_strip(j, piece / strips * j->l.n * j->l.inner + column,
                  min_size(j->l.inner - column, WIDE));
    }
}

static void run(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const size_t strips = ceil_div(j->l.inner, STRIP);
    const bool is_float = bnr__dtype_is_float(j->x->dtype);
    for (size_t piece = begin; piece < end; piece++) {
        const size_t column = piece % strips * STRIP;
        const size_t start = piece / strips * j->l.n * j->l.inner + column;
        const size_t width = min_size(j->l.inner - column, STRIP);
        if (j->l.inner == 1)
            is_float ? f64_lane(j, start) : i64_lane(j, start);
        else
            is_float ? f64_strip(j, start, width) : i64_strip(j, start, width);
    }
}

enum bnr_status bnr__cumulative_run(const struct bnr_args *a, bool product) {
    const struct bnr_tensor *t = a->in[0];
    if (a->in[1]->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis has %zu elements, expected 1",
                            a->in[1]->numel);
    int64_t axis = bnr__tensor_i64(a->in[1], 0);
    if (axis < -t->rank || axis >= t->rank)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "axis %lld is outside [%d, %d)",
                            (long long)axis, -t->rank, t->rank);
    axis += axis < 0 ? t->rank : 0;
    BNR_TRY(bnr__out_alloc(a, 0, t->dtype, t->rank, t->dims));
    if (t->numel == 0)
        return BNR_OK;
    struct job j = {.x = t,
                    .y = a->out[0],
                    .l = bnr__lanes_of(t, (int)axis),
                    .product = product,
                    .exclusive = bnr__attr_int(a->node, "exclusive", 0) != 0,
                    .reverse = bnr__attr_int(a->node, "reverse", 0) != 0};
    const bool wide = sums_floats(&j);
    const size_t strip = wide ? WIDE : STRIP, strips = ceil_div(j.l.inner, strip);
    bnr__parallel_for(a->pool, j.l.outer * strips, GRAIN / (j.l.n * min_size(j.l.inner, strip)) + 1,
                      wide ? run_wide : run, &j);
    return BNR_OK;
}
