// SPDX-License-Identifier: Apache-2.0
// trim_kernel: a convolution without the taps that read nothing but padding.
//
//     Conv(x [N, C, 16, 16], W [M, C, 3, 3], dilations 24, pads 24)  =>  Conv(x, W[:, :, 1:2, 1:2],
//     pads 0)
//
// Atrous pyramids on small maps and 3x3 kernels on maps of one pixel have such taps. Along each
// axis the first and last of them go, as far as the padding goes with them: pads stay positive or
// zero, and the output keeps its size. Needs: constant weights, known sizes of x. One tap stays in
// any case.
#include <string.h>

#include "graph/op.h"
#include "passes/pass.h"

struct axis {
    int64_t in, kernel, stride, dilation, begin, end;
};

// Sizes up to this make no product below overflow.
enum { LARGEST = INT32_MAX };

static int64_t attr_at(const struct bnr_node *n, const char *name, int i, int count,
                       int64_t otherwise) {
    size_t have;
    const int64_t *a = bnr__attr_ints(n, name, &have);
    return have == (size_t)count ? a[i] : otherwise;
}

// Sizes and pads along spatial axis i of `spatial`; false where they are not known or out of all
// proportion.
static bool read_axis(const struct bnr_node *conv, int spatial, int i, struct axis *a) {
    const char *automatic = bnr__attr_string(conv, "auto_pad", "NOTSET");
    *a = (struct axis){.in = conv->in[0]->info->type.shape.dims[i + 2].n,
                       .kernel = conv->in[1]->tensor->dims[i + 2],
                       .stride = attr_at(conv, "strides", i, spatial, 1),
                       .dilation = attr_at(conv, "dilations", i, spatial, 1)};
    if (a->in < 1 || a->in > LARGEST || a->kernel < 1 || a->kernel > LARGEST || a->stride < 1 ||
        a->stride > LARGEST || a->dilation < 1 || a->dilation > LARGEST)
        return false;
    if (strcmp(automatic, "NOTSET") == 0) {
        a->begin = attr_at(conv, "pads", i, 2 * spatial, 0);
        a->end = attr_at(conv, "pads", i + spatial, 2 * spatial, 0);
    } else if (strcmp(automatic, "VALID") != 0) {
        const int64_t reach =
            (a->in - 1) / a->stride * a->stride + (a->kernel - 1) * a->dilation + 1;
        const int64_t pads = reach > a->in ? reach - a->in : 0;
        const bool upper = strcmp(automatic, "SAME_UPPER") == 0;
        a->begin = upper ? pads / 2 : pads - pads / 2;
        a->end = pads - a->begin;
    }
    return a->begin >= 0 && a->begin <= LARGEST && a->end >= 0 && a->end <= LARGEST;
}

// Whether some output position has input under `tap`.
static bool reads_input(const struct axis *a, int64_t tap) {
    const int64_t room = a->in + a->begin + a->end - ((a->kernel - 1) * a->dilation + 1);
    const int64_t first = tap * a->dilation - a->begin; // what output position 0 reads
    const int64_t skip = first < 0 ? (-first + a->stride - 1) / a->stride : 0;
    return room >= 0 && skip <= room / a->stride && first + skip * a->stride < a->in;
}

// Takes taps off both ends; returns how many from the front.
static int64_t trim_axis(struct axis *a) {
    int64_t front = 0, back = 0;
    while (front < a->kernel - 1 && !reads_input(a, front) && (front + 1) * a->dilation <= a->begin)
        front++;
    while (back < a->kernel - 1 - front && !reads_input(a, a->kernel - 1 - back) &&
           (back + 1) * a->dilation <= a->end)
        back++;
    a->kernel -= front + back;
    a->begin -= front * a->dilation;
    a->end -= back * a->dilation;
    return front;
}

// w[:, :, front: front + kernel, ...]
static enum bnr_status cut(struct bnr_pass_cx *cx, const struct bnr_tensor *w,
                           const struct axis *axes, const int64_t *front, struct bnr_tensor **out) {
    const size_t size = bnr__dtype_size(w->dtype);
    struct bnr_tensor *from;
    int64_t dims[BNR_MAX_RANK], at[BNR_MAX_RANK] = {0};
    memcpy(dims, w->dims, (size_t)w->rank * sizeof *dims);
    for (int i = 2; i < w->rank; i++)
        dims[i] = axes[i - 2].kernel;
    BNR_TRY(bnr__tensor_align(&from, bnr__tensor_unconst(w), cx->err));
    enum bnr_status st = bnr__tensor_new(out, w->allocator, w->dtype, w->rank, dims, cx->err);
    for (size_t i = 0; st == BNR_OK && i < (*out)->numel; i++) {
        size_t offset = 0;
        for (int k = 0; k < w->rank; k++)
            offset = offset * (size_t)w->dims[k] + (size_t)(at[k] + (k < 2 ? 0 : front[k - 2]));
        memcpy((unsigned char *)(*out)->data + i * size,
               (const unsigned char *)from->data + offset * size, size);
        for (int k = w->rank - 1; k >= 0 && ++at[k] == dims[k]; k--)
            at[k] = 0;
    }
    bnr__tensor_unref(from);
    return st;
}

static enum bnr_status set_geometry(struct bnr_node *conv, const struct axis *axes, int spatial) {
    int64_t pads[2 * BNR_MAX_RANK], kernel[BNR_MAX_RANK];
    for (int i = 0; i < spatial; i++) {
        pads[i] = axes[i].begin;
        pads[i + spatial] = axes[i].end;
        kernel[i] = axes[i].kernel;
    }
    bnr__node_remove_attr(conv, "auto_pad");
    if (bnr__node_set_attr_ints(conv, "pads", pads, 2 * (size_t)spatial) != BNR_OK)
        return BNR_NO_MEMORY;
    return bnr__node_set_attr_ints(conv, "kernel_shape", kernel, (size_t)spatial);
}

static enum bnr_status try_conv(struct bnr_pass_cx *cx, struct bnr_node *conv) {
    const struct bnr_shape *x = &conv->in[0]->info->type.shape;
    const struct bnr_tensor *w = bnr__value_constant_tensor(conv->in[1]);
    struct axis axes[BNR_MAX_RANK];
    int64_t front[BNR_MAX_RANK];
    bool any = false;
    if (!w || w->rank < 3 || x->rank != w->rank)
        return BNR_OK;
    for (int i = 0; i < w->rank - 2; i++) {
        if (!read_axis(conv, w->rank - 2, i, &axes[i]))
            return BNR_OK;
        front[i] = trim_axis(&axes[i]);
        any = any || axes[i].kernel != w->dims[i + 2];
    }
    if (!any || !bnr__pass_may_rewrite(cx))
        return BNR_OK;
    struct bnr_tensor *t;
    struct bnr_value *trimmed;
    BNR_TRY(cut(cx, w, axes, front, &t));
    BNR_TRY(bnr__value_constant(&trimmed, conv->graph, conv->in[1]->name, t, cx->err));
    if (set_geometry(conv, axes, w->rank - 2) != BNR_OK ||
        bnr__node_set_input(conv, 1, trimmed) != BNR_OK)
        return bnr__no_memory(cx->err);
    return BNR_OK;
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (bnr__node_is(n, "", "Conv") && n->op && n->n_in > 1 && n->in[0])
            BNR_TRY(try_conv(cx, n));
    return BNR_OK;
}

const struct bnr_pass bnr__pass_trim_kernel = {
    .name = "trim_kernel", .group = BNR_PASS_FUSE, .run = run};
