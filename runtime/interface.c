// SPDX-License-Identifier: Apache-2.0
#include "runtime/interface.h"

#include <inttypes.h>
#include <string.h>

#include "graph/op.h"

// ---- describing ---------------------------------------------------------------------------------

static bool describe_dims(struct bnr_port *p, struct bnr_arena *arena) {
    const struct bnr_shape *s = &p->type.shape;
    p->info.rank = s->rank;
    if (s->rank <= 0)
        return true;
    const size_t rank = (size_t)s->rank;
    int64_t *dims = BNR_NEW_ARRAY(arena, rank, int64_t);
    const char **symbols = BNR_NEW_ARRAY(arena, rank, const char *);
    p->first_input = BNR_NEW_ARRAY(arena, rank, int);
    p->first_axis = BNR_NEW_ARRAY(arena, rank, int);
    if (!dims || !symbols || !p->first_input || !p->first_axis)
        return false;
    for (size_t d = 0; d < rank; d++) {
        dims[d] = s->dims[d].n >= 0 ? s->dims[d].n : -1;
        symbols[d] = s->dims[d].n >= 0 ? NULL : s->dims[d].sym;
        p->first_input[d] = p->first_axis[d] = -1;
    }
    p->info.dims = dims;
    p->info.symbols = symbols;
    return true;
}

static bool describe(struct bnr_port *p, struct bnr_value *v, const struct bnr_type *type,
                     struct bnr_arena *arena) {
    p->value = v;
    p->type = *type;
    p->info.name = bnr__arena_strdup(arena, v->name); // a rewrite may give the value another name
    p->info.kind = type->kind;
    p->info.elem_kind = type->elem ? type->elem->kind : BNR_KIND_TENSOR;
    const struct bnr_type *inner = type;
    while (inner->elem && inner->kind != BNR_KIND_MAP)
        inner = inner->elem;
    p->info.dtype = inner->dtype;
    p->info.optional = v->tensor != NULL;
    return p->info.name && describe_dims(p, arena);
}

struct place {
    int input, axis;
};

// Links every symbolic axis of an input to where its symbol occurs first.
static bool link_symbols(const struct bnr_interface *face, struct bnr_arena *arena) {
    struct bnr_map seen;
    bnr__map_init(&seen, arena);
    for (size_t i = 0; i < face->n_inputs; i++) {
        struct bnr_port *p = &face->inputs[i];
        for (int d = 0; d < p->info.rank; d++) {
            if (!p->info.symbols[d])
                continue;
            struct place *first = bnr__map_get(&seen, p->info.symbols[d]);
            if (!first) {
                first = BNR_NEW(arena, struct place);
                if (!first || !bnr__map_set(&seen, p->info.symbols[d], first))
                    return false;
                *first = (struct place){(int)i, d};
            }
            p->first_input[d] = first->input;
            p->first_axis[d] = first->axis;
        }
    }
    return true;
}

// What inference found, where it found more than the file declares.
static const struct bnr_type *output_type(const struct bnr_value *v) {
    const struct bnr_type *found = &v->info->type;
    bool better = found->kind == v->declared->kind && found->dtype != BNR_UNDEFINED &&
                  found->kind == BNR_KIND_TENSOR && found->shape.rank >= 0;
    return better ? found : v->declared;
}

const struct bnr_interface *bnr__interface_new(struct bnr_model *m) {
    const struct bnr_graph *g = m->graph;
    struct bnr_interface *face = BNR_NEW(&m->arena, struct bnr_interface);
    if (!face)
        return NULL;
    face->inputs = BNR_NEW_ARRAY(&m->arena, g->n_inputs, struct bnr_port);
    face->outputs = BNR_NEW_ARRAY(&m->arena, g->n_outputs, struct bnr_port);
    if (!face->inputs || !face->outputs)
        return NULL;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct bnr_value *v = g->inputs[i];
        if (!bnr__value_is_constant(v) &&
            !describe(&face->inputs[face->n_inputs++], v, v->declared, &m->arena))
            return NULL;
    }
    if (!link_symbols(face, &m->arena))
        return NULL;
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct bnr_value *v = g->outputs[i];
        if (!describe(&face->outputs[face->n_outputs++], v, output_type(v), &m->arena))
            return NULL;
    }
    return face;
}

enum bnr_status bnr__model_complete(struct bnr_model *m, struct bnr_error *err) {
    BNR_TRY(bnr__model_resolve(m, NULL, err));
    BNR_TRY(bnr__model_infer_first(m, err));
    m->interface = bnr__interface_new(m);
    return m->interface ? BNR_OK : bnr__no_memory(err);
}

// ---- checking -----------------------------------------------------------------------------------

size_t bnr__interface_left(const struct bnr_model *rewritten, const struct bnr_model *origin,
                           const bnr_tensor *const *inputs, size_t n_inputs, const bnr_tensor **out) {
    const struct bnr_graph *g = rewritten->graph;
    const struct bnr_interface *face = origin->interface;
    size_t n = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (bnr__value_is_constant(g->inputs[i]))
            continue;
        const bnr_tensor *given = NULL;
        for (size_t k = 0; k < face->n_inputs && k < n_inputs; k++)
            if (strcmp(face->inputs[k].info.name, g->inputs[i]->name) == 0)
                given = inputs[k];
        out[n++] = given;
    }
    return n;
}

struct bnr_tensor *bnr__interface_given(const struct bnr_interface *face,
                                        const bnr_tensor *const *inputs, size_t n_inputs,
                                        size_t i) {
    // The runtime counts references on inputs and hands them on; it never writes their elements.
    if (i < n_inputs && inputs[i])
        return (struct bnr_tensor *)(uintptr_t)inputs[i];
    return face->inputs[i].value->tensor;
}

static bool dtype_fits(const struct bnr_type *want, const struct bnr_tensor *t, bool any_float) {
    if (want->dtype == BNR_UNDEFINED || want->dtype == t->dtype)
        return true;
    return any_float && want->dtype == BNR_DOUBLE && bnr__dtype_is_float(t->dtype);
}

static bool tensor_fits(const struct bnr_type *want, const struct bnr_tensor *t, bool any_float) {
    if (!dtype_fits(want, t, any_float))
        return false;
    if (want->shape.rank < 0)
        return true;
    if (want->shape.rank != t->rank)
        return false;
    for (int d = 0; d < t->rank; d++)
        if (want->shape.dims[d].n >= 0 && want->shape.dims[d].n != t->dims[d])
            return false;
    return true;
}

static enum bnr_status check_symbols(const struct bnr_interface *face,
                                     const bnr_tensor *const *inputs, size_t n_inputs, size_t i,
                                     struct bnr_error *err) {
    const struct bnr_port *p = &face->inputs[i];
    const struct bnr_tensor *t = bnr__interface_given(face, inputs, n_inputs, i);
    for (int d = 0; d < p->info.rank; d++) {
        if (p->first_input[d] < 0)
            continue;
        const size_t k = (size_t)p->first_input[d];
        const struct bnr_tensor *first = bnr__interface_given(face, inputs, n_inputs, k);
        if (!first)
            continue; // a default that no rewritten graph reads any more
        const int64_t want = first->dims[p->first_axis[d]];
        if (t->dims[d] != want)
            return bnr__fail(
                err, BNR_SHAPE,
                "input '%s': dim %d ('%s') is %" PRId64 ", expected %" PRId64 " as in input '%s'",
                p->info.name, d, p->info.symbols[d], t->dims[d], want, face->inputs[k].info.name);
    }
    return BNR_OK;
}

static enum bnr_status check_one(const struct bnr_interface *face, const bnr_tensor *const *inputs,
                                 size_t n_inputs, size_t i, bool any_float, struct bnr_error *err) {
    const struct bnr_port *p = &face->inputs[i];
    const struct bnr_tensor *t = bnr__interface_given(face, inputs, n_inputs, i);
    char seen[160], want[160];
    const bool passed = i < n_inputs && inputs[i];
    if (passed && bnr__value_is_constant(p->value))
        return bnr__fail(err, BNR_INVALID, "input '%s' is given, but was frozen to its initializer",
                         p->info.name);
    if (!passed && p->info.optional)
        return BNR_OK;
    if (!t)
        return bnr__fail(err, BNR_INVALID, "input '%s' is missing, expected %s", p->info.name,
                         bnr__type_describe(&p->type, want, sizeof want));
    const bool tensor = t->kind == BNR_KIND_TENSOR && p->type.kind == BNR_KIND_TENSOR;
    if (t->kind != p->type.kind || (tensor && !tensor_fits(&p->type, t, any_float)))
        return bnr__fail(err, BNR_SHAPE, "input '%s' is %s, expected %s", p->info.name,
                         bnr__tensor_describe(t, seen, sizeof seen),
                         bnr__type_describe(&p->type, want, sizeof want));
    return tensor ? check_symbols(face, inputs, n_inputs, i, err) : BNR_OK;
}

enum bnr_status bnr__interface_check(const struct bnr_interface *face,
                                     const bnr_tensor *const *inputs, size_t n_inputs,
                                     bool any_float, struct bnr_error *err) {
    if (n_inputs > face->n_inputs || (n_inputs > 0 && !inputs))
        return bnr__fail(err, BNR_INVALID, "%zu inputs given, the model has %zu", n_inputs,
                         face->n_inputs);
    for (size_t i = 0; i < face->n_inputs; i++)
        BNR_TRY(check_one(face, inputs, n_inputs, i, any_float, err));
    return BNR_OK;
}
