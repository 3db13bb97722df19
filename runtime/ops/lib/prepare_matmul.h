// SPDX-License-Identifier: Apache-2.0
// A node that is a matrix product, for the operators that can be one.
#ifndef BNR_OPS_LIB_PREPARE_MATMUL_H
#define BNR_OPS_LIB_PREPARE_MATMUL_H

#include "runtime/kernels/matmul_f32.h"
#include "runtime/ops/lib/steps.h"

struct bnr_product {
    struct bnr_product_shape shape;
    int a, b;    // the node's inputs
    float scale; // of a constant B
};

// Chooses the kernel for a product (no size 0) and the steps behind it, whose columns are the
// product's.
enum bnr_status bnr__prepare_product(struct bnr_prepare *cx, const struct bnr_product *p,
                                     const struct bnr_steps *steps);

#endif
