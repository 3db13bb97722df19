// SPDX-License-Identifier: Apache-2.0
// Scales and zero points: which one belongs to which element, and the arithmetic of quantized
// operators. 8-bit integers and float8 are exact in double, and so are sums of up to 2^37 of their
// products, so integer operators compute in double, too, and lose nothing.
#ifndef BNR_OPS_LIB_QUANTIZE_H
#define BNR_OPS_LIB_QUANTIZE_H

#include "runtime/ops/lib/compute.h"

#define BNR_TYPES_8BIT (BNR_TYPE(INT8) | BNR_TYPE(UINT8))
#define BNR_TYPES_QUANTIZED                                                                        \
    (BNR_TYPES_8BIT | BNR_TYPES_FLOAT8 | BNR_TYPE(INT16) | BNR_TYPE(UINT16) | BNR_TYPE(INT4) |     \
     BNR_TYPE(UINT4) | BNR_TYPE(INT2) | BNR_TYPE(UINT2) | BNR_TYPE(FLOAT4E2M1))

// A tensor [outer, n, inner] around `axis`; parameters are one, one for each of n, or (block > 0)
// one for each block of n, for every outer and inner.
struct bnr_quant_layout {
    size_t outer, n, inner, block;
    bool per_axis;
};
// For x and its scale (input 1) as QuantizeLinear and DequantizeLinear have them.
struct bnr_quant_layout bnr__quant_layout(const struct bnr_node *n, const struct bnr_tensor *x,
                                          const struct bnr_tensor *scale);
// Checks scale (input 1) and zero point (input 2) against x (input 0).
enum bnr_status bnr__quant_infer(struct bnr_infer *cx);
// Index of the parameter for element (outer, i, inner).
static inline size_t bnr__quant_index(const struct bnr_quant_layout *l, size_t o, size_t i,
                                      size_t k) {
    if (l->block)
        return (o * ((l->n + l->block - 1) / l->block) + i / l->block) * l->inner + k;
    return l->per_axis ? i : 0;
}

// Rounds n values to dtype's precision.
void bnr__round_to(enum bnr_dtype dtype, double *v, size_t n);
// Adds zero (NULL: none) to values that are in steps of the scale, and stores them as dtype:
// integers rounded to nearest even before and saturated; float8 saturated if `saturate`.
void bnr__quant_store(enum bnr_dtype dtype, void *dst, const double *v, const double *zero,
                      size_t n, bool saturate);

// The same from float32: v / scale in steps of one scale, rounded to float32 first; dtype is int8
// or uint8.
void bnr__quantize_f32(enum bnr_dtype dtype, void *dst, const float *v, float scale, int zero,
                       size_t n);
// dst = (x - zero) * scale for int8 or uint8.
void bnr__dequantize_f32(float *dst, enum bnr_dtype dtype, const void *x, float scale, int zero,
                         size_t n);
// Calls fn for runs of elements that have one parameter, number `parameter`, on several threads.
struct bnr_quant_run {
    size_t at, n, parameter;
};
void bnr__quant_runs(const struct bnr_quant_layout *l, struct bnr_pool *pool,
                     void (*fn)(void *cx, const struct bnr_quant_run *run), void *cx);

// ---- products -----------------------------------------------------------------------------------

// Which dim of a matrix has a parameter each: rows of a, columns of b.
enum bnr_quant_side { BNR_QUANT_ROWS, BNR_QUANT_COLUMNS };
// Input `i` as scale or zero point of matrix input `of`: one element, a vector, or the matrix's
// dims with 1 in place of the other dim.
enum bnr_status bnr__quant_side_infer(struct bnr_infer *cx, int i, int of,
                                      enum bnr_quant_side side);
// Parameter t (NULL: `fallback`) for every element of a tensor with these dims.
const double *bnr__quant_side_expand(const struct bnr_args *a, const struct bnr_tensor *t,
                                     enum bnr_quant_side side, int rank, const int64_t *dims,
                                     double fallback);
// x - zero point (input `zero`, may be omitted) for the two sides.
double *bnr__quant_shifted(const struct bnr_args *a, int x, int zero, enum bnr_quant_side side);
// y = a * b for shifted matrices, of shapes inputs ia and ib have; output dims in *dims.
double *bnr__quant_matmul(const struct bnr_args *a, int ia, int ib, const double *x,
                          const double *w, int *rank, int64_t dims[BNR_MAX_RANK]);
// Convolution of inputs x and w with their zero points (may be omitted) into `y` for all images;
// bias may be -1. Geometry in *c.
struct bnr_conv;
struct bnr_quant_conv {
    int x, x_zero, w, w_zero, bias;
};
double *bnr__quant_conv(const struct bnr_args *a, struct bnr_quant_conv in,
                        const struct bnr_conv *c);
// Checks of the inputs of a quantized convolution, and output 0.
enum bnr_status bnr__quant_conv_infer(struct bnr_infer *cx, struct bnr_quant_conv in,
                                      enum bnr_dtype dtype);
// By gemm_i16: MatMulInteger and QLinearMatMul, ConvInteger and QLinearConv. Zero points of matrices are one each.
enum bnr_status bnr__prepare_quant_matmul(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_quant_conv(struct bnr_prepare *cx, struct bnr_quant_conv in);
// Input i has one element, or (n >= 0) is a vector of n.
enum bnr_status bnr__quant_count_infer(struct bnr_infer *cx, int i, struct bnr_dim n);

#endif
