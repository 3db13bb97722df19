// SPDX-License-Identifier: Apache-2.0
// Resize and Upsample: from attributes and inputs of every version to scales, output dims and, for
// each axis, which input elements with which weights make an output element.
#ifndef BNR_OPS_LIB_RESIZE_H
#define BNR_OPS_LIB_RESIZE_H

#include "runtime/ops/lib/compute.h"

enum bnr_resize_mode { BNR_RESIZE_NEAREST, BNR_RESIZE_LINEAR, BNR_RESIZE_CUBIC };
enum bnr_resize_coordinates {
    BNR_COORD_HALF_PIXEL,
    BNR_COORD_HALF_PIXEL_SYMMETRIC,
    BNR_COORD_PYTORCH_HALF_PIXEL,
    BNR_COORD_ALIGN_CORNERS,
    BNR_COORD_ASYMMETRIC,
    BNR_COORD_TF_CROP_AND_RESIZE,
    BNR_COORD_TF_HALF_PIXEL_FOR_NN, // version 11 only
};
enum bnr_resize_nearest {
    BNR_NEAREST_ROUND_PREFER_FLOOR,
    BNR_NEAREST_ROUND_PREFER_CEIL,
    BNR_NEAREST_FLOOR,
    BNR_NEAREST_CEIL,
    BNR_NEAREST_SIMPLE, // below opset 11: floor, or ceil when the axis shrinks
};

struct bnr_resize {
    enum bnr_resize_mode mode;
    enum bnr_resize_coordinates coordinates;
    enum bnr_resize_nearest nearest;
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
    int rank;
    int64_t in[BNR_MAX_RANK], out[BNR_MAX_RANK];
    double scale[BNR_MAX_RANK];
    double roi_begin[BNR_MAX_RANK], roi_end[BNR_MAX_RANK];
    bool resized[BNR_MAX_RANK]; // false: the axis stays as it is
};

// What an operator found in its inputs and attributes; each may be NULL.
struct bnr_resize_request {
    const double *scales;
    const int64_t *sizes;
    const double *roi;
    size_t n_scales, n_sizes, n_roi;
};

// Which inputs they are; -1: the version has none.
int bnr__resize_roi(const struct bnr_node *n);
int bnr__resize_scales(const struct bnr_node *n);
int bnr__resize_sizes(const struct bnr_node *n);
// Attributes alone.
enum bnr_status bnr__resize_attrs(const struct bnr_node *n, struct bnr_resize *r,
                                  struct bnr_error *err);
// Fills in dims and scales. in: dims of X, all known.
enum bnr_status bnr__resize_plan(const struct bnr_node *n, int rank, const int64_t *in,
                                 const struct bnr_resize_request *q, struct bnr_resize *r,
                                 struct bnr_error *err);
// Which axes scales, sizes and roi are about: *count of them.
enum bnr_status bnr__resize_axes(const struct bnr_node *n, int rank, int axes[BNR_MAX_RANK],
                                 int *count, struct bnr_error *err);

// Output element i of an axis = sum over k < taps of weight[i * taps + k] * in[index[i * taps +
// k]], or the extrapolation value where outside[i].
struct bnr_resize_axis {
    int64_t taps;
    int64_t *index;
    double *weight;
    bool *outside;
};
enum bnr_status bnr__resize_axis(const struct bnr_args *a, const struct bnr_resize *r, int axis,
                                 struct bnr_resize_axis *out);
// The plan of Resize node n (whose version counts) from the inputs at run time.
enum bnr_status bnr__resize_read(const struct bnr_args *a, const struct bnr_node *n,
                                 struct bnr_resize *r);
// Linear and cubic, of float32.
enum bnr_status bnr__prepare_interpolate(struct bnr_prepare *cx, const struct bnr_resize *r);
// Input 0 to output 0, which has its dims.
enum bnr_status bnr__resize_run(const struct bnr_args *a, const struct bnr_resize *r);

#endif
