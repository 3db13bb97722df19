// SPDX-License-Identifier: Apache-2.0
// Files as bytes: mapped where they are regular files, read where they are pipes.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/internal.h"
#include "runtime/base/checked.h"

static const uint8_t no_bytes[1];

static enum bnr_status read_failed(struct bnr_error *err) {
    return bnr__fail(err, BNR_IO, "cannot read: %s", strerror(errno));
}

static enum bnr_status map_file(struct bnr_mapping *m, int fd, size_t size, struct bnr_error *err) {
    if (size == 0)
        return BNR_OK;
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return bnr__fail(err, BNR_IO, "cannot map: %s", strerror(errno));
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    m->bytes = (struct bnr_bytes){p, size};
    m->readable = (size - 1) / page * page + page;
    return BNR_OK;
}

static enum bnr_status read_pipe(struct bnr_mapping *m, int fd, struct bnr_error *err) {
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0;
    enum bnr_status st = BNR_OK;
    for (;;) {
        if (capacity - size <= BNR_TENSOR_PAD) {
            size_t grown = capacity ? capacity : (size_t)1 << 16;
            uint8_t *p = NULL;
            if (bnr__size_mul(grown, 2, &grown))
                p = bnr__realloc(m->allocator, data, capacity, grown);
            if (!p) {
                st = bnr__no_memory(err);
                break;
            }
            data = p;
            capacity = grown;
        }
        ssize_t n = read(fd, data + size, capacity - size - BNR_TENSOR_PAD);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = read_failed(err);
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    // From here on the mapping owns the memory.
    if (data) {
        m->bytes = (struct bnr_bytes){data, size};
        m->readable = size + BNR_TENSOR_PAD;
        m->heap = capacity;
    }
    return st;
}

static enum bnr_status open_fd(struct bnr_mapping *m, int fd, bool plain, struct bnr_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return read_failed(err);
    if (S_ISREG(info.st_mode)) {
        if ((uintmax_t)info.st_size > SIZE_MAX / 2)
            return bnr__fail(err, BNR_UNSUPPORTED, "is too large for this machine");
        return map_file(m, fd, (size_t)info.st_size, err);
    }
    if (S_ISDIR(info.st_mode))
        return bnr__fail(err, BNR_IO, "is a folder, not a file");
    if (plain || !S_ISFIFO(info.st_mode))
        return bnr__fail(err, BNR_IO, "is not a regular file");
    return read_pipe(m, fd, err);
}

static enum bnr_status open_mapping(struct bnr_mapping **out, const char *path, bool plain,
                                    const struct bnr_allocator *a, struct bnr_error *err) {
    *out = NULL;
    // A fifo that nobody writes must not block where only regular files are wanted.
    int fd = open(path, O_RDONLY | O_CLOEXEC | (plain ? O_NOFOLLOW | O_NONBLOCK : 0));
    if (fd < 0)
        return bnr__fail(err, BNR_IO, "cannot open: %s", strerror(errno));
    enum bnr_status st;
    struct bnr_mapping *m = bnr__calloc(a, 1, sizeof *m);
    if (!m) {
        st = bnr__no_memory(err);
    } else {
        atomic_init(&m->refs, 1);
        m->allocator = a;
        m->bytes.data = no_bytes;
        st = open_fd(m, fd, plain, err);
    }
    close(fd);
    if (st == BNR_OK)
        *out = m;
    else
        bnr__mapping_unref(m);
    return st;
}

enum bnr_status bnr__mapping_open(struct bnr_mapping **out, const char *path,
                                  const struct bnr_allocator *a, struct bnr_error *err) {
    return open_mapping(out, path, false, a, err);
}

enum bnr_status bnr__mapping_open_plain(struct bnr_mapping **out, const char *path,
                                        const struct bnr_allocator *a, struct bnr_error *err) {
    return open_mapping(out, path, true, a, err);
}

struct bnr_mapping *bnr__mapping_ref(struct bnr_mapping *m) {
    if (m)
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void bnr__mapping_unref(struct bnr_mapping *m) {
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (m->heap)
        bnr__free(m->allocator, bnr__unconst(m->bytes.data), m->heap);
    else if (m->bytes.size)
        munmap(bnr__unconst(m->bytes.data), m->bytes.size);
    bnr__free(m->allocator, m, sizeof *m);
}

void bnr__mapping_drop(const struct bnr_mapping *m, struct bnr_bytes range) {
    if (m->heap)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (size_t)(range.data - m->bytes.data), end = begin + range.size;
    begin = (begin + page - 1) / page * page; // whole pages only: the others may be shared
    end = end / page * page;
    if (begin < end)
        madvise(bnr__unconst(m->bytes.data + begin), end - begin, MADV_DONTNEED);
}
