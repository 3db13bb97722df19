// SPDX-License-Identifier: Apache-2.0
// What a caller sees of a model: its inputs and outputs, and the checks of what he passes in.
#ifndef BNR_INTERFACE_H
#define BNR_INTERFACE_H

#include "graph/graph.h"

// One input or output. Two axes with the same symbol must get the same number: `first_input` and
// `first_axis` say where the symbol of an axis occurs first (itself at the first place; -1: no
// symbol).
struct bnr_port {
    struct bnr_value_info info;
    struct bnr_value *value;
    struct bnr_type type;
    int *first_input, *first_axis; // [rank], inputs only
};

struct bnr_interface {
    struct bnr_port *inputs, *outputs;
    size_t n_inputs, n_outputs;
};

// Describes the main graph of a model; NULL when out of memory. Inputs that are constant (IR < 4
// lists all initializers) are left out. Everything lies in m->arena.
const struct bnr_interface *bnr__interface_new(struct bnr_model *m);

// What every loaded model gets: operators bound, types as far as they are known, m->interface.
enum bnr_status bnr__model_complete(struct bnr_model *m, struct bnr_error *err);

// The tensor for input i: what the caller gives, else the default; NULL when there is neither.
struct bnr_tensor *bnr__interface_given(const struct bnr_interface *face,
                                        const bnr_tensor *const *inputs, size_t n_inputs, size_t i);
// Of the inputs that were made for `origin` those that `rewritten`, a copy of it, still takes, in its
// order: out has room for all. Returns how many. Frozen and unread ones may be gone.
size_t bnr__interface_left(const struct bnr_model *rewritten, const struct bnr_model *origin,
                           const bnr_tensor *const *inputs, size_t n_inputs, const bnr_tensor **out);
// Count, kinds, dtypes, ranks and dims of inputs, one line about the first that does not fit.
// any_float: wherever double is declared, other floating-point types are fine, too
// (BNR_PROMOTE_DOUBLE).
enum bnr_status bnr__interface_check(const struct bnr_interface *face,
                                     const bnr_tensor *const *inputs, size_t n_inputs,
                                     bool any_float, struct bnr_error *err);

#endif
