// SPDX-License-Identifier: Apache-2.0
// Matrix products of float32 row-major operands, any of them transposed, many at a time: C[M, N] =
// op(A) * op(B), then an epilogue. A constant B is packed once; another one block by block as the
// product goes. A single row (M = 1) reads B once, from memory to the registers: where B is
// transposed, just as it lies, without packing.
//
// Accuracy: gemm_f32.h.
#ifndef BNR_KERNELS_MATMUL_F32_H
#define BNR_KERNELS_MATMUL_F32_H

#include "runtime/kernels/gemm_f32.h"
#include "runtime/kernels/weights_f32.h"

struct bnr_product_shape {
    size_t m, n, k;
    bool trans_a, trans_b;     // A is [k, m], B is [n, k]
    size_t count;              // products; product i's C starts at i * m * n
    const size_t *a_at, *b_at; // [count] where its operands start, in elements; NULL: one product
    bool constant_b;           // the same B for all, packed before the first run
    bool in_place; // or, where bnr__matmul_f32_in_place says so, read as it is, at any address
    const struct bnr_gemm_f32 *gemm; // NULL: as the CPU says
};

// Whether a constant B need not be packed.
bool bnr__matmul_f32_in_place(const struct bnr_product_shape *s);

struct bnr_matmul_f32 {
    struct bnr_product_shape s;
    const struct bnr_gemm_f32 *gemm;
    const struct bnr_eltwise_f32 *eltwise;
    const float *packed_b; // constant_b
    const bnr_any_float *plain_b; // in_place
    struct bnr_eltwise e;  // rows: of all products
    // Derived
    const struct bnr_weights_f32 *weight_kernels;
    size_t panel_rows, kc, mc, nc, row_blocks;
    size_t packed_bytes;
    size_t slot_bytes, scratch_bytes;
    int slots;
};

// Sets everything but packed_b, plain_b and e. False when a size overflows.
bool bnr__matmul_f32_init(struct bnr_matmul_f32 *c, const struct bnr_product_shape *s, unsigned cpu,
                          int threads);
// Packs scale * B into packed_bytes.
void bnr__matmul_f32_pack(const struct bnr_matmul_f32 *c, float *dst, const float *b, float scale);
// The same in parts that may be packed at once. A part is made of `elems` neighbouring elements of B (the
// last one of fewer), in rows as they lie in memory, of `row` elements each. False: an element by its row's
// factor is infinite or no number.
struct bnr_matmul_parts {
    size_t n, elems;
};
struct bnr_matmul_parts bnr__matmul_f32_parts(const struct bnr_matmul_f32 *c);
size_t bnr__matmul_f32_row(const struct bnr_matmul_f32 *c);
bool bnr__matmul_f32_pack_part(const struct bnr_matmul_f32 *c, float *dst,
                               const struct bnr_weights_rows *src, size_t part, float scale);

struct bnr_matmul_f32_run {
    const struct bnr_matmul_f32 *c;
    float *dst;
    const float *a, *b; // b: not needed for a constant one
    const float *const *operands;
    void *scratch; // scratch_bytes, 64-byte aligned
};

void bnr__matmul_f32_run(const struct bnr_matmul_f32_run *r, struct bnr_pool *pool);

#endif
