// SPDX-License-Identifier: Apache-2.0
// Which format encoded data have, and what is the same for all formats.
#include "runtime/ops/lib/image_codec.h"

#include "runtime/base/checked.h"

#ifdef BNR_HAVE_LIBJPEG
#define JPEG bnr__image_jpeg
#else
#define JPEG NULL
#endif
#ifdef BNR_HAVE_OPENJPEG
#define JPEG2000 bnr__image_jpeg2000
#else
#define JPEG2000 NULL
#endif
#ifdef BNR_HAVE_LIBPNG
#define PNG bnr__image_png
#else
#define PNG NULL
#endif
#ifdef BNR_HAVE_LIBTIFF
#define TIFF bnr__image_tiff
#else
#define TIFF NULL
#endif
#ifdef BNR_HAVE_LIBWEBP
#define WEBP bnr__image_webp
#else
#define WEBP NULL
#endif

// A format is known by `magic` at the start and, where not "", `more` at byte 8.
struct format {
    const char *name, *library;
    bnr_image_decoder *decode; // NULL: not in this build
    size_t n_magic;
    const char *magic, *more;
};

static const struct format formats[] = {
    {"BMP", "", bnr__image_bmp, 2, "BM", ""},
    {"JPEG", "libjpeg", JPEG, 3, "\xFF\xD8\xFF", ""},
    {"JPEG 2000", "libopenjp2", JPEG2000, 12, "\0\0\0\x0CjP  \r\n\x87\n", ""},
    {"JPEG 2000", "libopenjp2", JPEG2000, 4, "\xFF\x4F\xFF\x51", ""},
    {"PNG", "libpng", PNG, 8, "\x89PNG\r\n\x1A\n", ""},
    {"TIFF", "libtiff", TIFF, 4, "II*\0", ""},
    {"TIFF", "libtiff", TIFF, 4, "MM\0*", ""},
    {"TIFF", "libtiff", TIFF, 4, "II+\0", ""}, // BigTIFF
    {"TIFF", "libtiff", TIFF, 4, "MM\0+", ""},
    {"WebP", "libwebp", WEBP, 4, "RIFF", "WEBP"},
};

static bool has_format(struct bnr_bytes in, const struct format *f) {
    const size_t n_more = strlen(f->more);
    if (in.size < f->n_magic || memcmp(in.data, f->magic, f->n_magic) != 0)
        return false;
    return n_more == 0 || (in.size >= 8 + n_more && memcmp(in.data + 8, f->more, n_more) == 0);
}

static const struct format *find_format(struct bnr_bytes in) {
    static const struct format pnm = {"PNM", "", bnr__image_pnm, 0, "", ""};
    for (size_t i = 0; i < BNR_COUNT(formats); i++)
        if (has_format(in, &formats[i]))
            return &formats[i];
    return in.size >= 3 && in.data[0] == 'P' && in.data[1] >= '1' && in.data[1] <= '6' ? &pnm
                                                                                       : NULL;
}

enum bnr_status bnr__image_begin(struct bnr_image *im, size_t width, size_t height,
                                 struct bnr_error *err) {
    size_t n;
    if (width == 0 || height == 0)
        return bnr__fail(err, BNR_MALFORMED, "image of %zu x %zu pixels", width, height);
    if (!bnr__size_mul(width, height, &n) || n > BNR_IMAGE_MAX_PIXELS)
        return bnr__fail(err, BNR_MALFORMED, "image of %zu x %zu pixels, at most %zu are decoded",
                         width, height, BNR_IMAGE_MAX_PIXELS);
    im->width = width;
    im->height = height;
    im->channels = 3;
    im->nbytes = 3 * n;
    im->pixels = bnr__calloc(im->allocator, im->nbytes, 1);
    return im->pixels ? BNR_OK : bnr__no_memory(err);
}

static void swap_red_and_blue(struct bnr_image *im) {
    for (uint8_t *p = im->pixels; p < im->pixels + im->nbytes; p += 3) {
        const uint8_t red = p[0];
        p[0] = p[2];
        p[2] = red;
    }
}

// The weights of ITU-R BT.601 in 16 bits; their sum is 65536.
static void to_gray(struct bnr_image *im) {
    const size_t n = im->width * im->height;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = im->pixels + 3 * i;
        im->pixels[i] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    }
    im->channels = 1;
}

enum bnr_status bnr__image_decode(struct bnr_image *out, const void *data, size_t size,
                                  enum bnr_pixels pixels, const struct bnr_allocator *a,
                                  struct bnr_error *err) {
    const struct bnr_bytes in = {data, size, 0};
    *out = (struct bnr_image){.allocator = a};
    const struct format *f = find_format(in);
    if (!f)
        return bnr__fail(err, BNR_MALFORMED,
                         "%zu bytes are no image: none of BMP, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP",
                         size);
    if (!f->decode)
        return bnr__fail(err, BNR_UNSUPPORTED, "built without image support for %s (%s)", f->name,
                         f->library);
    const enum bnr_status st = f->decode(out, in, err);
    if (st != BNR_OK) {
        bnr__image_free(out);
        return bnr__fail_prefix(err, st, "%s", f->name);
    }
    if (pixels == BNR_PIXELS_GRAY)
        to_gray(out);
    else if (pixels == BNR_PIXELS_BGR)
        swap_red_and_blue(out);
    return BNR_OK;
}

void bnr__image_free(struct bnr_image *im) {
    if (im->pixels)
        bnr__free(im->allocator, im->pixels, im->nbytes);
    *im = (struct bnr_image){0};
}
