// SPDX-License-Identifier: Apache-2.0
// Tensors and types to messages.
#include <inttypes.h>
#include <string.h>

#include "proto/write.h"

void bnr__write_failed(struct writer *w, enum bnr_status st) {
    if (w->status == BNR_OK)
        w->status = st;
}

static void out_of_memory(struct writer *w) {
    bnr__write_failed(w, bnr__no_memory(w->err));
}

void bnr__put_packed(struct writer *w, struct bnr_sink *s, uint32_t id, const ProtobufCMessage *m) {
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = s->buffer ? bnr__arena_aligned(&w->scratch, size, 1) : NULL;
    bnr__put_tag(s, id, BNR_WIRE_BYTES);
    bnr__put_varint(s, size);
    if (!s->buffer) {
        s->size += size;
    } else if (bytes) {
        protobuf_c_message_pack(m, bytes);
        bnr__put_bytes(s, bytes, size);
    } else {
        out_of_memory(w);
    }
    bnr__arena_reset(&w->scratch);
}

// ---- types ------------------------------------------------------------------------------------------

static bool shape_to_proto(const struct bnr_shape *shape, Onnx__TensorShapeProto **out,
                           struct bnr_arena *arena) {
    if (shape->rank < 0)
        return true;
    size_t rank = (size_t)shape->rank;
    Onnx__TensorShapeProto *p = BNR_NEW(arena, Onnx__TensorShapeProto);
    Onnx__TensorShapeProto__Dimension *dims = BNR_NEW_ARRAY(arena, rank, Onnx__TensorShapeProto__Dimension);
    Onnx__TensorShapeProto__Dimension **list =
        BNR_NEW_ARRAY(arena, rank, Onnx__TensorShapeProto__Dimension *);
    if (!p || !dims || !list)
        return false;
    onnx__tensor_shape_proto__init(p);
    p->n_dim = rank;
    p->dim = list;
    for (size_t i = 0; i < rank; i++) {
        const struct bnr_dim *d = &shape->dims[i];
        list[i] = &dims[i];
        onnx__tensor_shape_proto__dimension__init(&dims[i]);
        if (d->n >= 0) {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dims[i].dim_value = d->n;
        } else if (d->sym) {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dims[i].dim_param = bnr__unconst(d->sym);
        }
    }
    *out = p;
    return true;
}

// An unknown element type is left out.
static bool elem_to_proto(const struct bnr_type *t, Onnx__TypeProto **out, struct bnr_arena *arena) {
    *out = t ? bnr__type_to_proto(t, arena) : NULL;
    return !t || *out;
}

Onnx__TypeProto *bnr__type_to_proto(const struct bnr_type *t, struct bnr_arena *arena) {
    struct message {
        Onnx__TypeProto type;
        union {
            Onnx__TypeProto__Tensor tensor;
            Onnx__TypeProto__SparseTensor sparse;
            Onnx__TypeProto__Sequence sequence;
            Onnx__TypeProto__Optional optional;
            Onnx__TypeProto__Map map;
        };
    } *p = BNR_NEW(arena, struct message);
    bool ok = p;
    if (!p)
        return NULL;
    onnx__type_proto__init(&p->type);
    p->type.tensor_type = &p->tensor; // any member: they are pointers in a union
    switch (t->kind) {
    case BNR_KIND_TENSOR:
        p->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        onnx__type_proto__tensor__init(&p->tensor);
        p->tensor.has_elem_type = 1;
        p->tensor.elem_type = (int32_t)t->dtype;
        ok = shape_to_proto(&t->shape, &p->tensor.shape, arena);
        break;
    case BNR_KIND_SPARSE:
        p->type.value_case = ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE;
        onnx__type_proto__sparse_tensor__init(&p->sparse);
        p->sparse.has_elem_type = 1;
        p->sparse.elem_type = (int32_t)t->dtype;
        ok = shape_to_proto(&t->shape, &p->sparse.shape, arena);
        break;
    case BNR_KIND_SEQUENCE:
        p->type.value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
        onnx__type_proto__sequence__init(&p->sequence);
        ok = elem_to_proto(t->elem, &p->sequence.elem_type, arena);
        break;
    case BNR_KIND_OPTIONAL:
        p->type.value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
        onnx__type_proto__optional__init(&p->optional);
        ok = elem_to_proto(t->elem, &p->optional.elem_type, arena);
        break;
    case BNR_KIND_MAP:
        p->type.value_case = ONNX__TYPE_PROTO__VALUE_MAP_TYPE;
        onnx__type_proto__map__init(&p->map);
        p->map.has_key_type = 1;
        p->map.key_type = (int32_t)t->dtype;
        ok = elem_to_proto(t->elem, &p->map.value_type, arena);
        break;
    }
    return ok ? &p->type : NULL;
}

// ---- external data ----------------------------------------------------------------------------------

// Smaller tensors stay in the file; others start at a page, so that they can be mapped.
enum { EXTERNAL_FROM = 1024, EXTERNAL_ALIGN = 4096 };

static struct data_place *place_of(struct writer *w, const struct bnr_tensor *t, uint64_t size) {
    const char *key = bnr__arena_printf(&w->scratch, "%p", (const void *)t);
    struct data_place *place = key ? bnr__map_get(&w->places, key) : NULL;
    if (!place && key && w->collecting) {
        place = BNR_NEW(&w->temp, struct data_place);
        const char *copy = bnr__arena_strdup(&w->temp, key);
        if (place && copy && bnr__map_set(&w->places, copy, place)) {
            place->tensor = t;
            place->offset = (w->data_size + EXTERNAL_ALIGN - 1) / EXTERNAL_ALIGN * EXTERNAL_ALIGN;
            place->size = size;
            w->data_size = place->offset + size;
            *(w->last_place ? &w->last_place->next : &w->first_place) = place;
            w->last_place = place;
        } else {
            place = NULL;
        }
    }
    if (!place)
        out_of_memory(w);
    bnr__arena_reset(&w->scratch);
    return place;
}

static struct data_place *external_place(struct writer *w, const struct bnr_tensor *t) {
    size_t size;
    if (!w->location || t->dtype == BNR_STRING || !bnr__raw_size(t->dtype, t->numel, &size) ||
        size < EXTERNAL_FROM)
        return NULL;
    return place_of(w, t, size);
}

bool bnr__is_inline(struct writer *w, const struct bnr_tensor *t) {
    return !external_place(w, t);
}

static void put_entry(struct writer *w, struct bnr_sink *s, const char *key, const char *value) {
    Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    entry.key = bnr__unconst(key);
    entry.value = bnr__unconst(value);
    bnr__put_packed(w, s, BNR_TENSOR_EXTERNAL_DATA, &entry.base);
}

static void put_number_entry(struct writer *w, struct bnr_sink *s, const char *key, uint64_t v) {
    const char *value = bnr__arena_printf(&w->scratch, "%" PRIu64, v);
    if (value)
        put_entry(w, s, key, value);
    else
        out_of_memory(w);
}

static void put_external(struct writer *w, struct bnr_sink *s, const struct data_place *p) {
    put_entry(w, s, "location", w->location);
    put_number_entry(w, s, "offset", p->offset);
    put_number_entry(w, s, "length", p->size);
    bnr__put_int(s, BNR_TENSOR_DATA_LOCATION, ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
}

// ---- tensors ----------------------------------------------------------------------------------------

// Made in the sink's own buffer: elements that are in no memory yet never are in any other.
static void put_lazy(struct bnr_sink *s, const struct bnr_tensor *t) {
    const size_t size = bnr__dtype_size(t->dtype), most = BNR_SINK_ROOM / size;
    uint8_t *room = bnr__sink_room(s);
    if (!room)
        s->size += t->nbytes;
    for (size_t at = 0, n; room && at < t->numel; at += n) {
        n = t->numel - at < most ? t->numel - at : most;
        bnr__tensor_copy(t, room, at, n);
        bnr__sink_filled(s, n * size);
        room = bnr__sink_room(s);
    }
}

void bnr__put_raw(struct bnr_sink *s, const struct bnr_tensor *t) {
    uint8_t packed[1024];
    if (t->lazy) {
        put_lazy(s, t);
        return;
    }
    if (bnr__raw_is_memory(t->dtype)) {
        bnr__put_bytes(s, t->data, t->nbytes);
        return;
    }
    size_t step = sizeof packed * (8 / (size_t)bnr__dtype_bits(t->dtype)), size;
    for (size_t i = 0; i < t->numel; i += step) {
        size_t n = t->numel - i < step ? t->numel - i : step;
        bnr__raw_pack(packed, t, i, n);
        if (bnr__raw_size(t->dtype, n, &size))
            bnr__put_bytes(s, packed, size);
    }
}

struct tensor_cx {
    struct writer *w;
    const struct bnr_tensor *t;
    const char *name;
    struct bnr_bytes source;
    bool made; // for this pass only: has no place of its own
};

static void emit_tensor(struct bnr_sink *s, void *cx) {
    struct tensor_cx *c = cx;
    const struct bnr_tensor *t = c->t;
    const ProtobufCMessageDescriptor *type = &onnx__tensor_proto__descriptor;
    const struct data_place *place = c->made ? NULL : external_place(c->w, t);
    size_t size = 0;
    for (int i = 0; i < t->rank; i++)
        bnr__put_int(s, BNR_TENSOR_DIMS, t->dims[i]);
    bnr__put_int(s, BNR_TENSOR_DATA_TYPE, t->dtype);
    for (size_t i = 0; t->dtype == BNR_STRING && i < t->numel; i++)
        bnr__put_data(s, BNR_TENSOR_STRING_DATA, t->str[i].ptr, t->str[i].len);
    if (c->name)
        bnr__put_text(s, BNR_TENSOR_NAME, c->name);
    if (t->dtype != BNR_STRING && !place && bnr__raw_size(t->dtype, t->numel, &size)) {
        bnr__put_tag(s, BNR_TENSOR_RAW_DATA, BNR_WIRE_BYTES);
        bnr__put_varint(s, size);
        bnr__put_raw(s, t);
    }
    bnr__copy_fields(c->w, s, c->source, type, BNR_TENSOR_DOC_STRING);
    if (place)
        put_external(c->w, s, place);
    bnr__copy_fields(c->w, s, c->source, type, BNR_TENSOR_METADATA_PROPS);
}

void bnr__put_tensor(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_tensor *t,
                     const char *name, struct bnr_bytes source) {
    bnr__put_message(s, id, emit_tensor, &(struct tensor_cx){w, t, name, source, false});
}

void bnr__emit_tensor(struct writer *w, struct bnr_sink *s, const struct bnr_tensor *t, const char *name) {
    emit_tensor(s, &(struct tensor_cx){w, t, name, {0}, false});
}

static bool is_zero(const struct bnr_tensor *t, size_t i) {
    static const uint8_t zeros[16];
    size_t size = bnr__dtype_size(t->dtype);
    return t->dtype == BNR_STRING ? !t->str[i].len : !memcmp(t->u8 + i * size, zeros, size);
}

static void emit_sparse(struct bnr_sink *s, void *cx) {
    struct tensor_cx *c = cx;
    const struct bnr_tensor *t = c->t;
    size_t size = bnr__dtype_size(t->dtype), n = 0;
    for (size_t i = 0; i < t->numel; i++)
        n += !is_zero(t, i);
    int64_t *at = BNR_NEW_ARRAY(&c->w->temp, n, int64_t);
    uint8_t *elements = bnr__arena_array(&c->w->temp, n, size);
    if (!at || !elements) {
        out_of_memory(c->w);
        return;
    }
    struct bnr_tensor values = {0}, indices = {0};
    bnr__tensor_set(&values, t->dtype, 1, (int64_t[]){(int64_t)n}, elements);
    bnr__tensor_set(&indices, BNR_INT64, 1, values.dims, at);
    for (size_t i = 0, k = 0; k < n; i++)
        if (!is_zero(t, i)) {
            memcpy(elements + k * size, t->u8 + i * size, size);
            at[k++] = (int64_t)i;
        }
    const struct bnr_bytes none = {0};
    bnr__put_message(s, BNR_SPARSE_VALUES, emit_tensor,
                     &(struct tensor_cx){c->w, &values, NULL, none, true});
    bnr__put_message(s, BNR_SPARSE_INDICES, emit_tensor,
                     &(struct tensor_cx){c->w, &indices, NULL, none, true});
    for (int i = 0; i < t->rank; i++)
        bnr__put_int(s, BNR_SPARSE_DIMS, t->dims[i]);
}

void bnr__put_sparse(struct writer *w, struct bnr_sink *s, uint32_t id, const struct bnr_tensor *t) {
    bnr__put_message(s, id, emit_sparse, &(struct tensor_cx){w, t, NULL, {0}, true});
}
