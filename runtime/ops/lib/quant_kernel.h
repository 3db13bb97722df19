// SPDX-License-Identifier: Apache-2.0
// What the kernels of quantized products share: parameters of one element or one a channel, and
// what becomes of the sums.
#ifndef BNR_OPS_LIB_QUANT_KERNEL_H
#define BNR_OPS_LIB_QUANT_KERNEL_H

#include "runtime/kernels/gemm_i16.h"
#include "runtime/ops/lib/quantize.h"

// Sums are exact up to so many products, of differences of two 8-bit integers.
enum { BNR_QUANT_PRODUCTS = 33025 };

// Element i of a zero point (int8 or uint8; NULL: 0) or of a scale (float32) that is one for all,
// or one each.
int bnr__quant_zero(const struct bnr_tensor *t, size_t i);
float bnr__quant_scale(const struct bnr_tensor *t, size_t i);

// Where the inputs are that say what becomes of the sums of a QLinear operator; b_scale may be one
// a channel.
struct bnr_quant_output {
    int a_scale, b_scale, y_scale, y_zero, bias; // bias -1: none
};
// For one channel; its bias counts when `a` has it.
struct bnr_requantize bnr__quant_requantize(const struct bnr_args *a,
                                            const struct bnr_quant_output *o, size_t channel);
// Whether all scales are float32.
bool bnr__quant_scales_fit(const struct bnr_prepare *cx, const struct bnr_quant_output *o);

#endif
