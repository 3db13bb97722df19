// SPDX-License-Identifier: Apache-2.0
// Attention (ai.onnx 23, 24, 25): softmax(Q * K^T * scale + bias) * V per head, with grouped heads,
// a key and value cache, masks, causal frontier, sliding windows and soft capping. Computed in
// double, whatever softmax_precision says. A query that may attend to no key gives zeros.
#include <math.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/prepare.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD };

// ---- inference ----------------------------------------------------------------------------------

static struct bnr_dim dim(const struct bnr_infer *cx, int i, int d) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    return t && t->shape.rank > d ? t->shape.dims[d] : bnr__dim_unknown();
}

static enum bnr_status split(struct bnr_infer *cx, int i, struct bnr_dim hidden, int64_t heads,
                             struct bnr_dim *size) {
    *size = bnr__dim_unknown();
    if (hidden.n >= 0 && hidden.n % heads != 0)
        return bnr__op_fail(
            cx->node, cx->err, BNR_SHAPE,
            "input %d has a last dim of %lld, which does not divide into %lld heads", i,
            (long long)hidden.n, (long long)heads);
    if (hidden.n >= 0)
        *size = bnr__dim_of(hidden.n / heads);
    return BNR_OK;
}

// Heads, length and head size of input i (Q, K or V).
struct part {
    struct bnr_dim heads, length, size;
};

static enum bnr_status read_part(struct bnr_infer *cx, int i, int rank, struct part *p) {
    const char *name = i == Q ? "q_num_heads" : "kv_num_heads";
    const int64_t heads = bnr__attr_int(cx->node, name, 0);
    if (rank == 4) {
        *p = (struct part){dim(cx, i, 1), dim(cx, i, 2), dim(cx, i, 3)};
        return BNR_OK;
    }
    if (heads < 1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s is %lld, expected 1 or more", name,
                            (long long)heads);
    p->heads = bnr__dim_of(heads);
    p->length = dim(cx, i, 1);
    return split(cx, i, dim(cx, i, 2), heads, &p->size);
}

static struct bnr_dim add(struct bnr_dim a, struct bnr_dim b) {
    int64_t n;
    if (a.n == 0)
        return b;
    return a.n >= 0 && b.n >= 0 && bnr__i64_add(a.n, b.n, &n) ? bnr__dim_of(n) : bnr__dim_unknown();
}

static enum bnr_status check_past(struct bnr_infer *cx, int i, struct bnr_dim batch,
                                  const struct part *p) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    if (!t)
        return BNR_OK;
    BNR_TRY(bnr__infer_rank(cx, i, 4, 4));
    if (t->shape.rank < 0)
        return BNR_OK;
    BNR_TRY(
        bnr__infer_dims_agree(cx, "batch sizes of input and cache", batch, t->shape.dims[0], NULL));
    BNR_TRY(
        bnr__infer_dims_agree(cx, "heads of input and cache", p->heads, t->shape.dims[1], NULL));
    return bnr__infer_dims_agree(cx, "head sizes of input and cache", p->size, t->shape.dims[3],
                                 NULL);
}

static enum bnr_status check_mask(struct bnr_infer *cx, const struct bnr_shape *scores) {
    const struct bnr_type *t = bnr__infer_in(cx, MASK);
    if (!t || t->shape.rank < 0)
        return BNR_OK;
    BNR_TRY(bnr__infer_rank(cx, MASK, 1, 4));
    const struct bnr_dim last = t->shape.dims[t->shape.rank - 1], total = scores->dims[3];
    if (last.n >= 0 && total.n >= 0 && last.n > total.n)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "attn_mask covers %lld keys of %lld",
                            (long long)last.n, (long long)total.n);
    struct bnr_shape rest = *scores;
    rest.dims[3] = last; // a mask may be shorter
    return bnr__infer_unidirectional(cx, MASK, &rest);
}

static enum bnr_status check_types(struct bnr_infer *cx) {
    BNR_TRY(bnr__infer_types(cx, Q, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_types(cx, V, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_same_dtype(cx, Q, K));
    BNR_TRY(bnr__infer_types(cx, MASK, BNR_TYPES_NUMERIC | BNR_TYPE(BOOL)));
    BNR_TRY(bnr__infer_types(cx, NONPAD, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_same_dtype(cx, K, PAST_KEY));
    return bnr__infer_same_dtype(cx, V, PAST_VALUE);
}

static enum bnr_status check_attributes(struct bnr_infer *cx) {
    BNR_TRY(check_types(cx));
    const int64_t mode = bnr__attr_int(cx->node, "qk_matmul_output_mode", 0);
    const int64_t left = bnr__attr_int(cx->node, "left_window_size", -1);
    const int64_t right = bnr__attr_int(cx->node, "right_window_size", -1);
    if (mode < 0 || mode > 3)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "qk_matmul_output_mode is %lld, expected 0 to 3", (long long)mode);
    if (left < -1 || right < -1)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "window sizes %lld and %lld, expected -1 or more", (long long)left,
                            (long long)right);
    if (!bnr__infer_in(cx, PAST_KEY) != !bnr__infer_in(cx, PAST_VALUE))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "past_key and past_value go together");
    if (bnr__infer_in(cx, NONPAD) && bnr__infer_in(cx, PAST_KEY))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "nonpad_kv_seqlen does not go with a cache");
    return BNR_OK;
}

static struct bnr_shape shape4(struct bnr_dim a, struct bnr_dim b, struct bnr_dim c,
                               struct bnr_dim d) {
    return (struct bnr_shape){.rank = 4, .dims = {a, b, c, d}};
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct part q, k, v;
    struct bnr_shape unknown = bnr__shape_unknown();
    const enum bnr_dtype qt = bnr__infer_in_dtype(cx, Q), vt = bnr__infer_in_dtype(cx, V);
    const int rank = bnr__infer_in(cx, Q)->shape.rank;
    BNR_TRY(check_attributes(cx));
    BNR_TRY(bnr__infer_rank(cx, Q, 3, 4));
    if (rank < 0) {
        bnr__infer_set(cx, 0, qt, &unknown);
        bnr__infer_set(cx, 1, qt, &unknown);
        bnr__infer_set(cx, 2, vt, &unknown);
        bnr__infer_set(cx, 3, qt, &unknown);
        return BNR_OK;
    }
    BNR_TRY(bnr__infer_rank(cx, K, rank, rank));
    BNR_TRY(bnr__infer_rank(cx, V, rank, rank));
    BNR_TRY(read_part(cx, Q, rank, &q));
    BNR_TRY(read_part(cx, K, rank, &k));
    BNR_TRY(read_part(cx, V, rank, &v));
    struct bnr_dim batch;
    BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", dim(cx, Q, 0), dim(cx, K, 0), &batch));
    BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", batch, dim(cx, V, 0), &batch));
    BNR_TRY(bnr__infer_dims_agree(cx, "head sizes of Q and K", q.size, k.size, NULL));
    BNR_TRY(bnr__infer_dims_agree(cx, "lengths of K and V", k.length, v.length, NULL));
    BNR_TRY(bnr__infer_dims_agree(cx, "heads of K and V", k.heads, v.heads, NULL));
    if (q.heads.n >= 0 && k.heads.n >= 0 && (k.heads.n == 0 || q.heads.n % k.heads.n != 0))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld query heads do not share %lld key heads", (long long)q.heads.n,
                            (long long)k.heads.n);
    BNR_TRY(check_past(cx, PAST_KEY, batch, &k));
    BNR_TRY(check_past(cx, PAST_VALUE, batch, &v));
    BNR_TRY(bnr__infer_length(cx, NONPAD, batch));
    const struct bnr_dim past = bnr__infer_in(cx, PAST_KEY) ? dim(cx, PAST_KEY, 2) : bnr__dim_of(0);
    BNR_TRY(bnr__infer_dims_agree(cx, "lengths of the caches", past,
                                  bnr__infer_in(cx, PAST_VALUE) ? dim(cx, PAST_VALUE, 2) : past,
                                  NULL));
    const struct bnr_dim total = add(past, k.length);
    const struct bnr_shape scores = shape4(batch, q.heads, q.length, total);
    const struct bnr_shape key = shape4(batch, k.heads, total, k.size);
    const struct bnr_shape value = shape4(batch, v.heads, total, v.size);
    struct bnr_shape y = shape4(batch, q.heads, q.length, v.size);
    int64_t hidden;
    if (rank == 3) {
        y = (struct bnr_shape){.rank = 3, .dims = {batch, q.length, bnr__dim_unknown()}};
        if (v.size.n >= 0 && bnr__i64_mul(v.size.n, q.heads.n, &hidden))
            y.dims[2] = bnr__dim_of(hidden);
    }
    BNR_TRY(check_mask(cx, &scores));
    bnr__infer_set(cx, 0, qt, &y);
    bnr__infer_set(cx, 1, qt, &key);
    bnr__infer_set(cx, 2, vt, &value);
    bnr__infer_set(cx, 3, qt, &scores);
    return BNR_OK;
}

// ---- reference ----------------------------------------------------------------------------------

struct job {
    size_t batch, q_heads, kv_heads, queries, keys, past, size, v_size;
    bool rank3, causal;
    int64_t left, right, mode;
    double scale, softcap;
    const double *q, *k, *v; // [batch, heads, length, size]
    const double *mask;      // [batch, q_heads, queries, mask_keys], additive, or NULL
    size_t mask_keys;
    const int64_t *nonpad; // [batch] or NULL
    double *y, *scores;    // [batch, q_heads, queries, v_size or keys]
    double *row;           // scratch: [batch, q_heads, 2, keys]
};

// What is added to the score of key `key` for a query.
static double bias(const struct job *j, size_t b, size_t h, size_t query, size_t key) {
    const int64_t at = (int64_t)key;
    int64_t offset = (int64_t)j->past;
    if (j->nonpad) {
        if (at >= j->nonpad[b])
            return -HUGE_VAL;
        offset = j->nonpad[b] - (int64_t)j->queries;
    }
    const int64_t p = offset + (int64_t)query;
    if ((j->causal && at > p) || (j->left >= 0 && at < p - j->left) ||
        (j->right >= 0 && at > p + j->right))
        return -HUGE_VAL;
    if (!j->mask)
        return 0;
    if (key >= j->mask_keys)
        return -HUGE_VAL;
    return j->mask[((b * j->q_heads + h) * j->queries + query) * j->mask_keys + key];
}

// In place; all zeros where no key may be attended.
static void softmax(double *s, const double *biases, size_t n) {
    double max = -HUGE_VAL, best_bias = -HUGE_VAL, sum = 0;
    bool none = true; // NaN is something
    for (size_t i = 0; i < n; i++) {
        max = fmax(max, s[i]);
        best_bias = fmax(best_bias, biases[i]);
        none = none && s[i] == -HUGE_VAL;
    }
    none = none || best_bias == -HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        sum += s[i] = none ? 0 : exp(s[i] - max);
    for (size_t i = 0; i < n && !none; i++)
        s[i] /= sum;
}

static void attend(const struct job *j, size_t b, size_t h, size_t query) {
    const size_t head = b * j->q_heads + h, n = j->keys;
    const size_t kv = b * j->kv_heads + h / (j->q_heads / j->kv_heads);
    const double *q = j->q + (head * j->queries + query) * j->size;
    double *s = j->row + head * 2 * n, *biases = s + n;
    double *out = j->scores ? j->scores + (head * j->queries + query) * n : NULL;
    for (size_t i = 0; i < n; i++) {
        const double *k = j->k + (kv * n + i) * j->size;
        double sum = 0;
        for (size_t d = 0; d < j->size; d++)
            sum += q[d] * k[d];
        const double raw = sum * j->scale;
        const double capped = j->softcap > 0 ? j->softcap * tanh(raw / j->softcap) : raw;
        biases[i] = bias(j, b, h, query, i);
        s[i] = capped + biases[i];
        if (out)
            out[i] = j->mode == 0 ? raw : j->mode == 1 ? capped : s[i];
    }
    softmax(s, biases, n);
    double *y = j->y + (head * j->queries + query) * j->v_size;
    for (size_t i = 0; i < n; i++) {
        const double *v = j->v + (kv * n + i) * j->v_size;
        if (out && j->mode == 3)
            out[i] = s[i];
        for (size_t d = 0; d < j->v_size && s[i] != 0; d++)
            y[d] += s[i] * v[d];
    }
}

static void run_heads(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t head = begin; head < end; head++)
        for (size_t query = 0; query < j->queries; query++)
            attend(j, head / j->q_heads, head % j->q_heads, query);
}

// Rows of input `i` ([batch, heads, length, size] or [batch, length, heads * size]) into `to`, in
// which each head has `total` rows and the input's start at `first`.
static void load_rows(const struct bnr_tensor *t, bool rank3, size_t heads, size_t size,
                      size_t total, size_t first, double *to) {
    const size_t batch = (size_t)t->dims[0], length = (size_t)t->dims[rank3 ? 1 : 2];
    if (t->numel == 0)
        return;
    for (size_t b = 0; b < batch; b++)
        for (size_t h = 0; h < heads; h++)
            for (size_t i = 0; i < length; i++) {
                const size_t from =
                    rank3 ? ((b * length + i) * heads + h) : ((b * heads + h) * length + i);
                bnr__load_f64(to + ((b * heads + h) * total + first + i) * size, t->dtype,
                              bnr__at(t, from * size), size);
            }
}

// Keys or values behind the cache of past ones.
static double *load_cached(const struct bnr_args *a, const struct job *j, int i, int past,
                           size_t size) {
    const struct bnr_tensor *cache = bnr__in(a, past);
    double *v = bnr__temp_f64(a, j->batch * j->kv_heads * j->keys * size);
    if (!v)
        return NULL;
    if (cache)
        load_rows(cache, false, j->kv_heads, size, j->keys, 0, v);
    load_rows(a->in[i], j->rank3, j->kv_heads, size, j->keys, j->past, v);
    return v;
}

static enum bnr_status load_mask(const struct bnr_args *a, struct job *j) {
    const struct bnr_tensor *m = bnr__in(a, MASK);
    if (!m)
        return BNR_OK;
    j->mask_keys = (size_t)m->dims[m->rank - 1];
    const int64_t dims[] = {(int64_t)j->batch, (int64_t)j->q_heads, (int64_t)j->queries,
                            (int64_t)j->mask_keys};
    size_t n;
    BNR_TRY(bnr__shape_numel(dims, 4, "attn_mask", &n, a->err));
    const double *v = bnr__expand_f64(a, m, 4, dims);
    if (!v)
        return BNR_NO_MEMORY;
    j->mask = v;
    if (m->dtype != BNR_BOOL)
        return BNR_OK;
    double *additive = bnr__temp_f64(a, n);
    if (!additive)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        additive[i] = v[i] != 0 ? 0 : -HUGE_VAL;
    j->mask = additive;
    return BNR_OK;
}

static void read_job(const struct bnr_args *a, struct job *j) {
    const struct bnr_tensor *q = a->in[Q], *k = a->in[K], *v = a->in[V];
    const struct bnr_node *n = a->node;
    j->rank3 = q->rank == 3;
    j->batch = (size_t)q->dims[0];
    j->q_heads = (size_t)(j->rank3 ? bnr__attr_int(n, "q_num_heads", 1) : q->dims[1]);
    j->kv_heads = (size_t)(j->rank3 ? bnr__attr_int(n, "kv_num_heads", 1) : k->dims[1]);
    j->queries = (size_t)q->dims[j->rank3 ? 1 : 2];
    j->size = (size_t)(j->rank3 ? q->dims[2] / (int64_t)j->q_heads : q->dims[3]);
    j->v_size = (size_t)(j->rank3 ? v->dims[2] / (int64_t)j->kv_heads : v->dims[3]);
    j->past = bnr__in(a, PAST_KEY) ? (size_t)a->in[PAST_KEY]->dims[2] : 0;
    j->keys = j->past + (size_t)k->dims[j->rank3 ? 1 : 2];
    j->causal = bnr__attr_int(n, "is_causal", 0) != 0;
    j->left = bnr__attr_int(n, "left_window_size", -1);
    j->right = bnr__attr_int(n, "right_window_size", -1);
    j->mode = bnr__attr_int(n, "qk_matmul_output_mode", 0);
    j->softcap = (double)bnr__attr_float(n, "softcap", 0);
    j->scale =
        bnr__attr(n, "scale") ? (double)bnr__attr_float(n, "scale", 1) : 1 / sqrt((double)j->size);
}

static enum bnr_status store_outputs(const struct bnr_args *a, const struct job *j) {
    const int64_t b = (int64_t)j->batch, h = (int64_t)j->q_heads, n = (int64_t)j->queries;
    const int64_t kv = (int64_t)j->kv_heads, t = (int64_t)j->keys, dv = (int64_t)j->v_size;
    const int64_t y3[] = {b, n, h * dv}, y4[] = {b, h, n, dv}, scores[] = {b, h, n, t};
    const int64_t key[] = {b, kv, t, (int64_t)j->size}, value[] = {b, kv, t, dv};
    struct bnr_tensor *y, *k, *v, *s;
    BNR_TRY(bnr__out(a, 0, a->in[Q]->dtype, j->rank3 ? 3 : 4, j->rank3 ? y3 : y4, &y));
    BNR_TRY(bnr__out(a, 1, a->in[K]->dtype, 4, key, &k));
    BNR_TRY(bnr__out(a, 2, a->in[V]->dtype, 4, value, &v));
    BNR_TRY(bnr__out(a, 3, a->in[Q]->dtype, 4, scores, &s));
    for (int64_t i = 0; y && dv > 0 && i < b * h * n; i++) {
        const int64_t batch = i / (h * n), head = i / n % h, query = i % n;
        const int64_t to = j->rank3 ? (batch * n + query) * h + head : i;
        bnr__store_f64(y->dtype, bnr__at_mut(y, (size_t)(to * dv)), j->y + i * dv, (size_t)dv);
    }
    if (k)
        bnr__store_f64(k->dtype, k->data, j->k, k->numel);
    if (v)
        bnr__store_f64(v->dtype, v->data, j->v, v->numel);
    if (s)
        bnr__store_f64(s->dtype, s->data, j->scores, s->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct job j = {0};
    size_t numel;
    read_job(a, &j);
    const int64_t scores[] = {(int64_t)j.batch, (int64_t)j.q_heads, (int64_t)j.queries + 2,
                              (int64_t)j.keys};
    BNR_TRY(bnr__shape_numel(scores, 4, "the scores of Attention", &numel, a->err));
    double *q = bnr__temp_f64(a, a->in[Q]->numel);
    j.k = load_cached(a, &j, K, PAST_KEY, j.size);
    j.v = load_cached(a, &j, V, PAST_VALUE, j.v_size);
    j.nonpad = bnr__all_i64(a, bnr__in(a, NONPAD));
    j.y = bnr__temp_f64(a, j.batch * j.q_heads * j.queries * j.v_size);
    j.row = bnr__temp_f64(a, j.batch * j.q_heads * 2 * j.keys);
    if (a->n_out > 3 && a->out[3] && !(j.scores = bnr__temp_f64(a, numel)))
        return BNR_NO_MEMORY;
    if (!q || !j.k || !j.v || !j.y || !j.row || (bnr__in(a, NONPAD) && !j.nonpad))
        return BNR_NO_MEMORY;
    load_rows(a->in[Q], j.rank3, j.q_heads, j.size, j.queries, 0, q);
    j.q = q;
    BNR_TRY(load_mask(a, &j));
    if (j.v_size > 0 || j.scores)
        bnr__parallel_for(a->pool, j.batch * j.q_heads, 1, run_heads, &j);
    return store_outputs(a, &j);
}

BNR_DEFINE_OP(attention) = {
    .domain = "",
    .name = "Attention",
    .since = {23, 24, 25},
    .min_in = 3,
    .max_in = 7,
    .min_out = 1,
    .max_out = 4,
    .attrs = "is_causal:i kv_num_heads:i left_window_size:i q_num_heads:i qk_matmul_output_mode:i "
             "right_window_size:i scale:f softcap:f softmax_precision:i",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_attention,
};
