// SPDX-License-Identifier: Apache-2.0
// From a compiled model's text to a graph.
#ifndef BNR_COMPILED_READ_H
#define BNR_COMPILED_READ_H

#include "runtime/compiled.h"

// Fills `m` (without graph) from c's text, whose checksum is right and whose content is not trusted. The
// result is to be resolved and verified.
enum bnr_status bnr__compiled_read(struct bnr_model *m, struct bnr_compiled *c,
                                   struct bnr_error *err);

#endif
