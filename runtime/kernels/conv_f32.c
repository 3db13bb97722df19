// SPDX-License-Identifier: Apache-2.0
// conv_f32: block sizes, weight packing, and the tasks: (image, group, rows of weights, columns of
// pixels).
#include "runtime/kernels/conv_f32.h"

#include "runtime/base/checked.h"
#include "runtime/kernels/pieces.h"
#include "runtime/kernels/scratch.h"

enum { COLUMNS = 256 }; // of a task: with BNR_GEMM_KC rows they stay in L2

static const struct bnr_conv_f32_kernels *select_kernels(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_conv_f32_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__conv_f32_##isa},
#include "runtime/kernels/conv_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_conv_f32_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

static size_t volume(const size_t v[BNR_CONV_AXES]) {
    return v[0] * v[1] * v[2];
}

// A 1x1 kernel that reads every pixel once sees no rows and planes: the image is one long row.
static bool flatten(struct bnr_conv_shape *s) {
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad[i] != 0 || s->in[i] != s->out[i])
            return false;
    }
    s->in[2] = s->out[2] = volume(s->in);
    s->in[0] = s->in[1] = s->out[0] = s->out[1] = 1;
    return true;
}

static bool set_sizes(struct bnr_conv_f32 *c) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t panels = ceil_div(s->cout, c->panel_rows);
    size_t n = c->panel_rows;
    if (!bnr__size_mul(n, panels, &n) || !bnr__size_mul(n, c->k, &n) ||
        !bnr__size_mul(n, s->groups, &n) || !bnr__size_mul(n, sizeof(float), &c->packed_bytes))
        return false;
    return bnr__slots_bytes(c->slots, c->kc * c->nc, 0, &c->slot_bytes, &c->scratch_bytes);
}

bool bnr__conv_f32_init(struct bnr_conv_f32 *c, const struct bnr_conv_shape *s, unsigned cpu,
                        int threads) {
    *c = (struct bnr_conv_f32){.s = *s, .gemm = s->gemm};
    if (!s->gemm)
        c->gemm = bnr__gemm_f32_select(cpu);
    c->kernels = select_kernels(cpu);
    c->eltwise = bnr__eltwise_f32_select(cpu);
    const bool flat = flatten(&c->s);
    if (!bnr__size_mul(s->cin, volume(s->kernel), &c->k))
        return false;
    c->m = s->cout;
    c->n = volume(s->out);
    c->panel_rows = bnr__gemm_f32_panel_rows(c->gemm, c->m);
    c->direct = flat && c->m <= 2 * c->gemm->mr;
    c->kc = even_piece(c->k, BNR_GEMM_KC, 1);
    c->nc = even_piece(c->n, COLUMNS, c->gemm->nr);
    c->mc = c->panel_rows * ceil_div(c->m, c->panel_rows);
    c->slots = bnr__slots_count(threads);
    // Few pixels: several threads share them, each with its own rows.
    const size_t tasks = s->batch * s->groups * ceil_div(c->n, c->nc),
                 wanted = 4 * (size_t)c->slots;
    if (c->slots > 1 && tasks < wanted)
        c->mc = even_piece(c->m, max_size(c->m * tasks / wanted, 1), c->panel_rows);
    return set_sizes(c);
}

static bool usual_before(const struct bnr_eltwise *e, struct bnr_conv_before *u) {
    int i = 0;
    *u = (struct bnr_conv_before){.kind = BNR_ELTWISE_AFFINE};
    if (e->n > 0 && e->step[0].kind == BNR_ELTWISE_AFFINE && e->step[0].form == BNR_FORM_ROW) {
        u->s = e->step[0].s;
        u->t = e->step[0].t;
        i = 1;
    }
    if (i < e->n) {
        const struct bnr_eltwise_step *a = &e->step[i++];
        u->kind = a->kind;
        u->p = a->p;
        u->q = a->q;
        u->slope = a->s;
        if (a->kind != BNR_ELTWISE_CLAMP && a->kind != BNR_ELTWISE_LEAKY_RELU &&
            (a->kind != BNR_ELTWISE_PRELU || a->form != BNR_FORM_ROW))
            return false;
    }
    return i == e->n;
}

void bnr__conv_f32_set_before(struct bnr_conv_f32 *c, const struct bnr_eltwise *before) {
    c->before = *before;
    c->is_usual = before->n > 0 && usual_before(before, &c->usual);
    if (before->n > 0)
        c->direct = false;
}

// Where the weight of an output row, input channel and tap is in the model's tensor.
struct weight_steps {
    size_t row, channel, tap;
};

// A panel of `rows` rows, the order of K being tap, then input channel.
static void pack_weights(const struct bnr_conv_f32 *c, float *dst, const float *w, size_t rows,
                       const struct weight_steps *at) {
    const size_t taps = volume(c->s.kernel), mr = c->panel_rows;
    for (size_t t = 0; t < taps; t++) {
        for (size_t ci = 0; ci < c->s.cin; ci++, dst += mr) {
            const float *src = w + ci * at->channel + t * at->tap;
            for (size_t r = 0; r < mr; r++)
                dst[r] = r < rows ? src[r * at->row] : 0;
        }
    }
}

static void pack_group(const struct bnr_conv_f32 *c, float *dst, const float *w,
                       const struct weight_steps *at) {
    const size_t mr = c->panel_rows;
    for (size_t i = 0; i < c->m; i += mr, dst += mr * c->k)
        pack_weights(c, dst, w + i * at->row, min_size(mr, c->m - i), at);
}

static size_t group_floats(const struct bnr_conv_f32 *c) {
    return c->packed_bytes / sizeof(float) / c->s.groups;
}

static void pack_groups(const struct bnr_conv_f32 *c, float *dst, const float *weights,
                        const struct weight_steps *at) {
    for (size_t g = 0; g < c->s.groups; g++)
        pack_group(c, dst + g * group_floats(c), weights + g * c->m * c->k, at);
}

void bnr__conv_f32_pack(const struct bnr_conv_f32 *c, float *dst, const float *weights) {
    const size_t taps = volume(c->s.kernel);
    pack_groups(c, dst, weights,
                &(struct weight_steps){.row = c->s.cin * taps, .channel = taps, .tap = 1});
}

// A part is a panel, or a group where there are several.
struct bnr_conv_parts bnr__conv_f32_parts(const struct bnr_conv_f32 *c) {
    if (c->s.groups > 1)
        return (struct bnr_conv_parts){c->s.groups, c->m * c->k};
    return (struct bnr_conv_parts){ceil_div(c->m, c->panel_rows), c->panel_rows * c->k};
}

void bnr__conv_f32_pack_part(const struct bnr_conv_f32 *c, float *dst, const float *src,
                             size_t part) {
    const size_t taps = volume(c->s.kernel);
    const struct weight_steps at = {.row = c->s.cin * taps, .channel = taps, .tap = 1};
    if (c->s.groups > 1)
        pack_group(c, dst + part * group_floats(c), src, &at);
    else
        pack_weights(c, dst + part * c->panel_rows * c->k, src,
                   min_size(c->panel_rows, c->m - part * c->panel_rows), &at);
}

void bnr__conv_f32_pack_transposed(const struct bnr_conv_f32 *c, float *dst, const float *weights) {
    pack_groups(c, dst, weights, &(struct weight_steps){.row = 1, .channel = c->m, .tap = 0});
}

// ---- packing patches ----------------------------------------------------------------------------

// Neighbouring pixels of an output row, in lanes first .. last - 1 of a panel.
struct pixel_row {
    size_t first, last, z, y, x;
};

struct pixel_panel {
    size_t n;
    struct pixel_row row[2 * BNR_CONV_LANES_MAX];
};

static void find_rows(const struct bnr_conv_shape *s, size_t pixel, size_t cols,
                      struct pixel_panel *p) {
    size_t x = pixel % s->out[2], line = pixel / s->out[2];
    p->n = 0;
    for (size_t lane = 0; lane < cols; x = 0, line++) {
        const size_t length = min_size(s->out[2] - x, cols - lane);
        p->row[p->n++] = (struct pixel_row){
            .first = lane,
            .last = lane + length,
            .z = line / s->out[1],
            .y = line % s->out[1],
            .x = x,
        };
        lane += length;
    }
}

// A tap: where it reads for output coordinate 0, and which output columns find input there.
struct tap {
    ptrdiff_t at[BNR_CONV_AXES];
    ptrdiff_t x_first, x_last;
};

static ptrdiff_t ceil_div_positive(ptrdiff_t a, size_t b) {
    return a <= 0 ? 0 : (a + (ptrdiff_t)b - 1) / (ptrdiff_t)b;
}

static struct tap find_tap(const struct bnr_conv_shape *s, size_t index) {
    struct tap t;
    for (int i = BNR_CONV_AXES - 1; i >= 0; i--) {
        t.at[i] = (ptrdiff_t)(index % s->kernel[i] * s->dilation[i]) - (ptrdiff_t)s->pad[i];
        index /= s->kernel[i];
    }
    t.x_first = ceil_div_positive(-t.at[2], s->stride[2]);
    t.x_last = ceil_div_positive((ptrdiff_t)s->in[2] - t.at[2], s->stride[2]);
    return t;
}

// The part of a row that lies in the vector at `lane` and finds input at the tap.
static void add_run(struct bnr_conv_pack *p, const struct bnr_conv_shape *s, const struct tap *t,
                    const struct pixel_row *r, ptrdiff_t lane, ptrdiff_t lanes) {
    const ptrdiff_t z = (ptrdiff_t)(r->z * s->stride[0]) + t->at[0];
    const ptrdiff_t y = (ptrdiff_t)(r->y * s->stride[1]) + t->at[1];
    if (z < 0 || z >= (ptrdiff_t)s->in[0] || y < 0 || y >= (ptrdiff_t)s->in[1])
        return;
    const ptrdiff_t origin =
        (ptrdiff_t)r->x - (ptrdiff_t)r->first; // output column of the panel's lane 0
    ptrdiff_t first = (ptrdiff_t)r->first, last = (ptrdiff_t)r->last;
    first = first + origin < t->x_first ? t->x_first - origin : first;
    last = last + origin > t->x_last ? t->x_last - origin : last;
    first = first < lane ? 0 : first - lane;
    last = last > lane + lanes ? lanes : last - lane;
    if (first >= last)
        return;
    const ptrdiff_t line = (z * (ptrdiff_t)s->in[1] + y) * (ptrdiff_t)s->in[2];
    p->run[p->n++] = (struct bnr_conv_run){
        .first = (int)first,
        .last = (int)last,
        .offset = line + (origin + lane) * (ptrdiff_t)s->stride[2] + t->at[2],
    };
}

// The same with `before` moved on to channel `first`.
static const struct bnr_conv_before *before_from(const struct bnr_conv_f32 *c, size_t first,
                                                 struct bnr_conv_before *moved) {
    if (!c->is_usual)
        return NULL;
    *moved = c->usual;
    if (moved->s) {
        moved->s += first;
        moved->t += first;
    }
    if (moved->kind == BNR_ELTWISE_PRELU)
        moved->slope += first;
    return moved;
}

// Unusual steps in front, on what a vector holds of the input.
static void do_before(const struct bnr_conv_f32 *c, const struct bnr_conv_pack *p, size_t first) {
    for (int i = 0; i < p->n; i++) {
        float *dst = p->dst + p->run[i].first;
        const struct bnr_eltwise_tile t = {.dst = dst,
                                           .src = dst,
                                           .ld = p->ld,
                                           .rows = p->channels,
                                           .cols = (size_t)(p->run[i].last - p->run[i].first),
                                           .row = first};
        c->eltwise->tile(&c->before, NULL, &t);
    }
}

// One group's input, and the number of its first channel.
struct source {
    const float *x;
    size_t channel;
};

// The panel of the patches' columns pixel .. pixel + cols - 1, rows k0 .. k1 - 1.
static void pack_panel(const struct bnr_conv_f32 *c, float *dst, const struct source *src,
                       size_t pixel, size_t cols, size_t k0, size_t k1) {
    const struct bnr_conv_shape *s = &c->s;
    const size_t lanes = c->kernels->lanes;
    struct pixel_panel rows;
    struct bnr_conv_before moved;
    find_rows(s, pixel, cols, &rows);
    struct bnr_conv_pack p = {.ld = c->gemm->nr, .plane = volume(s->in), .stride = s->stride[2]};
    for (size_t k = k0; k < k1; k += p.channels, dst += p.channels * p.ld) {
        const size_t channel = k % s->cin;
        const struct tap t = find_tap(s, k / s->cin);
        p.channels = min_size(s->cin - channel, k1 - k);
        p.src = src->x + channel * p.plane;
        p.before = before_from(c, src->channel + channel, &moved);
        for (size_t lane = 0; lane < cols; lane += lanes) {
            p.dst = dst + lane;
            p.n = 0;
            for (size_t i = 0; i < rows.n; i++)
                add_run(&p, s, &t, &rows.row[i], (ptrdiff_t)lane, (ptrdiff_t)lanes);
            c->kernels->pack(&p);
            if (c->before.n > 0 && !c->is_usual)
                do_before(c, &p, src->channel + channel);
        }
    }
}

// ---- running ------------------------------------------------------------------------------------

struct job {
    const struct bnr_conv_f32_run *r;
    struct bnr_gemm_finish finish;
    struct bnr_eltwise rest;
    struct bnr_slots slots;
    size_t row_blocks, col_blocks;
};

// One product's columns col .. col + cols - 1 over all blocks of K.
static void run_columns(const struct job *j, struct bnr_gemm_block b, const struct source *src,
                        size_t cols, float *scratch) {
    const struct bnr_conv_f32 *c = j->r->c;
    const size_t nr = c->gemm->nr, col = b.col;
    const float *a = b.a;
    for (size_t k0 = 0; k0 < c->k; k0 += c->kc) {
        const size_t k1 = min_size(k0 + c->kc, c->k);
        b.a = a + k0 * c->panel_rows;
        b.k = k1 - k0;
        b.first = k0 == 0;
        b.last = k1 == c->k;
        b.b = scratch;
        b.n = cols;
        b.b_step = nr * b.k;
        b.ldb = nr;
        for (size_t i = 0; i < cols; i += nr)
            pack_panel(c, scratch + i / nr * b.b_step, src, col + i, min_size(nr, cols - i), k0,
                       k1);
        bnr__gemm_f32_block(&b);
    }
}

// The same over whole panels of the input itself.
static void run_direct(const struct job *j, struct bnr_gemm_block b, const float *src,
                       size_t cols) {
    const struct bnr_conv_f32 *c = j->r->c;
    const float *a = b.a;
    b.n = cols;
    b.b_step = c->gemm->nr;
    b.ldb = c->n;
    for (size_t k0 = 0; k0 < c->k; k0 += c->kc) {
        b.k = min_size(c->kc, c->k - k0);
        b.first = k0 == 0;
        b.last = k0 + b.k == c->k;
        b.a = a + k0 * c->panel_rows;
        b.b = src + k0 * c->n + b.col;
        bnr__gemm_f32_block(&b);
    }
}

static void run_task(const struct job *j, size_t task, float *scratch) {
    const struct bnr_conv_f32 *c = j->r->c;
    const size_t col = task % j->col_blocks * c->nc;
    const size_t row = task / j->col_blocks % j->row_blocks * c->mc;
    const size_t product = task / j->col_blocks / j->row_blocks; // image * groups + group
    const size_t group = product % c->s.groups;
    const float *src = j->r->src + product * c->s.cin * volume(c->s.in);
    size_t cols = min_size(c->nc, c->n - col);
    struct bnr_gemm_finish finish = j->finish;
    finish.row0 = product * c->m;
    if (finish.row_bias)
        finish.row_bias += group * c->m;
    struct bnr_gemm_block b = {
        .g = c->gemm,
        .a = c->weights + group * group_floats(c) + row * c->k,
        .a_step = c->panel_rows * c->k,
        .panel_rows = c->panel_rows,
        .m = min_size(c->mc, c->m - row),
        .row = row,
        .col = col,
        .c = j->r->dst + (product * c->m + row) * c->n + col,
        .ldc = c->n,
        .finish = &finish,
    };
    if (c->direct) {
        const size_t whole = cols / c->gemm->nr * c->gemm->nr;
        run_direct(j, b, src, whole);
        b.col += whole;
        b.c += whole;
        cols -= whole;
    }
    run_columns(j, b, &(struct source){src, group * c->s.cin}, cols, scratch);
}

static void run_tasks(void *cx, size_t begin, size_t end) {
    struct job *j = cx;
    void *scratch = bnr__slots_take(&j->slots);
    for (size_t t = begin; t < end; t++)
        run_task(j, t, scratch);
    bnr__slots_give(&j->slots, scratch);
}

void bnr__conv_f32_run(const struct bnr_conv_f32_run *r, struct bnr_pool *pool) {
    const struct bnr_conv_f32 *c = r->c;
    struct job j = {.r = r};
    j.row_blocks = ceil_div(c->m, c->mc);
    j.col_blocks = ceil_div(c->n, c->nc);
    j.finish = (struct bnr_gemm_finish){
        .row_bias = r->bias, .eltwise = c->eltwise, .operands = r->operands, .c0 = r->dst};
    bnr__gemm_f32_finish_steps(&j.finish, &c->e, &j.rest);
    bnr__slots_init(&j.slots, r->scratch, c->slot_bytes, c->slots);
    const size_t tasks = c->s.batch * c->s.groups * j.row_blocks * j.col_blocks;
    bnr__parallel_for(pool, tasks, 1, run_tasks, &j);
}
