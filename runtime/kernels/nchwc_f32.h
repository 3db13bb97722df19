// SPDX-License-Identifier: Apache-2.0
// Blocked float32 tensors, NCHWc: [batch][blocks][pixels][lanes], where blocks = ceil(channels /
// lanes), lanes is the width of the CPU level's vectors and pixels runs over the spatial axes in
// order. So one vector holds the same pixel of neighbouring channels. The lanes behind the last
// channel may hold anything, and no kernel lets them influence others. Blocked tensors are 64-byte
// aligned.
//
// Here: the way between plain and blocked. Exact.
#ifndef BNR_KERNELS_NCHWC_F32_H
#define BNR_KERNELS_NCHWC_F32_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/cpu.h"

struct bnr_nchwc {
    size_t batch, channels, pixels;
    size_t lanes, blocks;
};

// Some pixels of one block: channels (at most lanes) planes, `plane` floats apart.
struct bnr_nchwc_move {
    float *plain, *blocked; // of the first pixel; one of them is only read
    size_t plane, channels, pixels;
};

struct bnr_nchwc_f32 {
    const char *isa;
    size_t lanes;
    void (*to_blocked)(const struct bnr_nchwc_move *m); // lanes without channel become 0
    void (*to_plain)(const struct bnr_nchwc_move *m);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_nchwc_f32 bnr__nchwc_f32_##isa;
#include "runtime/kernels/nchwc_f32.inc"
#undef BNR_KERNEL

const struct bnr_nchwc_f32 *bnr__nchwc_f32_select(unsigned cpu);

// The whole tensor; to_plain: from blocked to plain, else the other way.
struct bnr_nchwc_reorder {
    const struct bnr_nchwc_f32 *kernels;
    struct bnr_nchwc shape;
    bool to_plain;
};

void bnr__nchwc_f32_reorder(const struct bnr_nchwc_reorder *r, float *dst, const float *src,
                            struct bnr_pool *pool);

#endif
