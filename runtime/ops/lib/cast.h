// SPDX-License-Identifier: Apache-2.0
// What Cast and CastLike share: every dtype but complex to every other.
#ifndef BNR_OPS_LIB_CAST_H
#define BNR_OPS_LIB_CAST_H

#include "graph/op.h"

// Checks `round_mode` and the dtypes (`to` UNDEFINED: not known yet); output 0 is input 0's shape
// in `to`.
enum bnr_status bnr__cast_infer(struct bnr_infer *cx, enum bnr_dtype to);
// Output 0 = input 0 in dtype `to`; reads the attributes `saturate` and `round_mode`.
enum bnr_status bnr__cast_run(const struct bnr_args *a, enum bnr_dtype to);

#endif
