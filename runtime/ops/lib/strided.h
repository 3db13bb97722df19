// SPDX-License-Identifier: Apache-2.0
// A tensor whose elements lie in another one, some steps apart: what Transpose, Slice, Reshape and
// the like make of a tensor, as long as nothing is moved. No dim is 0.
#ifndef BNR_OPS_LIB_STRIDED_H
#define BNR_OPS_LIB_STRIDED_H

#include "graph/graph.h"

enum { BNR_STRIDED_PARTS = 2 * BNR_MAX_RANK };

struct bnr_strided {
    int rank;
    int64_t dims[BNR_MAX_RANK];
    int64_t first; // where element 0 lies
    // The dims in row-major order, without those of 1: a dim is one part, or the product of several
    // that no common step leads through.
    int n;
    struct bnr_strided_part {
        int64_t count, step;
    } parts[BNR_STRIDED_PARTS];
};

void bnr__strided_dense(struct bnr_strided *s, int rank, const int64_t *dims);
void bnr__strided_permute(struct bnr_strided *s, const int *perm);
// False, and *s is of no use any more, where the parts do not allow for it.
bool bnr__strided_reshape(struct bnr_strided *s, int rank, const int64_t *dims);
bool bnr__strided_slice(struct bnr_strided *s, int axis, int64_t first, int64_t count,
                        int64_t step);

// Whether element i is element i of the other tensor.
bool bnr__strided_is_dense(const struct bnr_strided *s);
// The step along an axis, 0 for a dim of 1; false where there is not one.
bool bnr__strided_step(const struct bnr_strided *s, int axis, int64_t *step);
// Where the elements lie that are the first ones along all axes but the leading `axes`. Without
// negative steps.
void bnr__strided_starts(const struct bnr_strided *s, int axes, size_t *starts);
// Where in a dense tensor with the dims of s the elements lie of the one of dims `dims` that s is a
// rearrangement of. False where it is none.
bool bnr__strided_inverse(const struct bnr_strided *s, int rank, const int64_t *dims,
                          struct bnr_strided *inverse);

#endif
