// SPDX-License-Identifier: Apache-2.0
// Softmax, LogSoftmax and the normalizations of rows, by rows_f32.
#include "runtime/kernels/rows_f32.h"
#include "runtime/ops/lib/prepare.h"

static void run(const struct bnr_args *a, const void *state) {
    const struct bnr_rows_f32 *st = state;
    struct bnr_rows_f32_run r = {.r = st, .dst = a->out[0]->f32, .src = a->in[0]->f32};
    if (st->kind == BNR_ROWS_NORMALIZE) {
        r.scale = a->in[1]->f32;
        r.bias = a->n_in > 2 && a->in[2] ? a->in[2]->f32 : NULL;
    }
    bnr__rows_f32_run(&r, a->pool);
}

static bool is_float(const struct bnr_info *info) {
    return info->type.kind == BNR_KIND_TENSOR && info->type.dtype == BNR_FLOAT;
}

// The product of dims first .. last - 1.
static size_t product(const struct bnr_shape *s, int first, int last) {
    size_t n = 1;
    for (int i = first; i < last; i++)
        n *= (size_t)s->dims[i].n;
    return n;
}

static enum bnr_status take(struct bnr_prepare *cx, struct bnr_rows_f32 r, const char *name) {
    if (r.rows == 0 || r.n == 0 || r.inner == 0)
        return BNR_OK;
    struct bnr_rows_f32 *st = BNR_NEW(cx->arena, struct bnr_rows_f32);
    if (!st)
        return bnr__no_memory(cx->err);
    r.kernels = bnr__rows_f32_select(cx->cpu);
    *st = r;
    cx->kernel = bnr__arena_printf(cx->arena, "%s_f32_%s", name, r.kernels->isa);
    cx->overwrites = 0;
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

static enum bnr_status prepare_softmax(struct bnr_prepare *cx, bool logarithm) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    const int64_t attr = bnr__attr_int(cx->node, "axis", cx->node->since >= 13 ? -1 : 1);
    const int axis = (int)(attr < 0 ? attr + x->rank : attr);
    if (!is_float(cx->in[0]) || x->rank == 0 || axis >= x->rank)
        return BNR_OK;
    const bool matrix = cx->node->since < 13; // of the axes before and from `axis` on
    const int end = matrix ? x->rank : axis + 1;
    struct bnr_rows_f32 r = {.kind = BNR_ROWS_SOFTMAX,
                             .rows = product(x, 0, axis),
                             .n = product(x, axis, end),
                             .inner = product(x, end, x->rank)};
    if (logarithm)
        r.kind = BNR_ROWS_LOG_SOFTMAX;
    return take(cx, r, logarithm ? "log_softmax" : "softmax");
}

enum bnr_status bnr__prepare_softmax(struct bnr_prepare *cx) {
    return prepare_softmax(cx, false);
}

enum bnr_status bnr__prepare_log_softmax(struct bnr_prepare *cx) {
    return prepare_softmax(cx, true);
}

// A float tensor of the dims of x from `axis` on, whatever dims of 1 are in front.
static bool is_row(const struct bnr_info *info, const struct bnr_shape *x, int axis) {
    const struct bnr_shape *s = &info->type.shape;
    const int extra = s->rank - (x->rank - axis);
    if (!is_float(info) || extra < 0)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i].n != (i < extra ? 1 : x->dims[axis + i - extra].n))
            return false;
    return true;
}

// Over the last axes, scale (and bias) along them.
static enum bnr_status prepare_last_axes(struct bnr_prepare *cx, bool centered, const char *name) {
    const struct bnr_node *n = cx->node;
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    const int64_t attr = bnr__attr_int(n, "axis", -1);
    const bool has_bias = n->n_in > 2 && cx->in[2];
    if (!is_float(cx->in[0]) || x->rank == 0)
        return BNR_OK;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i])
            return BNR_OK;
    const int axis = (int)(attr < 0 ? attr + x->rank : attr);
    if (!is_row(cx->in[1], x, axis) || (has_bias && !is_row(cx->in[2], x, axis)))
        return BNR_OK;
    struct bnr_rows_f32 r = {.kind = BNR_ROWS_NORMALIZE,
                             .rows = product(x, 0, axis),
                             .n = product(x, axis, x->rank),
                             .inner = 1,
                             .epsilon = (double)bnr__attr_float(n, "epsilon", 1e-5f),
                             .uncentered = !centered};
    return take(cx, r, name);
}

enum bnr_status bnr__prepare_layer_norm(struct bnr_prepare *cx) {
    return prepare_last_axes(cx, true, "layer_norm");
}

enum bnr_status bnr__prepare_rms_norm(struct bnr_prepare *cx) {
    return prepare_last_axes(cx, false, "rms_norm");
}

// Over the spatial axes of groups of channels; a scale and a bias to a group, or to each channel.
static enum bnr_status prepare_groups(struct bnr_prepare *cx, size_t groups, const char *name) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    if (!is_float(cx->in[0]) || !is_float(cx->in[1]) || !is_float(cx->in[2]) || x->rank < 2)
        return BNR_OK;
    const size_t channels = (size_t)x->dims[1].n;
    const size_t parameters = (size_t)cx->in[1]->type.shape.dims[0].n;
    struct bnr_rows_f32 r = {.kind = BNR_ROWS_NORMALIZE,
                             .rows = (size_t)x->dims[0].n * groups,
                             .n = channels / groups * product(x, 2, x->rank),
                             .inner = 1,
                             .epsilon = (double)bnr__attr_float(cx->node, "epsilon", 1e-5f),
                             .channels = parameters / groups,
                             .groups = groups};
    return take(cx, r, name);
}

enum bnr_status bnr__prepare_instance_norm(struct bnr_prepare *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    return x->rank < 2 || x->dims[1].n == 0
               ? BNR_OK
               : prepare_groups(cx, (size_t)x->dims[1].n, "instance_norm");
}

enum bnr_status bnr__prepare_group_norm(struct bnr_prepare *cx) {
    return prepare_groups(cx, (size_t)bnr__attr_int(cx->node, "num_groups", 1), "group_norm");
}
