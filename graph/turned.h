// SPDX-License-Identifier: Apache-2.0
// Turned matrices: lazy tensors (graph/tensor.h) that are the transpose of another constant.
// Exporters put a Transpose between weights and product; who packs the weights reads the original
// row by row instead.
#ifndef BNR_GRAPH_TURNED_H
#define BNR_GRAPH_TURNED_H

#include "graph/tensor.h"

// The transpose of t, a float32 matrix, lazy or not.
enum bnr_status bnr__tensor_turned(struct bnr_tensor **out, struct bnr_tensor *t,
                                   struct bnr_error *err);
// What t is the transpose of; NULL: t is no turned matrix.
struct bnr_tensor *bnr__turned_base(const struct bnr_tensor *t);

#endif
