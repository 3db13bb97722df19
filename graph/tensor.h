// SPDX-License-Identifier: Apache-2.0
// Tensors and the other things a value can be at run time (sequences, optionals, maps, sparse tensors):
// reference-counted, immutable once shared. Data may lie in a mapped file, in a plan's arena or in a
// caller's buffer; `release` knows.
#ifndef BNR_GRAPH_TENSOR_H
#define BNR_GRAPH_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "graph/dtype.h"
#include "runtime/base/alloc.h"
#include "runtime/base/status.h"

enum { BNR_MAX_RANK = 16 };

// The count of a header that is part of something else and must not be freed by the last unref.
enum { BNR_REFS_EMBEDDED = 1 << 30 };

struct bnr_tensor {
    atomic_int refs;
    enum bnr_kind kind;
    enum bnr_dtype dtype; // TENSOR, SPARSE: of the elements; MAP: of the keys
    int rank;             // TENSOR, SPARSE
    int64_t dims[BNR_MAX_RANK];
    size_t numel;  // product of dims; 1 for rank 0
    size_t nbytes; // numel * element size in memory
    union {        // the elements of a TENSOR, dense, row-major
        void *data;
        float *f32;
        double *f64;
        uint8_t *u8;
        int8_t *i8;
        uint16_t *u16;
        int16_t *i16;
        uint32_t *u32;
        int32_t *i32;
        uint64_t *u64;
        int64_t *i64;
        struct bnr_str *str;
    };
    // SEQUENCE: its elements. OPTIONAL: none or one. MAP: keys tensor, then a tensor or sequence of
    // values in the same order. SPARSE: values [nnz], indices [nnz] or [nnz, rank].
    struct bnr_tensor **items;
    size_t n_items, items_capacity;
    const struct bnr_allocator *allocator; // of this struct and of items
    void (*release)(struct bnr_tensor *t); // frees what `data` points at; NULL: not owned
    void *owner;                           // for release: a mapping, a parent tensor, ...
    // Data in a mapped file: these bytes will hardly be read again, their pages need not stay in memory.
    void (*drop)(const struct bnr_tensor *t, size_t begin, size_t bytes); // NULL: nothing to gain
    const struct bnr_lazy *lazy; // data NULL: where the elements come from; NULL: nowhere
};

// How the elements of a tensor are made of another one's, as often as they are asked for.
struct bnr_lazy {
    struct bnr_tensor *base; // of the same dtype and number of elements; a reference
    void (*fill)(const struct bnr_lazy *z, void *dst, size_t begin, size_t n); // elements begin ...
    size_t size;                                                              // of the struct around it
    // Not NULL: float32 elements that are the base's, a row's by its factor, in double, rounded
    // once, 0 where that is subnormal. The base has elements.
    const double *factors;
    size_t row_elems;
    atomic_int *found; // what reading showed, enum bnr_found in bits; NULL: nobody asks
};

enum bnr_found {
    BNR_FOUND_ALL = 1,        // all elements were read
    BNR_FOUND_NOT_FINITE = 2, // one that was read is infinite or no number
};

// Product of dims; BNR_SHAPE "... overflows" or "negative dim", naming `what`.
enum bnr_status bnr__shape_numel(const int64_t *dims, int rank, const char *what, size_t *numel,
                                 struct bnr_error *err);

// A tensor with its own uninitialized buffer (bnr__malloc_tensor). Zero-size dims are fine.
enum bnr_status bnr__tensor_new(struct bnr_tensor **out, const struct bnr_allocator *a,
                                enum bnr_dtype dtype, int rank, const int64_t *dims,
                                struct bnr_error *err);
// A tensor over memory that it does not own, unless release/owner say how to give it back.
enum bnr_status bnr__tensor_wrap(struct bnr_tensor **out, const struct bnr_allocator *a,
                                 enum bnr_dtype dtype, int rank, const int64_t *dims, void *data,
                                 void (*release)(struct bnr_tensor *), void *owner,
                                 struct bnr_error *err);
// A tensor without elements of its own. Takes over *lazy (bnr__malloc, the size in it), also on failure.
// Whoever reads elements takes bnr__tensor_align or bnr__tensor_copy.
enum bnr_status bnr__tensor_lazy(struct bnr_tensor **out, const struct bnr_allocator *a, int rank,
                                 const int64_t *dims, struct bnr_lazy *lazy, struct bnr_error *err);
// For whoever read elements: what was seen of them.
static inline void bnr__tensor_found(const struct bnr_tensor *t, enum bnr_found found) {
    if (t->lazy && t->lazy->found)
        atomic_fetch_or_explicit(t->lazy->found, (int)found, memory_order_relaxed);
}
// Large weights in a file stay lazy until a kernel packs them.
static inline bool bnr__tensor_stays_lazy(const struct bnr_tensor *t) {
    enum { WORTH_LAZINESS = 1 << 12 }; // bytes
    return t->lazy && t->lazy->base->drop && t->nbytes >= WORTH_LAZINESS;
}
// n elements from `begin` on, of a tensor that may be lazy or at any address.
void bnr__tensor_copy(const struct bnr_tensor *t, void *dst, size_t begin, size_t n);
// A view of the same bytes with other dims (same numel); holds a reference on `base`.
enum bnr_status bnr__tensor_view(struct bnr_tensor **out, struct bnr_tensor *base, int rank,
                                 const int64_t *dims, struct bnr_error *err);
// An empty SEQUENCE, OPTIONAL, MAP or SPARSE.
enum bnr_status bnr__tensor_new_kind(struct bnr_tensor **out, const struct bnr_allocator *a,
                                     enum bnr_kind kind, enum bnr_dtype dtype,
                                     struct bnr_error *err);
// Appends an item; takes its own reference.
enum bnr_status bnr__tensor_push(struct bnr_tensor *t, struct bnr_tensor *item,
                                 struct bnr_error *err);
// A deep copy that owns everything, strings included.
enum bnr_status bnr__tensor_clone(struct bnr_tensor **out, const struct bnr_allocator *a,
                                  const struct bnr_tensor *t, struct bnr_error *err);
// The same elements in another numeric dtype, by bnr__load/bnr__store's rules.
enum bnr_status bnr__tensor_cast(struct bnr_tensor **out, const struct bnr_allocator *a,
                                 const struct bnr_tensor *t, enum bnr_dtype dtype,
                                 struct bnr_error *err);

struct bnr_tensor *bnr__tensor_ref(struct bnr_tensor *t); // returns t; NULL stays NULL
void bnr__tensor_unref(struct bnr_tensor *t);             // NULL is fine

static inline struct bnr_tensor *bnr__tensor_unconst(const struct bnr_tensor *t) {
    return (struct bnr_tensor *)(uintptr_t)t; // to count owners, which does not change the tensor
}
// A new reference through a pointer to const: counting owners does not change the tensor, and what is
// shared is immutable by rule.
static inline struct bnr_tensor *bnr__tensor_share(const struct bnr_tensor *t) {
    return bnr__tensor_ref((struct bnr_tensor *)(uintptr_t)t);
}
// A reference that outlives a plan's memory: t itself where it owns its elements (`release` is set, or it
// is no TENSOR), else a copy. The bytes of strings stay where they are: they live as long as the run.
static inline enum bnr_status bnr__tensor_keep(struct bnr_tensor **out, const struct bnr_tensor *t,
                                               struct bnr_error *err) {
    if (t->kind != BNR_KIND_TENSOR || t->release) {
        *out = bnr__tensor_share(t);
        return BNR_OK;
    }
    enum bnr_status st = bnr__tensor_new(out, t->allocator, t->dtype, t->rank, t->dims, err);
    if (st == BNR_OK && t->nbytes > 0)
        memcpy((*out)->data, t->data, t->nbytes);
    return st;
}

// Constants in a mapped file may lie at any address. What reads them in place as other than bytes, or by
// bnr__load_* and bnr__tensor_f64/i64, takes an aligned one.
bool bnr__tensor_is_aligned(const struct bnr_tensor *t);
// A new reference: on t itself, or on an aligned copy with all elements (the original's pages are dropped).
enum bnr_status bnr__tensor_align(struct bnr_tensor **out, struct bnr_tensor *t, struct bnr_error *err);
// The elements will hardly be read again: where they are in a mapped file, their pages go.
static inline void bnr__tensor_drop_pages(const struct bnr_tensor *t) {
    if (t->drop)
        t->drop(t, 0, t->nbytes);
}

// A tensor that has its dims, but no elements any more (a session gave them back).
static inline bool bnr__tensor_is_hollow(const struct bnr_tensor *t) {
    return t->kind == BNR_KIND_TENSOR && !t->data && !t->lazy && t->nbytes > 0;
}

// Points an existing tensor header at other dims/data (numel and nbytes recomputed by the caller's
// promise that they do not overflow). For planners and views on the stack.
void bnr__tensor_set(struct bnr_tensor *t, enum bnr_dtype dtype, int rank, const int64_t *dims,
                     void *data);

// Element i as double / int64_t, any numeric dtype, also of a lazy tensor.
double bnr__tensor_any_f64(const struct bnr_tensor *t, size_t i);
static inline double bnr__tensor_f64(const struct bnr_tensor *t, size_t i) {
    float f;
    if (t->dtype != BNR_FLOAT || t->lazy) // the most frequent ones at once
        return bnr__tensor_any_f64(t, i);
    memcpy(&f, t->u8 + i * sizeof f, sizeof f);
    return (double)f;
}
int64_t bnr__tensor_i64(const struct bnr_tensor *t, size_t i);

// Same kind, dtype, dims and bytes (items compared recursively; strings by content).
bool bnr__tensor_equal(const struct bnr_tensor *a, const struct bnr_tensor *b);
// "float32[1,3,224,224]", "seq(float32[2])", for messages; returns buf.
const char *bnr__tensor_describe(const struct bnr_tensor *t, char *buf, size_t size);

#endif
