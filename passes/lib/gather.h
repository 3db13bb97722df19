// SPDX-License-Identifier: Apache-2.0
// What the gather_* passes share: recognizing operators that spell another one, and putting that
// one in their place.
#ifndef BNR_PASSES_LIB_GATHER_H
#define BNR_PASSES_LIB_GATHER_H

#include "graph/op.h"
#include "passes/pass.h"

// n is ai.onnx's op_type with at least n_in inputs and a first output; n may be NULL.
bool bnr__gather_is_op(const struct bnr_node *n, const char *op_type, int n_in);
// The node of this type that makes v, where v is read once; else NULL. v may be NULL.
struct bnr_node *bnr__gather_inner(const struct bnr_value *v, const char *op_type, int n_in);
// v is a constant of one floating-point number.
bool bnr__gather_number(const struct bnr_value *v, double *number);
// x of x + c or c + x (op Add), x * c or c * x (op Mul), x / c (op Div); else NULL. n may be NULL.
struct bnr_value *bnr__gather_with_number(const struct bnr_node *n, double *number);
// Equal but for rounding to float16.
bool bnr__gather_is_close(double a, double b);

// A new node in front of n: ai.onnx's op_type with n's name, at n's opset or at `opset` where that
// is newer, since what is gathered is for running, not for files.
enum bnr_status bnr__gather_node(struct bnr_pass_cx *cx, struct bnr_node *n, const char *op_type,
                                 int opset, int n_in, struct bnr_value **in, struct bnr_node **out);
// `with` takes over n's output; what only n had read is dead then.
enum bnr_status bnr__gather_replace(struct bnr_pass_cx *cx, struct bnr_node *n,
                                    struct bnr_node *with);

#endif
