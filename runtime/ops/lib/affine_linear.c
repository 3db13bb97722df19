// SPDX-License-Identifier: Apache-2.0
// Weights of linear operators: scaling along input or output channels and the bias that a shift in
// front gives. In double, rounded once to the weights' dtype; what is not finite there is refused,
// subnormal results become zero (they would slow every later run and mean nothing).
//
// Weights that take in an affine on each side are rounded twice. Once would need the original beside the
// result until all is folded, which is their memory again; it would make the error of an output from
// rounded weights 2.7e-8 of the outputs' magnitude instead of 3.9e-8 (64 to 4608 terms, scales 0.2
// to 2), where sums in float32 give 2e-7 to 2e-6; in float16 2.1e-4 instead of 3.0e-4.
#include <float.h>
#include <math.h>
#include <string.h>

#include "graph/op.h"
#include "runtime/kernels/weights_f32.h"
#include "runtime/ops/lib/affine_rules.h"

enum { CHUNK = 512, LAZY_BYTES = 1 << 16 };

// Rules look at elements: a lazy tensor is replaced by one that has them. NULL when out of memory.
static const struct bnr_tensor *elements_of(const struct bnr_value *v) {
    struct bnr_tensor *full;
    if (bnr__tensor_align(&full, v->tensor, NULL) != BNR_OK)
        return NULL;
    bnr__tensor_unref(v->tensor);
    return ((struct bnr_value *)(uintptr_t)v)->tensor = full;
}

const struct bnr_tensor *bnr__affine_constant(const struct bnr_value *v) {
    if (!v || !bnr__value_is_constant(v) || v->tensor->kind != BNR_KIND_TENSOR)
        return NULL;
    return v->tensor->lazy ? elements_of(v) : v->tensor;
}

struct bnr_tensor *bnr__affine_numbers(const struct bnr_value *v) {
    const struct bnr_tensor *t = bnr__affine_constant(v);
    const struct bnr_node *p = v ? v->producer : NULL;
    struct bnr_tensor *in[3] = {NULL}, *made = NULL;
    struct bnr_error err;
    if (t)
        return bnr__tensor_ref((struct bnr_tensor *)(uintptr_t)t);
    if (!p || !bnr__node_is(p, "", "DequantizeLinear") || p->n_in > 3)
        return NULL;
    for (int i = 0; i < p->n_in; i++) {
        const struct bnr_tensor *c = bnr__affine_constant(p->in[i]);
        if (p->in[i] && !c)
            return NULL;
        in[i] = (struct bnr_tensor *)(uintptr_t)c;
    }
    const bool ok = bnr__node_eval(p, in, &made, v->graph->model->allocator, &err) == BNR_OK;
    return ok ? made : NULL;
}

bool bnr__affine_dequantized(const struct bnr_value *v) {
    enum { MAX_CHAIN = 8 };
    for (int i = 0; v && v->producer && i < MAX_CHAIN; i++) {
        const struct bnr_node *p = v->producer;
        if (bnr__node_is(p, "", "DequantizeLinear"))
            return bnr__affine_constant(p->in[0]) != NULL;
        if (!p->op || !p->op->affine || !p->op->affine->backward || p->n_in < 1)
            return false;
        v = p->in[0];
    }
    return false;
}

enum bnr_dtype bnr__linear_dtype(const struct bnr_linear *l) {
    return l->w->tensor ? l->w->tensor->dtype : l->w->info.type.dtype;
}

struct bnr_value *bnr__affine_input(const struct bnr_node *n, int index) {
    return index < n->n_in ? n->in[index] : NULL;
}

int64_t bnr__linear_outputs(const struct bnr_linear *l) {
    return l->g * (l->out_is_a ? l->a : l->b);
}

int64_t bnr__linear_inputs(const struct bnr_linear *l) {
    return l->g * (l->out_is_a ? l->b : l->a);
}

// Below this a number is subnormal in the dtype and becomes zero. Float16 has a rule of its own.
static double smallest_normal(enum bnr_dtype d) {
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
// error of 2 % where weights are around 5e-4. They become zero where they are less than half a unit in
// the last place of the largest number of the row, which no sum can tell from rounding.
static void flush_f16(uint16_t *v, size_t n) {
    enum { MAGNITUDE = 0x7fff, SMALLEST_NORMAL = 0x0400 };
    uint16_t most = 0;
    for (size_t i = 0; i < n; i++) // magnitudes order like their bits
        most = (v[i] & MAGNITUDE) > most ? v[i] & MAGNITUDE : most;
    double limit, x;
    bnr__load_f64(&limit, BNR_FLOAT16, &most, 1);
    for (size_t i = 0; i < n; i++) {
        const uint16_t bits = v[i] & MAGNITUDE;
        if (bits == 0 || bits >= SMALLEST_NORMAL)
            continue;
        bnr__load_f64(&x, BNR_FLOAT16, &bits, 1);
        if (x < limit * 0x1p-11)
            v[i] = 0;
    }
}

// dst[i] = src[i] * f[i * step], in `dtype`; dst NULL: only the answer. False when one is not
// finite.
static bool scale_any(enum bnr_dtype dtype, void *dst, const void *src, size_t n, const double *f,
                      size_t step) {
    const double tiny = smallest_normal(dtype);
    const size_t size = bnr__dtype_size(dtype);
    double v[CHUNK];
    uint64_t rounded[CHUNK]; // room for CHUNK elements of any float dtype
    bool finite = true;
    for (size_t at = 0; at < n; at += CHUNK) {
        const size_t m = n - at < CHUNK ? n - at : CHUNK;
        bnr__load_f64(v, dtype, (const uint8_t *)src + at * size, m);
        for (size_t i = 0; i < m; i++) {
            v[i] *= f[(at + i) * step];
            if (fabs(v[i]) < tiny)
                v[i] = 0;
        }
        bnr__store_f64(dtype, rounded, v, m);
        bnr__load_f64(v, dtype, rounded, m);
        for (size_t i = 0; i < m; i++)
            finite &= isfinite(v[i]) != 0;
        if (dst)
            memcpy((uint8_t *)dst + at * size, rounded, m * size);
    }
    return finite;
}

// Folding takes as long as the loops over float32 weights do.
static void scale_each_f32(float *dst, const bnr_any_float *src, size_t n, const double *f) {
    for (size_t i = 0; i < n; i++) {
        const float y = (float)((double)src[i] * f[i]);
        dst[i] = fabsf(y) < FLT_MIN ? 0.0f : y;
    }
}

static bool fits_f32(const struct bnr_weights_f32 *kernels, const bnr_any_float *src, size_t n,
                     const double *f, size_t step) {
    if (step == 0)
        return fabs((double)(float)((double)kernels->largest(src, n) * f[0])) <= (double)FLT_MAX;
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= !(fabsf((float)((double)src[i] * f[i])) <= FLT_MAX);
    return !bad;
}

static bool scale_run(const struct bnr_weights_f32 *kernels, enum bnr_dtype dtype, void *dst,
                      const void *src, size_t n, const double *f, size_t step) {
    if (dtype != BNR_FLOAT)
        return scale_any(dtype, dst, src, n, f, step);
    if (!dst)
        return fits_f32(kernels, src, n, f, step);
    if (step == 0)
        kernels->scale(dst, src, n, f[0]);
    else
        scale_each_f32(dst, src, n, f);
    return true;
}

static const struct bnr_weights_f32 *kernels_of(const struct bnr_linear *l) {
    const struct bnr_weights_f32 *kernels = l->site->node->graph->model->weight_kernels;
    return kernels ? kernels : bnr__weights_f32_select(0);
}

// All of W by its factors, row after row of [b, k].
static bool scale_all(const struct bnr_linear *l, const struct bnr_tensor *w, void *dst,
                      const double *f, bool on_a) {
    const size_t size = bnr__dtype_size(w->dtype), a = (size_t)l->a, b = (size_t)l->b,
                 k = (size_t)l->k;
    const struct bnr_weights_f32 *kernels = kernels_of(l);
    bool finite = true;
    for (size_t row = 0; row < (size_t)l->g * a; row++) {
        const uint8_t *from = (const uint8_t *)w->data + row * b * k * size;
        uint8_t *to = dst ? (uint8_t *)dst + row * b * k * size : NULL;
        const double *fb = f + row / a * b;
        if (on_a)
            finite &= scale_run(kernels, w->dtype, to, from, b * k, &f[row], 0);
        else if (k == 1)
            finite &= scale_run(kernels, w->dtype, to, from, b, fb, 1);
        else
            for (size_t i = 0; i < b; i++)
                finite &= scale_run(kernels, w->dtype, to ? to + i * k * size : NULL,
                                    from + i * k * size, k, fb + i, 0);
        if (to && w->dtype == BNR_FLOAT16)
            flush_f16((uint16_t *)(void *)to, b * k);
    }
    return finite;
}

static bool replace_input(struct bnr_affine_site *site, int index, const char *hint,
                          struct bnr_tensor *t, struct bnr_error *err) {
    struct bnr_value *v;
    if (bnr__value_constant(&v, site->node->graph, hint, t, err) != BNR_OK)
        return false;
    if (bnr__node_set_input(site->node, index, v) == BNR_OK)
        return true;
    bnr__no_memory(err);
    return false;
}

static bool all_one(const double *f, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (f[i] != 1)
            return false;
    return true;
}

// ---- scaled where they are packed ---------------------------------------------------------------

// Rows of a weight in a mapped file, each by its factor.
struct scaled_rows {
    struct bnr_lazy z;
    const struct bnr_weights_f32 *kernels;
    size_t row; // elements
    double f[];
};

static void fill_scaled(const struct bnr_lazy *z, void *dst, size_t begin, size_t n) {
    const struct scaled_rows *s = (const struct scaled_rows *)(const void *)z;
    const bnr_any_float *from = (const bnr_any_float *)(const void *)z->base->u8;
    float *to = dst;
    while (n > 0) {
        const size_t row = begin / s->row, left = (row + 1) * s->row - begin, m = n < left ? n : left;
        s->kernels->scale(to, from + begin, m, s->f[row]);
        begin += m;
        to += m;
        n -= m;
    }
}

// Weights that a kernel will pack need not be written, to be read once, before that.
static bool may_be_lazy(const struct bnr_linear *l, const struct bnr_tensor *w, bool on_a) {
    return on_a && l->site->node->graph->model->lazy_weights && w->dtype == BNR_FLOAT && w->drop &&
           w->data && w->nbytes >= LAZY_BYTES;
}

static enum bnr_status scale_lazily(const struct bnr_linear *l, struct bnr_tensor *w, const double *f,
                                    struct bnr_tensor **out, struct bnr_error *err) {
    const struct bnr_allocator *a = l->site->node->graph->model->allocator;
    const size_t rows = (size_t)(l->g * l->a), size = sizeof(struct scaled_rows) + rows * sizeof *f;
    struct scaled_rows *s = bnr__malloc(a, size);
    if (!s)
        return bnr__no_memory(err);
    s->z = (struct bnr_lazy){.base = bnr__tensor_ref(w), .fill = fill_scaled, .size = size};
    s->kernels = kernels_of(l);
    s->row = (size_t)(l->b * l->k);
    memcpy(s->f, f, rows * sizeof *f);
    return bnr__tensor_lazy(out, a, w->rank, w->dims, &s->z, err);
}

bool bnr__linear_scale(const struct bnr_linear *l, const double *f, bool outputs, bool apply,
                       struct bnr_error *err) {
    const struct bnr_tensor *w = bnr__affine_constant(l->w);
    const bool on_a = outputs == l->out_is_a;
    if (all_one(f, outputs ? bnr__linear_outputs(l) : bnr__linear_inputs(l)))
        return true;
    if (!apply) {
        if (!l->site->may_copy && l->w->n_uses > 1)
            return bnr__affine_no(l->site, "other nodes share the weights '%s'", l->w->name);
        if (!scale_all(l, w, NULL, f, on_a))
            return bnr__affine_no(l->site, "the scaled weights '%s' would not be finite in %s",
                                  l->w->name, bnr__dtype_name(w->dtype));
        return true;
    }
    struct bnr_tensor *t;
    const struct bnr_allocator *a = l->site->node->graph->model->allocator;
    if (may_be_lazy(l, w, on_a)) {
        if (scale_lazily(l, bnr__tensor_unconst(w), f, &t, err) != BNR_OK)
            return false;
        return replace_input(l->site, l->w_index, l->w->name, t, err);
    }
    if (bnr__tensor_new(&t, a, w->dtype, w->rank, w->dims, err) != BNR_OK)
        return false;
    scale_all(l, w, t->data, f, on_a);
    bnr__tensor_drop_pages(w);
    return replace_input(l->site, l->w_index, l->w->name, t, err);
}

void bnr__linear_dot(const struct bnr_linear *l, const double *t, double *acc) {
    const struct bnr_tensor *w = bnr__affine_constant(l->w);
    const size_t size = bnr__dtype_size(w->dtype), a = (size_t)l->a, b = (size_t)l->b,
                 k = (size_t)l->k;
    double v[CHUNK];
    for (size_t row = 0; row < (size_t)l->g * a; row++)
        for (size_t at = 0; at < b * k; at += CHUNK) {
            const size_t m = b * k - at < CHUNK ? b * k - at : CHUNK;
            bnr__load_f64(v, w->dtype, (const uint8_t *)w->data + (row * b * k + at) * size, m);
            for (size_t i = 0; i < m; i++) {
                const size_t column = row / a * b + (at + i) / k;
                if (l->out_is_a)
                    acc[row] += v[i] * t[column];
                else
                    acc[column] += v[i] * t[row];
            }
        }
}

bool bnr__linear_store(struct bnr_affine_site *site, int index, const char *hint,
                       enum bnr_dtype dtype, int rank, const int64_t *dims, const double *v,
                       bool apply, struct bnr_error *err) {
    const double one = 1;
    struct bnr_tensor *t;
    const struct bnr_allocator *a = site->node->graph->model->allocator;
    if (bnr__tensor_new(&t, a, BNR_DOUBLE, rank, dims, err) != BNR_OK)
        return bnr__affine_no(site, "out of memory");
    const double tiny = smallest_normal(dtype);
    for (size_t i = 0; i < t->numel; i++)
        t->f64[i] = fabs(v[i]) < tiny ? 0 : v[i];
    struct bnr_tensor *rounded = NULL;
    const enum bnr_status st = bnr__tensor_cast(&rounded, a, t, dtype, err);
    bool ok = st == BNR_OK && scale_any(dtype, NULL, rounded->data, rounded->numel, &one, 0);
    bnr__tensor_unref(t);
    if (ok && dtype == BNR_FLOAT16)
        flush_f16(rounded->u16, rounded->numel);
    if (ok && apply)
        return replace_input(site, index, hint, rounded, err);
    bnr__tensor_unref(rounded);
    return ok || bnr__affine_no(site, "the new bias of '%s' would not be finite in %s",
                                site->node->label, bnr__dtype_name(dtype));
}
