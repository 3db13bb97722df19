// SPDX-License-Identifier: Apache-2.0
// PNG by libpng. Its error handler may not return: libpng is left by longjmp, and what it allocated
// belongs to the png_struct, which is destroyed afterwards.
#include <setjmp.h>
#include <stdio.h>

#include <png.h>

#include "runtime/ops/lib/image_codec.h"

enum { MAX_CHUNK = 8 << 20 }; // bytes of a chunk other than the pixels

struct png {
    png_structp png;
    png_infop info;
    jmp_buf failed;
    char message[128];
    struct bnr_bytes in;
    enum bnr_status status;
    struct bnr_error *err;
};

static void on_error(png_structp p, png_const_charp text) {
    struct png *s = png_get_error_ptr(p);
    snprintf(s->message, sizeof(s->message), "%s", text);
    longjmp(s->failed, 1);
}

static void on_warning(png_structp p, png_const_charp text) {
}

static void on_read(png_structp p, png_bytep to, size_t n) {
    struct bnr_bytes *in = png_get_io_ptr(p);
    if (in->size - in->at < n)
        png_error(p, "data are cut off");
    memcpy(to, in->data + in->at, n);
    in->at += n;
}

// May be left by longjmp at any call of libpng.
static void decode(struct png *s, struct bnr_image *im) {
    png_structp p = s->png;
    png_set_read_fn(p, &s->in, on_read);
    png_set_chunk_malloc_max(p, MAX_CHUNK);
    png_set_user_limits(p, (png_uint_32)BNR_IMAGE_MAX_PIXELS, (png_uint_32)BNR_IMAGE_MAX_PIXELS);
    png_read_info(p, s->info);
    s->status = bnr__image_begin(im, png_get_image_width(p, s->info),
                                 png_get_image_height(p, s->info), s->err);
    if (s->status != BNR_OK)
        return;
    png_set_expand(p);
    png_set_strip_16(p);
    png_set_gray_to_rgb(p);
    png_set_strip_alpha(p);
    const int passes = png_set_interlace_handling(p);
    png_read_update_info(p, s->info);
    if (png_get_rowbytes(p, s->info) != im->width * 3)
        png_error(p, "unexpected size of a row");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < im->height; y++)
            png_read_row(p, im->pixels + y * im->width * 3, NULL);
    png_read_end(p, NULL);
}

// Also png_create_info_struct, which the handler may leave.
static void create_and_decode(struct png *s, struct bnr_image *im) {
    s->info = png_create_info_struct(s->png);
    if (!s->info)
        png_error(s->png, "out of memory");
    decode(s, im);
}

enum bnr_status bnr__image_png(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    struct png *s = bnr__calloc(im->allocator, 1, sizeof(*s));
    if (!s)
        return bnr__no_memory(err);
    s->in = in;
    s->err = err;
    if (setjmp(s->failed) == 0) {
        s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
        if (s->png)
            create_and_decode(s, im);
        else
            s->status = bnr__no_memory(err);
    } else {
        s->status = bnr__fail(err, BNR_MALFORMED, "%s", s->message);
    }
    const enum bnr_status st = s->status;
    if (s->png)
        png_destroy_read_struct(&s->png, &s->info, NULL);
    bnr__free(im->allocator, s, sizeof(*s));
    return st;
}
