// SPDX-License-Identifier: Apache-2.0
// The public functions on models.
#include <string.h>

#include "graph/build.h"
#include "graph/op.h"
#include "passes/lib/affine_view.h"
#include "passes/pass.h"
#include "proto/onnx_file.h"
#include "runtime/base/text.h"
#include "runtime/bound.h"
#include "runtime/compiled.h"
#include "runtime/fold_file.h"
#include "runtime/kernels/weights_f32.h"
#include "runtime/session.h"
#include "runtime/verdicts.h"

#define STRINGIFY(x) #x
#define VERSION_TEXT(major, minor, patch) STRINGIFY(major) "." STRINGIFY(minor) "." STRINGIFY(patch)

const char *bnr_version(void) {
    return VERSION_TEXT(BNR_VERSION_MAJOR, BNR_VERSION_MINOR, BNR_VERSION_PATCH);
}

// ---- loading ------------------------------------------------------------------------------------

static enum bnr_status finish(bnr_model **out, struct bnr_model *m, struct bnr_error *err) {
    enum bnr_status st = bnr__model_complete(m, err);
    bnr__model_forget_infos(m); // sessions have copies, that infer what they need
    if (st == BNR_OK)
        *out = m;
    else
        bnr__model_free(m);
    return st;
}

enum bnr_status bnr_model_load_file(bnr_model **out, const char *path,
                                    const struct bnr_allocator *allocator, struct bnr_error *err) {
    if (!out || !path)
        return bnr__fail(err, BNR_INVALID, "no %s given", out ? "path" : "result pointer");
    *out = NULL;
    struct bnr_model *m;
    if (bnr__compiled_is(path))
        return bnr__compiled_open(out, path, allocator, err);
    BNR_TRY(bnr__model_read_file(&m, path, allocator, err));
    return finish(out, m, err);
}

enum bnr_status bnr_model_load(bnr_model **out, const void *data, size_t size,
                               const struct bnr_allocator *allocator, struct bnr_error *err) {
    if (!out || (!data && size > 0))
        return bnr__fail(err, BNR_INVALID, "no %s given", out ? "data" : "result pointer");
    *out = NULL;
    struct bnr_model *m;
    BNR_TRY(bnr__model_read_memory(&m, data, size, allocator, err));
    return finish(out, m, err);
}

void bnr_model_free(bnr_model *model) {
    bnr__model_free(model);
}

// ---- compiling ----------------------------------------------------------------------------------

static enum bnr_status compile(bnr_session *s, const bnr_model *model, const char *path,
                               const struct bnr_options *o, const bnr_tensor *const *inputs,
                               size_t n_inputs, struct bnr_error *err) {
    if (!s->fixed || n_inputs > 0)
        BNR_TRY(bnr_session_plan(s, inputs, n_inputs, err));
    return bnr__compiled_write(bnr__session_working(s), model, o, path, err);
}

enum bnr_status bnr_model_compile_file(const bnr_model *model, const char *path,
                                       const struct bnr_options *options,
                                       const bnr_tensor *const *inputs, size_t n_inputs,
                                       struct bnr_error *err) {
    if (!model || !path)
        return bnr__fail(err, BNR_INVALID, "no %s given", model ? "path" : "model");
    struct bnr_options defaults;
    struct bnr_model *original;
    bnr_session *s;
    bnr_options_init(&defaults);
    if (!options)
        options = &defaults;
    if (options->struct_size == sizeof *options &&
        (options->flags & (BNR_REFERENCE | BNR_TRAINING | BNR_ONLY_BN | BNR_KEEP_STATISTICS)))
        return bnr__fail(err, BNR_INVALID, "flags 0x%x do not go with compiling", options->flags);
    BNR_TRY(bnr__compiled_original(&original, model, err));
    enum bnr_status st = bnr_session_create(&s, original, options, err);
    if (st == BNR_OK) {
        st = compile(s, original, path, options, inputs, n_inputs, err);
        bnr_session_free(s);
    }
    bnr__model_free(original);
    return st;
}

enum bnr_status bnr_model_check(const bnr_model *model, struct bnr_error *err) {
    const struct bnr_compiled *c = model ? bnr__compiled_of(model) : NULL;
    if (!model)
        return bnr__fail(err, BNR_INVALID, "no model given");
    const enum bnr_status st = c ? bnr__compiled_check(c, err) : BNR_OK;
    return st == BNR_OK ? BNR_OK : bnr__fail_prefix(err, st, "%s", model->path);
}

// ---- asking -------------------------------------------------------------------------------------

size_t bnr_model_input_count(const bnr_model *model) {
    return model->interface->n_inputs;
}

size_t bnr_model_output_count(const bnr_model *model) {
    return model->interface->n_outputs;
}

enum bnr_status bnr_model_input(const bnr_model *model, size_t index, struct bnr_value_info *info) {
    if (index >= model->interface->n_inputs)
        return BNR_INVALID;
    *info = model->interface->inputs[index].info;
    return BNR_OK;
}

enum bnr_status bnr_model_output(const bnr_model *model, size_t index,
                                 struct bnr_value_info *info) {
    if (index >= model->interface->n_outputs)
        return BNR_INVALID;
    *info = model->interface->outputs[index].info;
    return BNR_OK;
}

const char *bnr_model_missing(const bnr_model *model, size_t index) {
    return index < model->n_missing ? model->missing[index] : NULL;
}

char *bnr__model_print(const bnr_model *model, enum bnr_print_format format) {
    struct bnr_text text = {0};
    switch (format) {
    case BNR_PRINT_TEXT:
        bnr__print_text(&text, model);
        break;
    case BNR_PRINT_DOT:
        bnr__print_dot(&text, model);
        break;
    case BNR_PRINT_JSON:
        bnr__print_json(&text, model);
        break;
    }
    return bnr__text_take(&text);
}

// A loaded model has no types: a copy is asked for them.
char *bnr_model_print(const bnr_model *model, enum bnr_print_format format) {
    struct bnr_model *copy;
    char *text = NULL;
    if (bnr__model_clone(&copy, model, NULL) != BNR_OK)
        return NULL;
    if (bnr__model_resolve(copy, NULL, NULL) == BNR_OK &&
        bnr__model_infer_first(copy, NULL) == BNR_OK)
        text = bnr__model_print(copy, format);
    bnr__model_free(copy);
    return text;
}

// ---- folding to a file --------------------------------------------------------------------------

// A BN that may go.
static bool folds(const struct bnr_node *n, const struct bnr_options *options) {
    const struct bnr_pass_cx cx = {.options = options};
    return n && bnr__node_is(n, "", "BatchNormalization") && !bnr__pass_keeps(&cx, n);
}

// A convolution or product of com.microsoft in front of a BN, or behind it: the BN goes into what
// it is spelled in, which is standard ONNX. Others stay as they are.
static bool is_fused_beside_bn(const struct bnr_node *n, void *options) {
    if (!bnr__node_is(n, "com.microsoft", "FusedConv") &&
        !bnr__node_is(n, "com.microsoft", "FusedGemm") &&
        !bnr__node_is(n, "com.microsoft", "FusedMatMul"))
        return false;
    // From opset 14 on the operators that they stand for mean the same, and are all there.
    if (bnr__model_opset(n->graph->model, "") < 14 || n->in[0]->info->type.dtype == BNR_UNDEFINED)
        return false;
    for (int i = 0; i < n->n_in && i < 2; i++)
        if (n->in[i] && folds(n->in[i]->producer, options))
            return true;
    for (size_t i = 0; n->out[0] && i < n->out[0]->n_uses; i++)
        if (folds(n->out[0]->uses[i].node, options))
            return true;
    return false;
}

// Nodes that were made since, of the newest opset, as nodes of the model's own.
static enum bnr_status adopt_opset(struct bnr_graph *g, void *first_id) {
    const int opset = bnr__model_opset(g->model, "");
    for (struct bnr_node *n = g->first; n; n = n->next)
        if (n->id >= *(int *)first_id && n->op && n->domain[0] == '\0') {
            n->opset = opset;
            n->since = bnr__op_version(n->op, opset);
        }
    return BNR_OK;
}

static enum bnr_status spell_fused(struct bnr_model *m, struct bnr_options options,
                                   struct bnr_error *err) {
    int first_id = m->next_node_id;
    BNR_TRY(bnr__model_expand_if(m, is_fused_beside_bn, &options, err));
    return bnr__model_each_graph(m, adopt_opset, &first_id);
}

static enum bnr_status fold_graph(struct bnr_model *copy, const struct bnr_model *origin,
                                  const struct bnr_options *options, struct bnr_error *err) {
    const bool only_bn = options->flags & BNR_ONLY_BN;
    struct bnr_before before;
    if (!(options->flags & BNR_NO_FOLD))
        BNR_TRY(spell_fused(copy, *options, err));
    struct bnr_options chosen = *options;
    unsigned groups = BNR_PASS_CLEAN | BNR_PASS_RAISE;
    if (!(options->flags & BNR_NO_FOLD))
        groups |= BNR_PASS_FOLD;
    if (!chosen.passes)
        chosen.passes = options->flags & BNR_NO_FOLD ? "raise_affine" : bnr__only_bn_passes(copy);
    if (!only_bn)
        return bnr__passes_run(copy, options, groups, err);
    BNR_TRY(bnr__before_take(&before, copy, err));
    enum bnr_status st = bnr__passes_run(copy, &chosen, groups, err);
    if (st == BNR_OK)
        st = bnr__before_restore(&before, copy, origin, err);
    bnr__before_free(&before);
    return st;
}

static void tell(const struct bnr_model *copy,
                 void (*report)(void *user, const struct bnr_bn_report *bn), void *user) {
    for (size_t i = 0; i < copy->n_bns; i++) {
        struct bnr_bn_report r;
        bnr__bn_report(&r, copy->bns[i]);
        r.error_bound = bnr__bound(copy, i, 1);
        report(user, &r);
    }
}

enum bnr_status bnr__model_fold_write(struct bnr_model *copy, const struct bnr_model *origin,
                                      const char *path, const struct bnr_options *options,
                                      void (*report)(void *user, const struct bnr_bn_report *bn),
                                      void *user, struct bnr_error *err) {
    struct bnr_options defaults;
    struct bnr_kept_statistics kept = {0};
    bnr_options_init(&defaults);
    if (!options)
        options = &defaults;
    BNR_TRY(bnr__options_check(options, err));
    copy->freeze_initializers = options->flags & BNR_FREEZE_INITIALIZERS;
    copy->weight_kernels = bnr__weights_f32_select(bnr__cpu_detect());
    BNR_TRY(bnr__model_resolve(copy, NULL, err));
    if (bnr__has_gradients(copy))
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "a model with Gradient nodes, which name values, cannot be rewritten");
    BNR_TRY(bnr__model_infer(copy, err));
    enum bnr_status st = BNR_OK;
    if (options->flags & BNR_KEEP_STATISTICS)
        st = bnr__statistics_take(&kept, copy, err);
    if (st == BNR_OK)
        st = fold_graph(copy, origin, options, err);
    if (st == BNR_OK && (options->flags & BNR_KEEP_STATISTICS))
        st = bnr__statistics_note(&kept, copy, err);
    bnr__statistics_free(&kept);
    if (st == BNR_OK)
        st = bnr__model_write_file(copy, origin, path, err);
    if (st == BNR_OK && report && !(options->flags & BNR_NO_FOLD) && !options->passes)
        bnr__verdicts_try(copy, options);
    if (st == BNR_OK && report)
        tell(copy, report, user);
    return st;
}

enum bnr_status bnr_model_fold_file(const bnr_model *model, const char *path,
                                    const struct bnr_options *options,
                                    void (*report)(void *user, const struct bnr_bn_report *bn),
                                    void *user, struct bnr_error *err) {
    if (!model || !path)
        return bnr__fail(err, BNR_INVALID, "no %s given", model ? "path" : "model");
    struct bnr_model *original, *copy;
    BNR_TRY(bnr__compiled_original(&original, model, err));
    enum bnr_status st = bnr__model_clone(&copy, original, err);
    if (st == BNR_OK)
        st = bnr__model_fold_write(copy, original, path, options, report, user, err);
    bnr__model_free(copy);
    bnr__model_free(original);
    return st;
}
