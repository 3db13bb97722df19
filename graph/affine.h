// SPDX-License-Identifier: Apache-2.0
// The internal affine and how it moves. BatchNormalization and its spellings are lowered to one operator,
// `bnrun.Affine`: y = s[c] * x + t[c] along `axis`, with s and t constant float64 tensors of C elements
// (inputs 1 and 2; attribute `axis`, int). All arithmetic on s and t is in double; weights are rounded
// once. An operator joins the folder by answering the questions below, not by a new pass.
#ifndef BNR_GRAPH_AFFINE_H
#define BNR_GRAPH_AFFINE_H

#include "graph/graph.h"

#define BNR_INTERNAL_DOMAIN "bnrun"

struct bnr_affine {
    int axis;         // of the value that it applies to, >= 0
    int64_t channels; // length of s and t
    const double *s, *t;
};

// Where an affine meets an operator. `value` index: which input (before) or output (after).
struct bnr_affine_site {
    struct bnr_node *node;
    int index;                // input index (before) or output index (after)
    struct bnr_affine affine; // in terms of that input's / output's axes
    struct bnr_arena *temp;   // lives as long as the question
    const char *why;          // set to a sentence when the answer is no (in temp or static)
};

struct bnr_affine_rules {
    // op(x) -> affine: can the operator's constants take it in? `apply` false: only ask. On apply new
    // constants are made and the node's inputs replaced; the affine itself is unlinked by the caller.
    bool (*absorb_after)(struct bnr_affine_site *site, bool apply, struct bnr_error *err);
    // affine -> op(x at input index): the same in front.
    bool (*absorb_before)(struct bnr_affine_site *site, bool apply, struct bnr_error *err);
    // affine -> op  ==  op -> affine': gives affine' in terms of output 0 (s, t in site->temp).
    bool (*forward)(struct bnr_affine_site *site, struct bnr_affine *out);
    // op -> affine  ==  affines' on the data inputs -> op: out[i] for each input that needs one (channels
    // 0: none needed there).
    bool (*backward)(struct bnr_affine_site *site, struct bnr_affine *out);
};

#endif
