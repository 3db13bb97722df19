// SPDX-License-Identifier: Apache-2.0
// ZipMap: each row of scores as a map from class labels to scores.
#include <string.h>

#include "runtime/ops/lib/ml.h"
#include "runtime/ops/lib/types.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_ml_labels labels;
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPE(FLOAT)));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 2));
    BNR_TRY(
        bnr__ml_labels(cx->node, "classlabels_int64s", "classlabels_strings", &labels, cx->err));
    if (x->rank > 0 && x->dims[x->rank - 1].n >= 0 && x->dims[x->rank - 1].n != (int64_t)labels.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%lld scores for %zu labels",
                            (long long)x->dims[x->rank - 1].n, labels.n);
    struct bnr_type *value = BNR_NEW(cx->arena, struct bnr_type);
    if (value == NULL)
        return bnr__no_memory(cx->err);
    *value = (struct bnr_type){.dtype = BNR_FLOAT, .shape = bnr__shape_unknown()};
    const struct bnr_type map = {.kind = BNR_KIND_MAP,
                                 .dtype = bnr__ml_label_dtype(&labels),
                                 .shape = bnr__shape_unknown(),
                                 .elem = value};
    return bnr__infer_container(cx, 0, BNR_KIND_SEQUENCE, &map);
}

// A map of the labels (one tensor for all rows) and n scores.
static enum bnr_status push_map(const struct bnr_args *a, struct bnr_tensor *y,
                                struct bnr_tensor *keys, const float *scores, int64_t n) {
    struct bnr_tensor *map = NULL, *values = NULL;
    enum bnr_status st =
        bnr__tensor_new_kind(&map, y->allocator, BNR_KIND_MAP, keys->dtype, a->err);
    if (st == BNR_OK)
        st = bnr__tensor_new(&values, y->allocator, BNR_FLOAT, 1, &n, a->err);
    if (st == BNR_OK) {
        memcpy(values->data, scores, (size_t)n * sizeof *scores);
        st = bnr__tensor_push(map, keys, a->err);
    }
    if (st == BNR_OK)
        st = bnr__tensor_push(map, values, a->err);
    if (st == BNR_OK)
        st = bnr__tensor_push(y, map, a->err);
    bnr__tensor_unref(values);
    bnr__tensor_unref(map);
    return st;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_allocator *allocator = a->out[0]->allocator;
    struct bnr_ml_labels labels;
    struct bnr_tensor *y = NULL, *keys = NULL;
    BNR_TRY(bnr__ml_labels(a->node, "classlabels_int64s", "classlabels_strings", &labels, a->err));
    const int64_t n = (int64_t)labels.n;
    if ((x->rank != 1 && x->rank != 2) || x->dims[x->rank - 1] != n)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "scores do not fit %zu labels", labels.n);
    BNR_TRY(bnr__tensor_new_kind(&y, allocator, BNR_KIND_SEQUENCE, BNR_UNDEFINED, a->err));
    enum bnr_status st =
        bnr__tensor_new(&keys, allocator, bnr__ml_label_dtype(&labels), 1, &n, a->err);
    for (size_t i = 0; st == BNR_OK && i < labels.n; i++)
        bnr__ml_write_label(keys, i, &labels, (ptrdiff_t)i);
    const size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    for (size_t r = 0; st == BNR_OK && r < rows; r++)
        st = push_map(a, y, keys, x->f32 + r * labels.n, n);
    if (st == BNR_OK)
        st = bnr__out_share(a, 0, y);
    bnr__tensor_unref(keys);
    bnr__tensor_unref(y);
    return st;
}

BNR_DEFINE_OP(zip_map) = {
    .domain = BNR_ML_DOMAIN,
    .name = "ZipMap",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "classlabels_int64s:I classlabels_strings:S",
    .infer = infer,
    .ref = ref,
};
