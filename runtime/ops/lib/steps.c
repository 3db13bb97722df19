// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/steps.h"

#include "graph/tensor.h"

void bnr__steps_init(struct bnr_steps *s, struct bnr_prepare *cx, int rank, const int64_t *dims,
                     size_t cols) {
    *s = (struct bnr_steps){.cx = cx, .rank = rank, .numel = 1, .cols = cols};
    for (int i = 0; i < rank; i++) {
        s->dims[i] = dims[i];
        s->numel *= (size_t)dims[i];
    }
    s->e.channels = 1;
    s->first_in = cx->node->n_in;
}

bool bnr__steps_block(struct bnr_steps *s) {
    struct bnr_type type = {.kind = BNR_KIND_TENSOR, .dtype = BNR_FLOAT};
    if (s->cx->lanes == 0)
        return true;
    type.shape = bnr__shape_of(s->rank, s->dims);
    if (!bnr__blocked_shape(&type, s->cx->lanes, &s->blocked))
        return false;
    s->cols = s->blocked.pixels * s->blocked.lanes;
    s->e.channels = s->blocked.blocks;
    return true;
}

static bool has_dims(const struct bnr_steps *s, const struct bnr_shape *shape) {
    if (shape->rank != s->rank)
        return false;
    for (int i = 0; i < s->rank; i++) {
        if (shape->dims[i].n != s->dims[i])
            return false;
    }
    return true;
}

static bool same_dims(const struct bnr_steps *s, const struct bnr_info *info) {
    return info->type.dtype == BNR_FLOAT && has_dims(s, &info->type.shape);
}

static int chained_input(const struct bnr_node *n, const struct bnr_value *v) {
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == v)
            return i;
    }
    return -1;
}

static bool take_member(struct bnr_steps *s, const struct bnr_node *n, const struct bnr_value *v) {
    struct bnr_steps with = *s;
    with.chained = chained_input(n, v);
    if (!n->op || !n->op->step || with.chained < 0 || n->n_out != 1 ||
        !same_dims(s, s->cx->info(s->cx, n->out[0])) || !n->op->step(&with, n))
        return false;
    with.first_in += n->n_in - 1;
    *s = with;
    return true;
}

void bnr__steps_take_members(struct bnr_steps *s) {
    const struct bnr_prepare *cx = s->cx;
    const struct bnr_node *front = cx->node;
    for (s->taken = 0; s->taken < cx->n_fused; s->taken++) {
        if (!take_member(s, cx->fused[s->taken], front->out[0]))
            break;
        front = cx->fused[s->taken];
    }
    s->cx->fused_taken = s->taken;
    s->cx->blocked_in |= s->blocked_in;
}

// The steps work on one image at a time, whose rows are its channels.
static bool by_channel(struct bnr_eltwise *e, const struct bnr_steps *s) {
    for (int i = 0; i < e->n; i++) {
        struct bnr_eltwise_step *step = &e->step[i];
        const bool one_row = step->form == BNR_FORM_SAME && s->cols == 1;
        if (!step->s || step->form == BNR_FORM_SCALAR)
            continue;
        if (step->form != BNR_FORM_CHANNEL &&
            (s->dims[0] != 1 || (step->form != BNR_FORM_ROW && !one_row)))
            return false;
        step->form = BNR_FORM_ROW;
    }
    e->channels = 1;
    return true;
}

static bool take_before(struct bnr_prepare *cx, int first, struct bnr_eltwise *e) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    struct bnr_steps s;
    int64_t dims[BNR_MAX_RANK];
    size_t cols = 1;
    bnr__shape_numbers(x, dims);
    for (int i = 2; i < x->rank; i++)
        cols *= (size_t)dims[i];
    bnr__steps_init(&s, cx, x->rank, dims, cols);
    for (int i = first; i < cx->n_before; i++) {
        const struct bnr_node *n = cx->before[i];
        if (n->n_out != 1 || !n->op || !n->op->step || !same_dims(&s, cx->info(cx, n->in[0])) ||
            !same_dims(&s, cx->info(cx, n->out[0])) || !n->op->step(&s, n))
            return false;
    }
    *e = s.e;
    return s.operands.n == 0 && by_channel(e, &s);
}

struct bnr_eltwise bnr__steps_before(struct bnr_prepare *cx) {
    struct bnr_eltwise e = {.channels = 1};
    cx->before_taken = 0;
    if (cx->in[0]->type.shape.rank < 2)
        return e;
    for (int first = 0; first < cx->n_before; first++)
        if (take_before(cx, first, &e)) {
            cx->before_taken = cx->n_before - first;
            return e;
        }
    return (struct bnr_eltwise){.channels = 1};
}

void bnr__steps_operands(const struct bnr_step_operands *o, const struct bnr_args *a,
                         const float *out[BNR_ELTWISE_MAX]) {
    for (int i = 0; i < o->n; i++)
        out[i] = o->at[i].in >= 0 ? a->in[o->at[i].in]->f32 : o->at[i].packed;
}

const struct bnr_info *bnr__steps_info(const struct bnr_steps *s, const struct bnr_node *n, int i) {
    return i < n->n_in && n->in[i] ? s->cx->info(s->cx, n->in[i]) : NULL;
}

// ---- forms --------------------------------------------------------------------------------------

// How a shape that broadcasts to the tensor repeats: element (place / inner) % period.
struct repeat {
    size_t inner, period;
};

static bool find_repeat(const struct bnr_steps *s, const struct bnr_shape *shape,
                        struct repeat *r) {
    const int skip = s->rank - shape->rank;
    int state = 0; // behind the repeated axes, among them, in front of them
    *r = (struct repeat){1, 1};
    if (skip < 0)
        return false;
    for (int i = s->rank - 1; i >= 0; i--) {
        const int64_t dim = s->dims[i], have = i < skip ? 1 : shape->dims[i - skip].n;
        if (dim == 1 && have == 1)
            continue;
        if ((have != dim && have != 1) || (have == dim && state == 2))
            return false;
        if (have == dim)
            state = 1;
        else if (state == 1)
            state = 2;
        if (state == 0)
            r->inner *= (size_t)dim;
        else if (state == 1)
            r->period *= (size_t)dim;
    }
    return true;
}

// The form beside a blocked tensor.
static bool find_blocked_form(const struct bnr_steps *s, const struct bnr_shape *shape,
                              enum bnr_eltwise_form *form) {
    const struct bnr_nchwc *b = &s->blocked;
    struct repeat r;
    if (!find_repeat(s, shape, &r))
        return false;
    if (has_dims(s, shape))
        *form = BNR_FORM_SAME;
    else if (r.period == 1)
        *form = BNR_FORM_SCALAR;
    else if (r.inner == b->pixels && r.period == b->channels)
        *form = BNR_FORM_LANES_CHANNEL;
    else if (r.inner == b->pixels && r.period == b->channels * b->batch)
        *form = BNR_FORM_LANES;
    else
        return false;
    return true;
}

// The form of what repeats so. May settle the number of columns and of channels.
static bool find_form(struct bnr_steps *s, const struct bnr_shape *shape,
                      enum bnr_eltwise_form *form) {
    struct repeat r;
    if (s->blocked.lanes)
        return find_blocked_form(s, shape, form);
    if (!find_repeat(s, shape, &r))
        return false;
    if (r.period == 1 || r.period == s->numel) {
        *form = r.period == 1 ? BNR_FORM_SCALAR : BNR_FORM_SAME;
        return true;
    }
    const size_t cols = s->cols ? s->cols : r.inner > 1 ? r.inner : r.period;
    if (cols == r.inner && s->numel / cols == r.period) {
        *form = BNR_FORM_ROW;
    } else if (cols == r.inner && (s->e.channels == 1 || s->e.channels == r.period)) {
        *form = BNR_FORM_CHANNEL;
        s->e.channels = r.period;
    } else if (r.inner == 1 && cols == r.period) {
        *form = BNR_FORM_COLUMN;
    } else {
        return false;
    }
    s->cols = cols;
    return true;
}

// ---- constants ----------------------------------------------------------------------------------

static void pack_floats(void *dst, const struct bnr_tensor *t, void *arg) {
    float *out = dst;
    for (size_t i = 0; i < t->numel; i++)
        out[i] = (float)bnr__tensor_f64(t, i);
}

static void pack_blocked(void *dst, const struct bnr_tensor *t, void *arg) {
    const struct bnr_nchwc *b = arg;
    float *out = dst;
    for (size_t image = 0; image < b->batch; image++)
        for (size_t c = 0; c < b->blocks * b->lanes; c++)
            for (size_t i = 0; i < b->pixels; i++) {
                const size_t block = image * b->blocks + c / b->lanes;
                const size_t from = (image * b->channels + c) * b->pixels + i;
                out[(block * b->pixels + i) * b->lanes + c % b->lanes] =
                    c < b->channels ? (float)bnr__tensor_f64(t, from) : 0;
            }
}

// The constant as floats, as a step of that form reads them.
static const float *floats_of(struct bnr_steps *s, struct bnr_tensor *t,
                              enum bnr_eltwise_form form) {
    if (!s->blocked.lanes || form == BNR_FORM_SCALAR)
        return bnr__pack_get(s->cx, t, "float32", 0, t->numel * sizeof(float), pack_floats, NULL);
    struct bnr_nchwc b = s->blocked;
    if (form != BNR_FORM_SAME)
        b.pixels = 1;
    if (form == BNR_FORM_LANES_CHANNEL)
        b.batch = 1;
    const size_t bytes = b.batch * b.blocks * b.pixels * b.lanes * sizeof(float);
    const uint64_t variant = (uint64_t)form << 8 | b.lanes;
    return bnr__pack_get(s->cx, t, "nchwc_f32", variant, bytes, pack_blocked, &b);
}

// An operand beside a blocked tensor: packed where it is constant, else blocked as well.
static bool block_operand(struct bnr_steps *s, const struct bnr_info *info, int in,
                          enum bnr_eltwise_form form) {
    struct bnr_step_operand *o = &s->operands.at[s->operands.n];
    struct bnr_nchwc b;
    if (info->tensor) {
        o->in = -1;
        return (o->packed = floats_of(s, info->tensor, form)) != NULL;
    }
    if (in >= 64 || info->type.shape.rank != s->rank ||
        !bnr__blocked_shape(&info->type, s->blocked.lanes, &b))
        return false;
    s->blocked_in |= (uint64_t)1 << in;
    return true;
}

// ---- steps --------------------------------------------------------------------------------------

static bool add(struct bnr_steps *s, struct bnr_eltwise_step step) {
    if (s->e.n == BNR_ELTWISE_MAX)
        return false;
    s->e.step[s->e.n++] = step;
    return true;
}

bool bnr__steps_unary(struct bnr_steps *s, enum bnr_eltwise_kind kind, float p, float q) {
    return add(s, (struct bnr_eltwise_step){.kind = kind, .p = p, .q = q});
}

bool bnr__steps_operand(struct bnr_steps *s, const struct bnr_node *n, enum bnr_eltwise_kind kind,
                        int i) {
    const struct bnr_info *info = bnr__steps_info(s, n, i);
    enum bnr_eltwise_form form;
    if (!info || info->type.dtype != BNR_FLOAT || s->operands.n == BNR_ELTWISE_MAX ||
        s->e.n == BNR_ELTWISE_MAX)
        return false;
    if (!find_form(s, &info->type.shape, &form))
        return false;
    const bool behind = n != s->cx->node && i > s->chained;
    const int in = (n == s->cx->node ? 0 : s->first_in) + i - behind;
    s->operands.at[s->operands.n].in = in;
    if (s->blocked.lanes && form != BNR_FORM_SCALAR && !block_operand(s, info, in, form))
        return false;
    return add(s,
               (struct bnr_eltwise_step){.kind = kind, .form = form, .operand = s->operands.n++});
}

bool bnr__steps_column(struct bnr_steps *s, enum bnr_eltwise_kind kind, int i) {
    if (s->operands.n == BNR_ELTWISE_MAX)
        return false;
    s->operands.at[s->operands.n].in = i;
    return add(s, (struct bnr_eltwise_step){
                      .kind = kind, .form = BNR_FORM_COLUMN, .operand = s->operands.n++});
}

bool bnr__steps_binary(struct bnr_steps *s, const struct bnr_node *n, enum bnr_eltwise_kind kind,
                       enum bnr_eltwise_kind swapped) {
    if (n->n_in != 2)
        return false;
    const struct bnr_info *other = bnr__steps_info(s, n, 1 - s->chained);
    if (!other)
        return false;
    if (n->since < 7 && !same_dims(s, other)) // an own rule for broadcasting
        return false;
    return bnr__steps_operand(s, n, s->chained == 0 ? kind : swapped, 1 - s->chained);
}

bool bnr__steps_arrays(struct bnr_steps *s, enum bnr_eltwise_kind kind, struct bnr_tensor *first,
                       struct bnr_tensor *second, const struct bnr_shape *shape) {
    struct bnr_eltwise_step step = {.kind = kind};
    if (!first || !find_form(s, shape, &step.form))
        return false;
    step.s = floats_of(s, first, step.form);
    step.t = second ? floats_of(s, second, step.form) : NULL;
    return step.s && (step.t || !second) && add(s, step);
}
