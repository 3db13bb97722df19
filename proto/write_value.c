// SPDX-License-Identifier: Apache-2.0
// Values to tensor files.
#include "proto/onnx_file.h"
#include "proto/write.h"

struct value_cx {
    struct writer *w;
    const struct bnr_tensor *t;
    const char *name; // NULL: none
};

static void emit_map(struct bnr_sink *s, void *cx);
static void emit_items(struct bnr_sink *s, void *cx);

static uint32_t item_type(enum bnr_kind kind) {
    switch (kind) {
    case BNR_KIND_TENSOR:
        break;
    case BNR_KIND_SPARSE:
        return ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR;
    case BNR_KIND_SEQUENCE:
        return ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE;
    case BNR_KIND_MAP:
        return ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP;
    case BNR_KIND_OPTIONAL:
        return ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL;
    }
    return ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR;
}

static void emit_sparse(struct bnr_sink *s, void *cx) {
    const struct value_cx *c = cx;
    const struct bnr_bytes none = {0};
    bnr__put_tensor(c->w, s, BNR_SPARSE_VALUES, c->t->items[0], c->name, none);
    bnr__put_tensor(c->w, s, BNR_SPARSE_INDICES, c->t->items[1], NULL, none);
    for (int i = 0; i < c->t->rank; i++)
        bnr__put_int(s, BNR_SPARSE_DIMS, c->t->dims[i]);
}

static void put_item(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_tensor *t) {
    struct value_cx c = {w, t, NULL};
    if (t->kind == BNR_KIND_TENSOR)
        bnr__put_tensor(w, s, id, t, NULL, (struct bnr_bytes){0});
    else if (t->kind == BNR_KIND_SPARSE)
        bnr__put_message(s, id, emit_sparse, &c);
    else
        bnr__put_message(s, id, t->kind == BNR_KIND_MAP ? emit_map : emit_items, &c);
}

// SequenceProto and OptionalProto: they have the same fields. An empty one could hold tensors.
static void emit_items(struct bnr_sink *s, void *cx) {
    const struct value_cx *c = cx;
    uint32_t type = item_type(c->t->n_items ? c->t->items[0]->kind : BNR_KIND_TENSOR);
    if (c->name)
        bnr__put_text(s, BNR_SEQUENCE_NAME, c->name);
    if (c->t->n_items || c->t->kind == BNR_KIND_SEQUENCE)
        bnr__put_int(s, BNR_SEQUENCE_ELEM_TYPE, type);
    for (size_t i = 0; i < c->t->n_items; i++)
        put_item(c->w, s, BNR_SEQUENCE_TENSOR_VALUES + type - 1, c->t->items[i]);
}

// Map values that are one tensor become a sequence of its elements.
static void emit_elements(struct bnr_sink *s, void *cx) {
    const struct value_cx *c = cx;
    size_t size = bnr__dtype_size(c->t->dtype);
    bnr__put_int(s, BNR_SEQUENCE_ELEM_TYPE, ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR);
    for (size_t i = 0; i < c->t->numel; i++) {
        struct bnr_tensor element = {0};
        bnr__tensor_set(&element, c->t->dtype, 0, NULL, c->t->u8 + i * size);
        put_item(c->w, s, BNR_SEQUENCE_TENSOR_VALUES, &element);
    }
}

static void emit_map(struct bnr_sink *s, void *cx) {
    const struct value_cx *c = cx;
    const struct bnr_tensor *keys = c->t->items[0];
    struct value_cx values = {c->w, c->t->items[1], NULL};
    if (c->name)
        bnr__put_text(s, BNR_MAP_NAME, c->name);
    bnr__put_int(s, BNR_MAP_KEY_TYPE, keys->dtype);
    for (size_t i = 0; i < keys->numel; i++)
        if (keys->dtype == BNR_STRING)
            bnr__put_data(s, BNR_MAP_STRING_KEYS, keys->str[i].ptr, keys->str[i].len);
        else
            bnr__put_int(s, BNR_MAP_KEYS, bnr__tensor_i64(keys, i));
    bnr__put_message(s, BNR_MAP_VALUES,
                     values.t->kind == BNR_KIND_TENSOR ? emit_elements : emit_items, &values);
}

enum bnr_status bnr__tensor_write_pb(const struct bnr_tensor *t, const char *name, const char *path,
                                     struct bnr_error *err) {
    struct writer w = {.err = err};
    struct value_cx c = {&w, t, name};
    struct bnr_target target;
    bnr__arena_init(&w.temp, t->allocator);
    bnr__arena_init(&w.scratch, t->allocator);
    enum bnr_status st = bnr__target_open(&target, path, t->allocator, err);
    if (st == BNR_OK) {
        if (t->kind == BNR_KIND_TENSOR)
            bnr__emit_tensor(&w, &target.sink, t, name);
        else if (t->kind == BNR_KIND_SPARSE)
            emit_sparse(&target.sink, &c);
        else if (t->kind == BNR_KIND_MAP)
            emit_map(&target.sink, &c);
        else
            emit_items(&target.sink, &c);
        st = w.status;
    }
    if (st == BNR_OK)
        st = bnr__target_close(&target, err);
    if (st == BNR_OK)
        st = bnr__target_commit(&target, err);
    bnr__target_abandon(&target);
    bnr__arena_free(&w.scratch);
    bnr__arena_free(&w.temp);
    return st;
}
