// SPDX-License-Identifier: Apache-2.0
// Reading models: bytes to skeleton to message to graph. The message lives only while the graph is built;
// the skeleton stays as the model's source, for the saver.
#include <string.h>

#include "proto/internal.h"
#include "proto/onnx_file.h"

static void release_source(void *source) {
    struct bnr_source *s = source;
    bnr__skeleton_free(&s->skeleton);
    bnr__arena_free(&s->copies);
    bnr__mapping_unref(s->mapping);
    bnr__free(s->allocator, s, sizeof *s);
}

static void rest_source(void *source) {
    const struct bnr_source *s = source;
    if (s->mapping)
        bnr__mapping_drop(s->mapping, s->mapping->bytes);
}

static struct bnr_model *new_model(const struct bnr_allocator *a, const char *path) {
    struct bnr_model *m = bnr__model_new(a);
    struct bnr_source *s = bnr__calloc(a, 1, sizeof *s);
    const char *copy = m ? bnr__arena_strdup(&m->arena, path) : NULL;
    if (!m || !s || !copy) {
        bnr__model_free(m);
        bnr__free(a, s, sizeof *s);
        return NULL;
    }
    s->allocator = a;
    bnr__arena_init(&s->copies, a);
    m->path = copy;
    m->source = s;
    m->release_source = release_source;
    m->rest_source = rest_source;
    return m;
}

// The caller's memory goes away: what the skeleton points at there is from now on the tensor's that was
// made of it, or a copy.
static enum bnr_status detach(struct bnr_source *s, struct bnr_error *err) {
    for (size_t i = 0; i < s->skeleton.n_marks; i++) {
        struct bnr_mark *mark = &s->skeleton.marks[i];
        const struct bnr_tensor *t = mark->tensor;
        if (!mark->data.data)
            continue;
        if (t && bnr__raw_is_memory(t->dtype) && t->dtype != BNR_BOOL) {
            mark->data.data = t->u8;
            continue;
        }
        uint8_t *copy = bnr__arena_aligned(&s->copies, mark->data.size, 1);
        if (!copy)
            return bnr__no_memory(err);
        if (mark->data.size)
            memcpy(copy, mark->data.data, mark->data.size);
        mark->data.data = copy;
    }
    return BNR_OK;
}

static enum bnr_status fill_model(struct bnr_model *m, struct bnr_bytes bytes,
                                  struct bnr_external *external, struct bnr_error *err) {
    struct bnr_source *s = m->source;
    struct bnr_arena temp;
    ProtobufCMessage *message;
    BNR_TRY(bnr__skeleton_make(&s->skeleton, &onnx__model_proto__descriptor, bytes, m->allocator, err));
    bnr__arena_init(&temp, m->allocator);
    enum bnr_status st =
        bnr__skeleton_unpack(&s->skeleton, &onnx__model_proto__descriptor, &temp, &message, err);
    if (st == BNR_OK) {
        struct bnr_tensor_reader r = {.allocator = m->allocator,
                                      .skeleton = &s->skeleton,
                                      .mapping = s->mapping,
                                      .external = external,
                                      .temp = &temp};
        st = bnr__model_build(m, (const Onnx__ModelProto *)message, &r, err);
    }
    bnr__arena_free(&temp);
    return st;
}

// size 0: to the end.
static enum bnr_status read_file(struct bnr_model *m, const char *path, uint64_t offset,
                                 uint64_t size, struct bnr_error *err) {
    struct bnr_source *s = m->source;
    struct bnr_external external;
    BNR_TRY(bnr__mapping_open(&s->mapping, path, m->allocator, err));
    const struct bnr_bytes all = s->mapping->bytes;
    if (all.size == 0)
        return bnr__fail(err, BNR_MALFORMED, "the file is empty");
    if (offset > all.size || size > all.size - offset)
        return bnr__fail(err, BNR_MALFORMED, "the file has %zu bytes only", all.size);
    s->part = (struct bnr_bytes){all.data + offset, size ? size : all.size - offset};
    enum bnr_status st = bnr__external_init(&external, path, m->allocator, err);
    if (st == BNR_OK)
        st = fill_model(m, s->part, &external, err);
    s->external = external.used;
    bnr__external_free(&external);
    return st;
}

static enum bnr_status finish(struct bnr_model **out, struct bnr_model *m, enum bnr_status st) {
    if (st == BNR_OK)
        *out = m;
    else
        bnr__model_free(m);
    return st;
}

enum bnr_status bnr__model_read_part(struct bnr_model **out, const char *path, uint64_t offset,
                                     uint64_t size, const struct bnr_allocator *a,
                                     struct bnr_error *err) {
    *out = NULL;
    struct bnr_model *m = new_model(a, path);
    enum bnr_status st = m ? read_file(m, path, offset, size, err) : bnr__no_memory(err);
    if (st != BNR_OK)
        bnr__fail_prefix(err, st, "%s", path);
    return finish(out, m, st);
}

enum bnr_status bnr__model_read_file(struct bnr_model **out, const char *path,
                                     const struct bnr_allocator *a, struct bnr_error *err) {
    return bnr__model_read_part(out, path, 0, 0, a, err);
}

struct bnr_bytes bnr__model_file_bytes(const struct bnr_model *m) {
    const struct bnr_source *s = m->source;
    if (!s || !s->mapping || s->external || m->release_source != release_source)
        return (struct bnr_bytes){0};
    return s->part;
}

enum bnr_status bnr__model_read_memory(struct bnr_model **out, const void *data, size_t size,
                                       const struct bnr_allocator *a, struct bnr_error *err) {
    *out = NULL;
    if (!size)
        return bnr__fail(err, BNR_MALFORMED, "the model is empty");
    struct bnr_model *m = new_model(a, "<memory>");
    enum bnr_status st = m ? fill_model(m, (struct bnr_bytes){data, size}, NULL, err)
                           : bnr__no_memory(err);
    if (st == BNR_OK)
        st = detach(m->source, err);
    return finish(out, m, st);
}
