// SPDX-License-Identifier: Apache-2.0
// Where the values of a plan live: aliases, life times, overwriting, and places in the arena.
//
// Slots that share bytes share a block. A block lives from the step that makes its first slot to
// the last step that reads any of them; graph outputs live to the end. Nothing is written after its
// block died.
#include "runtime/plan_build.h"
#include "runtime/session.h"

static struct bnr_slot *slot_at(const struct bnr_planner *p, int slot) {
    return &p->plan->slots[slot];
}

// ---- parts --------------------------------------------------------------------------------------

// Whether the parts of a group's output lie one after the other already, or none has its place yet.
static bool parts_fit(const struct bnr_planner *p, const struct bnr_step *st, bool *placed) {
    const int first = st->in[0];
    size_t place = p->place_of[first];
    *placed = p->home_of[first] >= 0;
    for (int i = 0; i < st->n_in; i++) {
        const int part = st->in[i];
        size_t bytes;
        if (p->home_of[part] != p->home_of[first] || slot_at(p, part)->view_of >= 0 ||
            (*placed && p->place_of[part] != place) || !bnr__slot_bytes(slot_at(p, part), &bytes))
            return false;
        for (int k = 0; k < i; k++)
            if (st->in[k] == part)
                return false;
        place += bytes;
    }
    return true;
}

// Concat without copying: its parts are made where they stand in its output, or stand there already
// because a later one has them (DenseNet).
static bool join(struct bnr_planner *p, const struct bnr_step *st) {
    const int whole = st->out[0];
    bool placed;
    if (!parts_fit(p, st, &placed) || (placed && p->home_of[whole] >= 0))
        return false;
    if (placed) {
        p->home_of[whole] = p->home_of[st->in[0]];
        p->place_of[whole] = p->place_of[st->in[0]];
        return true;
    }
    size_t place = p->place_of[whole];
    for (int i = 0; i < st->n_in; i++) {
        size_t bytes = 0;
        bnr__slot_bytes(slot_at(p, st->in[i]), &bytes);
        p->home_of[st->in[i]] = p->home_of[whole] >= 0 ? p->home_of[whole] : whole;
        p->place_of[st->in[i]] = place;
        place += bytes;
    }
    return true;
}

// Later ones first: they have more parts.
static void join_parts(struct bnr_planner *p) {
    for (int i = 0; i < p->plan->n_slots; i++)
        p->home_of[i] = -1;
    for (size_t i = p->n_ordered; i-- > 0;) {
        struct bnr_group *g = p->ordered[i];
        g->joined = g->joined && join(p, &g->step);
        p->plan->n_steps -= g->joined;
    }
}

// ---- life times ---------------------------------------------------------------------------------

static void read_by(struct bnr_planner *p, const int *slots, size_t n, int step) {
    for (size_t i = 0; i < n; i++)
        if (slots[i] >= 0 && p->last_use[slots[i]] < step)
            p->last_use[slots[i]] = step;
}

static void find_last_uses(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    for (int i = 0; i < plan->n_slots; i++)
        p->last_use[i] = -1;
    int step = 0;
    for (size_t i = 0; i < p->n_ordered; i++) {
        const struct bnr_group *g = p->ordered[i];
        const struct bnr_step *st = &g->step;
        if (g->view || g->joined)
            continue;
        read_by(p, st->in, (size_t)st->n_in, step);
        for (int b = 0; b < st->n_bodies; b++)
            read_by(p, st->bodies[b].captured,
                    st->bodies[b].plans->n_given - st->bodies[b].plans->n_inputs, step);
        step++;
    }
    for (size_t i = 0; i < plan->graph->n_outputs; i++)
        read_by(p, &plan->outputs[i].slot, 1, plan->n_steps);
    // Who reads a view reads what it is a view of; views of views come later in the order of
    // execution.
    for (size_t i = p->n_ordered; i-- > 0;) {
        const struct bnr_group *g = p->ordered[i];
        const struct bnr_step *st = &g->step;
        if (g->view || g->joined)
            read_by(p, st->in, g->view ? 1 : (size_t)st->n_in, p->last_use[st->out[0]]);
    }
    // What has parts lives as long as any of them.
    for (int i = 0; i < plan->n_slots; i++)
        if (p->home_of[i] >= 0)
            read_by(p, &p->home_of[i], 1, p->last_use[i]);
}

// ---- blocks -------------------------------------------------------------------------------------

static enum bnr_status block_new(struct bnr_planner *p, size_t size, int first, int last,
                                 int *block) {
    *block = (int)p->n_blocks++;
    p->blocks[*block] =
        (struct bnr_block){.size = size, .first = first, .last = last > first ? last : first};
    return BNR_OK;
}

static enum bnr_status alias(struct bnr_planner *p, const struct bnr_step *st) {
    const int block = p->block_of[st->out[0]] = p->block_of[st->in[0]];
    size_t bytes;
    p->place_of[st->out[0]] = p->place_of[st->in[0]];
    if (!bnr__slot_bytes(slot_at(p, st->out[0]), &bytes))
        return bnr__no_memory(p->err);
    // A blocked form may be longer by lanes without channel.
    if (block >= 0 && p->blocks[block].size < p->place_of[st->out[0]] + bytes)
        p->blocks[block].size = p->place_of[st->out[0]] + bytes;
    return BNR_OK;
}

// Whether output 0 of a step may take the memory of the input that the step may overwrite: nothing
// reads it later, and the step reads it through that input only.
static bool can_overwrite(const struct bnr_planner *p, const struct bnr_group *g, int step,
                          size_t bytes) {
    const struct bnr_step *st = &g->step;
    const int which = g->overwrites;
    if (which < 0 || which >= st->n_in || st->in[which] < 0)
        return false;
    const int block = p->block_of[st->in[which]];
    if (block < 0 || p->blocks[block].last != step || p->blocks[block].size != bytes)
        return false;
    for (int i = 0; i < st->n_in; i++)
        if (i != which && st->in[i] >= 0 && p->block_of[st->in[i]] == block)
            return false;
    return bnr__dtype_size(slot_at(p, st->in[which])->type.dtype) ==
           bnr__dtype_size(slot_at(p, st->out[0])->type.dtype);
}

static enum bnr_status too_large(const struct bnr_node *n, int output, const struct bnr_type *type,
                                 struct bnr_error *err) {
    char text[200];
    return bnr__op_fail(n, err, BNR_SHAPE, "output %d, %s, is larger than memory can be", output,
                        bnr__type_describe(type, text, sizeof text));
}

// The block of a part is that of the whole, which begins with the first part that is made.
static enum bnr_status assign_home(struct bnr_planner *p, int slot, int step) {
    const int home = p->home_of[slot];
    size_t bytes;
    if (!bnr__slot_bytes(slot_at(p, home), &bytes))
        return bnr__no_memory(p->err);
    if (p->block_of[home] < 0)
        BNR_TRY(block_new(p, bytes, step, p->last_use[home], &p->block_of[home]));
    p->block_of[slot] = p->block_of[home];
    return BNR_OK;
}

static enum bnr_status assign_outputs(struct bnr_planner *p, const struct bnr_group *g, int step) {
    const struct bnr_step *st = &g->step;
    for (int i = 0; i < st->n_out; i++) {
        if (st->out[i] < 0 || slot_at(p, st->out[i])->kind != BNR_SLOT_PLACED)
            continue;
        size_t bytes;
        if (!bnr__slot_bytes(slot_at(p, st->out[i]), &bytes))
            return too_large(st->node, i, &slot_at(p, st->out[i])->type, p->err);
        int *block = &p->block_of[st->out[i]], last = p->last_use[st->out[i]];
        if (p->home_of[st->out[i]] >= 0)
            BNR_TRY(assign_home(p, st->out[i], step));
        else if (i == 0 && can_overwrite(p, g, step, bytes)) {
            *block = p->block_of[st->in[g->overwrites]];
            p->blocks[*block].last = last > step ? last : step;
        } else {
            BNR_TRY(block_new(p, bytes, step, last, block));
        }
    }
    return BNR_OK;
}

// ---- drops --------------------------------------------------------------------------------------

// DYNAMIC slots go after their last reader, or after their own step when nobody reads them.
static enum bnr_status assign_drops(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    int *made_by = BNR_NEW_ARRAY(&p->temp, (size_t)plan->n_slots, int);
    if (!made_by)
        return bnr__no_memory(p->err);
    for (int s = 0; s < plan->n_steps; s++)
        for (int i = 0; i < plan->steps[s].n_out; i++)
            if (plan->steps[s].out[i] >= 0)
                made_by[plan->steps[s].out[i]] = s;
    // Counted first, then filled.
    for (int fill = 0; fill < 2; fill++) {
        for (int i = 0; i < plan->n_slots; i++) {
            if (plan->slots[i].kind != BNR_SLOT_DYNAMIC)
                continue;
            const int after = p->last_use[i] >= 0 ? p->last_use[i] : made_by[i];
            if (after >= plan->n_steps)
                continue;
            struct bnr_step *st = &plan->steps[after];
            if (fill)
                st->drop[st->n_drop] = i;
            st->n_drop++;
        }
        for (int s = 0; !fill && s < plan->n_steps; s++) {
            struct bnr_step *st = &plan->steps[s];
            st->drop = BNR_NEW_ARRAY(&plan->storage, (size_t)st->n_drop, int);
            if (!st->drop)
                return bnr__no_memory(p->err);
            st->n_drop = 0;
        }
    }
    return BNR_OK;
}

// ---- outputs and offsets ------------------------------------------------------------------------

// A block that holds a graph output lies in that output's own memory. One that holds several lies
// in the first one's; the others are copied after the run, as is what a blocked tensor shares.
static void place_in_outputs(struct bnr_planner *p, int *output_of) {
    enum { NONE = -1, BLOCKED = -2 };
    struct bnr_plan *plan = p->plan;
    for (size_t i = 0; i < p->n_blocks; i++)
        output_of[i] = NONE;
    for (int i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].lanes && p->block_of[i] >= 0)
            output_of[p->block_of[i]] = BLOCKED;
    for (size_t k = 0; k < plan->graph->n_outputs; k++) {
        const int slot = plan->outputs[k].slot, block = p->block_of[slot];
        if (block < 0 || output_of[block] != NONE)
            continue;
        output_of[block] = (int)k;
        p->blocks[block].size = 0; // takes no place in the arena
        plan->outputs[k].direct = true;
    }
}

static void set_places(struct bnr_planner *p, const int *output_of) {
    for (int i = 0; i < p->plan->n_slots; i++) {
        const int block = p->block_of[i];
        if (block < 0)
            continue;
        struct bnr_slot *s = slot_at(p, i);
        s->base = output_of[block] >= 0 ? BNR_BASE_OUTPUT : BNR_BASE_ARENA;
        s->index = output_of[block] >= 0 ? output_of[block] : -1;
        s->offset = p->blocks[block].offset + p->place_of[i];
    }
}

// ---- all of it ----------------------------------------------------------------------------------

static bool is_moving(const struct bnr_plan *plan, const int *slots, int n) {
    for (int i = 0; i < n; i++)
        if (slots[i] >= 0 && (plan->slots[slots[i]].kind == BNR_SLOT_GIVEN ||
                              plan->slots[slots[i]].kind == BNR_SLOT_DYNAMIC))
            return true;
    return false;
}

// Turns groups into aliases and steps with blocks. scratch_of[step]: the block of its scratch
// memory.
static enum bnr_status assign_blocks(struct bnr_planner *p, int *scratch_of) {
    struct bnr_plan *plan = p->plan;
    int step = 0;
    for (size_t i = 0; i < p->n_ordered; i++) {
        struct bnr_group *g = p->ordered[i];
        if (g->view) {
            BNR_TRY(alias(p, &g->step));
            continue;
        }
        if (g->joined) {
            p->block_of[g->step.out[0]] = p->block_of[g->step.in[0]];
            continue;
        }
        BNR_TRY(assign_outputs(p, g, step));
        BNR_TRY(block_new(p, g->scratch_bytes, step, step, &scratch_of[step]));
        g->step.moving = is_moving(plan, g->step.in, g->step.n_in) ||
                         is_moving(plan, g->step.out, g->step.n_out);
        plan->steps[step++] = g->step;
    }
    return BNR_OK;
}

enum bnr_status bnr__plan_memory(struct bnr_planner *p) {
    struct bnr_plan *plan = p->plan;
    const size_t n_slots = (size_t)plan->n_slots, n_steps = (size_t)plan->n_steps;
    plan->steps = BNR_NEW_ARRAY(&plan->storage, n_steps, struct bnr_step);
    p->last_use = BNR_NEW_ARRAY(&p->temp, n_slots, int);
    p->block_of = BNR_NEW_ARRAY(&p->temp, n_slots, int);
    p->blocks = BNR_NEW_ARRAY(&p->temp, n_slots + n_steps, struct bnr_block);
    int *output_of = BNR_NEW_ARRAY(&p->temp, n_slots + n_steps, int);
    int *scratch_of = BNR_NEW_ARRAY(&p->temp, n_steps, int);
    p->home_of = BNR_NEW_ARRAY(&p->temp, n_slots, int);
    p->place_of = BNR_NEW_ARRAY(&p->temp, n_slots, size_t);
    if (!plan->steps || !p->home_of || !p->place_of || !p->last_use || !p->block_of || !p->blocks ||
        !output_of || !scratch_of)
        return bnr__no_memory(p->err);
    for (size_t i = 0; i < n_slots; i++)
        p->block_of[i] = -1;
    join_parts(p);
    find_last_uses(p);
    BNR_TRY(assign_blocks(p, scratch_of));
    BNR_TRY(assign_drops(p));
    place_in_outputs(p, output_of);
    struct bnr_placement placement;
    BNR_TRY(bnr__place(p->blocks, p->n_blocks, &p->temp, &placement, p->err));
    set_places(p, output_of);
    for (size_t s = 0; s < (size_t)plan->n_steps; s++)
        plan->steps[s].scratch = p->blocks[scratch_of[s]].offset;
    plan->arena_bytes = placement.bytes;
    plan->arena_lower_bound = placement.lower_bound;
    return BNR_OK;
}
