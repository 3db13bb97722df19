// SPDX-License-Identifier: Apache-2.0
// Pictures as inputs: decoded, resized to what the model takes, normalized.
#ifndef BNR_TOOLS_IMAGE_IO_H
#define BNR_TOOLS_IMAGE_IO_H

#include "tools/cli.h"

// An element is (pixel * scale - mean) / std, pixel being 0 to 255.
struct image_options {
    double scale;          // 0: 1/255 for floating-point inputs, 1 for integers
    const char *mean, *std; // "M" or "M,M,M"; NULL: 0 and 1
    const char *layout;    // "NCHW" or "NHWC"; NULL: by which dim of the input is 1 or 3
    bool bgr, crop;
};

#define IMAGE_OPTIONS(o)                                                                                    \
    {"scale", 0, OPT_DOUBLE, &(o)->scale, 0, "X",                                                           \
     "pictures: factor for pixels of 0 to 255 (default 1/255; 1 for integer inputs)"},                      \
        {"mean", 0, OPT_STRING, &(o)->mean, 0, "M[,M,M]",                                                   \
         "pictures: subtracted from scaled pixels, one number or one a channel"},                           \
        {"std", 0, OPT_STRING, &(o)->std, 0, "S[,S,S]", "pictures: divides what is left"},                  \
        {"bgr", 0, OPT_FLAG, &(o)->bgr, 0, NULL, "pictures: blue first instead of red"},                    \
        {"crop", 0, OPT_FLAG, &(o)->crop, 0, NULL,                                                          \
         "pictures: keep their proportions and cut the middle out (default: stretch)"},                     \
        {"layout", 0, OPT_STRING, &(o)->layout, 0, "NCHW|NHWC",                                             \
         "pictures: which dim the channels are (default: the one that is 1 or 3)"}

bool is_image(const char *path); // by extension
bool is_folder(const char *path);
// Adds the pictures in a folder and the folders in it, in the order of their names.
int images_list(struct strings *paths, const char *folder);
// The picture as a batch of one for an input of this type (rank 2 to 4); open dims: the picture's own size.
// Returns EXIT_DONE, or reports one line and returns the exit code; *out is then NULL.
int image_read(bnr_tensor **out, const char *path, const struct bnr_value_info *type,
               const struct image_options *options);

#endif
