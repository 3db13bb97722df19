// SPDX-License-Identifier: Apache-2.0
// fold_pad: a convolution pads for itself.
//
//     Pad(x, zeros around spatial axes) -> Conv    =>    Conv with larger pads
//
// Needs: constant pads, none negative, none as wide as the kernel; nobody else reads what is padded; the
// convolution pads by numbers. What stands in front of the padding comes next to the convolution: its
// kernel does it while it reads.
#include <string.h>

#include "graph/op.h"
#include "passes/pass.h"

static const struct bnr_tensor *constant(const struct bnr_node *n, int index) {
    return bnr__value_constant_tensor(index < n->n_in ? n->in[index] : NULL);
}

static bool given(const struct bnr_node *n, int index) {
    return index < n->n_in && n->in[index];
}

static bool pads_with_zero(const struct bnr_node *n) {
    if (strcmp(bnr__attr_string(n, "mode", "constant"), "constant") != 0)
        return false;
    if (n->since < 11)
        return bnr__attr_float(n, "value", 0) == 0;
    const struct bnr_tensor *value = constant(n, 2);
    return !given(n, 2) || (value && value->numel == 1 && bnr__tensor_f64(value, 0) == 0);
}

// Begins, then ends, of all axes.
static bool read_pads(const struct bnr_node *n, int rank, int64_t pads[2 * BNR_MAX_RANK]) {
    size_t count;
    if (given(n, 3))
        return false;
    if (n->since < 11) {
        const int64_t *a = bnr__attr_ints(n, n->since == 1 ? "paddings" : "pads", &count);
        if (count == 2 * (size_t)rank)
            memcpy(pads, a, count * sizeof *pads);
        return count == 2 * (size_t)rank;
    }
    const struct bnr_tensor *t = constant(n, 1);
    if (!t || t->dtype != BNR_INT64 || t->numel != 2 * (size_t)rank)
        return false;
    for (size_t i = 0; i < t->numel; i++)
        pads[i] = bnr__tensor_i64(t, i);
    return true;
}

// How far the kernel reaches along spatial axis i; 0 where that is not known.
static int64_t reach_of(const struct bnr_node *conv, int i) {
    size_t count;
    const int64_t *dilations = bnr__attr_ints(conv, "dilations", &count);
    const struct bnr_tensor *w = constant(conv, 1);
    const int64_t by = count > (size_t)i ? dilations[i] : 1;
    return w && w->rank > i + 2 && by > 0 && by < INT32_MAX && w->dims[i + 2] < INT32_MAX
               ? (w->dims[i + 2] - 1) * by + 1
               : 0;
}

// The convolution's pads with those of `pad` added.
static bool all_pads(const struct bnr_node *pad, const struct bnr_node *conv, int *spatial,
                     int64_t out[2 * BNR_MAX_RANK]) {
    const int rank = pad->in[0]->info->type.shape.rank;
    const char *automatic = bnr__attr_string(conv, "auto_pad", "NOTSET");
    int64_t pads[2 * BNR_MAX_RANK];
    size_t count;
    const int64_t *own = bnr__attr_ints(conv, "pads", &count);
    if (rank < 3 || (strcmp(automatic, "NOTSET") != 0 && strcmp(automatic, "VALID") != 0) ||
        !read_pads(pad, rank, pads) || (own && count != 2 * (size_t)(rank - 2)))
        return false;
    *spatial = rank - 2;
    for (int i = 0; i < 2 * rank; i++) {
        const int axis = i % rank - 2, to = axis + (i >= rank ? *spatial : 0);
        if (axis < 0) {
            if (pads[i] != 0)
                return false;
            continue;
        }
        const int64_t before = own && automatic[0] == 'N' ? own[to] : 0;
        if (pads[i] < 0 || before < 0 || pads[i] >= reach_of(conv, axis) ||
            before >= reach_of(conv, axis) - pads[i])
            return false;
        out[to] = before + pads[i];
    }
    return true;
}

static enum bnr_status try_conv(struct bnr_pass_cx *cx, struct bnr_node *conv) {
    int64_t pads[2 * BNR_MAX_RANK];
    int spatial;
    struct bnr_node *pad = conv->in[0]->producer;
    if (!pad || !bnr__node_is(pad, "", "Pad") || !pad->op || pad->graph != conv->graph ||
        !bnr__value_single_use(conv->in[0]) || !pads_with_zero(pad) ||
        !all_pads(pad, conv, &spatial, pads) || !bnr__pass_may_rewrite(cx))
        return BNR_OK;
    bnr__node_remove_attr(conv, "auto_pad");
    if (bnr__node_set_attr_ints(conv, "pads", pads, 2 * (size_t)spatial) != BNR_OK ||
        bnr__node_set_input(conv, 0, pad->in[0]) != BNR_OK)
        return bnr__no_memory(cx->err);
    bnr__node_remove(pad);
    return BNR_OK;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (bnr__node_is(n, "", "Conv") && n->op && n->n_in > 1 && n->in[0])
            BNR_TRY(try_conv(cx, n));
    return BNR_OK;
}

const struct bnr_pass bnr__pass_fold_pad = {.name = "fold_pad", .group = BNR_PASS_FUSE, .run = run};
