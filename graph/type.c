// SPDX-License-Identifier: Apache-2.0
// Dims, shapes and types: questions, conversions, and how they read in messages.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

struct bnr_dim bnr__dim_unknown(void) {
    return (struct bnr_dim){.n = -1};
}

struct bnr_dim bnr__dim_of(int64_t n) {
    return (struct bnr_dim){.n = n};
}

bool bnr__dim_equal(struct bnr_dim a, struct bnr_dim b) {
    if (a.n >= 0 || b.n >= 0)
        return a.n == b.n;
    return a.sym && a.sym == b.sym;
}

bool bnr__shape_known(const struct bnr_shape *s) {
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i].n < 0)
            return false;
    return s->rank >= 0;
}

void bnr__shape_numbers(const struct bnr_shape *s, int64_t dims[BNR_MAX_RANK]) {
    for (int i = 0; i < s->rank; i++)
        dims[i] = s->dims[i].n;
}

struct bnr_shape bnr__shape_of(int rank, const int64_t *dims) {
    struct bnr_shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.dims[i].n = dims[i];
    return s;
}

struct bnr_shape bnr__shape_unknown(void) {
    return (struct bnr_shape){.rank = -1};
}

struct bnr_info bnr__info_unknown(void) {
    return (struct bnr_info){.type = {.kind = BNR_KIND_TENSOR, .shape = {.rank = -1}}};
}

static enum bnr_status type_of_tensor(struct bnr_type *type, const struct bnr_tensor *t,
                                      struct bnr_arena *arena) {
    *type = (struct bnr_type){.kind = t->kind, .dtype = t->dtype, .shape = {.rank = -1}};
    if (t->kind == BNR_KIND_TENSOR || t->kind == BNR_KIND_SPARSE) {
        type->shape = bnr__shape_of(t->rank, t->dims);
        return BNR_OK;
    }
    // Of several items the first speaks for the dtype; their shapes may differ.
    const size_t item = t->kind == BNR_KIND_MAP ? 1 : 0;
    if (t->n_items <= item)
        return BNR_OK;
    struct bnr_type *elem = BNR_NEW(arena, struct bnr_type);
    if (!elem)
        return BNR_NO_MEMORY;
    BNR_TRY(type_of_tensor(elem, t->items[item], arena));
    if (t->n_items > 1 && t->kind == BNR_KIND_SEQUENCE)
        elem->shape = bnr__shape_unknown();
    type->elem = elem;
    return BNR_OK;
}

enum bnr_status bnr__info_of_tensor(struct bnr_info *info, struct bnr_tensor *t,
                                    struct bnr_arena *arena) {
    *info = (struct bnr_info){.tensor = t};
    return type_of_tensor(&info->type, t, arena);
}

// ---- text -------------------------------------------------------------------------------------------

// Appends at *used; what does not fit is cut.
static void append(char *buf, size_t size, size_t *used, const char *s) {
    while (*s && *used + 1 < size)
        buf[(*used)++] = *s++;
    if (size)
        buf[*used] = '\0';
}

static void append_shape(char *buf, size_t size, size_t *used, const struct bnr_shape *s) {
    char number[24];
    append(buf, size, used, "[");
    if (s->rank < 0)
        append(buf, size, used, "...");
    for (int i = 0; i < s->rank; i++) {
        if (i > 0)
            append(buf, size, used, ",");
        snprintf(number, sizeof number, "%" PRId64, s->dims[i].n);
        append(buf, size, used, s->dims[i].n >= 0 ? number : s->dims[i].sym ? s->dims[i].sym : "?");
    }
    append(buf, size, used, "]");
}

static void append_type(char *buf, size_t size, size_t *used, const struct bnr_type *t, int depth) {
    static const char *const open[] = {"", "seq(", "optional(", "map(", "sparse("};
    const char *dtype = t->dtype == BNR_UNDEFINED ? "?" : bnr__dtype_name(t->dtype);
    append(buf, size, used, open[t->kind]);
    if (t->kind == BNR_KIND_TENSOR || t->kind == BNR_KIND_SPARSE) {
        append(buf, size, used, dtype);
        append_shape(buf, size, used, &t->shape);
    } else {
        if (t->kind == BNR_KIND_MAP) {
            append(buf, size, used, dtype);
            append(buf, size, used, ",");
        }
        if (t->elem && depth < 8)
            append_type(buf, size, used, t->elem, depth + 1);
        else
            append(buf, size, used, "?");
    }
    if (t->kind != BNR_KIND_TENSOR)
        append(buf, size, used, ")");
}

const char *bnr__type_describe(const struct bnr_type *t, char *buf, size_t size) {
    size_t used = 0;
    if (size)
        buf[0] = '\0';
    append_type(buf, size, &used, t, 0);
    return buf;
}
