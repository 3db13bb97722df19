// SPDX-License-Identifier: Apache-2.0
// JPEG 2000 by OpenJPEG: JP2 files and bare codestreams, up to four components, which may be
// subsampled, signed and of any depth.
#include <math.h>

#include <openjpeg.h>

#include "runtime/ops/lib/image_codec.h"

enum { MAX_COMPONENTS = 4 };

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *user) {
    struct bnr_bytes *in = user;
    const size_t left = in->size - in->at;
    const size_t count = n < left ? n : left;
    if (count == 0)
        return (OPJ_SIZE_T)-1;
    memcpy(to, in->data + in->at, count);
    in->at += count;
    return count;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *user) {
    struct bnr_bytes *in = user;
    const size_t left = in->size - in->at;
    if (n < 0)
        return -1;
    const size_t count = (uint64_t)n < left ? (size_t)n : left;
    in->at += count;
    return (OPJ_OFF_T)count;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *user) {
    struct bnr_bytes *in = user;
    if (at < 0 || (uint64_t)at > in->size)
        return OPJ_FALSE;
    in->at = (size_t)at;
    return OPJ_TRUE;
}

static void on_message(const char *text, void *user) {
}

static enum bnr_status damaged(struct bnr_error *err) {
    return bnr__fail(err, BNR_MALFORMED, "the data are damaged or cut off");
}

static enum bnr_status check(const opj_image_t *o, struct bnr_image *im, struct bnr_error *err) {
    if (o->x1 <= o->x0 || o->y1 <= o->y0)
        return damaged(err);
    if (o->numcomps < 1 || o->numcomps > MAX_COMPONENTS)
        return bnr__fail(err, BNR_MALFORMED, "%u components, at most %d are decoded", o->numcomps,
                         (int)MAX_COMPONENTS);
    return bnr__image_begin(im, o->x1 - o->x0, o->y1 - o->y0, err);
}

// Component k at pixel (x, y), scaled to 0 .. 255.
static int sample(const opj_image_t *o, int k, size_t x, size_t y) {
    const opj_image_comp_t *c = &o->comps[k];
    size_t cx = x / c->dx, cy = y / c->dy;
    cx = cx < c->w ? cx : c->w - 1;
    cy = cy < c->h ? cy : c->h - 1;
    int64_t v = c->data[cy * c->w + cx];
    v += c->sgnd ? (int64_t)1 << (c->prec - 1) : 0;
    v = c->prec > 8 ? v >> (c->prec - 8) : v * 255 / ((1 << c->prec) - 1);
    return (int)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static uint8_t to_byte(double v) {
    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : lrint(v));
}

static void set_pixel(const opj_image_t *o, size_t x, size_t y, uint8_t *rgb) {
    const int n = o->numcomps >= 3 ? 3 : 1;
    const int a = sample(o, 0, x, y);
    const int b = n == 3 ? sample(o, 1, x, y) : a, c = n == 3 ? sample(o, 2, x, y) : a;
    if (n == 3 && (o->color_space == OPJ_CLRSPC_SYCC || o->color_space == OPJ_CLRSPC_EYCC)) {
        rgb[0] = to_byte(a + 1.402 * (c - 128));
        rgb[1] = to_byte(a - 0.344136 * (b - 128) - 0.714136 * (c - 128));
        rgb[2] = to_byte(a + 1.772 * (b - 128));
    } else {
        rgb[0] = (uint8_t)a;
        rgb[1] = (uint8_t)b;
        rgb[2] = (uint8_t)c;
    }
}

static enum bnr_status convert(const opj_image_t *o, struct bnr_image *im, struct bnr_error *err) {
    for (OPJ_UINT32 k = 0; k < o->numcomps; k++) {
        const opj_image_comp_t *c = &o->comps[k];
        if (!c->data || c->w == 0 || c->h == 0 || c->dx == 0 || c->dy == 0 || c->prec < 1 ||
            c->prec > 31)
            return damaged(err);
    }
    for (size_t y = 0; y < im->height; y++)
        for (size_t x = 0; x < im->width; x++)
            set_pixel(o, x, y, im->pixels + 3 * (y * im->width + x));
    return BNR_OK;
}

static enum bnr_status decode(opj_codec_t *codec, opj_stream_t *stream, struct bnr_image *im,
                              struct bnr_error *err) {
    opj_dparameters_t parameters;
    opj_image_t *o = NULL;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_info_handler(codec, on_message, NULL);
    opj_set_warning_handler(codec, on_message, NULL);
    opj_set_error_handler(codec, on_message, NULL);
    enum bnr_status st;
    if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &o) || !o) {
        st = damaged(err);
    } else {
        st = check(o, im, err);
        if (st == BNR_OK && (!opj_decode(codec, stream, o) || !opj_end_decompress(codec, stream)))
            st = damaged(err);
        if (st == BNR_OK)
            st = convert(o, im, err);
    }
    if (o)
        opj_image_destroy(o);
    return st;
}

enum bnr_status bnr__image_jpeg2000(struct bnr_image *im, struct bnr_bytes in,
                                    struct bnr_error *err) {
    opj_codec_t *codec = opj_create_decompress(in.data[0] == 0 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
    enum bnr_status st;
    if (codec && stream) {
        opj_stream_set_user_data(stream, &in, NULL);
        opj_stream_set_user_data_length(stream, in.size);
        opj_stream_set_read_function(stream, on_read);
        opj_stream_set_skip_function(stream, on_skip);
        opj_stream_set_seek_function(stream, on_seek);
        st = decode(codec, stream, im, err);
    } else {
        st = bnr__no_memory(err);
    }
    if (stream)
        opj_stream_destroy(stream);
    if (codec)
        opj_destroy_codec(codec);
    return st;
}
