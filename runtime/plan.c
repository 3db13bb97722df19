// SPDX-License-Identifier: Apache-2.0
// Making a plan: from the types of what is given, through inference, to steps and memory.
#include "runtime/plan.h"

#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/ops/lib/blocked.h"
#include "runtime/plan_build.h"
#include "runtime/session.h"

bool bnr__type_known(const struct bnr_type *type) {
    return type->kind == BNR_KIND_TENSOR && type->dtype != BNR_UNDEFINED &&
           bnr__shape_known(&type->shape);
}

bool bnr__type_bytes(const struct bnr_type *type, size_t *bytes) {
    size_t numel;
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(&type->shape, dims);
    return bnr__shape_numel(dims, type->shape.rank, "", &numel, NULL) == BNR_OK &&
           bnr__size_mul(numel, bnr__dtype_size(type->dtype), bytes);
}

int bnr__slot_dims(const struct bnr_slot *slot, int64_t dims[BNR_MAX_RANK]) {
    if (slot->lanes)
        return bnr__blocked_dims(&slot->type, slot->lanes, dims);
    bnr__shape_numbers(&slot->type.shape, dims);
    return slot->type.shape.rank;
}

bool bnr__slot_bytes(const struct bnr_slot *slot, size_t *bytes) {
    size_t numel;
    int64_t dims[BNR_MAX_RANK];
    const int rank = bnr__slot_dims(slot, dims);
    return bnr__shape_numel(dims, rank, "", &numel, NULL) == BNR_OK &&
           bnr__size_mul(numel, bnr__dtype_size(slot->type.dtype), bytes);
}

// ---- the key ------------------------------------------------------------------------------------

// An element type without shapes: plans are not told apart by the shapes inside of sequences.
static const struct bnr_type *loose_type(const struct bnr_tensor *t, struct bnr_arena *arena) {
    struct bnr_type *type = BNR_NEW(arena, struct bnr_type);
    if (!type)
        return NULL;
    type->kind = t->kind;
    type->dtype = t->dtype;
    type->shape = bnr__shape_unknown();
    if (t->kind == BNR_KIND_SEQUENCE || t->kind == BNR_KIND_OPTIONAL)
        type->elem = t->n_items ? loose_type(t->items[0], arena) : NULL;
    else if (t->kind == BNR_KIND_MAP)
        type->elem = t->n_items > 1 ? loose_type(t->items[1], arena) : NULL;
    return type;
}

static bool set_key(struct bnr_type *key, const struct bnr_tensor *t, struct bnr_arena *arena) {
    const struct bnr_type *loose = loose_type(t, arena);
    if (!loose)
        return false;
    *key = *loose;
    if (t->kind == BNR_KIND_TENSOR || t->kind == BNR_KIND_SPARSE)
        key->shape = bnr__shape_of(t->rank, t->dims);
    return true;
}

static bool key_fits(const struct bnr_type *key, const struct bnr_tensor *t) {
    if (key->kind != t->kind || key->dtype != t->dtype)
        return false;
    if (t->kind != BNR_KIND_TENSOR && t->kind != BNR_KIND_SPARSE)
        return true;
    if (key->shape.rank != t->rank)
        return false;
    for (int d = 0; d < t->rank; d++)
        if (key->shape.dims[d].n != t->dims[d])
            return false;
    return true;
}

bool bnr__plan_fits(const struct bnr_plan *plan, struct bnr_tensor *const *given) {
    for (size_t i = 0; i < plan->n_given; i++)
        if (!key_fits(&plan->given[i], given[i]))
            return false;
    return true;
}

// ---- types --------------------------------------------------------------------------------------

// A sequence's item type as the key has it is unknown when the sequence is empty: take the declared
// one.
static void complete_type(struct bnr_type *type, const struct bnr_value *v) {
    const struct bnr_type *known = v->info->type.elem ? &v->info->type : v->declared;
    if (!type->elem && known->kind == type->kind)
        type->elem = known->elem;
}

// From `given`, the types of what a run of the plan is given.
static enum bnr_status infer_types(struct bnr_planner *p, const struct bnr_type *given) {
    const struct bnr_plans *plans = p->request->plans;
    BNR_TRY(bnr__infer_table_init(&p->table, plans->graph->model, &p->temp));
    for (size_t i = 0; i < plans->n_given; i++) {
        struct bnr_info *info = &p->table.infos[plans->given[i]->id];
        *info = bnr__info_unknown();
        info->type = given[i];
        complete_type(&info->type, plans->given[i]);
    }
    for (size_t i = 0; i < plans->n_captures; i++) {
        const struct bnr_value *v = plans->captures[i];
        if (bnr__value_is_constant(v))
            BNR_TRY(bnr__info_of_tensor(&p->table.infos[v->id], v->tensor, &p->temp));
    }
    return bnr__graph_infer(plans->graph, &p->table, p->err);
}

// Types of a slice instead of those of the whole, where the plan is for slices. A graph may have
// the number of images written in it.
static enum bnr_status set_slices(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    plan->slices = bnr__plan_slices(p);
    if (plan->slices == 1)
        return BNR_OK;
    struct bnr_infer_table whole = p->table;
    struct bnr_error *err = p->err;
    struct bnr_type *given = BNR_NEW_ARRAY(&p->temp, plan->n_given, struct bnr_type);
    if (!given)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < plan->n_given; i++) {
        given[i] = plan->given[i];
        given[i].shape.dims[0].n /= (int64_t)plan->slices;
    }
    p->err = NULL;
    const enum bnr_status st = infer_types(p, given);
    p->err = err;
    if (st == BNR_OK && bnr__plan_slices_agree(p, &whole)) {
        bnr__infer_table_free(&whole);
        const size_t threads = (size_t)p->request->session->threads;
        plan->side_by_side =
            threads > 1 && (plan->slices % threads == 0 || plan->slices > 2 * threads);
        return BNR_OK;
    }
    bnr__infer_table_free(&p->table);
    p->table = whole;
    plan->slices = 1;
    return BNR_OK;
}

struct bnr_type bnr__plan_output_type(const struct bnr_plan *plan, size_t k) {
    struct bnr_type type = plan->slots[plan->outputs[k].slot].type;
    if (plan->slices > 1)
        type.shape.dims[0].n *= (int64_t)plan->slices;
    return type;
}

// ---- making and freeing -------------------------------------------------------------------------

static enum bnr_status build(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    const struct bnr_plans *plans = p->request->plans;
    plan->graph = plans->graph;
    plan->n_given = plans->n_given;
    plan->given = BNR_NEW_ARRAY(&plan->storage, plans->n_given, struct bnr_type);
    if (!plan->given)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < plans->n_given; i++)
        if (!set_key(&plan->given[i], p->request->given[i], &plan->storage))
            return bnr__no_memory(p->err);
    BNR_TRY(infer_types(p, plan->given));
    BNR_TRY(set_slices(p));
    BNR_TRY(bnr__plan_steps(p));
    return bnr__plan_memory(p);
}

enum bnr_status bnr__plan_new(struct bnr_plan **out, const struct bnr_plan_request *request,
                              struct bnr_error *err) {
    struct bnr_session *s = request->session;
    *out = NULL;
    struct bnr_plan *plan = bnr__calloc(s->allocator, 1, sizeof *plan);
    if (!plan)
        return bnr__no_memory(err);
    bnr__arena_init(&plan->storage, s->allocator);
    struct bnr_planner p = {
        .request = request, .plan = plan, .plain = s->flags & BNR_REFERENCE, .err = err};
    bnr__arena_init(&p.temp, s->allocator);
    enum bnr_status st = build(&p);
    if (bnr__packs_fill(&s->packs) != BNR_OK && st == BNR_OK)
        st = bnr__no_memory(err);
    bnr__infer_table_free(&p.table);
    if (st == BNR_OK)
        *out = plan;
    else
        bnr__plan_free(plan);
    bnr__arena_free(&p.temp); // last: slots of a plan that failed may be in it
    return st;
}

void bnr__plan_free(struct bnr_plan *plan) {
    if (!plan)
        return;
    const struct bnr_allocator *a = plan->storage.allocator;
    for (int i = 0; i < plan->n_slots; i++)
        bnr__tensor_unref(plan->slots[i].tensor);
    bnr__arena_free(&plan->storage);
    bnr__free(a, plan, sizeof *plan);
}
