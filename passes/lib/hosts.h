// SPDX-License-Identifier: Apache-2.0
// Where an element-wise step costs no pass over memory of its own: behind or in front of a node whose
// kernel takes it along.
#ifndef BNR_PASSES_LIB_HOSTS_H
#define BNR_PASSES_LIB_HOSTS_H

#include "graph/graph.h"

// Behind what makes v, which one node reads.
bool bnr__hosted_behind(const struct bnr_value *v);
// In front of the one node that reads v.
bool bnr__hosted_in_front(const struct bnr_value *v);
// Every reader of v reads it as the input in front of which it does such steps.
bool bnr__readers_have_prologues(const struct bnr_value *v);

#endif
