// SPDX-License-Identifier: Apache-2.0
// WebP by libwebp: still pictures, with and without loss.
#include <webp/decode.h>

#include "runtime/ops/lib/image_codec.h"

enum bnr_status bnr__image_webp(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(in.data, in.size, &features);
    if (code != VP8_STATUS_OK)
        return bnr__fail(err, BNR_MALFORMED, "libwebp's status %d", (int)code);
    if (features.has_animation)
        return bnr__fail(err, BNR_MALFORMED, "animations are not decoded");
    BNR_TRY(bnr__image_begin(im, (size_t)features.width, (size_t)features.height, err));
    if (!WebPDecodeRGBInto(in.data, in.size, im->pixels, im->nbytes, 3 * features.width))
        return bnr__fail(err, BNR_MALFORMED, "the data are damaged or cut off");
    return BNR_OK;
}
