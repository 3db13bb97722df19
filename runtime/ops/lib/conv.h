// SPDX-License-Identifier: Apache-2.0
// Convolutions: the geometry of a node, and the plain loops in double and int64_t that all of them
// share.
#ifndef BNR_OPS_LIB_CONV_H
#define BNR_OPS_LIB_CONV_H

#include "runtime/base/pool.h"
#include "runtime/ops/lib/window.h"

struct bnr_conv {
    struct bnr_window window; // of a transposed one: see bnr__window_size_transposed
    bool transposed;
    int64_t batch, in_channels, out_channels; // -1 while not known
    int64_t group, group_in, group_out;       // channels of a group; -1 while not known
};

// From the shapes of X [N, C, spatial...] and W [M, C/group, kernel...] (transposed: [C, M/group,
// ...]), each of which may be unknown in part or (rank -1) altogether; with both ranks unknown
// window.rank is -1.
enum bnr_status bnr__conv_geometry(const struct bnr_node *n, const struct bnr_shape *x,
                                   const struct bnr_shape *w, bool transposed, struct bnr_conv *c,
                                   struct bnr_error *err);
// The same for concrete shapes at run time.
enum bnr_status bnr__conv_of(const struct bnr_node *n, const struct bnr_tensor *x,
                             const struct bnr_tensor *w, bool transposed, struct bnr_conv *c,
                             struct bnr_error *err);
// Checks inputs x, w and (where present) bias b, and sets output 0 of type `dtype`.
struct bnr_conv_inputs {
    int x, w, b;
    bool transposed;
};
enum bnr_status bnr__conv_infer(struct bnr_infer *cx, struct bnr_conv_inputs in,
                                enum bnr_dtype dtype);
// Dims of the output, all known: returns the rank.
int bnr__conv_out_dims(const struct bnr_conv *c, int64_t dims[BNR_MAX_RANK]);

// One image: x [C, in...], w as in the node, bias [M] or NULL, y [M, out...].
void bnr__conv_f64(const struct bnr_conv *c, const double *x, const double *w, const double *bias,
                   double *y, struct bnr_pool *pool);
// The reference of Conv and ConvTranspose (inputs X, W and perhaps B): any float dtype.
enum bnr_status bnr__conv_ref(const struct bnr_args *a, bool transposed);

#endif
