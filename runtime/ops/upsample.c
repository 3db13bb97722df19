// SPDX-License-Identifier: Apache-2.0
// Upsample (ai.onnx 1, 7, 9; deprecated in 10): Resize of version 10, with the scales as attributes
// (height_scale and width_scale in 1, scales in 7) or as input 1 (from 9 on).
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/resize.h"

// The scales as doubles: *count of them, NULL where they are not known. room: for the attributes'
// ones.
static const double *attr_scales(const struct bnr_node *n, double room[BNR_MAX_RANK],
                                 size_t *count) {
    if (n->since >= 9)
        return NULL;
    if (n->since == 1) {
        *count = 4;
        room[0] = room[1] = 1;
        room[2] = (double)bnr__attr_float(n, "height_scale", 0);
        room[3] = (double)bnr__attr_float(n, "width_scale", 0);
        return room;
    }
    const float *scales = bnr__attr_floats(n, "scales", count);
    for (size_t i = 0; i < *count && i < BNR_MAX_RANK; i++)
        room[i] = (double)scales[i];
    return scales ? room : NULL;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    struct bnr_shape y = x->shape;
    struct bnr_resize_request q = {0};
    struct bnr_resize r;
    double room[BNR_MAX_RANK];
    int64_t dims[BNR_MAX_RANK];
    BNR_TRY(bnr__resize_attrs(cx->node, &r, cx->err));
    BNR_TRY(bnr__infer_types(
        cx, 0, r.mode == BNR_RESIZE_NEAREST ? BNR_TYPES_ALL : BNR_TYPES_NUMERIC | BNR_TYPE(BOOL)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT));
    if (cx->node->since == 1)
        BNR_TRY(bnr__infer_rank(cx, 0, 4, 4));
    if (cx->node->since >= 9 && (cx->n_in < 2 || !cx->in[1]))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input 1 (scales) is missing");
    const struct bnr_tensor *scales = cx->node->since >= 9 ? cx->in[1]->tensor : NULL;
    q.scales = attr_scales(cx->node, room, &q.n_scales);
    if (scales && scales->numel <= BNR_MAX_RANK) {
        bnr__load_f64(room, scales->dtype, scales->data, scales->numel);
        q.scales = room;
        q.n_scales = scales->numel;
    }
    if (cx->node->since < 9 && !q.scales)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "attribute 'scales' is required");
    if (q.scales && y.rank >= 0 && bnr__shape_known(&y)) {
        bnr__shape_numbers(&y, dims);
        BNR_TRY(bnr__resize_plan(cx->node, y.rank, dims, &q, &r, cx->err));
        y = bnr__shape_of(y.rank, r.out);
    } else {
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *scales = bnr__in(a, 1);
    struct bnr_resize_request q = {0};
    struct bnr_resize r;
    double room[BNR_MAX_RANK];
    q.scales = attr_scales(a->node, room, &q.n_scales);
    if (!q.scales) {
        q.scales = bnr__all_f64(a, scales);
        q.n_scales = scales->numel;
        if (!q.scales)
            return BNR_NO_MEMORY;
    }
    BNR_TRY(bnr__resize_plan(a->node, x->rank, x->dims, &q, &r, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, x->rank, r.out));
    return bnr__resize_run(a, &r);
}

BNR_DEFINE_OP(upsample) = {
    .domain = "",
    .name = "Upsample",
    .since = {1, 7, 9, 10},
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "height_scale:f mode:s scales:F width_scale:f",
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_resize,
};
