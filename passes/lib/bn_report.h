// SPDX-License-Identifier: Apache-2.0
// The model's list of BatchNormalizations (struct bnr_bn), from before the first rewrite to the
// verdicts.
#ifndef BNR_PASSES_LIB_BN_REPORT_H
#define BNR_PASSES_LIB_BN_REPORT_H

#include "passes/pass.h"

// Enters every BatchNormalization that is not in the list yet, as its node's origin.
enum bnr_status bnr__bn_register(struct bnr_pass_cx *cx);
// Fills in the figures of n's origins, as far as its parameters are constant.
void bnr__bn_measure(const struct bnr_node *n);
// Gives those that stayed and have no reason yet one.
enum bnr_status bnr__bn_conclude(struct bnr_pass_cx *cx);
// All origins of n are gone for this reason (its output was constant, unused, or computed already).
void bnr__bn_gone(const struct bnr_node *n, const char *into, const char *reason);

#endif
