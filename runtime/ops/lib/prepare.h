// SPDX-License-Identifier: Apache-2.0
// The `prepare` functions of the operators that have kernels (runtime/kernels). Each takes float32
// with shapes that its kernels cover, and otherwise leaves the node to its reference code.
#ifndef BNR_OPS_LIB_PREPARE_H
#define BNR_OPS_LIB_PREPARE_H

#include "graph/op.h"

struct bnr_reduce; // runtime/ops/lib/reduce.h

enum bnr_status bnr__prepare_conv(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_conv_transpose(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_gemm(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_matmul(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_max_pool(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_average_pool(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_global_max_pool(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_global_average_pool(struct bnr_prepare *cx);
// The mean (or maximum) over all spatial axes of a blocked tensor, whose axes the output keeps or
// leaves out.
enum bnr_status bnr__prepare_whole_blocked(struct bnr_prepare *cx, bool average);
enum bnr_status bnr__prepare_batch_norm(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_softmax(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_log_softmax(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_layer_norm(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_rms_norm(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_instance_norm(struct bnr_prepare *cx);
enum bnr_status bnr__prepare_group_norm(struct bnr_prepare *cx);
// As op->fast says.
enum bnr_status bnr__prepare_reduce(struct bnr_prepare *cx, const struct bnr_reduce *op);
// Output 0 is (x - mean) / scale of input 0, where mean and scale are those of the elements that
// differ only along the reduced axes.
enum bnr_scaling {
    BNR_SCALE_DEVIATION, // standard deviation + 1e-9
    BNR_SCALE_ONE,       // 1
    BNR_SCALE_L1,        // sum of magnitudes, or 1 for 0; mean 0
    BNR_SCALE_L2,        // Euclidean norm, or 1 for 0; mean 0
};
enum bnr_status bnr__prepare_scaled(struct bnr_prepare *cx, const bool *reduced,
                                    enum bnr_scaling scaling);
enum bnr_status bnr__prepare_attention(struct bnr_prepare *cx);
// Any operator with `step`.
enum bnr_status bnr__prepare_steps(struct bnr_prepare *cx);

#endif
