// SPDX-License-Identifier: Apache-2.0
// LinearAttention (ai.onnx 27): a recurrence over tokens with a state S [d_k, d_v] for each key
// head:
//     S = exp(g_t) * S                     (update_rule gated, gated_delta)
//     v_t = beta_t * (v_t - S^T k_t)       (delta, gated_delta)
//     S = S + k_t v_t^T;  o_t = scale * S^T q_t
// Query heads share the states of key heads in groups.
#include <math.h>
#include <string.h>

#include "runtime/ops/lib/compute.h"

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };

struct rule {
    bool gated, delta;
};

static enum bnr_status read_rule(const struct bnr_node *n, struct rule *r, struct bnr_error *err) {
    static const char *const names[] = {"linear", "gated", "delta", "gated_delta"};
    const char *s = bnr__attr_string(n, "update_rule", "gated_delta");
    for (int i = 0; i < 4; i++) {
        if (strcmp(s, names[i]) != 0)
            continue;
        *r = (struct rule){.gated = i & 1, .delta = i & 2};
        return BNR_OK;
    }
    return bnr__op_fail(n, err, BNR_SHAPE,
                        "update_rule is '%s', expected linear, gated, delta or gated_delta", s);
}

static struct bnr_dim dim(const struct bnr_infer *cx, int i, int d) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    return t && t->shape.rank > d ? t->shape.dims[d] : bnr__dim_unknown();
}

// The last dim of input i over `heads`.
static enum bnr_status head_size(struct bnr_infer *cx, int i, int64_t heads, struct bnr_dim *size) {
    const struct bnr_dim d = dim(cx, i, 2);
    *size = bnr__dim_unknown();
    if (d.n >= 0 && d.n % heads != 0)
        return bnr__op_fail(
            cx->node, cx->err, BNR_SHAPE,
            "input %d has a last dim of %lld, which does not divide into %lld heads", i,
            (long long)d.n, (long long)heads);
    if (d.n >= 0)
        *size = bnr__dim_of(d.n / heads);
    return BNR_OK;
}

static enum bnr_status check_gate(struct bnr_infer *cx, int i, const char *name, bool wanted,
                                  int64_t one, int64_t other) {
    const struct bnr_dim last = dim(cx, i, 2);
    if (!bnr__infer_in(cx, i) != !wanted)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "update_rule %s input %s",
                            wanted ? "needs" : "does not take", name);
    if (last.n >= 0 && last.n != one && last.n != other && other >= 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%s has a last dim of %lld, expected %lld or %lld", name,
                            (long long)last.n, (long long)one, (long long)other);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const int64_t qh = bnr__attr_int(cx->node, "q_num_heads", 0),
                  kvh = bnr__attr_int(cx->node, "kv_num_heads", 0);
    struct rule rule;
    struct bnr_dim dk, kk, dv, batch, steps;
    BNR_TRY(read_rule(cx->node, &rule, cx->err));
    if (qh < 1 || kvh < 1 || qh % kvh != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld query heads do not share %lld key heads", (long long)qh,
                            (long long)kvh);
    for (int i = 0; i < cx->n_in; i++) {
        BNR_TRY(bnr__infer_types(cx, i, BNR_TYPES_FLOAT));
        BNR_TRY(bnr__infer_rank(cx, i, i == PAST ? 4 : 3, i == PAST ? 4 : 3));
    }
    BNR_TRY(head_size(cx, QUERY, qh, &dk));
    BNR_TRY(head_size(cx, KEY, kvh, &kk));
    BNR_TRY(head_size(cx, VALUE, kvh, &dv));
    BNR_TRY(bnr__infer_dims_agree(cx, "head sizes of query and key", dk, kk, &dk));
    BNR_TRY(check_gate(cx, DECAY, "decay", rule.gated, kvh, dk.n < 0 ? -1 : kvh * dk.n));
    BNR_TRY(check_gate(cx, BETA, "beta", rule.delta, kvh, 1));
    batch = dim(cx, QUERY, 0);
    steps = dim(cx, QUERY, 1);
    for (int i = KEY; i < cx->n_in; i++) {
        if (!cx->in[i])
            continue;
        BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", batch, dim(cx, i, 0), &batch));
        if (i != PAST)
            BNR_TRY(bnr__infer_dims_agree(cx, "lengths", steps, dim(cx, i, 1), &steps));
    }
    BNR_TRY(bnr__infer_dims_agree(cx, "key heads and past_state", bnr__dim_of(kvh),
                                  bnr__infer_in(cx, PAST) ? dim(cx, PAST, 1) : bnr__dim_of(kvh),
                                  NULL));
    BNR_TRY(bnr__infer_dims_agree(cx, "key size and past_state", dk, dim(cx, PAST, 2), &dk));
    BNR_TRY(bnr__infer_dims_agree(cx, "value size and past_state", dv, dim(cx, PAST, 3), &dv));
    struct bnr_shape y = {.rank = 3, .dims = {batch, steps, bnr__dim_unknown()}};
    struct bnr_shape state = {.rank = 4, .dims = {batch, bnr__dim_of(kvh), dk, dv}};
    if (dv.n >= 0 && dv.n <= INT64_MAX / qh)
        y.dims[2] = bnr__dim_of(dv.n * qh);
    const enum bnr_dtype t = bnr__infer_in_dtype(cx, QUERY);
    bnr__infer_set(cx, 0, t, &y);
    bnr__infer_set(cx, 1, bnr__infer_in(cx, PAST) ? bnr__infer_in_dtype(cx, PAST) : t, &state);
    return BNR_OK;
}

struct job {
    struct rule rule;
    size_t batch, steps, q_heads, kv_heads, dk, dv, decays, betas; // decays, betas: last dims
    double scale;
    const double *q, *k, *v, *decay, *beta;
    double *state, *y, *write; // write: [dv]
};

// One token of one key head.
static void step(const struct job *j, size_t b, size_t h, size_t t) {
    const size_t token = b * j->steps + t, group = j->q_heads / j->kv_heads;
    const double *k = j->k + (token * j->kv_heads + h) * j->dk;
    const double *v = j->v + (token * j->kv_heads + h) * j->dv;
    double *s = j->state + (b * j->kv_heads + h) * j->dk * j->dv;
    for (size_t i = 0; j->rule.gated && i < j->dk; i++) {
        const size_t at = j->decays == j->kv_heads ? h : h * j->dk + i;
        const double f = exp(j->decay[token * j->decays + at]);
        for (size_t m = 0; m < j->dv; m++)
            s[i * j->dv + m] *= f;
    }
    for (size_t m = 0; m < j->dv; m++) {
        double known = 0;
        for (size_t i = 0; j->rule.delta && i < j->dk; i++)
            known += s[i * j->dv + m] * k[i];
        j->write[m] = v[m];
        if (j->rule.delta)
            j->write[m] = j->beta[token * j->betas + (j->betas == 1 ? 0 : h)] * (v[m] - known);
    }
    for (size_t i = 0; i < j->dk; i++)
        for (size_t m = 0; m < j->dv; m++)
            s[i * j->dv + m] += k[i] * j->write[m];
    for (size_t g = h * group; g < (h + 1) * group; g++) {
        const double *q = j->q + (token * j->q_heads + g) * j->dk;
        double *y = j->y + (token * j->q_heads + g) * j->dv;
        for (size_t i = 0; i < j->dk; i++)
            for (size_t m = 0; m < j->dv; m++)
                y[m] += j->scale * q[i] * s[i * j->dv + m];
    }
}

static enum bnr_status load(const struct bnr_args *a, struct job *j, size_t state_numel,
                            size_t y_numel) {
    const struct bnr_tensor *past = bnr__in(a, PAST), *decay = bnr__in(a, DECAY),
                            *beta = bnr__in(a, BETA);
    j->q = bnr__all_f64(a, a->in[QUERY]);
    j->k = bnr__all_f64(a, a->in[KEY]);
    j->v = bnr__all_f64(a, a->in[VALUE]);
    j->decay = bnr__all_f64(a, decay);
    j->beta = bnr__all_f64(a, beta);
    j->decays = decay ? (size_t)decay->dims[2] : 0;
    j->betas = beta ? (size_t)beta->dims[2] : 0;
    j->state = bnr__temp_f64(a, state_numel);
    j->y = bnr__temp_f64(a, y_numel);
    j->write = bnr__temp_f64(a, j->dv);
    if (!j->q || !j->k || !j->v || (decay && !j->decay) || (beta && !j->beta) || !j->state ||
        !j->y || !j->write)
        return BNR_NO_MEMORY;
    if (past)
        bnr__load_f64(j->state, past->dtype, past->data, past->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *q = a->in[QUERY], *past = bnr__in(a, PAST);
    const double scale = (double)bnr__attr_float(a->node, "scale", 0);
    const int64_t qh = bnr__attr_int(a->node, "q_num_heads", 1),
                  kvh = bnr__attr_int(a->node, "kv_num_heads", 1);
    const int64_t dk = q->dims[2] / qh, dv = a->in[VALUE]->dims[2] / kvh;
    const int64_t y_dims[] = {q->dims[0], q->dims[1], qh * dv},
                  state_dims[] = {q->dims[0], kvh, dk, dv};
    struct job j = {.batch = (size_t)q->dims[0],
                    .steps = (size_t)q->dims[1],
                    .q_heads = (size_t)qh,
                    .kv_heads = (size_t)kvh,
                    .dk = (size_t)dk,
                    .dv = (size_t)dv};
    struct bnr_tensor *y, *state;
    size_t y_numel, state_numel;
    BNR_TRY(read_rule(a->node, &j.rule, a->err));
    BNR_TRY(bnr__shape_numel(y_dims, 3, "the output of LinearAttention", &y_numel, a->err));
    BNR_TRY(bnr__shape_numel(state_dims, 4, "the state of LinearAttention", &state_numel, a->err));
    j.scale = scale == 0 ? 1 / sqrt((double)dk) : scale;
    BNR_TRY(load(a, &j, state_numel, y_numel));
    for (size_t i = 0; y_numel + state_numel > 0 && i < j.batch * j.kv_heads; i++)
        for (size_t t = 0; t < j.steps; t++)
            step(&j, i / j.kv_heads, i % j.kv_heads, t);
    BNR_TRY(bnr__out(a, 0, q->dtype, 3, y_dims, &y));
    BNR_TRY(bnr__out(a, 1, past ? past->dtype : q->dtype, 4, state_dims, &state));
    if (y)
        bnr__store_f64(y->dtype, y->data, j.y, y->numel);
    if (state)
        bnr__store_f64(state->dtype, state->data, j.state, state->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(linear_attention) = {
    .domain = "",
    .name = "LinearAttention",
    .since = {27},
    .min_in = 3,
    .max_in = 6,
    .min_out = 2,
    .max_out = 2,
    .attrs = "chunk_size:i kv_num_heads:i! q_num_heads:i! scale:f update_rule:s",
    .infer = infer,
    .ref = ref,
};
