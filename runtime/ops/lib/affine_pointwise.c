// SPDX-License-Identifier: Apache-2.0
// Affines past element-wise operators, broadcasting included.
#include "graph/op.h"
#include "runtime/ops/lib/affine_rules.h"

struct bnr_shape bnr__affine_shape(const struct bnr_value *v) {
    return v ? v->info->type.shape : bnr__shape_unknown();
}

int64_t bnr__affine_dim(const struct bnr_value *v, int axis) {
    const struct bnr_shape s = bnr__affine_shape(v);
    return axis >= 0 && axis < s.rank && !s.dims[axis].sym ? s.dims[axis].n : -1;
}

bool bnr__affine_pass(struct bnr_affine_site *site, struct bnr_affine *out) {
    out[0] = site->affine;
    return true;
}

// ---- Identity, and f(s*x) = s*f(x) --------------------------------------------------------------

static bool identity(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                     struct bnr_error *err) {
    return bnr__affine_pass(site, out);
}

static bool homogeneous(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                        struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    if (site->index != 0)
        return bnr__affine_no(site, "it feeds the slope of '%s'", n->label);
    if (bnr__affine_has_shift(&site->affine))
        return bnr__affine_no(site, "a shift does not pass the %s '%s'", n->op_type, n->label);
    if (!bnr__affine_positive(&site->affine))
        return bnr__affine_no(site, "a scale that is not positive does not pass the %s '%s'",
                              n->op_type, n->label);
    return bnr__affine_pass(site, out);
}

const struct bnr_affine_rules bnr__affine_identity = {.forward = identity, .backward = identity};
const struct bnr_affine_rules bnr__affine_homogeneous = {.forward = homogeneous,
                                                         .backward = homogeneous};

// ---- broadcasting -------------------------------------------------------------------------------

// Old broadcasting (below opset 7) aligns the second input by an attribute.
static bool old_broadcast(const struct bnr_node *n) {
    return n->since < 7 && bnr__attr_int(n, "broadcast", 0) != 0;
}

// The output's affine in terms of input i's axes. A constant input may become larger.
static bool project_to_input(struct bnr_affine_site *site, int i, struct bnr_affine *out) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    const bool constant = bnr__affine_constant(n->in[i]) && !old_broadcast(n);
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM || constant) {
        *out = *a;
        return true;
    }
    const int rank = bnr__affine_shape(n->in[i]).rank, cut = a->rank - rank;
    if (rank < 0 || cut < 0 || old_broadcast(n))
        return bnr__affine_no(site, "how '%s' broadcasts is not known", n->label);
    struct bnr_affine own = {.rank = rank, .n = a->n, .s = a->s, .t = a->t};
    for (int k = 0; k < a->rank; k++) {
        if (k >= cut)
            own.dims[k - cut] = a->dims[k];
        if (a->dims[k] != 1 && (k < cut || bnr__affine_dim(n->in[i], k - cut) != a->dims[k]))
            return bnr__affine_no(site, "input %d of '%s' is broadcast over the channels", i,
                                  n->label);
    }
    *out = own;
    return true;
}

// The affine of input site->index in terms of the output's axes.
static bool project_to_output(struct bnr_affine_site *site, struct bnr_affine *out) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM) {
        *out = *a;
        return true;
    }
    const int rank = bnr__affine_shape(n->out[0]).rank, grow = rank - a->rank;
    if (grow < 0 || old_broadcast(n)) // also where the rank is unknown, -1
        return bnr__affine_no(site, "how '%s' broadcasts is not known", n->label);
    *out = (struct bnr_affine){.rank = rank, .n = a->n, .s = a->s, .t = a->t};
    for (int k = 0; k < rank; k++)
        out->dims[k] = k < grow ? 1 : a->dims[k - grow];
    return true;
}

// ---- Add, Sum, Sub: s*(a + b) + t = (s*a + t) + s*b ---------------------------------------------

static bool add_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    for (int i = 0; i < site->node->n_in; i++) {
        struct bnr_affine whole;
        if (!project_to_input(site, i, &whole))
            return false;
        if (i == 0)
            out[i] = whole;
        else if (!bnr__affine_scale_of(&out[i], &whole, site->temp))
            return bnr__affine_no(site, "out of memory");
        if (i > 0 && !bnr__affine_has_scale(&out[i]))
            out[i].n = 0; // a shift alone goes to the first input
    }
    return true;
}

const struct bnr_affine_rules bnr__affine_add = {.backward = add_backward};

// ---- Mul, Div: the scale goes with one factor ---------------------------------------------------

static bool no_shift(struct bnr_affine_site *site) {
    return !bnr__affine_has_shift(&site->affine) ||
           bnr__affine_no(site, "a shift does not pass the %s '%s'", site->node->op_type,
                          site->node->label);
}

static bool has_rules(const struct bnr_value *v) {
    return v->producer && v->producer->op && v->producer->op->affine;
}

static bool mul_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    if (!no_shift(site))
        return false;
    const int first = has_rules(n->in[0]) || !has_rules(n->in[1]) ? 0 : 1;
    return project_to_input(site, first, &out[first]) ||
           project_to_input(site, 1 - first, &out[1 - first]);
}

static bool mul_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                        struct bnr_error *err) {
    return no_shift(site) && project_to_output(site, &out[0]);
}

static bool div_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    return no_shift(site) && project_to_input(site, 0, &out[0]);
}

static bool div_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                        struct bnr_error *err) {
    if (site->index != 0)
        return bnr__affine_no(site, "'%s' divides by it", site->node->label);
    return no_shift(site) && project_to_output(site, &out[0]);
}

const struct bnr_affine_rules bnr__affine_mul = {.backward = mul_backward, .forward = mul_forward};
const struct bnr_affine_rules bnr__affine_div = {.backward = div_backward, .forward = div_forward};

// ---- Max, Min, Where: the same to all that may be chosen ----------------------------------------

static bool choice_backward(struct bnr_affine_site *site, int first, struct bnr_affine *out) {
    for (int i = first; i < site->node->n_in; i++)
        if (!project_to_input(site, i, &out[i]))
            return false;
    return true;
}

static bool max_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    if (!bnr__affine_positive(&site->affine))
        return bnr__affine_no(site, "a scale that is not positive does not pass the %s '%s'",
                              site->node->op_type, site->node->label);
    return choice_backward(site, 0, out);
}

static bool where_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    return choice_backward(site, 1, out);
}

const struct bnr_affine_rules bnr__affine_max = {.backward = max_backward};
const struct bnr_affine_rules bnr__affine_where = {.backward = where_backward};

// ---- Expand -------------------------------------------------------------------------------------

static bool expand_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                            struct bnr_error *err) {
    return project_to_input(site, 0, &out[0]);
}

static bool expand_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    if (site->index != 0)
        return bnr__affine_no(site, "it gives the shape of '%s'", site->node->label);
    return project_to_output(site, &out[0]);
}

const struct bnr_affine_rules bnr__affine_expand = {.backward = expand_backward,
                                                    .forward = expand_forward};
