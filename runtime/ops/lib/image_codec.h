// SPDX-License-Identifier: Apache-2.0
// What the decoders of the single formats share. Each decodes into red, green, blue; pixels that
// were allocated when it fails are freed by its caller.
#ifndef BNR_OPS_LIB_IMAGE_CODEC_H
#define BNR_OPS_LIB_IMAGE_CODEC_H

#include <stdbool.h>
#include <string.h>

#include "runtime/ops/lib/image.h"

// Encoded bytes and a position in them.
struct bnr_bytes {
    const uint8_t *data;
    size_t size, at;
};

// Once the size is known: checks it against BNR_IMAGE_MAX_PIXELS and allocates zeroed pixels.
enum bnr_status bnr__image_begin(struct bnr_image *im, size_t width, size_t height,
                                 struct bnr_error *err);

typedef enum bnr_status bnr_image_decoder(struct bnr_image *im, struct bnr_bytes in,
                                          struct bnr_error *err);
bnr_image_decoder bnr__image_bmp, bnr__image_pnm;
// Only in builds with the format's library.
bnr_image_decoder bnr__image_jpeg, bnr__image_jpeg2000, bnr__image_png, bnr__image_tiff,
    bnr__image_webp;

#endif
