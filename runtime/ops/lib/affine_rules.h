// SPDX-License-Identifier: Apache-2.0
// How an affine passes through the operators (graph/affine.h): an operator's definition names one
// of these as its `.affine`.
#ifndef BNR_OPS_LIB_AFFINE_RULES_H
#define BNR_OPS_LIB_AFFINE_RULES_H

#include "graph/affine.h"

// Linear operators, which take affines in.
extern const struct bnr_affine_rules bnr__affine_conv, bnr__affine_conv_transpose, bnr__affine_gemm,
    bnr__affine_matmul;
// Operators that normalize and then scale and shift by constants: they take in what comes behind.
extern const struct bnr_affine_rules bnr__affine_instance_norm, bnr__affine_layer_norm;

// DequantizeLinear takes in what comes behind, QuantizeLinear what comes in front.
extern const struct bnr_affine_rules bnr__affine_dequantize, bnr__affine_quantize;

// Element for element: Identity, Dropout in inference.
extern const struct bnr_affine_rules bnr__affine_identity;
// f(s*x) = s*f(x) for s > 0: Relu, LeakyRelu, PRelu.
extern const struct bnr_affine_rules bnr__affine_homogeneous;
// Add, Sum, Sub of what is not constant: backward, the scale to all and the shift to one.
extern const struct bnr_affine_rules bnr__affine_add;
// Mul and Div of two data: the scale goes with one factor.
extern const struct bnr_affine_rules bnr__affine_mul, bnr__affine_div;
// Max, Min: backward, the same to all where s > 0. Where: backward, to both branches.
extern const struct bnr_affine_rules bnr__affine_max, bnr__affine_where;

// Layout.
extern const struct bnr_affine_rules bnr__affine_transpose, bnr__affine_concat, bnr__affine_split,
    bnr__affine_slice, bnr__affine_pad, bnr__affine_depth_to_space, bnr__affine_space_to_depth,
    bnr__affine_expand;
// Reshape, Flatten, Squeeze, Unsqueeze: by the two shapes.
extern const struct bnr_affine_rules bnr__affine_reshape;

// Averages and maxima over the axes behind the channels.
extern const struct bnr_affine_rules bnr__affine_average_pool, bnr__affine_max_pool,
    bnr__affine_global_average_pool, bnr__affine_global_max_pool, bnr__affine_reduce_mean,
    bnr__affine_reduce_max, bnr__affine_resize;

// ---- shared by the rules ------------------------------------------------------------------------

// bnr__value_constant_tensor with elements. Who needs none, or takes them by bnr__weights_f64, calls that.
const struct bnr_tensor *bnr__affine_constant(const struct bnr_value *v);
// Input `index` of a node, or NULL where it is omitted or not there.
struct bnr_value *bnr__affine_input(const struct bnr_node *n, int index);
// The numbers of a constant, or of what a DequantizeLinear makes of constants (evaluated), as a new
// reference; NULL: neither, or out of memory.
struct bnr_tensor *bnr__affine_numbers(const struct bnr_value *v);
// Whether a value comes from a DequantizeLinear of constants, perhaps through operators that only
// rearrange it: weights that cannot be scaled in place, but where they come from.
bool bnr__affine_dequantized(const struct bnr_value *v);
// What inference knows of a value's shape; rank -1 for NULL.
struct bnr_shape bnr__affine_shape(const struct bnr_value *v);
// A numeric dim of a value; -1 when not known.
int64_t bnr__affine_dim(const struct bnr_value *v, int axis);
// Copies the site's affine: the operator changes nothing.
bool bnr__affine_pass(struct bnr_affine_site *site, struct bnr_affine *out);
// Puts the integers of a constant input (index >= 0) or else of an attribute into vals; false when
// neither is there as a constant of at most BNR_MAX_RANK elements. *count is 0 where both are
// absent.
bool bnr__affine_ints(const struct bnr_node *n, int index, const char *attr, int64_t *vals,
                      int *count);

// Weights seen as [g, a, b, k]: one side counts the operator's input channels, the other its
// outputs'. Channel c of side a is group c / a, place c % a; of side b likewise.
//     Conv          [O, I/g, k...]  = [g, O/g, I/g, k]    outputs a, inputs b
//     ConvTranspose [I, O/g, k...]  = [g, I/g, O/g, k]    outputs b, inputs a
//     Gemm, MatMul  [K, N]          = [1, K, N, 1]        outputs b, inputs a; transB the other way
struct bnr_linear {
    struct bnr_affine_site *site;
    struct bnr_value *w;
    const struct bnr_tensor *numbers; // w's constant, or what it is dequantized to; NULL: not known
    int w_index;
    int64_t g, a, b, k;
    bool out_is_a, matrix; // matrix: rows and columns are w's last two axes
};
int64_t bnr__linear_outputs(const struct bnr_linear *l);
enum bnr_dtype bnr__linear_dtype(const struct bnr_linear *l); // of the weights
int64_t bnr__linear_inputs(const struct bnr_linear *l);
// Scales the weights by f, one factor for each output (or input) channel: a new constant takes
// their place. apply false: only says whether all results are finite and copying is allowed.
bool bnr__linear_scale(const struct bnr_linear *l, const double *f, bool outputs, bool apply,
                       struct bnr_error *err);
// For weights in front of which an affine stands: those that are constant are scaled along their input
// channels; of those that a node makes that is asked, as site->aside.
bool bnr__linear_scale_inputs(const struct bnr_linear *l, const double *f, bool apply,
                              struct bnr_error *err);
// f, one for each output (or input) channel, in terms of the axes of w.
bool bnr__linear_on_weights(const struct bnr_linear *l, const double *f, bool outputs,
                            struct bnr_affine *out);
// acc[output channel] += sum over inputs and k of W * t[input channel]. l->numbers is there.
void bnr__linear_dot(const struct bnr_linear *l, const double *t, double *acc);
// Replaces input `index` by a constant of dtype `dtype` holding v (rounded once, subnormals to
// zero). `hint` names it. apply false: only says whether all are finite in that dtype.
bool bnr__linear_store(struct bnr_affine_site *site, int index, const char *hint,
                       enum bnr_dtype dtype, int rank, const int64_t *dims, const double *v,
                       bool apply, struct bnr_error *err);

#endif
