// SPDX-License-Identifier: Apache-2.0
// GroupQueryAttention (com.microsoft): causal attention with shared key heads and a cache of past keys and
// values, which may be longer than what is in use: seqlens_k says how many keys each batch has in all, less one.
// Optionally Q and K are rotated by their positions, windowed, capped. A smooth softmax has one more score, which
// nothing is weighted by: head_sink's, or 0. qk_output gives the scores, 1 in front of the softmax, 2 behind it.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/group_query.h"

enum {
    Q = BNR_GQ_Q,
    K = BNR_GQ_K,
    V = BNR_GQ_V,
    PAST_KEY = BNR_GQ_PAST_KEY,
    PAST_VALUE = BNR_GQ_PAST_VALUE,
    SEQLENS = BNR_GQ_SEQLENS,
    TOTAL = BNR_GQ_TOTAL,
    COS = BNR_GQ_COS,
    SIN = BNR_GQ_SIN,
    POSITIONS = BNR_GQ_POSITIONS,
    BIAS = BNR_GQ_BIAS,
    SINK = BNR_GQ_SINK
};
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

// ---- inference ---------------------------------------------------------------------------------

struct sizes {
    int64_t heads, kv_heads; // attributes
    struct bnr_dim batch, length, size, past;
};

static struct bnr_dim dim(const struct bnr_infer *cx, int i, int d) {
    const struct bnr_type *t = bnr__infer_in(cx, i);
    return t && t->shape.rank > d ? t->shape.dims[d] : bnr__dim_unknown();
}

static enum bnr_status head_size(struct bnr_infer *cx, int i, int64_t heads, struct bnr_dim *size) {
    const struct bnr_dim hidden = dim(cx, i, 2);
    *size = bnr__dim_unknown();
    if (hidden.n < 0)
        return BNR_OK;
    if (hidden.n % heads != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "input %d has a last dim of %lld, which does not divide into %lld heads", i,
                            (long long)hidden.n, (long long)heads);
    *size = bnr__dim_of(hidden.n / heads);
    return BNR_OK;
}

static enum bnr_status check_attributes(struct bnr_infer *cx, struct sizes *s) {
    const struct bnr_node *n = cx->node;
    s->heads = bnr__attr_int(n, "num_heads", 0);
    s->kv_heads = bnr__attr_int(n, "kv_num_heads", 0);
    if (s->heads < 1 || s->heads > 1 << 20 || s->kv_heads < 1 || s->heads % s->kv_heads != 0)
        return bnr__op_fail(n, cx->err, BNR_SHAPE, "%lld query heads do not share %lld key heads",
                            (long long)s->heads, (long long)s->kv_heads);
    const int64_t scores = bnr__attr_int(n, "qk_output", 0);
    if (scores < 0 || scores > 2 || (cx->n_out > SCORES && cx->out[SCORES] && scores == 0))
        return bnr__op_fail(n, cx->err, BNR_SHAPE, "qk_output is %lld, which makes no output %d",
                            (long long)scores, SCORES);
    bool quantized = bnr__attr_int(n, "kv_cache_bit_width", 0) != 0;
    for (int i = SINK + 1; i < cx->n_in; i++)
        quantized = quantized || cx->in[i];
    if (quantized)
        return bnr__op_fail(n, cx->err, BNR_UNSUPPORTED, "a quantized cache is not supported");
    const bool rotates = bnr__attr_int(n, "do_rotary", 0) != 0;
    if (rotates && (!bnr__infer_in(cx, COS) || !bnr__infer_in(cx, SIN)))
        return bnr__op_fail(n, cx->err, BNR_SHAPE, "do_rotary without cos_cache and sin_cache");
    if (!bnr__infer_in(cx, K) != !bnr__infer_in(cx, V) ||
        !bnr__infer_in(cx, PAST_KEY) != !bnr__infer_in(cx, PAST_VALUE))
        return bnr__op_fail(n, cx->err, BNR_SHAPE, "key and value, and the past ones, go together");
    if (!bnr__infer_in(cx, SEQLENS) || !bnr__infer_in(cx, TOTAL))
        return bnr__op_fail(n, cx->err, BNR_MALFORMED, "seqlens_k or total_sequence_length is left out");
    return BNR_OK;
}

static enum bnr_status check_inputs(struct bnr_infer *cx) {
    static const int floats[] = {Q, K, V, PAST_KEY, PAST_VALUE, COS, SIN, BIAS, SINK};
    for (size_t i = 0; i < BNR_COUNT(floats); i++) {
        BNR_TRY(bnr__infer_types(cx, floats[i], BNR_TYPES_FLOAT));
        if (bnr__infer_in(cx, floats[i]))
            BNR_TRY(bnr__infer_same_dtype(cx, Q, floats[i]));
    }
    BNR_TRY(bnr__infer_types(cx, SEQLENS, BNR_TYPE(INT32)));
    BNR_TRY(bnr__infer_types(cx, TOTAL, BNR_TYPE(INT32)));
    BNR_TRY(bnr__infer_types(cx, POSITIONS, BNR_TYPE(INT64)));
    BNR_TRY(bnr__infer_rank(cx, Q, 3, 3));
    for (int i = K; i <= V; i++)
        if (bnr__infer_in(cx, i))
            BNR_TRY(bnr__infer_rank(cx, i, 3, 3));
    for (int i = PAST_KEY; i <= PAST_VALUE; i++)
        if (bnr__infer_in(cx, i))
            BNR_TRY(bnr__infer_rank(cx, i, 4, 4));
    for (int i = COS; i <= SIN; i++)
        if (bnr__infer_in(cx, i))
            BNR_TRY(bnr__infer_rank(cx, i, 2, 2));
    return BNR_OK;
}

static enum bnr_status check_dims(struct bnr_infer *cx, struct sizes *s) {
    const bool packed = !bnr__infer_in(cx, K);
    struct bnr_dim k_size;
    s->batch = dim(cx, Q, 0);
    s->length = dim(cx, Q, 1);
    s->past = bnr__infer_in(cx, PAST_KEY) ? dim(cx, PAST_KEY, 2) : bnr__dim_of(0);
    BNR_TRY(head_size(cx, Q, s->heads + (packed ? 2 * s->kv_heads : 0), &s->size));
    for (int i = K; i <= V && !packed; i++) {
        BNR_TRY(head_size(cx, i, s->kv_heads, &k_size));
        BNR_TRY(bnr__infer_dims_agree(cx, "head sizes", s->size, k_size, &s->size));
        BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", s->batch, dim(cx, i, 0), &s->batch));
        BNR_TRY(bnr__infer_dims_agree(cx, "lengths", s->length, dim(cx, i, 1), &s->length));
    }
    for (int i = PAST_KEY; i <= PAST_VALUE && bnr__infer_in(cx, PAST_KEY); i++) {
        const struct bnr_dim kv = bnr__dim_of(s->kv_heads);
        BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", s->batch, dim(cx, i, 0), &s->batch));
        BNR_TRY(bnr__infer_dims_agree(cx, "heads of the cache", kv, dim(cx, i, 1), NULL));
        BNR_TRY(bnr__infer_dims_agree(cx, "lengths of the caches", s->past, dim(cx, i, 2), NULL));
        BNR_TRY(bnr__infer_dims_agree(cx, "head sizes", s->size, dim(cx, i, 3), &s->size));
    }
    if (bnr__infer_in(cx, SINK)) {
        BNR_TRY(bnr__infer_rank(cx, SINK, 1, 1));
        BNR_TRY(bnr__infer_dims_agree(cx, "heads and head_sink", bnr__dim_of(s->heads),
                                      dim(cx, SINK, 0), NULL));
    }
    const struct bnr_dim half = dim(cx, COS, 1);
    BNR_TRY(bnr__infer_dims_agree(cx, "widths of cos_cache and sin_cache", half,
                                  bnr__infer_in(cx, SIN) ? dim(cx, SIN, 1) : half, NULL));
    if (half.n >= 0 && s->size.n >= 0 && half.n > s->size.n / 2)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "cos_cache is %lld wide, heads %lld",
                            (long long)half.n, (long long)s->size.n);
    return bnr__infer_dims_agree(cx, "rows of cos_cache and sin_cache", dim(cx, COS, 0),
                                 bnr__infer_in(cx, SIN) ? dim(cx, SIN, 0) : dim(cx, COS, 0), NULL);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct sizes s;
    double total;
    enum bnr_status st = BNR_OK;
    BNR_TRY(check_attributes(cx, &s));
    BNR_TRY(check_inputs(cx));
    BNR_TRY(check_dims(cx, &s));
    const enum bnr_dtype t = bnr__infer_in_dtype(cx, Q);
    struct bnr_dim all = bnr__dim_unknown(), keys = bnr__dim_unknown();
    if (bnr__infer_scalar(cx, TOTAL, &total, &st) && total >= 0)
        keys = bnr__dim_of((int64_t)total);
    BNR_TRY(st);
    if (keys.n >= 0 && s.past.n >= 0)
        all = keys.n > s.past.n ? keys : s.past;
    struct bnr_shape y = {.rank = 3, .dims = {s.batch, s.length, bnr__dim_unknown()}};
    int64_t hidden;
    if (s.size.n >= 0 && bnr__i64_mul(s.size.n, s.heads, &hidden))
        y.dims[2] = bnr__dim_of(hidden);
    const struct bnr_shape present = {
        .rank = 4, .dims = {s.batch, bnr__dim_of(s.kv_heads), all, s.size}};
    const struct bnr_shape scores = {
        .rank = 4, .dims = {s.batch, bnr__dim_of(s.heads), s.length, keys}};
    bnr__infer_set(cx, Y, t, &y);
    bnr__infer_set(cx, PRESENT_KEY, t, &present);
    bnr__infer_set(cx, PRESENT_VALUE, t, &present);
    bnr__infer_set(cx, SCORES, t, &scores);
    return BNR_OK;
}

// ---- reference ---------------------------------------------------------------------------------

struct job {
    const struct bnr_args *args;
    struct bnr_group_query g;
    double scale;
    const double *q, *k, *v;   // rows of g.q_stride and g.kv_stride
    double *qs;                // [batch, heads, length, size], rotated
    double *keys, *values;     // [batch, kv_heads, all, size]
    const double *cos, *sin;   // [rows, half] or NULL
    const double *bias;        // [batch, heads, length, total] or NULL
    const double *sink;        // [heads] or NULL
    double *scores;            // [batch, heads, all]
    double *shown;             // output 3 [batch, heads, length, total], or NULL
    bool shows_weights;        // what softmax made of them
    double *y;                 // [batch, length, heads, size]
};

// One head's vector of the token (b, i), rotated by its position.
static void rotated(const struct job *j, size_t b, size_t i, const double *x, double *y) {
    memcpy(y, x, j->g.size * sizeof(*y));
    if (!j->cos)
        return;
    const size_t at = bnr__group_query_position(&j->g, b, i);
    for (size_t d = 0; d < j->g.half; d++) {
        const size_t p = j->g.interleaved ? 2 * d : d, q = j->g.interleaved ? p + 1 : d + j->g.half;
        const double c = j->cos[at * j->g.half + d], s = j->sin[at * j->g.half + d];
        y[p] = x[p] * c - x[q] * s;
        y[q] = x[q] * c + x[p] * s;
    }
}

// Past and new keys and values of a batch into the caches, zeros behind them; queries by heads.
static void fill(const struct job *j, size_t b) {
    const struct bnr_tensor *pk = bnr__in(j->args, PAST_KEY), *pv = bnr__in(j->args, PAST_VALUE);
    const size_t past = bnr__group_query_past(&j->g, b);
    for (size_t h = 0; h < j->g.kv_heads; h++) {
        const size_t to = (b * j->g.kv_heads + h) * j->g.all * j->g.size;
        const size_t from = (b * j->g.kv_heads + h) * j->g.past * j->g.size;
        if (pk && past * j->g.size > 0) {
            bnr__load_f64(j->keys + to, pk->dtype, bnr__at(pk, from), past * j->g.size);
            bnr__load_f64(j->values + to, pv->dtype, bnr__at(pv, from), past * j->g.size);
        }
        for (size_t i = 0; i < j->g.length; i++) {
            const size_t row = (b * j->g.length + i) * j->g.kv_stride + h * j->g.size;
            rotated(j, b, i, j->k + row, j->keys + to + (past + i) * j->g.size);
            memcpy(j->values + to + (past + i) * j->g.size, j->v + row, j->g.size * sizeof(double));
        }
    }
    for (size_t h = 0; h < j->g.heads; h++)
        for (size_t i = 0; i < j->g.length; i++)
            rotated(j, b, i, j->q + (b * j->g.length + i) * j->g.q_stride + h * j->g.size,
                    j->qs + ((b * j->g.heads + h) * j->g.length + i) * j->g.size);
}

static void attend(const struct job *j, size_t b, size_t h, size_t i) {
    const size_t kv = (b * j->g.kv_heads + h / (j->g.heads / j->g.kv_heads)) * j->g.all * j->g.size;
    const double *q = j->qs + ((b * j->g.heads + h) * j->g.length + i) * j->g.size;
    double *s = j->scores + (b * j->g.heads + h) * j->g.all;
    const size_t row = (b * j->g.heads + h) * j->g.length + i;
    double *y = j->y + ((b * j->g.length + i) * j->g.heads + h) * j->g.size;
    double *shown = j->shown ? j->shown + row * j->g.total : NULL;
    const double sink = j->sink ? j->sink[h] : 0;
    double max = j->g.smooth ? sink : -HUGE_VAL, sum = 0;
    const size_t end = bnr__group_query_past(&j->g, b) + i + 1;
    const size_t begin =
        j->g.window >= 0 && end > (size_t)j->g.window ? end - (size_t)j->g.window : 0;
    for (size_t k = begin; k < end; k++) {
        double dot = 0;
        const double cap = (double)j->g.softcap;
        for (size_t d = 0; d < j->g.size; d++)
            dot += q[d] * j->keys[kv + k * j->g.size + d];
        dot *= j->scale;
        s[k] = j->g.softcap > 0 ? cap * tanh(dot / cap) : dot;
        if (j->bias)
            s[k] += j->bias[row * j->g.total + k];
        max = fmax(max, s[k]);
        if (shown)
            shown[k] = s[k];
    }
    if (j->g.smooth)
        sum = exp(sink - max);
    for (size_t k = begin; k < end; k++)
        sum += s[k] = exp(s[k] - max);
    for (size_t k = begin; k < end; k++) {
        if (shown && j->shows_weights)
            shown[k] = s[k] / sum;
        for (size_t d = 0; d < j->g.size; d++)
            y[d] += s[k] / sum * j->values[kv + k * j->g.size + d];
    }
}

static void run_heads(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t head = begin; head < end; head++)
        for (size_t i = 0; i < j->g.length; i++)
            attend(j, head / j->g.heads, head % j->g.heads, i);
}

static enum bnr_status load(const struct bnr_args *a, struct job *j) {
    size_t n;
    const int64_t cache[] = {(int64_t)j->g.batch, (int64_t)j->g.kv_heads, (int64_t)j->g.all,
                             (int64_t)j->g.size};
    const int64_t scores[] = {(int64_t)j->g.batch, (int64_t)j->g.heads, (int64_t)j->g.length,
                              (int64_t)j->g.total};
    BNR_TRY(bnr__shape_numel(cache, 4, "the cache", &n, a->err));
    const bool packed = j->g.packed;
    j->scale = j->g.scale != 0 ? (double)j->g.scale : 1 / sqrt((double)j->g.size);
    if (j->g.rotates) {
        j->cos = bnr__all_f64(a, a->in[COS]);
        j->sin = bnr__all_f64(a, a->in[SIN]);
        if (!j->cos || !j->sin)
            return BNR_NO_MEMORY;
    }
    j->q = bnr__all_f64(a, a->in[Q]);
    j->k = packed ? j->q + j->g.heads * j->g.size : bnr__all_f64(a, a->in[K]);
    j->v = packed ? j->q + (j->g.heads + j->g.kv_heads) * j->g.size : bnr__all_f64(a, a->in[V]);
    j->keys = bnr__temp_f64(a, n);
    j->values = bnr__temp_f64(a, n);
    j->qs = bnr__temp_f64(a, j->g.batch * j->g.length * j->g.heads * j->g.size);
    j->y = bnr__temp_f64(a, j->g.batch * j->g.length * j->g.heads * j->g.size);
    j->scores = bnr__temp_f64(a, j->g.batch * j->g.heads * j->g.all);
    if (!j->q || !j->k || !j->v || !j->keys || !j->values || !j->qs || !j->y || !j->scores)
        return BNR_NO_MEMORY;
    j->shows_weights = bnr__attr_int(a->node, "qk_output", 0) == 2;
    BNR_TRY(bnr__shape_numel(scores, 4, "the scores", &n, a->err));
    if (a->n_out > SCORES && a->out[SCORES] && !(j->shown = bnr__temp_f64(a, n)))
        return BNR_NO_MEMORY;
    if (bnr__in(a, SINK) && !(j->sink = bnr__all_f64(a, a->in[SINK])))
        return BNR_NO_MEMORY;
    if (!bnr__in(a, BIAS))
        return BNR_OK;
    j->bias = bnr__expand_f64(a, a->in[BIAS], 4, scores);
    return j->bias ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status store(const struct bnr_args *a, int out, int rank, const int64_t *dims,
                             const double *v) {
    struct bnr_tensor *t;
    BNR_TRY(bnr__out(a, out, a->in[Q]->dtype, rank, dims, &t));
    if (t)
        bnr__store_f64(t->dtype, t->data, v, t->numel);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct job j = {.args = a};
    BNR_TRY(bnr__group_query_read(a, &j.g));
    BNR_TRY(load(a, &j));
    for (size_t b = 0; b < j.g.batch; b++)
        fill(&j, b);
    if (j.g.size > 0 && j.g.length > 0 && j.g.batch > 0)
        bnr__parallel_for(a->pool, j.g.batch * j.g.heads, 1, run_heads, &j);
    const int64_t y[] = {(int64_t)j.g.batch, (int64_t)j.g.length, (int64_t)(j.g.heads * j.g.size)};
    const int64_t cache[] = {(int64_t)j.g.batch, (int64_t)j.g.kv_heads, (int64_t)j.g.all, (int64_t)j.g.size};
    const int64_t scores[] = {(int64_t)j.g.batch, (int64_t)j.g.heads, (int64_t)j.g.length,
                              (int64_t)j.g.total};
    BNR_TRY(store(a, Y, 3, y, j.y));
    BNR_TRY(store(a, PRESENT_KEY, 4, cache, j.keys));
    BNR_TRY(store(a, PRESENT_VALUE, 4, cache, j.values));
    return store(a, SCORES, 4, scores, j.shown);
}

BNR_DEFINE_OP(ms_group_query_attention) = {
    .domain = "com.microsoft",
    .name = "GroupQueryAttention",
    .since = {1},
    .min_in = 1, // key, value and the past ones may be left out
    .max_in = 16,
    .min_out = 1,
    .max_out = 4,
    .attrs = "do_rotary:i kv_num_heads:i! local_window_size:i num_heads:i! qk_output:i "
             "rotary_interleaved:i scale:f smooth_softmax:i softcap:f",
    .infer = infer,
    .ref = ref,
    .prepare = bnr__prepare_group_query,
};
