// SPDX-License-Identifier: Apache-2.0
// FlexAttention (ai.onnx.preview): softmax(mod(Q * K^T * scale)) * V per head with grouped heads; the
// bodies score_mod and prob_mod, where given, change the scores and the probabilities. The products are
// in double; what the bodies see has softmax_precision.
#include <math.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

enum { Q, K, V };

static enum bnr_status get_precision(const struct bnr_node *n, enum bnr_dtype in,
                                     struct bnr_error *err, enum bnr_dtype *out) {
    BNR_TRY(bnr__check_dtype_attr(n, "softmax_precision", BNR_TYPES_FLOAT, err));
    *out = bnr__dtype_attr(n, "softmax_precision", in == BNR_DOUBLE ? BNR_DOUBLE : BNR_FLOAT);
    return BNR_OK;
}

static struct bnr_dim dim(const struct bnr_infer *cx, int i, int d) {
    const struct bnr_shape *s = &cx->in[i]->type.shape;
    return s->rank > d ? s->dims[d] : bnr__dim_unknown();
}

static enum bnr_status infer_body(struct bnr_infer *cx, const char *name,
                                  const struct bnr_info *scores) {
    struct bnr_graph *body = bnr__attr_graph(cx->node, name);
    if (!body)
        return BNR_OK;
    if (body->n_inputs != 1 || body->n_outputs != 1)
        return bnr__op_fail(cx->node, cx->err, BNR_MALFORMED,
                            "%s has %zu inputs and %zu outputs, expected one each", name,
                            body->n_inputs, body->n_outputs);
    const struct bnr_info *out;
    BNR_TRY(bnr__infer_body(cx, body, &scores, 1, &out));
    if (out->type.dtype != BNR_UNDEFINED && scores->type.dtype != BNR_UNDEFINED &&
        out->type.dtype != scores->type.dtype)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "%s gives %s, expected %s", name,
                            bnr__dtype_name(out->type.dtype), bnr__dtype_name(scores->type.dtype));
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_dim batch, keys;
    struct bnr_info scores = bnr__info_unknown();
    for (int i = Q; i <= V; i++)
        BNR_TRY(bnr__infer_rank(cx, i, 4, 4));
    BNR_TRY(bnr__infer_tensors(cx, Q, V,
                               BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", dim(cx, Q, 0), dim(cx, K, 0), &batch));
    BNR_TRY(bnr__infer_dims_agree(cx, "batch sizes", batch, dim(cx, V, 0), &batch));
    BNR_TRY(bnr__infer_dims_agree(cx, "heads of K and V", dim(cx, K, 1), dim(cx, V, 1), NULL));
    BNR_TRY(bnr__infer_dims_agree(cx, "lengths of K and V", dim(cx, K, 2), dim(cx, V, 2), &keys));
    BNR_TRY(bnr__infer_dims_agree(cx, "head sizes of Q and K", dim(cx, Q, 3), dim(cx, K, 3), NULL));
    const struct bnr_dim heads = dim(cx, Q, 1), kv = dim(cx, K, 1);
    if (heads.n >= 0 && kv.n >= 0 && heads.n != kv.n && (kv.n == 0 || heads.n % kv.n != 0))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "%lld query heads do not share %lld key heads", (long long)heads.n,
                            (long long)kv.n);
    scores.type.shape =
        (struct bnr_shape){.rank = 4, .dims = {batch, heads, dim(cx, Q, 2), keys}};
    const enum bnr_dtype dtype = bnr__infer_in_dtype(cx, Q);
    BNR_TRY(get_precision(cx->node, dtype, cx->err, &scores.type.dtype));
    if (dtype == BNR_UNDEFINED && !bnr__attr(cx->node, "softmax_precision"))
        scores.type.dtype = BNR_UNDEFINED;
    BNR_TRY(infer_body(cx, "score_mod", &scores));
    BNR_TRY(infer_body(cx, "prob_mod", &scores));
    struct bnr_shape y = scores.type.shape;
    y.dims[3] = dim(cx, V, 3);
    bnr__infer_set(cx, 0, dtype, &y);
    return BNR_OK;
}

// ---- reference ---------------------------------------------------------------------------------

struct job {
    size_t heads, kv_heads, queries, keys, size, v_size;
    double scale;
    const double *q, *k, *v; // [batch, heads, length, size]
    double *scores;          // [batch, heads, queries, keys]
    double *y;               // [batch, heads, queries, v_size]
};

static size_t kv_head(const struct job *j, size_t head) {
    const size_t b = head / j->heads, h = head % j->heads;
    return b * j->kv_heads + h / (j->heads / j->kv_heads);
}

static void score(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t row = begin; row < end; row++) {
        const double *q = j->q + row * j->size;
        const double *k = j->k + kv_head(j, row / j->queries) * j->keys * j->size;
        for (size_t i = 0; i < j->keys; i++, k += j->size) {
            double sum = 0;
            for (size_t d = 0; d < j->size; d++)
                sum += q[d] * k[d];
            j->scores[row * j->keys + i] = sum * j->scale;
        }
    }
}

static void softmax(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t row = begin; row < end; row++) {
        double *s = j->scores + row * j->keys, max = -HUGE_VAL, sum = 0;
        for (size_t i = 0; i < j->keys; i++)
            max = s[i] > max || isnan(s[i]) ? s[i] : max;
        for (size_t i = 0; i < j->keys; i++)
            sum += s[i] = exp(s[i] - max);
        for (size_t i = 0; i < j->keys; i++)
            s[i] /= sum;
    }
}

static void gather(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t row = begin; row < end; row++) {
        const double *p = j->scores + row * j->keys;
        const double *v = j->v + kv_head(j, row / j->queries) * j->keys * j->v_size;
        for (size_t i = 0; i < j->keys; i++, v += j->v_size)
            for (size_t d = 0; d < j->v_size; d++)
                j->y[row * j->v_size + d] += p[i] * v[d];
    }
}

// Runs the body `name`, if there is one, on the scores.
static enum bnr_status modify(const struct bnr_args *a, const char *name, enum bnr_dtype dtype,
                              const int64_t *dims, double *scores) {
    struct bnr_graph *body = bnr__attr_graph(a->node, name);
    struct bnr_tensor *in, *out = NULL;
    if (!body)
        return BNR_OK;
    BNR_TRY(bnr__tensor_new(&in, a->out[0]->allocator, dtype, 4, dims, a->err));
    bnr__store_f64(dtype, in->data, scores, in->numel);
    enum bnr_status st = bnr__run_body(a, body, &in, 1, &out);
    if (st == BNR_OK) {
        char seen[128], wanted[128];
        if (out->kind == BNR_KIND_TENSOR && out->dtype == dtype && out->rank == 4 &&
            memcmp(out->dims, dims, 4 * sizeof(*dims)) == 0)
            bnr__load_f64(scores, dtype, out->data, out->numel);
        else
            st = bnr__op_fail(a->node, a->err, BNR_SHAPE, "%s gives %s, expected %s", name,
                              bnr__tensor_describe(out, seen, sizeof(seen)),
                              bnr__tensor_describe(in, wanted, sizeof(wanted)));
        bnr__tensor_unref(out);
    }
    bnr__tensor_unref(in);
    return st;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *q = a->in[Q], *k = a->in[K], *v = a->in[V];
    const int64_t scores[] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
    const int64_t y[] = {q->dims[0], q->dims[1], q->dims[2], v->dims[3]};
    struct job j = {
        .heads = (size_t)q->dims[1],
        .kv_heads = (size_t)k->dims[1],
        .queries = (size_t)q->dims[2],
        .keys = (size_t)k->dims[2],
        .size = (size_t)q->dims[3],
        .v_size = (size_t)v->dims[3],
    };
    size_t n;
    enum bnr_dtype precision;
    BNR_TRY(get_precision(a->node, q->dtype, a->err, &precision));
    BNR_TRY(bnr__shape_numel(scores, 4, "the scores of FlexAttention", &n, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, q->dtype, 4, y));
    j.scale = (double)bnr__attr_float(a->node, "scale", 0);
    if (!bnr__attr(a->node, "scale"))
        j.scale = 1 / sqrt((double)j.size);
    j.q = bnr__all_f64(a, q);
    j.k = bnr__all_f64(a, k);
    j.v = bnr__all_f64(a, v);
    j.scores = bnr__temp_f64(a, n);
    j.y = bnr__temp_f64(a, a->out[0]->numel);
    if (!j.q || !j.k || !j.v || !j.scores || !j.y)
        return BNR_NO_MEMORY;
    const size_t rows = (size_t)q->dims[0] * j.heads * j.queries;
    if (n > 0)
        bnr__parallel_for(a->pool, rows, 8, score, &j);
    BNR_TRY(modify(a, "score_mod", precision, scores, j.scores));
    if (n > 0)
        bnr__parallel_for(a->pool, rows, 8, softmax, &j);
    BNR_TRY(modify(a, "prob_mod", precision, scores, j.scores));
    if (n > 0)
        bnr__parallel_for(a->pool, rows, 8, gather, &j);
    bnr__store_f64(q->dtype, a->out[0]->data, j.y, a->out[0]->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(flex_attention) = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttention",
    .since = {1},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = "prob_mod:g scale:f score_mod:g softmax_precision:i",
    .infer = infer,
    .ref = ref,
};
