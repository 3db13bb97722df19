// SPDX-License-Identifier: Apache-2.0
// Normalizer: each row divided by its largest element (MAX), the sum of its magnitudes (L1) or its
// length (L2); unchanged where that is zero. MAX is max(X) as the specification writes it (ONNX's
// reference implementation takes magnitudes). Its sum(X) for L1 and its root of squares for L2 lose
// signs that every implementation keeps, and are taken as the norms of that name.
#include <math.h>

#include "runtime/ops/lib/ml.h"

enum { MAX, L1, L2 };
static const char *const norms[] = {"MAX", "L1", "L2", NULL};

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_dim rows;
    int norm;
    BNR_TRY(bnr__ml_choice(cx->node, "norm", norms, &norm, cx->err));
    BNR_TRY(bnr__ml_infer_samples(cx, &rows));
    bnr__infer_set(cx, 0, BNR_FLOAT, &cx->in[0]->type.shape);
    return BNR_OK;
}

static double divisor(const double *x, size_t n, int norm) {
    double max = n > 0 ? x[0] : 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        max = fmax(max, x[i]);
        sum += norm == L1 ? fabs(x[i]) : x[i] * x[i];
    }
    return norm == MAX ? max : norm == L2 ? sqrt(sum) : sum;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_ml_samples s;
    int norm;
    BNR_TRY(bnr__ml_choice(a->node, "norm", norms, &norm, a->err));
    BNR_TRY(bnr__ml_samples(a, &s));
    BNR_TRY(bnr__out_alloc(a, 0, BNR_FLOAT, a->in[0]->rank, a->in[0]->dims));
    for (size_t r = 0; r < s.rows; r++) {
        const double *x = s.x + r * s.columns, by = divisor(x, s.columns, norm);
        for (size_t i = 0; i < s.columns; i++)
            a->out[0]->f32[r * s.columns + i] = (float)(by == 0 ? x[i] : x[i] / by);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(normalizer) = {
    .domain = BNR_ML_DOMAIN,
    .name = "Normalizer",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "norm:s",
    .infer = infer,
    .ref = ref,
};
