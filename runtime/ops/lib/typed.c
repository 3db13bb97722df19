// SPDX-License-Identifier: Apache-2.0
// How an element-wise call runs: the dims of output and inputs are merged into as few as possible,
// the output is cut into pieces, and for each piece every input becomes a dense array of its
// compute type: in place where it is one already, else gathered, repeated or converted into a
// buffer that stays in L1.
#include "runtime/ops/lib/typed.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "runtime/base/pool.h"

enum {
    CHUNK = 256,       // elements in a buffer
    MIN_ROW = 64,      // shorter rows are gathered, several to a chunk
    GRAIN = 64 * 1024, // elements a thread takes at a time
    GRAIN_COSTLY = 8 * 1024,
};

struct operand {
    const char *data;
    enum bnr_dtype dtype;
    enum bnr_class cls; // NONE: as it is
    size_t size;        // bytes of an element in memory
    size_t width;       // bytes of an element for the loop
    bool convert;
    int64_t stride[BNR_MAX_RANK]; // in elements; 0: repeated
};

struct walk {
    int rank; // merged dims, at least 1
    int64_t dims[BNR_MAX_RANK];
    size_t numel;
    struct operand *in;
    int n_in;
    struct operand out;
    char *y;     // its data
    bool direct; // every input and the output can be used where they lie
    bool fold;   // loop over pairs, first to last
    bool costly;
    bnr_loop *loop, *finish;
    struct bnr_params params;
};

struct slot {
    alignas(BNR_TENSOR_ALIGN) char raw[CHUNK * sizeof(struct bnr_str)];
    alignas(BNR_TENSOR_ALIGN) char computed[CHUNK * sizeof(int64_t)];
    const char *repeated; // the element that `raw` or `computed` holds `count` times
    size_t count;
};

// ---- conversion ---------------------------------------------------------------------------------

static size_t class_width(enum bnr_class c) {
    return c == BNR_CLASS_FLOAT ? sizeof(float) : c == BNR_CLASS_BOOL ? 1 : sizeof(int64_t);
}

// The dtype whose memory is the compute type of the class.
static enum bnr_dtype class_dtype(enum bnr_class c) {
    switch (c) {
    case BNR_CLASS_FLOAT:
        return BNR_FLOAT;
    case BNR_CLASS_DOUBLE:
        return BNR_DOUBLE;
    case BNR_CLASS_INT:
        return BNR_INT64;
    case BNR_CLASS_UINT:
        return BNR_UINT64;
    case BNR_CLASS_BOOL:
        return BNR_BOOL;
    default:
        return BNR_UNDEFINED;
    }
}

static bool class_is_native(enum bnr_class c, enum bnr_dtype d) {
    return class_dtype(c) == BNR_UNDEFINED || class_dtype(c) == d;
}

static void load(const struct operand *o, void *dst, const void *src, size_t n) {
    switch (o->cls) {
    case BNR_CLASS_FLOAT:
        bnr__load_f32(dst, o->dtype, src, n);
        break;
    case BNR_CLASS_DOUBLE:
        bnr__load_f64(dst, o->dtype, src, n);
        break;
    case BNR_CLASS_INT:
    case BNR_CLASS_UINT:
        bnr__load_i64(dst, o->dtype, src, n);
        break;
    case BNR_CLASS_BOOL:
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)dst)[i] = bnr__get_f64(o->dtype, src, i) != 0;
        break;
    default:
        break;
    }
}

static void store(const struct operand *o, void *dst, const void *src, size_t n) {
    switch (o->cls) {
    case BNR_CLASS_FLOAT:
        bnr__store_f32(o->dtype, dst, src, n);
        break;
    case BNR_CLASS_DOUBLE:
        bnr__store_f64(o->dtype, dst, src, n);
        break;
    case BNR_CLASS_INT:
    case BNR_CLASS_UINT:
        bnr__store_i64(o->dtype, dst, src, n);
        break;
    case BNR_CLASS_BOOL:
        for (size_t i = 0; i < n; i++) {
            const int64_t v = ((const uint8_t *)src)[i];
            bnr__store_i64(o->dtype, (char *)dst + i * o->size, &v, 1);
        }
        break;
    default:
        break;
    }
}

// ---- gathering ----------------------------------------------------------------------------------

#define FILL(type)                                                                                 \
    do {                                                                                           \
        type v;                                                                                    \
        memcpy(&v, src, sizeof v);                                                                 \
        for (size_t i = 0; i < n; i++)                                                             \
            memcpy(dst + i * sizeof v, &v, sizeof v);                                              \
    } while (0)

static void fill(char *dst, const char *src, size_t n, size_t size) {
    switch (size) {
    case 1:
        memset(dst, *src, n);
        break;
    case 2:
        FILL(uint16_t);
        break;
    case 4:
        FILL(uint32_t);
        break;
    case 8:
        FILL(uint64_t);
        break;
    default:
        FILL(struct bnr_str);
        break;
    }
}

static size_t offset(const struct walk *w, const struct operand *o, const int64_t *index) {
    int64_t off = 0;
    for (int d = 0; d < w->rank; d++)
        off += index[d] * o->stride[d];
    return (size_t)off * o->size;
}

// n elements from `index` on, across rows.
static void gather(const struct walk *w, const struct operand *o, const int64_t *index, size_t n,
                   char *dst) {
    const int last = w->rank - 1;
    int64_t at[BNR_MAX_RANK];
    memcpy(at, index, (size_t)w->rank * sizeof *at);
    for (;;) {
        const size_t left = (size_t)(w->dims[last] - at[last]);
        const size_t run = n < left ? n : left;
        const char *src = o->data + offset(w, o, at);
        if (o->stride[last] == 0)
            fill(dst, src, run, o->size);
        else
            memcpy(dst, src, run * o->size);
        n -= run;
        if (n == 0)
            return;
        dst += run * o->size;
        at[last] = 0;
        for (int d = last - 1; d >= 0 && ++at[d] == w->dims[d]; d--)
            at[d] = 0;
    }
}

// The operand's elements index .. index + n as a dense array of what the loop reads.
static const void *fetch(const struct walk *w, const struct operand *o, const int64_t *index,
                         size_t n, struct slot *s) {
    const int last = w->rank - 1;
    const char *src;
    if (index[last] + (int64_t)n > w->dims[last]) {
        s->repeated = NULL;
        gather(w, o, index, n, s->raw);
        src = s->raw;
    } else {
        src = o->data + offset(w, o, index);
        if (o->stride[last] == 0) {
            char *dst = o->convert ? s->computed : s->raw;
            if (s->repeated == src && s->count >= n)
                return dst;
            s->repeated = src;
            s->count = n;
            char one[sizeof(struct bnr_str)];
            if (o->convert)
                load(o, one, src, 1);
            fill(dst, o->convert ? one : src, n, o->width);
            return dst;
        }
    }
    if (!o->convert)
        return src;
    s->repeated = NULL;
    load(o, s->computed, src, n);
    return s->computed;
}

// ---- the pieces ---------------------------------------------------------------------------------

static void each_piece(const struct walk *w, const int64_t *index, size_t n, struct slot *slots,
                       void *y) {
    const void *x[BNR_EACH_MAX_IN] = {NULL};
    for (int i = 0; i < w->n_in; i++)
        x[i] = fetch(w, &w->in[i], index, n, &slots[i]);
    w->loop(y, x, n, &w->params);
}

// Slot 0 keeps the sum so far, since y may be the memory of an input that comes later.
static void fold_piece(const struct walk *w, const int64_t *index, size_t n, struct slot *slots,
                       void *y) {
    const void *x[2] = {fetch(w, &w->in[0], index, n, &slots[0]), NULL};
    slots[0].repeated = NULL;
    for (int i = 1; i < w->n_in; i++) {
        slots[1].repeated = NULL;
        x[1] = fetch(w, &w->in[i], index, n, &slots[1]);
        w->loop(slots[0].computed, x, n, &w->params);
        x[0] = slots[0].computed;
    }
    if (w->finish != NULL)
        w->finish(y, x, n, &w->params);
    else
        memmove(y, x[0], n * w->out.width);
}

static void walk_range(void *cx, size_t begin, size_t end) {
    const struct walk *w = cx;
    const int last = w->rank - 1;
    struct slot slots[BNR_EACH_MAX_IN];
    alignas(BNR_TENSOR_ALIGN) char result[CHUNK * sizeof(int64_t)];
    for (int i = 0; i < BNR_EACH_MAX_IN; i++)
        slots[i].repeated = NULL;
    for (size_t at = begin, n; at < end; at += n) {
        int64_t index[BNR_MAX_RANK];
        size_t rest = at;
        for (int d = last; d > 0; d--) {
            index[d] = (int64_t)(rest % (size_t)w->dims[d]);
            rest /= (size_t)w->dims[d];
        }
        index[0] = (int64_t)rest;
        n = end - at;
        if (!w->direct && n > CHUNK)
            n = CHUNK;
        const size_t left = (size_t)(w->dims[last] - index[last]);
        if ((w->direct || w->dims[last] >= MIN_ROW) && n > left)
            n = left;
        char *dst = w->y + at * w->out.size;
        void *y = w->out.convert ? result : dst;
        if (w->fold)
            fold_piece(w, index, n, slots, y);
        else
            each_piece(w, index, n, slots, y);
        if (w->out.convert)
            store(&w->out, dst, result, n);
    }
}

// ---- setting up ---------------------------------------------------------------------------------

static void set_type(struct operand *o, const struct bnr_tensor *t, enum bnr_class cls) {
    o->data = t->data;
    o->dtype = t->dtype;
    o->cls = cls;
    o->size = bnr__dtype_size(t->dtype);
    o->convert = !class_is_native(cls, t->dtype);
    o->width = o->convert ? class_width(cls) : o->size;
}

// Strides over the output's dims: aligned at the right (`pad` dims further left), 0 where repeated.
static void set_strides(struct operand *o, const struct bnr_tensor *t, int pad,
                        const struct bnr_tensor *out) {
    int64_t stride = 1;
    memset(o->stride, 0, sizeof o->stride);
    for (int d = t->rank - 1; d >= 0; d--) {
        const int at = out->rank - pad - (t->rank - d);
        if (at < 0)
            break; // leading dims of 1 beyond the output's rank
        o->stride[at] = t->dims[d] == 1 ? 0 : stride;
        stride *= t->dims[d];
    }
}

// Drops dims of 1 and merges neighbours that every input passes through in the same way.
static void merge_dims(struct walk *w, const struct bnr_tensor *out) {
    w->rank = 0;
    for (int d = 0; d < out->rank; d++) {
        if (out->dims[d] == 1)
            continue;
        bool merge = w->rank > 0;
        for (int i = 0; i < w->n_in && merge; i++)
            merge = w->in[i].stride[w->rank - 1] == w->in[i].stride[d] * out->dims[d];
        const int at = merge ? w->rank - 1 : w->rank++;
        w->dims[at] = merge ? w->dims[at] * out->dims[d] : out->dims[d];
        for (int i = 0; i < w->n_in; i++)
            w->in[i].stride[at] = w->in[i].stride[d];
    }
    if (w->rank == 0) {
        w->rank = 1;
        w->dims[0] = 1;
    }
}

static void run_walk(struct walk *w, const struct bnr_tensor *out, enum bnr_class out_cls,
                     struct bnr_pool *pool) {
    w->numel = out->numel;
    if (w->numel == 0)
        return;
    set_type(&w->out, out, out_cls);
    w->y = out->data;
    merge_dims(w, out);
    w->direct = !w->out.convert && !w->fold;
    for (int i = 0; i < w->n_in; i++)
        w->direct = w->direct && !w->in[i].convert && w->in[i].stride[w->rank - 1] == 1;
    const size_t grain = w->costly ? GRAIN_COSTLY : GRAIN;
    bnr__parallel_for(pool, w->numel, grain, walk_range, w);
}

void bnr__each_call(const struct bnr_each_call *c, struct bnr_pool *pool) {
    struct operand in[BNR_EACH_MAX_IN];
    struct walk w = {.in = in, .n_in = c->n_in, .loop = c->loop, .costly = c->costly};
    assert(c->n_in <= BNR_EACH_MAX_IN);
    if (c->params != NULL)
        w.params = *c->params;
    for (int i = 0; i < c->n_in; i++) {
        set_type(&in[i], c->in[i], c->cls[i]);
        set_strides(&in[i], c->in[i], c->pad[i], c->out);
    }
    run_walk(&w, c->out, c->out_cls, pool);
}

enum bnr_status bnr__each_fold(const struct bnr_args *a, const struct bnr_each *op,
                               bnr_loop *const *finish, const struct bnr_params *params) {
    const enum bnr_class cls =
        a->n_in > 0 && a->in[0] != NULL ? bnr__dtype_class(a->in[0]->dtype) : BNR_CLASS_NONE;
    BNR_TRY(bnr__each_prepare(a, op, cls, NULL));
    struct bnr_tensor *out = a->out[0];
    struct walk w = {.n_in = a->n_in, .fold = true, .costly = op->costly};
    w.loop = op->loop[cls];
    w.finish = finish != NULL ? finish[cls] : NULL;
    if (params != NULL)
        w.params = *params;
    w.in = BNR_NEW_ARRAY(a->temp, (size_t)a->n_in, struct operand);
    if (w.in == NULL)
        return bnr__no_memory(a->err);
    for (int i = 0; i < a->n_in; i++) {
        set_type(&w.in[i], a->in[i], cls);
        set_strides(&w.in[i], a->in[i], 0, out);
    }
    run_walk(&w, out, cls, a->pool);
    return BNR_OK;
}
