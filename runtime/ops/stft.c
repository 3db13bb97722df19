// SPDX-License-Identifier: Apache-2.0
// STFT (ai.onnx 17): the Fourier transforms of windowed frames of a signal [batch, length, 1 or 2],
// each frame_step behind the one before.
#include "runtime/ops/lib/fft.h"

enum { SIGNAL, STEP, WINDOW, LENGTH };

struct plan {
    int64_t step, length, window, frames,
        bins; // window: elements of it (or of the frame without one)
};

// step and length from the inputs (length < 0: not given), window < 0: none.
static enum bnr_status make_plan(const struct bnr_node *n, int64_t samples, int64_t parts,
                                 struct plan *p, struct bnr_error *err) {
    const bool onesided = bnr__attr_int(n, "onesided", 1) != 0;
    if (p->length < 0)
        p->length = p->window >= 0 ? p->window : samples;
    if (p->window < 0)
        p->window = p->length;
    if (p->step < 1)
        return bnr__op_fail(n, err, BNR_SHAPE, "frame_step is %lld, expected 1 or more",
                            (long long)p->step);
    if (p->length < 1 || p->length > samples)
        return bnr__op_fail(n, err, BNR_SHAPE, "frames of %lld for a signal of %lld",
                            (long long)p->length, (long long)samples);
    if (parts != 1 && parts != 2)
        return bnr__op_fail(n, err, BNR_SHAPE, "the signal's last dim is %lld, expected 1 or 2",
                            (long long)parts);
    if (onesided && parts == 2)
        return bnr__op_fail(n, err, BNR_SHAPE, "onesided takes real input only");
    p->frames = 1 + (samples - p->length) / p->step;
    p->bins = onesided ? p->length / 2 + 1 : p->length;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, SIGNAL), *w = bnr__infer_in(cx, WINDOW);
    const struct bnr_dim unknown = bnr__dim_unknown();
    struct bnr_shape y = {.rank = 4, .dims = {unknown, unknown, unknown, bnr__dim_of(2)}};
    struct plan p = {.window = -1};
    enum bnr_status status;
    double step = 0, length = -1;
    BNR_TRY(bnr__infer_types(cx, SIGNAL, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, STEP, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_types(cx, WINDOW, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, LENGTH, BNR_TYPES_INDEX));
    BNR_TRY(bnr__infer_rank(cx, SIGNAL, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, WINDOW, 1, 1));
    bool known = bnr__infer_scalar(cx, STEP, &step, &status);
    BNR_TRY(status);
    known =
        (bnr__infer_scalar(cx, LENGTH, &length, &status) || !bnr__infer_in(cx, LENGTH)) && known;
    BNR_TRY(status);
    if (w && w->shape.rank == 1)
        p.window = w->shape.dims[0].n;
    known = known && (!w || p.window >= 0) && x->shape.rank == 3;
    if (x->shape.rank == 3)
        y.dims[0] = x->shape.dims[0];
    if (known && x->shape.dims[1].n >= 0 && x->shape.dims[2].n >= 0) {
        p.step = (int64_t)step;
        p.length = (int64_t)length;
        BNR_TRY(make_plan(cx->node, x->shape.dims[1].n, x->shape.dims[2].n, &p, cx->err));
        y.dims[1] = bnr__dim_of(p.frames);
        y.dims[2] = bnr__dim_of(p.bins);
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

static enum bnr_status read_plan(const struct bnr_args *a, struct plan *p) {
    const struct bnr_tensor *x = a->in[SIGNAL], *w = bnr__in(a, WINDOW), *l = bnr__in(a, LENGTH);
    if (a->in[STEP]->numel != 1 || (l && l->numel != 1))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                            "frame_step and frame_length must have one element");
    *p = (struct plan){.step = bnr__tensor_i64(a->in[STEP], 0), .window = w ? w->dims[0] : -1};
    p->length = l ? bnr__tensor_i64(l, 0) : -1;
    return make_plan(a->node, x->dims[1], x->dims[2], p, a->err);
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[SIGNAL], *w = bnr__in(a, WINDOW);
    struct plan p;
    struct bnr_fft f;
    struct bnr_tensor *y;
    BNR_TRY(read_plan(a, &p));
    const int64_t dims[] = {x->dims[0], p.frames, p.bins, 2};
    BNR_TRY(bnr__out(a, 0, x->dtype, 4, dims, &y));
    if (!y || y->numel == 0)
        return BNR_OK;
    BNR_TRY(bnr__fft_plan(a, p.length, &f));
    const double *xd = bnr__all_f64(a, x), *wd = bnr__all_f64(a, w);
    double *z = bnr__temp_f64(a, 2 * (size_t)p.length);
    if (!xd || (w && !wd) || !z)
        return BNR_NO_MEMORY;
    const size_t samples = (size_t)x->dims[1], parts = (size_t)x->dims[2], n = (size_t)p.length;
    for (size_t k = 0; k < (size_t)(x->dims[0] * p.frames); k++) {
        const size_t batch = k / (size_t)p.frames, start = k % (size_t)p.frames * (size_t)p.step;
        for (size_t i = 0; i < n; i++) {
            const bool inside = i < (size_t)p.window && start + i < samples;
            for (size_t c = 0; c < 2; c++)
                z[2 * i + c] = inside && c < parts ? xd[(batch * samples + start + i) * parts + c] *
                                                         (wd ? wd[i] : 1)
                                                   : 0;
        }
        bnr__fft_run(&f, z, false);
        bnr__store_f64(y->dtype, bnr__at_mut(y, k * (size_t)p.bins * 2), z, (size_t)p.bins * 2);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(stft) = {
    .domain = "",
    .name = "STFT",
    .since = {17},
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "onesided:i",
    .infer = infer,
    .ref = ref,
};
