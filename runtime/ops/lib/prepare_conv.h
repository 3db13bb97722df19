// SPDX-License-Identifier: Apache-2.0
// The ways of a Conv.
#ifndef BNR_OPS_LIB_PREPARE_CONV_H
#define BNR_OPS_LIB_PREPARE_CONV_H

#include "runtime/ops/lib/conv.h"
#include "runtime/ops/lib/steps.h"

// On blocked tensors, with `steps` begun for the output.
enum bnr_status bnr__prepare_conv_blocked(struct bnr_prepare *cx, const struct bnr_conv *c,
                                          struct bnr_steps *steps);

#endif
