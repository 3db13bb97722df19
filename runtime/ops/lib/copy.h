// SPDX-License-Identifier: Apache-2.0
// The N-d strided copy that data-movement operators are made of. It moves elements by their size
// and knows no dtype.
#ifndef BNR_OPS_LIB_COPY_H
#define BNR_OPS_LIB_COPY_H

#include "graph/tensor.h"
#include "runtime/base/pool.h"

// Room for Tile and DepthToSpace, which see an axis as two.
enum { BNR_COPY_MAX_RANK = 2 * BNR_MAX_RANK };

// Zero-initialize with elem_size (1, 2, 4, 8 or 16), then add the dims, outermost first.
struct bnr_copy {
    size_t elem_size;
    int rank;
    int64_t dims[BNR_COPY_MAX_RANK];
    int64_t dst_strides[BNR_COPY_MAX_RANK]; // in elements
    int64_t src_strides[BNR_COPY_MAX_RANK]; // in elements; 0 repeats, negative runs backwards
};

void bnr__copy_dim(struct bnr_copy *c, int64_t n, int64_t dst_stride, int64_t src_stride);

// dst[sum of i_k * dst_strides[k]] = src[sum of i_k * src_strides[k]] for every index i. dst and
// src point at index 0 and do not overlap; the strides reach each dst element at most once. Large
// copies are spread over the pool's threads.
void bnr__copy_run(const struct bnr_copy *c, void *dst, const void *src, struct bnr_pool *pool);

// Row-major strides in elements. Tensors without elements may have dims whose product wraps.
void bnr__dense_strides(int rank, const int64_t *dims, int64_t *strides);

// n bytes, spread over the pool's threads when that is many.
void bnr__copy_bytes(void *dst, const void *src, size_t n, struct bnr_pool *pool);

// Repeats one element of elem_size bytes n times.
void bnr__copy_fill(void *dst, const void *element, size_t elem_size, size_t n,
                    struct bnr_pool *pool);

#endif
