// SPDX-License-Identifier: Apache-2.0
// Binding nodes to operators: which version is in force, what is missing, whether counts and attributes fit.
#include <stdio.h>
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"

static const char *domain_name(const char *domain) {
    return domain[0] ? domain : "ai.onnx";
}

enum bnr_status bnr__model_add_missing(struct bnr_model *m, const char *line, struct bnr_error *err) {
    char *copy = bnr__arena_strdup(&m->arena, line);
    const char **lines = bnr__arena_grow(&m->arena, m->missing, m->n_missing, &m->missing_capacity,
                                         sizeof *lines);
    if (lines)
        m->missing = lines;
    if (!copy || !lines)
        return bnr__no_memory(err);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    lines[m->n_missing++] = copy;
    return BNR_OK;
}

static enum bnr_status add_missing(struct bnr_node *n, const struct bnr_op *op,
                                   struct bnr_error *err) {
    const char *domain = domain_name(n->domain);
    const int newest = bnr__op_max_opset(n->domain);
    char reason[80] = "";
    if (newest > 0 && n->opset > newest)
        snprintf(reason, sizeof reason, " is newer than %d", newest);
    else if (op)
        snprintf(reason, sizeof reason, ": the operator exists from opset %d on", op->since[0]);
    char line[720];
    snprintf(line, sizeof line, "node '%.200s': %.200s %.200s, opset %d%s", n->label, domain,
             n->op_type, n->opset, reason);
    return bnr__model_add_missing(n->graph->model, line, err);
}

static enum bnr_status wrong_count(const struct bnr_node *n, const char *what, int seen, int min,
                                   int max, struct bnr_error *err) {
    if (max >= BNR_VARIADIC)
        return bnr__op_fail(n, err, BNR_MALFORMED, "has %d %s, expected at least %d", seen, what, min);
    return bnr__op_fail(n, err, BNR_MALFORMED, "has %d %s, expected %d to %d", seen, what, min, max);
}

static enum bnr_status check_inputs(struct bnr_node *n, struct bnr_error *err) {
    while (n->n_in > 0 && !n->in[n->n_in - 1])
        n->n_in--; // "" at the end says nothing
    if (n->n_in < n->op->min_in || n->n_in > n->op->max_in)
        return wrong_count(n, "inputs", n->n_in, n->op->min_in, n->op->max_in, err);
    for (int i = 0; i < n->op->min_in; i++)
        if (!n->in[i])
            return bnr__op_fail(n, err, BNR_MALFORMED, "input %d is left out, but is not optional", i);
    return BNR_OK;
}

static enum bnr_status grow_outputs(struct bnr_node *n, int n_out, struct bnr_error *err) {
    if (n_out <= n->n_out)
        return BNR_OK;
    struct bnr_value **out =
        BNR_NEW_ARRAY(&n->graph->model->arena, (size_t)n_out, struct bnr_value *);
    if (!out)
        return bnr__no_memory(err);
    if (n->n_out > 0)
        memcpy(out, n->out, (size_t)n->n_out * sizeof *out);
    n->out = out;
    n->n_out = n_out;
    return BNR_OK;
}

// Operators never meet a required output that is NULL: one that the file does not name gets a value.
static enum bnr_status check_outputs(struct bnr_node *n, struct bnr_error *err) {
    int used = n->n_out;
    while (used > 0 && !n->out[used - 1])
        used--;
    if (used > n->op->max_out)
        return wrong_count(n, "outputs", used, n->op->min_out, n->op->max_out, err);
    BNR_TRY(grow_outputs(n, n->op->min_out, err));
    for (int i = 0; i < n->op->min_out; i++)
        if (!n->out[i]) {
            struct bnr_value *v;
            BNR_TRY(bnr__value_new(&v, n->graph, NULL, err));
            bnr__node_set_output(n, i, v);
        }
    return BNR_OK;
}

static enum bnr_status resolve_node(struct bnr_node *n, struct bnr_error *err) {
    const struct bnr_op *op = n->op ? n->op : bnr__op_find(n->domain, n->op_type);
    if (n->opset <= 0)
        return bnr__op_fail(n, err, BNR_MALFORMED, "domain '%s' is not among the opset imports",
                            domain_name(n->domain));
    n->since = op ? bnr__op_version(op, n->opset) : 0;
    n->op = n->since > 0 ? op : NULL;
    if (!n->op)
        return add_missing(n, op, err);
    BNR_TRY(check_inputs(n, err));
    BNR_TRY(check_outputs(n, err));
    return bnr__op_check_attrs(n, err);
}

static enum bnr_status resolve_graph(struct bnr_graph *g, void *cx) {
    for (struct bnr_node *n = g->first; n; n = n->next)
        BNR_TRY(resolve_node(n, cx));
    return BNR_OK;
}

enum bnr_status bnr__model_resolve(struct bnr_model *m, size_t *missing, struct bnr_error *err) {
    m->n_missing = 0;
    enum bnr_status st = bnr__model_each_graph(m, resolve_graph, err);
    if (missing)
        *missing = m->n_missing;
    return st;
}
