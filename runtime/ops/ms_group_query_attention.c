// SPDX-License-Identifier: Apache-2.0
// GroupQueryAttention (com.microsoft): causal attention with shared key heads and a cache of past keys and
// values, which may be longer than what is in use: seqlens_k says how many keys each batch has in all, less one.
// Optionally Q and K are rotated by their positions, windowed, capped.
#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

enum { Q, K, V, PAST_KEY, PAST_VALUE, SEQLENS, TOTAL, COS, SIN, POSITIONS, BIAS, SINK };

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
    static const char *const zeros[] = {"smooth_softmax", "qk_output", "kv_cache_bit_width"};
    for (size_t i = 0; i < BNR_COUNT(zeros); i++)
        if (bnr__attr_int(n, zeros[i], 0) != 0)
            return bnr__op_fail(n, cx->err, BNR_UNSUPPORTED, "%s is not supported", zeros[i]);
    if (cx->n_in > SINK)
        return bnr__op_fail(n, cx->err, BNR_UNSUPPORTED, "input %d is not supported", SINK);
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
    static const int floats[] = {Q, K, V, PAST_KEY, PAST_VALUE, COS, SIN, BIAS};
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
    struct bnr_dim all = bnr__dim_unknown();
    if (bnr__infer_scalar(cx, TOTAL, &total, &st) && s.past.n >= 0 && total >= 0)
        all = bnr__dim_of((int64_t)total > s.past.n ? (int64_t)total : s.past.n);
    BNR_TRY(st);
    struct bnr_shape y = {.rank = 3, .dims = {s.batch, s.length, bnr__dim_unknown()}};
    int64_t hidden;
    if (s.size.n >= 0 && bnr__i64_mul(s.size.n, s.heads, &hidden))
        y.dims[2] = bnr__dim_of(hidden);
    const struct bnr_shape present = {
        .rank = 4, .dims = {s.batch, bnr__dim_of(s.kv_heads), all, s.size}};
    bnr__infer_set(cx, 0, t, &y);
    bnr__infer_set(cx, 1, t, &present);
    bnr__infer_set(cx, 2, t, &present);
    return BNR_OK;
}

// ---- reference ---------------------------------------------------------------------------------

struct job {
    const struct bnr_args *args;
    size_t batch, heads, kv_heads, length, size, past, all, total;
    double scale, softcap;
    int64_t window;
    const double *q, *k, *v;   // [batch, length, (heads)..., size]: rows of `stride`
    size_t q_stride, kv_stride;
    double *qs;                // [batch, heads, length, size], rotated
    double *keys, *values;     // [batch, kv_heads, all, size]
    const double *cos, *sin;   // [rows, half] or NULL
    size_t half, rows;
    bool interleaved;
    const int64_t *positions;  // [batch, length] or NULL
    const double *bias;        // [batch, heads, length, total] or NULL
    double *scores;            // [batch, heads, all]
    double *y;                 // [batch, length, heads, size]
};

// Keys in use of batch b, the new ones included, and those in front of the new ones. A prompt that fills all of
// total_sequence_length begins at 0.
static size_t keys_of(const struct job *j, size_t b) {
    return (size_t)j->args->in[SEQLENS]->i32[b] + 1;
}
static size_t past_of(const struct job *j, size_t b) {
    return j->length == j->total ? 0 : keys_of(j, b) - j->length;
}

static enum bnr_status check_lengths(const struct job *j) {
    const struct bnr_args *a = j->args;
    if (a->in[SEQLENS]->numel != j->batch)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "%zu seqlens_k for a batch of %zu",
                            a->in[SEQLENS]->numel, j->batch);
    if (j->total < j->length)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "total_sequence_length %zu is below %zu queries",
                            j->total, j->length);
    for (size_t b = 0; b < j->batch; b++) {
        const int64_t last = a->in[SEQLENS]->i32[b];
        const int64_t past = j->length == j->total ? 0 : last + 1 - (int64_t)j->length;
        if (last < 0 || last >= (int64_t)j->total || past < 0 || past > (int64_t)j->past)
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "seqlens_k[%zu] is %lld with %zu new keys, a cache of %zu and %zu in all", b,
                                (long long)last, j->length, j->past, j->total);
        for (size_t i = 0; j->cos && i < j->length; i++) {
            const int64_t at = j->positions ? j->positions[b * j->length + i] : past + (int64_t)i;
            if (at < 0 || (size_t)at >= j->rows)
                return bnr__op_fail(a->node, a->err, BNR_SHAPE, "position %lld of %zu in cos_cache",
                                    (long long)at, j->rows);
        }
    }
    return BNR_OK;
}

// One head's vector of the token (b, i), rotated by its position.
static void rotated(const struct job *j, size_t b, size_t i, const double *x, double *y) {
    memcpy(y, x, j->size * sizeof(*y));
    if (!j->cos)
        return;
    const size_t at =
        j->positions ? (size_t)j->positions[b * j->length + i] : past_of(j, b) + i;
    for (size_t d = 0; d < j->half; d++) {
        const size_t p = j->interleaved ? 2 * d : d, q = j->interleaved ? p + 1 : d + j->half;
        const double c = j->cos[at * j->half + d], s = j->sin[at * j->half + d];
        y[p] = x[p] * c - x[q] * s;
        y[q] = x[q] * c + x[p] * s;
    }
}

// Past and new keys and values of a batch into the caches, zeros behind them; queries by heads.
static void fill(const struct job *j, size_t b) {
    const struct bnr_tensor *pk = bnr__in(j->args, PAST_KEY), *pv = bnr__in(j->args, PAST_VALUE);
    const size_t past = past_of(j, b);
    for (size_t h = 0; h < j->kv_heads; h++) {
        const size_t to = (b * j->kv_heads + h) * j->all * j->size;
        const size_t from = (b * j->kv_heads + h) * j->past * j->size;
        if (pk && past * j->size > 0) {
            bnr__load_f64(j->keys + to, pk->dtype, bnr__at(pk, from), past * j->size);
            bnr__load_f64(j->values + to, pv->dtype, bnr__at(pv, from), past * j->size);
        }
        for (size_t i = 0; i < j->length; i++) {
            const size_t row = (b * j->length + i) * j->kv_stride + h * j->size;
            rotated(j, b, i, j->k + row, j->keys + to + (past + i) * j->size);
            memcpy(j->values + to + (past + i) * j->size, j->v + row, j->size * sizeof(double));
        }
    }
    for (size_t h = 0; h < j->heads; h++)
        for (size_t i = 0; i < j->length; i++)
            rotated(j, b, i, j->q + (b * j->length + i) * j->q_stride + h * j->size,
                    j->qs + ((b * j->heads + h) * j->length + i) * j->size);
}

static void attend(const struct job *j, size_t b, size_t h, size_t i) {
    const size_t kv = (b * j->kv_heads + h / (j->heads / j->kv_heads)) * j->all * j->size;
    const double *q = j->qs + ((b * j->heads + h) * j->length + i) * j->size;
    double *s = j->scores + (b * j->heads + h) * j->all;
    double *y = j->y + ((b * j->length + i) * j->heads + h) * j->size, max = -HUGE_VAL, sum = 0;
    const size_t end = past_of(j, b) + i + 1;
    const size_t begin =
        j->window >= 0 && end > (size_t)j->window ? end - (size_t)j->window : 0;
    for (size_t k = begin; k < end; k++) {
        double dot = 0;
        for (size_t d = 0; d < j->size; d++)
            dot += q[d] * j->keys[kv + k * j->size + d];
        dot *= j->scale;
        s[k] = j->softcap > 0 ? j->softcap * tanh(dot / j->softcap) : dot;
        if (j->bias)
            s[k] += j->bias[((b * j->heads + h) * j->length + i) * j->total + k];
        max = fmax(max, s[k]);
    }
    for (size_t k = begin; k < end; k++)
        sum += s[k] = exp(s[k] - max);
    for (size_t k = begin; k < end; k++)
        for (size_t d = 0; d < j->size; d++)
            y[d] += s[k] / sum * j->values[kv + k * j->size + d];
}

static void run_heads(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t head = begin; head < end; head++)
        for (size_t i = 0; i < j->length; i++)
            attend(j, head / j->heads, head % j->heads, i);
}

static enum bnr_status read_job(const struct bnr_args *a, struct job *j) {
    const struct bnr_node *n = a->node;
    const struct bnr_tensor *q = a->in[Q], *past = bnr__in(a, PAST_KEY), *cos = bnr__in(a, COS);
    const bool packed = !bnr__in(a, K);
    if (a->in[TOTAL]->numel != 1 || a->in[TOTAL]->i32[0] < 0)
        return bnr__op_fail(n, a->err, BNR_SHAPE, "total_sequence_length is no number of keys");
    j->args = a;
    j->batch = (size_t)q->dims[0];
    j->length = (size_t)q->dims[1];
    j->heads = (size_t)bnr__attr_int(n, "num_heads", 1);
    j->kv_heads = (size_t)bnr__attr_int(n, "kv_num_heads", 1);
    j->q_stride = (size_t)q->dims[2];
    j->size = j->q_stride / (j->heads + (packed ? 2 * j->kv_heads : 0));
    j->kv_stride = packed ? j->q_stride : j->kv_heads * j->size;
    j->past = past ? (size_t)past->dims[2] : 0;
    j->total = (size_t)a->in[TOTAL]->i32[0];
    j->all = j->total > j->past ? j->total : j->past;
    const float scale = bnr__attr_float(n, "scale", 0);
    j->scale = scale != 0 ? (double)scale : 1 / sqrt((double)j->size);
    j->softcap = (double)bnr__attr_float(n, "softcap", 0);
    j->window = bnr__attr_int(n, "local_window_size", -1);
    j->interleaved = bnr__attr_int(n, "rotary_interleaved", 0) != 0;
    if (bnr__attr_int(n, "do_rotary", 0) != 0) {
        j->rows = (size_t)cos->dims[0];
        j->half = (size_t)cos->dims[1];
        j->cos = bnr__all_f64(a, cos);
        j->sin = bnr__all_f64(a, a->in[SIN]);
        if (!j->cos || !j->sin)
            return BNR_NO_MEMORY;
    }
    if (bnr__in(a, POSITIONS)) {
        if (a->in[POSITIONS]->numel != j->batch * j->length)
            return bnr__op_fail(n, a->err, BNR_SHAPE, "%zu position_ids for %zu tokens",
                                a->in[POSITIONS]->numel, j->batch * j->length);
        j->positions = a->in[POSITIONS]->i64;
    }
    return BNR_OK;
}

static enum bnr_status load(const struct bnr_args *a, struct job *j) {
    size_t n;
    const int64_t cache[] = {(int64_t)j->batch, (int64_t)j->kv_heads, (int64_t)j->all, (int64_t)j->size};
    const int64_t scores[] = {(int64_t)j->batch, (int64_t)j->heads, (int64_t)j->length,
                              (int64_t)j->total};
    BNR_TRY(bnr__shape_numel(cache, 4, "the cache", &n, a->err));
    const bool packed = !bnr__in(a, K);
    j->q = bnr__all_f64(a, a->in[Q]);
    j->k = packed ? j->q + j->heads * j->size : bnr__all_f64(a, a->in[K]);
    j->v = packed ? j->q + (j->heads + j->kv_heads) * j->size : bnr__all_f64(a, a->in[V]);
    j->keys = bnr__temp_f64(a, n);
    j->values = bnr__temp_f64(a, n);
    j->qs = bnr__temp_f64(a, j->batch * j->length * j->heads * j->size);
    j->y = bnr__temp_f64(a, j->batch * j->length * j->heads * j->size);
    j->scores = bnr__temp_f64(a, j->batch * j->heads * j->all);
    if (!j->q || !j->k || !j->v || !j->keys || !j->values || !j->qs || !j->y || !j->scores)
        return BNR_NO_MEMORY;
    if (!bnr__in(a, BIAS))
        return BNR_OK;
    const struct bnr_tensor *bias = a->in[BIAS];
    for (int i = 0; i < 4; i++)
        if (bias->rank != 4 || (bias->dims[i] != scores[i] && bias->dims[i] != 1))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "attention_bias does not fit the scores");
    j->bias = bnr__expand_f64(a, bias, 4, scores);
    return j->bias ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct job j = {0};
    BNR_TRY(read_job(a, &j));
    BNR_TRY(check_lengths(&j));
    BNR_TRY(load(a, &j));
    for (size_t b = 0; b < j.batch; b++)
        fill(&j, b);
    if (j.size > 0 && j.length > 0 && j.batch > 0)
        bnr__parallel_for(a->pool, j.batch * j.heads, 1, run_heads, &j);
    const int64_t y[] = {(int64_t)j.batch, (int64_t)j.length, (int64_t)(j.heads * j.size)};
    const int64_t cache[] = {(int64_t)j.batch, (int64_t)j.kv_heads, (int64_t)j.all, (int64_t)j.size};
    for (int i = 0; i < 3 && i < a->n_out; i++) {
        struct bnr_tensor *t;
        BNR_TRY(bnr__out(a, i, a->in[Q]->dtype, i == 0 ? 3 : 4, i == 0 ? y : cache, &t));
        if (t)
            bnr__store_f64(t->dtype, t->data, i == 0 ? j.y : i == 1 ? j.keys : j.values, t->numel);
    }
    return BNR_OK;
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
};
