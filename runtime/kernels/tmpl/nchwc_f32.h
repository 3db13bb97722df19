// SPDX-License-Identifier: Apache-2.0
// Template: the nchwc_f32 kernels on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include "runtime/kernels/nchwc_f32.h"

#include "runtime/base/compiler.h"

// VW pixels at a time: rows of VW floats on either side.
BNR_INLINE void turn(const float *src, size_t src_step, float *dst, size_t dst_step) {
    vf r[VW];
    BNR_UNROLL
    for (size_t i = 0; i < VW; i++)
        r[i] = v_load(src + i * src_step);
    v_transpose(r);
    BNR_UNROLL
    for (size_t i = 0; i < VW; i++)
        v_store(dst + i * dst_step, r[i]);
}

static void to_blocked(const struct bnr_nchwc_move *m) {
    size_t p = 0;
    for (; m->channels == VW && p + VW <= m->pixels; p += VW)
        turn(m->plain + p, m->plane, m->blocked + p * VW, VW);
    for (; p < m->pixels; p++) {
        float *dst = m->blocked + p * VW;
        v_store(dst, v_set1(0));
        for (size_t c = 0; c < m->channels; c++)
            dst[c] = m->plain[c * m->plane + p];
    }
}

static void to_plain(const struct bnr_nchwc_move *m) {
    size_t p = 0;
    for (; m->channels == VW && p + VW <= m->pixels; p += VW)
        turn(m->blocked + p * VW, VW, m->plain + p, m->plane);
    for (; p < m->pixels; p++) {
        for (size_t c = 0; c < m->channels; c++)
            m->plain[c * m->plane + p] = m->blocked[p * VW + c];
    }
}

const struct bnr_nchwc_f32 ISA(bnr__nchwc_f32) = {
    .isa = ISA_NAME, .lanes = VW, .to_blocked = to_blocked, .to_plain = to_plain};
