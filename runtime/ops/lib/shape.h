// SPDX-License-Identifier: Apache-2.0
// What data-movement and shape operators share: lists of ints that are an attribute in one opset
// and an input in the next, sets of axes, and outputs whose dims depend on data.
#ifndef BNR_OPS_LIB_SHAPE_H
#define BNR_OPS_LIB_SHAPE_H

#include "graph/op.h"
#include "runtime/ops/lib/copy.h"

// Integers given as an input or as an attribute.
struct bnr_ints {
    const int64_t *v; // [n] when known
    int n;            // -1: not even their number is known
    bool given, known;
};

// Reads input `input` (-1: none) where it is present, else the attribute `attr` (NULL: none). In
// infer an input is `known` when every element is a number. Fails for inputs that are no integers
// of rank 0 or 1.
enum bnr_status bnr__infer_int_list(struct bnr_infer *cx, int input, const char *attr,
                                    struct bnr_ints *out);
enum bnr_status bnr__args_int_list(const struct bnr_args *a, int input, const char *attr,
                                   struct bnr_ints *out);

// axes[i] in [-rank, rank) to [0, rank), none twice. `out` has room for n; n <= BNR_MAX_RANK is
// checked.
enum bnr_status bnr__resolve_axes(const struct bnr_node *n, struct bnr_error *err,
                                  const struct bnr_ints *axes, int rank, int *out);
enum bnr_status bnr__resolve_axis(const struct bnr_node *n, struct bnr_error *err, int64_t axis,
                                  int rank, int *out);

// Gives outputs that have no memory yet their dims by running `infer` on the inputs' data.
enum bnr_status bnr__out_infer(const struct bnr_args *a,
                               enum bnr_status (*infer)(struct bnr_infer *cx));

// Output 0 is input 0 with the dims that `infer` gives it. The ref of view operators.
enum bnr_status bnr__ref_view(const struct bnr_args *a,
                              enum bnr_status (*infer)(struct bnr_infer *cx));

// Product of dims [first, last); unknown when a dim is. One symbol among ones stays that symbol.
// False when it overflows.
bool bnr__dim_product(const struct bnr_dim *dims, int first, int last, struct bnr_dim *out);

// to = broadcast of to and s; false when they do not fit.
bool bnr__shape_broadcast(struct bnr_shape *to, const struct bnr_shape *s);

// The elements as a list of type dtype of output `out`: shape [n] and, where given, elems.
enum bnr_status bnr__infer_vector(struct bnr_infer *cx, int out, enum bnr_dtype dtype,
                                  const struct bnr_dim *elems, int n);

// A bug guard for refs that computed dims themselves: BNR_INTERNAL unless output i has exactly
// these.
enum bnr_status bnr__out_expect(const struct bnr_args *a, int i, int rank, const int64_t *dims);

// index in [-n, n) to [0, n); fails naming input `input`.
enum bnr_status bnr__resolve_index(const struct bnr_args *a, int input, int64_t index, int64_t n,
                                   int64_t *out);
// Every element of an integer input, as int64_t: the data itself or a copy in a->temp.
enum bnr_status bnr__args_indices(const struct bnr_args *a, int input, const int64_t **out);
// The same where each must lie in [-n, n): fails naming the first one that does not.
enum bnr_status bnr__args_indices_in(const struct bnr_args *a, int input, int64_t n,
                                     const int64_t **out);
// An integer input [.., k] of indices of x along its axes first .. first + k - 1: how many elements
// of x lie in front of the one (or the slice) that each tuple names, in a->temp.
enum bnr_status bnr__args_tuples(const struct bnr_args *a, int input, const struct bnr_tensor *x,
                                 int first, const size_t **out);

#endif
