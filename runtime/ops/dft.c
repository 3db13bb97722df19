// SPDX-License-Identifier: Apache-2.0
// DFT (ai.onnx 17, 20): Fourier transform along an axis of a tensor whose last dim is the complex
// one. onesided keeps the first half of the spectrum of real input, or (inverse) makes real output
// from it.
#include "runtime/ops/lib/fft.h"

// From the attributes and inputs: which transform of which size.
struct plan {
    int axis;
    int64_t length;       // of the transform
    int64_t in_bins, out; // elements along the axis that are read; that are written
    bool inverse, onesided;
    int in_parts, out_parts; // 1: real, 2: complex
    float *single; // [2, length] complex: room for a transform in single precision, or NULL
};

// `length` < 0: not given. dims are X's, of which those of the axis and the last one must be known.
static enum bnr_status make_plan(const struct bnr_node *n, int rank, const struct bnr_dim *dims,
                                 int64_t axis, int64_t length, struct plan *p,
                                 struct bnr_error *err) {
    if (axis < -rank || axis >= rank || axis == -1 || axis == rank - 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "axis %lld is no signal axis of rank %d",
                            (long long)axis, rank);
    *p = (struct plan){.axis = (int)(axis < 0 ? axis + rank : axis)};
    p->inverse = bnr__attr_int(n, "inverse", 0) != 0;
    p->onesided = bnr__attr_int(n, "onesided", 0) != 0;
    const int64_t parts = dims[rank - 1].n, size = dims[p->axis].n;
    if (parts != 1 && parts != 2)
        return bnr__op_fail(n, err, BNR_SHAPE, "the last dim is %lld, expected 1 or 2",
                            (long long)parts);
    if (p->onesided && !p->inverse && parts != 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "onesided takes real input only");
    if (p->onesided && p->inverse && parts != 2)
        return bnr__op_fail(n, err, BNR_SHAPE, "the onesided inverse takes complex input only");
    p->length = length >= 0 ? length : p->onesided && p->inverse ? 2 * (size - 1) : size;
    if (p->length < 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "a transform of length %lld", (long long)p->length);
    p->in_parts = (int)parts;
    p->out_parts = p->onesided && p->inverse ? 1 : 2;
    p->out = p->onesided && !p->inverse ? p->length / 2 + 1 : p->length;
    p->in_bins = p->onesided && p->inverse ? p->length / 2 + 1 : p->length;
    if (p->in_bins > size)
        p->in_bins = size;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    const bool newer = cx->node->since >= 20;
    struct bnr_shape y = x->shape;
    enum bnr_status status;
    double length = -1, axis = newer ? -2 : (double)bnr__attr_int(cx->node, "axis", 1);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_types(cx, 2, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    const bool has_length = bnr__infer_in(cx, 1), has_axis = newer && bnr__infer_in(cx, 2);
    const bool length_known = bnr__infer_scalar(cx, 1, &length, &status);
    BNR_TRY(status);
    const bool axis_known = has_axis ? bnr__infer_scalar(cx, 2, &axis, &status) : true;
    BNR_TRY(status);
    if (length_known && length < 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "dft_length is %g, expected 1 or more",
                            length);
    if (y.rank < 0) {
        bnr__infer_set(cx, 0, x->dtype, &y);
        return BNR_OK;
    }
    const int64_t at = (int64_t)(axis < 0 ? axis + y.rank : axis);
    const bool known = axis_known && (length_known || !has_length) && y.dims[y.rank - 1].n >= 0 &&
                       (at < 0 || at >= y.rank || y.dims[at].n >= 0);
    if (known) {
        struct plan p;
        BNR_TRY(make_plan(cx->node, y.rank, y.dims, (int64_t)axis,
                          length_known ? (int64_t)length : -1, &p, cx->err));
        y.dims[p.axis] = bnr__dim_of(p.out);
        y.dims[y.rank - 1] = bnr__dim_of(p.out_parts);
    } else {
        for (int i = 0; i < y.rank; i++)
            y.dims[i] = bnr__dim_unknown();
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

struct lanes {
    size_t n, inner, m; // elements along the axis in x and y; complex elements behind it
};

static void run_single(float *room, double *z, size_t n) {
    for (size_t i = 0; i < 2 * n; i++)
        room[i] = (float)z[i];
    bnr__fft_inverse_f32(room, n, room + 2 * n);
    for (size_t i = 0; i < 2 * n; i++)
        z[i] = (double)room[i];
}

// One lane: x (every inner-th complex or real number) to y.
static void transform(const struct plan *p, const struct bnr_fft *f, const struct lanes *l,
                      const double *x, double *y, double *z) {
    const size_t in = (size_t)p->in_parts, out = (size_t)p->out_parts, n = (size_t)p->length;
    for (size_t i = 0; i < 2 * n; i++)
        z[i] = 0;
    for (size_t i = 0; i < (size_t)p->in_bins; i++)
        for (size_t c = 0; c < in; c++)
            z[2 * i + c] = x[i * l->inner * in + c];
    if (p->inverse && p->onesided)
        for (size_t i = 1; i < (n + 1) / 2; i++) { // the other half is the mirrored conjugate
            z[2 * (n - i)] = z[2 * i];
            z[2 * (n - i) + 1] = -z[2 * i + 1];
        }
    if (p->inverse && p->onesided) // what must be real for real output
        z[1] = 0;
    if (p->inverse && p->onesided && n % 2 == 0)
        z[n + 1] = 0;
    if (p->single)
        run_single(p->single, z, n);
    else
        bnr__fft_run(f, z, p->inverse);
    for (size_t i = 0; i < l->m; i++)
        for (size_t c = 0; c < out; c++)
            y[i * l->inner * out + c] = z[2 * i + c];
}

static enum bnr_status read_scalar(const struct bnr_args *a, int i, int64_t fallback, int64_t *v) {
    const struct bnr_tensor *t = bnr__in(a, i);
    *v = fallback;
    if (t && t->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has %zu elements, expected 1", i,
                            t->numel);
    if (t)
        *v = bnr__tensor_i64(t, 0);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_shape shape = bnr__shape_of(x->rank, x->dims);
    const bool newer = a->node->since >= 20;
    int64_t length, axis, dims[BNR_MAX_RANK];
    struct bnr_tensor *y;
    struct plan p;
    struct bnr_fft f;
    BNR_TRY(read_scalar(a, 1, -1, &length));
    BNR_TRY(read_scalar(a, newer ? 2 : BNR_VARIADIC, newer ? -2 : bnr__attr_int(a->node, "axis", 1),
                        &axis));
    if (bnr__in(a, 1) && length < 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "dft_length is %lld, expected 1 or more",
                            (long long)length);
    BNR_TRY(make_plan(a->node, x->rank, shape.dims, axis, length, &p, a->err));
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == p.axis ? p.out : i == x->rank - 1 ? p.out_parts : x->dims[i];
    BNR_TRY(bnr__out(a, 0, x->dtype, x->rank, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    const struct lanes l = {.n = (size_t)x->dims[p.axis],
                            .m = (size_t)p.out,
                            .inner = bnr__dims_product(x->dims, p.axis + 1, x->rank - 1)};
    const size_t outer = bnr__dims_product(x->dims, 0, p.axis);
    const double *xd = bnr__all_f64(a, x);
    double *yd = bnr__temp_f64(a, y->numel);
    BNR_TRY(bnr__fft_plan(a, p.length, &f));
    double *z = bnr__temp_f64(a, 2 * (size_t)p.length);
    const bool single =
        p.inverse && !p.onesided && x->dtype == BNR_FLOAT && bnr__fft_is_smooth(p.length);
    if (single)
        p.single = bnr__temp(a, 4 * (size_t)p.length, sizeof(float));
    if (!xd || !yd || !z || (single && !p.single))
        return BNR_NO_MEMORY;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < l.inner; i++)
            transform(&p, &f, &l, xd + (o * l.n * l.inner + i) * (size_t)p.in_parts,
                      yd + (o * l.m * l.inner + i) * (size_t)p.out_parts, z);
    bnr__store_f64(y->dtype, y->data, yd, y->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(dft) = {
    .domain = "",
    .name = "DFT",
    .since = {17, 20},
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "axis:i inverse:i onesided:i",
    .infer = infer,
    .ref = ref,
};
