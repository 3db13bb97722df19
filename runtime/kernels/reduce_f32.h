// SPDX-License-Identifier: Apache-2.0
// Reductions of float32 over any axes of a dense tensor, and what is done to every element with the
// result that it belongs to: normalizations over any axes.
//
// Accuracy: as rows_f32.h says of sums, in blocks of at most 4096 elements of a run and 128 of a
// column. A block whose sum leaves the range of float, or whose squares sink below 2^-80, is done
// again in double. Exp of a difference 2^-20 relative. Max and Min are exact; NaN where one is
// among the elements.
#ifndef BNR_KERNELS_REDUCE_F32_H
#define BNR_KERNELS_REDUCE_F32_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/cpu.h"

// What is made of the elements x that belong to one result, s being its shift (0 where none is
// given).
enum bnr_reduce_f32_kind {
    BNR_REDUCE_F32_SUM,     // sum of x
    BNR_REDUCE_F32_ABS,     // sum of |x|
    BNR_REDUCE_F32_SQUARES, // sum of (x - s)^2
    BNR_REDUCE_F32_EXP,     // sum of exp(x - s)
    BNR_REDUCE_F32_MAX,
    BNR_REDUCE_F32_MIN,
    BNR_REDUCE_F32_KINDS
};

enum { BNR_REDUCE_F32_STRIP = 256, BNR_REDUCE_F32_RANK = 16 };

struct bnr_reduce_f32_kernels {
    const char *isa;
    // Of n neighbours.
    double (*run[BNR_REDUCE_F32_KINDS])(const float *src, size_t n, float shift);
    // Of each of cols <= STRIP columns: acc[c] = acc[c] and `rows` elements that are ld apart.
    // shift: one a column; NULL: 0.
    void (*columns[BNR_REDUCE_F32_KINDS])(double *acc, const float *src, size_t rows, size_t ld,
                                          size_t cols, const float *shift);
    // dst = (src - mean) / scale for n neighbours, whose mean and scale are one (not `each`) or
    // their own.
    void (*apply)(float *dst, const float *src, size_t n, const float *mean, const float *scale,
                  bool each);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_reduce_f32_kernels bnr__reduce_f32_##isa;
#include "runtime/kernels/reduce_f32.inc"
#undef BNR_KERNEL

const struct bnr_reduce_f32_kernels *bnr__reduce_f32_select(unsigned cpu);

// Before the first element: 0, or an infinity.
double bnr__reduce_f32_start(enum bnr_reduce_f32_kind kind);

// Which elements belong together.
struct bnr_reduce_f32 {
    const struct bnr_reduce_f32_kernels *kernels;
    int rank; // merged dims: kept and reduced ones alternate
    size_t dims[BNR_REDUCE_F32_RANK], stride[BNR_REDUCE_F32_RANK];
    bool reduced[BNR_REDUCE_F32_RANK];
    size_t results, count; // elements of the result, and of the source to each of them
    size_t width;          // the innermost dim where it is kept, else 1
    size_t splits;         // each result is put together from that many parts
};

// Not for tensors without elements.
void bnr__reduce_f32_plan(struct bnr_reduce_f32 *r, const struct bnr_reduce_f32_kernels *kernels,
                          int rank, const size_t *dims, const bool *reduced);
// Doubles of working memory that a run needs.
size_t bnr__reduce_f32_scratch(const struct bnr_reduce_f32 *r);

struct bnr_reduce_f32_run {
    const struct bnr_reduce_f32 *r;
    enum bnr_reduce_f32_kind kind;
    float *dst; // [results]
    const float *src;
    const float *shift; // [results], may be dst; NULL: 0
    // What becomes of a result, and p for it.
    float (*finish)(double result, float shift, double p);
    double p;
    double *scratch;
};
void bnr__reduce_f32_run(const struct bnr_reduce_f32_run *run, struct bnr_pool *pool);

// dst = (src - mean) / scale for every element; mean and scale are [results].
void bnr__reduce_f32_apply(const struct bnr_reduce_f32 *r, float *dst, const float *src,
                           const float *mean, const float *scale, struct bnr_pool *pool);

#endif
