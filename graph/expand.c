// SPDX-License-Identifier: Apache-2.0
// Operators that are spelled in others: in a session's graph the others take their place; inference and
// reference code spell them in a model of its own.
#include <string.h>

#include "graph/build.h"
#include "graph/infer.h"

// ---- in a graph -------------------------------------------------------------------------------------

// Nodes that were made in vain, from the last one back.
static void undo(struct bnr_node *n, const struct bnr_node *first_kept) {
    for (struct bnr_node *p = n->prev, *prev; p && p != first_kept; p = prev) {
        prev = p->prev;
        bnr__node_remove(p);
    }
}

// `to`, an output of the node that goes, is what `from` is: its producer's output, or a copy where that is
// older than the expansion or an output already.
static enum bnr_status take_place(struct bnr_build *b, struct bnr_value *from, struct bnr_value *to,
                                  bool copy) {
    struct bnr_node *p = from->producer;
    const int index = from->producer_index;
    bnr__node_set_output(to->producer, to->producer_index, NULL);
    if (copy) {
        from = bnr__build_1(b, "Identity", from);
        if (!from)
            return b->status;
        bnr__node_set_output(from->producer, 0, to);
    } else {
        BNR_TRY(bnr__value_replace(from, to));
        bnr__node_set_output(p, index, to);
    }
    bnr__value_remove(from);
    return BNR_OK;
}

static enum bnr_status replace_node(struct bnr_build *b, struct bnr_node *n, struct bnr_value **out,
                                    int first_id) {
    for (int i = 0; i < n->n_out; i++) {
        struct bnr_value *to = n->out[i], *from = out[i];
        if (!to || !from)
            continue;
        bool copy = !from->producer || from->producer->id < first_id;
        for (int k = 0; k < i; k++)
            copy = copy || from == out[k];
        BNR_TRY(take_place(b, from, to, copy));
        for (int k = i; k < n->n_out && !copy; k++)
            out[k] = out[k] == from ? to : out[k];
    }
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && (n->out[i]->n_uses > 0 || n->out[i]->n_graph_outputs > 0))
            return bnr__op_fail(n, b->err, BNR_UNSUPPORTED, "output %d is not computed by this build",
                                i);
    bnr__node_remove(n);
    return BNR_OK;
}

static enum bnr_status expand_node(struct bnr_node *n, struct bnr_error *err) {
    struct bnr_model *m = n->graph->model;
    struct bnr_build b = {.graph = n->graph, .before = n, .node = n, .err = err};
    const struct bnr_node *kept = n->prev;
    const int first_id = m->next_node_id;
    struct bnr_value **out =
        BNR_NEW_ARRAY(&m->arena, (size_t)n->n_out + 1, struct bnr_value *);
    if (!out)
        return bnr__no_memory(err);
    n->op->expand(&b, n, n->in, out);
    if (b.status == BNR_OK)
        return replace_node(&b, n, out, first_id);
    undo(n, kept);
    return b.later ? BNR_OK : b.status;
}

struct expansion {
    bool (*wanted)(const struct bnr_node *n, void *user); // NULL: all
    void *user;
    bool found;
    struct bnr_error *err;
};

static bool expands(const struct expansion *e, const struct bnr_node *n) {
    return n->op && n->op->expand && (!e->wanted || e->wanted(n, e->user));
}

static enum bnr_status expand_graph(struct bnr_graph *g, void *cx) {
    const struct expansion *e = cx;
    struct bnr_node *next;
    for (struct bnr_node *n = g->first; n; n = next) {
        next = n->next;
        if (expands(e, n))
            BNR_TRY(expand_node(n, e->err));
    }
    return BNR_OK;
}

static enum bnr_status find_expandable(struct bnr_graph *g, void *cx) {
    struct expansion *e = cx;
    for (const struct bnr_node *n = g->first; n; n = n->next)
        e->found = e->found || expands(e, n);
    return BNR_OK;
}

enum bnr_status bnr__model_expand_if(struct bnr_model *m,
                                     bool (*wanted)(const struct bnr_node *n, void *user),
                                     void *user, struct bnr_error *err) {
    struct expansion e = {.wanted = wanted, .user = user, .err = err};
    bnr__model_each_graph(m, find_expandable, &e);
    if (!e.found)
        return BNR_OK;
    BNR_TRY(bnr__model_infer(m, err));
    return bnr__model_each_graph(m, expand_graph, &e);
}

enum bnr_status bnr__model_expand(struct bnr_model *m, struct bnr_error *err) {
    return bnr__model_expand_if(m, NULL, NULL, err);
}

// ---- in a model of its own --------------------------------------------------------------------------

struct spelled {
    struct bnr_model *model;
    struct bnr_value **in, **out; // [n->n_in], [n->n_out]
    struct bnr_build b;
};

// infos[i]: what is known of input i; NULL: omitted.
static enum bnr_status spell(struct spelled *s, const struct bnr_node *n,
                             const struct bnr_info *const *infos, int n_in, struct bnr_error *err) {
    struct bnr_model *m = s->model = bnr__model_new(n->graph->model->allocator);
    if (!m)
        return bnr__no_memory(err);
    m->ir_version = 8;
    m->graph = bnr__graph_new(m, NULL);
    s->in = BNR_NEW_ARRAY(&m->arena, (size_t)n->n_in + 1, struct bnr_value *);
    s->out = BNR_NEW_ARRAY(&m->arena, (size_t)n->n_out + 1, struct bnr_value *);
    if (!m->graph || !s->in || !s->out)
        return bnr__no_memory(err);
    for (int i = 0; i < n_in && i < n->n_in; i++) {
        if (!infos[i])
            continue;
        BNR_TRY(bnr__value_new(&s->in[i], m->graph, NULL, err));
        struct bnr_info *info = bnr__value_info(s->in[i]);
        struct bnr_type *declared = bnr__value_declare(s->in[i]);
        if (!info || !declared)
            return bnr__no_memory(err);
        *info = *infos[i];
        *declared = infos[i]->type;
        BNR_TRY(bnr__graph_add_input(m->graph, s->in[i], err));
    }
    s->b = (struct bnr_build){.graph = m->graph, .node = n, .err = err};
    n->op->expand(&s->b, n, s->in, s->out);
    return s->b.status;
}

static enum bnr_status infer_spelled(struct spelled *s, struct bnr_infer *cx) {
    struct bnr_infer_table table;
    BNR_TRY(bnr__infer_table_init(&table, s->model, cx->arena));
    for (int i = 0; i < cx->n_in; i++)
        if (s->in[i])
            table.infos[s->in[i]->id] = *cx->in[i];
    enum bnr_status st = bnr__graph_infer(s->model->graph, &table, cx->err);
    for (int i = 0; st == BNR_OK && i < cx->n_out; i++)
        if (cx->out[i] && s->out[i])
            cx->out[i]->type = table.infos[s->out[i]->id].type;
    bnr__infer_table_free(&table);
    return st == BNR_OK ? st
                        : bnr__fail_prefix(cx->err, st, "node '%s' (%s)", cx->node->label,
                                           cx->node->op_type);
}

enum bnr_status bnr__expand_infer(struct bnr_infer *cx) {
    struct spelled s = {0};
    enum bnr_status st = spell(&s, cx->node, cx->in, cx->n_in, cx->err);
    if (st == BNR_OK)
        st = infer_spelled(&s, cx);
    else if (s.b.later)
        st = BNR_OK; // outputs stay unknown
    bnr__model_free(s.model);
    return st;
}

static enum bnr_status eval_spelled(struct spelled *s, const struct bnr_args *a,
                                    struct bnr_tensor **values) {
    for (int i = 0; i < a->n_in; i++)
        if (s->in[i])
            values[s->in[i]->id] = bnr__tensor_share(a->in[i]);
    for (struct bnr_node *n = s->model->graph->first; n; n = n->next) {
        struct bnr_tensor **in = BNR_NEW_ARRAY(a->temp, (size_t)n->n_in + 1, struct bnr_tensor *);
        struct bnr_tensor **out = BNR_NEW_ARRAY(a->temp, (size_t)n->n_out + 1, struct bnr_tensor *);
        if (!in || !out)
            return bnr__no_memory(a->err);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i])
                in[i] = n->in[i]->tensor ? n->in[i]->tensor : values[n->in[i]->id];
        const enum bnr_status st = bnr__node_eval(n, in, out, s->model->allocator, a->err);
        if (st != BNR_OK)
            return bnr__fail_prefix(a->err, st, "node '%s' (%s)", a->node->label, a->node->op_type);
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i])
                values[n->out[i]->id] = out[i];
    }
    for (int i = 0; i < a->n_out; i++) {
        if (!a->out[i])
            continue;
        const struct bnr_value *v = s->out[i];
        const struct bnr_tensor *t = v ? (v->tensor ? v->tensor : values[v->id]) : NULL;
        if (!t)
            return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED,
                                "output %d is not computed by this build", i);
        BNR_TRY(bnr__out_alloc(a, i, t->dtype, t->rank, t->dims));
        if (t->nbytes > 0)
            memcpy(a->out[i]->data, t->data, t->nbytes);
    }
    return BNR_OK;
}

enum bnr_status bnr__expand_ref(const struct bnr_args *a) {
    struct spelled s = {0};
    const struct bnr_info **infos =
        BNR_NEW_ARRAY(a->temp, (size_t)a->n_in + 1, const struct bnr_info *);
    struct bnr_info *given = BNR_NEW_ARRAY(a->temp, (size_t)a->n_in + 1, struct bnr_info);
    if (!infos || !given)
        return bnr__no_memory(a->err);
    for (int i = 0; i < a->n_in; i++) {
        if (!a->in[i])
            continue;
        // The header is only read; the pointer's type serves other users of an info.
        struct bnr_tensor *t = (struct bnr_tensor *)(uintptr_t)a->in[i];
        BNR_TRY(bnr__info_of_tensor(&given[i], t, a->temp));
        infos[i] = &given[i];
    }
    enum bnr_status st = spell(&s, a->node, infos, a->n_in, a->err);
    if (st == BNR_OK) {
        const size_t n = (size_t)s.model->next_value_id;
        struct bnr_tensor **values = BNR_NEW_ARRAY(a->temp, n, struct bnr_tensor *);
        st = values ? eval_spelled(&s, a, values) : bnr__no_memory(a->err);
        for (size_t i = 0; values && i < n; i++)
            bnr__tensor_unref(values[i]);
    }
    bnr__model_free(s.model);
    return st;
}
