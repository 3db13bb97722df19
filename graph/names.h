// SPDX-License-Identifier: Apache-2.0
// The strings of a model, each once, so that equal ones have one address. A copy of a model reads
// those of the original, to which nothing is added from then on, and adds its own beside them.
#ifndef BNR_GRAPH_NAMES_H
#define BNR_GRAPH_NAMES_H

#include "runtime/base/map.h"

struct bnr_names;

// `base` may be NULL, and gets one more owner. NULL when out of memory.
struct bnr_names *bnr__names_new(const struct bnr_allocator *a, struct bnr_names *base);
void bnr__names_unref(struct bnr_names *names); // NULL is fine
// `hash` is bnr__map_hash(s). NULL when absent.
const char *bnr__names_find(const struct bnr_names *names, const char *s, uint64_t hash);
// NULL when out of memory.
const char *bnr__names_add(struct bnr_names *names, const char *s, uint64_t hash);
// Room for so many more.
bool bnr__names_reserve(struct bnr_names *names, size_t more);

#endif
