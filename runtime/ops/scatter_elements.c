// SPDX-License-Identifier: Apache-2.0
// ScatterElements: a copy of the data, with the updates written where the indices say along one
// axis.
#include "runtime/ops/lib/scatter.h"

BNR_DEFINE_OP(scatter_elements) = {
    .domain = "",
    .name = "ScatterElements",
    .since = {11, 13, 16, 18},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "axis:i reduction:s",
    .infer = bnr__scatter_elements_infer,
    .ref = bnr__scatter_elements_ref,
};
