// SPDX-License-Identifier: Apache-2.0
// Where: X where the condition holds, else Y; all three broadcast. Elements are only moved, so
// there is one loop per size.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/typed.h"

#define SELECT(name, type, pick)                                                                   \
    static void name(void *y_, const void *const *x, size_t n, const struct bnr_params *p) {       \
        const uint8_t *c = x[0];                                                                   \
        const type *a = x[1], *b = x[2];                                                           \
        type *y = y_;                                                                              \
        BNR_INDEPENDENT                                                                            \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = pick(type, c[i], a[i], b[i]);                                                   \
    }
// Without a branch that is taken at random.
#define BY_MASK(type, c, a, b) (type)(((a) & (type) - ((c) != 0)) | ((b) & (type)(((c) != 0) - 1)))
#define BY_BRANCH(type, c, a, b) ((c) ? (a) : (b))
SELECT(select_1, uint8_t, BY_MASK)
SELECT(select_2, uint16_t, BY_MASK)
SELECT(select_4, uint32_t, BY_MASK)
SELECT(select_8, uint64_t, BY_MASK)
SELECT(select_16, struct bnr_str, BY_BRANCH)

static struct bnr_dim symbolic(const struct bnr_dim *x, int n) {
    if (bnr__elem_is_number(x[0]))
        return x[0].n ? x[1] : x[2];
    if ((x[1].sym != NULL || bnr__elem_is_number(x[1])) && x[1].sym == x[2].sym && x[1].n == x[2].n)
        return x[1];
    return (struct bnr_dim){.n = BNR_ELEM_UNKNOWN};
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape shape;
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPE(BOOL)));
    BNR_TRY(bnr__infer_types(cx, 1, BNR_TYPES_ALL));
    BNR_TRY(bnr__infer_same_dtype(cx, 1, 2));
    BNR_TRY(bnr__infer_broadcast(cx, 0, 2, &shape));
    const enum bnr_dtype x = cx->in[1]->type.dtype, y = cx->in[2]->type.dtype;
    bnr__infer_set(cx, 0, x != BNR_UNDEFINED ? x : y, &shape);
    return bnr__each_infer_elems(cx, &shape, symbolic);
}

static bnr_loop *loop_of_size(size_t size) {
    switch (size) {
    case 1:
        return select_1;
    case 2:
        return select_2;
    case 4:
        return select_4;
    case 8:
        return select_8;
    default:
        return select_16;
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const enum bnr_dtype dtype = a->in[1]->dtype;
    int64_t dims[BNR_MAX_RANK];
    int rank;
    if (a->in[0]->dtype != BNR_BOOL || a->in[2]->dtype != dtype)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "inputs are %s, %s and %s",
                            bnr__dtype_name(a->in[0]->dtype), bnr__dtype_name(dtype),
                            bnr__dtype_name(a->in[2]->dtype));
    BNR_TRY(bnr__each_dims(a, 0, 2, &rank, dims));
    BNR_TRY(bnr__out_alloc(a, 0, dtype, rank, dims));
    const struct bnr_each_call call = {
        .in = {a->in[0], a->in[1], a->in[2]},
        .n_in = 3,
        .out = a->out[0],
        .loop = loop_of_size(bnr__dtype_size(dtype)),
    };
    bnr__each_call(&call, a->pool);
    return BNR_OK;
}

BNR_DEFINE_OP(where) = {
    .domain = "",
    .name = "Where",
    .since = {9, 16},
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE,
    .infer = infer,
    .ref = ref,
    .affine = &bnr__affine_where,
};
