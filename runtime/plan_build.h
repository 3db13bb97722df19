// SPDX-License-Identifier: Apache-2.0
// A plan in the making: shared by the files plan*.c only.
#ifndef BNR_PLAN_BUILD_H
#define BNR_PLAN_BUILD_H

#include "runtime/packs.h"
#include "runtime/place.h"
#include "runtime/plan.h"

struct bnr_planner {
    const struct bnr_plan_request *request;
    struct bnr_plan *plan;
    bool plain; // BNR_REFERENCE: every node by its reference code, nothing aliased or left out
    struct bnr_arena temp;
    struct bnr_infer_table table;
    int *slot_of[2];     // [blocked][value id] -> slot of that form, -1: none
    bool *wanted;        // [value id]: something that runs reads it
    size_t *packed_uses; // [value id]: node inputs for which a kernel had the constant packed
    int *node_index;     // [node id] -> position among the graph's nodes
    size_t lanes;        // of blocked tensors
    struct bnr_candidate *candidates;
    size_t n_candidates;
    int *candidate_of; // [node id] -> the candidate that is to run, -1: none
    struct bnr_group *groups;
    size_t n_groups;
    bool *grouped; // [node id]: in one of them, or while candidates are looked for, in one of those
    struct bnr_group **ordered; // the groups, with reorders in front of those that need them
    size_t n_ordered;
    int slots_capacity;
    int *last_use; // [slot]: last step that reads it, n_steps for graph outputs; -1: none
    int *block_of; // [slot] -> block, -1: none
    int *home_of;  // [slot] -> the slot of the tensor that it is a part of, -1: none
    size_t *place_of; // [slot] -> bytes from the start of its block
    struct bnr_block *blocks; // one per slot at most, then one per step for scratch
    size_t n_blocks;
    struct bnr_error *err;
};

// A node with the members that run in its step.
struct bnr_chain {
    const struct bnr_node *const *nodes, *const *before; // the head first; what runs in front of it
    int n, n_before;
    const struct bnr_chain *front; // another chain, whose output is input 0 here and in no memory; or NULL
    // What the step reads and writes in the place of its inputs and of output 0, which are parts of these
    // (plan_moves.c); NULL: the values themselves.
    const struct bnr_value **from, *to;
};

// The inputs of the step: the head's own (where something runs in front of it, input 0 is the first
// one's), then those of the members behind but for the chained one, then those of the front's head but
// for the first one. Input i; NULL: omitted.
const struct bnr_value *bnr__chain_input(const struct bnr_chain *c, int i);
int bnr__chain_inputs(const struct bnr_chain *c); // how many

// What becomes a step or an alias.
struct bnr_group {
    struct bnr_chain chain;
    int position;                     // of the last node, in the order of the graph
    uint64_t blocked_in, blocked_out; // as in bnr_prepare
    bool view;                        // output 0 is input 0 with other dims: no step
    bool joined;    // output 0 is all inputs one after the other: no step where they can be laid so
    int overwrites;                   // the input whose memory output 0 may take, -1: none
    size_t scratch_bytes;
    struct bnr_value *packed[BNR_MAX_ASKED]; // constants that the kernel packed and does not read
    int n_packed;
    enum bnr_status (*pair)(struct bnr_pair *p);
    bool (*place)(const void *state, int i, const struct bnr_strided *at);
    bool passed, gone; // read around; not needed any more
    struct bnr_step step;
};

// What a kernel for blocked tensors would run together.
struct bnr_candidate {
    struct bnr_chain chain;
    uint64_t blocked_in, blocked_out;
    double saves; // see bnr_prepare
    bool taken;
};

// plan_groups.c: p->groups, in execution order, from p->node_index.
enum bnr_status bnr__plan_groups(struct bnr_planner *p);
// plan_pairs.c: groups that run as one with what makes their input.
enum bnr_status bnr__plan_pairs(struct bnr_planner *p);
// plan_moves.c: groups that read or write around those that only move elements.
enum bnr_status bnr__plan_moves(struct bnr_planner *p);
// Whether output 0 of the node, of known shape, is input 0's elements in the same order.
bool bnr__plan_moves_nothing(struct bnr_planner *p, const struct bnr_node *n);
// The infos of a node's inputs or outputs, NULL for what is omitted; NULL when out of memory.
const struct bnr_info **bnr__planner_infos(struct bnr_planner *p, struct bnr_value *const *values,
                                           int n);
// The node that v's only use is, apart from nodes that do not run, or NULL.
const struct bnr_node *bnr__plan_only_reader(const struct bnr_planner *p, const struct bnr_value *v);
// What groups could there be on blocked tensors: p->candidates, without packing anything.
enum bnr_status bnr__plan_candidates(struct bnr_planner *p);
// plan_layout.c: which values are blocked; sets p->lanes, and candidate_of to what is to run so.
enum bnr_status bnr__plan_layout(struct bnr_planner *p);
// plan_steps.c: groups in execution order, slots, and the steps without memory.
enum bnr_status bnr__plan_steps(struct bnr_planner *p);
// plan_memory.c: life times, aliases, places.
enum bnr_status bnr__plan_memory(struct bnr_planner *p);

// plan_slices.c: into how many runs one for these types is cut, from what inference says.
size_t bnr__plan_slices(const struct bnr_planner *p);
// Whether inference says for a slice what it said for the whole, but for the first dims' parts.
bool bnr__plan_slices_agree(const struct bnr_planner *p, const struct bnr_infer_table *whole);

bool bnr__type_placeable(const struct bnr_type *type); // known, and bytes that need no owner

// Whether v is known before any step runs.
bool bnr__plan_value_known(const struct bnr_planner *p, const struct bnr_value *v);

static inline bool bnr__is_blocked(uint64_t mask, int i) {
    return i < 64 && (mask >> i & 1) != 0;
}

static inline const struct bnr_info *bnr__planner_info(const struct bnr_planner *p,
                                                       const struct bnr_value *v) {
    return &p->table.infos[v->id];
}

#endif
