// SPDX-License-Identifier: Apache-2.0
// GlobalMaxPool (ai.onnx 1, 22): the largest element of each channel. NaN loses against every
// number.
#include <math.h>

#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/pooling.h"
#include "runtime/ops/lib/prepare.h"

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_pooling p;
    BNR_TRY(bnr__pooling_global_begin(a, &p));
    if (!p.y)
        return BNR_OK;
    for (size_t plane = 0; plane < p.planes; plane++) {
        double max = -HUGE_VAL;
        for (size_t i = 0; i < p.in; i++)
            if (p.x[plane * p.in + i] > max)
                max = p.x[plane * p.in + i];
        p.y[plane] = max;
    }
    bnr__pooling_end(&p);
    return BNR_OK;
}

BNR_DEFINE_OP(global_max_pool) = {
    .domain = "",
    .name = "GlobalMaxPool",
    .since = {1, 22},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = bnr__pooling_global_infer,
    .ref = ref,
    .affine = &bnr__affine_global_max_pool,
    .prepare = bnr__prepare_global_max_pool,
};
