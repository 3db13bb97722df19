// SPDX-License-Identifier: Apache-2.0
#include "graph/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/checked.h"

enum bnr_status bnr__shape_numel(const int64_t *dims, int rank, const char *what, size_t *numel,
                                 struct bnr_error *err) {
    size_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return bnr__fail(err, BNR_SHAPE, "%s: dim %d is %" PRId64 ", expected >= 0", what, i,
                             dims[i]);
        // A zero dim makes the tensor empty, however large the others are.
        if (dims[i] == 0)
            empty = true;
        else if (!bnr__size_mul(n, (size_t)dims[i], &n) || n > PTRDIFF_MAX / 16)
            return bnr__fail(err, BNR_SHAPE, "%s: the product of its dims overflows at dim %d (%" PRId64 ")",
                             what, i, dims[i]);
    }
    *numel = empty ? 0 : n;
    return BNR_OK;
}

void bnr__tensor_set(struct bnr_tensor *t, enum bnr_dtype dtype, int rank, const int64_t *dims,
                     void *data) {
    t->kind = BNR_KIND_TENSOR;
    t->dtype = dtype;
    t->rank = rank;
    t->numel = 1;
    for (int i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        t->numel *= (size_t)dims[i];
    }
    t->nbytes = t->numel * bnr__dtype_size(dtype);
    t->data = data;
}

static struct bnr_tensor *new_header(const struct bnr_allocator *a, enum bnr_kind kind,
                                     enum bnr_dtype dtype) {
    struct bnr_tensor *t = bnr__calloc(a, 1, sizeof *t);
    if (!t)
        return NULL;
    atomic_init(&t->refs, 1);
    t->kind = kind;
    t->dtype = dtype;
    t->allocator = a;
    return t;
}

static void release_own_buffer(struct bnr_tensor *t) {
    bnr__free_tensor(t->allocator, t->data, t->nbytes);
}

enum bnr_status bnr__tensor_wrap(struct bnr_tensor **out, const struct bnr_allocator *a,
                                 enum bnr_dtype dtype, int rank, const int64_t *dims, void *data,
                                 void (*release)(struct bnr_tensor *), void *owner,
                                 struct bnr_error *err) {
    *out = NULL;
    size_t numel;
    if (!bnr__dtype_valid((int)dtype))
        return bnr__fail(err, BNR_SHAPE, "tensor: dtype %d is not known", (int)dtype);
    if (rank < 0 || rank > BNR_MAX_RANK)
        return bnr__fail(err, BNR_UNSUPPORTED, "tensor: rank %d, at most %d is supported", rank,
                         BNR_MAX_RANK);
    BNR_TRY(bnr__shape_numel(dims, rank, "tensor", &numel, err));
    struct bnr_tensor *t = new_header(a, BNR_KIND_TENSOR, dtype);
    if (!t)
        return bnr__no_memory(err);
    bnr__tensor_set(t, dtype, rank, dims, data);
    t->numel = numel;
    t->nbytes = numel * bnr__dtype_size(dtype);
    t->release = release;
    t->owner = owner;
    *out = t;
    return BNR_OK;
}

enum bnr_status bnr__tensor_new(struct bnr_tensor **out, const struct bnr_allocator *a,
                                enum bnr_dtype dtype, int rank, const int64_t *dims,
                                struct bnr_error *err) {
    BNR_TRY(bnr__tensor_wrap(out, a, dtype, rank, dims, NULL, NULL, NULL, err));
    struct bnr_tensor *t = *out;
    t->data = bnr__malloc_tensor(a, t->nbytes);
    if (!t->data) {
        size_t bytes = t->nbytes;
        bnr__tensor_unref(t);
        *out = NULL;
        return bnr__fail(err, BNR_NO_MEMORY, "out of memory for a tensor of %zu bytes", bytes);
    }
    if (dtype == BNR_STRING) // an unwritten element is the empty string
        memset(t->data, 0, t->nbytes);
    t->release = release_own_buffer;
    return BNR_OK;
}

static void release_base(struct bnr_tensor *t) {
    bnr__tensor_unref(t->owner);
}

enum bnr_status bnr__tensor_view(struct bnr_tensor **out, struct bnr_tensor *base, int rank,
                                 const int64_t *dims, struct bnr_error *err) {
    BNR_TRY(bnr__tensor_wrap(out, base->allocator, base->dtype, rank, dims, base->data, release_base,
                             base, err));
    if ((*out)->numel != base->numel) {
        size_t numel = (*out)->numel;
        (*out)->release = NULL;
        bnr__tensor_unref(*out);
        *out = NULL;
        return bnr__fail(err, BNR_SHAPE, "a view of %zu elements on a tensor of %zu", numel,
                         base->numel);
    }
    bnr__tensor_ref(base);
    return BNR_OK;
}

enum bnr_status bnr__tensor_new_kind(struct bnr_tensor **out, const struct bnr_allocator *a,
                                     enum bnr_kind kind, enum bnr_dtype dtype,
                                     struct bnr_error *err) {
    *out = new_header(a, kind, dtype);
    return *out ? BNR_OK : bnr__no_memory(err);
}

enum bnr_status bnr__tensor_push(struct bnr_tensor *t, struct bnr_tensor *item,
                                 struct bnr_error *err) {
    if (t->n_items == t->items_capacity) {
        size_t grown = t->items_capacity ? t->items_capacity * 2 : 4;
        struct bnr_tensor **items =
            bnr__realloc(t->allocator, t->items, t->items_capacity * sizeof(struct bnr_tensor *),
                         grown * sizeof(struct bnr_tensor *));
        if (!items)
            return bnr__no_memory(err);
        t->items = items;
        t->items_capacity = grown;
    }
    t->items[t->n_items++] = bnr__tensor_ref(item);
    return BNR_OK;
}

struct bnr_tensor *bnr__tensor_ref(struct bnr_tensor *t) {
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void bnr__tensor_unref(struct bnr_tensor *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->n_items; i++)
        bnr__tensor_unref(t->items[i]);
    bnr__free(t->allocator, t->items, t->items_capacity * sizeof(struct bnr_tensor *));
    if (t->release)
        t->release(t);
    bnr__free(t->allocator, t, sizeof *t);
}

// ---- copies -----------------------------------------------------------------------------------------

// Owned string tensors keep all bytes in one block, whose size is in front of it.
struct string_block {
    size_t size; // of the whole block
    char bytes[];
};

static void release_strings(struct bnr_tensor *t) {
    struct string_block *block = t->owner;
    bnr__free(t->allocator, block, block->size);
    release_own_buffer(t);
}

static enum bnr_status clone_strings(struct bnr_tensor *copy, const struct bnr_tensor *t,
                                     struct bnr_error *err) {
    size_t total = sizeof(struct string_block);
    for (size_t i = 0; i < t->numel; i++)
        if (!bnr__size_add(total, t->str[i].len, &total))
            return bnr__no_memory(err);
    struct string_block *block = bnr__malloc(copy->allocator, total);
    if (!block)
        return bnr__no_memory(err);
    block->size = total;
    char *p = block->bytes;
    for (size_t i = 0; i < t->numel; i++) {
        if (t->str[i].len)
            memcpy(p, t->str[i].ptr, t->str[i].len);
        copy->str[i] = (struct bnr_str){p, t->str[i].len};
        p += t->str[i].len;
    }
    copy->owner = block;
    copy->release = release_strings;
    return BNR_OK;
}

static enum bnr_status clone_items(struct bnr_tensor *copy, const struct bnr_tensor *t,
                                   struct bnr_error *err) {
    for (size_t i = 0; i < t->n_items; i++) {
        struct bnr_tensor *item;
        BNR_TRY(bnr__tensor_clone(&item, copy->allocator, t->items[i], err));
        enum bnr_status st = bnr__tensor_push(copy, item, err);
        bnr__tensor_unref(item);
        BNR_TRY(st);
    }
    return BNR_OK;
}

enum bnr_status bnr__tensor_clone(struct bnr_tensor **out, const struct bnr_allocator *a,
                                  const struct bnr_tensor *t, struct bnr_error *err) {
    enum bnr_status st;
    if (t->kind != BNR_KIND_TENSOR) {
        BNR_TRY(bnr__tensor_new_kind(out, a, t->kind, t->dtype, err));
        (*out)->rank = t->rank;
        memcpy((*out)->dims, t->dims, sizeof t->dims);
        st = clone_items(*out, t, err);
    } else {
        BNR_TRY(bnr__tensor_new(out, a, t->dtype, t->rank, t->dims, err));
        st = BNR_OK;
        if (t->dtype == BNR_STRING)
            st = clone_strings(*out, t, err);
        else
            bnr__tensor_copy(t, (*out)->data, 0, t->numel);
    }
    if (st != BNR_OK) {
        bnr__tensor_unref(*out);
        *out = NULL;
    }
    return st;
}

enum { CAST_CHUNK = 256 };

// Through the narrowest of double and int64_t that holds the source exactly.
static void cast_chunk(const struct bnr_tensor *dst, const struct bnr_tensor *src, size_t begin,
                       size_t n) {
    uint64_t made[2 * CAST_CHUNK];
    const void *from = src->lazy ? (const void *)made : src->u8 + begin * bnr__dtype_size(src->dtype);
    void *to = dst->u8 + begin * bnr__dtype_size(dst->dtype);
    if (src->lazy)
        bnr__tensor_copy(src, made, begin, n);
    if (bnr__dtype_is_float(src->dtype)) {
        double buf[CAST_CHUNK];
        bnr__load_f64(buf, src->dtype, from, n);
        bnr__store_f64(dst->dtype, to, buf, n);
    } else {
        int64_t buf[CAST_CHUNK];
        bnr__load_i64(buf, src->dtype, from, n);
        bnr__store_i64(dst->dtype, to, buf, n);
    }
}

enum bnr_status bnr__tensor_cast(struct bnr_tensor **out, const struct bnr_allocator *a,
                                 const struct bnr_tensor *t, enum bnr_dtype dtype,
                                 struct bnr_error *err) {
    BNR_TRY(bnr__tensor_new(out, a, dtype, t->rank, t->dims, err));
    for (size_t i = 0; i < t->numel; i += CAST_CHUNK)
        cast_chunk(*out, t, i, t->numel - i < CAST_CHUNK ? t->numel - i : CAST_CHUNK);
    return BNR_OK;
}

// ---- alignment --------------------------------------------------------------------------------------

static size_t alignment(enum bnr_dtype dtype) {
    const size_t size = bnr__dtype_size(dtype);
    return dtype == BNR_COMPLEX64 ? 4 : size > 8 ? 8 : size;
}

bool bnr__tensor_is_aligned(const struct bnr_tensor *t) {
    return t->kind != BNR_KIND_TENSOR ||
           (!t->lazy && (uintptr_t)t->data % alignment(t->dtype) == 0);
}

static void release_lazy(struct bnr_tensor *t) {
    bnr__tensor_unref(t->lazy->base);
    bnr__free(t->allocator, (void *)(uintptr_t)t->lazy, t->lazy->size);
}

static void drop_base(const struct bnr_tensor *t, size_t begin, size_t bytes) {
    if (t->lazy->base->drop)
        t->lazy->base->drop(t->lazy->base, begin, bytes);
}

enum bnr_status bnr__tensor_lazy(struct bnr_tensor **out, const struct bnr_allocator *a, int rank,
                                 const int64_t *dims, struct bnr_lazy *lazy, struct bnr_error *err) {
    const enum bnr_status st =
        bnr__tensor_wrap(out, a, lazy->base->dtype, rank, dims, NULL, release_lazy, NULL, err);
    if (st != BNR_OK) {
        bnr__tensor_unref(lazy->base);
        bnr__free(a, lazy, lazy->size);
        return st;
    }
    (*out)->lazy = lazy;
    (*out)->drop = drop_base;
    return BNR_OK;
}

void bnr__tensor_copy(const struct bnr_tensor *t, void *dst, size_t begin, size_t n) {
    const size_t size = bnr__dtype_size(t->dtype);
    if (t->lazy)
        t->lazy->fill(t->lazy, dst, begin, n);
    else if (n)
        memcpy(dst, t->u8 + begin * size, n * size);
}

enum bnr_status bnr__tensor_align(struct bnr_tensor **out, struct bnr_tensor *t,
                                  struct bnr_error *err) {
    if (bnr__tensor_is_aligned(t)) {
        *out = bnr__tensor_ref(t);
        return BNR_OK;
    }
    BNR_TRY(bnr__tensor_new(out, t->allocator, t->dtype, t->rank, t->dims, err));
    bnr__tensor_copy(t, (*out)->data, 0, t->numel);
    bnr__tensor_found(t, BNR_FOUND_ALL);
    bnr__tensor_drop_pages(t);
    return BNR_OK;
}

// ---- questions --------------------------------------------------------------------------------------

double bnr__tensor_any_f64(const struct bnr_tensor *t, size_t i) {
    uint64_t element[2];
    if (!t->lazy)
        return bnr__get_f64(t->dtype, t->data, i);
    bnr__tensor_copy(t, element, i, 1);
    return bnr__get_f64(t->dtype, element, 0);
}

int64_t bnr__tensor_i64(const struct bnr_tensor *t, size_t i) {
    uint64_t element[2];
    if (!t->lazy)
        return bnr__get_i64(t->dtype, t->data, i);
    bnr__tensor_copy(t, element, i, 1);
    return bnr__get_i64(t->dtype, element, 0);
}

static bool same_pieces(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    enum { PIECE = 4096 };
    uint64_t x[PIECE / 8], y[PIECE / 8];
    const size_t size = bnr__dtype_size(a->dtype), most = PIECE / size;
    for (size_t at = 0, n; at < a->numel; at += n) {
        n = a->numel - at < most ? a->numel - at : most;
        bnr__tensor_copy(a, x, at, n);
        bnr__tensor_copy(b, y, at, n);
        if (memcmp(x, y, n * size) != 0)
            return false;
    }
    return true;
}

static bool same_elements(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    if (bnr__tensor_is_hollow(a) || bnr__tensor_is_hollow(b))
        return false;
    if (a->lazy || b->lazy)
        return same_pieces(a, b);
    if (a->dtype != BNR_STRING)
        return a->nbytes == 0 || memcmp(a->data, b->data, a->nbytes) == 0;
    for (size_t i = 0; i < a->numel; i++)
        if (a->str[i].len != b->str[i].len ||
            (a->str[i].len && memcmp(a->str[i].ptr, b->str[i].ptr, a->str[i].len) != 0))
            return false;
    return true;
}

bool bnr__tensor_equal(const struct bnr_tensor *a, const struct bnr_tensor *b) {
    if (a == b)
        return true;
    if (!a || !b || a->kind != b->kind || a->dtype != b->dtype || a->rank != b->rank ||
        a->n_items != b->n_items)
        return false;
    if (memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0)
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (!bnr__tensor_equal(a->items[i], b->items[i]))
            return false;
    return a->kind != BNR_KIND_TENSOR || same_elements(a, b);
}

const char *bnr__tensor_describe(const struct bnr_tensor *t, char *buf, size_t size) {
    static const char *const kinds[] = {"", "seq", "optional", "map", "sparse"};
    if (!t) {
        snprintf(buf, size, "nothing");
    } else if (t->kind == BNR_KIND_SEQUENCE || t->kind == BNR_KIND_OPTIONAL) {
        char inner[96] = "";
        if (t->n_items)
            bnr__tensor_describe(t->items[0], inner, sizeof inner);
        snprintf(buf, size, "%s(%s)[%zu]", kinds[t->kind], inner, t->n_items);
    } else if (t->kind == BNR_KIND_MAP) {
        snprintf(buf, size, "map(%s)", bnr__dtype_name(t->dtype));
    } else {
        int n = snprintf(buf, size, "%s%s[", kinds[t->kind], bnr__dtype_name(t->dtype));
        for (int i = 0; i < t->rank && n >= 0 && (size_t)n < size; i++)
            n += snprintf(buf + n, size - (size_t)n, "%s%" PRId64, i ? "," : "", t->dims[i]);
        if (n >= 0 && (size_t)n < size)
            snprintf(buf + n, size - (size_t)n, "]");
    }
    return buf;
}
