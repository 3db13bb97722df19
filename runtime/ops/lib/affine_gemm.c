// SPDX-License-Identifier: Apache-2.0
// Affines around Gemm and MatMul.
//     alpha*A*B + beta*C -> (s, t):  B' = B*s[n], C' = s[n]*beta*C + t[n], beta' = 1, alpha stays
//     (s, t) -> Gemm:                B' = s[k]*B, C' = beta*C + alpha * sum over k of t[k]*B, beta'
//     = 1
// MatMul is Gemm without C: a shift stays behind it as an addition.
// Dequantized weights (lib/affine_conv.c): the scale goes on to them.
#include "runtime/ops/lib/affine_rules.h"

enum { A, B, C };

// The sides of the weights by their shape alone.
static bool describe_shape(struct bnr_affine_site *site, int w_index, bool transposed,
                           struct bnr_linear *l) {
    const struct bnr_node *n = site->node;
    *l = (struct bnr_linear){
        .site = site, .w = bnr__affine_input(n, w_index), .w_index = w_index, .matrix = true};
    const int rank = bnr__affine_shape(l->w).rank;
    if (rank < 2)
        return bnr__affine_no(site, "the weights of '%s' are no matrix", n->label);
    for (int i = 0; i < rank - 2; i++)
        if (bnr__affine_dim(l->w, i) != 1)
            return bnr__affine_no(site, "'%s' has a batch of weight matrices", n->label);
    l->g = l->k = 1;
    l->a = bnr__affine_dim(l->w, rank - 2);
    l->b = bnr__affine_dim(l->w, rank - 1);
    l->out_is_a = (w_index == A) != transposed;
    return (l->a > 0 && l->b > 0) ||
           bnr__affine_no(site, "the weights of '%s' are no matrix", n->label);
}

static bool describe(struct bnr_affine_site *site, int w_index, bool transposed,
                     struct bnr_linear *l) {
    const struct bnr_node *n = site->node;
    const struct bnr_tensor *w = bnr__value_constant_tensor(bnr__affine_input(n, w_index));
    if (!w)
        return bnr__affine_no(site, "the weights of '%s' are not constant", n->label);
    if (!bnr__dtype_is_float(w->dtype))
        return bnr__affine_no(site, "the weights of '%s' are no matrix", n->label);
    if (!describe_shape(site, w_index, transposed, l))
        return false;
    l->numbers = w;
    return true;
}

// Of what stands in front, weights that are dequantized take their share by their DequantizeLinear. *made is
// what they are where the shift needs it: a new reference, or NULL.
static bool describe_before(struct bnr_affine_site *site, int w_index, bool transposed,
                            struct bnr_linear *l, struct bnr_tensor **made) {
    const struct bnr_value *w = bnr__affine_input(site->node, w_index);
    *made = NULL;
    if (!bnr__affine_dequantized(w))
        return describe(site, w_index, transposed, l);
    if (!describe_shape(site, w_index, transposed, l))
        return false;
    if (!bnr__affine_has_shift(&site->affine))
        return true;
    l->numbers = *made = bnr__affine_numbers(w);
    return *made || bnr__affine_no(site, "what the weights of '%s' are dequantized to is not at hand",
                                   site->node->label);
}

// ---- Gemm ---------------------------------------------------------------------------------------

// C' in double, with its shape: [N] where C is absent or one number.
struct gemm_c {
    int rank;
    int64_t dims[2];
    double *v;
    size_t n;
};

static bool fill_c(const struct bnr_linear *l, const struct bnr_tensor *old, struct gemm_c *c) {
    const struct bnr_node *n = l->site->node;
    const int64_t columns = bnr__linear_outputs(l);
    if (old && (old->rank > 2 || !bnr__dtype_is_float(old->dtype) || old->numel == 0))
        return bnr__affine_no(l->site, "the C of '%s' is no matrix", n->label);
    const bool one = !old || old->numel == 1;
    if (!one && old->dims[old->rank - 1] != columns)
        return bnr__affine_no(l->site, "the C of '%s' has one number a row, not a column",
                              n->label);
    *c = (struct gemm_c){.rank = one ? 1 : old->rank, .n = one ? (size_t)columns : old->numel};
    for (int i = 0; i < c->rank; i++)
        c->dims[i] = one ? columns : old->dims[i];
    c->v = BNR_NEW_ARRAY(l->site->temp, c->n, double);
    if (!c->v)
        return bnr__affine_no(l->site, "out of memory");
    const double beta = (double)bnr__attr_float(n, "beta", 1.0f);
    if (old && !one)
        bnr__load_f64(c->v, old->dtype, old->data, c->n);
    for (size_t i = 0; old && i < c->n; i++)
        c->v[i] = beta * (one ? bnr__tensor_f64(old, 0) : c->v[i]);
    return true;
}

// Loads beta*C so that element i belongs to column i % columns.
static bool load_c(const struct bnr_linear *l, struct gemm_c *c) {
    const struct bnr_node *n = l->site->node;
    struct bnr_tensor *old = bnr__affine_numbers(bnr__affine_input(n, C));
    if (!old && bnr__affine_input(n, C))
        return bnr__affine_no(l->site, "the C of '%s' is not constant", n->label);
    const bool ok = fill_c(l, old, c);
    bnr__tensor_unref(old);
    return ok;
}

static bool store_c(const struct bnr_linear *l, const struct gemm_c *c, bool apply,
                    struct bnr_error *err) {
    struct bnr_node *n = l->site->node;
    const struct bnr_value *old = bnr__affine_input(n, C);
    const char *hint = old ? old->name : bnr__arena_printf(l->site->temp, "%s_bias", n->label);
    if (!hint)
        return bnr__affine_no(l->site, "out of memory");
    if (!bnr__linear_store(l->site, C, hint, bnr__linear_dtype(l), c->rank, c->dims, c->v, apply,
                           err))
        return false;
    if (!apply)
        return true;
    bnr__node_remove_attr(n, "beta"); // defaults to 1
    if (n->since < 7 && bnr__node_set_attr_int(n, "broadcast", 1) != BNR_OK) {
        bnr__no_memory(err);
        return false;
    }
    return true;
}

static bool gemm_describe(struct bnr_affine_site *site, struct bnr_linear *l) {
    return describe(site, B, bnr__attr_int(site->node, "transB", 0) != 0, l);
}

static bool gemm_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    struct bnr_linear l;
    struct gemm_c c;
    const double *s, *t;
    if (!gemm_describe(site, &l) || !bnr__affine_along(site, 1, bnr__linear_outputs(&l), &s, &t) ||
        !load_c(&l, &c))
        return false;
    const size_t columns = (size_t)bnr__linear_outputs(&l);
    for (size_t i = 0; i < c.n; i++)
        c.v[i] = s[i % columns] * c.v[i] + t[i % columns];
    return store_c(&l, &c, false, err) && bnr__linear_scale(&l, s, true, apply, err) &&
           (!apply || store_c(&l, &c, true, err));
}

static bool gemm_in_front(const struct bnr_linear *l, bool apply, struct bnr_error *err) {
    struct bnr_affine_site *site = l->site;
    struct gemm_c c;
    const double *s, *t;
    const struct bnr_node *n = site->node;
    const int axis = bnr__attr_int(n, "transA", 0) ? 0 : 1;
    if (!bnr__affine_along(site, axis, bnr__linear_inputs(l), &s, &t))
        return false;
    if (!bnr__affine_has_shift(&site->affine))
        return bnr__linear_scale_inputs(l, s, apply, err);
    const size_t columns = (size_t)bnr__linear_outputs(l);
    double *acc = BNR_NEW_ARRAY(site->temp, columns, double);
    if (!acc || !load_c(l, &c))
        return acc ? false : bnr__affine_no(site, "out of memory");
    bnr__linear_dot(l, t, acc);
    const double alpha = (double)bnr__attr_float(n, "alpha", 1.0f);
    for (size_t i = 0; i < c.n; i++)
        c.v[i] += alpha * acc[i % columns];
    return store_c(l, &c, false, err) && bnr__linear_scale_inputs(l, s, apply, err) &&
           (!apply || store_c(l, &c, true, err));
}

static bool gemm_before(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    struct bnr_linear l;
    struct bnr_tensor *made;
    const struct bnr_node *n = site->node;
    if (site->index != A)
        return bnr__affine_no(site, "it feeds input %d of '%s'", site->index, n->label);
    const bool ok = describe_before(site, B, bnr__attr_int(n, "transB", 0) != 0, &l, &made) &&
                    gemm_in_front(&l, apply, err);
    bnr__tensor_unref(made);
    return ok;
}

// Dequantized weights: the scale goes on to where they come from.
static bool gemm_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    struct bnr_linear l;
    struct gemm_c c;
    const double *s, *t;
    if (!bnr__affine_dequantized(bnr__affine_input(site->node, B)))
        return false; // absorb_after has said why not
    if (!describe_shape(site, B, bnr__attr_int(site->node, "transB", 0) != 0, &l) ||
        !bnr__affine_along(site, 1, bnr__linear_outputs(&l), &s, &t) || !load_c(&l, &c))
        return false;
    const size_t columns = (size_t)bnr__linear_outputs(&l);
    for (size_t i = 0; i < c.n; i++)
        c.v[i] = s[i % columns] * c.v[i] + t[i % columns];
    if (bnr__affine_has_scale(&site->affine) && !bnr__linear_on_weights(&l, s, true, &out[B]))
        return false;
    return store_c(&l, &c, apply, err);
}

const struct bnr_affine_rules bnr__affine_gemm = {
    .absorb_after = gemm_after, .absorb_before = gemm_before, .backward = gemm_backward};

// ---- MatMul -------------------------------------------------------------------------------------

// The axes of x and of the output that the weights, the other input, connect.
static bool matmul_axes(struct bnr_affine_site *site, int x_index, int *x_axis, int *out_axis) {
    const struct bnr_node *n = site->node;
    const int rank = bnr__affine_shape(n->out[0]).rank;
    const int x_rank = bnr__affine_shape(n->in[x_index]).rank;
    if (rank < 1 || x_rank < 1 || (x_index == 1 && (rank < 2 || x_rank < 2)))
        return bnr__affine_no(site, "the rank of '%s' is not known, or it is a vector", n->label);
    *out_axis = x_index == 0 ? rank - 1 : rank - 2;
    *x_axis = x_index == 0 ? x_rank - 1 : x_rank - 2;
    return true;
}

static bool leave_rest(struct bnr_affine_site *site, int axis, int64_t count, const double *shift) {
    const struct bnr_type *y = &site->node->out[0]->info->type;
    const int rank = y->shape.rank;
    int64_t dims[BNR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    double *t, *s = bnr__affine_alloc(&site->rest, rank, dims, &t, site->temp);
    if (!s)
        return bnr__affine_no(site, "out of memory");
    for (int64_t i = 0; i < count; i++) {
        s[i] = 1;
        t[i] = shift[i];
    }
    return bnr__affine_fits(&site->rest, y->dtype) ||
           bnr__affine_no(site, "the new bias of '%s' would not be finite in %s", site->node->label,
                          bnr__dtype_name(y->dtype));
}

static bool matmul_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    struct bnr_linear l;
    const double *s, *t;
    int x_axis, axis;
    const int x_index = bnr__value_constant_tensor(site->node->in[1]) ? 0 : 1;
    if (!bnr__affine_has_scale(&site->affine))
        return bnr__affine_no(site, "'%s' has no bias that could take the shift",
                              site->node->label);
    if (!describe(site, 1 - x_index, false, &l) || !matmul_axes(site, x_index, &x_axis, &axis) ||
        !bnr__affine_along(site, axis, bnr__linear_outputs(&l), &s, &t))
        return false;
    if (bnr__affine_has_shift(&site->affine) && !leave_rest(site, axis, bnr__linear_outputs(&l), t))
        return false;
    return bnr__linear_scale(&l, s, true, apply, err);
}

static bool matmul_in_front(const struct bnr_linear *l, bool apply, struct bnr_error *err) {
    struct bnr_affine_site *site = l->site;
    const double *s, *t;
    int x_axis, axis;
    if (!matmul_axes(site, site->index, &x_axis, &axis) ||
        !bnr__affine_along(site, x_axis, bnr__linear_inputs(l), &s, &t))
        return false;
    if (bnr__affine_has_shift(&site->affine)) {
        double *acc = BNR_NEW_ARRAY(site->temp, (size_t)bnr__linear_outputs(l), double);
        if (!acc)
            return bnr__affine_no(site, "out of memory");
        bnr__linear_dot(l, t, acc);
        if (!leave_rest(site, axis, bnr__linear_outputs(l), acc))
            return false;
    }
    return bnr__linear_scale_inputs(l, s, apply, err);
}

static bool matmul_before(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    struct bnr_linear l;
    struct bnr_tensor *made;
    if (!bnr__affine_has_scale(&site->affine))
        return bnr__affine_no(site, "'%s' has no bias that could take the shift",
                              site->node->label);
    const bool ok = describe_before(site, 1 - site->index, false, &l, &made) &&
                    matmul_in_front(&l, apply, err);
    bnr__tensor_unref(made);
    return ok;
}

static bool matmul_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                            struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const double *s, *t;
    struct bnr_linear l;
    int x_axis, axis;
    const int w = bnr__affine_dequantized(n->in[1]) ? 1 : 0;
    if (!bnr__affine_dequantized(n->in[w]) || !bnr__affine_has_scale(&site->affine))
        return false; // absorb_after has said why not
    if (!describe_shape(site, w, false, &l) || !matmul_axes(site, 1 - w, &x_axis, &axis) ||
        !bnr__affine_along(site, axis, bnr__linear_outputs(&l), &s, &t))
        return false;
    if (bnr__affine_has_shift(&site->affine) &&
        !leave_rest(site, axis, bnr__linear_outputs(&l), t))
        return false;
    return bnr__linear_on_weights(&l, s, true, &out[w]);
}

const struct bnr_affine_rules bnr__affine_matmul = {
    .absorb_after = matmul_after, .absorb_before = matmul_before, .backward = matmul_backward};
