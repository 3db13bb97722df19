// SPDX-License-Identifier: Apache-2.0
// GridSample (ai.onnx 16, 20, 22): output element o is X at the position that grid gives for o, in
// coordinates from -1 to 1, innermost axis first. Version 16 calls its modes bilinear and bicubic.
#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/sample.h"

static enum bnr_status choice(const struct bnr_node *n, const char *name, const char *const *names,
                              int count, int *out, struct bnr_error *err) {
    const char *s = bnr__attr_string(n, name, names[0]);
    for (*out = 0; *out < count; ++*out)
        if (strcmp(s, names[*out]) == 0)
            return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "%s is '%s', expected %s, %s or %s", name, s, names[0],
                        names[1], names[2]);
}

static enum bnr_status read_sampler(const struct bnr_node *n, struct bnr_sampler *s,
                                    struct bnr_error *err) {
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic"};
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    static const enum bnr_sample_mode mode[] = {BNR_SAMPLE_LINEAR, BNR_SAMPLE_NEAREST,
                                                BNR_SAMPLE_CUBIC};
    int v;
    BNR_TRY(choice(n, "mode", n->since < 20 ? old_modes : modes, 3, &v, err));
    s->mode = mode[v];
    BNR_TRY(choice(n, "padding_mode", paddings, 3, &v, err));
    s->padding = (enum bnr_sample_padding)v;
    s->align_corners = bnr__attr_int(n, "align_corners", 0) != 0;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0), *grid = bnr__infer_in(cx, 1);
    const int rank = x->shape.rank >= 0 ? x->shape.rank : grid->shape.rank;
    struct bnr_shape y = {.rank = rank};
    struct bnr_sampler s;
    BNR_TRY(read_sampler(cx->node, &s, cx->err));
    BNR_TRY(bnr__infer_types(
        cx, 0, s.mode == BNR_SAMPLE_NEAREST ? BNR_TYPES_ALL : BNR_TYPES_NUMERIC | BNR_TYPE(BOOL)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_FLOAT));
    const int least = cx->node->since < 20 ? 4 : 3, most = cx->node->since < 20 ? 4 : BNR_MAX_RANK;
    BNR_TRY(bnr__infer_rank(cx, 0, least, most));
    BNR_TRY(bnr__infer_rank(cx, 1, least, most));
    if (rank >= 0)
        BNR_TRY(bnr__infer_rank(cx, 1, rank, rank));
    for (int i = 0; i < rank; i++)
        y.dims[i] = bnr__dim_unknown();
    if (rank >= 0 && grid->shape.rank >= 0) {
        BNR_TRY(bnr__infer_dims_agree(cx, "the grid's last dim and the spatial axes",
                                      grid->shape.dims[rank - 1], bnr__dim_of(rank - 2), NULL));
        for (int i = 2; i < rank; i++)
            y.dims[i] = grid->shape.dims[i - 1];
        y.dims[0] = grid->shape.dims[0];
    }
    if (rank >= 0 && x->shape.rank >= 0) {
        BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", x->shape.dims[0], y.dims[0], &y.dims[0]));
        y.dims[1] = x->shape.dims[1];
        for (int i = 2; i < rank; i++)
            if (x->shape.dims[i].n == 0)
                return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                                    "X has nothing to sample along axis %d", i);
    }
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

struct job {
    struct bnr_sampler s;
    size_t channels, in, out; // elements of a channel
    const struct bnr_tensor *x;
    struct bnr_tensor *y;
    const double *xd, *grid;
};

static void position(const struct job *j, const double *grid, double *p) {
    for (int i = 0; i < j->s.rank; i++) {
        const double n = (double)j->s.dims[i], g = grid[j->s.rank - 1 - i];
        p[i] = j->s.align_corners ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
    }
}

// Elements of any dtype are moved; zero bytes are zero, false and the empty string.
static void move(const struct job *j, size_t from, int64_t index, size_t to) {
    const size_t size = bnr__dtype_size(j->x->dtype);
    if (index < 0)
        memset(bnr__at_mut(j->y, to), 0, size);
    else
        memcpy(bnr__at_mut(j->y, to), bnr__at(j->x, from + (size_t)index), size);
}

// Output positions of all images: number batch * out + o.
static void run(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    double p[BNR_MAX_RANK];
    struct bnr_sample at;
    for (size_t i = begin; i < end; i++) {
        const size_t batch = i / j->out, o = i % j->out;
        position(j, j->grid + i * (size_t)j->s.rank, p);
        bnr__sample_prepare(&j->s, p, &at);
        for (size_t c = 0; c < j->channels; c++) {
            const size_t channel = batch * j->channels + c, to = channel * j->out + o;
            if (j->s.mode == BNR_SAMPLE_NEAREST) {
                move(j, channel * j->in, bnr__sample_index(&j->s, &at), to);
                continue;
            }
            const double v = bnr__sample_value(&j->s, &at, j->xd + channel * j->in);
            bnr__store_f64(j->y->dtype, bnr__at_mut(j->y, to), &v, 1);
        }
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *grid = a->in[1];
    struct job j = {.x = x};
    int64_t dims[BNR_MAX_RANK] = {x->dims[0], x->dims[1]};
    BNR_TRY(read_sampler(a->node, &j.s, a->err));
    j.s.rank = x->rank - 2;
    for (int i = 0; i < j.s.rank; i++) {
        j.s.dims[i] = x->dims[i + 2];
        dims[i + 2] = grid->dims[i + 1];
    }
    BNR_TRY(bnr__out(a, 0, x->dtype, x->rank, dims, &j.y));
    if (!j.y || j.y->numel == 0)
        return BNR_OK;
    j.channels = (size_t)x->dims[1];
    j.in = bnr__dims_product(x->dims, 2, x->rank);
    j.out = bnr__dims_product(dims, 2, x->rank);
    j.grid = bnr__all_f64(a, grid);
    if (j.s.mode != BNR_SAMPLE_NEAREST)
        j.xd = bnr__all_f64(a, x);
    if (!j.grid || (j.s.mode != BNR_SAMPLE_NEAREST && !j.xd))
        return BNR_NO_MEMORY;
    bnr__parallel_for(a->pool, (size_t)x->dims[0] * j.out, 64, run, &j);
    return BNR_OK;
}

BNR_DEFINE_OP(grid_sample) = {
    .domain = "",
    .name = "GridSample",
    .since = {16, 20, 22},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "align_corners:i mode:s padding_mode:s",
    .infer = infer,
    .ref = ref,
};
