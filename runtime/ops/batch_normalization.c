// SPDX-License-Identifier: Apache-2.0
// BatchNormalization (ai.onnx 1, 6, 7, 9, 14, 15): y = (x - mean) / sqrt(var + epsilon) * scale + B
// per channel, with the given statistics or, in training mode, the batch's own (population
// variance). momentum concerns the running statistics only, never y. All arithmetic is in double.
//
// Outputs: 14 on: Y, running_mean, running_var. Before: Y, mean, var (both running), saved_mean,
// saved_var (the batch's). Below 9, spatial = 0 keeps statistics for each activation instead of
// each channel.
#include <math.h>
#include <string.h>

#include "graph/affine.h"
#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/moments.h"
#include "runtime/ops/lib/prepare.h"

bool bnr__batch_norm_trains(const struct bnr_node *n) {
    if (bnr__attr(n, "training_mode"))
        return bnr__attr_int(n, "training_mode", 0) != 0;
    if (n->since >= 14)
        return false;
    if (n->since < 7)
        return bnr__attr_int(n, "is_test", 0) == 0;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i])
            return true;
    return false;
}

static bool is_spatial(const struct bnr_node *n) {
    return n->since >= 9 || bnr__attr_int(n, "spatial", 1) != 0;
}

// ---- inference ----------------------------------------------------------------------------------

// The shape that scale, B, mean and var must have; rank -1 while unknown.
static struct bnr_shape parameter_shape(const struct bnr_node *n, const struct bnr_shape *x) {
    struct bnr_shape s = bnr__shape_unknown();
    if (x->rank < 0)
        return s;
    if (is_spatial(n)) {
        s.rank = 1;
        s.dims[0] = x->rank == 1 ? bnr__dim_of(1) : x->dims[1];
        return s;
    }
    s.rank = x->rank - 1;
    memcpy(s.dims, x->dims + 1, (size_t)s.rank * sizeof s.dims[0]);
    return s;
}

// Elements, or -1 while unknown.
static int64_t count_elements(const struct bnr_shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) {
        if (s->dims[i].n < 0 || (s->dims[i].n > 0 && n > INT64_MAX / s->dims[i].n))
            return -1;
        n *= s->dims[i].n;
    }
    return n;
}

static enum bnr_status check_parameter(struct bnr_infer *cx, int i, const struct bnr_shape *want) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (want->rank < 0 || !t || t->shape.rank < 0)
        return BNR_OK;
    bool fits = t->shape.rank == want->rank;
    for (int d = 0; fits && d < want->rank; d++) {
        const int64_t a = t->shape.dims[d].n, b = want->dims[d].n;
        fits = a < 0 || b < 0 || a == b;
    }
    // Opset 6's text has flat parameters also with spatial = 0.
    if (!fits && t->shape.rank == 1 && want->rank > 1) {
        const int64_t a = t->shape.dims[0].n, b = count_elements(want);
        fits = a < 0 || b < 0 || a == b;
    }
    if (fits)
        return BNR_OK;
    static const char *const names[] = {"X", "scale", "B", "mean", "var"};
    char seen[200], wanted[200];
    const struct bnr_type wt = {.dtype = t->dtype, .shape = *want};
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s is %s, expected %s", names[i],
                        bnr__type_describe(t, seen, sizeof seen),
                        bnr__type_describe(&wt, wanted, sizeof wanted));
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    const bool trains = bnr__batch_norm_trains(cx->node);
    const float epsilon = bnr__attr_float(cx->node, "epsilon", 1e-5f);
    for (int i = 0; i < 5; i++)
        BNR_TRY(bnr__infer_types(cx, i, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, cx->node->since >= 9 ? 1 : 2, BNR_MAX_RANK));
    if (!(epsilon >= 0))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "epsilon is %g, expected 0 or more",
                            (double)epsilon);
    const struct bnr_shape p = parameter_shape(cx->node, &x->shape);
    for (int i = 1; i < 5; i++)
        BNR_TRY(check_parameter(cx, i, &p));
    BNR_TRY(bnr__infer_same(cx));
    for (int i = 1; i < cx->n_out; i++) {
        if (!cx->out[i])
            continue;
        if (!trains)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "output %d is only there in training mode, and this node is not",
                                i);
        if (i > 2 && cx->node->since >= 14)
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%d outputs, expected at most 3",
                                cx->n_out);
        const struct bnr_type *m = bnr__infer_in(cx, i % 2 == 1 ? 3 : 4);
        bnr__infer_set(cx, i, m->dtype, m->shape.rank >= 0 ? &m->shape : &p);
    }
    return BNR_OK;
}

// ---- reference ----------------------------------------------------------------------------------

struct job {
    size_t batch, channels, inner; // X as [batch, channels, inner]
    bool trains;
    double epsilon, momentum;
    const double *x, *scale, *bias, *mean, *var;
    double *y, *batch_mean, *batch_var, *running_mean, *running_var;
};

static void normalize(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    const size_t stride = j->channels * j->inner;
    for (size_t c = begin; c < end; c++) {
        struct bnr_moments m = {.mean = j->mean[c], .var = j->var[c]};
        if (j->trains)
            m = bnr__moments(j->x + c * j->inner, j->batch, stride, j->inner);
        j->batch_mean[c] = m.mean;
        j->batch_var[c] = m.var;
        j->running_mean[c] = j->mean[c] * j->momentum + m.mean * (1 - j->momentum);
        j->running_var[c] = j->var[c] * j->momentum + m.var * (1 - j->momentum);
        const double s = j->scale[c] / sqrt(m.var + j->epsilon);
        for (size_t n = 0; n < j->batch; n++) {
            const size_t at = n * stride + c * j->inner;
            for (size_t i = 0; i < j->inner; i++)
                j->y[at + i] = (j->x[at + i] - m.mean) * s + j->bias[c];
        }
    }
}

static enum bnr_status prepare_job(const struct bnr_args *a, struct job *j) {
    const struct bnr_tensor *x = a->in[0];
    const double **in[] = {&j->x, &j->scale, &j->bias, &j->mean, &j->var};
    double **out[] = {&j->batch_mean, &j->batch_var, &j->running_mean, &j->running_var};
    j->trains = bnr__batch_norm_trains(a->node);
    j->epsilon = (double)bnr__attr_float(a->node, "epsilon", 1e-5f);
    j->momentum = (double)bnr__attr_float(a->node, "momentum", 0.9f);
    j->batch = x->numel == 0 ? 0 : (size_t)x->dims[0];
    j->channels = a->in[1]->numel;
    j->inner = 1;
    if (is_spatial(a->node) && x->rank > 2)
        j->inner = bnr__dims_product(x->dims, 2, x->rank);
    for (int i = 0; i < 5; i++)
        if (!(*in[i] = bnr__all_f64(a, a->in[i])))
            return BNR_NO_MEMORY;
    for (int i = 0; i < 4; i++)
        if (!(*out[i] = bnr__temp_f64(a, j->channels)))
            return BNR_NO_MEMORY;
    j->y = bnr__temp_f64(a, x->numel);
    return j->y ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct job j = {0};
    BNR_TRY(prepare_job(a, &j));
    bnr__parallel_for(a->pool, j.channels, 1, normalize, &j);
    const double *const values[] = {j.y, j.running_mean, j.running_var, j.batch_mean, j.batch_var};
    for (int i = 0; i < a->n_out; i++) {
        const struct bnr_tensor *like = i == 0 ? x : a->in[i % 2 == 1 ? 3 : 4];
        struct bnr_tensor *t;
        BNR_TRY(bnr__out_like(a, i, like, &t));
        if (t)
            bnr__store_f64(t->dtype, t->data, values[i], t->numel);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(batch_normalization) = {
    .domain = "",
    .name = "BatchNormalization",
    .since = {1, 6, 7, 9, 14, 15},
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 5,
    .flags = BNR_OP_INPLACE,
    .attrs = "consumed_inputs:I epsilon:f is_test:i momentum:f spatial:i training_mode:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_batch_norm,
};
