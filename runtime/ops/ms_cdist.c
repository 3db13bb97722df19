// SPDX-License-Identifier: Apache-2.0
// CDist (com.microsoft): the distances of all rows of A [m, k] to all rows of B [n, k], or their squares.
#include <math.h>
#include <string.h>

#include "runtime/base/pool.h"
#include "runtime/ops/lib/compute.h"

static enum bnr_status infer(struct bnr_infer *cx) {
    const char *metric = bnr__attr_string(cx->node, "metric", "sqeuclidean");
    struct bnr_shape y = {.rank = 2};
    if (strcmp(metric, "sqeuclidean") != 0 && strcmp(metric, "euclidean") != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_UNSUPPORTED,
                            "metric is '%s', expected sqeuclidean or euclidean", metric);
    BNR_TRY(bnr__infer_tensors(cx, 0, 1, BNR_TYPES_FLOAT));
    for (int i = 0; i < 2; i++) {
        BNR_TRY(bnr__infer_rank(cx, i, 2, 2));
        y.dims[i] = cx->in[i]->type.shape.rank == 2 ? cx->in[i]->type.shape.dims[0]
                                                    : bnr__dim_unknown();
    }
    if (cx->in[0]->type.shape.rank == 2 && cx->in[1]->type.shape.rank == 2)
        BNR_TRY(bnr__infer_dims_agree(cx, "lengths of the rows", cx->in[0]->type.shape.dims[1],
                                      cx->in[1]->type.shape.dims[1], NULL));
    bnr__infer_set(cx, 0, bnr__infer_in_dtype(cx, 0), &y);
    return BNR_OK;
}

struct job {
    const double *a, *b;
    double *y;
    size_t n, k;
    bool root;
};

static void rows(void *cx, size_t begin, size_t end) {
    const struct job *j = cx;
    for (size_t i = begin * j->n; i < end * j->n; i++) {
        const double *a = j->a + i / j->n * j->k, *b = j->b + i % j->n * j->k;
        double sum = 0;
        for (size_t d = 0; d < j->k; d++)
            sum += (a[d] - b[d]) * (a[d] - b[d]);
        j->y[i] = j->root ? sqrt(sum) : sum;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0], *z = a->in[1];
    struct job j = {.n = (size_t)z->dims[0], .k = (size_t)x->dims[1]};
    BNR_TRY(bnr__out_alloc(a, 0, x->dtype, 2, (const int64_t[]){x->dims[0], z->dims[0]}));
    j.root = strcmp(bnr__attr_string(a->node, "metric", ""), "euclidean") == 0;
    j.a = bnr__all_f64(a, x);
    j.b = bnr__all_f64(a, z);
    j.y = bnr__temp_f64(a, a->out[0]->numel);
    if (!j.a || !j.b || !j.y)
        return BNR_NO_MEMORY;
    if (a->out[0]->numel > 0)
        bnr__parallel_for(a->pool, (size_t)x->dims[0], 1, rows, &j);
    bnr__store_f64(x->dtype, a->out[0]->data, j.y, a->out[0]->numel);
    return BNR_OK;
}

BNR_DEFINE_OP(ms_cdist) = {
    .domain = "com.microsoft",
    .name = "CDist",
    .since = {1},
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "metric:s",
    .infer = infer,
    .ref = ref,
};
