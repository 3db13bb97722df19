// SPDX-License-Identifier: Apache-2.0
// Gradient rules of reductions and of operators that move elements.
#include <string.h>

#include "passes/lib/gradient.h"

#define OP1(op, x) bnr__build_1(&cx->b, op, x)
#define OP2(op, x, y) bnr__build_2(&cx->b, op, x, y)
#define OP3(op, x, y, z) bnr__build_3(&cx->b, op, x, y, z)
#define INTS(...)                                                                                  \
    bnr__build_ints(&cx->b, (const int64_t[]){__VA_ARGS__},                                             \
                   (int)BNR_COUNT(((const int64_t[]){__VA_ARGS__})))
#define RULE(name)                                                                                 \
    static void name(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *const *dy)

RULE(nothing) {
}

RULE(reshape) {
    bnr__grad_give(cx, n, 0, bnr__build_reshape_like(&cx->b, dy[0], n->in[0]));
}

RULE(expand) {
    bnr__grad_give(cx, n, 0, bnr__grad_sum_to(cx, dy[0], n->in[0]));
}

// SumTo, of the gradient of a gradient.
RULE(sum_to) {
    bnr__grad_give(cx, n, 0, OP2("Expand", dy[0], bnr__build_shape(&cx->b, n->in[0])));
}

RULE(transpose) {
    size_t rank;
    const int64_t *perm = bnr__attr_ints(n, "perm", &rank);
    int64_t inverse[BNR_MAX_RANK] = {0};
    struct bnr_value *d = OP1("Transpose", dy[0]);
    for (size_t i = 0; i < rank && i < BNR_MAX_RANK; i++)
        inverse[perm[i] < 0 || perm[i] >= BNR_MAX_RANK ? 0 : perm[i]] = (int64_t)i;
    if (perm)
        bnr__build_attr_ints(&cx->b, d, "perm", inverse, rank);
    bnr__grad_give(cx, n, 0, d);
}

// What the same operator says of dy: it is linear and its own transpose.
RULE(symmetric) {
    struct bnr_value *in[2] = {dy[0], n->n_in > 1 ? n->in[1] : NULL};
    struct bnr_node *d = bnr__build_again(&cx->b, n, in);
    bnr__grad_give(cx, n, 0, d ? d->out[0] : NULL);
}

RULE(cumulative_sum) {
    struct bnr_node *d = bnr__build_again(&cx->b, n, (struct bnr_value *[]){dy[0], n->in[1]});
    if (d)
        bnr__grad_give(
            cx, n, 0,
            bnr__build_int(&cx->b, d->out[0], "reverse", !bnr__attr_int(n, "reverse", 0)));
}

// ---- operators whose outputs are elements of input 0 (or zeros) ------------------------------------

// The sum of `d`'s elements by `index`, which counts from 1 in row-major x; 0 means none.
static struct bnr_value *scatter(struct bnr_gradient *cx, struct bnr_value *x, struct bnr_value *index,
                                 struct bnr_value *d) {
    struct bnr_value *flat = INTS(-1), *size = OP2("Reshape", OP1("Size", x), INTS(1));
    struct bnr_value *zeros = OP1("ConstantOfShape", OP2("Add", size, INTS(1)));
    struct bnr_value *sum = OP3("ScatterElements", OP2("CastLike", zeros, x),
                                OP2("Reshape", index, flat), OP2("Reshape", d, flat));
    sum = bnr__build_string(&cx->b, sum, "reduction", "add");
    return bnr__build_reshape_like(&cx->b, OP3("Slice", sum, INTS(1), INTS(INT64_MAX)), x);
}

// 1, 2, 3, ... in the shape of x.
static struct bnr_value *positions(struct bnr_gradient *cx, struct bnr_value *x) {
    struct bnr_value *one = OP2("Squeeze", INTS(1), INTS(0));
    struct bnr_value *count = OP3("Range", one, OP2("Add", OP1("Size", x), one), one);
    return bnr__build_reshape_like(&cx->b, count, x);
}

// The operator itself says where each element came from: it moves positions as it moves elements.
RULE(selection) {
    struct bnr_value *in[8];
    if (n->n_in > (int)BNR_COUNT(in) || !bnr__grad_wants(cx, n, 0))
        return;
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i];
    in[0] = positions(cx, n->in[0]);
    const bool pad = strcmp(n->op_type, "Pad") == 0;
    if (pad && n->n_in > 2)
        in[2] = NULL; // zero
    struct bnr_node *moved = bnr__build_again(&cx->b, n, in);
    if (moved && pad)
        bnr__node_remove_attr(moved, "value");
    for (int i = 0; moved && i < n->n_out; i++)
        if (dy[i])
            bnr__grad_give(cx, n, 0, scatter(cx, n->in[0], moved->out[i], dy[i]));
}

// Each input's part begins where those in front of it end.
RULE(concat) {
    struct bnr_value *axis = INTS(bnr__attr_int(n, "axis", 1)), *begin = INTS(0);
    for (int i = 0; i < n->n_in; i++) {
        struct bnr_value *end =
            OP2("Add", begin, OP2("Gather", bnr__build_shape(&cx->b, n->in[i]), axis));
        struct bnr_value *in[] = {dy[0], begin, end, axis};
        struct bnr_node *part =
            bnr__grad_wants(cx, n, i) ? bnr__build_node(&cx->b, "Slice", 4, in, 1) : NULL;
        if (part)
            bnr__grad_give(cx, n, i, part->out[0]);
        begin = end;
    }
}

// ---- reductions -------------------------------------------------------------------------------------

// The same reduction of x with the reduced dims as 1, in *kept, and dy with those dims.
static struct bnr_value *keep_dims(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *d,
                                   struct bnr_value **kept) {
    *kept = n->out[0];
    if (bnr__attr_int(n, "keepdims", 1) != 0)
        return d;
    struct bnr_node *again = bnr__build_again(&cx->b, n, n->in);
    if (!again)
        return NULL;
    *kept = bnr__build_int(&cx->b, again->out[0], "keepdims", 1);
    return bnr__build_reshape_like(&cx->b, d, *kept);
}

static void spread(struct bnr_gradient *cx, struct bnr_node *n, struct bnr_value *d) {
    bnr__grad_give(cx, n, 0, OP2("Expand", d, bnr__build_shape(&cx->b, n->in[0])));
}

RULE(reduce_sum) {
    struct bnr_value *kept;
    spread(cx, n, keep_dims(cx, n, dy[0], &kept));
}

RULE(reduce_mean) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept), *x = n->in[0];
    struct bnr_value *all = OP2("CastLike", OP1("Size", x), x);
    struct bnr_value *left = OP2("CastLike", OP1("Size", n->out[0]), x);
    spread(cx, n, OP2("Mul", d, OP2("Div", left, all)));
}

RULE(reduce_extreme) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept), *x = n->in[0];
    struct bnr_value *hits = OP2("CastLike", OP2("Equal", x, kept), x);
    struct bnr_value *count = bnr__grad_sum_to(cx, hits, kept); // equal extremes share
    bnr__grad_give(cx, n, 0, OP2("Mul", hits, OP2("Div", d, count)));
}

RULE(reduce_l1) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    bnr__grad_give(cx, n, 0, OP2("Mul", d, OP1("Sign", n->in[0])));
}

RULE(reduce_l2) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    bnr__grad_give(cx, n, 0, OP2("Mul", n->in[0], OP2("Div", d, kept)));
}

RULE(reduce_sum_square) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    bnr__grad_give(cx, n, 0, OP2("Mul", n->in[0], bnr__build_scaled(&cx->b, d, n->in[0], 2)));
}

RULE(reduce_log_sum) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    spread(cx, n, OP2("Div", d, OP1("Exp", kept)));
}

RULE(reduce_log_sum_exp) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    bnr__grad_give(cx, n, 0, OP2("Mul", d, OP1("Exp", OP2("Sub", n->in[0], kept))));
}

RULE(reduce_prod) {
    struct bnr_value *kept, *d = keep_dims(cx, n, dy[0], &kept);
    bnr__grad_give(cx, n, 0, OP2("Div", OP2("Mul", d, kept), n->in[0]));
}

const struct bnr_gradient_entry bnr__grad_rules_shape[] = {
    {"CenterCropPad", selection},
    {"Compress", selection},
    {"Concat", concat},
    {"ConstantOfShape", nothing},
    {"CumSum", cumulative_sum},
    {"DepthToSpace", selection},
    {"Expand", expand},
    {"Flatten", reshape},
    {"Gather", selection},
    {"GatherElements", selection},
    {"GatherND", selection},
    {"NonZero", nothing},
    {"OneHot", nothing},
    {"Pad", selection},
    {"ReduceL1", reduce_l1},
    {"ReduceL2", reduce_l2},
    {"ReduceLogSum", reduce_log_sum},
    {"ReduceLogSumExp", reduce_log_sum_exp},
    {"ReduceMax", reduce_extreme},
    {"ReduceMean", reduce_mean},
    {"ReduceMin", reduce_extreme},
    {"ReduceProd", reduce_prod},
    {"ReduceSum", reduce_sum},
    {"ReduceSumSquare", reduce_sum_square},
    {"Reshape", reshape},
    {"ReverseSequence", selection},
    {"Shape", nothing},
    {"Size", nothing},
    {"Slice", selection},
    {"SpaceToDepth", selection},
    {"Split", selection},
    {"Squeeze", reshape},
    {"SumTo", sum_to},
    {"Tile", selection},
    {"Transpose", transpose},
    {"Trilu", symmetric},
    {"Unsqueeze", reshape},
    {NULL, NULL},
};
