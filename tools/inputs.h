// SPDX-License-Identifier: Apache-2.0
// From the command line's INPUT and --shape arguments to one tensor per model input.
#ifndef BNR_TOOLS_INPUTS_H
#define BNR_TOOLS_INPUTS_H

#include "tools/image_io.h"

struct inputs {
    bnr_tensor **tensors; // in the order of the model's inputs; NULL: left to its default
    size_t count;
    size_t n_random; // how many were filled with random data
    const struct image_options *image; // set before building; NULL: the defaults
};

// args: FILE (in order; pictures, too), NAME=FILE, or an .npz that holds inputs by name. Inputs without a file get
// reproducible random data when `args` is empty, else are an error unless optional. Open dims of random
// inputs that --shape does not give are 1.
int inputs_build(struct inputs *in, const bnr_model *model, const struct strings *args, size_t first_arg,
                 const struct strings *shapes);
// The same with other numbers for open dims and another spread.
struct open_dims {
    int64_t first, others; // of an input's first axis (the batch, most of the time), and of the others
    double scale;          // standard deviation of random floating-point numbers; 0: 1
};
int inputs_build_open(struct inputs *in, const bnr_model *model, const struct strings *args, size_t first_arg,
                      const struct strings *shapes, const struct open_dims *open);
// How many dims of each kind are open, after --shape.
int inputs_open_dims(struct open_dims *count, const bnr_model *model, const struct strings *shapes);
void inputs_free(struct inputs *in);
// Tells on stderr which inputs are random, and their dims.
void inputs_announce(const struct inputs *in, const bnr_model *model);

// "1x3x224x224" of a tensor, or "scalar"; for a sequence etc. its kind and length. Returns buf.
const char *shape_text(const bnr_tensor *t, char *buf, size_t size);

#endif
