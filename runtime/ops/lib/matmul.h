// SPDX-License-Identifier: Apache-2.0
// Matrix products: the plain loops in double and int64_t, and the shapes of NumPy's matmul.
#ifndef BNR_OPS_LIB_MATMUL_H
#define BNR_OPS_LIB_MATMUL_H

#include "graph/op.h"
#include "runtime/base/pool.h"

// y[m, n] = sum over k of a[i, k] * b[k, j]. `a` is in the compute type, stored [m, k] or (trans_a)
// [k, m]; `b` has any dtype and is converted block by block; stored [k, n] or (trans_b) [n, k].
struct bnr_matmul {
    size_t m, n, k;
    bool trans_a, trans_b;
    enum bnr_dtype b_dtype;
    const void *b;
};
void bnr__matmul_f64(const struct bnr_matmul *p, const double *a, double *y, struct bnr_pool *pool);
void bnr__matmul_i64(const struct bnr_matmul *p, const int64_t *a, int64_t *y,
                     struct bnr_pool *pool);

// NumPy's rule: 1-D operands get a dim that the result loses again; leading dims broadcast.
struct bnr_matmul_shape {
    size_t m, n, k;
    int batch_rank; // leading dims of the result
    int64_t batch[BNR_MAX_RANK];
    size_t a_stride[BNR_MAX_RANK], b_stride[BNR_MAX_RANK]; // matrices (not elements) per batch dim
    size_t count;                                          // product of batch
    int rank;                                              // of the result
    int64_t dims[BNR_MAX_RANK];
};
// Shapes that inference has checked.
void bnr__matmul_shape(const struct bnr_tensor *a, const struct bnr_tensor *b,
                       struct bnr_matmul_shape *s);
// Which matrix of a and of b the i-th matrix of the result is the product of.
void bnr__matmul_operands(const struct bnr_matmul_shape *s, size_t i, size_t *a, size_t *b);
// The shape of a product of known ranks, 1 or more.
enum bnr_status bnr__matmul_infer_shape(struct bnr_infer *cx, const struct bnr_shape *a,
                                        const struct bnr_shape *b, struct bnr_shape *y);
// Checks inputs ia and ib and sets output 0.
enum bnr_status bnr__matmul_infer(struct bnr_infer *cx, int ia, int ib, enum bnr_dtype dtype);

#endif
