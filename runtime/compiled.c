// SPDX-License-Identifier: Apache-2.0
// Opening compiled models: the file, its header, its checksums.
#include "runtime/compiled.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "runtime/compiled_read.h"
#include "runtime/interface.h"
#include "runtime/kernels/cpu.h"

static const char magic[8] = "bnrun\r\n";

// ---- checksums ----------------------------------------------------------------------------------

// Multiplying by an odd number loses nothing: lanes differ when a word of theirs did.
static void add_blocks(uint64_t lane[8], const uint8_t *p, size_t n) {
    uint64_t l[8];
    memcpy(l, lane, sizeof l);
    for (; n > 0; n--, p += 64) {
        uint64_t word[8];
        memcpy(word, p, sizeof word);
        for (int i = 0; i < 8; i++)
            l[i] = (l[i] ^ word[i]) * 0x9e3779b97f4a7c15u;
    }
    memcpy(lane, l, sizeof l);
}

void bnr__compiled_sum_add(struct bnr_compiled_sum *sum, const void *data, size_t size) {
    const uint8_t *p = data;
    const size_t used = sum->size % 64;
    sum->size += size;
    if (used > 0) {
        const size_t n = size < 64 - used ? size : 64 - used;
        memcpy(sum->rest + used, p, n);
        p += n;
        size -= n;
        if (used + n < 64)
            return;
        add_blocks(sum->lane, sum->rest, 1);
    }
    add_blocks(sum->lane, p, size / 64);
    if (size % 64)
        memcpy(sum->rest, p + size / 64 * 64, size % 64);
}

uint64_t bnr__compiled_sum_end(struct bnr_compiled_sum *sum) {
    const size_t used = sum->size % 64;
    if (used > 0) {
        memset(sum->rest + used, 0, 64 - used);
        add_blocks(sum->lane, sum->rest, 1);
    }
    uint64_t h = sum->size;
    for (int i = 0; i < 8; i++) {
        h = (h ^ sum->lane[i]) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    return h;
}

uint64_t bnr__compiled_hash(const void *data, size_t size) {
    struct bnr_compiled_sum sum = {.size = 0};
    if (size > 0)
        bnr__compiled_sum_add(&sum, data, size);
    return bnr__compiled_sum_end(&sum);
}

// ---- the file -----------------------------------------------------------------------------------

bool bnr__compiled_is(const char *path) {
    struct stat info;
    char start[sizeof magic];
    bool is = false;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) // opening a pipe would wait for its writer
        return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
        is = pread(fd, start, sizeof start, 0) == (ssize_t)sizeof start &&
             memcmp(start, magic, sizeof magic) == 0;
    close(fd);
    return is;
}

struct bnr_compiled *bnr__compiled_ref(struct bnr_compiled *c) {
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void bnr__compiled_unref(struct bnr_compiled *c) {
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    bnr__model_free(c->original);
    if (c->bytes)
        munmap((void *)(uintptr_t)c->bytes, c->size);
    pthread_mutex_destroy(&c->lock);
    if (c->path)
        bnr__free(c->allocator, c->path, strlen(c->path) + 1);
    bnr__free(c->allocator, c, sizeof *c);
}

static void release_source(void *source) {
    bnr__compiled_unref(source);
}

struct bnr_compiled *bnr__compiled_of(const struct bnr_model *m) {
    return m->release_source == release_source ? m->source : NULL;
}

static enum bnr_status map(struct bnr_compiled *c, struct bnr_error *err) {
    struct stat info;
    const int fd = open(c->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bnr__fail(err, BNR_IO, "cannot open: %s", strerror(errno));
    void *p = MAP_FAILED;
    if (fstat(fd, &info) == 0 && info.st_size >= (off_t)sizeof c->header) {
        c->size = (size_t)info.st_size;
        p = mmap(NULL, c->size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (p == MAP_FAILED)
        return bnr__fail(err, BNR_MALFORMED, "compiled model: cut off, or it cannot be mapped");
    c->bytes = p;
    memcpy(&c->header, p, sizeof c->header);
    return BNR_OK;
}

static struct bnr_compiled *compiled_new(const char *path, const struct bnr_allocator *a) {
    struct bnr_compiled *c = bnr__calloc(a, 1, sizeof *c);
    const size_t size = strlen(path) + 1;
    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->allocator = a;
    pthread_mutex_init(&c->lock, NULL);
    c->path = bnr__malloc(a, size);
    if (!c->path) {
        bnr__compiled_unref(c);
        return NULL;
    }
    memcpy(c->path, path, size);
    return c;
}

// ---- the header ---------------------------------------------------------------------------------

static enum bnr_status damaged(const char *what, struct bnr_error *err) {
    return bnr__fail(err, BNR_MALFORMED, "compiled model: %s is damaged", what);
}

// Sections lie behind each other and fill the file.
static bool sections_fit(const struct bnr_compiled_header *h, uint64_t size) {
    const uint64_t data_end = h->data + h->data_size;
    if (h->text != sizeof *h || h->text_size > size || h->data > size || h->data_size > size ||
        h->original > size || h->original_size > size || h->text_size > BNR_COMPILED_TEXT_MAX)
        return false;
    if (h->text_size % 8 != 0 || h->data % BNR_COMPILED_PAGE != 0 ||
        h->text + h->text_size > h->data || data_end > size)
        return false;
    if (h->original == 0)
        return h->original_size == 0 && data_end == size;
    return h->original == data_end && h->original_size == size - data_end && h->original_size > 0;
}

static enum bnr_status check_header(struct bnr_compiled *c, struct bnr_error *err) {
    struct bnr_compiled_header h = c->header;
    h.header_hash = 0;
    if (h.format != BNR_COMPILED_FORMAT)
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "compiled model: format %" PRIu64 ", this library reads %d: compile it again",
                         h.format, BNR_COMPILED_FORMAT);
    if (bnr__compiled_hash(&h, sizeof h) != c->header.header_hash)
        return damaged("its header", err);
    h.build[sizeof h.build - 1] = h.cpu[sizeof h.cpu - 1] = '\0';
    if (strcmp(h.build, bnr__build_id()) != 0)
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "compiled model: made by bnrun %s, this is %s: compile it again", h.build,
                         bnr__build_id());
    if (h.file_size != c->size)
        return bnr__fail(err, BNR_MALFORMED, "compiled model: %zu bytes, it should have %" PRIu64,
                         c->size, h.file_size);
    if (!sections_fit(&h, c->size))
        return damaged("its header", err);
    if (bnr__compiled_hash(c->bytes + h.text, (size_t)h.text_size) != h.text_hash)
        return damaged("its graph", err);
    return BNR_OK;
}

enum bnr_status bnr__compiled_check(const struct bnr_compiled *c, struct bnr_error *err) {
    const struct bnr_compiled_header *h = &c->header;
    if (bnr__compiled_hash(c->bytes + h->data, (size_t)h->data_size) != h->data_hash)
        return damaged("the data", err);
    if (h->original &&
        bnr__compiled_hash(c->bytes + h->original, (size_t)h->original_size) != h->original_hash)
        return damaged("the original model in it", err);
    return BNR_OK;
}

// ---- models -------------------------------------------------------------------------------------

static enum bnr_status read_model(struct bnr_model *m, struct bnr_compiled *c,
                                  struct bnr_error *err) {
    BNR_TRY(map(c, err));
    BNR_TRY(check_header(c, err));
    BNR_TRY(bnr__compiled_read(m, c, err));
    BNR_TRY(bnr__model_complete(m, err));
    // What a file can spoil beyond repair is for the caller a bad file, not a bug of ours.
    if (bnr__model_verify(m, err) != BNR_OK)
        return damaged("its graph", err);
    if (m->n_missing > 0)
        return damaged("its graph", err);
    return BNR_OK;
}

enum bnr_status bnr__compiled_open(struct bnr_model **out, const char *path,
                                   const struct bnr_allocator *a, struct bnr_error *err) {
    *out = NULL;
    struct bnr_compiled *c = compiled_new(path, a);
    struct bnr_model *m = c ? bnr__model_new(a) : NULL;
    if (!m) {
        bnr__compiled_unref(c);
        return bnr__no_memory(err);
    }
    m->source = c; // the model's reference
    m->release_source = release_source;
    m->path = bnr__model_intern(m, path);
    const enum bnr_status st = m->path ? read_model(m, c, err) : bnr__no_memory(err);
    if (st == BNR_OK) {
        *out = m;
        return BNR_OK;
    }
    bnr__model_free(m);
    return bnr__fail_prefix(err, st, "%s", path);
}

static enum bnr_status load_original(struct bnr_compiled *c, struct bnr_error *err) {
    const struct bnr_compiled_header *h = &c->header;
    if (c->original)
        return BNR_OK;
    if (!h->original)
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "%s: compiled without the original model, which this would need", c->path);
    struct bnr_model *m;
    BNR_TRY(bnr__model_read_part(&m, c->path, h->original, h->original_size, c->allocator, err));
    const enum bnr_status st = bnr__model_complete(m, err);
    if (st == BNR_OK)
        c->original = m;
    else
        bnr__model_free(m);
    return st;
}

enum bnr_status bnr__compiled_load_original(struct bnr_model **out, struct bnr_compiled *c,
                                            struct bnr_error *err) {
    *out = NULL;
    pthread_mutex_lock(&c->lock);
    const enum bnr_status st = load_original(c, err);
    pthread_mutex_unlock(&c->lock);
    if (st == BNR_OK)
        *out = bnr__model_ref(c->original);
    return st;
}

enum bnr_status bnr__compiled_original(struct bnr_model **out, const struct bnr_model *m,
                                       struct bnr_error *err) {
    if (bnr__compiled_of(m))
        return bnr__compiled_load_original(out, bnr__compiled_of(m), err);
    *out = bnr__model_ref(bnr__model_unconst(m));
    return BNR_OK;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

enum bnr_status bnr__compiled_suits(const struct bnr_compiled *c, const struct bnr_options *o,
                                    unsigned cpu, bool *suits, struct bnr_error *err) {
    const unsigned silent = BNR_PROFILE | BNR_SPIN; // change no result
    const char *level = bnr__cpu_level_name(cpu);
    *suits = (o->flags & ~silent) == c->header.flags && same_text(o->passes, c->passes) &&
             same_text(o->keep, c->keep) && o->stop_after == c->stop_after && !o->print_after;
    if (!*suits || strncmp(level, c->header.cpu, sizeof c->header.cpu) == 0)
        return BNR_OK;
    return bnr__fail(err, BNR_UNSUPPORTED,
                     "%s: compiled for cpu level %.*s, this is %s: compile it again", c->path,
                     (int)sizeof c->header.cpu, c->header.cpu, level);
}
