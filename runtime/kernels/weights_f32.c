// SPDX-License-Identifier: Apache-2.0
// weights_f32: the choice of kernels.
#include "runtime/kernels/weights_f32.h"

const struct bnr_weights_f32 *bnr__weights_f32_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_weights_f32 *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__weights_f32_##isa},
#include "runtime/kernels/weights_f32.inc"
#undef BNR_KERNEL
    };
    const struct bnr_weights_f32 *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}
