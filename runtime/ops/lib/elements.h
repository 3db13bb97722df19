// SPDX-License-Identifier: Apache-2.0
// GatherElements and ScatterElements: each element of the indices (input 1) belongs to the element
// of the data (input 0) at the same place, except along attribute `axis`, where it says itself.
#ifndef BNR_OPS_LIB_ELEMENTS_H
#define BNR_OPS_LIB_ELEMENTS_H

#include "graph/op.h"

// n neighbouring elements of the indices.
struct bnr_elements_row {
    size_t at; // of the first among all indices
    size_t n;
    const int64_t *index; // [n], in [-dim, dim)
    int64_t dim;          // of the data along the axis
    size_t base;          // the element of the data that belongs to the first, were its index 0
    size_t stride, step;  // in the data: along the axis, and from one to the next
};

static inline size_t bnr__elements_offset(const struct bnr_elements_row *row, size_t j) {
    const int64_t k = row->index[j];
    return row->base + (size_t)(k < 0 ? k + row->dim : k) * row->stride + j * row->step;
}

// Checks the indices and their dims, then calls row for all of them, on several threads. Rows that
// may name the same element of the data come one after the other, in order.
enum bnr_status bnr__elements_walk(const struct bnr_args *a,
                                   void (*row)(void *cx, const struct bnr_elements_row *row),
                                   void *cx);

#endif
