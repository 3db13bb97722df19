// SPDX-License-Identifier: Apache-2.0
// A plan: how one graph runs for one set of input shapes. A flat list of steps in execution order,
// and for every value that survives between steps a slot that says where its bytes are. A plan is
// made once, by bnr__plan_new, and read-only afterwards: any number of threads may run it, each in
// an execution context of its own (runtime/exec.h).
//
//     graph --infer--> types --groups--> kernels --steps--> slots --memory--> places in one arena
//
// Nodes whose results follow from constants and known shapes have no step. A step is a node, or a
// node with the members fused into it that its kernel takes. Values of known shape are placed in
// the arena, or straight in the memory of a graph output; what moves no element (a reshape, mostly)
// aliases its input and has no step; a kernel may read and write around nodes that move them, which
// have none either then; an element-wise step overwrites an input that dies with it. Values whose
// shape depends on data are made at run time.
//
// Regions around convolutions run on blocked tensors (kernels/nchwc_f32.h): there a value's slot
// holds its blocked form. A value that is read in both forms has a slot for each, and a step
// between them. What the caller sees, and what nested graphs read, is plain.
#ifndef BNR_PLAN_H
#define BNR_PLAN_H

#include "graph/op.h"

struct bnr_session;
struct bnr_plans;

enum bnr_slot_kind {
    BNR_SLOT_CONST,   // `tensor`
    BNR_SLOT_GIVEN,   // what the caller gives, number `index` of bnr_plans.given
    BNR_SLOT_PLACED,  // known dtype and dims: a header over `base` + `offset`
    BNR_SLOT_DYNAMIC, // a reference made by its step at run time, dropped after its last reader
};

enum bnr_base { BNR_BASE_ARENA, BNR_BASE_GIVEN, BNR_BASE_OUTPUT };

struct bnr_slot {
    enum bnr_slot_kind kind;
    const struct bnr_value *value;
    struct bnr_type type; // what inference says; a DYNAMIC slot's tensor is checked against it
    size_t lanes; // of a blocked form, else 0: its tensor's dims are those of bnr__blocked_dims
    int view_of;  // the slot whose bytes it shows, -1: its own
    struct bnr_tensor *tensor; // CONST: a reference
    enum bnr_base base;        // PLACED: what the offset counts from,
    int index;                 // GIVEN, PLACED: number of the given tensor or graph output
    size_t offset;
};

// A nested graph of a step, and the slots of what it captures, in the order of bnr_plans.given
// behind the graph's own inputs.
struct bnr_step_body {
    struct bnr_plans *plans;
    int *captured;
};

struct bnr_step {
    const struct bnr_node *node; // = nodes[0]
    // The head and the members that run with it; `out` are the outputs of the last one.
    const struct bnr_node *const *nodes;
    int n_nodes;
    const struct bnr_node *const *before; // members in front of the head, in order
    int n_before;
    void (*run)(const struct bnr_args *a, const void *state); // NULL: node->op->ref
    const void *state;
    const char *kernel; // name for profiles
    int *in, *out;      // slots, -1: omitted; inputs of members follow the node's own
    int n_in, n_out;
    size_t scratch; // offset in the arena
    bool late;      // types are complete only at run time: infer (and check) again before
    bool moving;    // reads or writes slots whose tensors are not the same objects in each run
    int *drop;      // DYNAMIC slots of which nothing reads after this step
    int n_drop;
    struct bnr_step_body *bodies;
    int n_bodies;
};

struct bnr_plan_output {
    int slot;
    bool direct; // the slot's base is this output: nothing is left to copy after the run
};

struct bnr_plan {
    struct bnr_plan *next;    // in bnr_plans, the most recently used first
    struct bnr_arena storage; // holds everything below
    struct bnr_graph *graph;
    struct bnr_type *given; // the key: types of what is given, in the order of bnr_plans.given
    size_t n_given;
    // A run is so many: of as many parts of everything given, and of the outputs, along the first
    // dim. Slots are those of one.
    size_t slices;
    bool side_by_side; // each thread runs slices of its own, with a context of its own
    struct bnr_slot *slots; // those of the given tensors first, in their order
    int n_slots;
    struct bnr_step *steps;
    int n_steps;
    struct bnr_plan_output *outputs; // [graph->n_outputs]
    size_t arena_bytes, arena_lower_bound;
    // Under the session's lock:
    int users;             // runs under way
    struct bnr_exec *idle; // contexts that no run uses
};

// What a plan is made for. `given` tensors are asked for their types only.
struct bnr_plan_request {
    struct bnr_session *session;
    struct bnr_plans *plans;
    struct bnr_tensor *const *given;
    bool last; // the session will make no other plan of this graph: originals of packed constants
               // may go
};

// One line about the node at fault when shapes do not fit.
enum bnr_status bnr__plan_new(struct bnr_plan **out, const struct bnr_plan_request *request,
                              struct bnr_error *err);
void bnr__plan_free(struct bnr_plan *plan); // without contexts
bool bnr__plan_fits(const struct bnr_plan *plan, struct bnr_tensor *const *given);

// Of graph output k, as the caller gets it.
struct bnr_type bnr__plan_output_type(const struct bnr_plan *plan, size_t k);

// A tensor type with dtype and all dims known.
bool bnr__type_known(const struct bnr_type *type);
// numel * element size of a known type; false on overflow.
bool bnr__type_bytes(const struct bnr_type *type, size_t *bytes);
// Of the tensor in a slot of known type: its rank and dims, and its bytes.
int bnr__slot_dims(const struct bnr_slot *slot, int64_t dims[BNR_MAX_RANK]);
bool bnr__slot_bytes(const struct bnr_slot *slot, size_t *bytes);

#endif
