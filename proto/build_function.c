// SPDX-License-Identifier: Apache-2.0
// Model-local functions and opset imports.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "graph/affine.h"
#include "proto/build.h"

static const char *intern_domain(struct build *b, const char *domain) {
    domain = text_of(domain);
    return bnr__model_intern(b->m, strcmp(domain, "ai.onnx") == 0 ? "" : domain);
}

enum bnr_status bnr__build_opsets(struct build *b, const char *what, size_t n,
                                  Onnx__OperatorSetIdProto **protos, struct bnr_opset **out) {
    struct bnr_map seen;
    bnr__map_init(&seen, b->temp);
    struct bnr_opset *opsets = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_opset);
    if (!opsets)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++) {
        opsets[i].domain = intern_domain(b, protos[i]->domain);
        if (!opsets[i].domain)
            return bnr__no_memory(b->err);
        if (protos[i]->version < 1 || protos[i]->version > INT_MAX)
            return bnr__fail(b->err, BNR_MALFORMED, "%s imports version %" PRId64 " of domain '%s'", what,
                             protos[i]->version, opsets[i].domain);
        // Its operators take for granted what the passes that make them have checked.
        if (strcmp(opsets[i].domain, BNR_INTERNAL_DOMAIN) == 0)
            return bnr__fail(b->err, BNR_UNSUPPORTED, "%s imports domain '%s', which is not for files",
                             what, opsets[i].domain);
        if (bnr__map_get(&seen, opsets[i].domain))
            return bnr__fail(b->err, BNR_MALFORMED, "%s imports domain '%s' twice", what,
                             opsets[i].domain);
        if (!bnr__map_set(&seen, opsets[i].domain, &opsets[i]))
            return bnr__no_memory(b->err);
        opsets[i].version = (int)protos[i]->version;
    }
    *out = opsets;
    return BNR_OK;
}

static enum bnr_status copy_names(struct build *b, size_t n, char **src, const char ***out) {
    *out = BNR_NEW_ARRAY(&b->m->arena, n, const char *);
    if (!*out)
        return bnr__no_memory(b->err);
    for (size_t i = 0; i < n; i++)
        if (!((*out)[i] = bnr__model_intern(b->m, src[i])))
            return bnr__no_memory(b->err);
    return BNR_OK;
}

static enum bnr_status build_body(struct build *b, struct bnr_function *f, const Onnx__FunctionProto *p) {
    struct scope s = {.graph = bnr__graph_new(b->m, NULL)};
    struct bnr_value *v;
    if (!s.graph)
        return bnr__no_memory(b->err);
    bnr__map_init(&s.values, b->temp);
    s.graph->name = f->name;
    f->body = s.graph;
    for (size_t i = 0; i < p->n_input; i++) {
        BNR_TRY(bnr__build_define(b, &s, p->input[i], &v));
        BNR_TRY(bnr__graph_add_input(s.graph, v, b->err));
    }
    BNR_TRY(bnr__build_nodes(b, &s, p->n_node, p->node));
    for (size_t i = 0; i < p->n_output; i++) {
        v = bnr__map_get(&s.values, p->output[i]);
        if (!v)
            return bnr__fail(b->err, BNR_MALFORMED, "output '%s' is not defined", p->output[i]);
        BNR_TRY(bnr__graph_add_output(s.graph, v, b->err));
    }
    return bnr__build_value_infos(b, &s, p->n_value_info, p->value_info);
}

static enum bnr_status build_function(struct build *b, struct bnr_function *f,
                                      const Onnx__FunctionProto *p) {
    struct bnr_opset *opsets = NULL;
    if (p->n_opset_import)
        BNR_TRY(bnr__build_opsets(b, "it", p->n_opset_import, p->opset_import, &opsets));
    b->opsets = opsets;
    b->n_opsets = p->n_opset_import;
    BNR_TRY(copy_names(b, p->n_input, p->input, &f->inputs));
    BNR_TRY(copy_names(b, p->n_output, p->output, &f->outputs));
    BNR_TRY(copy_names(b, p->n_attribute, p->attribute, &f->attr_names));
    f->n_inputs = p->n_input;
    f->n_outputs = p->n_output;
    f->n_attr_names = p->n_attribute;
    BNR_TRY(bnr__build_attrs(b, NULL, NULL, p->n_attribute_proto, p->attribute_proto,
                             &f->attr_defaults));
    f->n_attr_defaults = p->n_attribute_proto;
    return build_body(b, f, p);
}

// What identifies a function; `key` must be unique.
static enum bnr_status name_function(struct build *b, struct bnr_function *f,
                                     const Onnx__FunctionProto *p, struct bnr_map *seen) {
    f->domain = intern_domain(b, p->domain);
    f->name = bnr__model_intern(b->m, text_of(p->name));
    f->overload = bnr__model_intern(b->m, text_of(p->overload));
    if (!f->domain || !f->name || !f->overload)
        return bnr__no_memory(b->err);
    const char *key = bnr__arena_printf(b->temp, "%s\n%s\n%s", f->domain, f->name, f->overload);
    if (!key)
        return bnr__no_memory(b->err);
    if (bnr__map_get(seen, key))
        return bnr__fail(b->err, BNR_MALFORMED, "function '%s.%s' is defined twice", f->domain, f->name);
    return bnr__map_set(seen, key, f) ? BNR_OK : bnr__no_memory(b->err);
}

enum bnr_status bnr__build_functions(struct build *b, size_t n, Onnx__FunctionProto **protos) {
    struct bnr_map seen;
    bnr__map_init(&seen, b->temp);
    b->m->functions = BNR_NEW_ARRAY(&b->m->arena, n, struct bnr_function);
    if (!b->m->functions)
        return bnr__no_memory(b->err);
    b->in_function = true;
    for (size_t i = 0; i < n; i++) {
        struct bnr_function *f = &b->m->functions[i];
        BNR_TRY(name_function(b, f, protos[i], &seen));
        b->m->n_functions++;
        enum bnr_status st = build_function(b, f, protos[i]);
        if (st != BNR_OK)
            return bnr__fail_prefix(b->err, st, "function '%s.%s'", f->domain, f->name);
    }
    b->in_function = false;
    b->opsets = NULL;
    return BNR_OK;
}
