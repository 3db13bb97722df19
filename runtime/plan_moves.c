// SPDX-License-Identifier: Apache-2.0
// Nodes that only move elements (Transpose, Slice, Reshape, ...), and those of them that move none.
#include "runtime/ops/lib/strided.h"
#include "runtime/plan_build.h"

static bool has_elements(const struct bnr_planner *p, const struct bnr_value *v) {
    const struct bnr_type *type = &bnr__planner_info(p, v)->type;
    size_t bytes;
    return bnr__type_placeable(type) && bnr__type_bytes(type, &bytes) && bytes > 0;
}

static int dims_of(const struct bnr_planner *p, const struct bnr_value *v, int64_t *dims) {
    const struct bnr_shape *shape = &bnr__planner_info(p, v)->type.shape;
    bnr__shape_numbers(shape, dims);
    return shape->rank;
}

static bool moves(const struct bnr_node *n) {
    return n->n_in > 0 && n->in[0] && (n->op->strided || (n->op->flags & BNR_OP_VIEW));
}

// From where the elements of input 0 lie to where those of output `out` do.
static bool move(struct bnr_planner *p, const struct bnr_node *n, int out, struct bnr_strided *s) {
    struct bnr_error ignored;
    struct bnr_info **outs = BNR_NEW_ARRAY(&p->temp, (size_t)n->n_out, struct bnr_info *);
    struct bnr_infer cx = {.node = n,
                           .in = bnr__planner_infos(p, n->in, n->n_in),
                           .n_in = n->n_in,
                           .out = outs,
                           .n_out = n->n_out,
                           .arena = &p->temp,
                           .err = &ignored};
    if (!cx.in || !outs)
        return false;
    for (int i = 0; i < n->n_out; i++)
        outs[i] = n->out[i] ? &p->table.infos[n->out[i]->id] : NULL;
    if (n->op->strided)
        return n->op->strided(&cx, out, s);
    int64_t dims[BNR_MAX_RANK];
    const int rank = dims_of(p, n->out[out], dims);
    return bnr__strided_reshape(s, rank, dims);
}

static void start_dense(const struct bnr_planner *p, const struct bnr_value *v,
                        struct bnr_strided *s) {
    int64_t dims[BNR_MAX_RANK];
    const int rank = dims_of(p, v, dims);
    bnr__strided_dense(s, rank, dims);
}

bool bnr__plan_moves_nothing(struct bnr_planner *p, const struct bnr_node *n) {
    struct bnr_strided s;
    if (!moves(n) || !has_elements(p, n->in[0]))
        return false;
    start_dense(p, n->in[0], &s);
    return move(p, n, 0, &s) && bnr__strided_is_dense(&s);
}
