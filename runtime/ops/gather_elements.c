// SPDX-License-Identifier: Apache-2.0
// GatherElements: for each element of the indices, the data's element at the same place except
// along one axis, where the index says.
#include <string.h>

#include "runtime/base/compiler.h"
#include "runtime/ops/lib/elements.h"
#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT32, BNR_INT64, BNR_UNDEFINED};

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *index = &cx->in[1]->type.shape;
    int axis;
    BNR_TRY(bnr__infer_dtype(cx, 1, index_types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, BNR_MAX_RANK));
    if (x->rank >= 0) {
        BNR_TRY(bnr__infer_rank(cx, 1, x->rank, x->rank));
        BNR_TRY(bnr__infer_axis(cx, bnr__attr_int(cx->node, "axis", 0), x->rank, &axis));
    }
    struct bnr_shape y = *index;
    if (y.rank < 0 && x->rank >= 0) {
        y.rank = x->rank;
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, cx->in[0]->type.dtype, &y);
    return BNR_OK;
}

struct work {
    char *y;
    const char *x;
    size_t size;
};

BNR_INLINE void pick(const struct work *w, const struct bnr_elements_row *row, const size_t size) {
    for (size_t j = 0; j < row->n; j++)
        memcpy(w->y + (row->at + j) * size, w->x + bnr__elements_offset(row, j) * size, size);
}

static void pick_row(void *cx, const struct bnr_elements_row *row) {
    const struct work *w = cx;
    if (w->size == 4)
        pick(w, row, 4);
    else if (w->size == 8)
        pick(w, row, 8);
    else
        pick(w, row, w->size);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    BNR_TRY(bnr__out_infer(a, infer));
    struct work w = {.y = a->out[0]->data, .x = x->data, .size = bnr__dtype_size(x->dtype)};
    return bnr__elements_walk(a, pick_row, &w);
}

BNR_DEFINE_OP(gather_elements) = {
    .domain = "",
    .name = "GatherElements",
    .since = {11, 13},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i",
    .infer = infer,
    .ref = ref,
};
