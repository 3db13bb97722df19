// SPDX-License-Identifier: Apache-2.0
// Where an affine can go: the search for operators that take it in, through operators that let it
// pass. A search changes nothing; a found way is a list of steps that are then taken together.
#ifndef BNR_PASSES_LIB_AFFINE_SEARCH_H
#define BNR_PASSES_LIB_AFFINE_SEARCH_H

#include "passes/lib/affine_view.h"

enum bnr_way_kind {
    BNR_WAY_AFTER,    // node's constants take it in, behind output `index`
    BNR_WAY_BEFORE,   // likewise in front of input `index`
    BNR_WAY_BACK,     // it passes node from output `index` to the inputs
    BNR_WAY_FORTH,    // it passes node from input `index` to the outputs
    BNR_WAY_JOIN,     // node, an affine itself, was composed into it and goes
    BNR_WAY_CONSTANT, // input `index` of node is a constant that it is applied to
    BNR_WAY_MERGE,    // node, an affine itself, becomes the composition: the one that stays
    BNR_WAY_LEAVE,    // an affine of its own is put behind output `index` of node, where a step takes it
                      // along
};

struct bnr_way_step {
    enum bnr_way_kind kind;
    struct bnr_node *node;
    int index;
    struct bnr_affine affine; // in terms of that input's or output's axes; MERGE: the composition
    struct bnr_node *made;    // LEAVE: the affine
    int until;                // JOIN: where it went are the steps behind this one, up to here
};

enum { BNR_WAY_STEPS = 256 };

struct bnr_way {
    struct bnr_pass_cx *cx;
    struct bnr_node *node; // the affine that goes this way
    int data;              // its input
    bool may_copy;         // it carries a BatchNormalization: shared weights may be copied
    bool may_merge;        // ending in another affine is good enough
    bool forward;
    int may_leave, leaves; // how many affines of their own may be left on the way, and are
    bool changed;          // a step found before was changed: there is no way back behind it
    struct bnr_way_step steps[BNR_WAY_STEPS];
    int n_steps, visits;
    const char *why; // in cx->temp, when there is no way
};

// Where a search may end beside constants.
struct bnr_way_rules {
    bool forward;  // with the flow of data, else against it
    bool may_merge; // in another affine
    int may_leave;  // in so many affines of their own, which some other step takes along. 1: only where an
                    // operator takes in another part, and as one node of a file
};

// Looks for a way from `node`. `view` is node's.
bool bnr__way_find(struct bnr_way *way, struct bnr_pass_cx *cx, struct bnr_node *node,
                   const struct bnr_affine_view *view, const struct bnr_way_rules *rules);
// The dims of what an affine makes of a constant; returns the rank.
int bnr__way_constant_dims(const struct bnr_tensor *t, const struct bnr_affine *a, int64_t *dims);
// Calls visit for the nodes that g has now, as long as they are there, last to first or first to last, with
// a way to search with. cx->temp is emptied after each.
enum bnr_status bnr__way_each(struct bnr_pass_cx *cx, struct bnr_graph *g, bool backward,
                              enum bnr_status (*visit)(struct bnr_pass_cx *cx, struct bnr_node *n,
                                                       struct bnr_way *way));
// Takes the steps of a found way; node is gone afterwards. Origins go where the affine went.
enum bnr_status bnr__way_take(struct bnr_way *way);

#endif
