// SPDX-License-Identifier: Apache-2.0
#include "passes/lib/gather.h"

#include <math.h>
#include <string.h>

bool bnr__gather_is_op(const struct bnr_node *n, const char *op_type, int n_in) {
    return n && n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0 && n->n_in >= n_in &&
           n->n_out > 0 && n->out[0];
}

struct bnr_node *bnr__gather_inner(const struct bnr_value *v, const char *op_type, int n_in) {
    return v && v->producer_index == 0 && bnr__gather_is_op(v->producer, op_type, n_in) &&
                   bnr__value_single_use(v)
               ? v->producer
               : NULL;
}

bool bnr__gather_number(const struct bnr_value *v, double *number) {
    if (!v || !bnr__value_is_constant(v) || v->tensor->kind != BNR_KIND_TENSOR ||
        v->tensor->numel != 1 || !bnr__dtype_is_float(v->tensor->dtype))
        return false;
    *number = bnr__tensor_f64(v->tensor, 0);
    return true;
}

struct bnr_value *bnr__gather_with_number(const struct bnr_node *n, double *number) {
    if (!n || !n->in[0] || !n->in[1])
        return NULL;
    if (bnr__gather_number(n->in[1], number))
        return n->in[0];
    return strcmp(n->op_type, "Div") != 0 && bnr__gather_number(n->in[0], number) ? n->in[1] : NULL;
}

bool bnr__gather_is_close(double a, double b) {
    return fabs(a - b) <= 1e-3 * fabs(b);
}

enum bnr_status bnr__gather_node(struct bnr_pass_cx *cx, struct bnr_node *n, const char *op_type,
                                 int opset, int n_in, struct bnr_value **in,
                                 struct bnr_node **out) {
    BNR_TRY(bnr__node_new(out, n->graph, n, "", op_type, n->name[0] ? n->name : NULL, n_in, in, 1,
                          cx->err));
    struct bnr_node *with = *out;
    if (with->opset < opset) {
        with->opset = opset;
        with->op = bnr__op_find("", op_type);
        with->since = with->op ? bnr__op_version(with->op, opset) : 0;
    }
    return BNR_OK;
}

enum bnr_status bnr__gather_replace(struct bnr_pass_cx *cx, struct bnr_node *n,
                                    struct bnr_node *with) {
    bnr__node_set_output(with, 0, n->out[0]);
    bnr__node_remove(n);
    return bnr__node_infer(with, NULL, cx->err);
}
