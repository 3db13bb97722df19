// SPDX-License-Identifier: Apache-2.0
// Element-wise work on float32 as a short list of steps, done one after the other on a tile that
// stays in L1: as epilogue on what a convolution or a matrix product has just written, or alone
// over a tensor. Nothing passes over memory twice.
//
// Accuracy against the exact value, for the nearest-even mode, subnormals not flushed: arithmetic
// kinds as IEEE says (Affine: one fused multiply-add where the CPU has it); Exp 1 ulp, Tanh and
// Erf 1.5 ulp, Elu, Celu, Softplus, Sin, Cos, Asin, Acos and Atan 2.5 ulp, Sigmoid 2.5 ulp,
// Silu 3.5 and Mish 4 ulp (or |x| * 2^-149); Gelu, GeluTanh 2^-22 * |x| absolute. NaN gives NaN,
// and infinities give what the formulas below give (Gelu of -Inf: -Inf * 0 = NaN).
#ifndef BNR_KERNELS_ELTWISE_F32_H
#define BNR_KERNELS_ELTWISE_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/pool.h"
#include "runtime/kernels/cpu.h"

// A kind of step, and what it makes of x. p, q: numbers of the step. s, t: its arrays. b: its
// operand.
enum bnr_eltwise_kind {
    BNR_ELTWISE_AFFINE,       // s * x + t
    BNR_ELTWISE_PRELU,        // x < 0 ? s * x : x
    BNR_ELTWISE_ADD,          // x + b
    BNR_ELTWISE_SUB,          // x - b
    BNR_ELTWISE_RSUB,         // b - x
    BNR_ELTWISE_MUL,          // x * b
    BNR_ELTWISE_DIV,          // x / b
    BNR_ELTWISE_RDIV,         // b / x
    BNR_ELTWISE_CLAMP,        // min(q, max(p, x)), NaN stays: Relu, Clip
    BNR_ELTWISE_LEAKY_RELU,   // x < 0 ? p * x : x
    BNR_ELTWISE_HARD_SIGMOID, // max(0, min(1, p * x + q))
    BNR_ELTWISE_HARD_SWISH,   // x * max(0, min(1, p * x + q))
    BNR_ELTWISE_SIGMOID,
    BNR_ELTWISE_SILU, // x * sigmoid(p * x)
    BNR_ELTWISE_TANH,
    BNR_ELTWISE_EXP,
    BNR_ELTWISE_ERF,
    BNR_ELTWISE_GELU,      // x / 2 * (1 + erf(x / sqrt 2))
    BNR_ELTWISE_GELU_TANH, // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
    BNR_ELTWISE_FLOOR,
    BNR_ELTWISE_CEIL,
    BNR_ELTWISE_ROUND,    // to the nearest, ties to even
    BNR_ELTWISE_ELU,      // x < 0 ? p * (e^x - 1) : q * x
    BNR_ELTWISE_CELU,     // x < 0 ? p * (e^(x / p) - 1) : x
    BNR_ELTWISE_SOFTPLUS, // log(1 + e^x)
    BNR_ELTWISE_MISH,     // x * tanh(log(1 + e^x))
    BNR_ELTWISE_SIN,
    BNR_ELTWISE_COS,
    BNR_ELTWISE_ASIN,
    BNR_ELTWISE_ACOS,
    BNR_ELTWISE_ATAN,
    BNR_ELTWISE_KINDS
};

// How s, t or b lie beside a tensor seen as rows and columns.
enum bnr_eltwise_form {
    BNR_FORM_SCALAR,  // one number
    BNR_FORM_SAME,    // element for element
    BNR_FORM_ROW,     // [rows]
    BNR_FORM_CHANNEL, // [channels], of row r: element r % channels
    BNR_FORM_COLUMN,  // [columns]
    // Of blocked tensors, whose rows are the blocks of channels and whose columns are the pixels'
    // lanes (nchwc_f32.h):
    BNR_FORM_LANES,         // [rows][lanes], the same for every pixel
    BNR_FORM_LANES_CHANNEL, // [channels][lanes], of row r: element r % channels
};

struct bnr_eltwise_step {
    enum bnr_eltwise_kind kind;
    enum bnr_eltwise_form form;
    int operand; // b: index into the run's operands
    float p, q;
    const float *s, *t;
};

enum { BNR_ELTWISE_MAX = 8 };

struct bnr_eltwise {
    int n;
    struct bnr_eltwise_step step[BNR_ELTWISE_MAX];
    size_t channels; // for the forms named so, else 1
};

// Part of a tensor of rows and columns. dst may be src; operands may not overlap dst otherwise.
struct bnr_eltwise_tile {
    float *dst;
    const float *src;
    size_t ld; // from row to row, in dst, src and operands of the same shape
    size_t rows, cols;
    size_t row, col; // of the tile's first element
    size_t place;    // its index in the whole tensor
};

struct bnr_eltwise_f32 {
    const char *isa;
    void (*tile)(const struct bnr_eltwise *e, const float *const *operands,
                 const struct bnr_eltwise_tile *t);
};

#define BNR_KERNEL(isa, needs) extern const struct bnr_eltwise_f32 bnr__eltwise_f32_##isa;
#include "runtime/kernels/eltwise_f32.inc"
#undef BNR_KERNEL

const struct bnr_eltwise_f32 *bnr__eltwise_f32_select(unsigned cpu);

// All steps over a dense tensor [rows, cols]; dst may be src.
struct bnr_eltwise_run {
    const struct bnr_eltwise *e;
    const struct bnr_eltwise_f32 *kernels;
    float *dst;
    const float *src;
    const float *const *operands;
    size_t rows, cols;
};

void bnr__eltwise_f32_run(const struct bnr_eltwise_run *r, struct bnr_pool *pool);

#endif
