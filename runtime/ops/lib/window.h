// SPDX-License-Identifier: Apache-2.0
// Sliding windows: the geometry of convolutions, poolings and their inverses from kernel_shape,
// strides, pads, dilations and auto_pad, and iteration over a window's taps without bounds checks
// in inner loops.
#ifndef BNR_OPS_LIB_WINDOW_H
#define BNR_OPS_LIB_WINDOW_H

#include "graph/op.h"

enum bnr_auto_pad { BNR_PAD_NOTSET, BNR_PAD_SAME_UPPER, BNR_PAD_SAME_LOWER, BNR_PAD_VALID };

struct bnr_window_axis {
    int64_t in, out; // sizes; -1 while not known
    int64_t kernel, stride, dilation;
    int64_t begin, end; // padding of `in`; with auto_pad known only together with `in`
};

struct bnr_window {
    int rank; // number of spatial axes
    enum bnr_auto_pad auto_pad;
    bool ceil_mode;
    struct bnr_window_axis axis[BNR_MAX_RANK];
};

// Input positions that a kernel covers along an axis: (kernel - 1) * dilation + 1.
static inline int64_t bnr__window_extent(const struct bnr_window_axis *a) {
    return (a->kernel - 1) * a->dilation + 1;
}

// Reads and checks the attributes for `rank` spatial axes. `kernel`: the weight's spatial dims,
// with which the attribute kernel_shape must agree, or NULL where only the attribute says it.
enum bnr_status bnr__window_attrs(const struct bnr_node *n, int rank, const struct bnr_dim *kernel,
                                  struct bnr_window *w, struct bnr_error *err);
// Sets `in` of every axis (-1: unknown), auto padding, and `out`.
enum bnr_status bnr__window_size(const struct bnr_node *n, const struct bnr_dim *in,
                                 struct bnr_window *w, struct bnr_error *err);
// The same for a transposed convolution: `in` is its input, and output_padding and output_shape
// count. Afterwards axis.in is the input and axis.out the output; padding is of the output.
enum bnr_status bnr__window_size_transposed(const struct bnr_node *n, const struct bnr_dim *in,
                                            struct bnr_window *w, struct bnr_error *err);
// Takes the first and last taps off that read nothing but padding along an axis: what is summed over
// the others stays the same. No tap may be left.
void bnr__window_trim(struct bnr_window *w);
// How many taps of each output are inside the input: [outputs].
void bnr__window_counts(const struct bnr_window *w, double *counts);
// The window whose input is the transposed one's output, and the other way round.
struct bnr_window bnr__window_transpose(const struct bnr_window *w);

// One step of an iteration: output positions y, y + 1, ... y + count - 1 read input positions x,
// x + step, ... (row-major offsets within one channel).
struct bnr_window_run {
    size_t x, y, count, step;
    // The box of outputs for which the tap is inside the input, and where the iteration is.
    int axes; // leading axes that are iterated; the ones behind are part of the run
    int64_t lo[BNR_MAX_RANK], hi[BNR_MAX_RANK], at[BNR_MAX_RANK], shift[BNR_MAX_RANK];
};

int64_t bnr__window_taps(const struct bnr_window *w);     // kernel positions
int64_t bnr__window_in_numel(const struct bnr_window *w); // spatial elements of the input
int64_t bnr__window_out_numel(const struct bnr_window *w);

// for (bool ok = bnr__window_first(w, tap, &r); ok; ok = bnr__window_next(w, &r)) ...
// visits every output for which kernel position `tap` (row-major) reads inside the input, each
// once, in order. All sizes must be known.
bool bnr__window_first(const struct bnr_window *w, int64_t tap, struct bnr_window_run *r);
bool bnr__window_next(const struct bnr_window *w, struct bnr_window_run *r);

#endif
