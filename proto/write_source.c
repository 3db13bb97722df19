// SPDX-License-Identifier: Apache-2.0
// Copying parts of the file that a model came from. They are found in its skeleton, by the marks that
// nodes and values have as their source.
#include <string.h>

#include "proto/write.h"

const struct bnr_mark *bnr__source_mark(const struct writer *w, const void *source) {
    // A source of another model would be somewhere else.
    uintptr_t at = (uintptr_t)source, first = w->skeleton ? (uintptr_t)w->skeleton->marks : 0;
    if (!source || !first || at < first || at - first >= w->skeleton->n_marks * sizeof(struct bnr_mark))
        return NULL;
    return source;
}

struct bnr_bytes bnr__source_bytes(const struct writer *w, const void *source,
                                   const ProtobufCMessageDescriptor *type) {
    const struct bnr_mark *mark = bnr__source_mark(w, source);
    if (!mark || mark->type != type)
        return (struct bnr_bytes){0};
    return (struct bnr_bytes){w->skeleton->bytes + mark->offset, mark->size};
}

bool bnr__source_field(struct bnr_bytes message, uint32_t id, struct bnr_wire_field *out) {
    struct bnr_wire w = bnr__wire(message);
    while (bnr__wire_next(&w, out))
        if (out->id == id)
            return true;
    return false;
}

static bool same_text(struct bnr_bytes b, const char *text) {
    size_t n = strlen(text);
    return b.size == n && (!n || memcmp(b.data, text, n) == 0);
}

bool bnr__source_says(struct bnr_bytes message, uint32_t id, const char *text) {
    struct bnr_wire_field f;
    return bnr__source_field(message, id, &f) && same_text(f.payload, text);
}

// ---- copying ----------------------------------------------------------------------------------------

struct copy {
    struct writer *w;
    struct bnr_bytes message;
    const ProtobufCMessageDescriptor *type;
};

static void copy_field(struct copy *c, struct bnr_sink *s, const struct bnr_wire_field *f) {
    const struct bnr_mark *mark = bnr__mark_at(c->w->skeleton, f);
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(c->type, f->id);
    if (mark) {
        if (mark->data.data)
            bnr__put_data(s, mark->data_field, mark->data.data, mark->data.size);
    } else if (fd && fd->type == PROTOBUF_C_TYPE_MESSAGE && bnr__type_has_marks(fd->descriptor)) {
        bnr__copy_message(c->w, s, f->id, f->payload, fd->descriptor);
    } else {
        bnr__put_bytes(s, f->start, (size_t)(f->payload.data + f->payload.size - f->start));
    }
}

static void emit_copy(struct bnr_sink *s, void *cx) {
    struct copy *c = cx;
    struct bnr_wire in = bnr__wire(c->message);
    struct bnr_wire_field f;
    while (bnr__wire_next(&in, &f))
        copy_field(c, s, &f);
}

void bnr__copy_message(struct writer *w, struct bnr_sink *s, uint32_t id, struct bnr_bytes message,
                       const ProtobufCMessageDescriptor *type) {
    if (bnr__type_has_marks(type))
        bnr__put_message(s, id, emit_copy, &(struct copy){w, message, type});
    else
        bnr__put_data(s, id, message.data, message.size);
}

void bnr__copy_fields(struct writer *w, struct bnr_sink *s, struct bnr_bytes message,
                      const ProtobufCMessageDescriptor *type, uint32_t id) {
    struct copy c = {w, message, type};
    struct bnr_wire in = bnr__wire(message);
    struct bnr_wire_field f;
    while (bnr__wire_next(&in, &f))
        if (f.id == id)
            copy_field(&c, s, &f);
}

void bnr__copy_unknown(struct writer *w, struct bnr_sink *s, struct bnr_bytes message,
                       const ProtobufCMessageDescriptor *type) {
    struct copy c = {w, message, type};
    struct bnr_wire in = bnr__wire(message);
    struct bnr_wire_field f;
    while (bnr__wire_next(&in, &f))
        if (!protobuf_c_message_descriptor_get_field(type, f.id) && !bnr__mark_at(w->skeleton, &f))
            copy_field(&c, s, &f);
}

void bnr__put_name(struct writer *w, struct bnr_sink *s, struct bnr_bytes message, uint32_t id,
                   const char *text) {
    if (text[0] || bnr__source_says(message, id, text))
        bnr__put_text(s, id, text);
}

// ---- finding ----------------------------------------------------------------------------------------

struct bnr_bytes bnr__find_named(struct finder *f, const char *name) {
    const uint8_t *end = f->message.data + f->message.size;
    struct bnr_wire_field field;
    if (!f->message.size)
        return (struct bnr_bytes){0};
    // From the last find to the end, then from the beginning.
    for (int round = 0; round < 2; round++) {
        const uint8_t *from = round == 0 && f->at ? f->at : f->message.data;
        struct bnr_wire w = bnr__wire((struct bnr_bytes){from, (size_t)(end - from)});
        while (bnr__wire_next(&w, &field))
            if (field.id == f->id && bnr__source_says(field.payload, 1, name)) {
                f->at = w.at;
                return field.payload;
            }
        if (!f->at)
            break;
    }
    return (struct bnr_bytes){0};
}
