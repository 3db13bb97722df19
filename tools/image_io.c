// SPDX-License-Identifier: Apache-2.0
#include "tools/image_io.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime/ops/lib/image.h"
#include "tools/tensor_io.h"

enum { MAX_CHANNELS = 3 };

bool is_image(const char *path) {
    static const char *const extensions[] = {"png", "jpg", "jpeg", "bmp", "ppm", "pgm", "webp", "tif", "tiff"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < BNR_COUNT(extensions); i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return true;
    return false;
}

// ---- folders ------------------------------------------------------------------------------------------

bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum { MAX_DEPTH = 8 };

static int not_hidden(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static int list(struct strings *paths, const char *folder, int depth) {
    struct dirent **entries;
    const int n = scandir(folder, &entries, not_hidden, alphasort);
    if (n < 0)
        return fail(EXIT_BAD, "%s: cannot be read: %s", folder, strerror(errno));
    int code = EXIT_DONE;
    for (int i = 0; i < n; i++) {
        char *path = xprintf("%s/%s", folder, entries[i]->d_name);
        if (code == EXIT_DONE && is_folder(path) && depth > 0)
            code = list(paths, path, depth - 1);
        else if (is_image(path))
            strings_add(paths, path);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return code;
}

int images_list(struct strings *paths, const char *folder) {
    const size_t before = paths->count;
    const int code = list(paths, folder, MAX_DEPTH);
    return code != EXIT_DONE || paths->count > before ? code
                                                      : fail(EXIT_BAD, "%s: there is no picture in it", folder);
}

// ---- what the model takes -----------------------------------------------------------------------------

// Which axes of the input are what; -1: there is none.
struct target {
    const char *name;
    int rank, batch, channel, height, width;
    int64_t dims[4];
    int channels;
};

static bool is_channels(int64_t n) {
    return n == 1 || n == 3;
}

static int set_axes(struct target *t, const char *layout) {
    const int first = t->rank == 4 ? 1 : 0;
    bool last = t->rank > 2 && !is_channels(t->dims[first]) && is_channels(t->dims[t->rank - 1]);
    if (layout) {
        if (strcasecmp(layout, "NCHW") != 0 && strcasecmp(layout, "NHWC") != 0)
            return fail(EXIT_USAGE, "--layout: '%s' is neither NCHW nor NHWC", layout);
        last = strcasecmp(layout, "NHWC") == 0;
    }
    t->batch = t->rank == 4 ? 0 : -1;
    t->channel = t->rank == 2 ? -1 : last ? t->rank - 1 : first;
    t->height = t->rank == 2 || last ? first : first + 1;
    t->width = t->height + 1;
    const int64_t channels = t->channel < 0 ? 1 : t->dims[t->channel];
    t->channels = channels < 0 ? MAX_CHANNELS : (int)channels;
    if (channels >= 0 && !is_channels(channels))
        return fail(EXIT_BAD, "input '%s' takes %d channels, a picture has 1 or 3", t->name, t->channels);
    return EXIT_DONE;
}

static int describe(struct target *t, const struct bnr_value_info *type, const char *layout) {
    *t = (struct target){.name = type->name, .rank = type->rank};
    if (type->kind != BNR_KIND_TENSOR || type->dtype == BNR_STRING || type->rank < 2 || type->rank > 4)
        return fail(EXIT_BAD, "input '%s' takes no picture: expected a tensor of rank 2 to 4", type->name);
    for (int i = 0; i < type->rank; i++)
        t->dims[i] = type->dims[i];
    const int code = set_axes(t, layout);
    if (code == EXIT_DONE && t->batch == 0 && t->dims[0] > 1)
        return fail(EXIT_BAD, "input '%s' takes %lld pictures at a time, not one", type->name,
                    (long long)t->dims[0]);
    return code;
}

static int parse_numbers(const char *text, const char *option, double fallback, double v[MAX_CHANNELS]) {
    int n = 0;
    for (int i = 0; i < MAX_CHANNELS; i++)
        v[i] = fallback;
    for (const char *p = text; p && n < MAX_CHANNELS; n++) {
        char *end;
        v[n] = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !isfinite(v[n]))
            return fail(EXIT_USAGE, "--%s: '%s' is not one number or three, such as 0.485,0.456,0.406", option,
                        text);
        p = *end ? end + 1 : NULL;
        if (p && n == MAX_CHANNELS - 1)
            return fail(EXIT_USAGE, "--%s: '%s' has more than three numbers", option, text);
    }
    if (n == 2)
        return fail(EXIT_USAGE, "--%s: '%s' has two numbers, expected one or three", option, text);
    for (int i = 1; n == 1 && i < MAX_CHANNELS; i++)
        v[i] = v[0];
    return EXIT_DONE;
}

// ---- resizing -----------------------------------------------------------------------------------------
// Each new pixel is an average by a triangle of one old or one new pixel's width to both sides, whichever
// is wider: linear interpolation that leaves nothing out where the picture becomes smaller.

// A line of `n` pixels, `step` floats apart, becomes one of `size` taken from [begin, begin + span).
struct line {
    size_t n, step, size, out_step;
    double begin, span;
};

static void resize_line(float *to, const float *from, const struct line *l) {
    const double ratio = l->span / (double)l->size, radius = fmax(ratio, 1);
    for (size_t i = 0; i < l->size; i++) {
        const double center = l->begin + ((double)i + 0.5) * ratio;
        const double low = fmax(ceil(center - radius - 0.5), 0);
        const double high = fmin(floor(center + radius - 0.5), (double)l->n - 1);
        double sum = 0, total = 0;
        for (size_t k = (size_t)low; (double)k <= high; k++) {
            const double weight = fmax(1 - fabs((double)k + 0.5 - center) / radius, 0);
            sum += weight * (double)from[k * l->step];
            total += weight;
        }
        to[i * l->out_step] = (float)(total > 0 ? sum / total : (double)from[(size_t)fmin(center, (double)l->n - 1) * l->step]);
    }
}

struct picture {
    size_t width, height, channels;
    float *v; // [height][width][channels]
};

// The part of a side of `n` pixels that is used: all, or the middle that keeps the proportions.
static double used(size_t n, size_t want, size_t other, size_t other_want, bool crop) {
    const double span = (double)other * (double)want / (double)other_want;
    return crop && span < (double)n ? span : (double)n;
}

static struct picture resize(const struct picture *p, size_t width, size_t height, bool crop) {
    const size_t c = p->channels;
    const double across = used(p->width, width, p->height, height, crop);
    const double down = used(p->height, height, p->width, width, crop);
    struct picture wide = {width, p->height, c, xmalloc(width * p->height * c * sizeof(float))};
    struct picture out = {width, height, c, xmalloc(width * height * c * sizeof(float))};
    const struct line row = {p->width, c, width, c, ((double)p->width - across) / 2, across};
    const struct line column = {p->height, width * c, height, width * c, ((double)p->height - down) / 2, down};
    for (size_t y = 0; y < p->height; y++)
        for (size_t k = 0; k < c; k++)
            resize_line(wide.v + y * width * c + k, p->v + y * p->width * c + k, &row);
    for (size_t x = 0; x < width * c; x++)
        resize_line(out.v + x, wide.v + x, &column);
    free(wide.v);
    return out;
}

// ---- reading ------------------------------------------------------------------------------------------

static int decode(struct picture *p, const char *path, const struct target *t, bool bgr) {
    unsigned char *data;
    size_t size;
    struct bnr_image im = {0};
    struct bnr_error err;
    const int code = file_read(&data, &size, path);
    if (code != EXIT_DONE)
        return code;
    const enum bnr_pixels pixels = t->channels == 1 ? BNR_PIXELS_GRAY : bgr ? BNR_PIXELS_BGR : BNR_PIXELS_RGB;
    const enum bnr_status st = bnr__image_decode(&im, data, size, pixels, NULL, &err);
    free(data);
    if (st != BNR_OK)
        return fail(EXIT_BAD, "%s: %s", path, err.message);
    const size_t n = im.width * im.height * (size_t)im.channels;
    *p = (struct picture){im.width, im.height, (size_t)im.channels, xmalloc(n * sizeof(float))};
    for (size_t i = 0; i < n; i++)
        p->v[i] = (float)im.pixels[i];
    bnr__image_free(&im);
    return n > 0 ? EXIT_DONE : fail(EXIT_BAD, "%s: the picture is empty", path);
}

static bool is_integer(enum bnr_dtype d) {
    return d == BNR_UINT8 || d == BNR_INT8 || d == BNR_INT16 || d == BNR_UINT16 || d == BNR_INT32 || d == BNR_INT64;
}

// Normalized, in the order of the input's axes.
static int arrange(bnr_tensor **out, const struct picture *p, const struct target *t, enum bnr_dtype dtype,
                   const struct image_options *o) {
    double mean[MAX_CHANNELS], std[MAX_CHANNELS];
    int64_t dims[4] = {1, 1, 1, 1};
    struct bnr_error err;
    bnr_tensor *wide;
    int code = parse_numbers(o->mean, "mean", 0, mean);
    if (code == EXIT_DONE)
        code = parse_numbers(o->std, "std", 1, std);
    if (code != EXIT_DONE)
        return code;
    if (std[0] == 0 || std[1] == 0 || std[2] == 0)
        return fail(EXIT_USAGE, "--std: a 0 divides nothing");
    const double scale = o->scale != 0 ? o->scale : is_integer(dtype) ? 1 : 1.0 / 255;
    if (t->channel >= 0)
        dims[t->channel] = (int64_t)p->channels;
    dims[t->height] = (int64_t)p->height;
    dims[t->width] = (int64_t)p->width;
    if (bnr_tensor_create(&wide, BNR_DOUBLE, t->rank, dims, NULL, &err) != BNR_OK)
        return fail_with(&err);
    double *v = bnr_tensor_data(wide);
    const bool last = t->channel == t->rank - 1 && t->rank > 2;
    const size_t plane = p->width * p->height;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < p->channels; c++)
            v[last ? i * p->channels + c : c * plane + i] =
                ((double)p->v[i * p->channels + c] * scale - mean[c]) / std[c];
    for (size_t i = 0; is_integer(dtype) && i < plane * p->channels; i++)
        v[i] = rint(v[i]);
    const enum bnr_status st = bnr_tensor_cast(out, wide, dtype, &err);
    bnr_tensor_release(wide);
    return st == BNR_OK ? EXIT_DONE : fail_with(&err);
}

int image_read(bnr_tensor **out, const char *path, const struct bnr_value_info *type,
               const struct image_options *options) {
    static const struct image_options defaults = {0};
    const struct image_options *o = options ? options : &defaults;
    struct target t;
    struct picture p = {0};
    *out = NULL;
    int code = describe(&t, type, o->layout);
    if (code == EXIT_DONE)
        code = decode(&p, path, &t, o->bgr);
    if (code != EXIT_DONE)
        return code;
    const size_t height = t.dims[t.height] > 0 ? (size_t)t.dims[t.height] : p.height;
    const size_t width = t.dims[t.width] > 0 ? (size_t)t.dims[t.width] : p.width;
    if (height > BNR_IMAGE_MAX_PIXELS / width) {
        code = fail(EXIT_BAD, "%s: %zu x %zu pixels are too many", path, height, width);
    } else {
        struct picture sized = p;
        if (height != p.height || width != p.width)
            sized = resize(&p, width, height, o->crop);
        code = arrange(out, &sized, &t, type->dtype, o);
        if (sized.v != p.v)
            free(sized.v);
    }
    free(p.v);
    return code;
}
