// SPDX-License-Identifier: Apache-2.0
// What the rules of linear operators share: their constants, scaling weights along input or output channels
// (lib/affine_scaled.h), and the bias that a shift in front gives. In double, rounded once to the weights'
// dtype; what is not finite there is refused.
#include <math.h>

#include "graph/op.h"
#include "graph/turned.h"
#include "runtime/ops/lib/affine_scaled.h"

// Rules look at elements: a lazy tensor is replaced by one that has them. NULL when out of memory.
static const struct bnr_tensor *elements_of(struct bnr_value *v) {
    struct bnr_tensor *full;
    if (bnr__tensor_align(&full, v->tensor, NULL) != BNR_OK)
        return NULL;
    bnr__tensor_unref(v->tensor);
    v->tensor = full;
    return bnr__value_info_of_constant(v) == BNR_OK ? full : NULL;
}

const struct bnr_tensor *bnr__affine_constant(const struct bnr_value *v) {
    const struct bnr_tensor *t = bnr__value_constant_tensor(v);
    return t && t->lazy ? elements_of((struct bnr_value *)(uintptr_t)v) : t;
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
    return l->w->tensor ? l->w->tensor->dtype : l->w->info->type.dtype;
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

// The original of a turned matrix, whose rows are the other side; the weights themselves otherwise.
static struct bnr_linear under_turn(const struct bnr_linear *l, const struct bnr_tensor **w) {
    struct bnr_linear under = *l;
    const struct bnr_tensor *base = bnr__turned_base(*w);
    if (!base)
        return under;
    *w = base;
    under.a = l->b;
    under.b = l->a;
    under.out_is_a = !l->out_is_a;
    return under;
}

// Scaled weights in the place of the constant, turned where that is.
static bool set_scaled(const struct bnr_linear *l, const struct bnr_tensor *w, const double *f,
                       bool on_a, struct bnr_error *err) {
    struct bnr_tensor *t, *turned;
    if (bnr__scaled_new(&t, l, bnr__tensor_unconst(w), f, on_a, err) != BNR_OK)
        return false;
    if (bnr__turned_base(l->w->tensor)) {
        const enum bnr_status st = bnr__tensor_turned(&turned, t, err);
        bnr__tensor_unref(t);
        if (st != BNR_OK)
            return false;
        t = turned;
    }
    return replace_input(l->site, l->w_index, l->w->name, t, err);
}

bool bnr__linear_scale(const struct bnr_linear *weights, const double *f, bool outputs, bool apply,
                       struct bnr_error *err) {
    const struct bnr_tensor *w = bnr__value_constant_tensor(weights->w);
    struct bnr_linear under = under_turn(weights, &w), *l = &under;
    if (all_one(f, outputs ? bnr__linear_outputs(l) : bnr__linear_inputs(l)))
        return true;
    if (!bnr__scaled_matches(l, w)) {
        under = *weights;
        if (!(w = bnr__affine_constant(l->w)))
            return bnr__affine_no(l->site, "out of memory");
    }
    const bool on_a = outputs == l->out_is_a;
    if (!apply) {
        if (!l->site->may_copy && l->w->n_uses > 1)
            return bnr__affine_no(l->site, "other nodes share the weights '%s'", l->w->name);
        if (!bnr__scaled_fits(l, w, f, on_a))
            return bnr__affine_no(l->site, "the scaled weights '%s' would not be finite in %s",
                                  l->w->name, bnr__dtype_name(w->dtype));
        return true;
    }
    return set_scaled(l, w, f, on_a, err);
}

bool bnr__linear_on_weights(const struct bnr_linear *l, const double *f, bool outputs,
                            struct bnr_affine *out) {
    int64_t dims[BNR_MAX_RANK];
    // Rows and columns are the first two axes of kernels, the last two of matrices.
    const int rank = bnr__affine_shape(l->w).rank, first = l->matrix ? rank - 2 : 0;
    const bool on_a = outputs == l->out_is_a;
    const int64_t a = l->a, b = l->b;
    bool by_row = false, by_column = false; // whether f varies over them
    for (int64_t i = 0; i < l->g * a; i++)
        for (int64_t j = 0; j < b; j++) {
            const double *fb = f + (on_a ? 0 : i / a * b);
            by_row |= on_a ? f[i] != f[0] : fb[j] != f[j];
            by_column |= !on_a && fb[j] != fb[0];
        }
    for (int i = 0; i < rank; i++)
        dims[i] = i == first && by_row ? l->g * a : i == first + 1 && by_column ? b : 1;
    double *t, *s = bnr__affine_alloc(out, rank, dims, &t, l->site->temp);
    if (!s)
        return bnr__affine_no(l->site, "out of memory");
    const int64_t columns = by_column ? b : 1;
    for (size_t n = 0; n < out->n; n++) {
        const int64_t i = (int64_t)n / columns, j = (int64_t)n % columns;
        s[n] = f[on_a ? i : i / a * b + j];
    }
    return true;
}

bool bnr__linear_scale_inputs(const struct bnr_linear *l, const double *f, bool apply,
                              struct bnr_error *err) {
    if (bnr__value_constant_tensor(l->w))
        return bnr__linear_scale(l, f, false, apply, err);
    l->site->aside_index = l->w_index;
    return all_one(f, bnr__linear_inputs(l)) ||
           bnr__linear_on_weights(l, f, false, &l->site->aside);
}

void bnr__linear_dot(const struct bnr_linear *l, const double *t, double *acc) {
    enum { CHUNK = 512 };
    const struct bnr_tensor *w = l->numbers;
    const size_t a = (size_t)l->a, b = (size_t)l->b, k = (size_t)l->k;
    double v[CHUNK];
    for (size_t row = 0; row < (size_t)l->g * a; row++)
        for (size_t at = 0; at < b * k; at += CHUNK) {
            const size_t m = b * k - at < CHUNK ? b * k - at : CHUNK;
            bnr__weights_f64(w, v, row * b * k + at, m);
            for (size_t i = 0; i < m; i++) {
                const size_t column = row / a * b + (at + i) / k;
                if (l->out_is_a)
                    acc[row] += v[i] * t[column];
                else
                    acc[column] += v[i] * t[row];
            }
        }
}

// n numbers as they are stored: rounded once, and zero instead of subnormal. Whether all are
// finite, and their largest magnitude. `to` NULL: only looks.
static bool store(enum bnr_dtype dtype, void *to, const double *v, size_t n, double *largest) {
    enum { CHUNK = 256 };
    double x[CHUNK];
    uint64_t here[CHUNK];
    const double tiny = bnr__smallest_normal(dtype);
    const size_t size = bnr__dtype_size(dtype);
    *largest = 0;
    for (size_t at = 0, m; at < n; at += m) {
        void *stored = to ? (char *)to + at * size : (void *)here;
        m = n - at < CHUNK ? n - at : CHUNK;
        for (size_t i = 0; i < m; i++)
            x[i] = fabs(v[at + i]) < tiny ? 0 : v[at + i];
        bnr__store_f64(dtype, stored, x, m);
        bnr__load_f64(x, dtype, stored, m);
        for (size_t i = 0; i < m; i++) {
            if (!isfinite(x[i]))
                return false;
            *largest = fabs(x[i]) > *largest ? fabs(x[i]) : *largest;
        }
    }
    return true;
}

// Also rounds off what float16 has no digits for, row by row.
static bool store_rows(enum bnr_dtype dtype, void *to, const double *v, size_t rows, size_t n) {
    const size_t size = bnr__dtype_size(dtype);
    double largest;
    for (size_t r = 0; r < rows; r++) {
        void *row = to ? (char *)to + r * n * size : NULL;
        if (!store(dtype, row, v + r * n, n, &largest))
            return false;
        if (row && dtype == BNR_FLOAT16)
            bnr__flush_f16(row, n, largest);
    }
    return true;
}

bool bnr__linear_store(struct bnr_affine_site *site, int index, const char *hint,
                       enum bnr_dtype dtype, int rank, const int64_t *dims, const double *v,
                       bool apply, struct bnr_error *err) {
    struct bnr_tensor *t = NULL;
    const size_t rows = rank > 1 ? (size_t)dims[0] : 1;
    size_t n = 1;
    for (int i = rank > 1; i < rank; i++)
        n *= (size_t)dims[i];
    if (apply &&
        bnr__tensor_new(&t, site->node->graph->model->allocator, dtype, rank, dims, err) != BNR_OK)
        return bnr__affine_no(site, "out of memory");
    const bool ok = store_rows(dtype, apply ? t->data : NULL, v, rows, n);
    if (ok && apply)
        return replace_input(site, index, hint, t, err);
    bnr__tensor_unref(t);
    return ok || bnr__affine_no(site, "the new %s of '%s' would not be finite in %s",
                                rank > 2 ? "weights" : "bias", site->node->label, bnr__dtype_name(dtype));
}
