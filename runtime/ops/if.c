// SPDX-License-Identifier: Apache-2.0
// If: runs one of two bodies. An output's type is what holds for both branches.
#include "runtime/ops/lib/types.h"

static const enum bnr_dtype condition_types[] = {BNR_BOOL, BNR_UNDEFINED};

static enum bnr_status branches(const struct bnr_node *n, struct bnr_error *err,
                                struct bnr_graph *out[2]) {
    out[0] = bnr__attr_graph(n, "else_branch");
    out[1] = bnr__attr_graph(n, "then_branch");
    for (int i = 0; i < 2; i++)
        if (out[i]->n_outputs != (size_t)n->n_out)
            return bnr__op_fail(n, err, BNR_MALFORMED, "has %d outputs, its %s_branch %zu",
                                n->n_out, i ? "then" : "else", out[i]->n_outputs);
    return BNR_OK;
}

// -1: not known yet.
static int known_condition(const struct bnr_info *c) {
    return c->tensor && c->tensor->numel == 1 ? c->tensor->u8[0] != 0 : -1;
}

static enum bnr_status merge(struct bnr_infer *cx, const struct bnr_info *const *a,
                             const struct bnr_info *const *b) {
    for (int i = 0; i < cx->n_out; i++) {
        if (!cx->out[i])
            continue;
        cx->out[i]->type = a[i]->type;
        if (!bnr__type_merge(cx->arena, &cx->out[i]->type, &b[i]->type, NULL)) {
            char ta[160], tb[160];
            return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                "output %d is %s from one branch, %s from the other", i,
                                bnr__type_describe(&a[i]->type, ta, sizeof ta),
                                bnr__type_describe(&b[i]->type, tb, sizeof tb));
        }
    }
    return BNR_OK;
}

// A branch whose shapes contradict each other is common where exporters guard an operator by an If
// on the very shape that it needs: that branch is then never taken. It fails when it is run.
static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_graph *body[2];
    const struct bnr_info **outs[2];
    bool good[2] = {false, false};
    BNR_TRY(bnr__infer_dtype(cx, 0, condition_types));
    BNR_TRY(branches(cx->node, cx->err, body));
    const int taken = known_condition(cx->in[0]);
    for (int i = 0; i < 2; i++) {
        outs[i] = BNR_NEW_ARRAY(cx->arena, (size_t)cx->n_out + 1, const struct bnr_info *);
        if (!outs[i])
            return bnr__no_memory(cx->err);
        if (taken == 1 - i)
            continue;
        const enum bnr_status st = bnr__infer_body(cx, body[i], NULL, 0, outs[i]);
        if (st != BNR_OK && (st != BNR_SHAPE || taken == i || (i == 1 && !good[0])))
            return st;
        good[i] = st == BNR_OK;
    }
    if (good[0] && good[1])
        return merge(cx, outs[0], outs[1]);
    if (cx->err)
        *cx->err = (struct bnr_error){.code = BNR_OK};
    for (int i = 0; i < cx->n_out; i++)
        if (cx->out[i])
            *cx->out[i] = *outs[good[1]][i];
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_graph *body[2];
    int64_t condition;
    BNR_TRY(branches(a->node, a->err, body));
    BNR_TRY(bnr__args_scalar(a, 0, 0, &condition));
    struct bnr_tensor **outs = BNR_NEW_ARRAY(a->temp, (size_t)a->n_out + 1, struct bnr_tensor *);
    if (!outs)
        return bnr__no_memory(a->err);
    BNR_TRY(bnr__run_body(a, body[condition != 0], NULL, 0, outs));
    enum bnr_status st = BNR_OK;
    for (int i = 0; i < a->n_out; i++) {
        if (st == BNR_OK)
            st = bnr__out_keep(a, i, outs[i]);
        bnr__tensor_unref(outs[i]);
    }
    return st;
}

BNR_DEFINE_OP(if) = {
    .domain = "",
    .name = "If",
    .since = {1, 11, 13, 16, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .attrs = "then_branch:g! else_branch:g!",
    .infer = infer,
    .ref = ref,
};
