// SPDX-License-Identifier: Apache-2.0
// Template: rows of weights to columns, see bnr_weights_turn, on the vectors of the file that includes it.
#include <float.h>
#include <math.h>

#include "runtime/kernels/pieces.h"
#include "runtime/kernels/weights_f32.h"

BNR_INLINE vf scaled_vector(vf v, double f) {
    v = v_from_f64(v_low_f64(v) * f, v_high_f64(v) * f);
    return v_select(v_lt(v_abs(v), v_set1(FLT_MIN)), v_set1(0), v);
}

static inline float scaled_element(float x, double f) {
    const float y = (float)((double)x * f);
    return fabsf(y) < FLT_MIN ? 0.0f : y;
}

// Rows i .. i + VW - 1, of which n exist, columns k .. k + m - 1 (m at most VW). The rows come from
// memory, far from each other: what is read of them next is fetched meanwhile.
// *zeros: stays 0 where all that is scaled is finite.
BNR_INLINE void turn_square(const struct bnr_weights_turn *t, size_t i, size_t n, size_t k,
                            size_t m, const bool scaled, vf *zeros) {
    enum { AHEAD = 32 }; // floats: two lines
    vf r[VW];
    const size_t channels = t->cols / t->taps;
    size_t tap = k % t->taps, channel = k / t->taps;
    BNR_UNROLL
    for (size_t j = 0; j < VW; j++) {
        const float *src = (const float *)(const void *)(t->src + (i + j) * t->src_step + k);
        r[j] = j >= n ? v_set1(0) : m == VW ? v_load(src) : v_load_n(src, (int)m);
        if (j < n) {
            __builtin_prefetch((const char *)src + AHEAD * sizeof(float));
            if (scaled) {
                r[j] = scaled_vector(r[j], t->factors[i + j]);
                *zeros = v_fma(r[j], v_set1(0), *zeros);
            }
        }
    }
    v_transpose(r);
    for (size_t j = 0; j < m; j++) {
        v_store(t->dst + (tap * channels + channel) * t->dst_step + i, r[j]);
        if (++tap == t->taps) {
            tap = 0;
            channel++;
        }
    }
}

// Behind the last whole vector of a row of dst.
BNR_INLINE bool turn_rest(const struct bnr_weights_turn *t, size_t i) {
    const size_t channels = t->cols / t->taps;
    bool finite = true;
    for (; i < t->width; i++) {
        const bool exists = i < t->rows;
        for (size_t k = 0; k < t->cols; k++) {
            float x = exists ? t->src[i * t->src_step + k] : 0;
            if (exists && t->factors) {
                x = scaled_element(x, t->factors[i]);
                finite = finite && isfinite(x);
            }
            t->dst[(k % t->taps * channels + k / t->taps) * t->dst_step + i] = x;
        }
    }
    return finite;
}

BNR_INLINE bool turn_squares(const struct bnr_weights_turn *t, size_t whole, const bool scaled) {
    vf zeros = v_set1(0);
    for (size_t k = 0; k < t->cols; k += VW) {
        const size_t m = min_size(VW, t->cols - k);
        for (size_t i = 0; i < whole; i += VW) {
            const size_t n = t->rows > i ? min_size(VW, t->rows - i) : 0;
            if (n == VW && m == VW)
                turn_square(t, i, VW, k, VW, scaled, &zeros);
            else
                turn_square(t, i, n, k, m, scaled, &zeros);
        }
    }
    return v_sum(zeros) == 0;
}

static bool turn(const struct bnr_weights_turn *t) {
    const size_t whole = t->width / VW * VW;
    const bool finite = t->factors ? turn_squares(t, whole, true) : turn_squares(t, whole, false);
    return turn_rest(t, whole) && finite;
}
