// SPDX-License-Identifier: Apache-2.0
// TfIdfVectorizer: counts in each row how often every n-gram of a pool occurs, its items up to
// max_skip_count items apart, and weights the counts. The pool holds the 1-grams, then the 2-grams,
// ...; ngram_counts says where each size starts, ngram_indexes to which output each n-gram counts.
#include <stdlib.h>
#include <string.h>

#include "runtime/ops/lib/shape.h"
#include "runtime/ops/lib/utf8.h"

static const enum bnr_dtype types[] = {BNR_STRING, BNR_INT32, BNR_INT64, BNR_UNDEFINED};

// Items of the input or the pool: numbers or strings.
struct item {
    int64_t number;
    struct bnr_str text;
};

struct gram {
    const struct item *items;
    size_t n, id; // id: in the order of the pool
};

enum weighting { TF, IDF, TFIDF };

struct vectorizer {
    const struct bnr_node *node;
    enum weighting mode;
    int64_t least, most, skips;
    const int64_t *starts, *indexes, *numbers;
    const struct bnr_attr *strings;
    const float *weights;
    size_t n_starts, n_indexes, n_pool, n_weights;
    int64_t width; // of a row of the output
};

static enum bnr_status read_mode(const struct bnr_node *n, struct bnr_error *err,
                                 enum weighting *mode) {
    static const char *const names[] = {"TF", "IDF", "TFIDF"};
    const char *name = bnr__attr_string(n, "mode", "");
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum weighting)i;
            return BNR_OK;
        }
    }
    return bnr__op_fail(n, err, BNR_SHAPE, "mode is '%s', expected TF, IDF or TFIDF", name);
}

static size_t size_start(const struct vectorizer *v, size_t size_index) {
    return size_index < v->n_starts ? (size_t)v->starts[size_index] : v->n_pool;
}

// Starts must ascend within the pool, in whole n-grams, and there must be an index for each.
static enum bnr_status check_pool(const struct vectorizer *v, struct bnr_error *err) {
    size_t grams = 0;
    for (size_t i = 0; i < v->n_starts; i++) {
        const int64_t begin = v->starts[i];
        if (begin < 0 || (size_t)begin > v->n_pool || size_start(v, i + 1) < (size_t)begin ||
            (size_start(v, i + 1) - (size_t)begin) % (i + 1) != 0)
            return bnr__op_fail(v->node, err, BNR_SHAPE,
                                "ngram_counts[%zu] is %lld, for a pool of %zu", i, (long long)begin,
                                v->n_pool);
        grams += (size_start(v, i + 1) - (size_t)begin) / (i + 1);
    }
    if (grams > v->n_indexes)
        return bnr__op_fail(v->node, err, BNR_SHAPE, "%zu n-grams, but %zu ngram_indexes", grams,
                            v->n_indexes);
    return BNR_OK;
}

static enum bnr_status read_node(const struct bnr_node *n, struct bnr_error *err,
                                 struct vectorizer *v) {
    *v = (struct vectorizer){.node = n};
    BNR_TRY(read_mode(n, err, &v->mode));
    v->least = bnr__attr_int(n, "min_gram_length", 1);
    v->most = bnr__attr_int(n, "max_gram_length", 1);
    v->skips = bnr__attr_int(n, "max_skip_count", 0);
    v->starts = bnr__attr_ints(n, "ngram_counts", &v->n_starts);
    v->indexes = bnr__attr_ints(n, "ngram_indexes", &v->n_indexes);
    v->numbers = bnr__attr_ints(n, "pool_int64s", &v->n_pool);
    v->strings = bnr__attr(n, "pool_strings");
    v->weights = bnr__attr_floats(n, "weights", &v->n_weights);
    if ((v->strings != NULL) == (v->numbers != NULL))
        return bnr__op_fail(n, err, BNR_SHAPE, "expected one of pool_int64s and pool_strings");
    if (v->strings)
        v->n_pool = v->strings->n;
    if (v->least < 1 || v->most < v->least || v->skips < 0)
        return bnr__op_fail(n, err, BNR_SHAPE, "n-grams from %lld to %lld with %lld skips",
                            (long long)v->least, (long long)v->most, (long long)v->skips);
    for (size_t i = 0; i < v->n_indexes; i++) {
        if (v->indexes[i] < 0 || v->indexes[i] >= INT32_MAX)
            return bnr__op_fail(n, err, BNR_SHAPE, "ngram_indexes[%zu] is %lld", i,
                                (long long)v->indexes[i]);
        v->width = v->indexes[i] >= v->width ? v->indexes[i] + 1 : v->width;
    }
    if (v->weights && v->n_weights < (size_t)v->width && v->mode != TF)
        return bnr__op_fail(n, err, BNR_SHAPE, "%zu weights for %lld outputs", v->n_weights,
                            (long long)v->width);
    return check_pool(v, err);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = cx->in[0]->type.shape;
    struct vectorizer v;
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    BNR_TRY(read_node(cx->node, cx->err, &v));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 2));
    const bool text = cx->in[0]->type.dtype == BNR_STRING;
    if (cx->in[0]->type.dtype != BNR_UNDEFINED && text != (v.strings != NULL))
        return bnr__op_fail(cx->node, cx->err, BNR_SHAPE,
                            "the pool does not fit to an input of dtype %s",
                            bnr__dtype_name(cx->in[0]->type.dtype));
    if (y.rank > 0)
        y.dims[y.rank - 1] = bnr__dim_of(v.width);
    bnr__infer_set(cx, 0, BNR_FLOAT, &y);
    return BNR_OK;
}

// ---- looking up ---------------------------------------------------------------------------------

// Numbers are compared first; of strings they are all 0.
static int compare_grams(const void *pa, const void *pb) {
    const struct gram *a = pa, *b = pb;
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (size_t i = 0; i < a->n; i++) {
        const struct item *x = &a->items[i], *y = &b->items[i];
        const int order = x->number != y->number ? (x->number < y->number ? -1 : 1)
                                                 : bnr__str_compare(x->text, y->text);
        if (order)
            return order;
    }
    return 0;
}

static int compare_entries(const void *pa, const void *pb) {
    const struct gram *a = pa, *b = pb;
    const int order = compare_grams(a, b);
    return order ? order : (a->id > b->id) - (a->id < b->id);
}

struct pool {
    struct gram *grams; // sorted
    size_t n;
    size_t longest;
};

// Of n-grams that stand twice in the pool the last one counts.
static void sort_pool(struct pool *p) {
    size_t n = 0;
    if (p->n > 0)
        qsort(p->grams, p->n, sizeof *p->grams, compare_entries);
    for (size_t i = 0; i < p->n; i++) {
        if (n > 0 && compare_grams(&p->grams[n - 1], &p->grams[i]) == 0)
            n--;
        p->grams[n++] = p->grams[i];
    }
    p->n = n;
}

static enum bnr_status make_pool(const struct bnr_args *a, const struct vectorizer *v,
                                 struct pool *p) {
    struct item *items = BNR_NEW_ARRAY(a->temp, v->n_pool + 1, struct item);
    *p = (struct pool){.grams = BNR_NEW_ARRAY(a->temp, v->n_indexes + 1, struct gram)};
    if (!items || !p->grams)
        return bnr__no_memory(a->err);
    for (size_t i = 0; i < v->n_pool; i++)
        items[i] = v->strings ? (struct item){.text = v->strings->strings[i]}
                              : (struct item){.number = v->numbers[i]};
    size_t id = 0;
    for (size_t s = 0; s < v->n_starts; s++) {
        const size_t size = s + 1;
        for (size_t i = size_start(v, s); i < size_start(v, s + 1); i += size, id++) {
            if ((int64_t)size < v->least || (int64_t)size > v->most)
                continue;
            p->grams[p->n++] = (struct gram){&items[i], size, id};
            p->longest = size;
        }
    }
    sort_pool(p);
    return BNR_OK;
}

// One row: n-grams of every size at every place with every skip; single items only once.
static void count_row(const struct vectorizer *v, const struct pool *p, const struct item *row,
                      size_t n, struct item *picked, float *counts) {
    for (size_t size = (size_t)v->least; size <= p->longest; size++) {
        for (size_t step = 1; step <= (size_t)v->skips + 1 && (size - 1) * step < n; step++) {
            for (size_t start = 0; start + (size - 1) * step < n; start++) {
                for (size_t i = 0; i < size; i++)
                    picked[i] = row[start + i * step];
                const struct gram key = {picked, size, 0};
                const struct gram *hit = bsearch(&key, p->grams, p->n, sizeof key, compare_grams);
                if (hit)
                    counts[v->indexes[hit->id]] += 1;
            }
            if (size == 1)
                break;
        }
    }
}

static void weight_row(const struct vectorizer *v, float *counts) {
    for (int64_t i = 0; i < v->width && v->mode != TF; i++) {
        if (v->mode == IDF && counts[i] > 0)
            counts[i] = 1;
        if (v->weights)
            counts[i] *= v->weights[i];
    }
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *x = a->in[0];
    struct vectorizer v;
    struct pool p;
    BNR_TRY(bnr__out_infer(a, infer));
    BNR_TRY(read_node(a->node, a->err, &v));
    BNR_TRY(make_pool(a, &v, &p));
    const size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1, n = (size_t)x->dims[x->rank - 1];
    struct item *row = BNR_NEW_ARRAY(a->temp, n + 1, struct item);
    struct item *picked = BNR_NEW_ARRAY(a->temp, p.longest + 1, struct item);
    if (!row || !picked)
        return bnr__no_memory(a->err);
    if (a->out[0]->nbytes > 0)
        memset(a->out[0]->data, 0, a->out[0]->nbytes);
    for (size_t r = 0; r < rows; r++) {
        float *counts = a->out[0]->f32 + r * (size_t)v.width;
        for (size_t i = 0; i < n; i++)
            row[i] = x->dtype == BNR_STRING
                         ? (struct item){.text = x->str[r * n + i]}
                         : (struct item){.number = bnr__tensor_i64(x, r * n + i)};
        if (p.n > 0)
            count_row(&v, &p, row, n, picked, counts);
        weight_row(&v, counts);
    }
    return BNR_OK;
}

BNR_DEFINE_OP(tf_idf_vectorizer) = {
    .domain = "",
    .name = "TfIdfVectorizer",
    .since = {9},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "max_gram_length:i! max_skip_count:i! min_gram_length:i! mode:s! ngram_counts:I! "
             "ngram_indexes:I! "
             "pool_int64s:I pool_strings:S weights:F",
    .infer = infer,
    .ref = ref,
};
