// SPDX-License-Identifier: Apache-2.0
// CastMap: the values of a map with integer keys in the order of their keys, as floats, strings or
// int64; DENSE: one beside the other, SPARSE: each at the place of its key among `max_map`, zero
// elsewhere. [1, C].
#include <string.h>

#include "runtime/ops/lib/ml.h"
#include "runtime/ops/lib/number_text.h"
#include "runtime/ops/lib/order.h"
#include "runtime/ops/lib/types.h"

static const char *const targets[] = {"TO_FLOAT", "TO_STRING", "TO_INT64", NULL};
static const enum bnr_dtype target_dtypes[] = {BNR_FLOAT, BNR_STRING, BNR_INT64};
static const char *const forms[] = {"DENSE", "SPARSE", NULL};

struct options {
    enum bnr_dtype dtype;
    bool sparse;
    int64_t length;
};

static enum bnr_status read_options(const struct bnr_node *n, struct options *o,
                                    struct bnr_error *err) {
    int target = 0, form = 0;
    BNR_TRY(bnr__ml_choice(n, "cast_to", targets, &target, err));
    BNR_TRY(bnr__ml_choice(n, "map_form", forms, &form, err));
    *o = (struct options){target_dtypes[target], form == 1, bnr__attr_int(n, "max_map", 1)};
    if (o->sparse && (o->length < 1 || o->length > INT32_MAX))
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'max_map' is %lld", (long long)o->length);
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *x = &cx->in[0]->type;
    struct bnr_shape y = {.rank = 2};
    struct options o = {0};
    BNR_TRY(read_options(cx->node, &o, cx->err));
    if ((x->kind != BNR_KIND_MAP && !bnr__type_is_unknown(x)) ||
        (x->dtype != BNR_UNDEFINED && x->dtype != BNR_INT64))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input 0 is no map with int64 keys");
    y.dims[0] = bnr__dim_of(1);
    y.dims[1] = o.sparse ? bnr__dim_of(o.length) : bnr__dim_unknown();
    bnr__infer_set(cx, 0, o.dtype, &y);
    return BNR_OK;
}

static bool key_less(size_t a, size_t b, const void *cx) {
    const int64_t *keys = cx;
    return keys[a] < keys[b];
}

// Value `from` of the map becomes element `to` of the output.
static enum bnr_status convert(const struct bnr_args *a, const struct bnr_tensor *values,
                               size_t from, size_t to) {
    struct bnr_tensor *y = a->out[0];
    char text[BNR_NUMBER_TEXT];
    if (y->dtype == BNR_STRING) {
        if (values->dtype == BNR_STRING) {
            y->str[to] = values->str[from];
            return BNR_OK;
        }
        y->str[to].len = bnr__number_to_text(values->dtype, values->data, from, text);
        y->str[to].ptr = bnr__arena_strndup(a->strings, text, y->str[to].len);
        return y->str[to].ptr != NULL ? BNR_OK : bnr__no_memory(a->err);
    }
    double v = 0;
    int64_t i = 0;
    if (values->dtype != BNR_STRING) {
        v = bnr__tensor_f64(values, from);
        i = bnr__tensor_i64(values, from);
    } else if (!bnr__text_to_number(values->str[from].ptr, values->str[from].len, &v, &i)) {
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "value %zu of the map is not a number",
                            from);
    }
    if (y->dtype == BNR_INT64)
        y->i64[to] = i;
    else
        y->f32[to] = (float)v;
    return BNR_OK;
}

static void clear(struct bnr_tensor *y) {
    if (y->nbytes > 0)
        memset(y->data, 0, y->nbytes);
    for (size_t i = 0; i < y->numel && y->dtype == BNR_STRING; i++)
        y->str[i] = (struct bnr_str){"", 0};
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct options o = {0};
    BNR_TRY(read_options(a->node, &o, a->err));
    const struct bnr_tensor *keys = x->n_items == 2 ? x->items[0] : NULL;
    const struct bnr_tensor *values = x->n_items == 2 ? x->items[1] : NULL;
    if (x->kind != BNR_KIND_MAP || keys == NULL || keys->dtype != BNR_INT64 ||
        values->kind != BNR_KIND_TENSOR || keys->numel != values->numel)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input 0 is no map with int64 keys");
    const size_t n = keys->numel;
    size_t *order = bnr__temp(a, n, sizeof *order), *work = bnr__temp(a, n, sizeof *work);
    if (order == NULL || work == NULL)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    bnr__sort_stable(order, n, work, key_less, keys->i64);
    const int64_t length = o.sparse ? o.length : (int64_t)n;
    BNR_TRY(bnr__out_alloc(a, 0, o.dtype, 2, (const int64_t[]){1, length}));
    clear(a->out[0]);
    for (size_t i = 0; i < n; i++) {
        const int64_t key = keys->i64[order[i]];
        if (o.sparse && (key < 0 || key >= length))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE, "key %lld is outside [0, %lld)",
                                (long long)key, (long long)length);
        BNR_TRY(convert(a, values, order[i], o.sparse ? (size_t)key : i));
    }
    return BNR_OK;
}

BNR_DEFINE_OP(cast_map) = {
    .domain = BNR_ML_DOMAIN,
    .name = "CastMap",
    .since = {1},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ANY_KIND,
    .attrs = "cast_to:s map_form:s max_map:i",
    .infer = infer,
    .ref = ref,
};
