// SPDX-License-Identifier: Apache-2.0
// Values made visible: as outputs of the model, out of the bodies of If, Loop, Scan and SequenceMap, too.
#ifndef BNR_EXPOSE_H
#define BNR_EXPOSE_H

#include "graph/graph.h"

// Output `index` of n, new where there is none.
enum bnr_status bnr__node_output(struct bnr_value **out, struct bnr_node *n, int index,
                                 struct bnr_error *err);
// Makes v, of any graph of the model, an output of the main graph: *output is its place there. A body hands
// it out as one more output of its node: stacked over the rounds of a Loop or Scan, as a sequence by
// SequenceMap, and in the place of a branch of an If that is not taken stand zeros of v's type (open dims
// are 0 there).
enum bnr_status bnr__expose(size_t *output, struct bnr_value *v, const struct bnr_type *type,
                            struct bnr_error *err);
// Reads what became of it: all numbers, row after row, into v (up to `room` of them); returns how many.
size_t bnr__exposed_numbers(const struct bnr_tensor *t, double *v, size_t room);

#endif
