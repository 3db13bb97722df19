// SPDX-License-Identifier: Apache-2.0
// What the neural-network operators share for being written once for all dtypes: their arithmetic
// is in double (or int64_t where the specification allows integers), results are rounded once. A
// tensor of another dtype is converted as a whole into the step's working memory, or row by row by
// the operator.
#ifndef BNR_OPS_LIB_COMPUTE_H
#define BNR_OPS_LIB_COMPUTE_H

#include "runtime/ops/lib/typed.h"

// Sets of dtypes beside those of typed.h. Newer versions of an operator allow more dtypes than
// older ones; the union is accepted in all of them.
#define BNR_TYPES_INDEX (BNR_TYPE(INT32) | BNR_TYPE(INT64))
#define BNR_TYPES_MATH (BNR_TYPES_FLOAT | BNR_TYPES_INDEX | BNR_TYPE(UINT32) | BNR_TYPE(UINT64))

// Inputs first to last, as far as present and known: dtypes among `types`, all the same.
enum bnr_status bnr__infer_tensors(struct bnr_infer *cx, int first, int last, uint32_t types);
// Input i, where present and known: of rank 1 with `n` elements (n < 0: any).
enum bnr_status bnr__infer_length(struct bnr_infer *cx, int i, struct bnr_dim n);
// Input i, where present and known, broadcasts to `shape` without changing it.
enum bnr_status bnr__infer_unidirectional(struct bnr_infer *cx, int i,
                                          const struct bnr_shape *shape);
// The type of input i, or NULL where it is omitted; its dtype, or UNDEFINED.
const struct bnr_type *bnr__infer_in(const struct bnr_infer *cx, int i);
enum bnr_dtype bnr__infer_in_dtype(const struct bnr_infer *cx, int i);
// The single integer or float of input i where it is constant; false when it is not known. More or
// fewer elements than one are an error in *status.
bool bnr__infer_scalar(struct bnr_infer *cx, int i, double *v, enum bnr_status *status);
// Attribute `name` as a dtype, which infer checks to be among `types`. 0 (or absent): `fallback`.
enum bnr_status bnr__check_dtype_attr(const struct bnr_node *n, const char *name, uint32_t types,
                                      struct bnr_error *err);
enum bnr_dtype bnr__dtype_attr(const struct bnr_node *n, const char *name, enum bnr_dtype fallback);
// Two dims that must agree, as `what` (one line with both values when they do not). *out: the known
// one.
enum bnr_status bnr__infer_dims_agree(struct bnr_infer *cx, const char *what, struct bnr_dim a,
                                      struct bnr_dim b, struct bnr_dim *out);

// count zeroed elements of working memory, or NULL and a->err filled.
void *bnr__temp(const struct bnr_args *a, size_t count, size_t size);
double *bnr__temp_f64(const struct bnr_args *a, size_t count);

// A whole tensor in the compute type: its own data where it has that dtype. NULL when out of memory
// (a->err filled). An omitted input (t NULL) gives NULL too: ask first.
const double *bnr__all_f64(const struct bnr_args *a, const struct bnr_tensor *t);
const int64_t *bnr__all_i64(const struct bnr_args *a, const struct bnr_tensor *t);
// The tensor broadcast to dims (to which it must broadcast), all elements written out.
const double *bnr__expand_f64(const struct bnr_args *a, const struct bnr_tensor *t, int rank,
                              const int64_t *dims);
const int64_t *bnr__expand_i64(const struct bnr_args *a, const struct bnr_tensor *t, int rank,
                               const int64_t *dims);
// Element i on of a tensor's data as bytes, for the array conversions of graph/dtype.h.
const void *bnr__at(const struct bnr_tensor *t, size_t i);
void *bnr__at_mut(struct bnr_tensor *t, size_t i);

// Input i's tensor, NULL when omitted.
const struct bnr_tensor *bnr__in(const struct bnr_args *a, int i);
// Output i's tensor with the given type, NULL in *out when it is not wanted.
enum bnr_status bnr__out(const struct bnr_args *a, int i, enum bnr_dtype dtype, int rank,
                         const int64_t *dims, struct bnr_tensor **out);
// A new output like input 0.
enum bnr_status bnr__out_like(const struct bnr_args *a, int i, const struct bnr_tensor *like,
                              struct bnr_tensor **out);

// Product of dims[first .. last).
size_t bnr__dims_product(const int64_t *dims, int first, int last);

// What a gradient's node stands for: one of the version that the attribute `since` names.
static inline struct bnr_node bnr__node_since(const struct bnr_node *n) {
    struct bnr_node of = *n;
    of.since = (int)bnr__attr_int(n, "since", n->since);
    return of;
}

#endif
