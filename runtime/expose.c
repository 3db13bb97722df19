// SPDX-License-Identifier: Apache-2.0
#include "runtime/expose.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

static enum bnr_status grow_outputs(struct bnr_node *n, int count, struct bnr_error *err) {
    if (n->n_out >= count)
        return BNR_OK;
    struct bnr_value **out = BNR_NEW_ARRAY(&n->graph->model->arena, (size_t)count, struct bnr_value *);
    if (!out)
        return bnr__no_memory(err);
    for (int i = 0; i < n->n_out; i++)
        out[i] = n->out[i];
    n->out = out;
    n->n_out = count;
    return BNR_OK;
}

enum bnr_status bnr__node_output(struct bnr_value **out, struct bnr_node *n, int index,
                                 struct bnr_error *err) {
    BNR_TRY(grow_outputs(n, index + 1, err));
    if (!n->out[index]) {
        struct bnr_value *v;
        BNR_TRY(bnr__value_new(&v, n->graph, NULL, err));
        bnr__node_set_output(n, index, v);
    }
    *out = n->out[index];
    return BNR_OK;
}

// ---- out of a body ------------------------------------------------------------------------------------

// What the branch that does not hold the value gives instead.
static enum bnr_status add_zeros(struct bnr_graph *branch, const struct bnr_type *type,
                                 struct bnr_error *err) {
    int64_t dims[BNR_MAX_RANK];
    struct bnr_tensor *t;
    struct bnr_value *v;
    const int rank = type->shape.rank < 0 ? 0 : type->shape.rank;
    for (int i = 0; i < rank; i++)
        dims[i] = type->shape.dims[i].n < 0 ? 0 : type->shape.dims[i].n;
    BNR_TRY(bnr__tensor_new(&t, branch->model->allocator, type->dtype, rank, dims, err));
    memset(t->data, 0, t->nbytes);
    BNR_TRY(bnr__value_constant(&v, branch, "not_taken", t, err));
    return bnr__graph_add_output(branch, v, err);
}

// One more entry in a list of a Scan that says something of each of its stacked outputs.
static enum bnr_status lengthen(struct bnr_node *n, const char *name, struct bnr_error *err) {
    size_t count;
    const int64_t *v = bnr__attr_ints(n, name, &count);
    if (!v)
        return BNR_OK;
    int64_t *longer = BNR_NEW_ARRAY(&n->graph->model->arena, count + 1, int64_t);
    if (!longer)
        return bnr__no_memory(err);
    memcpy(longer, v, count * sizeof *v);
    return bnr__node_set_attr_ints(n, name, longer, count + 1) == BNR_OK ? BNR_OK : bnr__no_memory(err);
}

static enum bnr_status add_to_if(struct bnr_node *n, struct bnr_value *v, const struct bnr_type *type,
                                 struct bnr_error *err) {
    struct bnr_graph *then = bnr__attr_graph(n, "then_branch"), *other = bnr__attr_graph(n, "else_branch");
    if (!then || !other || type->dtype == BNR_UNDEFINED)
        return bnr__fail(err, BNR_UNSUPPORTED, "node '%s': the type of '%s' in its branch is not known",
                         n->label, v->name);
    BNR_TRY(bnr__graph_add_output(v->graph, v, err));
    return add_zeros(v->graph == then ? other : then, type, err);
}

// v as one more output of the node whose body it is in; *outer: there.
static enum bnr_status step_out(struct bnr_value *v, const struct bnr_type *type, struct bnr_value **outer,
                                struct bnr_error *err) {
    struct bnr_graph *body = v->graph;
    struct bnr_node *n = body->owner;
    const bool loop = bnr__node_is(n, "", "Loop"), scan = bnr__node_is(n, "", "Scan");
    if (bnr__node_is(n, "", "If"))
        BNR_TRY(add_to_if(n, v, type, err));
    else if (loop || scan || bnr__node_is(n, "", "SequenceMap"))
        BNR_TRY(bnr__graph_add_output(body, v, err));
    else
        return bnr__fail(err, BNR_UNSUPPORTED, "node '%s' (%s): its body shows nothing", n->label,
                         n->op_type);
    if (scan) {
        BNR_TRY(lengthen(n, "scan_output_axes", err));
        BNR_TRY(lengthen(n, "scan_output_directions", err));
    }
    return bnr__node_output(outer, n, (int)body->n_outputs - 1 - loop, err);
}

enum bnr_status bnr__expose(size_t *output, struct bnr_value *v, const struct bnr_type *type,
                            struct bnr_error *err) {
    for (int depth = 0; v->graph->owner; depth++) {
        if (depth == MAX_DEPTH)
            return bnr__fail(err, BNR_UNSUPPORTED, "bodies are nested more than %d deep", MAX_DEPTH);
        BNR_TRY(step_out(v, type, &v, err));
    }
    *output = v->graph->n_outputs;
    return bnr__graph_add_output(v->graph, v, err);
}

size_t bnr__exposed_numbers(const struct bnr_tensor *t, double *v, size_t room) {
    size_t n = 0;
    if (t->kind == BNR_KIND_TENSOR)
        for (; n < t->numel; n++)
            if (n < room)
                v[n] = bnr__tensor_f64(t, n);
    for (size_t i = 0; i < t->n_items; i++) {
        const size_t used = n < room ? n : room;
        n += bnr__exposed_numbers(t->items[i], v ? v + used : NULL, room - used);
    }
    return n;
}
