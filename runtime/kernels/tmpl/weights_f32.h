// SPDX-License-Identifier: Apache-2.0
// Template: the weights_f32 kernels on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include "runtime/kernels/tmpl/turn.h"

// Simple enough for the compiler's vectors.
static void scale(float *dst, const bnr_any_float *src, size_t n, double f) {
    for (size_t i = 0; i < n; i++)
        dst[i] = scaled_element(src[i], f);
}

static void scale_each(float *dst, const bnr_any_float *src, size_t n, double f, const double *each) {
    for (size_t i = 0; i < n; i++)
        dst[i] = scaled_element(src[i], f * each[i]);
}

struct survey {
    vf most, zeros; // zeros: stays 0 where all numbers are finite
};

BNR_INLINE void look_at(struct survey *v, vf x) {
    v->most = v_max(v->most, v_abs(x));
    v->zeros = v_fma(x, v_set1(0), v->zeros);
}

// At several places at a time: so more of memory's lines are under way.
static float largest(const bnr_any_float *src, size_t n) {
    enum { PLACES = 16, LENGTH = 2048, AHEAD = 32 }; // the latter two in floats
    struct survey v[2] = {{v_set1(0), v_set1(0)}, {v_set1(0), v_set1(0)}};
    const float *p = (const float *)(const void *)src;
    for (; n >= PLACES * LENGTH; p += PLACES * LENGTH, n -= PLACES * LENGTH) {
        for (size_t i = 0; i < LENGTH; i += VW) {
            BNR_UNROLL
            for (size_t place = 0; place < PLACES; place++) {
                const float *at = p + place * LENGTH + i;
                __builtin_prefetch((const char *)at + AHEAD * sizeof *at);
                look_at(&v[place % 2], v_load(at));
            }
        }
    }
    for (; n >= VW; p += VW, n -= VW)
        look_at(&v[0], v_load(p));
    look_at(&v[1], v_load_n(p, (int)n));
    if (v_sum(v_add(v[0].zeros, v[1].zeros)) != 0)
        return NAN;
    float lanes[VW], most = 0;
    v_store(lanes, v_max(v[0].most, v[1].most));
    for (size_t i = 0; i < VW; i++)
        most = lanes[i] > most ? lanes[i] : most;
    return most;
}

const struct bnr_weights_f32 ISA(bnr__weights_f32) = {
    .isa = ISA_NAME, .turn = turn, .scale = scale, .scale_each = scale_each, .largest = largest};
