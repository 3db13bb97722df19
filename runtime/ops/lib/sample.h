// SPDX-License-Identifier: Apache-2.0
// Sampling a channel between its elements: which elements, with which weights, make the value at a
// position. Worked out once for a position and used for every channel.
#ifndef BNR_OPS_LIB_SAMPLE_H
#define BNR_OPS_LIB_SAMPLE_H

#include "graph/tensor.h"

enum bnr_sample_mode { BNR_SAMPLE_NEAREST, BNR_SAMPLE_LINEAR, BNR_SAMPLE_CUBIC };
enum bnr_sample_padding { BNR_SAMPLE_ZEROS, BNR_SAMPLE_BORDER, BNR_SAMPLE_REFLECTION };

struct bnr_sampler {
    int rank;
    int64_t dims[BNR_MAX_RANK]; // spatial
    enum bnr_sample_mode mode;
    enum bnr_sample_padding padding;
    bool align_corners; // borders are the middles of the outermost elements, not their edges
};

struct bnr_sample {
    int taps;                       // per axis
    int64_t index[BNR_MAX_RANK][4]; // -1: outside, counts as zero
    double weight[BNR_MAX_RANK][4];
};

// position[axis] in elements; NaN counts as far outside.
void bnr__sample_prepare(const struct bnr_sampler *s, const double *position,
                         struct bnr_sample *out);
double bnr__sample_value(const struct bnr_sampler *s, const struct bnr_sample *at, const double *x);
// The single element of a NEAREST sample; -1: outside.
int64_t bnr__sample_index(const struct bnr_sampler *s, const struct bnr_sample *at);

#endif
