// SPDX-License-Identifier: Apache-2.0
// The time of every step, as a Chrome trace.
#ifndef BNR_PROFILE_H
#define BNR_PROFILE_H

#include "runtime/base/text.h"
#include "runtime/plan.h"

struct bnr_profile;

struct bnr_profile *bnr__profile_new(const struct bnr_allocator *a); // NULL when out of memory
void bnr__profile_free(struct bnr_profile *profile);
uint64_t bnr__profile_now(void); // nanoseconds
// A step of `plan` that began at `start` and ends now. Plan and step must live as long as the
// profile. Several threads may call at once.
enum bnr_status bnr__profile_add(struct bnr_profile *profile, const struct bnr_plan *plan,
                                 const struct bnr_step *step, uint64_t start,
                                 struct bnr_error *err);
// A JSON array of trace events with operator, node, kernel and shapes.
void bnr__profile_print(struct bnr_profile *profile, struct bnr_text *text);

#endif
