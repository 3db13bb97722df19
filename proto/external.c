// SPDX-License-Identifier: Apache-2.0
// External data. A location comes from an untrusted file: only regular files in the model's own folder,
// or below, are opened, after all links have been resolved.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include "proto/internal.h"

struct external_file {
    struct bnr_mapping *mapping;
    size_t taken; // bytes that tensors have taken from it
};

// How often the bytes of a file may be used on average. Tied weights share bytes; a file that asks for
// the same gigabyte again and again wants to exhaust memory.
enum { MAX_SHARING = 16 };

static const char *folder_of(struct bnr_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return bnr__arena_strdup(arena, ".");
    return bnr__arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

enum bnr_status bnr__external_init(struct bnr_external *x, const char *model_path,
                                   const struct bnr_allocator *a, struct bnr_error *err) {
    *x = (struct bnr_external){.allocator = a};
    bnr__arena_init(&x->arena, a);
    bnr__map_init(&x->files, &x->arena);
    x->folder = folder_of(&x->arena, model_path);
    if (!x->folder)
        return bnr__no_memory(err);
    // A model that cannot be resolved (a pipe) has no external data: the roots stay NULL.
    char real[PATH_MAX];
    if (realpath(x->folder, real)) {
        x->roots[0] = bnr__arena_strdup(&x->arena, real);
        if (!x->roots[0])
            return bnr__no_memory(err);
    }
    if (realpath(model_path, real)) {
        x->roots[1] = folder_of(&x->arena, real);
        if (!x->roots[1])
            return bnr__no_memory(err);
    }
    return BNR_OK;
}

void bnr__external_free(struct bnr_external *x) {
    for (size_t i = 0; i < x->files.count; i++)
        if (x->files.entries[i].value)
            bnr__mapping_unref(((struct external_file *)x->files.entries[i].value)->mapping);
    bnr__arena_free(&x->arena);
}

static bool inside(const char *path, const char *root) {
    if (!root)
        return false;
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '/' || root[n - 1] == '/');
}

static bool has_dot_dot(const char *path) {
    for (const char *p = path; (p = strstr(p, "..")); p += 2)
        if ((p == path || p[-1] == '/') && (p[2] == 0 || p[2] == '/'))
            return true;
    return false;
}

static enum bnr_status bad(struct bnr_error *err, enum bnr_status code, const char *location,
                           const char *why) {
    return bnr__fail(err, code, "external data '%s' %s", location, why);
}

static enum bnr_status open_file(struct bnr_external *x, const char *location,
                                 struct external_file **out, struct bnr_error *err) {
    char path[PATH_MAX], real[PATH_MAX];
    if (location[0] == '/')
        return bad(err, BNR_MALFORMED, location, "has an absolute path, expected one in the model's folder");
    if (has_dot_dot(location))
        return bad(err, BNR_MALFORMED, location, "has '..' in its path, expected a file in the model's folder");
    int n = snprintf(path, sizeof path, "%s/%s", x->folder, location);
    if (n < 0 || (size_t)n >= sizeof path)
        return bad(err, BNR_IO, location, "has a path that is too long");
    if (!realpath(path, real))
        return bad(err, BNR_IO, location, strerror(errno));
    if (!inside(real, x->roots[0]) && !inside(real, x->roots[1]))
        return bad(err, BNR_MALFORMED, location, "is a link to a file outside of the model's folder");
    struct external_file *f = BNR_NEW(&x->arena, struct external_file);
    const char *key = bnr__arena_strdup(&x->arena, location);
    if (!f || !key)
        return bnr__no_memory(err);
    enum bnr_status st = bnr__mapping_open_plain(&f->mapping, real, x->allocator, err);
    if (st != BNR_OK)
        return bnr__fail_prefix(err, st, "external data '%s'", location);
    if (!bnr__map_set(&x->files, key, f)) {
        bnr__mapping_unref(f->mapping);
        return bnr__no_memory(err);
    }
    *out = f;
    return BNR_OK;
}

// A decimal number and nothing else.
static bool parse_size(const char *s, uint64_t *out) {
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

struct place {
    const char *location;
    uint64_t offset, length;
    bool has_length;
};

static enum bnr_status parse_place(const Onnx__TensorProto *t, struct place *p, struct bnr_error *err) {
    *p = (struct place){0};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        if (!key || !value)
            return bnr__fail(err, BNR_MALFORMED, "external data entry without key or value");
        bool offset = strcmp(key, "offset") == 0, length = strcmp(key, "length") == 0;
        if (strcmp(key, "location") == 0)
            p->location = value;
        if ((offset && !parse_size(value, &p->offset)) || (length && !parse_size(value, &p->length)))
            return bnr__fail(err, BNR_MALFORMED, "external data %s is '%s', expected a number >= 0", key,
                             value);
        p->has_length |= length;
    }
    if (!p->location || !*p->location)
        return bnr__fail(err, BNR_MALFORMED, "external data without location");
    return BNR_OK;
}

enum bnr_status bnr__external_find(struct bnr_external *x, const Onnx__TensorProto *t, size_t size,
                                   struct bnr_mapping **mapping, struct bnr_bytes *out,
                                   struct bnr_error *err) {
    struct place p;
    BNR_TRY(parse_place(t, &p, err));
    if (p.has_length && p.length != size)
        return bnr__fail(err, BNR_MALFORMED,
                         "external data of %" PRIu64 " bytes, its dims and dtype need %zu", p.length, size);
    struct external_file *f = bnr__map_get(&x->files, p.location);
    if (!f)
        BNR_TRY(open_file(x, p.location, &f, err));
    x->used = true;
    struct bnr_bytes file = f->mapping->bytes;
    if (p.offset > file.size || size > file.size - p.offset)
        return bnr__fail(err, BNR_MALFORMED,
                         "external data '%s' has %zu bytes, %zu bytes at offset %" PRIu64 " are wanted",
                         p.location, file.size, size, p.offset);
    f->taken += size; // stays below (MAX_SHARING + 1) * file.size
    if (f->taken / MAX_SHARING > file.size)
        return bad(err, BNR_MALFORMED, p.location, "is used more often than its size allows");
    *mapping = f->mapping;
    *out = (struct bnr_bytes){file.data + p.offset, size};
    return BNR_OK;
}
