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
    int *slot_of;        // [value id] -> slot, -1: none
    bool *wanted;        // [value id]: something that runs reads it
    size_t *packed_uses; // [value id]: node inputs for which a kernel had the constant packed
    int *node_index;     // [node id] -> position among the graph's nodes
    struct bnr_group *groups;
    size_t n_groups;
    bool *grouped; // [node id]: in one of them
    int slots_capacity;
    int *last_use; // [slot]: last step that reads it, n_steps for graph outputs; -1: none
    int *block_of; // [slot] -> block, -1: none
    struct bnr_block *blocks; // one per slot at most, then one per step for scratch
    size_t n_blocks;
    struct bnr_error *err;
};

// A node with the members that run in its step; what becomes a step or an alias.
struct bnr_group {
    const struct bnr_node *const *nodes; // [n], the head first
    const struct bnr_node *const *before; // [n_before], what runs in front of the head
    int n_before;
    int n, position;                     // of the last node, in the order of the graph
    bool view;                           // output 0 is input 0 with other dims: no step
    int overwrites;                      // the input whose memory output 0 may take, -1: none
    size_t scratch_bytes;
    struct bnr_value *packed[BNR_MAX_ASKED]; // constants that the kernel packed and does not read
    int n_packed;
    struct bnr_step step;
};

// plan_groups.c: p->groups, in execution order, from p->node_index.
enum bnr_status bnr__plan_groups(struct bnr_planner *p);
// plan_steps.c: groups in execution order, slots, and the steps without memory.
enum bnr_status bnr__plan_steps(struct bnr_planner *p);
// plan_memory.c: life times, aliases, places.
enum bnr_status bnr__plan_memory(struct bnr_planner *p);

bool bnr__type_placeable(const struct bnr_type *type); // known, and bytes that need no owner

static inline const struct bnr_info *bnr__planner_info(const struct bnr_planner *p,
                                                       const struct bnr_value *v) {
    return &p->table.infos[v->id];
}

#endif
