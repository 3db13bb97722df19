// SPDX-License-Identifier: Apache-2.0
// Reading the text of compiled models (runtime/compiled_text.h). A count is believed as far as there are
// as many words left; whatever else does not fit ends the reading.
#include "runtime/compiled_read.h"

#include <limits.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/compiled_text.h"

struct reader {
    const uint8_t *at, *end;
    bool bad; // something did not fit: all that is read from then on is 0
    struct bnr_model *m;
    struct bnr_compiled *c;
    struct bnr_value **values; // by number
    size_t n_values, max_values, n_nodes, max_nodes;
    struct bnr_error *err;
};

static enum bnr_status broken(const struct reader *r) {
    return bnr__fail(r->err, BNR_MALFORMED, "compiled model: its graph is damaged, %zu bytes from its end",
                     (size_t)(r->end - r->at));
}

// ---- words --------------------------------------------------------------------------------------

static uint64_t get(struct reader *r) {
    uint64_t v;
    if (r->bad || r->end - r->at < 8) {
        r->bad = true;
        return 0;
    }
    memcpy(&v, r->at, sizeof v);
    r->at += 8;
    return v;
}

// At most `most`.
static uint64_t get_up_to(struct reader *r, uint64_t most) {
    const uint64_t v = get(r);
    if (v > most)
        r->bad = true;
    return r->bad ? 0 : v;
}

static size_t get_count(struct reader *r) {
    const uint64_t v = get(r);
    if (v > (uint64_t)(r->end - r->at) / 8)
        r->bad = true;
    return r->bad ? 0 : (size_t)v;
}

static double get_double(struct reader *r) {
    const uint64_t bits = get(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

// NULL where the text says so, or where it is bad.
static const char *get_bytes(struct reader *r, size_t *size) {
    const uint64_t n = get(r);
    *size = 0;
    if (n == NO_TEXT || r->bad)
        return NULL;
    if (n >= (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    const char *s = (const char *)r->at;
    const size_t whole = ((size_t)n + 8) / 8 * 8; // the NUL included
    if (whole > (size_t)(r->end - r->at) || s[n] != '\0') {
        r->bad = true;
        return NULL;
    }
    r->at += whole;
    *size = (size_t)n;
    return s;
}

static const char *get_text_or_null(struct reader *r) {
    size_t size;
    const char *s = get_bytes(r, &size);
    if (s && strlen(s) != size)
        r->bad = true;
    return r->bad ? NULL : s;
}

static const char *get_text(struct reader *r) {
    const char *s = get_text_or_null(r);
    if (!s)
        r->bad = true;
    return r->bad ? "" : s;
}

// The same, in the model.
static enum bnr_status get_name(struct reader *r, const char **out) {
    *out = bnr__model_intern(r->m, get_text(r));
    return *out ? BNR_OK : bnr__no_memory(r->err);
}

static enum bnr_status get_name_or_null(struct reader *r, const char **out) {
    const char *s = get_text_or_null(r);
    *out = s ? bnr__model_intern(r->m, s) : NULL;
    return *out || !s ? BNR_OK : bnr__no_memory(r->err);
}

// `size` bytes of the data section, with the padding that they must have behind them.
static const uint8_t *get_place(struct reader *r, size_t size) {
    const struct bnr_compiled_header *h = &r->c->header;
    const uint64_t at = get(r);
    if (at % DATA_ALIGN != 0 || at > h->data_size || h->data_size - at < DATA_PAD ||
        size > h->data_size - at - DATA_PAD)
        r->bad = true;
    return r->bad ? NULL : r->c->bytes + h->data + at;
}

// ---- types and tensors --------------------------------------------------------------------------

static enum bnr_status get_type(struct reader *r, struct bnr_type *t, int depth) {
    t->kind = (enum bnr_kind)get_up_to(r, BNR_KIND_SPARSE);
    t->dtype = (enum bnr_dtype)get_up_to(r, BNR_DTYPE_COUNT - 1);
    t->shape.rank = (int)get_up_to(r, BNR_MAX_RANK + 1) - 1;
    for (int i = 0; i < t->shape.rank; i++) {
        const int64_t n = (int64_t)get(r);
        BNR_TRY(get_name_or_null(r, &t->shape.dims[i].sym));
        t->shape.dims[i].n = n >= 0 && !t->shape.dims[i].sym ? n : -1;
    }
    if (!get_up_to(r, depth < MAX_TYPE_DEPTH))
        return r->bad ? broken(r) : BNR_OK;
    struct bnr_type *elem = BNR_NEW(&r->m->arena, struct bnr_type);
    if (!elem)
        return bnr__no_memory(r->err);
    t->elem = elem;
    return get_type(r, elem, depth + 1);
}

static void release_data(struct bnr_tensor *t) {
    bnr__compiled_unref(t->owner);
}

// Bytes that operators rely on: 0 or 1 for booleans, and no other bits than the type has.
static void make_sane(struct bnr_tensor *t) {
    const unsigned bits = t->dtype == BNR_BOOL ? 1 : (unsigned)bnr__dtype_bits(t->dtype);
    const unsigned mask = (1u << bits) - 1;
    const unsigned sign = t->dtype == BNR_INT4 || t->dtype == BNR_INT2 ? 1u << (bits - 1) : 0;
    for (size_t i = 0; i < t->nbytes; i++)
        t->u8[i] = (uint8_t)(((t->u8[i] & mask) ^ sign) - sign);
}

static enum bnr_status full_tensor(struct reader *r, struct bnr_tensor **out, struct bnr_tensor *t) {
    const uint8_t *data = get_place(r, t->nbytes);
    if (!data)
        return broken(r);
    t->data = (void *)(uintptr_t)data;
    if (t->dtype == BNR_BOOL || bnr__dtype_bits(t->dtype) < 8) {
        struct bnr_tensor *copy;
        BNR_TRY(bnr__tensor_clone(&copy, r->m->allocator, t, r->err));
        make_sane(copy);
        *out = copy;
        return BNR_OK;
    }
    t->owner = bnr__compiled_ref(r->c);
    t->release = release_data;
    *out = bnr__tensor_ref(t);
    return BNR_OK;
}

// `id`: of the value, where it has one; a hollow tensor's owner.
static enum bnr_status get_tensor(struct reader *r, struct bnr_tensor **out, const int *id) {
    const uint64_t form = get_up_to(r, id ? TENSOR_HOLLOW : TENSOR_FULL);
    int64_t dims[BNR_MAX_RANK];
    size_t bytes;
    *out = NULL;
    if (form == TENSOR_NONE)
        return r->bad ? broken(r) : BNR_OK;
    const enum bnr_dtype dtype = (enum bnr_dtype)get_up_to(r, BNR_DTYPE_COUNT - 1);
    const int rank = (int)get_up_to(r, BNR_MAX_RANK);
    for (int i = 0; i < rank; i++)
        dims[i] = (int64_t)get(r);
    if (r->bad || dtype == BNR_STRING || !bnr__dtype_valid((int)dtype))
        return broken(r);
    struct bnr_tensor *t;
    BNR_TRY(bnr__tensor_wrap(&t, r->m->allocator, dtype, rank, dims, NULL, NULL, NULL, r->err));
    if (!bnr__size_mul(t->numel, bnr__dtype_size(dtype), &bytes))
        r->bad = true;
    enum bnr_status st = BNR_OK;
    if (r->bad) {
        st = broken(r);
    } else if (form == TENSOR_FULL) {
        st = full_tensor(r, out, t);
    } else {
        t->owner = (void *)(uintptr_t)id;
        *out = bnr__tensor_ref(t);
    }
    bnr__tensor_unref(t);
    return st;
}

// ---- values -------------------------------------------------------------------------------------

static enum bnr_status get_value(struct reader *r, struct bnr_graph *g) {
    struct bnr_value *v;
    int *id = BNR_NEW(&r->m->arena, int);
    if (r->n_values == r->max_values || !id)
        return id ? broken(r) : bnr__no_memory(r->err);
    const char *name = get_text(r);
    if (r->bad || !*name)
        return broken(r);
    BNR_TRY(bnr__value_new(&v, g, name, r->err));
    const uint64_t bits = get_up_to(r, VALUE_INITIALIZER | VALUE_FROM_NODE);
    v->is_initializer = bits & VALUE_INITIALIZER;
    v->from_constant_node = bits & VALUE_FROM_NODE;
    BNR_TRY(get_name_or_null(r, &v->constant_node));
    *id = (int)get_up_to(r, INT_MAX);
    struct bnr_type declared = {.shape = bnr__shape_unknown()};
    BNR_TRY(get_type(r, &declared, 0));
    BNR_TRY(bnr__value_set_declared(v, &declared, r->err));
    BNR_TRY(get_tensor(r, &v->tensor, id));
    r->values[r->n_values++] = v;
    return BNR_OK;
}

// The value with this number, of g or a graph around it.
static struct bnr_value *value_at(struct reader *r, uint64_t number, const struct bnr_graph *g) {
    struct bnr_value *v = number < r->n_values ? r->values[number] : NULL;
    for (; v && g; g = g->owner ? g->owner->graph : NULL)
        if (v->graph == g)
            return v;
    r->bad = true;
    return NULL;
}

// ---- nodes --------------------------------------------------------------------------------------

static enum bnr_status get_graph(struct reader *r, struct bnr_node *owner, struct bnr_graph **out,
                                 int depth);

static enum bnr_status get_strings(struct reader *r, struct bnr_attr *a) {
    struct bnr_str *s = BNR_NEW_ARRAY(&r->m->arena, a->n, struct bnr_str);
    if (!s)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < a->n; i++) {
        s[i].ptr = get_bytes(r, &s[i].len);
        if (!s[i].ptr)
            return broken(r);
    }
    a->strings = s;
    return BNR_OK;
}

static enum bnr_status get_tensors(struct reader *r, struct bnr_attr *a) {
    a->tensors = BNR_NEW_ARRAY(&r->m->arena, a->n, struct bnr_tensor *);
    if (!a->tensors)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < a->n; i++) {
        BNR_TRY(get_tensor(r, &a->tensors[i], NULL));
        if (!a->tensors[i])
            return broken(r);
        if (bnr__model_hold(r->m, a->tensors[i]) != BNR_OK)
            return bnr__no_memory(r->err);
    }
    return BNR_OK;
}

static enum bnr_status get_graphs(struct reader *r, struct bnr_attr *a, struct bnr_node *owner,
                                  int depth) {
    a->graphs = BNR_NEW_ARRAY(&r->m->arena, a->n, struct bnr_graph *);
    if (!a->graphs)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < a->n; i++)
        BNR_TRY(get_graph(r, owner, &a->graphs[i], depth + 1));
    return BNR_OK;
}

static enum bnr_status get_types(struct reader *r, struct bnr_attr *a) {
    struct bnr_type *types = BNR_NEW_ARRAY(&r->m->arena, a->n, struct bnr_type);
    if (!types)
        return bnr__no_memory(r->err);
    a->types = types;
    for (size_t i = 0; i < a->n; i++)
        BNR_TRY(get_type(r, &types[i], 0));
    return BNR_OK;
}

// The elements of an attribute are a piece of text of as many bytes as they need.
static enum bnr_status get_numbers(struct reader *r, struct bnr_attr *a, size_t elem_size) {
    size_t size, want;
    const char *s = get_bytes(r, &size);
    if (!s || !bnr__size_mul(a->n, elem_size, &want) || size != want)
        return broken(r);
    a->floats = (const float *)(const void *)s; // at a multiple of eight bytes
    return BNR_OK;
}

static enum bnr_status get_elements(struct reader *r, struct bnr_attr *a, struct bnr_node *n,
                                    int depth) {
    switch (a->type) {
    case BNR_ATTR_FLOAT:
    case BNR_ATTR_FLOATS:
        return get_numbers(r, a, sizeof(float));
    case BNR_ATTR_INT:
    case BNR_ATTR_INTS:
        return get_numbers(r, a, sizeof(int64_t));
    case BNR_ATTR_STRING:
    case BNR_ATTR_STRINGS:
        return get_strings(r, a);
    case BNR_ATTR_TENSOR:
    case BNR_ATTR_TENSORS:
        return get_tensors(r, a);
    case BNR_ATTR_GRAPH:
    case BNR_ATTR_GRAPHS:
        return get_graphs(r, a, n, depth);
    case BNR_ATTR_TYPE_PROTO:
    case BNR_ATTR_TYPE_PROTOS:
        return get_types(r, a);
    default:
        return broken(r);
    }
}

static bool is_single(enum bnr_attr_type type) {
    return type <= BNR_ATTR_GRAPH || type == BNR_ATTR_TYPE_PROTO;
}

static enum bnr_status get_attr(struct reader *r, struct bnr_node *n, int depth) {
    struct bnr_attr a = {.name = get_text(r)};
    a.type = (enum bnr_attr_type)get_up_to(r, BNR_ATTR_TYPE_PROTOS);
    a.n = (size_t)get_up_to(r, (uint64_t)(r->end - r->at)); // floats have four bytes
    if (r->bad || !*a.name || bnr__attr(n, a.name) || (is_single(a.type) && a.n != 1))
        return broken(r);
    BNR_TRY(get_elements(r, &a, n, depth));
    return bnr__node_set_attr(n, &a) == BNR_OK ? BNR_OK : bnr__no_memory(r->err);
}

static enum bnr_status get_operands(struct reader *r, struct bnr_graph *g, struct bnr_value ***out,
                                    int *n) {
    const size_t count = get_count(r);
    if (count > INT_MAX / 2)
        return broken(r);
    *n = (int)count;
    *out = BNR_NEW_ARRAY(&r->m->arena, count, struct bnr_value *);
    if (!*out)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < count; i++) {
        const uint64_t number = get(r);
        (*out)[i] = number ? value_at(r, number - 1, g) : NULL;
    }
    return r->bad ? broken(r) : BNR_OK;
}

static enum bnr_status set_outputs(struct reader *r, struct bnr_node *n,
                                   struct bnr_value *const *out) {
    for (int i = 0; i < n->n_out; i++) {
        if (!out[i])
            continue;
        if (out[i]->graph != n->graph || out[i]->producer || out[i]->is_input || out[i]->tensor)
            return broken(r);
        bnr__node_set_output(n, i, out[i]);
    }
    return BNR_OK;
}

static enum bnr_status get_origins(struct reader *r, struct bnr_node *n) {
    const size_t count = get_count(r);
    if (count > r->m->n_bns)
        return broken(r);
    n->origins = BNR_NEW_ARRAY(&r->m->arena, count, struct bnr_bn *);
    if (!n->origins)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < count; i++)
        n->origins[n->n_origins++] = r->m->bns[get_up_to(r, r->m->n_bns - 1)];
    return r->bad ? broken(r) : BNR_OK;
}

static enum bnr_status get_node(struct reader *r, struct bnr_graph *g, struct bnr_node **out,
                                uint64_t *fused, int depth) {
    const char *domain = get_text(r), *op_type = get_text(r), *name = get_text(r);
    const char *label, *overload;
    struct bnr_value **in, **outs;
    int n_in = 0, n_out = 0;
    BNR_TRY(get_name(r, &label));
    BNR_TRY(get_name(r, &overload));
    const int opset = (int)get_up_to(r, INT_MAX);
    BNR_TRY(get_operands(r, g, &in, &n_in));
    BNR_TRY(get_operands(r, g, &outs, &n_out));
    if (r->bad || r->n_nodes++ == r->max_nodes)
        return broken(r);
    BNR_TRY(bnr__node_new(out, g, NULL, domain, op_type, *name ? name : NULL, n_in, in, n_out, r->err));
    struct bnr_node *n = *out;
    n->label = label;
    n->overload = overload;
    n->opset = opset;
    BNR_TRY(set_outputs(r, n, outs));
    const size_t n_attrs = get_count(r);
    for (size_t i = 0; i < n_attrs; i++)
        BNR_TRY(get_attr(r, n, depth));
    BNR_TRY(get_origins(r, n));
    *fused = get(r);
    return r->bad ? broken(r) : BNR_OK;
}

static enum bnr_status get_nodes(struct reader *r, struct bnr_graph *g, int depth) {
    const size_t count = get_count(r);
    struct bnr_node **nodes = BNR_NEW_ARRAY(&r->m->arena, count, struct bnr_node *);
    uint64_t *fused = BNR_NEW_ARRAY(&r->m->arena, count, uint64_t);
    if (!nodes || !fused)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < count; i++)
        BNR_TRY(get_node(r, g, &nodes[i], &fused[i], depth));
    for (size_t i = 0; i < count; i++) {
        if (fused[i] > count || fused[i] == i + 1)
            return broken(r);
        nodes[i]->fused_into = fused[i] ? nodes[fused[i] - 1] : NULL;
    }
    for (size_t i = 0; i < count; i++) // heads are nobody's members
        if (nodes[i]->fused_into && nodes[i]->fused_into->fused_into)
            return broken(r);
    return BNR_OK;
}

// ---- graphs -------------------------------------------------------------------------------------

static enum bnr_status get_inputs(struct reader *r, struct bnr_graph *g) {
    const size_t count = get_count(r);
    for (size_t i = 0; i < count; i++) {
        struct bnr_value *v = value_at(r, get(r), g);
        if (!v || v->graph != g || v->is_input)
            return broken(r);
        BNR_TRY(bnr__graph_add_input(g, v, r->err));
    }
    return BNR_OK;
}

static enum bnr_status get_outputs(struct reader *r, struct bnr_graph *g) {
    const size_t count = get_count(r);
    for (size_t i = 0; i < count; i++) {
        struct bnr_value *v = value_at(r, get(r), g);
        if (!v || v->graph != g)
            return broken(r);
        BNR_TRY(bnr__graph_add_output(g, v, r->err));
    }
    return BNR_OK;
}

static enum bnr_status get_graph(struct reader *r, struct bnr_node *owner, struct bnr_graph **out,
                                 int depth) {
    if (depth == MAX_GRAPH_DEPTH)
        return broken(r);
    struct bnr_graph *g = bnr__graph_new(r->m, owner);
    if (!g)
        return bnr__no_memory(r->err);
    *out = g;
    BNR_TRY(get_name(r, &g->name));
    g->doc = "";
    const size_t n_values = get_count(r);
    for (size_t i = 0; i < n_values; i++)
        BNR_TRY(get_value(r, g));
    BNR_TRY(get_inputs(r, g));
    BNR_TRY(get_nodes(r, g, depth));
    BNR_TRY(get_outputs(r, g));
    return r->bad ? broken(r) : BNR_OK;
}

// ---- the model ----------------------------------------------------------------------------------

static enum bnr_status get_bns(struct reader *r) {
    struct bnr_model *m = r->m;
    const size_t count = get_count(r);
    m->bns = BNR_NEW_ARRAY(&m->arena, count, struct bnr_bn *);
    if (!m->bns)
        return bnr__no_memory(r->err);
    m->bns_capacity = count;
    for (size_t i = 0; i < count; i++) {
        struct bnr_bn *bn = BNR_NEW(&m->arena, struct bnr_bn);
        if (!bn)
            return bnr__no_memory(r->err);
        BNR_TRY(get_name(r, &bn->name));
        bn->verdict = (enum bnr_verdict)get_up_to(r, BNR_BN_FUSED);
        BNR_TRY(get_name_or_null(r, &bn->into));
        BNR_TRY(get_name_or_null(r, &bn->reason));
        bn->channels = (int64_t)get(r);
        bn->max_scale = get_double(r);
        bn->min_var_eps = get_double(r);
        if (r->bad || (bn->verdict != BNR_BN_KEPT && !bn->into))
            return broken(r);
        m->bns[m->n_bns++] = bn;
    }
    return BNR_OK;
}

static enum bnr_status get_packs(struct reader *r) {
    struct bnr_compiled *c = r->c;
    const size_t count = get_count(r);
    c->packs = BNR_NEW_ARRAY(&r->m->arena, count, struct bnr_pack_entry);
    if (!c->packs)
        return bnr__no_memory(r->err);
    for (size_t i = 0; i < count; i++) {
        struct bnr_pack_entry *p = &c->packs[i];
        const uint64_t number = get(r);
        p->key = get_text(r);
        p->variant = get(r);
        const uint8_t *at = r->at;
        (void)get(r); // the place, which needs the size behind it
        p->size = (size_t)get_up_to(r, c->header.data_size);
        if (r->bad || number >= r->n_values || !r->values[number]->tensor)
            return broken(r);
        r->at = at;
        p->data = get_place(r, p->size);
        (void)get(r);
        if (r->bad)
            return broken(r);
        p->source = r->values[number]->tensor;
        c->n_packs++;
    }
    return BNR_OK;
}

static enum bnr_status get_head(struct reader *r) {
    struct bnr_model *m = r->m;
    m->ir_version = (int64_t)get(r);
    m->freeze_initializers = get_up_to(r, 1);
    BNR_TRY(get_name(r, &m->producer_name));
    BNR_TRY(get_name(r, &m->producer_version));
    BNR_TRY(get_name(r, &m->domain));
    const size_t n_opsets = get_count(r);
    for (size_t i = 0; i < n_opsets; i++) {
        const char *domain = get_text(r);
        const int version = (int)get_up_to(r, INT_MAX);
        if (bnr__model_add_opset(m, domain, version) != BNR_OK)
            return bnr__no_memory(r->err);
    }
    r->c->nodes_before = (size_t)get(r);
    r->c->stop_after = (int64_t)get(r);
    BNR_TRY(get_name_or_null(r, &r->c->passes));
    BNR_TRY(get_name_or_null(r, &r->c->keep));
    BNR_TRY(get_bns(r));
    r->max_values = get_count(r);
    r->max_nodes = get_count(r);
    return r->bad ? broken(r) : BNR_OK;
}

enum bnr_status bnr__compiled_read(struct bnr_model *m, struct bnr_compiled *c,
                                   struct bnr_error *err) {
    const uint8_t *text = c->bytes + c->header.text;
    struct reader r = {.at = text, .end = text + c->header.text_size, .m = m, .c = c, .err = err};
    BNR_TRY(get_head(&r));
    r.values = BNR_NEW_ARRAY(&m->arena, r.max_values, struct bnr_value *);
    if (!r.values)
        return bnr__no_memory(err);
    BNR_TRY(get_graph(&r, NULL, &m->graph, 0));
    if (r.n_values != r.max_values || r.n_nodes != r.max_nodes)
        return broken(&r);
    BNR_TRY(get_packs(&r));
    return r.at == r.end ? BNR_OK : broken(&r);
}
