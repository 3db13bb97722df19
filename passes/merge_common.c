// SPDX-License-Identifier: Apache-2.0
// merge_common: of constants with the same dims and bytes, and of nodes with the same operator,
// attributes and inputs, the first one stays and serves the readers of all.
//
//     Conv(x, w) -> a, Conv(x, w) -> b     =>    Conv(x, w) -> a = b
//
// Not merged: random operators and those with bodies. Linear operators wait until folding is over:
// two equal convolutions with different BatchNormalizations behind them fold, one with two readers
// would not.
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "passes/pass.h"

static uint64_t mix(uint64_t h, uint64_t v) {
    return bnr__hash_bytes(&v, sizeof v, h);
}

// ---- constants ----------------------------------------------------------------------------------

enum { HASHED_BYTES = 256 }; // of a tensor; the comparison reads all

static uint64_t hash_tensor(const struct bnr_tensor *t) {
    uint64_t h = mix((uint64_t)t->dtype, (uint64_t)t->rank);
    h = bnr__hash_bytes(t->dims, (size_t)t->rank * sizeof t->dims[0], h);
    const size_t size = bnr__dtype_size(t->dtype), n = HASHED_BYTES / size;
    uint64_t elements[HASHED_BYTES / sizeof(uint64_t)];
    bnr__tensor_copy(t, elements, 0, t->numel < n ? t->numel : n);
    return bnr__hash_bytes(elements, (t->numel < n ? t->numel : n) * size, h);
}

static bool mergeable_constant(const struct bnr_value *v) {
    return bnr__value_is_constant(v) && !v->is_input && v->n_graph_outputs == 0 && v->n_uses > 0 &&
           v->tensor->kind == BNR_KIND_TENSOR && v->tensor->dtype != BNR_STRING &&
           !bnr__tensor_is_hollow(v->tensor);
}

// ---- nodes --------------------------------------------------------------------------------------

static size_t attr_elem_size(enum bnr_attr_type type) {
    switch (type) {
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        return sizeof(float);
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        return sizeof(int64_t);
    default:
        return 0;
    }
}

static bool same_attr(const struct bnr_attr *a, const struct bnr_attr *b) {
    if (!b || a->type != b->type || a->n != b->n || a->ref || b->ref)
        return false;
    const size_t size = attr_elem_size(a->type);
    if (size > 0)
        return a->n == 0 || memcmp(a->floats, b->floats, a->n * size) == 0;
    for (size_t i = 0; i < a->n; i++)
        switch (a->type) {
        case BNR_ATTR_STRING:
        case BNR_ATTR_STRINGS:
            if (a->strings[i].len != b->strings[i].len ||
                memcmp(a->strings[i].ptr, b->strings[i].ptr, a->strings[i].len) != 0)
                return false;
            break;
        case BNR_ATTR_TENSOR:
        case BNR_ATTR_TENSORS:
            if (!bnr__tensor_equal(a->tensors[i], b->tensors[i]))
                return false;
            break;
        default:
            return false;
        }
    return true;
}

static uint64_t hash_node(const struct bnr_node *n) {
    uint64_t h = mix((uint64_t)(uintptr_t)n->op, (uint64_t)n->since);
    for (int i = 0; i < n->n_in; i++)
        h = mix(h, n->in[i] ? (uint64_t)n->in[i]->id : UINT64_MAX);
    return mix(h, (uint64_t)n->n_out);
}

static bool same_node(const struct bnr_node *a, const struct bnr_node *b) {
    if (a->op != b->op || a->since != b->since || a->n_in != b->n_in || a->n_out != b->n_out ||
        a->n_attrs != b->n_attrs)
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i])
            return false;
    for (size_t i = 0; i < a->n_attrs; i++)
        if (!same_attr(&a->attrs[i], bnr__attr(b, a->attrs[i].name)))
            return false;
    for (int i = 0; i < a->n_out; i++) // b's readers must find what they read
        if (b->out[i] && (!a->out[i] || !bnr__value_replaceable(b->out[i], a->out[i])))
            return false;
    return true;
}

static bool mergeable_node(const struct bnr_pass_cx *cx, const struct bnr_node *n) {
    if (!n->op || (n->op->flags & BNR_OP_RANDOM) || bnr__node_has_subgraphs(n) || n->fused_into)
        return false;
    return cx->settled || !n->op->affine || !n->op->affine->absorb_after;
}

// ---- the table ----------------------------------------------------------------------------------

struct slot {
    uint64_t hash;
    void *item; // struct bnr_value or bnr_node
};

struct table {
    struct slot *slots;
    size_t n; // a power of two
};

static bool make_table(struct table *t, struct bnr_arena *arena, size_t items) {
    t->n = 16;
    while (t->n < 2 * items)
        t->n *= 2;
    t->slots = BNR_NEW_ARRAY(arena, t->n, struct slot);
    return t->slots != NULL;
}

// The first item that is the same as `item`, or NULL after entering it.
static void *find_or_enter(struct table *t, uint64_t hash, void *item,
                           bool (*same)(const void *first, const void *other)) {
    size_t i = hash & (t->n - 1);
    for (; t->slots[i].item; i = (i + 1) & (t->n - 1))
        if (t->slots[i].hash == hash && same(t->slots[i].item, item))
            return t->slots[i].item;
    t->slots[i] = (struct slot){.hash = hash, .item = item};
    return NULL;
}

static bool same_constants(const void *a, const void *b) {
    const struct bnr_value *x = a, *y = b;
    return x->tensor == y->tensor || bnr__tensor_equal(x->tensor, y->tensor);
}

static bool same_nodes(const void *a, const void *b) {
    return same_node(a, b);
}

static enum bnr_status merge_constants(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct table t;
    struct bnr_value **all = BNR_NEW_ARRAY(cx->temp, g->n_values + 1, struct bnr_value *);
    const size_t count = g->n_values;
    if (!all || !make_table(&t, cx->temp, count))
        return bnr__no_memory(cx->err);
    memcpy(all, g->values, count * sizeof(struct bnr_value *));
    for (size_t i = 0; i < count; i++) {
        struct bnr_value *v = all[i];
        if (!mergeable_constant(v))
            continue;
        struct bnr_value *first = find_or_enter(&t, hash_tensor(v->tensor), v, same_constants);
        if (!first || !bnr__pass_may_rewrite(cx))
            continue;
        if (bnr__value_replace(v, first) != BNR_OK)
            return bnr__no_memory(cx->err);
        bnr__value_remove(v);
    }
    return BNR_OK;
}

static enum bnr_status merge_into(struct bnr_pass_cx *cx, struct bnr_node *first,
                                  struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && bnr__value_replace(n->out[i], first->out[i]) != BNR_OK)
            return bnr__no_memory(cx->err);
    if (bnr__node_add_origins(first, n) != BNR_OK)
        return bnr__no_memory(cx->err);
    bnr__node_remove(n);
    return BNR_OK;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct table t;
    BNR_TRY(merge_constants(cx, g));
    if (!make_table(&t, cx->temp, g->n_nodes))
        return bnr__no_memory(cx->err);
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (!mergeable_node(cx, n))
            continue;
        struct bnr_node *first = find_or_enter(&t, hash_node(n), n, same_nodes);
        if (first && bnr__pass_may_rewrite(cx))
            BNR_TRY(merge_into(cx, first, n));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_merge_common = {
    .name = "merge_common", .group = BNR_PASS_CLEAN, .keeps_types = true, .run = run};
