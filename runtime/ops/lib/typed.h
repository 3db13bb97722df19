// SPDX-License-Identifier: Apache-2.0
// The typed mechanism of the element-wise operators. An operator says what happens to one element,
// once per compute class that it supports (graph/dtype.h) and usually through one macro with the
// type as its parameter; everything else happens here: which dtypes are allowed, broadcasting
// (multidirectional, and the `broadcast`/`axis` attributes of opsets below 7), conversion of narrow
// dtypes to their compute type and back, threads, zero-size tensors, output 0 in the memory of
// input 0. A new dtype changes no operator.
//
//     BNR_FLOAT_LOOP1(half, a / 2)                                      // half_f32 and half_f64
//     static const struct bnr_each each = {.types = BNR_TYPES_FLOAT, .loop = {BNR_FLOATS(half)}};
//     BNR_EACH_FUNCTIONS(each)                                             // infer and ref
//     BNR_DEFINE_OP(half) = {.name = "Half", .since = {1}, BNR_EACH_UNARY};
#ifndef BNR_OPS_LIB_TYPED_H
#define BNR_OPS_LIB_TYPED_H

#include "graph/op.h"
#include "runtime/base/checked.h"

// ---- sets of dtypes -----------------------------------------------------------------------------

#define BNR_TYPE(d) (1u << BNR_##d)
#define BNR_TYPES_FLOAT                                                                            \
    (BNR_TYPE(FLOAT) | BNR_TYPE(DOUBLE) | BNR_TYPE(FLOAT16) | BNR_TYPE(BFLOAT16))
#define BNR_TYPES_FLOAT8                                                                           \
    (BNR_TYPE(FLOAT8E4M3FN) | BNR_TYPE(FLOAT8E4M3FNUZ) | BNR_TYPE(FLOAT8E5M2) |                    \
     BNR_TYPE(FLOAT8E5M2FNUZ))
#define BNR_TYPES_SIGNED (BNR_TYPE(INT8) | BNR_TYPE(INT16) | BNR_TYPE(INT32) | BNR_TYPE(INT64))
#define BNR_TYPES_UNSIGNED                                                                         \
    (BNR_TYPE(UINT8) | BNR_TYPE(UINT16) | BNR_TYPE(UINT32) | BNR_TYPE(UINT64))
#define BNR_TYPES_INT (BNR_TYPES_SIGNED | BNR_TYPES_UNSIGNED)
#define BNR_TYPES_NUMERIC (BNR_TYPES_FLOAT | BNR_TYPES_INT)
#define BNR_TYPES_ALL ((uint32_t)BNR_DTYPES_ALL)

// Dtype of input i, where known, must be in the set; unknown and omitted pass.
enum bnr_status bnr__infer_types(struct bnr_infer *cx, int i, uint32_t types);

// ---- loops --------------------------------------------------------------------------------------

// Attributes for loops: what an operator calls alpha, beta, gamma, or anything else. Doubles hold
// every float and every small integer attribute exactly.
struct bnr_params {
    double alpha, beta, gamma;
};

// y[i] = f(x[0][i], x[1][i], ...) for dense arrays of n elements of compute types. y may be x[0].
typedef void bnr_loop(void *y, const void *const *x, size_t n, const struct bnr_params *p);

// y may be x[0], which is no obstacle to vectorizing but looks like one to the compiler.
#if defined(__GNUC__) && !defined(__clang__)
#define BNR_INDEPENDENT _Pragma("GCC ivdep")
#else
#define BNR_INDEPENDENT
#endif
#define BNR_UNUSED __attribute__((unused))

// One loop: from elements a (b, c) of type TX to an element of type TY. In `expr`, T is TX and
// p.alpha, p.beta, p.gamma are the parameters (cast them: (T)p.alpha).
#define BNR_LOOP1(name, TY, TX, expr)                                                              \
    static void name(void *y_, const void *const *x_, size_t n_, const struct bnr_params *p_) {    \
        typedef TX T BNR_UNUSED;                                                                   \
        const struct bnr_params p BNR_UNUSED = *p_;                                                \
        TY *const y = y_;                                                                          \
        const TX *const xa = x_[0];                                                                \
        BNR_INDEPENDENT                                                                            \
        for (size_t i = 0; i < n_; i++) {                                                          \
            const TX a = xa[i];                                                                    \
            y[i] = (TY)(expr);                                                                     \
        }                                                                                          \
    }
#define BNR_LOOP2(name, TY, TX, expr)                                                              \
    static void name(void *y_, const void *const *x_, size_t n_, const struct bnr_params *p_) {    \
        typedef TX T BNR_UNUSED;                                                                   \
        const struct bnr_params p BNR_UNUSED = *p_;                                                \
        TY *const y = y_;                                                                          \
        const TX *const xa = x_[0], *const xb = x_[1];                                             \
        BNR_INDEPENDENT                                                                            \
        for (size_t i = 0; i < n_; i++) {                                                          \
            const TX a = xa[i], b = xb[i];                                                         \
            y[i] = (TY)(expr);                                                                     \
        }                                                                                          \
    }
#define BNR_LOOP3(name, TY, TX, expr)                                                              \
    static void name(void *y_, const void *const *x_, size_t n_, const struct bnr_params *p_) {    \
        typedef TX T BNR_UNUSED;                                                                   \
        const struct bnr_params p BNR_UNUSED = *p_;                                                \
        TY *const y = y_;                                                                          \
        const TX *const xa = x_[0], *const xb = x_[1], *const xc = x_[2];                          \
        BNR_INDEPENDENT                                                                            \
        for (size_t i = 0; i < n_; i++) {                                                          \
            const TX a = xa[i], b = xb[i], c = xc[i];                                              \
            y[i] = (TY)(expr);                                                                     \
        }                                                                                          \
    }

// The same formula for several classes: name_f32 and name_f64, name_i64 and name_u64. With
// <tgmath.h>, exp(a) and the like pick the function of a's type.
#define BNR_FLOAT_LOOP1(name, expr)                                                                \
    BNR_LOOP1(name##_f32, float, float, expr) BNR_LOOP1(name##_f64, double, double, expr)
#define BNR_FLOAT_LOOP2(name, expr)                                                                \
    BNR_LOOP2(name##_f32, float, float, expr) BNR_LOOP2(name##_f64, double, double, expr)
#define BNR_FLOAT_LOOP3(name, expr)                                                                \
    BNR_LOOP3(name##_f32, float, float, expr) BNR_LOOP3(name##_f64, double, double, expr)
#define BNR_INT_LOOP1(name, expr)                                                                  \
    BNR_LOOP1(name##_i64, int64_t, int64_t, expr) BNR_LOOP1(name##_u64, uint64_t, uint64_t, expr)
#define BNR_INT_LOOP2(name, expr)                                                                  \
    BNR_LOOP2(name##_i64, int64_t, int64_t, expr) BNR_LOOP2(name##_u64, uint64_t, uint64_t, expr)
#define BNR_INT_LOOP3(name, expr)                                                                  \
    BNR_LOOP3(name##_i64, int64_t, int64_t, expr) BNR_LOOP3(name##_u64, uint64_t, uint64_t, expr)
// Entries of bnr_each.loop for them.
#define BNR_FLOATS(name) [BNR_CLASS_FLOAT] = name##_f32, [BNR_CLASS_DOUBLE] = name##_f64
#define BNR_INTS(name) [BNR_CLASS_INT] = name##_i64, [BNR_CLASS_UINT] = name##_u64

// ---- an operator --------------------------------------------------------------------------------

enum { BNR_EACH_CLASSES = BNR_CLASS_COMPLEX + 1, BNR_EACH_MAX_IN = 4 };

struct bnr_each {
    uint32_t types;                   // allowed dtypes of the inputs
    bnr_loop *loop[BNR_EACH_CLASSES]; // by the compute class of the inputs; NULL: not supported
    bool predicate;                   // loops write uint8_t 0 or 1, the output is bool
    bool mixed;                       // inputs may differ in dtype; output 0 has that of input 0
    int legacy;  // below this version: no broadcasting but by `broadcast`/`axis`
    bool costly; // tens of cycles an element: smaller pieces for threads
    // What the operator does to one element each of n inputs in shape arithmetic, where that is
    // known without numbers (x + 0). NULL or an unknown result: nothing.
    struct bnr_dim (*symbolic)(const struct bnr_dim *x, int n);
};

// Checks dtypes, broadcasts, sets output 0 (and its elems through `symbolic`).
enum bnr_status bnr__each_infer(struct bnr_infer *cx, const struct bnr_each *op);
// Allocates and computes output 0 in the class of input 0. params NULL: zeros.
enum bnr_status bnr__each_run(const struct bnr_args *a, const struct bnr_each *op,
                              const struct bnr_params *params);
// The same in another class: inputs are converted to it, the result from it.
enum bnr_status bnr__each_run_as(const struct bnr_args *a, const struct bnr_each *op,
                                 enum bnr_class c, const struct bnr_params *params);
// loop(loop(x0, x1), x2) ... over all inputs, then `finish` (may be NULL; one input) on the result,
// which is rounded once. One input only: finish, or a copy.
enum bnr_status bnr__each_fold(const struct bnr_args *a, const struct bnr_each *op,
                               bnr_loop *const *finish, const struct bnr_params *params);

// An integer input i must not hold a zero (a divisor): an error that says where it is.
enum bnr_status bnr__each_no_zero(const struct bnr_args *a, int i);

static inline bool bnr__elem_is(struct bnr_dim e, int64_t n) {
    return e.sym == NULL && e.n == n;
}

// infer and ref of an operator without attributes.
#define BNR_EACH_FUNCTIONS(each)                                                                   \
    static enum bnr_status infer(struct bnr_infer *cx) {                                           \
        return bnr__each_infer(cx, &(each));                                                       \
    }                                                                                              \
    static enum bnr_status ref(const struct bnr_args *a) {                                         \
        return bnr__each_run(a, &(each), NULL);                                                    \
    }
#define BNR_EACH_UNARY                                                                             \
    .domain = "", .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                            \
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE | BNR_OP_ACTIVATION, .infer = infer, .ref = ref
#define BNR_EACH_BINARY                                                                            \
    .domain = "", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,                            \
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE, .infer = infer, .ref = ref
#define BNR_EACH_VARIADIC                                                                          \
    .domain = "", .min_in = 1, .max_in = BNR_VARIADIC, .min_out = 1, .max_out = 1,                 \
    .flags = BNR_OP_ELEMENTWISE | BNR_OP_INPLACE, .infer = infer, .ref = ref
#define BNR_EACH_PREDICATE(n)                                                                      \
    .domain = "", .min_in = n, .max_in = n, .min_out = 1, .max_out = 1,                            \
    .flags = BNR_OP_ELEMENTWISE, .infer = infer, .ref = ref

// What the functions above begin with: all inputs there, one dtype that `op` has a loop for, dims
// that broadcast; output 0 allocated. `pad` (NULL: not wanted) is set for bnr_each_call.
enum bnr_status bnr__each_prepare(const struct bnr_args *a, const struct bnr_each *op,
                                  enum bnr_class c, int *pad);

// The elems of output 0 from those of all inputs, broadcast to `shape`, where they are known.
enum bnr_status bnr__each_infer_elems(struct bnr_infer *cx, const struct bnr_shape *shape,
                                      struct bnr_dim (*symbolic)(const struct bnr_dim *x, int n));

// The lowest or highest finite value of a numeric dtype (bool: 0 or 1), written as one element.
void bnr__dtype_limit(enum bnr_dtype d, bool highest, void *element);

// ---- the parts, for operators that are element-wise in another way ------------------------------

// Multidirectional broadcasting of the inputs first .. last that are present, at run time.
enum bnr_status bnr__each_dims(const struct bnr_args *a, int first, int last, int *rank,
                               int64_t dims[BNR_MAX_RANK]);

// out = loop(in[0], in[1], ...), every input broadcast to out's dims (the caller checked that they
// fit). cls: what the input's elements are converted to for the loop, NONE: as they are. out_cls:
// what the loop writes, NONE: out's own dtype. pad: trailing dims of 1 that the input is thought to
// have.
struct bnr_each_call {
    const struct bnr_tensor *in[BNR_EACH_MAX_IN];
    enum bnr_class cls[BNR_EACH_MAX_IN];
    int pad[BNR_EACH_MAX_IN];
    int n_in;
    struct bnr_tensor *out;
    enum bnr_class out_cls;
    bnr_loop *loop;
    const struct bnr_params *params; // NULL: zeros
    bool costly;
};
void bnr__each_call(const struct bnr_each_call *c, struct bnr_pool *pool);

#endif
