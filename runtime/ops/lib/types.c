// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/types.h"

bool bnr__type_is_unknown(const struct bnr_type *t) {
    return t->kind == BNR_KIND_TENSOR && t->dtype == BNR_UNDEFINED && t->shape.rank < 0;
}

static void forget(struct bnr_type *t) {
    *t = (struct bnr_type){.kind = BNR_KIND_TENSOR, .shape = bnr__shape_unknown()};
}

static bool merge_shape(struct bnr_shape *to, const struct bnr_shape *from) {
    bool lost = false;
    if (to->rank != from->rank) {
        lost = to->rank >= 0;
        *to = bnr__shape_unknown();
    }
    for (int i = 0; i < to->rank; i++) {
        if (bnr__dim_equal(to->dims[i], from->dims[i]))
            continue;
        lost = lost || to->dims[i].n >= 0 || to->dims[i].sym;
        to->dims[i] = bnr__dim_unknown();
    }
    return lost;
}

bool bnr__type_merge(struct bnr_arena *arena, struct bnr_type *to, const struct bnr_type *from,
                     bool *changed) {
    bool unused, *lost = changed ? changed : &unused;
    if (bnr__type_is_unknown(to))
        return true;
    if (bnr__type_is_unknown(from) || to->kind != from->kind) {
        const bool same_kind = bnr__type_is_unknown(from);
        forget(to);
        *lost = true;
        return same_kind;
    }
    if (to->dtype != from->dtype && to->dtype != BNR_UNDEFINED) {
        const bool fits = from->dtype == BNR_UNDEFINED;
        *lost = true;
        to->dtype = BNR_UNDEFINED;
        if (!fits) {
            forget(to);
            return false;
        }
    }
    if (to->kind == BNR_KIND_TENSOR || to->kind == BNR_KIND_SPARSE) {
        if (merge_shape(&to->shape, &from->shape))
            *lost = true;
        return true;
    }
    if (!to->elem)
        return true;
    struct bnr_type *elem = from->elem ? BNR_NEW(arena, struct bnr_type) : NULL;
    if (!elem) {
        to->elem = NULL;
        *lost = true;
        return true;
    }
    *elem = *to->elem;
    to->elem = elem;
    return bnr__type_merge(arena, elem, from->elem, changed);
}

enum bnr_status bnr__infer_container(struct bnr_infer *cx, int out, enum bnr_kind kind,
                                     const struct bnr_type *elem) {
    struct bnr_info *o = out < cx->n_out ? cx->out[out] : NULL;
    if (!o)
        return BNR_OK;
    o->type = (struct bnr_type){.kind = kind, .shape = bnr__shape_unknown()};
    if (!elem || bnr__type_is_unknown(elem))
        return BNR_OK;
    struct bnr_type *copy = BNR_NEW(cx->arena, struct bnr_type);
    if (!copy)
        return bnr__no_memory(cx->err);
    *copy = *elem;
    o->type.elem = copy;
    return BNR_OK;
}

enum bnr_status bnr__infer_items(struct bnr_infer *cx, int i, struct bnr_type *item) {
    const struct bnr_type *t = &cx->in[i]->type;
    forget(item);
    if (t->kind == BNR_KIND_SEQUENCE) {
        if (t->elem)
            *item = *t->elem;
        return BNR_OK;
    }
    if (bnr__type_is_unknown(t))
        return BNR_OK;
    char seen[160];
    return bnr__op_fail(cx->node, cx->err, BNR_SHAPE, "input %d is %s, expected a sequence", i,
                        bnr__type_describe(t, seen, sizeof seen));
}

enum bnr_status bnr__args_sequence(const struct bnr_args *a, int i) {
    if (a->in[i]->kind == BNR_KIND_SEQUENCE)
        return BNR_OK;
    char seen[160];
    return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d is %s, expected a sequence", i,
                        bnr__tensor_describe(a->in[i], seen, sizeof seen));
}

enum bnr_status bnr__args_scalar(const struct bnr_args *a, int i, int64_t fallback, int64_t *out) {
    const struct bnr_tensor *t = i < a->n_in ? a->in[i] : NULL;
    *out = fallback;
    if (!t)
        return BNR_OK;
    const enum bnr_class c = bnr__dtype_class(t->dtype);
    if (t->kind != BNR_KIND_TENSOR || t->numel != 1 ||
        (c != BNR_CLASS_INT && c != BNR_CLASS_BOOL)) {
        char seen[160];
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d is %s, expected a scalar", i,
                            bnr__tensor_describe(t, seen, sizeof seen));
    }
    *out = bnr__tensor_i64(t, 0);
    return BNR_OK;
}

enum bnr_status bnr__out_keep(const struct bnr_args *a, int i, const struct bnr_tensor *t) {
    struct bnr_tensor *kept;
    if (i >= a->n_out || !a->out[i])
        return BNR_OK;
    BNR_TRY(bnr__tensor_keep(&kept, t, a->err));
    const enum bnr_status st = bnr__out_share(a, i, kept);
    bnr__tensor_unref(kept);
    return st;
}

enum bnr_status bnr__push_keep(struct bnr_tensor *to, const struct bnr_tensor *t,
                               struct bnr_error *err) {
    struct bnr_tensor *kept;
    BNR_TRY(bnr__tensor_keep(&kept, t, err));
    const enum bnr_status st = bnr__tensor_push(to, kept, err);
    bnr__tensor_unref(kept);
    return st;
}
