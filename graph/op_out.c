// SPDX-License-Identifier: Apache-2.0
// How reference code gives an output whose shape was not known before: a new tensor, or a shared
// one.
#include <string.h>

#include "graph/op.h"

static bool has_dims(const struct bnr_tensor *t, enum bnr_dtype dtype, int rank,
                     const int64_t *dims) {
    return t->kind == BNR_KIND_TENSOR && t->data && t->dtype == dtype && t->rank == rank &&
           (rank == 0 || memcmp(t->dims, dims, (size_t)rank * sizeof dims[0]) == 0);
}

enum bnr_status bnr__out_alloc(const struct bnr_args *a, int i, enum bnr_dtype dtype, int rank,
                               const int64_t *dims) {
    struct bnr_tensor *old = i < a->n_out ? a->out[i] : NULL, *fresh;
    if (!old || has_dims(old, dtype, rank, dims))
        return BNR_OK;
    enum bnr_status st = bnr__tensor_new(&fresh, old->allocator, dtype, rank, dims, a->err);
    if (st != BNR_OK)
        return bnr__fail_prefix(a->err, st, "node '%s' (%s)", a->node->label, a->node->op_type);
    a->out[i] = fresh;
    bnr__tensor_unref(old);
    return BNR_OK;
}

enum bnr_status bnr__out_share(const struct bnr_args *a, int i, const struct bnr_tensor *t) {
    struct bnr_tensor *old = i < a->n_out ? a->out[i] : NULL;
    if (!old || old == t)
        return BNR_OK;
    a->out[i] = bnr__tensor_share(t);
    bnr__tensor_unref(old);
    return BNR_OK;
}
