// SPDX-License-Identifier: Apache-2.0
// bench --steps: where the time of a run goes.
#ifndef BNR_TOOLS_BENCH_STEPS_H
#define BNR_TOOLS_BENCH_STEPS_H

#include <jansson.h>

#include "runtime/bnrun.h"

// The steps of the runs that a session with BNR_PROFILE made, in order: an array of objects with node, op,
// fused, kernel, output, ms (median), share (of the sum), gflops and limit (share of what the threads can do at
// most; both null where nothing is multiplied). NULL, reported, when there is no profile.
json_t *bench_steps(const bnr_session *session);
void bench_steps_print(const json_t *steps);

#endif
