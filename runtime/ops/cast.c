// SPDX-License-Identifier: Apache-2.0
// Cast: the elements in another dtype. Version 1 names the dtype, later ones give its number.
#include <string.h>

#include "runtime/ops/lib/cast.h"

// "FLOAT", "INT64", ... of version 1.
static enum bnr_dtype dtype_of_text(const struct bnr_str *s) {
    char name[16] = "";
    if (s->len >= sizeof name)
        return BNR_UNDEFINED;
    for (size_t i = 0; i < s->len; i++)
        name[i] = (char)(s->ptr[i] | 0x20); // lower case; digits stay
    if (strcmp(name, "float") == 0)
        return BNR_FLOAT;
    return strcmp(name, "double") == 0 ? BNR_DOUBLE : bnr__dtype_parse(name);
}

static enum bnr_status target(const struct bnr_node *n, enum bnr_dtype *to, struct bnr_error *err) {
    const struct bnr_attr *attr = bnr__attr(n, "to");
    if (attr == NULL)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'to' is missing");
    if (attr->type == BNR_ATTR_STRING) {
        *to = dtype_of_text(attr->strings);
        if (*to == BNR_UNDEFINED)
            return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'to' is \"%.*s\", expected a dtype",
                                attr->strings->len < 40 ? (int)attr->strings->len : 40,
                                attr->strings->ptr);
        return BNR_OK;
    }
    const int64_t number = bnr__attr_int(n, "to", 0);
    if (number <= 0 || number >= BNR_DTYPE_COUNT)
        return bnr__op_fail(n, err, BNR_SHAPE,
                            "attribute 'to' is %lld, expected a dtype from 1 to %d",
                            (long long)number, BNR_DTYPE_COUNT - 1);
    *to = (enum bnr_dtype)number;
    return BNR_OK;
}

static enum bnr_status infer(struct bnr_infer *cx) {
    enum bnr_dtype to = BNR_UNDEFINED;
    BNR_TRY(target(cx->node, &to, cx->err));
    return bnr__cast_infer(cx, to);
}

static enum bnr_status ref(const struct bnr_args *a) {
    enum bnr_dtype to = BNR_UNDEFINED;
    BNR_TRY(target(a->node, &to, a->err));
    return bnr__cast_run(a, to);
}

BNR_DEFINE_OP(cast) = {
    .domain = "",
    .name = "Cast",
    .since = {1, 6, 9, 13, 19, 21, 23, 24, 25},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_ELEMENTWISE,
    .attrs = "round_mode:s saturate:i to:is!",
    .infer = infer,
    .ref = ref,
};
