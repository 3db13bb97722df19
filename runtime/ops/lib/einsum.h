// SPDX-License-Identifier: Apache-2.0
// Einstein summation: the equation taken apart, and products of two operands summed over axes.
#ifndef BNR_OPS_LIB_EINSUM_H
#define BNR_OPS_LIB_EINSUM_H

#include "graph/op.h"

enum {
    BNR_EINSUM_AXES = 64,                // different axes in an equation, those of "..." included
    BNR_EINSUM_IDS = 52 + BNR_MAX_RANK,  // letters, and what "..." may cover
};

// The labels of one term, in order: 0 .. 51 for letters. `ellipsis`: how many stand in front of
// "...", -1 without one.
struct bnr_einsum_term {
    int n, ellipsis;
    int8_t label[BNR_MAX_RANK];
};

struct bnr_einsum {
    int n_in;
    struct bnr_einsum_term *in; // [n_in]
    struct bnr_einsum_term out;
};

// The node's equation, with the output of the implicit form filled in.
enum bnr_status bnr__einsum_parse(const struct bnr_node *n, int n_in, struct bnr_arena *arena,
                                  struct bnr_einsum *e, struct bnr_error *err);

// The most dims that "..." covers; -1 when a rank is not known.
int bnr__einsum_dots(const struct bnr_einsum *e, const int *ranks);

// axes[d] is the axis that dim d of a tensor of this rank stands for: a label, or 52 + i for the
// i-th of the `dots` axes that "..." covers in the operand with the most. Term `term` (-1: the
// output).
enum bnr_status bnr__einsum_axes(const struct bnr_node *n, const struct bnr_einsum *e, int term,
                                 int rank, int dots, int8_t axes[BNR_MAX_RANK],
                                 struct bnr_error *err);

// One operand of a product: `mask` has the axes that it has, stride (in elements) is 0 for the
// others.
struct bnr_einsum_operand {
    const void *data; // double, or uint64_t for integers
    uint64_t mask;
    int64_t stride[BNR_EINSUM_AXES];
};

// y[kept axes, dense, in this order] = sum over the other axes of a and b of a * b. dims: of every
// axis.
struct bnr_einsum_product {
    const struct bnr_einsum_operand *a, *b;
    const int64_t *dims;
    int n_kept;
    int8_t kept[BNR_EINSUM_AXES];
    void *y;
    bool integer;
};
void bnr__einsum_multiply(const struct bnr_einsum_product *p, struct bnr_pool *pool);

// By matmul_f32, one pair of operands after the other.
enum bnr_status bnr__prepare_einsum(struct bnr_prepare *cx);

#endif
