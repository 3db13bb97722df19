// SPDX-License-Identifier: Apache-2.0
// Types of values that are sequences or optionals, and types that hold for several values at once:
// the branches of an If, the rounds of a Loop, the items of a sequence.
#ifndef BNR_OPS_LIB_TYPES_H
#define BNR_OPS_LIB_TYPES_H

#include "graph/op.h"

// Nothing is known, not even that it is a tensor.
bool bnr__type_is_unknown(const struct bnr_type *t);

// *to becomes what is true of both: dims and ranks that differ become unknown. False, and *to
// unknown, when they differ in kind or dtype. NULL as element type means unknown. Sets *changed
// (may be NULL) when *to lost something. Out of memory counts as unknown.
bool bnr__type_merge(struct bnr_arena *arena, struct bnr_type *to, const struct bnr_type *from,
                     bool *changed);

// "sequence of" or "optional" `elem`, which is copied (NULL or unknown: of unknown type).
enum bnr_status bnr__infer_container(struct bnr_infer *cx, int out, enum bnr_kind kind,
                                     const struct bnr_type *elem);

// The type of the items of input i, which must be a sequence where its kind is known.
enum bnr_status bnr__infer_items(struct bnr_infer *cx, int i, struct bnr_type *item);

// The same at run time: BNR_SHAPE unless input i is a sequence.
enum bnr_status bnr__args_sequence(const struct bnr_args *a, int i);

// The one integer of input i (a position), or `fallback` when it is omitted.
enum bnr_status bnr__args_scalar(const struct bnr_args *a, int i, int64_t fallback, int64_t *out);

// Makes t output i: shared where it outlives the step, else copied. The caller keeps its reference.
enum bnr_status bnr__out_keep(const struct bnr_args *a, int i, const struct bnr_tensor *t);

// Appends t (kept as above) to a sequence or optional.
enum bnr_status bnr__push_keep(struct bnr_tensor *to, const struct bnr_tensor *t,
                               struct bnr_error *err);

#endif
