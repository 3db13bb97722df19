// SPDX-License-Identifier: Apache-2.0
// SequenceMap: runs a body for each item of its first input; other inputs that are sequences give
// their item, tensors are the same each time. Each output is the sequence of the results.
#include "runtime/ops/lib/types.h"

static enum bnr_status get_body(const struct bnr_node *n, struct bnr_error *err,
                                struct bnr_graph **body) {
    *body = bnr__attr_graph(n, "body");
    if ((*body)->n_inputs >= (size_t)n->n_in && (*body)->n_outputs >= (size_t)n->n_out)
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_MALFORMED, "has %d inputs and %d outputs, its body %zu and %zu",
                        n->n_in, n->n_out, (*body)->n_inputs, (*body)->n_outputs);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_graph *body;
    BNR_TRY(get_body(cx->node, cx->err, &body));
    struct bnr_info *in = BNR_NEW_ARRAY(cx->arena, (size_t)cx->n_in, struct bnr_info);
    const struct bnr_info **ins =
        BNR_NEW_ARRAY(cx->arena, (size_t)cx->n_in, const struct bnr_info *);
    const struct bnr_info **outs =
        BNR_NEW_ARRAY(cx->arena, body->n_outputs + 1, const struct bnr_info *);
    if (!in || !ins || !outs)
        return bnr__no_memory(cx->err);
    for (int i = 0; i < cx->n_in; i++) {
        if (!cx->in[i])
            return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED, "input %d is left out", i);
        in[i] = bnr__info_unknown();
        ins[i] = &in[i];
        if (i == 0 || cx->in[i]->type.kind == BNR_KIND_SEQUENCE)
            BNR_TRY(bnr__infer_items(cx, i, &in[i].type));
        else
            in[i].type = cx->in[i]->type;
    }
    BNR_TRY(bnr__infer_body(cx, body, ins, (size_t)cx->n_in, outs));
    for (int i = 0; i < cx->n_out; i++)
        BNR_TRY(bnr__infer_container(cx, i, BNR_KIND_SEQUENCE, &outs[i]->type));
    return BNR_OK;
}

static enum bnr_status run_item(const struct bnr_args *a, struct bnr_graph *body, size_t item,
                                struct bnr_tensor **in, struct bnr_tensor **results,
                                struct bnr_tensor **sequences) {
    for (int i = 0; i < a->n_in; i++)
        in[i] = a->in[i]->kind == BNR_KIND_SEQUENCE ? bnr__tensor_ref(a->in[i]->items[item])
                                                    : bnr__tensor_share(a->in[i]);
    enum bnr_status st = bnr__run_body(a, body, in, (size_t)a->n_in, results);
    for (int i = 0; i < a->n_in; i++)
        bnr__tensor_unref(in[i]);
    if (st != BNR_OK)
        return st;
    for (size_t i = 0; i < body->n_outputs; i++) {
        if (st == BNR_OK && i < (size_t)a->n_out && sequences[i])
            st = bnr__push_keep(sequences[i], results[i], a->err);
        bnr__tensor_unref(results[i]);
    }
    return st;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_graph *body;
    BNR_TRY(get_body(a->node, a->err, &body));
    BNR_TRY(bnr__args_sequence(a, 0));
    for (int i = 1; i < a->n_in; i++)
        if (a->in[i]->kind == BNR_KIND_SEQUENCE && a->in[i]->n_items != a->in[0]->n_items)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "input %d has %zu items, the first has %zu", i, a->in[i]->n_items,
                                a->in[0]->n_items);
    struct bnr_tensor **in = BNR_NEW_ARRAY(a->temp, (size_t)a->n_in, struct bnr_tensor *);
    struct bnr_tensor **results = BNR_NEW_ARRAY(a->temp, body->n_outputs + 1, struct bnr_tensor *);
    struct bnr_tensor **sequences =
        BNR_NEW_ARRAY(a->temp, (size_t)a->n_out + 1, struct bnr_tensor *);
    if (!in || !results || !sequences)
        return bnr__no_memory(a->err);
    enum bnr_status st = BNR_OK;
    for (int i = 0; st == BNR_OK && i < a->n_out; i++)
        if (a->out[i])
            st = bnr__tensor_new_kind(&sequences[i], a->out[i]->allocator, BNR_KIND_SEQUENCE,
                                      body->outputs[i]->info->type.dtype, a->err);
    for (size_t k = 0; st == BNR_OK && k < a->in[0]->n_items; k++)
        st = run_item(a, body, k, in, results, sequences);
    for (int i = 0; i < a->n_out; i++) {
        if (st == BNR_OK && sequences[i])
            st = bnr__out_share(a, i, sequences[i]);
        bnr__tensor_unref(sequences[i]);
    }
    return st;
}

BNR_DEFINE_OP(sequence_map) = {
    .domain = "",
    .name = "SequenceMap",
    .since = {17},
    .min_in = 1,
    .max_in = BNR_VARIADIC,
    .min_out = 1,
    .max_out = BNR_VARIADIC,
    .flags = BNR_OP_ANY_KIND,
    .attrs = "body:g!",
    .infer = infer,
    .ref = ref,
};
