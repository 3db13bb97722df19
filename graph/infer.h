// SPDX-License-Identifier: Apache-2.0
// Between inference over graphs and the evaluation of nodes; for nobody else.
#ifndef BNR_GRAPH_INFER_H
#define BNR_GRAPH_INFER_H

#include "graph/op.h"

// Checks what every operator may rely on (required inputs present, tensors unless it takes other kinds),
// then calls the node's infer.
enum bnr_status bnr__infer_call(struct bnr_infer *cx);

#endif
