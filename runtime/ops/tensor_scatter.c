// SPDX-License-Identifier: Apache-2.0
// TensorScatter: writes an update into a cache along one axis, for each batch entry from its own
// position on; `circular` wraps around at the end of the cache.
#include <string.h>

#include "runtime/ops/lib/shape.h"

static const enum bnr_dtype index_types[] = {BNR_INT64, BNR_UNDEFINED};

static enum bnr_status get_mode(const struct bnr_node *n, struct bnr_error *err, bool *circular) {
    const char *mode = bnr__attr_string(n, "mode", "linear");
    *circular = strcmp(mode, "circular") == 0;
    if (!*circular && strcmp(mode, "linear") != 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "mode is '%s', expected linear or circular", mode);
    return BNR_OK;
}

static enum bnr_status get_axis(const struct bnr_node *n, struct bnr_error *err, int rank,
                                int *axis) {
    BNR_TRY(bnr__resolve_axis(n, err, bnr__attr_int(n, "axis", -2), rank, axis));
    return *axis == 0 ? bnr__op_fail(n, err, BNR_SHAPE, "axis 0 is the batch") : BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *u = &cx->in[1]->type.shape;
    bool circular;
    int axis;
    BNR_TRY(get_mode(cx->node, cx->err, &circular));
    BNR_TRY(bnr__infer_same_dtype(cx, 0, 1));
    BNR_TRY(bnr__infer_dtype(cx, 2, index_types));
    BNR_TRY(bnr__infer_rank(cx, 2, 1, 1));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    if (x->rank >= 0) {
        BNR_TRY(get_axis(cx->node, cx->err, x->rank, &axis));
        BNR_TRY(bnr__infer_rank(cx, 1, x->rank, x->rank));
        for (int i = 0; i < u->rank; i++) {
            const bool fits =
                i == axis ? u->dims[i].n <= x->dims[i].n : u->dims[i].n == x->dims[i].n;
            if (u->dims[i].n >= 0 && x->dims[i].n >= 0 && !fits)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                    "dim %d is %lld in the update, %lld in the cache", i,
                                    (long long)u->dims[i].n, (long long)x->dims[i].n);
        }
    }
    return bnr__infer_same(cx);
}

// Where batch entry `b` starts to write.
static enum bnr_status start_of(const struct bnr_args *a, size_t b, bool circular, int axis,
                                int64_t *start) {
    const struct bnr_tensor *t = a->n_in > 2 ? a->in[2] : NULL;
    const int64_t max = a->in[0]->dims[axis], len = a->in[1]->dims[axis];
    int64_t at = t ? t->i64[b] : 0;
    if (circular && at < 0)
        at = at % max + max;
    if (at < 0 || (!circular && at > max - len))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "%lld elements at %lld do not fit into a cache of %lld", (long long)len,
                            (long long)at, (long long)max);
    *start = max > 0 ? at % (circular ? max : INT64_MAX) : 0;
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *u = a->in[1], *t = a->n_in > 2 ? a->in[2] : NULL;
    bool circular = false;
    int axis = 0;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(get_mode(a->node, a->err, &circular));
    BNR_TRY(get_axis(a->node, a->err, x->rank, &axis));
    if (t && (int64_t)t->numel != x->dims[0])
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu write indices for a batch of %lld",
                            t->numel, (long long)x->dims[0]);
    bnr__copy_bytes(a->out[0]->data, x->data, x->nbytes, a->pool);
    if (u->numel == 0)
        return BNR_OK;
    size_t outer = 1, run = bnr__dtype_size(x->dtype);
    for (int i = 0; i < axis; i++)
        outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        run *= (size_t)x->dims[i];
    const size_t max = (size_t)x->dims[axis], len = (size_t)u->dims[axis];
    for (size_t o = 0; o < outer; o++) {
        int64_t start = 0;
        BNR_TRY(start_of(a, o / (outer / (size_t)x->dims[0]), circular, axis, &start));
        for (size_t i = 0; i < len; i++)
            memcpy(a->out[0]->u8 + (o * max + ((size_t)start + i) % max) * run,
                   u->u8 + (o * len + i) * run, run);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(tensor_scatter) = {
    .domain = "",
    .name = "TensorScatter",
    .since = {24},
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_INPLACE,
    .attrs = "axis:i mode:s",
    .infer = infer,
    .ref = ref,
};
