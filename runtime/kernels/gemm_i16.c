// SPDX-License-Identifier: Apache-2.0
// gemm_i16: the choice of kernels.
#include "runtime/kernels/gemm_i16.h"

const struct bnr_gemm_i16_kernels *bnr__gemm_i16_select(unsigned cpu) {
    static const struct {
        unsigned needs;
        const struct bnr_gemm_i16_kernels *kernels;
    } rows[] = {
#define BNR_KERNEL(isa, needs) {needs, &bnr__gemm_i16_##isa},
#include "runtime/kernels/gemm_i16.inc"
#undef BNR_KERNEL
    };
    const struct bnr_gemm_i16_kernels *best = NULL;
    for (size_t i = 0; i < BNR_COUNT(rows); i++) {
        if ((rows[i].needs & cpu) == rows[i].needs)
            best = rows[i].kernels;
    }
    return best;
}

struct bnr_gemm_f32 bnr__gemm_i16_as_f32(const struct bnr_gemm_i16_kernels *kernels, unsigned cpu) {
    return (struct bnr_gemm_f32){.isa = kernels->isa,
                                 .mr = kernels->mr,
                                 .nr = kernels->nr,
                                 .tile = kernels->tile,
                                 .pack = bnr__gemm_f32_select(cpu)->pack}; // which moves bits
}
