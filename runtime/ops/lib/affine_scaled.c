// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/affine_scaled.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/weights_f32.h"

enum { CHUNK = 512 };

// Weights that fit have room for some factors near 1, about which nobody asks.
static const double ROOM = 1 + 8 * BNR_AFFINE_NEAR_ONE;

struct scaled {
    struct bnr_lazy z;
    const struct bnr_weights_f32 *kernels;
    size_t a, b, k; // rows of [b, k], a of them in a group
    bool by_row;    // all columns are 1
    double *rows, *columns; // [g * a], [g * b]: in f
    size_t n_rows;
    atomic_int found;
    double f[];
};

// ---- rounding -----------------------------------------------------------------------------------

double bnr__smallest_normal(enum bnr_dtype d) {
    switch (d) {
    case BNR_FLOAT16:
        return 0;
    case BNR_DOUBLE:
        return DBL_MIN;
    default: // float32, bfloat16
        return (double)FLT_MIN;
    }
}

// Float16's subnormals reach up to 6e-5, where weights still mean something: zeros in place of them are an
// error of 2 % where weights are around 5e-4. No sum can tell from rounding what is below half a unit in
// the last place of its largest term.
void bnr__flush_f16(uint16_t *v, size_t n, double largest) {
    enum { MAGNITUDE = 0x7fff, SMALLEST_NORMAL = 0x0400 };
    double x;
    for (size_t i = 0; i < n; i++) {
        const uint16_t bits = v[i] & MAGNITUDE;
        if (bits == 0 || bits >= SMALLEST_NORMAL)
            continue;
        bnr__load_f64(&x, BNR_FLOAT16, &bits, 1);
        if (x < largest * 0x1p-11)
            v[i] = 0;
    }
}

// ---- elements -----------------------------------------------------------------------------------

static void fill(const struct bnr_lazy *z, void *dst, size_t begin, size_t n);

// NULL: other tensors, lazy or not.
static const struct scaled *scaled_of(const struct bnr_tensor *t) {
    return t->lazy && t->lazy->fill == fill ? (const struct scaled *)(const void *)t->lazy : NULL;
}

// Elements [at, at + n) of a row, n <= CHUNK, not rounded.
static void load_run(const struct scaled *s, size_t row, size_t at, size_t n, double *v) {
    const struct bnr_tensor *base = s->z.base;
    const double r = s->rows[row], *columns = s->columns + row / s->a * s->b;
    const size_t first = row * s->b * s->k + at;
    bnr__load_f64(v, base->dtype, base->u8 + first * bnr__dtype_size(base->dtype), n);
    if (s->by_row)
        for (size_t i = 0; i < n; i++)
            v[i] *= r;
    else if (s->k == 1)
        for (size_t i = 0; i < n; i++)
            v[i] *= r * columns[at + i];
    else
        for (size_t i = 0; i < n; i++)
            v[i] *= r * columns[(at + i) / s->k];
}

static void round_run(enum bnr_dtype d, void *dst, double *v, size_t n) {
    const double tiny = bnr__smallest_normal(d);
    for (size_t i = 0; i < n; i++)
        v[i] = fabs(v[i]) < tiny ? 0 : v[i];
    bnr__store_f64(d, dst, v, n);
}

static void fill_run(const struct scaled *s, size_t row, size_t at, size_t n, void *dst) {
    const enum bnr_dtype d = s->z.base->dtype;
    const size_t size = bnr__dtype_size(d);
    double v[CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        load_run(s, row, at + i, m, v);
        round_run(d, (uint8_t *)dst + i * size, v, m);
    }
}

// The largest magnitude of a row, not rounded; NaN where there is one.
static double largest_of(const struct scaled *s, size_t row) {
    const size_t length = s->b * s->k;
    double v[CHUNK], most = 0;
    for (size_t i = 0; i < length; i += CHUNK) {
        const size_t m = length - i < CHUNK ? length - i : CHUNK;
        load_run(s, row, i, m, v);
        for (size_t j = 0; j < m; j++)
            most = fabs(v[j]) <= most || isnan(most) ? most : fabs(v[j]);
    }
    return most;
}

// Most weights are float32 with a factor for each row: folding takes as long as the loops over them do.
static bool is_fast(const struct scaled *s) {
    return s->by_row && s->z.base->dtype == BNR_FLOAT;
}

// In several sums, so that one addition need not wait for the other.
static double sum_f32(const bnr_any_float *src, size_t n) {
    double sums[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] += (double)fabsf(src[i + j]);
    for (; i < n; i++)
        sum += (double)fabsf(src[i]);
    for (size_t j = 0; j < 8; j++)
        sum += sums[j];
    return sum;
}

static const bnr_any_float *row_f32(const struct scaled *s, size_t row) {
    return (const bnr_any_float *)(const void *)s->z.base->u8 + row * s->b * s->k;
}

static double rounded(enum bnr_dtype d, double x) {
    uint64_t element;
    bnr__store_f64(d, &element, &x, 1);
    bnr__load_f64(&x, d, &element, 1);
    return x;
}

static void fill(const struct bnr_lazy *z, void *dst, size_t begin, size_t n) {
    const struct scaled *s = (const struct scaled *)(const void *)z;
    const enum bnr_dtype d = z->base->dtype;
    const size_t length = s->b * s->k, size = bnr__dtype_size(d);
    for (uint8_t *to = dst; n > 0;) {
        const size_t row = begin / length, at = begin % length;
        const size_t m = n < length - at ? n : length - at;
        if (is_fast(s))
            s->kernels->scale((float *)(void *)to, row_f32(s, row) + at, m, s->rows[row]);
        else if (s->k == 1 && d == BNR_FLOAT)
            s->kernels->scale_each((float *)(void *)to, row_f32(s, row) + at, m, s->rows[row],
                                   s->columns + row / s->a * s->b + at);
        else
            fill_run(s, row, at, m, to);
        if (d == BNR_FLOAT16)
            bnr__flush_f16((uint16_t *)(void *)to, m, rounded(d, largest_of(s, row)));
        if (z->found && !isfinite(s->kernels->largest((const bnr_any_float *)(void *)to, m)))
            atomic_fetch_or_explicit(z->found, BNR_FOUND_NOT_FINITE, memory_order_relaxed);
        begin += m;
        to += m * size;
        n -= m;
    }
}

void bnr__weights_f64(const struct bnr_tensor *w, double *dst, size_t begin, size_t n) {
    const struct scaled *s = scaled_of(w);
    if (!w->lazy) {
        bnr__load_f64(dst, w->dtype, w->u8 + begin * bnr__dtype_size(w->dtype), n);
        return;
    }
    if (!s) {
        for (size_t i = 0; i < n; i++)
            dst[i] = bnr__tensor_f64(w, begin + i);
        return;
    }
    const size_t length = s->b * s->k;
    while (n > 0) {
        const size_t row = begin / length, at = begin % length, left = length - at;
        size_t m = n < left ? n : left;
        m = m < CHUNK ? m : CHUNK;
        load_run(s, row, at, m, dst);
        begin += m;
        dst += m;
        n -= m;
    }
}

double bnr__weights_sum(const struct bnr_tensor *w, size_t begin, size_t n) {
    const struct scaled *s = scaled_of(w);
    const size_t length = s ? s->b * s->k : w->numel;
    double v[CHUNK], sum = 0;
    for (size_t m; n > 0; begin += m, n -= m) {
        const size_t row = begin / length, left = length - begin % length;
        m = n < left ? n : left;
        if (s ? is_fast(s) : w->dtype == BNR_FLOAT && !w->lazy) {
            const struct bnr_tensor *base = s ? s->z.base : w;
            sum += (s ? fabs(s->rows[row]) : 1) *
                   sum_f32((const bnr_any_float *)(const void *)base->u8 + begin, m);
            continue;
        }
        m = m < CHUNK ? m : CHUNK;
        bnr__weights_f64(w, v, begin, m);
        for (size_t i = 0; i < m; i++)
            sum += fabs(v[i]);
    }
    return sum;
}

// ---- making them --------------------------------------------------------------------------------

bool bnr__scaled_matches(const struct bnr_linear *l, const struct bnr_tensor *w) {
    if (!w->lazy)
        return true;
    const struct scaled *s = scaled_of(w);
    return s && s->a == (size_t)l->a && s->b == (size_t)l->b && s->k == (size_t)l->k;
}

static size_t size_of(const struct bnr_linear *l) {
    return sizeof(struct scaled) + (size_t)(l->g * (l->a + l->b)) * sizeof(double);
}

// In `s`, of that size: w by f. The base is w's own where w is scaled itself.
static void compose(struct scaled *s, const struct bnr_linear *l, const struct bnr_tensor *w,
                    const double *f, bool on_a) {
    const struct scaled *old = scaled_of(w);
    const size_t n_rows = (size_t)(l->g * l->a), n_columns = (size_t)(l->g * l->b);
    const struct bnr_weights_f32 *kernels = l->site->node->graph->model->weight_kernels;
    s->kernels = kernels ? kernels : bnr__weights_f32_select(0);
    s->z = (struct bnr_lazy){
        .base = old ? old->z.base : bnr__tensor_unconst(w), .fill = fill, .size = size_of(l)};
    s->a = (size_t)l->a;
    s->b = (size_t)l->b;
    s->k = (size_t)l->k;
    s->by_row = on_a && (!old || old->by_row);
    s->rows = s->f;
    s->columns = s->f + n_rows;
    s->n_rows = n_rows;
    for (size_t i = 0; i < n_rows; i++)
        s->rows[i] = (old ? old->rows[i] : 1) * (on_a ? f[i] : 1);
    for (size_t i = 0; i < n_columns; i++)
        s->columns[i] = (old ? old->columns[i] : 1) * (on_a ? 1 : f[i]);
    if (s->b == 1) { // depthwise: a column is as well a row, or some
        for (size_t i = 0; i < n_rows; i++)
            s->rows[i] *= s->columns[i / s->a];
        for (size_t i = 0; i < n_columns; i++)
            s->columns[i] = 1;
        s->by_row = true;
    }
    if (is_fast(s)) {
        s->z.factors = s->rows;
        s->z.row_elems = s->b * s->k;
    }
}

// ---- looking whether they are finite ------------------------------------------------------------

struct survey {
    const struct scaled *s;
    atomic_uint largest; // bits of a magnitude, which order like it
};

enum { SURVEY_ELEMS = 1 << 16 };

static void survey(void *cx, size_t begin, size_t end) {
    struct survey *v = cx;
    const struct bnr_tensor *base = v->s->z.base;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i * SURVEY_ELEMS, left = base->numel - first;
        const float f =
            v->s->kernels->largest((const bnr_any_float *)(const void *)base->u8 + first,
                                   left < SURVEY_ELEMS ? left : SURVEY_ELEMS);
        unsigned bits, most = atomic_load_explicit(&v->largest, memory_order_relaxed);
        memcpy(&bits, &f, sizeof bits);
        while (bits > most && !atomic_compare_exchange_weak(&v->largest, &most, bits)) {
        }
    }
}

static double largest_factor(const double *f, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabs(f[i]) <= most || isnan(most) ? most : fabs(f[i]);
    return most;
}

// Of float32 weights: a bound for all rows, from reading them as memory likes best.
static double bound_of(const struct scaled *s, struct bnr_pool *pool) {
    struct survey v = {.s = s};
    const size_t n = s->z.base->numel;
    float largest;
    atomic_init(&v.largest, 0);
    bnr__parallel_for(pool, n / SURVEY_ELEMS + (n % SURVEY_ELEMS != 0), 1, survey, &v);
    const unsigned bits = atomic_load(&v.largest);
    memcpy(&largest, &bits, sizeof largest);
    return (double)largest * largest_factor(s->rows, s->n_rows) *
           largest_factor(s->columns, s->n_rows / s->a * s->b);
}

static bool is_finite(const struct scaled *s, struct bnr_pool *pool) {
    const enum bnr_dtype dtype = s->z.base->dtype;
    if (dtype == BNR_FLOAT && bnr__affine_number_fits(ROOM * bound_of(s, pool), dtype))
        return true;
    for (size_t row = 0; row < s->n_rows; row++) {
        const double most =
            is_fast(s) ? (double)s->kernels->largest(row_f32(s, row), s->b * s->k) * s->rows[row]
                       : largest_of(s, row);
        if (!bnr__affine_number_fits(ROOM * most, dtype))
            return false;
    }
    return true;
}

// Whether w, scaled, will be read once more in time: where it stays lazy.
static bool is_trusted(const struct bnr_linear *l, const struct scaled *s) {
    const struct bnr_tensor *base = s->z.base;
    const struct bnr_tensor scaled = {.nbytes = base->nbytes, .lazy = &s->z};
    return l->site->node->graph->model->trusts_weights && base->dtype == BNR_FLOAT &&
           bnr__tensor_stays_lazy(&scaled);
}

bool bnr__scaled_fits(const struct bnr_linear *l, const struct bnr_tensor *w, const double *f,
                      bool on_a) {
    struct scaled *s = bnr__arena_alloc(l->site->temp, size_of(l));
    if (!s)
        return false;
    compose(s, l, w, f, on_a);
    return is_trusted(l, s) || is_finite(s, l->site->node->graph->model->pool);
}

static enum bnr_status add_trusted(struct bnr_model *m, struct bnr_tensor *t,
                                   struct bnr_error *err) {
    struct bnr_tensor **trusted =
        bnr__arena_grow(&m->arena, m->trusted, m->n_trusted, &m->trusted_capacity, sizeof t);
    if (!trusted)
        return bnr__no_memory(err);
    m->trusted = trusted;
    trusted[m->n_trusted++] = bnr__tensor_ref(t);
    return BNR_OK;
}

enum bnr_status bnr__scaled_new(struct bnr_tensor **out, const struct bnr_linear *l, struct bnr_tensor *w,
                                const double *f, bool on_a, struct bnr_error *err) {
    struct bnr_model *m = l->site->node->graph->model;
    struct scaled *s = bnr__malloc(m->allocator, size_of(l));
    if (!s)
        return bnr__no_memory(err);
    compose(s, l, w, f, on_a);
    atomic_init(&s->found, 0);
    const bool trusted = is_trusted(l, s);
    if (trusted)
        s->z.found = &s->found;
    bnr__tensor_ref(s->z.base);
    enum bnr_status st = bnr__tensor_lazy(out, m->allocator, w->rank, w->dims, &s->z, err);
    if (st == BNR_OK && trusted && (st = add_trusted(m, *out, err)) != BNR_OK) {
        bnr__tensor_unref(*out);
        *out = NULL;
    }
    return st;
}

// Those that were not read through and that nobody else holds were scaled once more.
static bool settle(const struct bnr_tensor *t, struct bnr_pool *pool) {
    const struct scaled *s = scaled_of(t);
    const int found = atomic_load_explicit(&s->found, memory_order_relaxed);
    if (found & BNR_FOUND_NOT_FINITE)
        return false;
    return found & BNR_FOUND_ALL || atomic_load(&t->refs) == 1 || is_finite(s, pool);
}

bool bnr__scaled_settle(struct bnr_model *m) {
    bool finite = true;
    for (size_t i = 0; i < m->n_trusted; i++) {
        finite = finite && settle(m->trusted[i], m->pool);
        bnr__tensor_unref(m->trusted[i]);
    }
    m->n_trusted = 0;
    return finite;
}
