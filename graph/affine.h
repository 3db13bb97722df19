// SPDX-License-Identifier: Apache-2.0
// The affine y = s*x + t and how it moves. BatchNormalization in inference mode and arithmetic with
// constants are all seen as one affine whose s and t vary over some axes of x, mostly over one. An
// operator joins the folder by answering the questions of struct bnr_affine_rules, not by a new
// pass. All arithmetic on s and t is in double; weights are rounded once.
//
// `bnrun.Affine` is the operator that remains where an affine along one axis has to be executed:
// inputs x, s and t (constant float64 tensors of C elements), attribute `axis` (int).
#ifndef BNR_GRAPH_AFFINE_H
#define BNR_GRAPH_AFFINE_H

#include "graph/graph.h"

#define BNR_INTERNAL_DOMAIN "bnrun"

struct bnr_affine {
    int rank; // of the value that it applies to; 0 also where n is 1 and rank unknown
    int64_t
        dims[BNR_MAX_RANK]; // of s and t: 1, or the value's own dim on an axis over which they vary
    size_t n;               // product of dims
    const double *s, *t;    // [n], row-major
};

enum {
    BNR_AFFINE_UNIFORM = -1, // one s and one t
    BNR_AFFINE_MANY = -2,    // s and t vary over more than one axis
    BNR_AFFINE_MAX =
        1 << 22 // elements that s and t may have: the search keeps a few of them around
};

#define BNR_AFFINE_NEAR_ONE 0x1p-7 // factors that are no further from 1 than rounding takes a number

// Where an affine meets an operator.
struct bnr_affine_site {
    struct bnr_node *node;
    int index;                // input index (before) or output index (after)
    struct bnr_affine affine; // in terms of that input's / output's axes
    bool may_copy;            // weights that other nodes share may be copied: it carries a BN
    struct bnr_arena *temp;   // lives as long as the question
    const char *why;          // set to a sentence when the answer is no (in temp or static)
    // absorb_*: a shift that the operator has no place for. The caller puts it behind output 0, as
    // an affine in terms of that output's axes. n is 0: nothing is left.
    struct bnr_affine rest;
    // absorb_before: what another input of the node has to take in besides, weights that a node makes: a
    // scale in terms of that input's axes. n is 0: nothing has to.
    struct bnr_affine aside;
    int aside_index;
    // absorb_after: the channels of output 0 may be multiplied by numbers near 1 if their shifts are exact then.
    // Applied: by which (t is 0), in terms of output 0's axes. n is 0: they are not.
    bool may_multiply;
    struct bnr_affine multiple;
};

// The questions. `apply` false: only ask; nothing may change. With `apply` after a yes for the same
// site new constants are made and the node's inputs and attributes replaced (never the tensors,
// which others may share); the affine itself is unlinked by the caller. Then false means that `err`
// says why.
struct bnr_affine_rules {
    // op(x) -> affine: can the operator's constants take it in?
    bool (*absorb_after)(struct bnr_affine_site *site, bool apply, struct bnr_error *err);
    // affine -> op(x at input `index`): the same in front.
    bool (*absorb_before)(struct bnr_affine_site *site, bool apply, struct bnr_error *err);
    // op(x at input `index`) + affine(x): the same beside it.
    bool (*absorb_beside)(struct bnr_affine_site *site, bool apply, struct bnr_error *err);
    // affine -> op  ==  op -> affines: gives out[i] for each output that needs one (n 0: none
    // needed there). out has n_out zeroed entries; s and t in site->temp.
    bool (*forward)(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                    struct bnr_error *err);
    // op -> affine  ==  affines -> op: gives out[i] for each input that needs one. Nothing else
    // reads the output.
    bool (*backward)(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                     struct bnr_error *err);
};

// Sets site->why and returns false.
bool bnr__affine_no(struct bnr_affine_site *site, const char *fmt, ...) BNR_PRINTF(2, 3);

// The one axis over which s and t vary, BNR_AFFINE_UNIFORM or BNR_AFFINE_MANY.
int bnr__affine_axis(const struct bnr_affine *a);
bool bnr__affine_has_shift(const struct bnr_affine *a); // any t != 0
bool bnr__affine_has_scale(const struct bnr_affine *a); // any s != 1
bool bnr__affine_positive(const struct bnr_affine *a);  // all s > 0
bool bnr__affine_finite(const struct bnr_affine *a);
bool bnr__affine_number_fits(double v, enum bnr_dtype dtype); // finite when it is rounded to that
bool bnr__affine_fits(const struct bnr_affine *a, enum bnr_dtype dtype); // likewise all s and t
static inline bool bnr__affine_varies(const struct bnr_affine *a, int axis) {
    return axis < a->rank && a->dims[axis] != 1;
}

// Room for s and t of an affine with these dims (n is computed). NULL where n would pass
// BNR_AFFINE_MAX or memory is short. dims may be NULL for rank 0.
double *bnr__affine_alloc(struct bnr_affine *a, int rank, const int64_t *dims, double **t,
                          struct bnr_arena *arena);
// Likewise of one that varies over `axis` alone.
double *bnr__affine_alloc_along(struct bnr_affine *a, int rank, int axis, int64_t count, double **t,
                                struct bnr_arena *arena);
// *out = second(first(x)). False where they cannot be combined: too big, another rank, not finite.
bool bnr__affine_compose(struct bnr_affine *out, const struct bnr_affine *first,
                         const struct bnr_affine *second, struct bnr_arena *arena);
// s and t as arrays of `count` along `axis` alone: site->affine expanded where it is uniform. False
// (with why) where it varies over other axes or has another length.
bool bnr__affine_along(struct bnr_affine_site *site, int axis, int64_t count, const double **s,
                       const double **t);
// The affine with its scale alone (t = 0) or its shift alone (s = 1).
bool bnr__affine_scale_of(struct bnr_affine *out, const struct bnr_affine *a,
                          struct bnr_arena *arena);
bool bnr__affine_shift_of(struct bnr_affine *out, const struct bnr_affine *a,
                          struct bnr_arena *arena);

// Whether a BatchNormalization node normalizes by the batch's own statistics, by the rules of its version:
// attribute training_mode (from 14), a wanted output other than the first (7 to 13), is_test = 0 (1, 6).
// A training_mode attribute decides in every version, so that BNR_TRAINING can set it.
bool bnr__batch_norm_trains(const struct bnr_node *n); // runtime/ops/batch_normalization.c

#endif
