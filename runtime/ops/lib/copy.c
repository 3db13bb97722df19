// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/copy.h"

#include <string.h>

// A row is cut into blocks, and blocks are grouped for a thread, so that each piece is about this
// large.
enum { BLOCK_BYTES = 1 << 16, TILE = 16 };

// The same copy with strides in bytes, dims of size 1 dropped, and dims that run through both sides
// without a gap merged. Rank >= 1; the last dim is the innermost.
struct plan {
    size_t
        size; // of the elements that are moved: several of the caller's where those are contiguous
    int rank;
    int64_t dims[BNR_COPY_MAX_RANK];
    int64_t ds[BNR_COPY_MAX_RANK], ss[BNR_COPY_MAX_RANK];
    int across; // a dim along which src is contiguous while the last one is not; -1: none
    int64_t n_outer, n_blocks, block; // blocks cut the last dim, or `across`
    char *dst;
    const char *src;
};

void bnr__copy_dim(struct bnr_copy *c, int64_t n, int64_t dst_stride, int64_t src_stride) {
    const int k = c->rank++;
    c->dims[k] = n;
    c->dst_strides[k] = dst_stride;
    c->src_strides[k] = src_stride;
}

void bnr__dense_strides(int rank, const int64_t *dims, int64_t *strides) {
    uint64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = (int64_t)stride;
        stride *= (uint64_t)dims[i];
    }
}

static void add_dim(struct plan *p, int64_t n, int64_t ds, int64_t ss) {
    if (n == 1)
        return;
    const int k = p->rank;
    if (k > 0 && p->ds[k - 1] == ds * n && p->ss[k - 1] == ss * n) {
        p->dims[k - 1] *= n;
        p->ds[k - 1] = ds;
        p->ss[k - 1] = ss;
        return;
    }
    p->dims[k] = n;
    p->ds[k] = ds;
    p->ss[k] = ss;
    p->rank++;
}

// A contiguous innermost run of 2, 4, 8 or 16 bytes is moved as one element.
static void widen(struct plan *p) {
    const int k = p->rank - 1;
    const int64_t size = (int64_t)p->size;
    if (k < 1 || p->ds[k] != size || p->ss[k] != size || p->dims[k] > 16)
        return;
    const int64_t run = p->dims[k] * size;
    if (run > 16 || (run & (run - 1)) != 0)
        return;
    p->size = (size_t)run;
    p->rank--;
}

static void find_across(struct plan *p) {
    const int last = p->rank - 1;
    const int64_t size = (int64_t)p->size;
    p->across = -1;
    if (p->ds[last] != size || p->ss[last] == size || p->ss[last] == 0 || p->dims[last] < 4)
        return;
    for (int k = 0; k < last; k++)
        if (p->ss[k] == size && p->dims[k] >= 4)
            p->across = k;
}

static void cut_blocks(struct plan *p) {
    const int last = p->rank - 1;
    const int cut = p->across >= 0 ? p->across : last;
    p->n_outer = 1;
    for (int k = 0; k < last; k++)
        if (k != p->across)
            p->n_outer *= p->dims[k];
    p->block = p->across >= 0 ? TILE : BLOCK_BYTES / (int64_t)p->size;
    p->n_blocks = (p->dims[cut] - 1) / p->block + 1;
}

#define FOR_SIZE(size, body)                                                                       \
    switch (size) {                                                                                \
    case 1:                                                                                        \
        body(uint8_t) break;                                                                       \
    case 2:                                                                                        \
        body(uint16_t) break;                                                                      \
    case 4:                                                                                        \
        body(uint32_t) break;                                                                      \
    case 8:                                                                                        \
        body(uint64_t) break;                                                                      \
    default:                                                                                       \
        body(struct pair) break;                                                                   \
    }
struct pair {
    uint64_t a, b;
};

// memcpy of a constant size: one load and one store, at any alignment.
static void move_row(char *d, int64_t ds, const char *s, int64_t ss, int64_t n, size_t size) {
    if (ds == (int64_t)size && ss == (int64_t)size) {
        memcpy(d, s, (size_t)n * size);
        return;
    }
#define ROW(T)                                                                                     \
    if (ss == 0 && ds == (int64_t)sizeof(T)) {                                                     \
        T element;                                                                                 \
        memcpy(&element, s, sizeof(T));                                                            \
        for (int64_t i = 0; i < n; i++)                                                            \
            memcpy(d + i * (int64_t)sizeof(T), &element, sizeof(T));                               \
        break;                                                                                     \
    }                                                                                              \
    for (int64_t i = 0; i < n; i++)                                                                \
        memcpy(d + i * ds, s + i * ss, sizeof(T));
    FOR_SIZE(size, ROW)
#undef ROW
}

typedef uint32_t quad __attribute__((vector_size(16)));

// d[i][j] = s[j][i] for 4 x 4 elements of 4 bytes.
static void move_quads(char *d, int64_t ds, const char *s, int64_t ss) {
    quad r[4], pair[4], out[4];
    for (int j = 0; j < 4; j++)
        memcpy(&r[j], s + j * ss, sizeof r[j]);
    for (int j = 0; j < 2; j++) {
        pair[j] = __builtin_shufflevector(r[j], r[j + 2], 0, 4, 1, 5);
        pair[j + 2] = __builtin_shufflevector(r[j], r[j + 2], 2, 6, 3, 7);
    }
    for (int i = 0; i < 2; i++) {
        out[2 * i] = __builtin_shufflevector(pair[2 * i], pair[2 * i + 1], 0, 4, 1, 5);
        out[2 * i + 1] = __builtin_shufflevector(pair[2 * i], pair[2 * i + 1], 2, 6, 3, 7);
    }
    for (int i = 0; i < 4; i++)
        memcpy(d + i * ds, &out[i], sizeof out[i]);
}

// A tile of elements of 4 bytes, by far the most frequent.
static void move_tile_4(char *d, int64_t ds, const char *s, int64_t ss, int64_t ni, int64_t nj) {
    const int64_t i4 = ni / 4 * 4, j4 = nj / 4 * 4;
    for (int64_t j = 0; j < j4; j += 4)
        for (int64_t i = 0; i < i4; i += 4)
            move_quads(d + i * ds + j * 4, ds, s + i * 4 + j * ss, ss);
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i < i4 ? j4 : 0; j < nj; j++)
            memcpy(d + i * ds + j * 4, s + i * 4 + j * ss, 4);
}

// d[i * ds + j] = s[i + j * ss] in elements of one size: rows of TILE elements are read in full, so
// that each cache line of either side is touched once per tile.
static void move_tile(const struct plan *p, char *d, const char *s, int64_t ni, int64_t nj) {
    const int64_t ds = p->ds[p->across], ss = p->ss[p->rank - 1];
    if (p->size == 4) {
        move_tile_4(d, ds, s, ss, ni, nj);
        return;
    }
#define CELL(T)                                                                                    \
    if (ni == TILE && nj == TILE) {                                                                \
        T tile[TILE][TILE];                                                                        \
        for (int j = 0; j < TILE; j++)                                                             \
            memcpy(tile[j], s + j * ss, sizeof tile[j]);                                           \
        for (int i = 0; i < TILE; i++) {                                                           \
            T row[TILE];                                                                           \
            for (int j = 0; j < TILE; j++)                                                         \
                row[j] = tile[j][i];                                                               \
            memcpy(d + i * ds, row, sizeof row);                                                   \
        }                                                                                          \
    } else {                                                                                       \
        for (int64_t i = 0; i < ni; i++)                                                           \
            for (int64_t j = 0; j < nj; j++)                                                       \
                memcpy(d + i * ds + j * (int64_t)sizeof(T), s + i * (int64_t)sizeof(T) + j * ss,   \
                       sizeof(T));                                                                 \
    }
    FOR_SIZE(p->size, CELL)
#undef CELL
}

static void move_block(const struct plan *p, char *d, const char *s, int64_t block) {
    const int last = p->rank - 1;
    const int cut = p->across >= 0 ? p->across : last;
    const int64_t first = block * p->block;
    const int64_t n = p->dims[cut] - first < p->block ? p->dims[cut] - first : p->block;
    d += first * p->ds[cut];
    s += first * p->ss[cut];
    if (p->across < 0) {
        move_row(d, p->ds[last], s, p->ss[last], n, p->size);
        return;
    }
    for (int64_t j = 0; j < p->dims[last]; j += TILE) {
        const int64_t nj = p->dims[last] - j < TILE ? p->dims[last] - j : TILE;
        move_tile(p, d + j * p->ds[last], s + j * p->ss[last], n, nj);
    }
}

// Work item = outer index * n_blocks + block. The outer index is an odometer over the dims that are
// neither the last nor `across`.
static void move_items(void *cx, size_t begin, size_t end) {
    const struct plan *p = cx;
    int64_t index[BNR_COPY_MAX_RANK] = {0};
    int64_t block = (int64_t)begin % p->n_blocks, outer = (int64_t)begin / p->n_blocks;
    char *d = p->dst;
    const char *s = p->src;
    for (int k = p->rank - 2; k >= 0; k--) {
        if (k == p->across)
            continue;
        index[k] = outer % p->dims[k];
        outer /= p->dims[k];
        d += index[k] * p->ds[k];
        s += index[k] * p->ss[k];
    }
    for (size_t item = begin; item < end; item++) {
        move_block(p, d, s, block);
        if (++block < p->n_blocks)
            continue;
        block = 0;
        for (int k = p->rank - 2; k >= 0; k--) {
            if (k == p->across)
                continue;
            d += p->ds[k];
            s += p->ss[k];
            if (++index[k] < p->dims[k])
                break;
            d -= p->ds[k] * p->dims[k];
            s -= p->ss[k] * p->dims[k];
            index[k] = 0;
        }
    }
}

void bnr__copy_run(const struct bnr_copy *c, void *dst, const void *src, struct bnr_pool *pool) {
    struct plan p = {.size = c->elem_size, .dst = dst, .src = src};
    const int64_t size = (int64_t)c->elem_size;
    for (int k = 0; k < c->rank; k++)
        if (c->dims[k] <= 0)
            return;
    for (int k = 0; k < c->rank; k++)
        add_dim(&p, c->dims[k], c->dst_strides[k] * size, c->src_strides[k] * size);
    if (p.rank == 0) {
        memcpy(dst, src, p.size);
        return;
    }
    widen(&p);
    find_across(&p);
    cut_blocks(&p);
    const int64_t items = p.n_outer * p.n_blocks;
    const int64_t width = p.across >= 0 ? p.dims[p.rank - 1] * p.block : p.dims[p.rank - 1];
    const int64_t bytes = (width < p.block ? width : p.block) * (int64_t)p.size;
    int64_t grain = BLOCK_BYTES / (bytes > 0 ? bytes : 1);
    if (p.across >= 0)
        grain = BLOCK_BYTES / (width * (int64_t)p.size);
    bnr__parallel_for(pool, (size_t)items, grain > 0 ? (size_t)grain : 1, move_items, &p);
}

void bnr__copy_bytes(void *dst, const void *src, size_t n, struct bnr_pool *pool) {
    struct bnr_copy c = {.elem_size = 1};
    bnr__copy_dim(&c, (int64_t)n, 1, 1);
    if (n > 0 && dst != src)
        bnr__copy_run(&c, dst, src, pool);
}

void bnr__copy_fill(void *dst, const void *element, size_t elem_size, size_t n,
                    struct bnr_pool *pool) {
    struct bnr_copy c = {.elem_size = elem_size};
    bnr__copy_dim(&c, (int64_t)n, 1, 0);
    bnr__copy_run(&c, dst, element, pool);
}
