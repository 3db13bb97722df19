// SPDX-License-Identifier: Apache-2.0
// widen_half: float16 and bfloat16 networks run on float32 kernels.
//
//     Conv(x, w) -> Relu -> y    =>    Cast(x) -> Conv(., float32 w) -> Relu -> Cast -> y
//
// Kernels are for float32, and reference code is for results, not for speed. So operators whose
// result is of half precision, and that compute or move what they read, read float32 and give
// float32; what lies between two of them is no longer rounded, which only brings the result closer
// to what it stands for. Whoever else reads such a value, and every graph output, gets it rounded.
// Casts that nobody reads are left to eliminate_dead; those of the model itself stay, and so does
// what they round.
#include "graph/build.h"
#include "passes/pass.h"

static bool is_half(const struct bnr_type *t) {
    return t->kind == BNR_KIND_TENSOR && (t->dtype == BNR_FLOAT16 || t->dtype == BNR_BFLOAT16);
}

// Operators that give T where they are given T, for any T among float32 and half precision.
static bool widens(const struct bnr_node *n) {
    static const char *const converts[] = {"Cast", "CastLike", "BitCast", "DequantizeLinear", NULL};
    static const char *const others[] = {"Transpose",    "Gather",       "Expand",    "Tile",
                                         "DepthToSpace", "SpaceToDepth", "LRN",       "ReduceMean",
                                         "ReduceSum",    "ReduceMax",    "ReduceMin", NULL};
    if (!n->op || n->domain[0] != '\0' || n->n_out < 1 || !n->out[0] ||
        !is_half(&n->out[0]->info->type) || bnr__node_is_one_of(n, converts))
        return false;
    return n->op->prepare || (n->op->flags & (BNR_OP_VIEW | BNR_OP_ELEMENTWISE)) ||
           bnr__node_is_one_of(n, others);
}

struct widening {
    struct bnr_pass_cx *cx;
    struct bnr_value **wide; // [value id]: its float32 form in the graph at hand
    int n_wide;
};

static enum bnr_status wide_constant(struct widening *w, struct bnr_graph *g,
                                     const struct bnr_value *v, struct bnr_value **out) {
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_cast(&t, v->tensor->allocator, v->tensor, BNR_FLOAT, w->cx->err));
    bnr__tensor_drop_pages(v->tensor);
    return bnr__value_constant(out, g, v->name, t, w->cx->err);
}

static struct bnr_value *cast(struct bnr_build *b, struct bnr_value *v, enum bnr_dtype to) {
    return bnr__build_int(b, bnr__build_1(b, "Cast", v), "to", to);
}

static enum bnr_status widen_inputs(struct widening *w, struct bnr_node *n) {
    struct bnr_build b = {.graph = n->graph, .before = n, .node = n, .err = w->cx->err};
    for (int i = 0; i < n->n_in; i++) {
        struct bnr_value *v = n->in[i];
        if (!v || v->id >= w->n_wide || !is_half(&v->info->type))
            continue;
        struct bnr_value **wide = &w->wide[v->id];
        if (!*wide && bnr__value_is_constant(v))
            BNR_TRY(wide_constant(w, n->graph, v, wide));
        else if (!*wide)
            *wide = cast(&b, v, BNR_FLOAT);
        BNR_TRY(b.status);
        if (bnr__node_set_input(n, i, *wide) != BNR_OK)
            return bnr__no_memory(w->cx->err);
    }
    return BNR_OK;
}

static enum bnr_status widen_outputs(struct widening *w, struct bnr_node *n) {
    struct bnr_build b = {.graph = n->graph, .before = n->next, .node = n, .err = w->cx->err};
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *v = n->out[i], *wide;
        if (!v || !is_half(&v->info->type))
            continue;
        BNR_TRY(bnr__value_new(&wide, n->graph, bnr__name_fresh(n->graph, v->name), w->cx->err));
        bnr__node_set_output(n, i, wide);
        struct bnr_value *rounded = cast(&b, wide, v->info->type.dtype);
        BNR_TRY(b.status);
        struct bnr_node *last = rounded->producer;
        bnr__node_set_output(last, 0, v);
        w->wide[v->id] = wide;
    }
    return BNR_OK;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct widening w = {.cx = cx, .n_wide = g->model->next_value_id};
    w.wide = BNR_NEW_ARRAY(cx->temp, (size_t)w.n_wide, struct bnr_value *);
    if (!w.wide)
        return bnr__no_memory(cx->err);
    for (struct bnr_node *n = g->first; n; n = n->next) {
        if (!widens(n) || !bnr__pass_may_rewrite(cx))
            continue;
        BNR_TRY(widen_inputs(&w, n));
        BNR_TRY(widen_outputs(&w, n));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_widen_half = {
    .name = "widen_half", .group = BNR_PASS_FUSE, .run = run};
