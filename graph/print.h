// SPDX-License-Identifier: Apache-2.0
// What the printers share; for nobody else.
#ifndef BNR_GRAPH_PRINT_H
#define BNR_GRAPH_PRINT_H

#include "graph/graph.h"
#include "runtime/base/text.h"

// What is known about a value: inferred, else declared, else from its tensor.
struct bnr_type bnr__print_type_of(const struct bnr_value *v);
const char *bnr__print_domain(const char *domain); // "ai.onnx" for ""
// A name from the file: control characters become '?'.
void bnr__print_name(struct bnr_text *t, const char *name);
void bnr__print_type(struct bnr_text *t, const struct bnr_type *type);
// "[1, 2, 3]" or a scalar, as JSON; false (nothing printed) for more than `max` elements.
bool bnr__print_elements(struct bnr_text *t, const struct bnr_tensor *tensor, size_t max);
void bnr__print_string(struct bnr_text *t, struct bnr_str s); // quoted, as JSON

#endif
