// SPDX-License-Identifier: Apache-2.0
// The public functions on operators.
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/base/status.h"

static const struct bnr_op *public_op(size_t index) {
    const struct bnr_op *op;
    for (size_t i = 0; (op = bnr__op_at(i)) != NULL; i++)
        if (strcmp(op->domain, BNR_INTERNAL_DOMAIN) != 0 && index-- == 0)
            return op;
    return NULL;
}

static int count(int n) {
    return n >= BNR_VARIADIC ? INT32_MAX : n;
}

enum bnr_status bnr_op(size_t index, struct bnr_op_info *info) {
    const struct bnr_op *op = public_op(index);
    if (!op || !info)
        return BNR_INVALID;
    *info = (struct bnr_op_info){.domain = op->domain,
                                 .name = op->name,
                                 .versions = op->since,
                                 .min_inputs = op->min_in,
                                 .max_inputs = count(op->max_in),
                                 .min_outputs = op->min_out,
                                 .max_outputs = count(op->max_out)};
    while (info->n_versions < BNR_OP_MAX_VERSIONS && op->since[info->n_versions] != 0)
        info->n_versions++;
    return BNR_OK;
}

enum bnr_status bnr_op_types(size_t index, int version, uint32_t *types, size_t n) {
    const struct bnr_op *op = public_op(index);
    if (!op || !types || n > (size_t)op->max_in || bnr__op_version(op, version) != version)
        return BNR_INVALID;
    return bnr__op_types(op, version, types, (int)n);
}
