// SPDX-License-Identifier: Apache-2.0
#include "graph/print.h"

#include <inttypes.h>

struct bnr_type bnr__print_type_of(const struct bnr_value *v) {
    struct bnr_type type = v->info->type;
    if (type.kind == BNR_KIND_TENSOR && type.dtype == BNR_UNDEFINED && type.shape.rank < 0)
        type = *v->declared;
    const struct bnr_tensor *t = v->tensor;
    if (t && type.dtype == BNR_UNDEFINED) {
        type = (struct bnr_type){.kind = t->kind, .dtype = t->dtype, .shape = {.rank = -1}};
        if (t->kind == BNR_KIND_TENSOR || t->kind == BNR_KIND_SPARSE)
            type.shape = bnr__shape_of(t->rank, t->dims);
    }
    return type;
}

const char *bnr__print_domain(const char *domain) {
    return domain[0] ? domain : "ai.onnx";
}

void bnr__print_name(struct bnr_text *t, const char *name) {
    for (const char *end = name; *name; name = end) {
        while (*end && (unsigned char)*end >= 0x20 && *end != 0x7f)
            end++;
        bnr__text_bytes(t, name, (size_t)(end - name));
        if (*end) {
            bnr__text_bytes(t, "?", 1);
            end++;
        }
    }
}

void bnr__print_type(struct bnr_text *t, const struct bnr_type *type) {
    char text[400];
    bnr__print_name(t, bnr__type_describe(type, text, sizeof text));
}

void bnr__print_string(struct bnr_text *t, struct bnr_str s) {
    struct bnr_text copy = {.allocator = t->allocator}; // NUL-terminated
    bnr__text_bytes(&copy, s.ptr, s.len);
    bnr__text_json_string(t, copy.data ? copy.data : "");
    t->failed = t->failed || copy.failed;
    bnr__text_free(&copy);
}

static void print_element(struct bnr_text *t, const struct bnr_tensor *tensor, size_t i) {
    switch (bnr__dtype_class(tensor->dtype)) {
    case BNR_CLASS_STRING:
        bnr__print_string(t, tensor->str[i]);
        break;
    case BNR_CLASS_FLOAT:
    case BNR_CLASS_DOUBLE:
        bnr__text_json_number(t, bnr__tensor_f64(tensor, i));
        break;
    case BNR_CLASS_UINT:
        bnr__text_add(t, "%" PRIu64, (uint64_t)bnr__tensor_i64(tensor, i));
        break;
    default:
        bnr__text_add(t, "%" PRId64, bnr__tensor_i64(tensor, i));
    }
}

bool bnr__print_elements(struct bnr_text *t, const struct bnr_tensor *tensor, size_t max) {
    const enum bnr_class class = bnr__dtype_class(tensor->dtype);
    if (tensor->kind != BNR_KIND_TENSOR || tensor->numel > max || class == BNR_CLASS_NONE ||
        class == BNR_CLASS_COMPLEX)
        return false;
    if (tensor->rank > 0)
        bnr__text_add(t, "[");
    for (size_t i = 0; i < tensor->numel; i++) {
        bnr__text_add(t, i > 0 ? ", " : "");
        print_element(t, tensor, i);
    }
    if (tensor->rank > 0)
        bnr__text_add(t, "]");
    return true;
}
