// SPDX-License-Identifier: Apache-2.0
// Gradient rules of convolution, pooling, normalization, softmax and losses.
#include <string.h>

#include "graph/affine.h"
#include "passes/lib/gradient.h"

#define OP1(op, x) bnr__build_1(&cx->b, op, x)
#define OP2(op, x, y) bnr__build_2(&cx->b, op, x, y)
#define OP3(op, x, y, z) bnr__build_3(&cx->b, op, x, y, z)
#define INTS(...)                                                                                  \
    bnr__build_ints(&cx->b, (const int64_t[]){__VA_ARGS__},                                             \
                   (int)BNR_COUNT(((const int64_t[]){__VA_ARGS__})))
#define RULE(name)                                                                                 \
    static void name(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *const *dy)

// All axes of a rank except `keep` (-1: all of them).
static struct bnr_value *axes_except(struct bnr_gradient *cx, int rank, int keep) {
    int64_t axes[BNR_MAX_RANK];
    int count = 0;
    for (int i = 0; i < rank; i++)
        if (i != keep)
            axes[count++] = i;
    return bnr__build_ints(&cx->b, axes, count);
}

static struct bnr_value *axes_from(struct bnr_gradient *cx, int first, int rank) {
    int64_t axes[BNR_MAX_RANK];
    for (int i = first; i < rank; i++)
        axes[i - first] = i;
    return bnr__build_ints(&cx->b, axes, rank - first);
}

// Conv and ConvTranspose.
RULE(conv) {
    struct bnr_value *in[] = {n->in[0], n->in[1], dy[0]};
    struct bnr_node *d = bnr__build_internal(&cx->b, "ConvGradient", 3, in, 2);
    bnr__build_copy_attrs(&cx->b, d, n);
    if (!d)
        return;
    bnr__build_int(&cx->b, d->out[0], "since", n->since);
    if (strcmp(n->op_type, "ConvTranspose") == 0)
        bnr__build_int(&cx->b, d->out[0], "transposed", 1);
    bnr__grad_give(cx, n, 0, d->out[0]);
    bnr__grad_give(cx, n, 1, d->out[1]);
    if (bnr__grad_wants(cx, n, 2)) {
        const int rank = bnr__grad_rank(cx, n->out[0]);
        if (rank > 0)
            bnr__grad_give(
                cx, n, 2,
                bnr__build_reduce(&cx->b, "ReduceSum", dy[0], axes_except(cx, rank, 1), false));
    }
}

RULE(average_pool) {
    struct bnr_value *in[] = {n->in[0], dy[0]};
    struct bnr_node *d = bnr__build_internal(&cx->b, "AveragePoolGradient", 2, in, 1);
    bnr__build_copy_attrs(&cx->b, d, n);
    if (d)
        bnr__grad_give(cx, n, 0, d->out[0]);
}

RULE(resize) {
    struct bnr_value *in[] = {n->in[0], n->n_in > 1 ? n->in[1] : NULL, n->n_in > 2 ? n->in[2] : NULL,
                              n->n_in > 3 ? n->in[3] : NULL, dy[0]};
    struct bnr_node *d = bnr__build_internal(&cx->b, "ResizeGradient", 5, in, 1);
    bnr__build_copy_attrs(&cx->b, d, n);
    if (d)
        bnr__grad_give(cx, n, 0, bnr__build_int(&cx->b, d->out[0], "since", n->since));
}

// MaxPool says itself where the largest elements are.
RULE(max_pool) {
    struct bnr_value *x = n->in[0], *flat = INTS(-1);
    struct bnr_node *again = bnr__build_node(&cx->b, "MaxPool", 1, &x, 2);
    bnr__build_copy_attrs(&cx->b, again, n);
    if (!again)
        return;
    bnr__node_remove_attr(again, "storage_order");
    struct bnr_value *zeros = OP2("Reshape", bnr__build_filled(&cx->b, x, 0), flat);
    struct bnr_value *sum = OP3("ScatterElements", zeros, OP2("Reshape", again->out[1], flat),
                                OP2("Reshape", dy[0], flat));
    bnr__grad_give(cx, n, 0,
                   bnr__build_reshape_like(&cx->b, bnr__build_string(&cx->b, sum, "reduction", "add"), x));
}

RULE(global_average_pool) {
    struct bnr_value *x = n->in[0];
    struct bnr_value *part = OP2("Div", OP2("CastLike", OP1("Size", n->out[0]), x),
                                 OP2("CastLike", OP1("Size", x), x));
    bnr__grad_give(cx, n, 0, OP2("Expand", OP2("Mul", dy[0], part), bnr__build_shape(&cx->b, x)));
}

RULE(global_max_pool) {
    struct bnr_value *x = n->in[0];
    struct bnr_value *hits = OP2("CastLike", OP2("Equal", x, n->out[0]), x);
    struct bnr_value *share = OP2("Div", dy[0], bnr__grad_sum_to(cx, hits, n->out[0]));
    bnr__grad_give(cx, n, 0, OP2("Mul", hits, share));
}

// d of (x - mean(x)) / sqrt(var(x) + eps) over `axes`, from the gradient `d` of that.
static struct bnr_value *standardized(struct bnr_gradient *cx, struct bnr_value *d,
                                      struct bnr_value *unit, struct bnr_value *deviation,
                                      struct bnr_value *axes) {
    struct bnr_value *mean = bnr__build_reduce(&cx->b, "ReduceMean", d, axes, true);
    struct bnr_value *along = bnr__build_reduce(&cx->b, "ReduceMean", OP2("Mul", d, unit), axes, true);
    return OP2("Div", OP2("Sub", OP2("Sub", d, mean), OP2("Mul", unit, along)), deviation);
}

// x standardized over `axes`, and what it was divided by.
static struct bnr_value *standardize(struct bnr_gradient *cx, const struct bnr_node *n,
                                     struct bnr_value *axes, struct bnr_value **deviation) {
    struct bnr_value *x = n->in[0];
    struct bnr_value *centred = OP2("Sub", x, bnr__build_reduce(&cx->b, "ReduceMean", x, axes, true));
    struct bnr_value *variance =
        bnr__build_reduce(&cx->b, "ReduceMean", OP2("Mul", centred, centred), axes, true);
    struct bnr_value *eps = bnr__build_scalar(&cx->b, x, (double)bnr__attr_float(n, "epsilon", 1e-5f));
    *deviation = OP1("Sqrt", OP2("Add", variance, eps));
    return OP2("Div", centred, *deviation);
}

// [C] beside a tensor of that rank: [C, 1, ...].
static struct bnr_value *by_channel(struct bnr_gradient *cx, struct bnr_value *v, int rank) {
    int64_t behind[BNR_MAX_RANK];
    for (int i = 1; i < rank; i++)
        behind[i - 1] = i;
    return rank > 2 ? OP2("Unsqueeze", v, bnr__build_ints(&cx->b, behind, rank - 2)) : v;
}

// Of a scale and a bias for each channel.
static void give_scale_and_bias(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *dy,
                                struct bnr_value *unit, int rank) {
    struct bnr_value *others = axes_except(cx, rank, 1);
    if (bnr__grad_wants(cx, n, 1))
        bnr__grad_give(cx, n, 1,
                       bnr__build_reduce(&cx->b, "ReduceSum", OP2("Mul", dy, unit), others, false));
    if (bnr__grad_wants(cx, n, 2))
        bnr__grad_give(cx, n, 2, bnr__build_reduce(&cx->b, "ReduceSum", dy, others, false));
}

// BatchNormalization with the given statistics: y = (x - mean) / sqrt(var + eps) scale + b, where
// everything but x is per channel; with the batch's own, x is standardized over all other axes.
RULE(batch_norm) {
    const int rank = bnr__grad_rank(cx, n->in[0]);
    if (n->since < 9 && bnr__attr_int(n, "spatial", 1) == 0)
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "no rule for statistics of each activation");
    if (cx->b.status != BNR_OK)
        return;
    struct bnr_value *scale = by_channel(cx, n->in[1], rank), *deviation, *unit;
    if (bnr__batch_norm_trains(n)) {
        struct bnr_value *others = axes_except(cx, rank, 1);
        unit = standardize(cx, n, others, &deviation);
        bnr__grad_give(cx, n, 0,
                       standardized(cx, OP2("Mul", dy[0], scale), unit, deviation, others));
        give_scale_and_bias(cx, n, dy[0], unit, rank);
        return;
    }
    struct bnr_value *mean = by_channel(cx, n->in[3], rank), *var = by_channel(cx, n->in[4], rank);
    struct bnr_value *eps =
        bnr__build_scalar(&cx->b, n->in[4], (double)bnr__attr_float(n, "epsilon", 1e-5f));
    deviation = OP1("Sqrt", OP2("Add", var, eps));
    unit = OP2("Div", OP2("Sub", n->in[0], mean), deviation);
    bnr__grad_give(cx, n, 0, OP2("Mul", dy[0], OP2("Div", scale, deviation)));
    give_scale_and_bias(cx, n, dy[0], unit, rank);
    if (bnr__grad_wants(cx, n, 3) || bnr__grad_wants(cx, n, 4))
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "no rule for the statistics");
}

RULE(instance_norm) {
    const int rank = bnr__grad_rank(cx, n->in[0]);
    if (cx->b.status != BNR_OK)
        return;
    struct bnr_value *axes = axes_from(cx, 2, rank), *deviation;
    struct bnr_value *unit = standardize(cx, n, axes, &deviation);
    struct bnr_value *d = OP2("Mul", dy[0], by_channel(cx, n->in[1], rank));
    bnr__grad_give(cx, n, 0, standardized(cx, d, unit, deviation, axes));
    give_scale_and_bias(cx, n, dy[0], unit, rank);
}

RULE(layer_norm) {
    const int rank = bnr__grad_rank(cx, n->in[0]);
    int64_t axis = bnr__attr_int(n, "axis", -1);
    axis = axis < 0 ? axis + rank : axis;
    if (cx->b.status != BNR_OK || axis < 0 || axis >= rank)
        return;
    struct bnr_value *axes = axes_from(cx, (int)axis, rank), *deviation;
    struct bnr_value *unit = standardize(cx, n, axes, &deviation);
    bnr__grad_give(cx, n, 0,
                   standardized(cx, OP2("Mul", dy[0], n->in[1]), unit, deviation, axes));
    if (bnr__grad_wants(cx, n, 1))
        bnr__grad_give(cx, n, 1, bnr__grad_sum_to(cx, OP2("Mul", dy[0], unit), n->in[1]));
    if (bnr__grad_wants(cx, n, 2))
        bnr__grad_give(cx, n, 2, bnr__grad_sum_to(cx, dy[0], n->in[2]));
}

// Before version 13 everything from `axis` on is one vector.
static struct bnr_value *softmax_axes(struct bnr_gradient *cx, struct bnr_node *n) {
    const int64_t axis = bnr__attr_int(n, "axis", n->since < 13 ? 1 : -1);
    if (n->since >= 13)
        return INTS(axis);
    const int rank = bnr__grad_rank(cx, n->in[0]);
    const int first = (int)(axis < 0 ? axis + rank : axis);
    return cx->b.status == BNR_OK && first >= 0 && first <= rank ? axes_from(cx, first, rank) : NULL;
}

RULE(softmax) {
    struct bnr_value *axes = softmax_axes(cx, n), *y = n->out[0];
    if (!axes)
        return;
    struct bnr_value *sum = bnr__build_reduce(&cx->b, "ReduceSum", OP2("Mul", dy[0], y), axes, true);
    bnr__grad_give(cx, n, 0, OP2("Mul", y, OP2("Sub", dy[0], sum)));
}

RULE(log_softmax) {
    struct bnr_value *axes = softmax_axes(cx, n);
    if (!axes)
        return;
    struct bnr_value *sum = bnr__build_reduce(&cx->b, "ReduceSum", dy[0], axes, true);
    bnr__grad_give(cx, n, 0, OP2("Sub", dy[0], OP2("Mul", OP1("Exp", n->out[0]), sum)));
}

RULE(dropout) {
    const bool trains = n->n_in > 2 && n->in[2] &&
                        !(n->in[2]->tensor && bnr__tensor_i64(n->in[2]->tensor, 0) == 0);
    if (trains || (n->since < 7 && !bnr__attr_int(n, "is_test", 0)))
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "no rule for training mode");
    bnr__grad_give(cx, n, 0, dy[0]);
}

// What each score's one-hot target is worth: its weight times dy, by its share in a mean. *hot: the
// targets along axis 1, zeros where the label is ignored.
static struct bnr_value *label_factor(struct bnr_gradient *cx, struct bnr_node *n,
                                      struct bnr_value *dy, struct bnr_value **hot) {
    struct bnr_value *x = n->in[0], *labels = OP1("Identity", n->in[1]), *one = INTS(1);
    const char *how = bnr__attr_string(n, "reduction", "mean");
    labels = bnr__build_int(&cx->b, OP1("Cast", labels), "to", BNR_INT64);
    struct bnr_value *weight =
        OP2("Expand", bnr__build_scalar(&cx->b, x, 1), bnr__build_shape(&cx->b, labels));
    if (bnr__attr(n, "ignore_index")) {
        struct bnr_value *ignored = OP2("Equal", labels, INTS(bnr__attr_int(n, "ignore_index", 0)));
        labels = OP3("Where", ignored, INTS(0), labels);
        weight = OP3("Where", ignored, bnr__build_scalar(&cx->b, x, 0), weight);
    }
    if (n->n_in > 2 && n->in[2])
        weight = OP2("Mul", weight, OP2("Gather", n->in[2], labels));
    struct bnr_value *values = OP2("CastLike", INTS(0, 1), x);
    *hot = bnr__build_int(
        &cx->b, OP3("OneHot", labels, OP2("Gather", bnr__build_shape(&cx->b, x), one), values), "axis", 1);
    struct bnr_value *factor = OP2("Mul", weight, dy);
    if (strcmp(how, "mean") == 0)
        factor = OP2("Div", factor, bnr__build_reduce(&cx->b, "ReduceSum", weight, NULL, false));
    return OP2("Unsqueeze", factor, one);
}

RULE(cross_entropy) {
    struct bnr_value *hot, *factor = dy[0] ? label_factor(cx, n, dy[0], &hot) : NULL;
    if (n->n_out > 1 && dy[1])
        bnr__build_fail(&cx->b, BNR_UNSUPPORTED, "no rule for its output log_prob");
    if (!factor)
        return;
    struct bnr_value *p = bnr__build_int(&cx->b, OP1("Softmax", n->in[0]), "axis", 1);
    bnr__grad_give(cx, n, 0, OP2("Mul", factor, OP2("Sub", p, hot)));
}

RULE(negative_log_likelihood) {
    struct bnr_value *hot, *factor = label_factor(cx, n, dy[0], &hot);
    if (factor)
        bnr__grad_give(cx, n, 0, OP1("Neg", OP2("Mul", factor, hot)));
}

const struct bnr_gradient_entry bnr__grad_rules_nn[] = {
    {"AveragePool", average_pool},
    {"BatchNormalization", batch_norm},
    {"Conv", conv},
    {"ConvTranspose", conv},
    {"Dropout", dropout},
    {"Einsum", bnr__grad_einsum},
    {"GlobalAveragePool", global_average_pool},
    {"GlobalMaxPool", global_max_pool},
    {"InstanceNormalization", instance_norm},
    {"LayerNormalization", layer_norm},
    {"LogSoftmax", log_softmax},
    {"MaxPool", max_pool},
    {"NegativeLogLikelihoodLoss", negative_log_likelihood},
    {"Resize", resize},
    {"Softmax", softmax},
    {"SoftmaxCrossEntropyLoss", cross_entropy},
    {NULL, NULL},
};
