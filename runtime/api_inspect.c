// SPDX-License-Identifier: Apache-2.0
// The public questions about a model's opsets and nodes.
#include "graph/op.h"

enum bnr_status bnr_model_opset(const bnr_model *model, size_t index, struct bnr_opset_info *info) {
    if (index >= model->n_opsets)
        return BNR_INVALID;
    *info = (struct bnr_opset_info){model->opsets[index].domain, model->opsets[index].version};
    return BNR_OK;
}

size_t bnr_model_node_count(const bnr_model *model) {
    return model->graph->n_nodes;
}

enum bnr_status bnr_model_node(const bnr_model *model, size_t index, struct bnr_node_info *info) {
    const struct bnr_node *n = model->graph->first;
    for (; n && index; index--)
        n = n->next;
    if (!n)
        return BNR_INVALID;
    *info = (struct bnr_node_info){n->label, n->domain, n->op_type, n->opset, n->op != NULL};
    return BNR_OK;
}
