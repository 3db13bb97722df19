// SPDX-License-Identifier: Apache-2.0
#include "proto/skeleton.h"

#include <string.h>

#include "proto/fields.h"
#include "proto/onnx.pb-c.h"
#include "proto/onnx_file.h"
#include "runtime/base/checked.h"

enum {
    MARK_FIELD = 0x1fffffff, // the highest field number there is
    MARK_SIZE = 13,          // a tag of five bytes, eight of content
    LENGTH_SIZE = 5,         // lengths are filled in afterwards, in this many bytes
    FREE_OBJECTS = 1 << 18,  // nodes, values and tensors that any file may have, whatever its size
    BYTES_PER_OBJECT = 16,   // beyond these, as an object takes some hundred bytes in memory
    FREE_MEMORY = 4 << 20,   // the same for the unpacked message
    MEMORY_PER_BYTE = 32,    // real models take up to 14
};

struct walk {
    struct bnr_skeleton *s;
    const uint8_t *file; // its first byte, for messages
    size_t objects, max_objects;
    struct bnr_error *err;
};

static bool has_own_mark(const ProtobufCMessageDescriptor *type) {
    return type == &onnx__node_proto__descriptor || type == &onnx__tensor_proto__descriptor ||
           type == &onnx__sparse_tensor_proto__descriptor;
}

bool bnr__type_has_marks(const ProtobufCMessageDescriptor *type) {
    return has_own_mark(type) || type == &onnx__model_proto__descriptor ||
           type == &onnx__graph_proto__descriptor || type == &onnx__attribute_proto__descriptor ||
           type == &onnx__function_proto__descriptor ||
           type == &onnx__training_info_proto__descriptor ||
           type == &onnx__sequence_proto__descriptor || type == &onnx__map_proto__descriptor ||
           type == &onnx__optional_proto__descriptor;
}

// ---- output -----------------------------------------------------------------------------------------

static enum bnr_status put(struct walk *w, const uint8_t *p, size_t n) {
    struct bnr_skeleton *s = w->s;
    size_t need;
    if (!bnr__size_add(s->size, n, &need) || need > INT32_MAX)
        return bnr__fail(w->err, BNR_UNSUPPORTED,
                         "more than 2 GB beside raw tensor data, protobuf allows no more");
    if (need > s->capacity) {
        size_t grown = need < 2048 ? 4096 : need * 2;
        uint8_t *bytes = bnr__realloc(s->allocator, s->bytes, s->capacity, grown);
        if (!bytes)
            return bnr__no_memory(w->err);
        s->bytes = bytes;
        s->capacity = grown;
    }
    if (n)
        memcpy(s->bytes + s->size, p, n);
    s->size = need;
    return BNR_OK;
}

// Tag of a length-delimited field and room for its length.
static enum bnr_status put_header(struct walk *w, uint32_t id) {
    uint8_t header[10 + LENGTH_SIZE] = {0};
    size_t n = bnr__varint_write(header, (uint64_t)id << 3 | BNR_WIRE_BYTES);
    return put(w, header, n + LENGTH_SIZE);
}

// The length of what was written since `content`, in the room in front of it.
static void patch_length(struct walk *w, size_t content) {
    uint8_t *p = w->s->bytes + content - LENGTH_SIZE;
    size_t n = w->s->size - content;
    for (int i = 0; i < LENGTH_SIZE; i++, n >>= 7)
        p[i] = (uint8_t)((n & 0x7f) | (i < LENGTH_SIZE - 1 ? 0x80 : 0));
}

// ---- marks ------------------------------------------------------------------------------------------

static enum bnr_status new_mark(struct walk *w, const ProtobufCMessageDescriptor *type, size_t *index) {
    struct bnr_skeleton *s = w->s;
    if (s->n_marks == s->marks_capacity) {
        size_t grown = s->marks_capacity ? s->marks_capacity * 2 : 64;
        struct bnr_mark *marks = bnr__realloc(s->allocator, s->marks,
                                              s->marks_capacity * sizeof *marks, grown * sizeof *marks);
        if (!marks)
            return bnr__no_memory(w->err);
        s->marks = marks;
        s->marks_capacity = grown;
    }
    *index = s->n_marks++;
    s->marks[*index] = (struct bnr_mark){.type = type, .offset = s->size};
    return BNR_OK;
}

static enum bnr_status put_mark(struct walk *w, size_t index) {
    uint8_t field[MARK_SIZE];
    size_t n = bnr__varint_write(field, (uint64_t)MARK_FIELD << 3 | BNR_WIRE_FIXED64);
    for (int i = 0; i < 8; i++)
        field[n++] = (uint8_t)((uint64_t)index >> (8 * i));
    return put(w, field, n);
}

static struct bnr_mark *mark_from(const struct bnr_skeleton *s, const uint8_t *content) {
    uint64_t index = 0;
    for (int i = 0; i < 8; i++)
        index |= (uint64_t)content[i] << (8 * i);
    return index < s->n_marks ? &s->marks[index] : NULL;
}

struct bnr_mark *bnr__mark_of(const struct bnr_skeleton *s, const ProtobufCMessage *m) {
    for (unsigned i = 0; i < m->n_unknown_fields; i++)
        if (m->unknown_fields[i].tag == MARK_FIELD && m->unknown_fields[i].len == 8)
            return mark_from(s, m->unknown_fields[i].data);
    return NULL;
}

struct bnr_mark *bnr__mark_at(const struct bnr_skeleton *s, const struct bnr_wire_field *f) {
    return f->id == MARK_FIELD ? mark_from(s, f->payload.data) : NULL;
}

// ---- checks -----------------------------------------------------------------------------------------

static enum bnr_status bad_field(const struct walk *w, const ProtobufCMessageDescriptor *type,
                                 const struct bnr_wire_field *f, const char *what) {
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(type, f->id);
    size_t at = (size_t)(f->start - w->file);
    if (fd)
        return bnr__fail(w->err, BNR_MALFORMED, "byte %zu: %s.%s %s", at, type->short_name, fd->name,
                         what);
    return bnr__fail(w->err, BNR_MALFORMED, "byte %zu: field %u of %s %s", at, (unsigned)f->id,
                     type->short_name, what);
}

static enum bnr_wire_type wire_type_of(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return BNR_WIRE_FIXED32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return BNR_WIRE_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return BNR_WIRE_BYTES;
    default:
        return BNR_WIRE_VARINT;
    }
}

// The elements of a packed field fill its payload.
static bool packed_fits(enum bnr_wire_type type, struct bnr_bytes b) {
    if (type != BNR_WIRE_VARINT)
        return b.size % (type == BNR_WIRE_FIXED32 ? 4 : 8) == 0;
    uint64_t ignored;
    for (size_t n; b.size; b.data += n, b.size -= n)
        if (!(n = bnr__varint_read(b.data, b.size, 10, &ignored)))
            return false;
    return true;
}

// Wire type, packing and repetition as the schema has them. `seen`: a bit per field of the message.
static enum bnr_status check_field(const struct walk *w, const ProtobufCMessageDescriptor *type,
                                   const ProtobufCFieldDescriptor *fd, const struct bnr_wire_field *f,
                                   uint64_t *seen) {
    enum bnr_wire_type expected = wire_type_of(fd->type);
    bool repeated = fd->label == PROTOBUF_C_LABEL_REPEATED;
    if (repeated && expected != BNR_WIRE_BYTES && f->type == BNR_WIRE_BYTES)
        return packed_fits(expected, f->payload)
                   ? BNR_OK
                   : bad_field(w, type, f, "has packed elements that do not fill it");
    if (f->type != expected)
        return bad_field(w, type, f, "has another wire type than the schema says");
    // Protobuf would merge two submessages; no writer means that, and what it means for tensors is unclear.
    uint64_t bit = (uint64_t)1 << ((size_t)(fd - type->fields) % 64);
    if (!repeated && (*seen & bit) && expected == BNR_WIRE_BYTES)
        return bad_field(w, type, f, "appears twice");
    *seen |= bit;
    return BNR_OK;
}

// A few bytes of a file can ask for some hundred bytes of graph: this keeps the sum in proportion.
static enum bnr_status count_object(struct walk *w, const ProtobufCMessageDescriptor *type,
                                    const ProtobufCFieldDescriptor *fd) {
    bool object = fd->descriptor == &onnx__node_proto__descriptor ||
                  fd->descriptor == &onnx__tensor_proto__descriptor ||
                  fd->descriptor == &onnx__value_info_proto__descriptor ||
                  (type == &onnx__node_proto__descriptor && fd->id == BNR_NODE_OUTPUT);
    if (object && ++w->objects > w->max_objects)
        return bnr__fail(w->err, BNR_MALFORMED,
                         "more than %zu nodes, values and tensors, too many for a file of its size",
                         w->max_objects);
    return BNR_OK;
}

// ---- the walk ---------------------------------------------------------------------------------------

// The field of a TensorProto whose bytes are its elements as they are in memory: raw_data, or else the
// only piece of packed float_data or double_data where the tensor's type goes with it.
static const uint8_t *find_elements(struct bnr_bytes tensor) {
    struct bnr_wire w = bnr__wire(tensor);
    struct bnr_wire_field f;
    const uint8_t *floats = NULL, *doubles = NULL;
    int n_floats = 0, n_doubles = 0;
    uint64_t dtype = 0;
    while (bnr__wire_next(&w, &f)) {
        if (f.id == BNR_TENSOR_RAW_DATA)
            return f.start;
        if (f.id == BNR_TENSOR_DATA_TYPE)
            dtype = f.number;
        if (f.id == BNR_TENSOR_FLOAT_DATA && n_floats++ == 0 && f.type == BNR_WIRE_BYTES)
            floats = f.start;
        if (f.id == BNR_TENSOR_DOUBLE_DATA && n_doubles++ == 0 && f.type == BNR_WIRE_BYTES)
            doubles = f.start;
    }
    if (n_floats == 1 && n_doubles == 0 && (dtype == BNR_FLOAT || dtype == BNR_COMPLEX64))
        return floats;
    if (n_doubles == 1 && n_floats == 0 && (dtype == BNR_DOUBLE || dtype == BNR_COMPLEX128))
        return doubles;
    return NULL;
}

static enum bnr_status walk_message(struct walk *w, const ProtobufCMessageDescriptor *type,
                                    struct bnr_bytes bytes, int depth, bool emit);

static enum bnr_status walk_submessage(struct walk *w, const ProtobufCMessageDescriptor *type,
                                       const struct bnr_wire_field *f, int depth) {
    BNR_TRY(put_header(w, f->id));
    size_t content = w->s->size;
    BNR_TRY(walk_message(w, type, f->payload, depth, true));
    patch_length(w, content);
    return BNR_OK;
}

static enum bnr_status walk_field(struct walk *w, const ProtobufCMessageDescriptor *type,
                                  const struct bnr_wire_field *f, int depth, bool emit,
                                  uint64_t *seen) {
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(type, f->id);
    const ProtobufCMessageDescriptor *sub = NULL;
    if (fd) {
        BNR_TRY(check_field(w, type, fd, f, seen));
        BNR_TRY(count_object(w, type, fd));
        if (fd->type == PROTOBUF_C_TYPE_MESSAGE)
            sub = fd->descriptor;
    } else if (f->id == MARK_FIELD) {
        return BNR_OK;
    }
    if (sub && depth == BNR_MAX_NESTING)
        return bnr__fail(w->err, BNR_UNSUPPORTED, "byte %zu: more than %d messages within each other",
                         (size_t)(f->start - w->file), BNR_MAX_NESTING);
    if (sub && emit && bnr__type_has_marks(sub))
        return walk_submessage(w, sub, f, depth + 1);
    if (sub)
        BNR_TRY(walk_message(w, sub, f->payload, depth + 1, false));
    if (!emit)
        return BNR_OK;
    return put(w, f->start, (size_t)(f->payload.data + f->payload.size - f->start));
}

static enum bnr_status walk_message(struct walk *w, const ProtobufCMessageDescriptor *type,
                                    struct bnr_bytes bytes, int depth, bool emit) {
    bool marked = emit && has_own_mark(type);
    const uint8_t *elements = NULL;
    size_t mark = 0, content = w->s->size;
    if (marked) {
        BNR_TRY(new_mark(w, type, &mark));
        if (type == &onnx__tensor_proto__descriptor)
            elements = find_elements(bytes);
        if (!elements)
            BNR_TRY(put_mark(w, mark));
    }
    struct bnr_wire in = bnr__wire(bytes);
    struct bnr_wire_field f;
    uint64_t seen = 0;
    while (bnr__wire_next(&in, &f)) {
        if (elements == f.start) {
            const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(type, f.id);
            BNR_TRY(check_field(w, type, fd, &f, &seen));
            w->s->marks[mark].data = f.payload;
            w->s->marks[mark].data_field = f.id;
            BNR_TRY(put_mark(w, mark));
        } else {
            BNR_TRY(walk_field(w, type, &f, depth, emit, &seen));
        }
    }
    if (in.error)
        return bad_field(w, type, &f, in.error);
    if (marked)
        w->s->marks[mark].size = w->s->size - content;
    return BNR_OK;
}

// It stays as long as the model: without the room to grow. What cannot be made smaller stays as it is.
static void trim(struct bnr_skeleton *s) {
    const size_t marks_size = s->n_marks * sizeof *s->marks;
    void *bytes = s->bytes ? bnr__realloc(s->allocator, s->bytes, s->capacity, s->size) : NULL;
    void *marks = s->marks ? bnr__realloc(s->allocator, s->marks,
                                          s->marks_capacity * sizeof *s->marks, marks_size)
                           : NULL;
    if (bytes) {
        s->bytes = bytes;
        s->capacity = s->size;
    }
    if (marks) {
        s->marks = marks;
        s->marks_capacity = s->n_marks;
    }
}

enum bnr_status bnr__skeleton_make(struct bnr_skeleton *s, const ProtobufCMessageDescriptor *type,
                                   struct bnr_bytes file, const struct bnr_allocator *a,
                                   struct bnr_error *err) {
    *s = (struct bnr_skeleton){.allocator = a};
    struct walk w = {s, file.data, 0, FREE_OBJECTS + file.size / BYTES_PER_OBJECT, err};
    BNR_TRY(walk_message(&w, type, file, 1, true));
    trim(s);
    return BNR_OK;
}

void bnr__skeleton_free(struct bnr_skeleton *s) {
    for (size_t i = 0; i < s->n_marks; i++)
        bnr__tensor_unref(s->marks[i].tensor);
    bnr__free(s->allocator, s->marks, s->marks_capacity * sizeof *s->marks);
    bnr__free(s->allocator, s->bytes, s->capacity);
    *s = (struct bnr_skeleton){0};
}

// ---- unpacking --------------------------------------------------------------------------------------

struct unpack {
    struct bnr_arena *arena;
    size_t limit;
    bool over;
};

static void *arena_alloc(void *data, size_t size) {
    struct unpack *u = data;
    if (size > u->limit - u->arena->used) {
        u->over = true;
        return NULL;
    }
    return bnr__arena_alloc(u->arena, size);
}

static void arena_free(void *data, void *p) {
    (void)data, (void)p; // goes with the arena
}

enum bnr_status bnr__unpack(struct bnr_bytes bytes, const ProtobufCMessageDescriptor *type,
                            struct bnr_arena *arena, ProtobufCMessage **out, struct bnr_error *err) {
    struct unpack u = {.arena = arena};
    u.limit = arena->used + FREE_MEMORY + bytes.size * MEMORY_PER_BYTE;
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &u};
    *out = protobuf_c_message_unpack(type, &allocator, bytes.size, bytes.data);
    if (*out)
        return BNR_OK;
    if (u.over)
        return bnr__fail(err, BNR_MALFORMED, "%s takes more memory than any sensible one of %zu bytes",
                         type->short_name, bytes.size);
    return bnr__no_memory(err);
}

enum bnr_status bnr__skeleton_unpack(const struct bnr_skeleton *s,
                                     const ProtobufCMessageDescriptor *type, struct bnr_arena *arena,
                                     ProtobufCMessage **out, struct bnr_error *err) {
    static const uint8_t nothing[1];
    struct bnr_bytes bytes = {s->size ? s->bytes : nothing, s->size};
    return bnr__unpack(bytes, type, arena, out, err);
}
