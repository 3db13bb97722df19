// SPDX-License-Identifier: Apache-2.0
// Tensor files: TensorProto, and the messages for sequences, optionals, maps and sparse tensors.
#include <string.h>

#include "proto/internal.h"
#include "proto/onnx_file.h"

struct reader {
    struct bnr_tensor_reader tensors;
    struct bnr_error *err;
};

static enum bnr_status read_sequence(struct reader *r, const Onnx__SequenceProto *p,
                                     struct bnr_tensor **out);
static enum bnr_status read_optional(struct reader *r, const Onnx__OptionalProto *p,
                                     struct bnr_tensor **out);
static enum bnr_status read_map(struct reader *r, const Onnx__MapProto *p, struct bnr_tensor **out);

// An element of a sequence or optional: a message of one of the types that these can hold.
static enum bnr_status read_item(struct reader *r, const ProtobufCMessage *p, struct bnr_tensor **out) {
    *out = NULL;
    if (p->descriptor == &onnx__tensor_proto__descriptor)
        return bnr__tensor_from_proto(&r->tensors, (const Onnx__TensorProto *)p, out, r->err);
    if (p->descriptor == &onnx__sparse_tensor_proto__descriptor)
        return bnr__sparse_from_proto(&r->tensors, (const Onnx__SparseTensorProto *)p, out, r->err);
    if (p->descriptor == &onnx__sequence_proto__descriptor)
        return read_sequence(r, (const Onnx__SequenceProto *)p, out);
    if (p->descriptor == &onnx__map_proto__descriptor)
        return read_map(r, (const Onnx__MapProto *)p, out);
    return read_optional(r, (const Onnx__OptionalProto *)p, out);
}

static enum bnr_status push_item(struct reader *r, struct bnr_tensor *to, const ProtobufCMessage *p) {
    struct bnr_tensor *item;
    BNR_TRY(read_item(r, p, &item));
    enum bnr_status st = bnr__tensor_push(to, item, r->err);
    bnr__tensor_unref(item);
    return st;
}

static enum bnr_status give(struct bnr_tensor **out, struct bnr_tensor *t, enum bnr_status st) {
    *out = st == BNR_OK ? t : NULL;
    if (st != BNR_OK)
        bnr__tensor_unref(t);
    return st;
}

static enum bnr_status read_sequence(struct reader *r, const Onnx__SequenceProto *p,
                                     struct bnr_tensor **out) {
    const struct {
        size_t n;
        void *messages;
        int type;
    } fields[] = {
        {p->n_tensor_values, p->tensor_values, ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR},
        {p->n_sparse_tensor_values, p->sparse_tensor_values,
         ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR},
        {p->n_sequence_values, p->sequence_values, ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE},
        {p->n_map_values, p->map_values, ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP},
        {p->n_optional_values, p->optional_values, ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL},
    };
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_new_kind(&t, r->tensors.allocator, BNR_KIND_SEQUENCE, BNR_UNDEFINED, r->err));
    enum bnr_status st = BNR_OK;
    for (size_t f = 0; st == BNR_OK && f < BNR_COUNT(fields); f++) {
        ProtobufCMessage **messages = fields[f].messages;
        if (fields[f].n && p->elem_type != fields[f].type)
            st = bnr__fail(r->err, BNR_MALFORMED, "sequence: elements of kind %d, its type says %d",
                           fields[f].type, (int)p->elem_type);
        for (size_t i = 0; st == BNR_OK && i < fields[f].n; i++)
            st = push_item(r, t, messages[i]);
    }
    return give(out, t, st);
}

// Writers give an empty optional the type that its element would have.
static enum bnr_status read_optional(struct reader *r, const Onnx__OptionalProto *p,
                                     struct bnr_tensor **out) {
    const ProtobufCMessage *items[] = {
        p->tensor_value ? &p->tensor_value->base : NULL,
        p->sparse_tensor_value ? &p->sparse_tensor_value->base : NULL,
        p->sequence_value ? &p->sequence_value->base : NULL,
        p->map_value ? &p->map_value->base : NULL,
        p->optional_value ? &p->optional_value->base : NULL,
    };
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_new_kind(&t, r->tensors.allocator, BNR_KIND_OPTIONAL, BNR_UNDEFINED, r->err));
    enum bnr_status st = BNR_OK;
    for (size_t i = 0; st == BNR_OK && i < BNR_COUNT(items); i++)
        if (items[i])
            st = t->n_items ? bnr__fail(r->err, BNR_MALFORMED, "optional: more than one element")
                            : push_item(r, t, items[i]);
    return give(out, t, st);
}

// ---- maps -------------------------------------------------------------------------------------------

static bool is_key_type(int32_t type) {
    enum bnr_class c = bnr__dtype_valid(type) ? bnr__dtype_class((enum bnr_dtype)type) : BNR_CLASS_NONE;
    return type == BNR_STRING || ((c == BNR_CLASS_INT || c == BNR_CLASS_UINT) &&
                                  bnr__dtype_bits((enum bnr_dtype)type) >= 8);
}

static enum bnr_status read_keys(struct reader *r, const Onnx__MapProto *p, struct bnr_tensor **out) {
    const struct bnr_allocator *a = r->tensors.allocator;
    size_t n = p->key_type == BNR_STRING ? p->n_string_keys : p->n_keys;
    int64_t dims[1] = {(int64_t)n};
    if (!is_key_type(p->key_type))
        return bnr__fail(r->err, BNR_MALFORMED, "map: keys of data type %d", (int)p->key_type);
    if (p->key_type != BNR_STRING) {
        BNR_TRY(bnr__tensor_new(out, a, (enum bnr_dtype)p->key_type, 1, dims, r->err));
        bnr__store_i64((*out)->dtype, (*out)->data, p->keys, n);
        return BNR_OK;
    }
    struct bnr_tensor view = {0};
    struct bnr_str *keys = BNR_NEW_ARRAY(r->tensors.temp, n, struct bnr_str);
    if (!keys)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct bnr_str){(const char *)p->string_keys[i].data, p->string_keys[i].len};
    bnr__tensor_set(&view, BNR_STRING, 1, dims, keys);
    return bnr__tensor_clone(out, a, &view, r->err);
}

static bool are_scalars(const struct bnr_tensor *sequence) {
    for (size_t i = 0; i < sequence->n_items; i++) {
        const struct bnr_tensor *t = sequence->items[i];
        if (t->kind != BNR_KIND_TENSOR || t->rank != 0 || t->dtype != sequence->items[0]->dtype)
            return false;
    }
    return sequence->n_items > 0;
}

// A sequence of scalars as one tensor, which is what operators on maps work with.
static enum bnr_status gather_scalars(struct reader *r, struct bnr_tensor **values) {
    struct bnr_tensor *sequence = *values, *all;
    enum bnr_dtype dtype = sequence->items[0]->dtype;
    size_t size = bnr__dtype_size(dtype);
    BNR_TRY(bnr__tensor_new(&all, r->tensors.allocator, dtype, 1,
                            (int64_t[]){(int64_t)sequence->n_items}, r->err));
    for (size_t i = 0; i < sequence->n_items; i++)
        memcpy(all->u8 + i * size, sequence->items[i]->data, size);
    if (dtype == BNR_STRING) { // the bytes are still the scalars'
        struct bnr_tensor *view = all;
        enum bnr_status st = bnr__tensor_clone(&all, r->tensors.allocator, view, r->err);
        bnr__tensor_unref(view);
        BNR_TRY(st);
    }
    bnr__tensor_unref(sequence);
    *values = all;
    return BNR_OK;
}

static enum bnr_status read_map(struct reader *r, const Onnx__MapProto *p, struct bnr_tensor **out) {
    struct bnr_tensor *keys = NULL, *values = NULL, *t = NULL;
    BNR_TRY(read_keys(r, p, &keys));
    enum bnr_status st = BNR_OK;
    if (!p->values)
        st = bnr__fail(r->err, BNR_MALFORMED, "map: no values");
    if (st == BNR_OK)
        st = read_sequence(r, p->values, &values);
    if (st == BNR_OK && values->n_items != keys->numel)
        st = bnr__fail(r->err, BNR_MALFORMED, "map: %zu keys with %zu values", keys->numel,
                       values->n_items);
    if (st == BNR_OK && are_scalars(values))
        st = gather_scalars(r, &values);
    if (st == BNR_OK)
        st = bnr__tensor_new_kind(&t, r->tensors.allocator, BNR_KIND_MAP, keys->dtype, r->err);
    if (st == BNR_OK)
        st = bnr__tensor_push(t, keys, r->err);
    if (st == BNR_OK)
        st = bnr__tensor_push(t, values, r->err);
    bnr__tensor_unref(keys);
    bnr__tensor_unref(values);
    return give(out, t, st);
}

// ---- files ------------------------------------------------------------------------------------------

static const ProtobufCMessageDescriptor *message_of(enum bnr_kind kind) {
    switch (kind) {
    case BNR_KIND_SEQUENCE:
        return &onnx__sequence_proto__descriptor;
    case BNR_KIND_OPTIONAL:
        return &onnx__optional_proto__descriptor;
    case BNR_KIND_MAP:
        return &onnx__map_proto__descriptor;
    case BNR_KIND_SPARSE:
        return &onnx__sparse_tensor_proto__descriptor;
    case BNR_KIND_TENSOR:
        break;
    }
    return &onnx__tensor_proto__descriptor;
}

static enum bnr_status read_bytes(struct bnr_tensor **out, struct bnr_bytes bytes, enum bnr_kind kind,
                                  const struct bnr_allocator *a, struct bnr_error *err) {
    struct bnr_skeleton skeleton;
    struct bnr_arena temp;
    ProtobufCMessage *message = NULL;
    const ProtobufCMessageDescriptor *type = message_of(kind);
    bnr__arena_init(&temp, a);
    enum bnr_status st = bnr__skeleton_make(&skeleton, type, bytes, a, err);
    if (st == BNR_OK)
        st = bnr__skeleton_unpack(&skeleton, type, &temp, &message, err);
    if (st == BNR_OK) {
        struct reader r = {{.allocator = a, .skeleton = &skeleton, .temp = &temp}, err};
        st = read_item(&r, message, out);
    }
    bnr__arena_free(&temp);
    bnr__skeleton_free(&skeleton);
    return st;
}

enum bnr_status bnr__tensor_read_pb(struct bnr_tensor **out, const char *path, enum bnr_kind kind,
                                    const struct bnr_allocator *a, struct bnr_error *err) {
    struct bnr_mapping *m;
    *out = NULL;
    enum bnr_status st = bnr__mapping_open(&m, path, a, err);
    if (st == BNR_OK)
        st = read_bytes(out, m->bytes, kind, a, err);
    bnr__mapping_unref(m);
    return st == BNR_OK ? st : bnr__fail_prefix(err, st, "%s", path);
}
