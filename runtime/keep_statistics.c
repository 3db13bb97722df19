// SPDX-License-Identifier: Apache-2.0
// The parameters of BatchNormalizations as metadata of the folded file, for tools that need them later
// (bias correction, absorption of high biases, equalization across layers).
#include "graph/op.h"
#include "runtime/base/text.h"
#include "runtime/fold_file.h"

static const char *const keys[] = {"gamma", "beta", "mean", "var"};

struct taking {
    struct bnr_kept_statistics *k; // bns NULL: only counting
    size_t n;
};

// In the order in which passes list BatchNormalizations.
static enum bnr_status take_graph(struct bnr_graph *g, void *cx) {
    struct taking *t = cx;
    for (const struct bnr_node *n = g->first; n; n = n->next) {
        if (!bnr__node_is(n, "", "BatchNormalization") || n->n_in == 0 || !n->in[0])
            continue;
        const size_t i = t->n++;
        if (!t->k->bns)
            continue;
        struct bnr_kept_bn *bn = &t->k->bns[i];
        bn->epsilon = bnr__attr_float(n, "epsilon", 1e-5f);
        for (int p = 0; p < 4 && p + 1 < n->n_in; p++) {
            const struct bnr_value *v = n->in[p + 1];
            struct bnr_tensor *tensor = !v                          ? NULL
                                        : bnr__value_is_constant(v) ? v->tensor
                                                                    : v->info->tensor;
            if (tensor && tensor->kind == BNR_KIND_TENSOR && bnr__dtype_is_float(tensor->dtype))
                bn->parameters[p] = bnr__tensor_ref(tensor);
        }
    }
    return BNR_OK;
}

enum bnr_status bnr__statistics_take(struct bnr_kept_statistics *k, struct bnr_model *m,
                                     struct bnr_error *err) {
    struct taking t = {.k = k};
    *k = (struct bnr_kept_statistics){.n = 0};
    bnr__arena_init(&k->arena, m->allocator);
    bnr__model_each_graph(m, take_graph, &t);
    k->bns = BNR_NEW_ARRAY(&k->arena, t.n, struct bnr_kept_bn);
    if (!k->bns)
        return bnr__no_memory(err);
    k->n = t.n;
    t.n = 0;
    return bnr__model_each_graph(m, take_graph, &t);
}

void bnr__statistics_free(struct bnr_kept_statistics *k) {
    for (size_t i = 0; i < k->n; i++)
        for (int p = 0; p < 4; p++)
            bnr__tensor_unref(k->bns[i].parameters[p]);
    bnr__arena_free(&k->arena);
}

static void add_bn(struct bnr_text *t, const struct bnr_kept_bn *bn, const struct bnr_bn *verdict) {
    bnr__text_add(t, "{\"name\":");
    bnr__text_json_string(t, verdict->name);
    bnr__text_add(t, ",\"verdict\":\"%s\"", verdict->verdict == BNR_BN_FOLDED ? "folded" : "kept");
    if (verdict->into) {
        bnr__text_add(t, ",\"into\":");
        bnr__text_json_string(t, verdict->into);
    }
    bnr__text_add(t, ",\"epsilon\":");
    bnr__text_json_number(t, (double)bn->epsilon);
    for (int p = 0; p < 4; p++) {
        const struct bnr_tensor *values = bn->parameters[p];
        if (!values)
            continue;
        bnr__text_add(t, ",\"%s\":[", keys[p]);
        for (size_t i = 0; i < values->numel; i++) {
            bnr__text_add(t, i ? "," : "");
            bnr__text_json_number(t, bnr__tensor_f64(values, i));
        }
        bnr__text_add(t, "]");
    }
    bnr__text_add(t, "}");
}

enum bnr_status bnr__statistics_note(const struct bnr_kept_statistics *k, struct bnr_model *m,
                                     struct bnr_error *err) {
    struct bnr_meta *meta = BNR_NEW_ARRAY(&m->arena, m->n_meta + k->n, struct bnr_meta);
    if (!meta)
        return bnr__no_memory(err);
    for (size_t i = 0; i < m->n_meta; i++)
        meta[i] = m->meta[i];
    size_t n = m->n_meta;
    for (size_t i = 0; i < k->n && i < m->n_bns; i++) {
        struct bnr_text t = {.allocator = m->allocator};
        add_bn(&t, &k->bns[i], m->bns[i]);
        const bool failed = t.failed;
        meta[n].key = bnr__arena_printf(&m->arena, "bnrun.bn.%zu", i);
        meta[n].value = failed ? NULL : bnr__arena_strdup(&m->arena, t.data);
        bnr__text_free(&t);
        if (!meta[n].key || !meta[n].value)
            return bnr__no_memory(err);
        n++;
    }
    m->meta = meta;
    m->n_meta = n;
    return BNR_OK;
}
