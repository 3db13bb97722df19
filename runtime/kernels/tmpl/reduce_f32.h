// SPDX-License-Identifier: Apache-2.0
// Template: the reduce_f32 kernels on the vectors of the file that includes it. Needs ISA(name).
#include "runtime/kernels/reduce_f32.h"

#include <float.h>
#include <math.h>

#include "runtime/kernels/pieces.h"
#include "runtime/kernels/tmpl/math_f32.h"

enum { RUN_BLOCK = 4096, COLUMN_BLOCK = 128, ACCUMULATORS = 4 };
enum { STRIP = BNR_REDUCE_F32_STRIP };

BNR_INLINE bool is_extreme(const enum bnr_reduce_f32_kind kind) {
    return kind == BNR_REDUCE_F32_MAX || kind == BNR_REDUCE_F32_MIN;
}

BNR_INLINE float start_of(const enum bnr_reduce_f32_kind kind) {
    return kind == BNR_REDUCE_F32_MAX ? -INFINITY : kind == BNR_REDUCE_F32_MIN ? INFINITY : 0;
}

BNR_INLINE vf map(const enum bnr_reduce_f32_kind kind, vf x, vf shift) {
    switch (kind) {
    case BNR_REDUCE_F32_ABS:
        return v_abs(x);
    case BNR_REDUCE_F32_SQUARES:
        x = v_sub(x, shift);
        return v_mul(x, x);
    case BNR_REDUCE_F32_EXP:
        return v_exp(v_sub(x, shift));
    default:
        return x;
    }
}

// Passes over NaN in x, which mark_nan keeps.
BNR_INLINE vf join(const enum bnr_reduce_f32_kind kind, vf acc, vf x) {
    return kind == BNR_REDUCE_F32_MAX   ? v_max(x, acc)
           : kind == BNR_REDUCE_F32_MIN ? v_min(x, acc)
                                        : v_add(acc, x);
}

// NaN where x or seen is.
BNR_INLINE vf mark_nan(vf seen, vf x) {
    return v_select(v_lt(v_set1(-1), v_abs(x)), seen, x);
}

BNR_INLINE double join_one(const enum bnr_reduce_f32_kind kind, double acc, double x) {
    if (!is_extreme(kind))
        return acc + x;
    const bool keeps = kind == BNR_REDUCE_F32_MAX ? acc > x : acc < x;
    return keeps || acc != acc ? acc : x;
}

// Whether a block's sum in float is as good as said.
BNR_INLINE bool in_range(const enum bnr_reduce_f32_kind kind, float sum) {
    if (is_extreme(kind) || kind == BNR_REDUCE_F32_EXP)
        return true;
    return fabsf(sum) <= FLT_MAX && (kind != BNR_REDUCE_F32_SQUARES || sum >= 0x1p-80f);
}

BNR_INLINE double map_one(const enum bnr_reduce_f32_kind kind, float x, float shift) {
    const double d = (double)x - (double)shift;
    return kind == BNR_REDUCE_F32_ABS       ? fabs((double)x)
           : kind == BNR_REDUCE_F32_SQUARES ? d * d
                                            : (double)x;
}

// ---- neighbours ---------------------------------------------------------------------------------

BNR_INLINE float gather_lanes(const enum bnr_reduce_f32_kind kind, vf acc, vf seen) {
    float lanes[VW], best = start_of(kind);
    const float nan = v_sum(seen); // of 0 and NaN
    if (!is_extreme(kind))
        return v_sum(acc);
    v_store(lanes, acc);
    for (int k = 0; k < VW; k++)
        best = (kind == BNR_REDUCE_F32_MAX ? lanes[k] > best : lanes[k] < best) ? lanes[k] : best;
    return nan != nan ? nan : best;
}

BNR_INLINE float block(const enum bnr_reduce_f32_kind kind, const float *x, size_t n, float shift) {
    const vf s = v_set1(shift);
    vf acc[ACCUMULATORS], seen = v_set1(0);
    size_t i = 0;
    BNR_UNROLL
    for (int k = 0; k < ACCUMULATORS; k++)
        acc[k] = v_set1(start_of(kind));
    for (; i + ACCUMULATORS * VW <= n; i += ACCUMULATORS * VW) {
        BNR_UNROLL
        for (int k = 0; k < ACCUMULATORS; k++) {
            const vf v = v_load(x + i + k * VW);
            acc[k] = join(kind, acc[k], map(kind, v, s));
            seen = is_extreme(kind) ? mark_nan(seen, v) : seen;
        }
    }
    for (; i + VW <= n; i += VW) {
        const vf v = v_load(x + i);
        acc[0] = join(kind, acc[0], map(kind, v, s));
        seen = is_extreme(kind) ? mark_nan(seen, v) : seen;
    }
    float rest[VW];
    const vf joined = join(kind, join(kind, acc[0], acc[1]), join(kind, acc[2], acc[3]));
    float result = gather_lanes(kind, joined, seen);
    if (i < n)
        v_store(rest, map(kind, v_load_n(x + i, (int)(n - i)), s));
    for (size_t k = 0; k < n - i; k++)
        result = is_extreme(kind) ? (float)join_one(kind, (double)result, (double)rest[k])
                                  : result + rest[k];
    return result;
}

BNR_INLINE double run(const enum bnr_reduce_f32_kind kind, const float *src, size_t n,
                      float shift) {
    double result = (double)start_of(kind);
    for (size_t at = 0; at < n; at += RUN_BLOCK) {
        const size_t part = min_size(n - at, RUN_BLOCK);
        const float value = block(kind, src + at, part, shift);
        if (in_range(kind, value)) {
            result = join_one(kind, result, (double)value);
            continue;
        }
        for (size_t i = 0; i < part; i++)
            result += map_one(kind, src[at + i], shift);
    }
    return result;
}

// ---- columns ------------------------------------------------------------------------------------

BNR_INLINE void column_block(const enum bnr_reduce_f32_kind kind, float *part, float *seen,
                             const float *src, size_t rows, size_t ld, size_t cols,
                             const float *shift) {
    enum { AT_ONCE = 4 };
    for (size_t c = 0; c < cols; c += VW) {
        v_store(part + c, v_set1(start_of(kind)));
        v_store(seen + c, v_set1(0));
    }
    for (size_t r = 0; r < rows;) {
        const size_t n = rows - r < AT_ONCE ? 1 : AT_ONCE;
        for (size_t c = 0; c < cols; c += VW) {
            const int lanes = cols - c < VW ? (int)(cols - c) : VW;
            const vf s = shift ? v_load_n(shift + c, lanes) : v_set1(0);
            vf acc = v_load(part + c), bad = v_load(seen + c);
            for (size_t k = 0; k < n; k++) {
                const float *at = src + (r + k) * ld + c;
                const vf v = lanes == VW ? v_load(at) : v_load_n(at, lanes);
                acc = join(kind, acc, map(kind, v, s));
                bad = is_extreme(kind) ? mark_nan(bad, v) : bad;
            }
            v_store(part + c, acc);
            if (is_extreme(kind))
                v_store(seen + c, bad);
        }
        r += n;
    }
}

BNR_INLINE void columns(const enum bnr_reduce_f32_kind kind, double *acc, const float *src,
                        size_t rows, size_t ld, size_t cols, const float *shift) {
    float part[STRIP + VW], seen[STRIP + VW];
    for (size_t first = 0; first < rows; first += COLUMN_BLOCK) {
        const size_t n = min_size(rows - first, COLUMN_BLOCK);
        const float *from = src + first * ld;
        column_block(kind, part, seen, from, n, ld, cols, shift);
        for (size_t c = 0; c < cols; c++) {
            const float value = is_extreme(kind) && seen[c] != seen[c] ? seen[c] : part[c];
            if (in_range(kind, value)) {
                acc[c] = join_one(kind, acc[c], (double)value);
                continue;
            }
            for (size_t r = 0; r < n; r++)
                acc[c] += map_one(kind, from[r * ld + c], shift ? shift[c] : 0);
        }
    }
}

#define KIND(name, kind)                                                                           \
    static double run_##name(const float *src, size_t n, float shift) {                            \
        return run(kind, src, n, shift);                                                           \
    }                                                                                              \
    static void columns_##name(double *acc, const float *src, size_t rows, size_t ld, size_t cols, \
                               const float *shift) {                                               \
        columns(kind, acc, src, rows, ld, cols, shift);                                            \
    }
KIND(sum, BNR_REDUCE_F32_SUM)
KIND(abs, BNR_REDUCE_F32_ABS)
KIND(squares, BNR_REDUCE_F32_SQUARES)
KIND(exp, BNR_REDUCE_F32_EXP)
KIND(max, BNR_REDUCE_F32_MAX)
KIND(min, BNR_REDUCE_F32_MIN)

static void apply(float *dst, const float *src, size_t n, const float *mean, const float *scale,
                  bool each) {
    vf m = v_set1(mean[0]), s = v_set1(scale[0]);
    for (size_t i = 0; i < n; i += VW) {
        const int lanes = n - i < VW ? (int)(n - i) : VW;
        if (each) {
            m = v_load_n(mean + i, lanes);
            s = v_load_n(scale + i, lanes);
        }
        v_store_n(dst + i, v_div(v_sub(v_load_n(src + i, lanes), m), s), lanes);
    }
}

#define KINDS(prefix)                                                                              \
    { prefix##_sum, prefix##_abs, prefix##_squares, prefix##_exp, prefix##_max, prefix##_min }
const struct bnr_reduce_f32_kernels ISA(bnr__reduce_f32) = {
    .isa = ISA_NAME, .run = KINDS(run), .columns = KINDS(columns), .apply = apply};
