// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/random.h"

#include <math.h>
#include <string.h>

struct bnr_random *bnr__random_new(const struct bnr_args *a) {
    struct bnr_random *r = bnr__temp(a, 1, sizeof *r);
    const float seed = bnr__attr_float(a->node, "seed", (float)a->node->id);
    if (r != NULL)
        bnr__mt19937_seed(&r->mt, seed >= 0 && seed < 0x1p32f ? (uint32_t)seed : 0);
    return r;
}

double bnr__random_uniform(struct bnr_random *r) {
    return bnr__mt19937_double(&r->mt);
}

// Marsaglia's polar method, in NumPy's order of draws.
double bnr__random_normal(struct bnr_random *r) {
    double x, y, square;
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    do {
        x = 2 * bnr__random_uniform(r) - 1;
        y = 2 * bnr__random_uniform(r) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    const double factor = sqrt(-2 * log(square) / square);
    r->spare = factor * x;
    r->has_spare = true;
    return factor * y;
}

enum bnr_status bnr__random_dtype(const struct bnr_node *n, enum bnr_dtype like, uint32_t types,
                                  enum bnr_dtype *dtype, struct bnr_error *err) {
    const int64_t number = bnr__attr_int(n, "dtype", like);
    if (number < 0 || number >= BNR_DTYPE_COUNT ||
        (number != BNR_UNDEFINED && !(types >> number & 1)))
        return bnr__op_fail(
            n, err, BNR_SHAPE, "dtype of the output is %s (%lld), which it cannot be",
            number < 0 || number >= BNR_DTYPE_COUNT ? "unknown"
                                                    : bnr__dtype_name((enum bnr_dtype)number),
            (long long)number);
    *dtype = (enum bnr_dtype)number;
    return BNR_OK;
}

enum bnr_status bnr__random_infer(struct bnr_infer *cx) {
    enum bnr_dtype dtype = BNR_UNDEFINED;
    if (cx->n_in > 0) {
        const struct bnr_type *x = &cx->in[0]->type;
        BNR_TRY(bnr__random_dtype(cx->node, x->dtype, BNR_TYPES_FLOAT, &dtype, cx->err));
        bnr__infer_set(cx, 0, dtype, &x->shape);
        return BNR_OK;
    }
    size_t rank, numel;
    const int64_t *dims = bnr__attr_ints(cx->node, "shape", &rank);
    BNR_TRY(bnr__random_dtype(cx->node, BNR_FLOAT, BNR_TYPES_FLOAT, &dtype, cx->err));
    if (rank > BNR_MAX_RANK)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'shape' has %zu dims, at most %d", rank, BNR_MAX_RANK);
    BNR_TRY(bnr__shape_numel(dims, (int)rank, cx->node->label, &numel, cx->err));
    bnr__infer_set_dims(cx, 0, dtype, (int)rank, dims);
    return BNR_OK;
}

enum bnr_status bnr__random_run(const struct bnr_args *a, enum bnr_distribution d) {
    const struct bnr_tensor *like = bnr__in(a, 0);
    enum bnr_dtype dtype = BNR_UNDEFINED;
    size_t rank;
    const int64_t *dims = bnr__attr_ints(a->node, "shape", &rank);
    BNR_TRY(bnr__random_dtype(a->node, like != NULL ? like->dtype : BNR_FLOAT, BNR_TYPES_FLOAT,
                              &dtype, a->err));
    BNR_TRY(bnr__out_alloc(a, 0, dtype, like != NULL ? like->rank : (int)rank,
                           like != NULL ? like->dims : dims));
    struct bnr_random *r = bnr__random_new(a);
    if (r == NULL)
        return BNR_NO_MEMORY;
    const bool uniform = d == BNR_UNIFORM;
    const double start = (double)bnr__attr_float(a->node, uniform ? "low" : "mean", 0);
    const double end = (double)bnr__attr_float(a->node, uniform ? "high" : "scale", 1);
    for (size_t i = 0; i < a->out[0]->numel; i++) {
        const double v = uniform ? start + (end - start) * bnr__random_uniform(r)
                                 : start + end * bnr__random_normal(r);
        bnr__store_f64(dtype, bnr__at_mut(a->out[0], i), &v, 1);
    }
    return BNR_OK;
}
