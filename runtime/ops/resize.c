// SPDX-License-Identifier: Apache-2.0
// Resize (ai.onnx 10, 11, 13, 18, 19): nearest, linear and cubic, every coordinate transformation,
// antialias, by scales or by sizes. Version 10 has inputs X, scales; the others X, roi, scales,
// sizes.
#include "runtime/ops/lib/resize.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/prepare_pixels.h"

// Input i's tensor where it is there, known, and not empty (which is how version 11 leaves one
// out). *absent: it is certain that there is nothing.
static const struct bnr_tensor *known(const struct bnr_infer *cx, int i, bool *absent) {
    const struct bnr_info *x = i >= 0 && i < cx->n_in ? cx->in[i] : NULL;
    const bool empty = x && x->type.shape.rank == 1 && x->type.shape.dims[0].n == 0;
    *absent = !x || empty;
    return *absent ? NULL : x->tensor;
}

static const double *doubles(struct bnr_infer *cx, const struct bnr_tensor *t) {
    double *v = BNR_NEW_ARRAY(cx->arena, t->numel ? t->numel : 1, double);
    if (v)
        bnr__load_f64(v, t->dtype, t->data, t->numel);
    return v;
}

static const int64_t *integers(struct bnr_infer *cx, const struct bnr_tensor *t) {
    int64_t *v = BNR_NEW_ARRAY(cx->arena, t->numel ? t->numel : 1, int64_t);
    if (v)
        bnr__load_i64(v, t->dtype, t->data, t->numel);
    return v;
}

static enum bnr_status check_types(struct bnr_infer *cx) {
    struct bnr_resize r;
    BNR_TRY(bnr__resize_attrs(cx->node, &r, cx->err));
    BNR_TRY(bnr__infer_types(
        cx, 0, r.mode == BNR_RESIZE_NEAREST ? BNR_TYPES_ALL : BNR_TYPES_NUMERIC | BNR_TYPE(BOOL)));
    if (cx->node->since >= 11) {
        BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT));
        BNR_TRY(bnr__infer_types(cx, 3, BNR_TYPES_INDEX));
    }
    return bnr__infer_types(cx, bnr__resize_scales(cx->node), BNR_TYPES_FLOAT);
}

// With sizes in elems (perhaps symbolic) and nothing else known, the output's dims are those.
static enum bnr_status dims_from_elems(struct bnr_infer *cx, struct bnr_shape *y) {
    const struct bnr_dim *elems;
    int n, axes[BNR_MAX_RANK], count;
    BNR_TRY(bnr__infer_ints(cx, bnr__resize_sizes(cx->node), &elems, &n));
    BNR_TRY(bnr__resize_axes(cx->node, y->rank, axes, &count, cx->err));
    const bool stretch =
        bnr__attr_string(cx->node, "keep_aspect_ratio_policy", "stretch")[0] == 's';
    for (int i = 0; i < count; i++)
        y->dims[axes[i]] =
            elems && n == count && stretch ? bnr__dim_of_elem(elems[i]) : bnr__dim_unknown();
    return BNR_OK;
}

// Dims and scales, where everything that they follow from is known.
static enum bnr_status plan(struct bnr_infer *cx, struct bnr_resize *r, bool *all_known) {
    const struct bnr_node *n = cx->node;
    const struct bnr_shape *x = &bnr__infer_in(cx, 0)->shape;
    bool no_scales, no_sizes, no_roi;
    const struct bnr_tensor *scales = known(cx, bnr__resize_scales(n), &no_scales);
    const struct bnr_tensor *sizes = known(cx, bnr__resize_sizes(n), &no_sizes);
    const struct bnr_tensor *roi = known(cx, bnr__resize_roi(n), &no_roi);
    *all_known = x->rank >= 0 && bnr__shape_known(x) && (scales || no_scales) &&
                 (sizes || no_sizes) && (roi || no_roi);
    if (!*all_known)
        return BNR_OK;
    struct bnr_resize_request q = {0};
    int64_t dims[BNR_MAX_RANK];
    bnr__shape_numbers(x, dims);
    if ((scales && !(q.scales = doubles(cx, scales))) ||
        (sizes && !(q.sizes = integers(cx, sizes))) || (roi && !(q.roi = doubles(cx, roi))))
        return bnr__no_memory(cx->err);
    q.n_scales = scales ? scales->numel : 0;
    q.n_sizes = sizes ? sizes->numel : 0;
    q.n_roi = roi ? roi->numel : 0;
    return bnr__resize_plan(n, x->rank, dims, &q, r, cx->err);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    struct bnr_shape y = x->shape;
    struct bnr_resize r;
    bool all_known;
    BNR_TRY(check_types(cx));
    BNR_TRY(plan(cx, &r, &all_known));
    if (all_known) {
        y = bnr__shape_of(y.rank, r.out);
    } else if (y.rank >= 0) {
        BNR_TRY(dims_from_elems(cx, &y));
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_resize r;
    BNR_TRY(bnr__resize_read(a, a->node, &r));
    BNR_TRY(bnr__out_alloc(a, 0, a->in[0]->dtype, a->in[0]->rank, r.out));
    return bnr__resize_run(a, &r);
}

// To the nearest on blocked tensors; else on any.
static enum bnr_status prepare(struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    struct bnr_infer infer_cx = {
        .node = n, .in = cx->in, .n_in = n->n_in, .arena = cx->arena, .err = cx->err};
    const struct bnr_args args = {.node = n, .temp = cx->arena, .err = cx->err};
    const int64_t *from[BNR_MAX_RANK] = {NULL};
    struct bnr_resize r;
    bool all_known = false;
    BNR_TRY(bnr__resize_attrs(n, &r, cx->err));
    if ((r.mode == BNR_RESIZE_NEAREST && !cx->lanes) || r.coordinates == BNR_COORD_TF_CROP_AND_RESIZE)
        return BNR_OK;
    BNR_TRY(plan(&infer_cx, &r, &all_known));
    if (!all_known)
        return BNR_OK;
    if (r.mode != BNR_RESIZE_NEAREST)
        return bnr__prepare_interpolate(cx, &r);
    for (int d = 0; d < r.rank; d++) {
        struct bnr_resize_axis axis;
        if (r.in[d] == r.out[d] && (!r.resized[d] || d < 2))
            continue;
        BNR_TRY(bnr__resize_axis(&args, &r, d, &axis));
        from[d] = axis.index;
    }
    return bnr__prepare_pixels(cx, from, 0);
}

BNR_DEFINE_OP(resize) = {
    .domain = "",
    .name = "Resize",
    .since = {10, 11, 13, 18, 19},
    .min_in = 1,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs =
        "antialias:i axes:I coordinate_transformation_mode:s cubic_coeff_a:f exclude_outside:i "
        "extrapolation_value:f keep_aspect_ratio_policy:s mode:s nearest_mode:s",
    .infer = infer,
    .ref = ref,
    .prepare = prepare,
    .affine = &bnr__affine_resize,
};
