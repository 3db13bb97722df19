// SPDX-License-Identifier: Apache-2.0
// Scaled weights: a lazy tensor (graph/tensor.h) whose elements are those of other weights by a factor for
// each row and one for each column. The factors are doubles and the original stays what it was: however
// many affines go into weights, from both sides, their elements are rounded once, when they are packed or
// written, and need no memory of their own before.
#ifndef BNR_OPS_LIB_AFFINE_SCALED_H
#define BNR_OPS_LIB_AFFINE_SCALED_H

#include "runtime/ops/lib/affine_rules.h"

// Below this a number is subnormal in the dtype and becomes zero (it would slow every later run and mean
// nothing). Float16 has a rule of its own: its subnormals become zero where they are less than half a unit
// in the last place of the largest number of their row.
double bnr__smallest_normal(enum bnr_dtype d);
// Float16's rule, on a row whose largest magnitude is `largest`.
void bnr__flush_f16(uint16_t *v, size_t n, double largest);

// Whether w, the constant of l, by f (one factor for each channel of side a, or b) is finite in its
// dtype. False also when out of memory. Not looked at where the model trusts weights.
bool bnr__scaled_fits(const struct bnr_linear *l, const struct bnr_tensor *w, const double *f, bool on_a);
// The tensor of that.
enum bnr_status bnr__scaled_new(struct bnr_tensor **out, const struct bnr_linear *l, struct bnr_tensor *w,
                                const double *f, bool on_a, struct bnr_error *err);
// For whoever made a model trust weights, when they are packed: whether all are finite. What was
// not read since is read now.
bool bnr__scaled_settle(struct bnr_model *m);
// Whether w may be scaled as what l says: it is not lazy, or so with the same rows and columns.
bool bnr__scaled_matches(const struct bnr_linear *l, const struct bnr_tensor *w);
// n elements from `begin` on of any weights, in double: those of scaled ones are not rounded.
void bnr__weights_f64(const struct bnr_tensor *w, double *dst, size_t begin, size_t n);
// The sum of their magnitudes.
double bnr__weights_sum(const struct bnr_tensor *w, size_t begin, size_t n);

#endif
