// SPDX-License-Identifier: Apache-2.0
// ImageDecoder: the pixels [height, width, channels] of an encoded picture; [0, 0, channels] for
// data that cannot be decoded.
#include <string.h>

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/image.h"

static const enum bnr_dtype types[] = {BNR_UINT8, BNR_UNDEFINED};

static enum bnr_status get_pixels(const struct bnr_node *n, struct bnr_error *err,
                                  enum bnr_pixels *out) {
    static const char *const names[] = {"RGB", "BGR", "Grayscale"};
    const char *name = bnr__attr_string(n, "pixel_format", "RGB");
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum bnr_pixels)i;
            return BNR_OK;
        }
    }
    return bnr__op_fail(n, err, BNR_SHAPE,
                        "pixel_format is '%s', expected RGB, BGR or Grayscale", name);
}

static enum bnr_status infer(struct bnr_infer *cx) {
    struct bnr_shape y = {.rank = 3};
    enum bnr_pixels pixels;
    BNR_TRY(get_pixels(cx->node, cx->err, &pixels));
    BNR_TRY(bnr__infer_dtype(cx, 0, types));
    BNR_TRY(bnr__infer_rank(cx, 0, 1, 1));
    y.dims[0] = y.dims[1] = bnr__dim_unknown();
    y.dims[2] = bnr__dim_of(pixels == BNR_PIXELS_GRAY ? 1 : 3);
    bnr__infer_set(cx, 0, BNR_UINT8, &y);
    return BNR_OK;
}

static enum bnr_status ref(const struct bnr_args *a) {
    struct bnr_image im;
    struct bnr_error why = {0};
    enum bnr_pixels pixels;
    BNR_TRY(get_pixels(a->node, a->err, &pixels));
    enum bnr_status st = bnr__image_decode(&im, a->in[0]->data, a->in[0]->nbytes, pixels,
                                           a->temp->allocator, &why);
    if (st == BNR_MALFORMED)
        return bnr__out_alloc(a, 0, BNR_UINT8, 3,
                              (const int64_t[]){0, 0, pixels == BNR_PIXELS_GRAY ? 1 : 3});
    if (st != BNR_OK)
        return bnr__op_fail(a->node, a->err, st, "%s", why.message);
    st = bnr__out_alloc(a, 0, BNR_UINT8, 3,
                        (const int64_t[]){(int64_t)im.height, (int64_t)im.width, im.channels});
    if (st == BNR_OK)
        memcpy(a->out[0]->data, im.pixels, a->out[0]->nbytes);
    bnr__image_free(&im);
    return st;
}

BNR_DEFINE_OP(image_decoder) = {
    .domain = "",
    .name = "ImageDecoder",
    .since = {20},
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_DATA_SHAPE,
    .attrs = "pixel_format:s",
    .infer = infer,
    .ref = ref,
};
