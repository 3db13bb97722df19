// SPDX-License-Identifier: Apache-2.0
// BatchNormalization: s = scale / sqrt(var + epsilon), t = B - mean * s. Arithmetic: one operand
// constant, which does not make the result larger than the other one.
#include "passes/lib/affine_view.h"

#include <math.h>
#include <string.h>

#include "graph/op.h"

static bool is_float(const struct bnr_value *v) {
    return v->info->type.kind == BNR_KIND_TENSOR && bnr__dtype_is_float(v->info->type.dtype);
}

// ---- BatchNormalization -------------------------------------------------------------------------

enum { X, SCALE, BIAS, MEAN, VAR };

bool bnr__is_batch_norm(const struct bnr_node *n) {
    return bnr__node_is(n, "", "BatchNormalization");
}

static const char *say(struct bnr_arena *arena, const char *fmt, const char *what,
                       const char *name) {
    const char *s = bnr__arena_printf(arena, fmt, what, name);
    return s ? s : "out of memory";
}

// Dims of the parameters in terms of x's axes.
static const char *parameter_dims(const struct bnr_node *n, int *rank, int64_t *dims) {
    const struct bnr_shape *x = &n->in[X]->info->type.shape;
    const struct bnr_tensor *scale = n->in[SCALE]->tensor;
    if (x->rank < 2)
        return "the rank of its input is not known or less than 2";
    *rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        dims[i] = 1;
    if (n->since < 9 && bnr__attr_int(n, "spatial", 1) == 0) {
        // Statistics for every activation: [C, D1, ...], also written flat.
        size_t numel = 1;
        for (int i = 1; i < x->rank; i++) {
            if (x->dims[i].n < 1 || x->dims[i].n > BNR_AFFINE_MAX || numel > BNR_AFFINE_MAX)
                return "it is not spatial, and the dims of its input are not known or too big";
            dims[i] = x->dims[i].n;
            numel *= (size_t)dims[i];
        }
        return numel == scale->numel ? NULL : "its parameters have another size than its input";
    }
    if (scale->rank != 1)
        return "its scale is not a vector";
    if (x->dims[1].n >= 0 && x->dims[1].n != scale->dims[0])
        return "its scale does not have one number for each channel";
    dims[1] = scale->dims[0];
    return NULL;
}

static const char *check_parameters(const struct bnr_node *n, struct bnr_arena *arena) {
    static const char *const names[] = {"X", "scale", "B", "mean", "var"};
    for (int i = SCALE; i <= VAR; i++) {
        const struct bnr_value *v = i < n->n_in ? n->in[i] : NULL;
        if (!v)
            return say(arena, "its %s is missing%s", names[i], "");
        if (!bnr__value_constant_tensor(v) && v->is_input && v->tensor)
            return say(arena,
                       "its %s '%s' is an input of the graph whose default the caller may override "
                       "(initializers can be frozen)",
                       names[i], v->name);
        if (!bnr__value_constant_tensor(v))
            return say(arena, "its %s '%s' is not constant", names[i], v->name);
        if (!bnr__dtype_is_float(v->tensor->dtype) || v->tensor->numel == 0)
            return say(arena, "its %s '%s' has no floating-point numbers", names[i], v->name);
        if (v->tensor->numel != n->in[SCALE]->tensor->numel)
            return say(arena, "its %s '%s' does not have as many numbers as its scale", names[i],
                       v->name);
    }
    return NULL;
}

static void load(double *dst, const struct bnr_tensor *t) {
    bnr__load_f64(dst, t->dtype, t->data, t->numel);
}

static const char *batch_norm_values(const struct bnr_node *n, struct bnr_affine *a, double *s,
                                     double *t, struct bnr_arena *arena) {
    const double epsilon = (double)bnr__attr_float(n, "epsilon", 1e-5f);
    double *mean = BNR_NEW_ARRAY(arena, a->n, double), *vars = BNR_NEW_ARRAY(arena, a->n, double);
    if (!mean || !vars)
        return "out of memory";
    load(s, n->in[SCALE]->tensor);
    load(t, n->in[BIAS]->tensor);
    load(mean, n->in[MEAN]->tensor);
    load(vars, n->in[VAR]->tensor);
    for (size_t i = 0; i < a->n; i++) {
        const double var = vars[i];
        if (!(var + epsilon > 0)) {
            const char *why = bnr__arena_printf(
                arena, "variance %g + epsilon %g of channel %zu is not positive", var, epsilon, i);
            return why ? why : "out of memory";
        }
        s[i] /= sqrt(var + epsilon);
        t[i] -= mean[i] * s[i];
        if (!isfinite(s[i]) || !isfinite(t[i])) {
            const char *why = bnr__arena_printf(
                arena, "scale %g and shift %g of channel %zu are not finite", s[i], t[i], i);
            return why ? why : "out of memory";
        }
    }
    return NULL;
}

static const char *view_batch_norm(const struct bnr_node *n, struct bnr_arena *arena,
                                   struct bnr_affine_view *view) {
    if (!n->op)
        return "this build does not know its version";
    if (bnr__batch_norm_trains(n))
        return "it is in training mode: its statistics come from the data";
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] && (n->out[i]->n_uses > 0 || n->out[i]->n_graph_outputs > 0))
            return "its statistics are outputs that are in use";
    if (!is_float(n->in[X]))
        return "the dtype of its input is not known";
    int rank;
    int64_t dims[BNR_MAX_RANK];
    double *s, *t;
    const char *why = check_parameters(n, arena);
    if (why || (why = parameter_dims(n, &rank, dims)))
        return why;
    s = bnr__affine_alloc(&view->affine, rank, dims, &t, arena);
    if (!s)
        return "it has too many channels";
    view->data = X;
    return batch_norm_values(n, &view->affine, s, t, arena);
}

// ---- arithmetic ---------------------------------------------------------------------------------

// Dims of a constant operand in terms of x's axes; false where the result would not have x's dims.
static bool operand_dims(const struct bnr_node *n, int x_index, const struct bnr_tensor *c,
                         int *rank, int64_t *dims) {
    const struct bnr_shape *x = &n->in[x_index]->info->type.shape;
    if (x->rank < 0) {
        *rank = 0;
        return c->rank == 0;
    }
    int64_t at = x->rank - c->rank; // where c's axes begin
    if (n->since > 0 && n->since < 7) {
        if (x_index != 0)
            return false;
        const int64_t axis = bnr__attr_int(n, "axis", -1);
        if (bnr__attr(n, "axis") && c->numel != 1)
            at = axis < 0 ? axis + x->rank : axis;
    }
    if (c->numel == 1 && c->rank <= x->rank)
        at = 0; // one number, wherever it stands
    if (at < 0 || at > x->rank || (c->numel != 1 && at + c->rank > x->rank))
        return false;
    *rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        dims[i] = 1;
    for (int i = 0; i < c->rank && c->numel != 1; i++) {
        dims[at + i] = c->dims[i];
        if (c->dims[i] != 1 && c->dims[i] != x->dims[at + i].n)
            return false;
    }
    return c->rank <= x->rank;
}

static bool fill(struct bnr_affine *a, const struct bnr_tensor *c, char kind, double *s,
                 double *t) {
    for (size_t i = 0; i < a->n; i++) {
        const double v = bnr__tensor_f64(c, i);
        s[i] = kind == '*' ? v : kind == '/' ? 1 / v : kind == 'r' ? -1 : 1;
        t[i] = kind == '+' || kind == 'r' ? v : kind == '-' ? -v : 0;
    }
    return bnr__affine_finite(a);
}

// '+' '-' '*' '/', 'r' for c - x, 'n' for -x, 0 for other operators.
static char arithmetic_kind(const struct bnr_node *n) {
    static const struct {
        const char *op;
        char kind;
        int n_in;
    } kinds[] = {{"Add", '+', 2}, {"Sub", '-', 2}, {"Mul", '*', 2},
                 {"Div", '/', 2}, {"Sum", '+', 2}, {"Neg", 'n', 1}};
    if (n->domain[0] != '\0' || n->n_out < 1 || !n->out[0])
        return 0;
    for (size_t i = 0; i < BNR_COUNT(kinds); i++)
        if (n->n_in == kinds[i].n_in && strcmp(n->op_type, kinds[i].op) == 0)
            return kinds[i].kind;
    return 0;
}

static bool view_arithmetic(const struct bnr_node *n, struct bnr_arena *arena,
                            struct bnr_affine_view *view) {
    char kind = arithmetic_kind(n);
    double *s, *t;
    if (!kind || !n->in[0] || !is_float(n->in[0]))
        return false;
    view->data = 0;
    if (kind == 'n') {
        s = bnr__affine_alloc(&view->affine, 0, NULL, &t, arena);
        if (s)
            *s = -1;
        return s != NULL && !bnr__value_constant_tensor(n->in[0]);
    }
    if (!n->in[1] || !is_float(n->in[1]))
        return false;
    view->data = bnr__value_constant_tensor(n->in[0]) ? 1 : 0;
    const struct bnr_tensor *c = bnr__value_constant_tensor(n->in[1 - view->data]);
    if (!c || bnr__value_constant_tensor(n->in[view->data]) || (kind == '/' && view->data == 1))
        return false;
    if (kind == '-' && view->data == 1)
        kind = 'r';
    int rank;
    int64_t dims[BNR_MAX_RANK];
    if (!operand_dims(n, view->data, c, &rank, dims))
        return false;
    s = bnr__affine_alloc(&view->affine, rank, dims, &t, arena);
    return s && fill(&view->affine, c, kind, s, t);
}

// ---- bnrun.Affine -------------------------------------------------------------------------------

static bool view_affine(const struct bnr_node *n, struct bnr_affine_view *view) {
    if (!bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine"))
        return false;
    const int rank = n->in[0]->info->type.shape.rank;
    const int64_t axis = bnr__attr_int(n, "axis", 1);
    const struct bnr_tensor *s = bnr__value_constant_tensor(n->in[1]);
    const struct bnr_tensor *t = bnr__value_constant_tensor(n->in[2]);
    if (!s || !t || rank < 1 || axis < 0 || axis >= rank || s->dtype != BNR_DOUBLE ||
        t->dtype != BNR_DOUBLE || s->numel != t->numel)
        return false;
    view->data = 0;
    view->affine = (struct bnr_affine){.rank = rank, .n = s->numel, .s = s->f64, .t = t->f64};
    for (int i = 0; i < rank; i++)
        view->affine.dims[i] = i == axis ? (int64_t)s->numel : 1;
    return true;
}

bool bnr__affine_view(const struct bnr_node *n, struct bnr_arena *arena,
                      struct bnr_affine_view *view, const char **why) {
    *why = NULL;
    if (bnr__is_batch_norm(n)) {
        *why = view_batch_norm(n, arena, view);
        return *why == NULL;
    }
    return view_affine(n, view) || view_arithmetic(n, arena, view);
}

bool bnr__pass_keeps(const struct bnr_pass_cx *cx, const struct bnr_node *n) {
    const char *list = cx->options->keep;
    const size_t len = strlen(n->label);
    while (list && *list) {
        const char *comma = strchr(list, ',');
        const size_t item = comma ? (size_t)(comma - list) : strlen(list);
        if (item == len && memcmp(list, n->label, len) == 0 && bnr__is_batch_norm(n))
            return true;
        list = comma ? comma + 1 : NULL;
    }
    return false;
}
