// SPDX-License-Identifier: Apache-2.0
#include "proto/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_out(struct bnr_sink *s, const uint8_t *data, size_t size) {
    while (size && !s->error) {
        ssize_t n = write(s->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            s->error = errno ? errno : EIO;
            return;
        }
        data += n;
        size -= (size_t)n;
    }
}

static void flush(struct bnr_sink *s) {
    write_out(s, s->buffer, s->used);
    s->used = 0;
}

void bnr__put_bytes(struct bnr_sink *s, const void *data, size_t size) {
    s->size += size;
    if (!s->buffer || !size)
        return;
    if (size > BNR_SINK_ROOM - s->used)
        flush(s);
    if (size > BNR_SINK_ROOM) {
        write_out(s, data, size);
        return;
    }
    memcpy(s->buffer + s->used, data, size);
    s->used += size;
}

uint8_t *bnr__sink_room(struct bnr_sink *s) {
    if (s->buffer)
        flush(s);
    return s->buffer;
}

void bnr__sink_filled(struct bnr_sink *s, size_t size) {
    s->size += size;
    s->used += size;
}

void bnr__put_zeros(struct bnr_sink *s, uint64_t size) {
    static const uint8_t zeros[512];
    while (size) {
        size_t n = size < sizeof zeros ? (size_t)size : sizeof zeros;
        bnr__put_bytes(s, zeros, n);
        size -= n;
    }
}

void bnr__put_varint(struct bnr_sink *s, uint64_t v) {
    uint8_t bytes[10];
    bnr__put_bytes(s, bytes, bnr__varint_write(bytes, v));
}

void bnr__put_tag(struct bnr_sink *s, uint32_t id, enum bnr_wire_type type) {
    bnr__put_varint(s, (uint64_t)id << 3 | type);
}

void bnr__put_int(struct bnr_sink *s, uint32_t id, int64_t v) {
    bnr__put_tag(s, id, BNR_WIRE_VARINT);
    bnr__put_varint(s, (uint64_t)v);
}

void bnr__put_float(struct bnr_sink *s, uint32_t id, float v) {
    bnr__put_tag(s, id, BNR_WIRE_FIXED32);
    bnr__put_bytes(s, &v, sizeof v);
}

void bnr__put_data(struct bnr_sink *s, uint32_t id, const void *data, size_t size) {
    bnr__put_tag(s, id, BNR_WIRE_BYTES);
    bnr__put_varint(s, size);
    bnr__put_bytes(s, data, size);
}

void bnr__put_text(struct bnr_sink *s, uint32_t id, const char *text) {
    bnr__put_data(s, id, text, strlen(text));
}

void bnr__put_message(struct bnr_sink *s, uint32_t id, void (*emit)(struct bnr_sink *, void *cx),
                      void *cx) {
    struct bnr_sink counter = {0};
    emit(&counter, cx);
    bnr__put_tag(s, id, BNR_WIRE_BYTES);
    bnr__put_varint(s, counter.size);
    // Counting again would make nested counting exponential in the depth.
    if (s->buffer)
        emit(s, cx);
    else
        s->size += counter.size;
}

// ---- files ------------------------------------------------------------------------------------------

static enum bnr_status io_failed(const struct bnr_target *t, const char *what, int error,
                                 struct bnr_error *err) {
    return bnr__fail(err, BNR_IO, "%s: cannot %s: %s", t->final, what, strerror(error));
}

// The file that a link points at is the one to replace.
static enum bnr_status resolve(struct bnr_target *t, const char *path) {
    char real[PATH_MAX];
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && realpath(path, real))
        path = real;
    t->final_size = strlen(path) + 1;
    t->final = bnr__malloc(t->allocator, t->final_size);
    if (!t->final)
        return BNR_NO_MEMORY;
    memcpy(t->final, path, t->final_size);
    return BNR_OK;
}

static enum bnr_status open_temporary(struct bnr_target *t, struct bnr_error *err) {
    t->temporary_size = t->final_size + 40;
    t->temporary = bnr__malloc(t->allocator, t->temporary_size);
    if (!t->temporary)
        return bnr__no_memory(err);
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(t->temporary, t->temporary_size, "%s.%ld-%d.tmp", t->final, (long)getpid(), attempt);
        t->sink.fd = open(t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (t->sink.fd >= 0 || errno != EEXIST)
            break;
    }
    if (t->sink.fd >= 0)
        return BNR_OK;
    int error = errno;
    bnr__free(t->allocator, t->temporary, t->temporary_size);
    t->temporary = NULL;
    return io_failed(t, "write", error, err);
}

enum bnr_status bnr__target_reserve(struct bnr_target *t, uint64_t size, struct bnr_error *err) {
#if defined(__linux__)
    // Other errors: a file system that cannot, which costs nothing but time.
    if (t->temporary && size > 0 && size <= INT64_MAX &&
        fallocate(t->sink.fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) != 0 && errno == ENOSPC)
        return io_failed(t, "write", errno, err);
#endif
    return BNR_OK;
}

enum bnr_status bnr__target_open(struct bnr_target *t, const char *path, const struct bnr_allocator *a,
                                 struct bnr_error *err) {
    struct stat info;
    *t = (struct bnr_target){.allocator = a};
    t->sink.fd = -1;
    if (resolve(t, path) != BNR_OK)
        return bnr__no_memory(err);
    t->sink.buffer = bnr__malloc(a, BNR_SINK_ROOM);
    if (!t->sink.buffer)
        return bnr__no_memory(err);
    if (stat(t->final, &info) == 0 && !S_ISREG(info.st_mode)) {
        t->sink.fd = open(t->final, O_WRONLY | O_CLOEXEC);
        return t->sink.fd >= 0 ? BNR_OK : io_failed(t, "write", errno, err);
    }
    return open_temporary(t, err);
}

enum bnr_status bnr__target_close(struct bnr_target *t, struct bnr_error *err) {
    flush(&t->sink);
    int error = t->sink.error;
    if (close(t->sink.fd) != 0 && !error)
        error = errno;
    t->sink.fd = -1;
    return error ? io_failed(t, "write", error, err) : BNR_OK;
}

enum bnr_status bnr__target_commit(struct bnr_target *t, struct bnr_error *err) {
    if (!t->temporary)
        return BNR_OK;
    if (rename(t->temporary, t->final) != 0)
        return io_failed(t, "write", errno, err);
    bnr__free(t->allocator, t->temporary, t->temporary_size);
    t->temporary = NULL;
    return BNR_OK;
}

void bnr__target_abandon(struct bnr_target *t) {
    if (t->sink.buffer && t->sink.fd >= 0)
        close(t->sink.fd);
    if (t->temporary)
        unlink(t->temporary);
    bnr__free(t->allocator, t->temporary, t->temporary_size);
    bnr__free(t->allocator, t->final, t->final_size);
    bnr__free(t->allocator, t->sink.buffer, BNR_SINK_ROOM);
    *t = (struct bnr_target){0};
}
