// SPDX-License-Identifier: Apache-2.0
// GlobalAveragePool (ai.onnx 1, 22): the mean of each channel.
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/pooling.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_pooling p;
    BNR_TRY(bnr__pooling_global_begin(a, &p));
    if (!p.y)
        return BNR_OK;
    for (size_t plane = 0; plane < p.planes; plane++) {
        double sum = 0;
        for (size_t i = 0; i < p.in; i++)
            sum += p.x[plane * p.in + i];
        p.y[plane] = sum / (double)p.in;
    }
    bnr__pooling_end(&p);
    return BNR_OK;
}

BNR_DEFINE_OP(global_average_pool) = {
    .domain = "",
    .name = "GlobalAveragePool",
    .since = {1, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = bnr__pooling_global_infer,
    .ref = ref,
    .affine = &bnr__affine_global_average_pool,
    .prepare = bnr__prepare_global_average_pool,
};
