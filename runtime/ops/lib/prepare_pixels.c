// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/prepare_pixels.h"

#include "runtime/kernels/nchwc_pixels_f32.h"
#include "runtime/ops/lib/blocked.h"

static void run(const struct bnr_args *a, const void *opaque) {
    bnr__nchwc_pixels_run(opaque, a->out[0]->f32, a->in[0]->f32, a->pool);
}

static const int64_t *in_place(struct bnr_arena *arena, size_t n) {
    int64_t *from = BNR_NEW_ARRAY(arena, n, int64_t);
    for (size_t i = 0; from && i < n; i++)
        from[i] = (int64_t)i;
    return from;
}

enum bnr_status bnr__prepare_pixels(struct bnr_prepare *cx, const int64_t *const from[BNR_MAX_RANK],
                                    float fill) {
    const struct bnr_shape *x = &cx->in[0]->type.shape, *y = &cx->out[0]->type.shape;
    struct bnr_nchwc in, out;
    if (!bnr__blocked_shape(&cx->in[0]->type, cx->lanes, &in) ||
        !bnr__blocked_shape(&cx->out[0]->type, cx->lanes, &out) || from[0] || from[1])
        return BNR_OK;
    struct bnr_nchwc_pixels *p = BNR_NEW(cx->arena, struct bnr_nchwc_pixels);
    if (!p)
        return bnr__no_memory(cx->err);
    p->lanes = cx->lanes;
    p->blocks = out.blocks * out.batch;
    p->fill = fill;
    for (int i = 0; i < BNR_PIXEL_AXES; i++) {
        const int d = x->rank - BNR_PIXEL_AXES + i;
        p->in[i] = d < 2 ? 1 : (size_t)x->dims[d].n;
        p->out[i] = d < 2 ? 1 : (size_t)y->dims[d].n;
        p->from[i] = d >= 2 && from[d] ? from[d] : in_place(cx->arena, p->out[i]);
        if (!p->from[i])
            return bnr__no_memory(cx->err);
    }
    cx->blocked_in = cx->blocked_out = 1;
    cx->kernel = "nchwc_pixels_f32";
    cx->state = p;
    cx->run = run;
    return BNR_OK;
}
