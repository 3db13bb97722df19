// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/cast.h"

#include <math.h>
#include <string.h>

#include "runtime/ops/lib/number_text.h"
#include "runtime/ops/lib/typed.h"

#define CAST_TYPES (BNR_TYPES_ALL & ~(BNR_TYPE(COMPLEX64) | BNR_TYPE(COMPLEX128)))

// ---- inference ----------------------------------------------------------------------------------

static const char *round_mode(const struct bnr_node *n) {
    return bnr__attr_string(n, "round_mode", "up");
}

static bool is_shape_dtype(enum bnr_dtype d) {
    return d == BNR_INT64 || d == BNR_INT32;
}

enum bnr_status bnr__cast_infer(struct bnr_infer *cx, enum bnr_dtype to) {
    const char *mode = round_mode(cx->node);
    if (strcmp(mode, "up") != 0 && strcmp(mode, "down") != 0 && strcmp(mode, "nearest") != 0)
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "attribute 'round_mode' is \"%s\", expected up, down or nearest", mode);
    BNR_TRY(bnr__infer_types(cx, 0, CAST_TYPES));
    if (to != BNR_UNDEFINED && !(CAST_TYPES >> to & 1))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "there is no cast to %s",
                            bnr__dtype_name(to));
    const struct bnr_type *x = &cx->in[0]->type;
    bnr__infer_set(cx, 0, to, &x->shape);
    const struct bnr_dim *elems = NULL;
    int n = 0;
    if (is_shape_dtype(to) && (is_shape_dtype(x->dtype) || x->dtype == BNR_BOOL))
        BNR_TRY(bnr__infer_ints(cx, 0, &elems, &n));
    for (int i = 0; i < n && elems != NULL; i++)
        if (to == BNR_INT32 && elems[i].sym == NULL && elems[i].n != (int32_t)elems[i].n)
            return BNR_OK;
    return elems != NULL ? bnr__infer_set_elems(cx, 0, elems, n) : BNR_OK;
}

// ---- numbers ------------------------------------------------------------------------------------

static void copy_f32(void *y, const void *const *x, size_t n, const struct bnr_params *p) {
    memmove(y, x[0], n * sizeof(float));
}

static void copy_64(void *y, const void *const *x, size_t n, const struct bnr_params *p) {
    memmove(y, x[0], n * sizeof(int64_t));
}

// float8 without saturation; p->alpha is the dtype.
static void to_float8(void *y, const void *const *x, size_t n, const struct bnr_params *p) {
    const float *v = x[0];
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)y)[i] = bnr__f32_to_f8((enum bnr_dtype)p->alpha, v[i], false);
}

// Powers of two from 2^-127 to 2^127. mode: 'u', 'd' or 'n' (ties up).
static uint8_t e8m0(float v, char mode, bool saturate) {
    enum { MAX = 0xfe, NOT_A_NUMBER = 0xff };
    if (isnan(v))
        return NOT_A_NUMBER;
    if (isinf(v))
        return saturate ? MAX : NOT_A_NUMBER;
    int e;
    const float m = 2 * frexpf(fabsf(v), &e); // |v| = m * 2^(e - 1), m in [1, 2), or 0
    if (v == 0)
        return saturate ? 0 : NOT_A_NUMBER;
    e += 126 + (mode == 'u' ? m > 1 : mode == 'n' ? m >= 1.5f : 0);
    if (e < 0 || e > MAX)
        return saturate ? (e < 0 ? 0 : MAX) : NOT_A_NUMBER;
    return (uint8_t)e;
}

// p->alpha: first letter of the mode, p->beta: saturate.
static void to_e8m0(void *y, const void *const *x, size_t n, const struct bnr_params *p) {
    const float *v = x[0];
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)y)[i] = e8m0(v[i], (char)p->alpha, p->beta != 0);
}

// The class through which one dtype becomes another without being rounded twice. Floats to integers
// of 4 and 2 bits discard the higher bits, as ONNX's test data has it; wider ones saturate.
static enum bnr_class between(enum bnr_dtype from, enum bnr_dtype to) {
    const enum bnr_class c = bnr__dtype_class(from), d = bnr__dtype_class(to);
    if ((d == BNR_CLASS_INT || d == BNR_CLASS_UINT) && bnr__dtype_bits(to) < 8)
        return BNR_CLASS_INT;
    if (c == BNR_CLASS_FLOAT || c == BNR_CLASS_DOUBLE)
        return c;
    if (d == BNR_CLASS_FLOAT)
        return to == BNR_FLOAT ? BNR_CLASS_FLOAT : BNR_CLASS_DOUBLE;
    return d == BNR_CLASS_DOUBLE ? BNR_CLASS_DOUBLE : BNR_CLASS_INT;
}

static void cast_numbers(const struct bnr_args *a, enum bnr_dtype to) {
    const bool saturate = bnr__attr_int(a->node, "saturate", 1) != 0;
    const bool float8 = to != BNR_UNDEFINED && (BNR_TYPES_FLOAT8 >> to & 1);
    struct bnr_params p = {.alpha = to};
    struct bnr_each_call call = {.in = {a->in[0]}, .n_in = 1, .out = a->out[0], .params = &p};
    if (to == BNR_FLOAT8E8M0) {
        p = (struct bnr_params){.alpha = round_mode(a->node)[0], .beta = saturate};
        call.cls[0] = BNR_CLASS_FLOAT;
        call.loop = to_e8m0;
    } else if (float8 && !saturate) {
        call.cls[0] = BNR_CLASS_FLOAT;
        call.loop = to_float8;
    } else {
        call.cls[0] = call.out_cls = between(a->in[0]->dtype, to);
        call.loop = call.out_cls == BNR_CLASS_FLOAT ? copy_f32 : copy_64;
    }
    bnr__each_call(&call, a->pool);
}

// ---- text ---------------------------------------------------------------------------------------

static enum bnr_status cast_to_text(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct bnr_str *y = a->out[0]->str;
    char text[BNR_NUMBER_TEXT];
    for (size_t i = 0; i < x->numel; i++) {
        y[i].len = bnr__number_to_text(x->dtype, x->data, i, text);
        y[i].ptr = bnr__arena_strndup(a->strings, text, y[i].len);
        if (y[i].ptr == NULL)
            return bnr__no_memory(a->err);
    }
    return BNR_OK;
}

static enum bnr_status cast_from_text(const struct bnr_args *a, enum bnr_dtype to) {
    const struct bnr_tensor *x = a->in[0];
    const bool real = bnr__dtype_is_float(to) || to == BNR_BOOL;
    char *y = a->out[0]->data;
    for (size_t i = 0; i < x->numel; i++, y += bnr__dtype_size(to)) {
        const struct bnr_str s = x->str[i];
        double value;
        int64_t integer;
        if (!bnr__text_to_number(s.ptr, s.len, &value, &integer))
            return bnr__op_fail(a->node, a->err, BNR_SHAPE,
                                "element %zu, \"%.*s\", is not a number", i,
                                s.len < 40 ? (int)s.len : 40, s.ptr);
        if (real)
            bnr__store_f64(to, y, &value, 1);
        else
            bnr__store_i64(to, y, &integer, 1);
    }
    return BNR_OK;
}

enum bnr_status bnr__cast_run(const struct bnr_args *a, enum bnr_dtype to) {
    const struct bnr_tensor *x = a->in[0];
    if (!(CAST_TYPES >> x->dtype & 1) || to == BNR_UNDEFINED || !(CAST_TYPES >> to & 1))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "there is no cast from %s to %s",
                            bnr__dtype_name(x->dtype), bnr__dtype_name(to));
    BNR_TRY(bnr__out_alloc(a, 0, to, x->rank, x->dims));
    struct bnr_tensor *y = a->out[0];
    if (x->dtype == to)
        memmove(y->data, x->data, x->nbytes);
    else if (to == BNR_STRING)
        return cast_to_text(a);
    else if (x->dtype == BNR_STRING)
        return cast_from_text(a, to);
    else
        cast_numbers(a, to);
    return BNR_OK;
}
