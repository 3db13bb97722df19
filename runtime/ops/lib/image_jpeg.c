// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg(-turbo) with its defaults, which are the specification's: accurate integer DCT,
// smooth chroma upsampling. libjpeg's error handler may not return, so that its functions are left
// by longjmp; what they allocated belongs to the decompressor, which is destroyed afterwards.
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
#include <jerror.h>

#include "runtime/ops/lib/image_codec.h"

enum { MAX_SCANS = 500 }; // a progressive file can hold more than a million of them

struct jpeg {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    char message[JMSG_LENGTH_MAX];
    enum bnr_status status;
    struct bnr_error *err;
};

static struct jpeg *of(j_common_ptr c) {
    return c->client_data;
}

static void on_error(j_common_ptr c) {
    c->err->format_message(c, of(c)->message);
    longjmp(of(c)->failed, 1);
}

// Data that end too early are an error here; other warnings are not.
static void on_message(j_common_ptr c, int level) {
    if (level < 0 && (c->err->msg_code == JWRN_JPEG_EOF || c->err->msg_code == JWRN_HIT_MARKER))
        on_error(c);
}

static void on_progress(j_common_ptr c) {
    if (of(c)->c.input_scan_number > MAX_SCANS) {
        snprintf(of(c)->message, sizeof(of(c)->message), "more than %d scans", (int)MAX_SCANS);
        longjmp(of(c)->failed, 1);
    }
}

// Adobe's files have CMYK inverted.
static void cmyk_to_rgb(const struct jpeg *j, const uint8_t *row, uint8_t *rgb) {
    const uint8_t flip = j->c.saw_Adobe_marker ? 0 : 255;
    for (size_t x = 0; x < j->c.output_width; x++, row += 4)
        for (int k = 0; k < 3; k++)
            *rgb++ = (uint8_t)(((row[k] ^ flip) * (row[3] ^ flip) + 127) / 255);
}

// May be left by longjmp at any call of libjpeg.
static void decode(struct jpeg *j, struct bnr_image *im, struct bnr_bytes in) {
    struct jpeg_decompress_struct *c = &j->c;
    jpeg_create_decompress(c);
    c->client_data = j;
    c->progress = &j->progress;
    jpeg_mem_src(c, in.data, in.size);
    jpeg_read_header(c, TRUE);
    const bool cmyk = c->jpeg_color_space == JCS_CMYK || c->jpeg_color_space == JCS_YCCK;
    c->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    j->status = bnr__image_begin(im, c->image_width, c->image_height, j->err);
    if (j->status != BNR_OK)
        return;
    jpeg_start_decompress(c);
    JSAMPARRAY four = NULL;
    if (cmyk)
        four = c->mem->alloc_sarray((j_common_ptr)c, JPOOL_IMAGE, 4 * c->output_width, 1);
    while (c->output_scanline < c->output_height) {
        uint8_t *row = im->pixels + (size_t)c->output_scanline * im->width * 3;
        jpeg_read_scanlines(c, cmyk ? four : &row, 1);
        if (cmyk)
            cmyk_to_rgb(j, four[0], row);
    }
    jpeg_finish_decompress(c);
}

enum bnr_status bnr__image_jpeg(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    struct jpeg *j = bnr__calloc(im->allocator, 1, sizeof(*j));
    if (!j)
        return bnr__no_memory(err);
    j->err = err;
    j->c.err = jpeg_std_error(&j->errors);
    j->c.client_data = j;
    j->errors.error_exit = on_error;
    j->errors.emit_message = on_message;
    j->progress.progress_monitor = on_progress;
    if (setjmp(j->failed) == 0)
        decode(j, im, in);
    else
        j->status = bnr__fail(err, BNR_MALFORMED, "%s", j->message);
    const enum bnr_status st = j->status;
    jpeg_destroy_decompress(&j->c);
    bnr__free(im->allocator, j, sizeof(*j));
    return st;
}
