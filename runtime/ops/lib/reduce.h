// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes: an operator says what one element contributes (map), how two
// contributions combine, and what becomes of the result (finish). Floats of every width accumulate
// in double and are rounded once; integers accumulate in 64 bits and wrap.
//
//     BNR_REDUCE_LOOPS(sum_f64, double, x, a + b)
//     static const struct bnr_reduce reduce = {.types = BNR_TYPES_HIGH, .axes_input = 13,
//                                              .f64 = {BNR_REDUCE(sum_f64)}};
#ifndef BNR_OPS_LIB_REDUCE_H
#define BNR_OPS_LIB_REDUCE_H

#include "runtime/ops/lib/prepare.h"
#include "runtime/ops/lib/typed.h"

// What the specification calls high-precision numeric.
#define BNR_TYPES_HIGH                                                                             \
    (BNR_TYPES_FLOAT | BNR_TYPE(INT32) | BNR_TYPE(INT64) | BNR_TYPE(UINT32) | BNR_TYPE(UINT64))

enum bnr_reduce_start { BNR_START_ZERO, BNR_START_ONE, BNR_START_LOWEST, BNR_START_HIGHEST };

// Loops over elements of one accumulator type A of 8 bytes: double, int64_t or uint64_t.
struct bnr_reduce_loops {
    // acc[j] = combine(acc[j], map(x[r * width + j])) for j < width, r < rows in order. m: see
    // `shifted`.
    void (*step)(void *acc, size_t width, const void *x, size_t rows, const void *m);
    // acc[0] = combine(acc[0], acc[1]) ... up to acc[n - 1].
    void (*merge)(void *acc, size_t n);
    // acc[j] = finish(acc[j]) for results of `count` elements each. NULL: nothing to do.
    void (*finish)(void *acc, size_t n, size_t count, const void *m);
};

// The kernel (kernels/reduce_f32.h) that does the same in float32.
enum bnr_reduce_fast {
    BNR_FAST_NONE,
    BNR_FAST_SUM,
    BNR_FAST_MEAN,
    BNR_FAST_L1,
    BNR_FAST_L2,
    BNR_FAST_SUM_SQUARE,
    BNR_FAST_LOG_SUM,
    BNR_FAST_LOG_SUM_EXP,
    BNR_FAST_MAX,
    BNR_FAST_MIN,
};

struct bnr_reduce {
    uint32_t types;
    int axes_input; // the version from which the axes are input 1 instead of an attribute
    enum bnr_reduce_start start;
    bool shifted;   // map and finish know the largest element of their result (0 when infinite) as
                    // m[j]
    bool as_double; // integers, too, are computed in double, and truncated
    struct bnr_reduce_loops f64, i64, u64;
    enum bnr_reduce_fast fast;
};

enum bnr_status bnr__reduce_infer(struct bnr_infer *cx, const struct bnr_reduce *op);
enum bnr_status bnr__reduce_run(const struct bnr_args *a, const struct bnr_reduce *op);
// Which axes of input 0 go. False where they are not known before the run, or wrong.
bool bnr__reduce_known_axes(const struct bnr_prepare *cx, const struct bnr_reduce *op,
                            bool reduced[BNR_MAX_RANK]);

// In `map`: the element x and m[j]; in `combine`: a and b.
#define BNR_REDUCE_LOOPS(name, A, map, combine)                                                    \
    static A name##_pair(A a, A b) {                                                               \
        return (A)(combine);                                                                       \
    }                                                                                              \
    static void name##_step(void *acc_, size_t width, const void *x_, size_t rows,                 \
                            const void *m_) {                                                      \
        A *acc = acc_;                                                                             \
        const A *xs = x_, *m BNR_UNUSED = m_;                                                      \
        for (; rows > 0; rows--, xs += width)                                                      \
            BNR_INDEPENDENT                                                                        \
        for (size_t j = 0; j < width; j++) {                                                       \
            const A x = xs[j];                                                                     \
            acc[j] = name##_pair(acc[j], (A)(map));                                                \
        }                                                                                          \
    }                                                                                              \
    static void name##_merge(void *acc_, size_t n) {                                               \
        A *acc = acc_;                                                                             \
        for (size_t j = 1; j < n; j++)                                                             \
            acc[0] = name##_pair(acc[0], acc[j]);                                                  \
    }
// In `expr`: the result a, count and m[j].
#define BNR_REDUCE_FINISH(name, A, expr)                                                           \
    static void name(void *acc_, size_t n, size_t count, const void *m_) {                         \
        A *acc = acc_;                                                                             \
        const A *m BNR_UNUSED = m_;                                                                \
        for (size_t j = 0; j < n; j++) {                                                           \
            const A a = acc[j];                                                                    \
            acc[j] = (A)(expr);                                                                    \
        }                                                                                          \
    }
#define BNR_REDUCE(name) .step = name##_step, .merge = name##_merge

#define BNR_REDUCE_FUNCTIONS(reduce)                                                               \
    static enum bnr_status infer(struct bnr_infer *cx) {                                           \
        return bnr__reduce_infer(cx, &(reduce));                                                   \
    }                                                                                              \
    static enum bnr_status ref(const struct bnr_args *a) {                                         \
        return bnr__reduce_run(a, &(reduce));                                                      \
    }                                                                                              \
    static enum bnr_status prepare(struct bnr_prepare *cx) {                                       \
        return bnr__prepare_reduce(cx, &(reduce));                                                 \
    }
#define BNR_REDUCE_OP                                                                              \
    .domain = "", .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1,                            \
    .attrs = "axes:I keepdims:i noop_with_empty_axes:i", .infer = infer, .ref = ref,               \
    .prepare = prepare

#endif
