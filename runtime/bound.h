// SPDX-License-Identifier: Apache-2.0
// What rounding in a fold can do, known before anything runs.
//
// A fold replaces a linear operator's constants W, b by W' = fl(s W), b' = fl(s b + t); behind or in front
// of the operator, with s and t along any axis, the form is the same: every new constant is a number that
// was computed in double and then rounded once. With u the unit roundoff of the constant's dtype (2^-24
// for float32) and eta its smallest normal number (smaller results are flushed to zero):
//
//     |W'[o,k] - exact| <= u |W'[o,k]| + eta        |b'[o] - exact| <= u |b'[o]| + eta
//
// up to terms of order u^2 and to the rounding in double, which is 2^-29 of u: both are covered by
// a factor 1 + 2^-20. Output channel o, evaluated without further rounding on inputs |x[k]| <= X, is then
// off by
//
//     |delta y[o]| <= (u sum_k |W'[o,k]| + eta K) X + R (u |b'[o]| + eta)       K: number of k
//
// Weights are rounded once, however many scales go into them (ops/lib/affine_scaled.h). R counts roundings
// of the bias: one for each BN that the operator carries, and one more for arithmetic with constants beside
// them (a bias Add, a Mul) that was folded by itself. That the same |b'| holds for each of them assumes
// that a constant rounded in between was not larger than what became of it, which is exact for R = 1;
// shifts of opposite sign may break it.
//
// Where a channel is multiplied by d, |d - 1| <= u, so that its bias is exact (passes/lib/exact_shift.h), y is
// off by |d - 1| sum_k |W' x| more until what reads it is divided by d: once more the first term.
//
// Weights that are dequantized from integers keep these; their scale k' = fl(k |s|) is rounded R times, and
// with it each weight (q - z) k' by the same u: the bound is R times that of the weights themselves.
//
// The bound is about the fold alone: the sums of the evaluation round as well, folded or not.
#ifndef BNR_BOUND_H
#define BNR_BOUND_H

#include "graph/graph.h"

// The largest bound over the output channels of n for inputs up to x_max; NAN for operators of which
// nothing is known, or whose constants are not there.
double bnr__bound_node(const struct bnr_node *n, double x_max);
// Of the nodes that carry the k-th BatchNormalization of a folded model; NAN when there is none.
double bnr__bound(const struct bnr_model *folded, size_t k, double x_max);
// The same for every BatchNormalization of a model that is folded for this, with the magnitudes that the
// inputs of the nodes have when it runs on `inputs`. bounds: [count], NAN where nothing is known.
enum bnr_status bnr__bounds_measure(const struct bnr_model *model, const bnr_tensor *const *inputs,
                                    size_t n_inputs, const struct bnr_options *options, double *bounds,
                                    size_t count, struct bnr_error *err);

#endif
