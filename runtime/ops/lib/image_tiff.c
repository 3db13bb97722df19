// SPDX-License-Identifier: Apache-2.0
// TIFF by libtiff, the first picture of the file. Errors and limits are set for the one handle, as
// libtiff's global handlers are not ours.
#include <stdio.h>

#include <tiffio.h>

#include "runtime/base/library.h"
#include "runtime/ops/lib/image_codec.h"

#define FUNCTIONS(X)                                                                               \
    X(TIFFOpenOptionsAlloc)                                                                        \
    X(TIFFOpenOptionsSetMaxSingleMemAlloc)                                                         \
    X(TIFFOpenOptionsSetErrorHandlerExtR)                                                          \
    X(TIFFOpenOptionsSetWarningHandlerExtR)                                                        \
    X(TIFFOpenOptionsFree)                                                                         \
    X(TIFFClientOpenExt)                                                                           \
    X(TIFFGetField)                                                                                \
    X(TIFFReadRGBAImageOriented)                                                                   \
    X(TIFFClose)

struct functions {
    FUNCTIONS(BNR_LIBRARY_POINTER)
};

static bool load(struct functions *lib) {
    static const char *const names[] = {FUNCTIONS(BNR_LIBRARY_NAME)};
    return bnr__library_open(BNR_LIBTIFF_FILE, names, BNR_COUNT(names), lib);
}

enum { MAX_ALLOC = 1 << 29 }; // bytes that libtiff may take at once

struct file {
    struct bnr_bytes in;
    char message[128]; // of the first error
};

static int on_error(TIFF *t, void *user, const char *module, const char *fmt, va_list args) {
    struct file *f = user;
    if (!f->message[0])
        vsnprintf(f->message, sizeof(f->message), fmt, args);
    return 1;
}

static int on_warning(TIFF *t, void *user, const char *module, const char *fmt, va_list args) {
    return 1;
}

static tmsize_t on_read(thandle_t h, void *to, tmsize_t n) {
    struct bnr_bytes *in = &((struct file *)h)->in;
    const size_t left = in->at < in->size ? in->size - in->at : 0;
    const size_t count = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    if (count > 0)
        memcpy(to, in->data + in->at, count);
    in->at += count;
    return (tmsize_t)count;
}

static tmsize_t on_write(thandle_t h, void *from, tmsize_t n) {
    return 0;
}

static toff_t on_seek(thandle_t h, toff_t offset, int whence) {
    struct bnr_bytes *in = &((struct file *)h)->in;
    in->at = (size_t)(whence == SEEK_SET   ? offset
                      : whence == SEEK_CUR ? in->at + offset
                                           : in->size + offset);
    return in->at;
}

static int on_close(thandle_t h) {
    return 0;
}

static toff_t on_size(thandle_t h) {
    return ((struct file *)h)->in.size;
}

static TIFF *open_file(const struct functions *lib, struct file *f) {
    TIFFOpenOptions *options = lib->TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    lib->TIFFOpenOptionsSetMaxSingleMemAlloc(options, MAX_ALLOC);
    lib->TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, f);
    lib->TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, f);
    TIFF *t = lib->TIFFClientOpenExt("image", "rm", (thandle_t)f, on_read, on_write, on_seek,
                                     on_close, on_size, NULL, NULL, options);
    lib->TIFFOpenOptionsFree(options);
    return t;
}

static enum bnr_status failed(const struct file *f, struct bnr_error *err) {
    return bnr__fail(err, BNR_MALFORMED, "%s",
                     f->message[0] ? f->message : "the data are damaged or of an unknown kind");
}

static enum bnr_status decode(const struct functions *lib, TIFF *t, struct file *f,
                              struct bnr_image *im, struct bnr_error *err) {
    uint32_t width = 0, height = 0;
    if (!lib->TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width) ||
        !lib->TIFFGetField(t, TIFFTAG_IMAGELENGTH, &height))
        return failed(f, err);
    BNR_TRY(bnr__image_begin(im, width, height, err));
    const size_t n = im->width * im->height;
    uint32_t *raster = bnr__malloc(im->allocator, n * sizeof(*raster));
    if (!raster)
        return bnr__no_memory(err);
    const int ok =
        lib->TIFFReadRGBAImageOriented(t, width, height, raster, ORIENTATION_TOPLEFT, 1);
    for (size_t i = 0; ok && i < n; i++) {
        im->pixels[3 * i] = TIFFGetR(raster[i]);
        im->pixels[3 * i + 1] = TIFFGetG(raster[i]);
        im->pixels[3 * i + 2] = TIFFGetB(raster[i]);
    }
    bnr__free(im->allocator, raster, n * sizeof(*raster));
    return ok ? BNR_OK : failed(f, err);
}

enum bnr_status bnr__image_tiff(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    struct file f = {.in = in};
    struct functions lib;
    if (!load(&lib))
        return bnr__fail(err, BNR_UNSUPPORTED, "%s is not there", BNR_LIBTIFF_FILE);
    TIFF *t = open_file(&lib, &f);
    if (!t)
        return failed(&f, err);
    const enum bnr_status st = decode(&lib, t, &f, im, err);
    lib.TIFFClose(t);
    return st;
}
