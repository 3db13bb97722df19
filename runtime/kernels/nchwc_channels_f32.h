// SPDX-License-Identifier: Apache-2.0
// Moving channels between blocked float32 tensors (nchwc_f32.h): every channel of the output is
// some channel of some input with the same images and pixels. So Concat, Split, Slice and channel
// shuffle. Exact.
#ifndef BNR_KERNELS_NCHWC_CHANNELS_F32_H
#define BNR_KERNELS_NCHWC_CHANNELS_F32_H

#include <stdint.h>

#include "runtime/kernels/nchwc_f32.h"

enum { BNR_LANES_MAX = 16 };

// What one block of the output takes from one block of an input: lane l is lane from[l] of it where
// taken[l] is not 0.
struct bnr_channels_piece {
    int in;
    size_t block;
    uint8_t from[BNR_LANES_MAX], taken[BNR_LANES_MAX];
    bool whole; // all lanes in place
};

struct bnr_nchwc_channels_kernels {
    const char *isa;
    size_t lanes;
    // n pieces whose blocks begin at src[0 .. n - 1]. Lanes that none gives hold anything.
    void (*gather)(float *dst, const struct bnr_channels_piece *piece, const float *const *src,
                   int n, size_t pixels);
};

#define BNR_KERNEL(isa, needs)                                                                     \
    extern const struct bnr_nchwc_channels_kernels bnr__nchwc_channels_f32_##isa;
#include "runtime/kernels/nchwc_channels_f32.inc"
#undef BNR_KERNEL

const struct bnr_nchwc_channels_kernels *bnr__nchwc_channels_f32_select(unsigned cpu);

// Where a channel of the output comes from.
struct bnr_channel {
    int in;
    size_t channel;
};

struct bnr_nchwc_channels {
    const struct bnr_nchwc_channels_kernels *kernels;
    struct bnr_nchwc shape;           // of the output
    const size_t *in_blocks;          // [inputs]: of an image
    struct bnr_channels_piece *piece; // [first[blocks]], those of a block one after the other
    size_t *first;                    // [blocks + 1]
};

// How many pieces a list of the output's channels comes to, at most one a channel.
size_t bnr__nchwc_channels_pieces(const struct bnr_nchwc *shape, const struct bnr_channel *list);
// Fills c->piece, which has room for them, and c->first.
void bnr__nchwc_channels_plan(struct bnr_nchwc_channels *c, const struct bnr_channel *list);
void bnr__nchwc_channels_run(const struct bnr_nchwc_channels *c, float *dst,
                             const float *const *src, struct bnr_pool *pool);

#endif
