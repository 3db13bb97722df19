// SPDX-License-Identifier: Apache-2.0
// Multinomial: classes drawn with replacement; each row of the input holds the logarithms of the
// classes' weights, which need not add up to one.
#include <math.h>

#include "runtime/ops/lib/random.h"

static enum bnr_status sample_size(const struct bnr_node *n, int64_t *size, struct bnr_error *err) {
    *size = bnr__attr_int(n, "sample_size", 1);
    if (*size < 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'sample_size' is %lld", (long long)*size);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_shape *x = &cx->in[0]->type.shape;
    enum bnr_dtype dtype = BNR_UNDEFINED;
    struct bnr_shape y = {.rank = 2};
    int64_t size;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, 2));
    BNR_TRY(bnr__random_dtype(cx->node, BNR_INT32, BNR_TYPES_INDEX, &dtype, cx->err));
    BNR_TRY(sample_size(cx->node, &size, cx->err));
    y.dims[0] = x->rank == 2 ? x->dims[0] : bnr__dim_unknown();
    y.dims[1] = bnr__dim_of(size);
    if (x->rank == 2 && x->dims[1].n == 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "there are no classes to draw from");
    bnr__infer_set(cx, 0, dtype, &y);
    return BNR_OK;
}

// Running sums of exp(log weight - largest).
static void sum_weights(const struct bnr_tensor *x, size_t row, size_t n, double *sums) {
    double largest = -HUGE_VAL, sum = 0;
    bnr__load_f64(sums, x->dtype, bnr__at(x, row * n), n);
    for (size_t i = 0; i < n; i++)
        largest = sums[i] > largest ? sums[i] : largest;
    for (size_t i = 0; i < n; i++)
        sums[i] = sum += exp(sums[i] - largest);
}

static size_t draw(const double *sums, size_t n, double at) {
    size_t low = 0, high = n - 1; // the first sum above `at`
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    enum bnr_dtype dtype = BNR_UNDEFINED;
    int64_t size;
    BNR_TRY(bnr__random_dtype(a->node, BNR_INT32, BNR_TYPES_INDEX, &dtype, a->err));
    BNR_TRY(sample_size(a->node, &size, a->err));
    if (x->rank != 2 || x->dims[1] == 0)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input 0 is no matrix of weights");
    BNR_TRY(bnr__out_alloc(a, 0, dtype, 2, (const int64_t[]){x->dims[0], size}));
    const size_t n = (size_t)x->dims[1];
    struct bnr_random *r = bnr__random_new(a);
    double *sums = bnr__temp_f64(a, n);
    if (r == NULL || sums == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < a->out[0]->numel; i++) {
        if (i % (size_t)size == 0)
            sum_weights(x, i / (size_t)size, n, sums);
        const int64_t choice = (int64_t)draw(sums, n, bnr__random_uniform(r) * sums[n - 1]);
        bnr__store_i64(dtype, bnr__at_mut(a->out[0], i), &choice, 1);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(multinomial) = {
    .domain = "",
    .name = "Multinomial",
    .since = {7, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_RANDOM,
    .attrs = "dtype:i sample_size:i seed:f",
    .infer = infer,
    .ref = ref,
};
