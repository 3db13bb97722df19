// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/prepare_channels.h"

#include <string.h>

#include "runtime/ops/lib/blocked.h"

enum { MAX_TENSORS = 64 };

struct state {
    int n_in, n_out;
    struct bnr_nchwc_channels *out; // [n_out]; an unwanted one has no blocks
};

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    const float *src[MAX_TENSORS];
    for (int i = 0; i < st->n_in; i++)
        src[i] = a->in[i]->f32;
    for (int i = 0; i < st->n_out; i++)
        if (st->out[i].shape.blocks)
            bnr__nchwc_channels_run(&st->out[i], a->out[i]->f32, src, a->pool);
}

struct bnr_channel *bnr__channels_new(struct bnr_prepare *cx, const struct bnr_type *type) {
    return BNR_NEW_ARRAY(cx->temp, (size_t)type->shape.dims[1].n, struct bnr_channel);
}

static bool all_blockable(const struct bnr_prepare *cx, int n_in,
                          const struct bnr_channels_out *out, int n_out) {
    struct bnr_nchwc s;
    if (n_in > MAX_TENSORS || n_out > MAX_TENSORS)
        return false;
    for (int i = 0; i < n_in; i++)
        if (!cx->in[i] || !bnr__blocked_shape(&cx->in[i]->type, cx->lanes, &s))
            return false;
    for (int i = 0; i < n_out; i++)
        if (out[i].type && !bnr__blocked_shape(out[i].type, cx->lanes, &s))
            return false;
    return true;
}

static bool plan_output(struct bnr_prepare *cx, struct bnr_nchwc_channels *c,
                        const struct bnr_channels_out *out, const size_t *in_blocks) {
    bnr__blocked_shape(out->type, cx->lanes, &c->shape);
    c->kernels = bnr__nchwc_channels_f32_select(cx->cpu);
    c->in_blocks = in_blocks;
    const size_t pieces = bnr__nchwc_channels_pieces(&c->shape, out->list);
    c->piece = BNR_NEW_ARRAY(cx->arena, pieces, struct bnr_channels_piece);
    c->first = BNR_NEW_ARRAY(cx->arena, c->shape.blocks + 1, size_t);
    if (!c->piece || !c->first)
        return false;
    bnr__nchwc_channels_plan(c, out->list);
    return true;
}

enum bnr_status bnr__prepare_channels(struct bnr_prepare *cx, int n_in,
                                      const struct bnr_channels_out *out, int n_out) {
    if (!all_blockable(cx, n_in, out, n_out))
        return BNR_OK;
    struct state *st = BNR_NEW(cx->arena, struct state);
    size_t *in_blocks = BNR_NEW_ARRAY(cx->arena, (size_t)n_in, size_t);
    if (!st || !in_blocks)
        return bnr__no_memory(cx->err);
    st->out = BNR_NEW_ARRAY(cx->arena, (size_t)n_out, struct bnr_nchwc_channels);
    if (!st->out)
        return bnr__no_memory(cx->err);
    st->n_in = n_in;
    st->n_out = n_out;
    for (int i = 0; i < n_in; i++) {
        struct bnr_nchwc s;
        bnr__blocked_shape(&cx->in[i]->type, cx->lanes, &s);
        in_blocks[i] = s.blocks;
        cx->blocked_in |= (uint64_t)1 << i;
    }
    for (int i = 0; i < n_out; i++) {
        if (!out[i].type)
            continue;
        if (!plan_output(cx, &st->out[i], &out[i], in_blocks))
            return bnr__no_memory(cx->err);
        cx->blocked_out |= (uint64_t)1 << i;
    }
    cx->kernel = bnr__arena_printf(cx->arena, "nchwc_channels_f32_%s",
                                   bnr__nchwc_channels_f32_select(cx->cpu)->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}

static bool is_channel_axis(const struct bnr_prepare *cx, int64_t axis) {
    const int rank = cx->in[0]->type.shape.rank;
    return rank >= 3 && (axis == 1 || axis == 1 - rank);
}

// ---- shuffle ------------------------------------------------------------------------------------

static bool same_shape(const struct bnr_shape *a, const struct bnr_shape *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i].n != b->dims[i].n)
            return false;
    return true;
}

// perm is 0, 2, 1, 3, 4, ...
static bool swaps_first_axes(const struct bnr_node *n, int rank) {
    size_t count;
    const int64_t *perm = bnr__attr_ints(n, "perm", &count);
    if (strcmp(n->op_type, "Transpose") != 0 || !perm || (int)count != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (perm[i] != (i == 1 ? 2 : i == 2 ? 1 : i))
            return false;
    return true;
}

// The groups of the shuffle that `first` and the two behind it are, which takes and gives tensors
// of this shape; 0: they are none.
static size_t shuffle_groups(const struct bnr_prepare *cx, const struct bnr_node *first,
                             const struct bnr_node *const *behind, const struct bnr_shape *x) {
    const struct bnr_shape *mid = &cx->info(cx, first->out[0])->type.shape;
    if (strcmp(first->op_type, "Reshape") != 0 || strcmp(behind[1]->op_type, "Reshape") != 0 ||
        mid->rank != x->rank + 1 || !swaps_first_axes(behind[0], mid->rank) ||
        !same_shape(&cx->info(cx, behind[1]->out[0])->type.shape, x) ||
        mid->dims[0].n != x->dims[0].n || mid->dims[1].n * mid->dims[2].n != x->dims[1].n)
        return 0;
    for (int i = 2; i < x->rank; i++)
        if (mid->dims[i + 1].n != x->dims[i].n)
            return 0;
    return (size_t)mid->dims[1].n;
}

// The list of channels after a shuffle of those in `list`.
static bool shuffle(struct bnr_prepare *cx, struct bnr_channel *list, size_t channels,
                    size_t groups) {
    struct bnr_channel *old = BNR_NEW_ARRAY(cx->temp, channels, struct bnr_channel);
    if (!old)
        return false;
    memcpy(old, list, channels * sizeof *list);
    for (size_t i = 0; i < channels; i++)
        list[i] = old[i % groups * (channels / groups) + i / groups];
    return true;
}

enum bnr_status bnr__prepare_reshape(struct bnr_prepare *cx) {
    const struct bnr_type *type = &cx->in[0]->type;
    struct bnr_nchwc s;
    if (!cx->lanes || cx->n_fused < 2 || !bnr__blocked_shape(type, cx->lanes, &s))
        return BNR_OK;
    const size_t groups = shuffle_groups(cx, cx->node, cx->fused, &type->shape);
    if (groups == 0)
        return BNR_OK;
    struct bnr_channel *list = bnr__channels_new(cx, type);
    if (!list)
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < s.channels; i++)
        list[i] = (struct bnr_channel){.in = 0, .channel = i};
    if (!shuffle(cx, list, s.channels, groups))
        return bnr__no_memory(cx->err);
    cx->fused_taken = 2;
    return bnr__prepare_channels(cx, 1, &(struct bnr_channels_out){type, list}, 1);
}

// ---- Concat, Split ------------------------------------------------------------------------------

// In memory the output is its inputs one after the other.
static bool is_joined(const struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    for (int i = 0; i + 1 < n->n_in; i++)
        if ((size_t)cx->in[i]->type.shape.dims[1].n % cx->lanes != 0)
            return false;
    return n->n_in > 1 && cx->out[0]->type.shape.dims[0].n == 1;
}

enum bnr_status bnr__prepare_concat(struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    const struct bnr_type *type = &cx->out[0]->type;
    struct bnr_nchwc s;
    if (!cx->lanes || !bnr__blocked_shape(type, cx->lanes, &s) ||
        !is_channel_axis(cx, bnr__attr_int(n, "axis", 1)) || !all_blockable(cx, n->n_in, NULL, 0))
        return BNR_OK;
    struct bnr_channel *list = bnr__channels_new(cx, type);
    if (!list)
        return bnr__no_memory(cx->err);
    for (size_t i = 0, k = 0; i < (size_t)n->n_in; i++)
        for (size_t c = 0; c < (size_t)cx->in[i]->type.shape.dims[1].n; c++)
            list[k++] = (struct bnr_channel){.in = (int)i, .channel = c};
    const size_t groups =
        cx->n_fused < 3 ? 0 : shuffle_groups(cx, cx->fused[0], cx->fused + 1, &type->shape);
    if (groups > 0) {
        if (!shuffle(cx, list, s.channels, groups))
            return bnr__no_memory(cx->err);
        cx->fused_taken = 3;
    }
    cx->joined = groups == 0 && is_joined(cx);
    return bnr__prepare_channels(cx, n->n_in, &(struct bnr_channels_out){type, list}, 1);
}

enum bnr_status bnr__prepare_split(struct bnr_prepare *cx) {
    const struct bnr_node *n = cx->node;
    struct bnr_channels_out out[MAX_TENSORS] = {{NULL, NULL}};
    if (!cx->lanes || n->n_out > MAX_TENSORS || !is_channel_axis(cx, bnr__attr_int(n, "axis", 0)))
        return BNR_OK;
    size_t at = 0;
    for (int i = 0; i < n->n_out; i++) {
        if (!cx->out[i]) // its size is not known here
            return BNR_OK;
        const struct bnr_type *type = &cx->out[i]->type;
        struct bnr_channel *list = bnr__channels_new(cx, type);
        if (!list)
            return bnr__no_memory(cx->err);
        for (size_t c = 0; c < (size_t)type->shape.dims[1].n; c++)
            list[c] = (struct bnr_channel){.in = 0, .channel = at++};
        out[i] = (struct bnr_channels_out){type, list};
    }
    return bnr__prepare_channels(cx, 1, out, n->n_out);
}
