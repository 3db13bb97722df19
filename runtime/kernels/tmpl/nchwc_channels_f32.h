// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_channels_f32 kernels on the vectors of the file that includes it. Needs
// ISA(name), ISA_NAME.
#include "runtime/kernels/nchwc_channels_f32.h"

#include <string.h>

#include "runtime/base/compiler.h"

// `add`: the lanes of the other pieces are in dst already. What is the same for all pixels is copied
// to where no store to dst can be thought to change it.
BNR_INLINE void gather_few(float *dst, const struct bnr_channels_piece *piece,
                           const float *const *src, size_t pixels, const int n, const bool add) {
    int32_t from[3][VW];
    const float *in[3];
    vm take[3];
    BNR_UNROLL
    for (int k = 0; k < n; k++) {
        float sign[VW];
        for (int l = 0; l < VW; l++) {
            sign[l] = piece[k].taken[l] ? -1.0f : 0.0f;
            from[k][l] = piece[k].from[l];
        }
        take[k] = v_lt(v_load(sign), v_set1(0));
        in[k] = src[k];
    }
    for (float *end = dst + pixels * VW; dst < end; dst += VW) {
        vf v = add ? v_load(dst) : v_set1(0);
        BNR_UNROLL
        for (int k = 0; k < n; k++, in[k - 1] += VW)
            v = v_select(take[k], v_lookup(v_load(in[k]), from[k]), v);
        v_store(dst, v);
    }
}

static void gather(float *dst, const struct bnr_channels_piece *piece, const float *const *src,
                   int n, size_t pixels) {
    if (n == 1 && piece->whole)
        memcpy(dst, src[0], pixels * VW * sizeof(float));
    else if (n == 1)
        gather_few(dst, piece, src, pixels, 1, false);
    else if (n == 2)
        gather_few(dst, piece, src, pixels, 2, false);
    else
        gather_few(dst, piece, src, pixels, 3, false);
    for (int k = 3; k < n; k++)
        gather_few(dst, piece + k, src + k, pixels, 1, true);
}

const struct bnr_nchwc_channels_kernels ISA(bnr__nchwc_channels_f32) = {
    .isa = ISA_NAME, .lanes = VW, .gather = gather};
