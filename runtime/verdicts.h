// SPDX-License-Identifier: Apache-2.0
// What becomes of the BatchNormalizations that folding left: `fused` where they run inside of a step that
// another node needs anyway, `kept` where they are a step of their own. A plan knows; without one
// the optimizer's marks say what is to be expected.
#ifndef BNR_VERDICTS_H
#define BNR_VERDICTS_H

#include "runtime/plan.h"

void bnr__verdicts_expected(struct bnr_model *m);
void bnr__verdicts_of_plan(const struct bnr_plan *plan);
// For a folded model, of which nothing else is asked: plans it where its shapes are known.
void bnr__verdicts_try(struct bnr_model *folded, const struct bnr_options *options);

#endif
