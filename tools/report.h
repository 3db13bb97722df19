// SPDX-License-Identifier: Apache-2.0
// Printing results: the table of outputs, the K best scores, JSON.
#ifndef BNR_TOOLS_REPORT_H
#define BNR_TOOLS_REPORT_H

#include <jansson.h>

#include "tools/cli.h"

struct tensor_stats {
    double min, max, mean; // over finite values; NaN when there are none
    size_t nan, infinite;
};
struct tensor_stats tensor_stats(const bnr_tensor *t);

// name, dtype, shape, min, max, mean, first values
void print_output_table(const char *const *names, bnr_tensor *const *outputs, size_t n);
json_t *output_json(const char *name, const bnr_tensor *t); // with all values, nested as dims
// The k highest scores of a vector (any dims of 1 ignored; a batch: per row). labels may be NULL.
int print_top(const char *name, const bnr_tensor *t, int k, const struct strings *labels);
json_t *top_json(const bnr_tensor *t, int k, const struct strings *labels);
int labels_read(struct strings *labels, const char *path); // one a line

// Invalid UTF-8 and other failures become null rather than an invalid document.
json_t *json_text(const char *s);
json_t *json_number(double v); // non-finite: null
json_t *dims_json(const bnr_tensor *t);
// Prints the document and releases it. EXIT_DONE or a reported write error.
int json_print(json_t *document);

const char *verdict_name(enum bnr_bn_verdict v);
json_t *bn_json(const struct bnr_bn_report *bn);
json_t *session_bns_json(const bnr_session *session);

#endif
