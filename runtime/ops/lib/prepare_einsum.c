// SPDX-License-Identifier: Apache-2.0
// Einsum by matmul_f32. Operands are multiplied from left to right, each pair as products of
// matrices: of the axes that a pair has, those in both operands and in the result count the
// products, those in one operand and in the result are rows or columns, and the others are summed.
// What does not lie so is rearranged in front. A single operand is summed by reduce_f32.
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/kernels/matmul_f32.h"
#include "runtime/kernels/reduce_f32.h"
#include "runtime/ops/lib/copy.h"
#include "runtime/ops/lib/einsum.h"
#include "runtime/ops/lib/prepare_window.h"

enum { MAX_PRODUCTS = 1 << 20, MANY = 64, WORTH = 16 }; // WORTH: multiplications, of many products

struct place {
    int in;    // index into a->in; -1: in scratch
    size_t at; // there
};

struct operand {
    struct place place;
    uint64_t mask; // axes, without those of dim 1
    int64_t stride[BNR_EINSUM_AXES];
};

struct list {
    int n;
    int8_t axis[BNR_EINSUM_AXES];
};

struct pair {
    struct bnr_matmul_f32 m;
    struct place a, b, c;
    bool copies_a, copies_b, copies_c; // into a, b; c to the output
    struct place from_a, from_b;
    struct bnr_copy copy_a, copy_b, copy_c;
    size_t scratch;
};

struct state {
    int n;
    struct pair *pairs;
};

static float *at(const struct bnr_args *a, struct place p) {
    return p.in >= 0 ? a->in[p.in]->f32 : (float *)((char *)a->scratch + p.at);
}

static void run(const struct bnr_args *a, const void *opaque) {
    const struct state *st = opaque;
    for (int i = 0; i < st->n; i++) {
        const struct pair *p = &st->pairs[i];
        float *y = a->out[0]->f32, *c = p->copies_c || i + 1 < st->n ? at(a, p->c) : y;
        if (p->copies_a)
            bnr__copy_run(&p->copy_a, at(a, p->a), at(a, p->from_a), a->pool);
        if (p->copies_b)
            bnr__copy_run(&p->copy_b, at(a, p->b), at(a, p->from_b), a->pool);
        const struct bnr_matmul_f32_run r = {.c = &p->m,
                                             .dst = c,
                                             .a = at(a, p->a),
                                             .b = at(a, p->b),
                                             .scratch = (char *)a->scratch + p->scratch};
        bnr__matmul_f32_run(&r, a->pool);
        if (p->copies_c)
            bnr__copy_run(&p->copy_c, y, c, a->pool);
    }
}

// ---- planning -----------------------------------------------------------------------------------

struct plan {
    struct bnr_prepare *cx;
    int64_t dims[BNR_EINSUM_AXES];
    int8_t axis_of_id[BNR_EINSUM_IDS]; // -1: not used
    int n_axes;
    uint64_t out;
    struct list out_axes;
    struct operand *in; // [n_in]
    size_t total;       // bytes of scratch
};

static void append(struct list *to, const struct list *from) {
    for (int i = 0; i < from->n; i++)
        to->axis[to->n++] = from->axis[i];
}

static size_t numel(const struct plan *p, const struct list *l) {
    size_t n = 1;
    for (int i = 0; i < l->n; i++)
        n *= (size_t)p->dims[l->axis[i]];
    return n;
}

// The axes of the set in the order of `order`, then the others.
static struct list ordered(const struct plan *p, uint64_t set, const struct list *order) {
    struct list l = {.n = 0};
    for (int i = 0; i < order->n; i++)
        if (set >> order->axis[i] & 1) {
            l.axis[l.n++] = order->axis[i];
            set &= ~((uint64_t)1 << order->axis[i]);
        }
    for (int i = 0; i < p->n_axes; i++)
        if (set >> i & 1)
            l.axis[l.n++] = (int8_t)i;
    return l;
}

// Whether the operand lies as a dense tensor with these axes.
static bool lies_as(const struct plan *p, const struct operand *o, const struct list *l) {
    int64_t stride = 1;
    for (int i = l->n - 1; i >= 0; i--) {
        if (o->stride[l->axis[i]] != stride)
            return false;
        stride *= p->dims[l->axis[i]];
    }
    return true;
}

// Room for the elements of a list.
static bool reserve(struct plan *p, const struct list *l, struct place *place) {
    size_t bytes = sizeof(float);
    for (int i = 0; i < l->n; i++)
        if (!bnr__size_mul(bytes, (size_t)p->dims[l->axis[i]], &bytes))
            return false;
    place->in = -1;
    place->at = p->total;
    return bytes <= BNR_MAX_SCRATCH && bnr__size_add(p->total, (bytes + 63) / 64 * 64, &p->total) &&
           p->total <= BNR_MAX_SCRATCH;
}

// Dense with these axes from wherever it lies; axes that it does not have are repeated.
static struct bnr_copy copy_as(const struct plan *p, const struct operand *o,
                               const struct list *l) {
    struct bnr_copy c = {.elem_size = sizeof(float)};
    int64_t strides[BNR_EINSUM_AXES], stride = 1;
    for (int i = l->n - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= p->dims[l->axis[i]];
    }
    for (int i = 0; i < l->n; i++)
        bnr__copy_dim(&c, p->dims[l->axis[i]], strides[i], o->stride[l->axis[i]]);
    return c;
}

// Matrices of an operand: [batch, rows, columns], or (*transposed) [batch, columns, rows] where it
// lies so. False where there is no room.
static bool arrange(struct plan *p, const struct operand *o, const struct list parts[3],
                    bool *transposed, struct place *place, bool *copies, struct bnr_copy *copy) {
    struct list as = parts[0], turned = parts[0];
    append(&as, &parts[1]);
    append(&as, &parts[2]);
    append(&turned, &parts[2]);
    append(&turned, &parts[1]);
    *place = o->place;
    *transposed = !lies_as(p, o, &as) && lies_as(p, o, &turned);
    *copies = !*transposed && !lies_as(p, o, &as);
    if (!*copies)
        return true;
    if (as.n > BNR_COPY_MAX_RANK || !reserve(p, &as, place))
        return false;
    *copy = copy_as(p, o, &as);
    return true;
}

static bool set_product(struct plan *p, struct pair *r, struct bnr_product_shape *s) {
    size_t *a_at = BNR_NEW_ARRAY(p->cx->arena, s->count, size_t);
    size_t *b_at = BNR_NEW_ARRAY(p->cx->arena, s->count, size_t);
    if (!a_at || !b_at)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        a_at[i] = i * s->m * s->k;
        b_at[i] = i * s->k * s->n;
    }
    s->a_at = a_at;
    s->b_at = b_at;
    if (!bnr__matmul_f32_init(&r->m, s, p->cx->cpu, p->cx->threads))
        return false;
    r->scratch = p->total;
    return bnr__size_add(p->total, r->m.scratch_bytes, &p->total);
}

// The pair a * b, summed over the axes outside `keep`. *so_far: the result. False: not by products.
static bool plan_pair(struct plan *p, const struct operand *a, const struct operand *b,
                      uint64_t keep, bool last, struct pair *r, struct operand *so_far) {
    struct list natural = {.n = 0};
    for (int i = 0; i < p->n_axes; i++)
        natural.axis[natural.n++] = (int8_t)i;
    const struct list *order = last ? &p->out_axes : &natural;
    const uint64_t both = a->mask & b->mask & keep;
    struct list batch = ordered(p, both, order), m = ordered(p, a->mask & keep & ~both, order);
    struct list n = ordered(p, b->mask & keep & ~both, order);
    const struct list k = ordered(p, (a->mask | b->mask) & ~keep, &natural);
    // Rows are what the result has first; a single column would waste most of its vectors.
    bool turn = numel(p, &n) == 1 && numel(p, &m) > 1;
    for (int i = 0; last && !turn && i < order->n && n.n > 0 && m.n > 0; i++) {
        const int8_t axis = order->axis[i];
        if (axis == m.axis[0])
            break;
        turn = axis == n.axis[0];
    }
    if (turn) {
        const struct operand *o = a;
        const struct list l = m;
        a = b;
        b = o;
        m = n;
        n = l;
    }
    struct bnr_product_shape s = {
        .m = numel(p, &m), .n = numel(p, &n), .k = numel(p, &k), .count = numel(p, &batch)};
    if (s.count > MAX_PRODUCTS || (s.count > MANY && s.m * s.n * s.k < WORTH))
        return false;
    r->from_a = a->place;
    r->from_b = b->place;
    if (!arrange(p, a, (struct list[]){batch, m, k}, &s.trans_a, &r->a, &r->copies_a, &r->copy_a) ||
        !arrange(p, b, (struct list[]){batch, k, n}, &s.trans_b, &r->b, &r->copies_b, &r->copy_b))
        return false;
    struct list c = batch;
    append(&c, &m);
    append(&c, &n);
    *so_far = (struct operand){.mask = (a->mask | b->mask) & keep};
    int64_t stride = 1;
    for (int i = c.n - 1; i >= 0; i--) {
        so_far->stride[c.axis[i]] = stride;
        stride *= p->dims[c.axis[i]];
    }
    const struct list wanted = ordered(p, so_far->mask, order);
    r->copies_c = last && !lies_as(p, so_far, &wanted);
    if ((r->copies_c || !last) && !reserve(p, &c, &r->c))
        return false;
    so_far->place = r->c;
    if (r->copies_c)
        r->copy_c = copy_as(p, so_far, &wanted);
    return set_product(p, r, &s);
}

static bool axis_of(struct plan *p, int8_t id, int8_t *axis) {
    if (p->axis_of_id[id] < 0) {
        if (p->n_axes == BNR_EINSUM_AXES)
            return false;
        p->dims[p->n_axes] = 1;
        p->axis_of_id[id] = (int8_t)p->n_axes++;
    }
    *axis = p->axis_of_id[id];
    return true;
}

// Sets the operands and the axes of the output; false where there are too many axes, or no
// elements.
static bool read_equation(struct plan *p, const struct bnr_einsum *e, int dots) {
    const struct bnr_prepare *cx = p->cx;
    int8_t ids[BNR_MAX_RANK], axis;
    memset(p->axis_of_id, -1, sizeof p->axis_of_id);
    for (int i = 0; i < e->n_in; i++) {
        const struct bnr_shape *s = &cx->in[i]->type.shape;
        int64_t stride = 1;
        p->in[i].place.in = i;
        if (bnr__einsum_axes(cx->node, e, i, s->rank, dots, ids, cx->err) != BNR_OK)
            return false;
        for (int d = s->rank - 1; d >= 0; d--) {
            const int64_t n = s->dims[d].n;
            if (n == 0 || !axis_of(p, ids[d], &axis))
                return false;
            if (n > 1) {
                p->dims[axis] = n;
                p->in[i].mask |= (uint64_t)1 << axis;
                p->in[i].stride[axis] += stride; // of an axis that occurs twice: the diagonal
            }
            stride *= n;
        }
    }
    const int rank = e->out.n + (e->out.ellipsis >= 0 ? dots : 0);
    if (bnr__einsum_axes(cx->node, e, -1, rank, dots, ids, cx->err) != BNR_OK)
        return false;
    for (int d = 0; d < rank; d++) {
        if (!axis_of(p, ids[d], &axis))
            return false;
        if (p->dims[axis] > 1) {
            p->out |= (uint64_t)1 << axis;
            p->out_axes.axis[p->out_axes.n++] = axis;
        }
    }
    return true;
}

static bool plan_pairs(struct plan *p, struct state *st, int n_in) {
    struct operand so_far = p->in[0];
    for (int i = 1; i < n_in; i++) {
        uint64_t keep = p->out;
        for (int k = i + 1; k < n_in; k++)
            keep |= p->in[k].mask;
        if (!plan_pair(p, &so_far, &p->in[i], keep, i + 1 == n_in, &st->pairs[st->n++], &so_far))
            return false;
    }
    return true;
}

// ---- one operand --------------------------------------------------------------------------------

struct sum_state {
    struct bnr_reduce_f32 reduce;
    bool copies, sums, turns; // the diagonal made dense; reduced; the result brought into order
    struct bnr_copy copy, turn;
    size_t dense, sum, scratch; // offsets in scratch
};

static float as_it_is(double result, float shift, double p) {
    return (float)result;
}

static void run_sum(const struct bnr_args *a, const void *opaque) {
    const struct sum_state *st = opaque;
    const float *x = a->in[0]->f32;
    float *dense = (float *)((char *)a->scratch + st->dense), *y = a->out[0]->f32;
    if (st->copies) {
        bnr__copy_run(&st->copy, dense, x, a->pool);
        x = dense;
    }
    if (st->sums) {
        const struct bnr_reduce_f32_run r = {
            .r = &st->reduce,
            .kind = BNR_REDUCE_F32_SUM,
            .dst = st->turns ? (float *)((char *)a->scratch + st->sum) : y,
            .src = x,
            .finish = as_it_is,
            .scratch = (double *)((char *)a->scratch + st->scratch),
        };
        bnr__reduce_f32_run(&r, a->pool);
        x = r.dst;
    }
    if (st->turns)
        bnr__copy_run(&st->turn, y, x, a->pool);
}

// The operand's axes from the one with the largest stride on.
static struct list by_stride(const struct plan *p, const struct operand *o) {
    struct list l = {.n = 0};
    for (int i = 0; i < p->n_axes; i++) {
        int at = o->mask >> i & 1 ? l.n++ : -1;
        for (; at > 0 && o->stride[l.axis[at - 1]] < o->stride[i]; at--)
            l.axis[at] = l.axis[at - 1];
        if (at >= 0)
            l.axis[at] = (int8_t)i;
    }
    return l;
}

static enum bnr_status plan_sum(struct plan *p) {
    struct bnr_prepare *cx = p->cx;
    struct sum_state *st = BNR_NEW(cx->arena, struct sum_state);
    const struct operand *o = &p->in[0];
    const struct list all = by_stride(p, o);
    struct list kept = {.n = 0};
    struct operand sum = {.mask = o->mask & p->out};
    size_t dims[BNR_REDUCE_F32_RANK];
    bool reduced[BNR_REDUCE_F32_RANK];
    struct place place = {0};
    int64_t stride = 1;
    if (!st)
        return bnr__no_memory(cx->err);
    for (int i = 0; i < all.n; i++) {
        dims[i] = (size_t)p->dims[all.axis[i]];
        reduced[i] = !(p->out >> all.axis[i] & 1);
        st->sums = st->sums || reduced[i];
        if (!reduced[i])
            kept.axis[kept.n++] = all.axis[i];
    }
    for (int i = kept.n - 1; i >= 0; i--) {
        sum.stride[kept.axis[i]] = stride;
        stride *= p->dims[kept.axis[i]];
    }
    st->copies = !lies_as(p, o, &all);
    st->turns = !lies_as(p, &sum, &p->out_axes) || !st->sums;
    st->copy = copy_as(p, o, &all);
    st->turn = copy_as(p, &sum, &p->out_axes);
    if (st->copies && !reserve(p, &all, &place))
        return BNR_OK;
    st->dense = place.at;
    if (st->turns && st->sums && !reserve(p, &kept, &place))
        return BNR_OK;
    st->sum = place.at;
    st->scratch = cx->scratch = p->total;
    if (st->sums) {
        bnr__reduce_f32_plan(&st->reduce, bnr__reduce_f32_select(cx->cpu), all.n, dims, reduced);
        cx->scratch += bnr__reduce_f32_scratch(&st->reduce) * sizeof(double);
    }
    cx->kernel = "einsum_f32";
    cx->state = st;
    cx->run = run_sum;
    return BNR_OK;
}

enum bnr_status bnr__prepare_einsum(struct bnr_prepare *cx) {
    const size_t n_in = (size_t)cx->node->n_in;
    struct state *st = BNR_NEW(cx->arena, struct state);
    struct plan *p = BNR_NEW(cx->arena, struct plan);
    int *ranks = BNR_NEW_ARRAY(cx->arena, n_in, int);
    struct bnr_einsum e;
    if (!st || !p || !ranks || !(p->in = BNR_NEW_ARRAY(cx->arena, n_in, struct operand)) ||
        !(st->pairs = BNR_NEW_ARRAY(cx->arena, n_in, struct pair)))
        return bnr__no_memory(cx->err);
    for (size_t i = 0; i < n_in; i++) {
        ranks[i] = cx->in[i]->type.shape.rank;
        if (cx->in[i]->type.dtype != BNR_FLOAT)
            return BNR_OK;
    }
    p->cx = cx;
    BNR_TRY(bnr__einsum_parse(cx->node, (int)n_in, cx->arena, &e, cx->err));
    if (!read_equation(p, &e, bnr__einsum_dots(&e, ranks)))
        return BNR_OK;
    if (n_in == 1)
        return plan_sum(p);
    if (!plan_pairs(p, st, (int)n_in))
        return BNR_OK;
    cx->scratch = p->total;
    cx->kernel = bnr__arena_printf(cx->arena, "einsum_f32_%s", st->pairs[0].m.gemm->isa);
    cx->state = st;
    cx->run = run;
    return BNR_OK;
}
