// SPDX-License-Identifier: Apache-2.0
// Decoding of encoded pictures: BMP and PNM by code of our own, the other formats by Debian's
// libraries where the build found them. Includes nothing but runtime/base, so that the program can
// use it for picture files too.
#ifndef BNR_OPS_LIB_IMAGE_H
#define BNR_OPS_LIB_IMAGE_H

#include "runtime/base/alloc.h"
#include "runtime/base/status.h"

// No picture with more pixels than this is decoded, whatever its header promises.
#define BNR_IMAGE_MAX_PIXELS ((size_t)1 << 27)

enum bnr_pixels { BNR_PIXELS_RGB, BNR_PIXELS_BGR, BNR_PIXELS_GRAY };

struct bnr_image {
    size_t width, height;
    int channels;    // 3, or 1 for BNR_PIXELS_GRAY
    uint8_t *pixels; // [height][width][channels]
    size_t nbytes;   // allocated for pixels
    const struct bnr_allocator *allocator;
};

// Decodes the first picture in `data`; the format follows from its first bytes. 8 bits a channel:
// deeper ones lose their low bits, gray becomes three equal channels, transparency is dropped. Gray
// is 0.299 red + 0.587 green + 0.114 blue of the decoded colours. Orientation tags are ignored.
// On failure nothing is left to free: BNR_MALFORMED for damaged or unknown data, for features that
// the decoder does not know and above BNR_IMAGE_MAX_PIXELS; BNR_UNSUPPORTED "built without image
// support ..." for a format whose library this build lacks; BNR_NO_MEMORY.
enum bnr_status bnr__image_decode(struct bnr_image *out, const void *data, size_t size,
                                  enum bnr_pixels pixels, const struct bnr_allocator *a,
                                  struct bnr_error *err);
void bnr__image_free(struct bnr_image *im); // a zeroed or freed one is fine

#endif
