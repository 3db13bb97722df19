// SPDX-License-Identifier: Apache-2.0
// MeanVarianceNormalization (ai.onnx 9, 13): (x - mean) / (sqrt(var) + 1e-9) over `axes` (default
// 0, 2, 3). The 1e-9 stands in the function body that defines the operator. Version 1, an
// experiment, is by image, and by channel unless across_channels is set; without normalize_variance
// only the mean goes.
#include <math.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/prepare.h"

// Which axes are reduced; those of the default that X does not have are left out.
static enum bnr_status read_axes(const struct bnr_node *n, int rank, bool reduced[BNR_MAX_RANK],
                                 struct bnr_error *err) {
    static const int64_t defaults[] = {0, 2, 3};
    size_t count;
    const int64_t *axes = bnr__attr_ints(n, "axes", &count);
    const bool given = axes != NULL && n->since > 1;
    for (int i = 0; i < BNR_MAX_RANK && n->since == 1; i++)
        reduced[i] = i > 1 || (i == 1 && bnr__attr_int(n, "across_channels", 0) != 0);
    if (n->since == 1)
        return BNR_OK;
    if (!given) {
        axes = defaults;
        count = 3;
    }
    for (int i = 0; i < BNR_MAX_RANK; i++)
        reduced[i] = false;
    for (size_t i = 0; i < count; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis >= 0 && axis < rank)
            reduced[axis] = true;
        else if (given)
            return bnr__op_fail(n, err, BNR_SHAPE, "axis %lld is outside [%d, %d)",
                                (long long)axes[i], -rank, rank);
    }
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    bool reduced[BNR_MAX_RANK];
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    if (x->shape.rank >= 0)
        BNR_TRY(read_axes(cx->node, x->shape.rank, reduced, cx->err));
    return bnr__infer_same(cx);
}

// For every element of x in order: the number of the statistic that it belongs to.
struct cells {
    int rank;
    const int64_t *dims;
    size_t stride[BNR_MAX_RANK]; // 0 along reduced axes
    int64_t at[BNR_MAX_RANK];
    size_t cell;
};

static void next(struct cells *c) {
    for (int i = c->rank - 1; i >= 0; i--) {
        c->cell += c->stride[i];
        if (++c->at[i] < c->dims[i])
            return;
        c->cell -= c->stride[i] * (size_t)c->dims[i];
        c->at[i] = 0;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    bool reduced[BNR_MAX_RANK];
    struct bnr_tensor *y;
    BNR_TRY(read_axes(a->node, x->rank, reduced, a->err));
    BNR_TRY(bnr__out_like(a, 0, x, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    struct cells c = {.rank = x->rank, .dims = x->dims};
    size_t n_cells = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (reduced[i])
            continue;
        c.stride[i] = n_cells;
        n_cells *= (size_t)x->dims[i];
    }
    const double n = (double)(x->numel / n_cells), *xd = bnr__all_f64(a, x);
    double *mean = bnr__temp_f64(a, n_cells), *var = bnr__temp_f64(a, n_cells);
    double *yd = bnr__temp_f64(a, x->numel);
    if (!xd || !mean || !var || !yd)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < x->numel; i++, next(&c))
        mean[c.cell] += xd[i] / n;
    for (size_t i = 0; i < x->numel; i++, next(&c)) {
        yd[i] = xd[i] - mean[c.cell];
        var[c.cell] += yd[i] * yd[i] / n;
    }
    const bool only_mean = a->node->since == 1 && !bnr__attr_int(a->node, "normalize_variance", 1);
    for (size_t i = 0; i < x->numel && !only_mean; i++, next(&c))
        yd[i] /= sqrt(var[c.cell]) + 1e-9;
    bnr__store_f64(y->dtype, y->data, yd, y->numel);
    return BNR_OK;
}

static enum bnr_status prepare(struct bnr_prepare *cx) {
    bool reduced[BNR_MAX_RANK];
    BNR_TRY(read_axes(cx->node, cx->in[0]->type.shape.rank, reduced, cx->err));
    const bool only_mean =
        cx->node->since == 1 && !bnr__attr_int(cx->node, "normalize_variance", 1);
    return bnr__prepare_scaled(cx, reduced, only_mean ? BNR_SCALE_ONE : BNR_SCALE_DEVIATION);
}

BNR_DEFINE_OP(mean_variance_normalization) = {
    .domain = "",
    .name = "MeanVarianceNormalization",
    .since = {1, 9, 13},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "across_channels:i axes:I normalize_variance:i",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
};
