// SPDX-License-Identifier: Apache-2.0
// The steps of a plan: which nodes run, and the slots between them.
#include "runtime/ops/lib/blocked.h"
#include "runtime/plan_build.h"
#include "runtime/session.h"

// ---- constants ----------------------------------------------------------------------------------

// Known before anything runs: a constant of the graph, or found by inference.
bool bnr__plan_value_known(const struct bnr_planner *p, const struct bnr_value *v) {
    return bnr__value_is_constant(v) || (!p->plain && bnr__planner_info(p, v)->tensor);
}

// ---- slots --------------------------------------------------------------------------------------

// Item types as inference made them go with its table.
static bool keep_items(struct bnr_type *type, struct bnr_arena *arena) {
    for (const struct bnr_type **link = &type->elem; *link;) {
        struct bnr_type *copy = BNR_NEW(arena, struct bnr_type);
        if (!copy)
            return false;
        *copy = **link;
        *link = copy;
        link = &copy->elem;
    }
    return true;
}

static enum bnr_status slot_new(struct bnr_planner *p, const struct bnr_value *v, bool blocked,
                                int *slot) {
    struct bnr_plan *plan = p->plan;
    size_t capacity = (size_t)p->slots_capacity;
    struct bnr_slot *grown = bnr__arena_grow(&p->temp, plan->slots, (size_t)plan->n_slots,
                                             &capacity, sizeof *plan->slots);
    if (!grown)
        return bnr__no_memory(p->err);
    plan->slots = grown;
    p->slots_capacity = (int)capacity;
    *slot = p->slot_of[blocked][v->id] = plan->n_slots++;
    plan->slots[*slot] = (struct bnr_slot){.value = v,
                                           .type = bnr__planner_info(p, v)->type,
                                           .lanes = blocked ? p->lanes : 0,
                                           .view_of = -1,
                                           .index = -1};
    return keep_items(&plan->slots[*slot].type, &plan->storage) ? BNR_OK : bnr__no_memory(p->err);
}

// The elements of a CONST slot's tensor, in a session where they may be hollow or lie at any
// address.
static enum bnr_status make_readable(struct bnr_planner *p, struct bnr_slot *s) {
    const struct bnr_packs *packs = &p->request->session->packs;
    struct bnr_tensor *t = s->tensor, *readable;
    if (bnr__tensor_is_hollow(t))
        t = packs->restore ? bnr__tensor_unconst(packs->restore(packs->user, t)) : NULL;
    if (!t)
        return bnr__fail(p->err, BNR_INTERNAL, "the elements of '%s' are gone", s->value->name);
    BNR_TRY(bnr__tensor_align(&readable, t, p->err));
    bnr__tensor_unref(s->tensor);
    s->tensor = readable;
    return BNR_OK;
}

// The slot of v, for a kernel that does not read it. Whatever a node makes has one already, as
// producers come first.
static enum bnr_status slot_of_packed(struct bnr_planner *p, const struct bnr_value *v, int *slot) {
    *slot = p->slot_of[0][v->id];
    if (*slot >= 0)
        return BNR_OK;
    if (!bnr__plan_value_known(p, v))
        return bnr__fail(p->err, BNR_INTERNAL, "value '%s' is read before it is made", v->name);
    struct bnr_tensor *t = bnr__value_is_constant(v) ? v->tensor : bnr__planner_info(p, v)->tensor;
    struct bnr_info info;
    BNR_TRY(slot_new(p, v, false, slot));
    p->plan->slots[*slot].kind = BNR_SLOT_CONST;
    p->plan->slots[*slot].tensor = bnr__tensor_ref(t);
    if (bnr__info_of_tensor(&info, t, &p->plan->storage) != BNR_OK)
        return bnr__no_memory(p->err);
    p->plan->slots[*slot].type = info.type;
    return BNR_OK;
}

// `to` shows the bytes of `from`.
static enum bnr_status set_view(struct bnr_planner *p, int from_slot, int to_slot) {
    const struct bnr_slot *from = &p->plan->slots[from_slot];
    struct bnr_slot *to = &p->plan->slots[to_slot];
    to->view_of = from_slot;
    to->kind = from->kind == BNR_SLOT_CONST ? BNR_SLOT_CONST : BNR_SLOT_PLACED;
    to->base = from->kind == BNR_SLOT_GIVEN ? BNR_BASE_GIVEN : from->base;
    to->index = from->index;
    if (to->kind != BNR_SLOT_CONST)
        return BNR_OK;
    int64_t dims[BNR_MAX_RANK];
    const int rank = bnr__slot_dims(to, dims);
    BNR_TRY(bnr__tensor_view(&to->tensor, from->tensor, rank, dims, p->err));
    to->tensor->dtype = to->type.dtype;
    return BNR_OK;
}

static void run_reorder(const struct bnr_args *a, const void *opaque) {
    bnr__nchwc_f32_reorder(opaque, a->out[0]->f32, a->in[0]->f32, a->pool);
}

static void emit(struct bnr_planner *p, struct bnr_group *g) {
    p->plan->n_steps += !g->view;
    p->ordered[p->n_ordered++] = g;
}

// A step that makes one form of v from the other; where both are the same bytes, a view.
static enum bnr_status reorder(struct bnr_planner *p, const struct bnr_value *v, bool blocked,
                               int *slot) {
    struct bnr_arena *arena = &p->plan->storage;
    const int from = p->slot_of[!blocked][v->id];
    int *slots = BNR_NEW_ARRAY(arena, 2, int);
    const struct bnr_node **node = BNR_NEW(arena, const struct bnr_node *);
    struct bnr_nchwc_reorder *r = BNR_NEW(arena, struct bnr_nchwc_reorder);
    struct bnr_group *g = BNR_NEW(&p->temp, struct bnr_group);
    if (!slots || !node || !r || !g)
        return bnr__no_memory(p->err);
    BNR_TRY(slot_new(p, v, blocked, slot));
    slots[0] = from;
    slots[1] = *slot;
    *node = v->producer ? v->producer : v->uses[0].node;
    r->kernels = bnr__nchwc_f32_select(p->request->session->cpu);
    r->to_plain = !blocked;
    bnr__blocked_shape(&p->plan->slots[*slot].type, p->lanes, &r->shape);
    p->plan->slots[*slot].kind = BNR_SLOT_PLACED;
    *g = (struct bnr_group){.chain = {.nodes = node, .n = 1}, .overwrites = -1};
    g->step = (struct bnr_step){.node = *node,
                                .nodes = node,
                                .n_nodes = 1,
                                .run = run_reorder,
                                .state = r,
                                .in = slots,
                                .out = slots + 1,
                                .n_in = 1,
                                .n_out = 1};
    g->step.kernel = bnr__arena_printf(arena, "reorder_f32_%s", r->kernels->isa);
    const struct bnr_slot *source = &p->plan->slots[from];
    g->view = bnr__blocked_as_plain(&r->shape) && source->kind == BNR_SLOT_PLACED &&
              source->base != BNR_BASE_GIVEN;
    emit(p, g);
    return g->view ? set_view(p, from, *slot) : BNR_OK;
}

// The slot that a step reads v from in one form. What exists in the other form only is reordered
// first, in a group of its own.
static enum bnr_status slot_to_read(struct bnr_planner *p, const struct bnr_value *v, bool blocked,
                                    int *slot) {
    *slot = p->slot_of[blocked][v->id];
    if (p->slot_of[1][v->id] < 0 || (!blocked && *slot >= 0)) {
        int plain;
        BNR_TRY(slot_of_packed(p, v, &plain));
        if (p->plan->slots[plain].kind == BNR_SLOT_CONST)
            BNR_TRY(make_readable(p, &p->plan->slots[plain]));
        if (!blocked)
            *slot = plain;
    }
    return *slot >= 0 ? BNR_OK : reorder(p, v, blocked, slot);
}

bool bnr__type_placeable(const struct bnr_type *type) {
    return bnr__type_known(type) && type->dtype != BNR_STRING;
}

static enum bnr_status slot_to_write(struct bnr_planner *p, const struct bnr_value *v, bool blocked,
                                     bool dynamic, int *slot) {
    BNR_TRY(slot_new(p, v, blocked, slot));
    struct bnr_slot *s = &p->plan->slots[*slot];
    s->kind = bnr__type_placeable(&s->type) && !dynamic ? BNR_SLOT_PLACED : BNR_SLOT_DYNAMIC;
    return BNR_OK;
}

static enum bnr_status slots_of_given(struct bnr_planner *p) {
    const struct bnr_plans *plans = p->request->plans;
    for (size_t i = 0; i < plans->n_given; i++) {
        int slot;
        BNR_TRY(slot_new(p, plans->given[i], false, &slot));
        p->plan->slots[slot].kind = BNR_SLOT_GIVEN;
        p->plan->slots[slot].index = (int)i;
    }
    return BNR_OK;
}

// ---- which nodes run ----------------------------------------------------------------------------

static bool gives_something(const struct bnr_planner *p, const struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && p->wanted[n->out[i]->id] && !bnr__plan_value_known(p, n->out[i]))
            return true;
    return false;
}

static void want_inputs(struct bnr_planner *p, const struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i])
            p->wanted[n->in[i]->id] = true;
    for (size_t i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != BNR_ATTR_GRAPH && n->attrs[i].type != BNR_ATTR_GRAPHS)
            continue;
        for (size_t k = 0; k < n->attrs[i].n; k++) {
            const struct bnr_plans *body =
                bnr__session_plans(p->request->session, n->attrs[i].graphs[k]);
            for (size_t c = 0; c < body->n_captures; c++)
                p->wanted[body->captures[c]->id] = true;
        }
    }
}

// Sets node_index of the nodes that run, -1 for the others.
static void find_running_nodes(struct bnr_planner *p) {
    const struct bnr_graph *g = p->plan->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        p->wanted[g->outputs[i]->id] = true;
    int index = (int)g->n_nodes;
    for (const struct bnr_node *n = g->last; n; n = n->prev) {
        const bool runs = gives_something(p, n);
        p->node_index[n->id] = runs ? --index : -1;
        if (runs)
            want_inputs(p, n);
    }
}

// ---- steps: groups with slots -------------------------------------------------------------------

static bool is_packed(const struct bnr_group *g, const struct bnr_value *v) {
    for (int i = 0; i < g->n_packed; i++)
        if (g->packed[i] == v)
            return true;
    return false;
}

static enum bnr_status read_slots(struct bnr_planner *p, struct bnr_group *g) {
    struct bnr_step *st = &g->step;
    st->n_in = bnr__chain_inputs(&g->chain);
    st->in = BNR_NEW_ARRAY(&p->plan->storage, (size_t)st->n_in, int);
    if (!st->in)
        return bnr__no_memory(p->err);
    for (int i = 0; i < st->n_in; i++) {
        const struct bnr_value *v = bnr__chain_input(&g->chain, i);
        st->in[i] = -1;
        if (v && is_packed(g, v))
            BNR_TRY(slot_of_packed(p, v, &st->in[i]));
        else if (v)
            BNR_TRY(slot_to_read(p, v, bnr__is_blocked(g->blocked_in, i), &st->in[i]));
    }
    return BNR_OK;
}

static enum bnr_status write_slots(struct bnr_planner *p, struct bnr_group *g) {
    struct bnr_step *st = &g->step;
    const struct bnr_node *n = g->chain.nodes[g->chain.n - 1];
    st->out = BNR_NEW_ARRAY(&p->plan->storage, (size_t)n->n_out, int);
    if (!st->out)
        return bnr__no_memory(p->err);
    st->n_out = n->n_out;
    for (int i = 0; i < n->n_out; i++) {
        const struct bnr_value *v = i == 0 && g->chain.to ? g->chain.to : n->out[i];
        st->out[i] = -1;
        if (v)
            BNR_TRY(slot_to_write(p, v, bnr__is_blocked(g->blocked_out, i), st->n_bodies > 0,
                                  &st->out[i]));
    }
    return BNR_OK;
}

static enum bnr_status body_slots(struct bnr_planner *p, struct bnr_step_body *b,
                                  const struct bnr_graph *graph) {
    b->plans = bnr__session_plans(p->request->session, graph);
    const size_t own = b->plans->n_inputs;
    b->captured = BNR_NEW_ARRAY(&p->plan->storage, b->plans->n_given - own, int);
    if (!b->captured)
        return bnr__no_memory(p->err);
    for (size_t i = own; i < b->plans->n_given; i++)
        BNR_TRY(slot_to_read(p, b->plans->given[i], false, &b->captured[i - own]));
    return BNR_OK;
}

static enum bnr_status bodies_of(struct bnr_planner *p, struct bnr_group *g) {
    const struct bnr_node *n = g->chain.nodes[0];
    size_t count = 0;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == BNR_ATTR_GRAPH || n->attrs[i].type == BNR_ATTR_GRAPHS)
            count += n->attrs[i].n;
    if (count == 0)
        return BNR_OK;
    g->step.bodies = BNR_NEW_ARRAY(&p->plan->storage, count, struct bnr_step_body);
    if (!g->step.bodies)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == BNR_ATTR_GRAPH || n->attrs[i].type == BNR_ATTR_GRAPHS)
            for (size_t k = 0; k < n->attrs[i].n; k++)
                BNR_TRY(body_slots(p, &g->step.bodies[g->step.n_bodies++], n->attrs[i].graphs[k]));
    return BNR_OK;
}

static bool any_unknown(const struct bnr_plan *plan, const int *slots, int n) {
    for (int i = 0; i < n; i++)
        if (slots[i] >= 0 && !bnr__type_known(&plan->slots[slots[i]].type))
            return true;
    return false;
}

// Types are complete only at run time when an input's is, or when an output's dims depend on data
// that inference can look at then. Where they depend on the computation itself, asking again tells
// nothing.
static bool is_late(const struct bnr_plan *plan, const struct bnr_step *st) {
    if (st->n_bodies > 0)
        return false;
    return any_unknown(plan, st->in, st->n_in) ||
           (any_unknown(plan, st->out, st->n_out) && !(st->node->op->flags & BNR_OP_DATA_SHAPE));
}

// Output 0 is input 0's bytes, and nothing else is asked of the node.
static bool is_view(struct bnr_planner *p, const struct bnr_step *st) {
    const struct bnr_plan *plan = p->plan;
    if (p->plain || st->late || st->n_nodes > 1 ||
        (!(st->node->op->flags & BNR_OP_VIEW) &&
         (st->run || !bnr__plan_moves_nothing(p, st->node))))
        return false;
    for (int i = 1; i < st->n_out; i++)
        if (st->out[i] >= 0)
            return false;
    if (st->n_in < 1 || st->in[0] < 0 || st->out[0] < 0)
        return false;
    const struct bnr_slot *from = &plan->slots[st->in[0]], *to = &plan->slots[st->out[0]];
    size_t from_bytes, to_bytes;
    return from->kind != BNR_SLOT_DYNAMIC && to->kind == BNR_SLOT_PLACED &&
           bnr__type_placeable(&from->type) && bnr__slot_bytes(from, &from_bytes) &&
           bnr__slot_bytes(to, &to_bytes) && from_bytes == to_bytes &&
           bnr__dtype_size(from->type.dtype) == bnr__dtype_size(to->type.dtype);
}

static enum bnr_status complete_group(struct bnr_planner *p, struct bnr_group *g) {
    g->step.node = g->chain.nodes[0];
    g->step.nodes = g->chain.nodes;
    g->step.n_nodes = g->chain.n;
    g->step.before = g->chain.front ? g->chain.front->nodes : g->chain.before;
    g->step.n_before = g->chain.front ? g->chain.front->n : g->chain.n_before;
    BNR_TRY(bodies_of(p, g));
    BNR_TRY(read_slots(p, g));
    BNR_TRY(write_slots(p, g));
    g->step.late = is_late(p->plan, &g->step);
    g->view = is_view(p, &g->step);
    if (g->view)
        BNR_TRY(set_view(p, g->step.in[0], g->step.out[0]));
    emit(p, g);
    return BNR_OK;
}

static enum bnr_status output_slots(struct bnr_planner *p) {
    const struct bnr_graph *g = p->plan->graph;
    p->plan->outputs = BNR_NEW_ARRAY(&p->plan->storage, g->n_outputs, struct bnr_plan_output);
    if (!p->plan->outputs)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < g->n_outputs; i++)
        BNR_TRY(slot_to_read(p, g->outputs[i], false, &p->plan->outputs[i].slot));
    return BNR_OK;
}

// From the array that grew to one of their number, that stays.
static enum bnr_status keep_slots(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    struct bnr_slot *kept = BNR_NEW_ARRAY(&plan->storage, (size_t)plan->n_slots, struct bnr_slot);
    if (!kept)
        return bnr__no_memory(p->err);
    if (plan->n_slots > 0)
        memcpy(kept, plan->slots, (size_t)plan->n_slots * sizeof *kept);
    plan->slots = kept;
    return BNR_OK;
}

enum bnr_status bnr__plan_steps(struct bnr_planner *p) {
    const struct bnr_model *m = p->plan->graph->model;
    p->wanted = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_value_id, bool);
    p->slot_of[0] = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_value_id, int);
    p->slot_of[1] = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_value_id, int);
    p->packed_uses = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_value_id, size_t);
    p->node_index = BNR_NEW_ARRAY(&p->temp, (size_t)m->next_node_id, int);
    p->plan->slots = BNR_NEW_ARRAY(&p->temp, p->plan->graph->n_values, struct bnr_slot);
    p->slots_capacity = (int)p->plan->graph->n_values; // most values have one
    if (!p->plan->slots || !p->wanted || !p->slot_of[0] || !p->slot_of[1] || !p->packed_uses ||
        !p->node_index)
        return bnr__no_memory(p->err);
    for (int i = 0; i < m->next_value_id; i++)
        p->slot_of[0][i] = p->slot_of[1][i] = -1;
    find_running_nodes(p);
    BNR_TRY(slots_of_given(p));
    BNR_TRY(bnr__plan_groups(p));
    // A value is reordered once in a direction at most, and none is made in both forms.
    p->ordered =
        BNR_NEW_ARRAY(&p->temp, p->n_groups + (size_t)m->next_value_id, struct bnr_group *);
    if (!p->ordered)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < p->n_groups; i++)
        BNR_TRY(complete_group(p, &p->groups[i]));
    BNR_TRY(output_slots(p));
    return keep_slots(p);
}
