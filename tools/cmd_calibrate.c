// SPDX-License-Identifier: Apache-2.0
// bnrun calibrate: new running statistics for every BN, from data without labels.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "tools/image_io.h"
#include "tools/report.h"
#include "tools/tensor_io.h"

const struct verb verb_calibrate = {
    "calibrate", "calibrate MODEL DATA ... -o OUT.onnx [options]",
    "Estimates the running mean and variance of every batch normalization anew: runs the model over batches\n"
    "of data with BN in training mode and averages the batches' means and m/(m-1)-corrected variances\n"
    "(arXiv 1502.03167, Algorithm 2). DATA is a file for a model with one input, else NAME=FILE for each:\n"
    ".npy, .npz (one input: every array in it; else arrays by input name) or .bin, all with the samples\n"
    "along the first dim; or pictures: .png, .jpg and the like, or a folder of them. Samples that fill no batch at the end make a smaller one if they are two or more.",
    cmd_calibrate};

enum { MAX_RANK = 16 };

// The samples of one input, in as many tensors as its files hold.
struct samples {
    struct bnr_value_info info;
    bnr_tensor **parts;
    size_t n_parts;
    struct strings pictures; // instead of parts: read when their batch comes
    int64_t picture[MAX_RANK]; // dims of each
    int64_t count;
};

struct data {
    struct samples *inputs;
    size_t n;
    const struct image_options *image;
};

// ---- reading ----------------------------------------------------------------------------------------

// Takes over t.
static int add_part(struct samples *s, bnr_tensor *t, const char *path) {
    s->parts = xrealloc(s->parts, (s->n_parts + 1) * sizeof *s->parts);
    s->parts[s->n_parts++] = t;
    if (bnr_tensor_kind(t) != BNR_KIND_TENSOR || bnr_tensor_rank(t) < 1)
        return fail(EXIT_BAD, "%s: a scalar holds no samples", path);
    const bnr_tensor *first = s->parts[0];
    const size_t rank = (size_t)bnr_tensor_rank(t);
    if (bnr_tensor_dtype(t) != bnr_tensor_dtype(first) || bnr_tensor_rank(t) != bnr_tensor_rank(first) ||
        memcmp(bnr_tensor_dims(t) + 1, bnr_tensor_dims(first) + 1, (rank - 1) * sizeof(int64_t)) != 0)
        return fail(EXIT_BAD, "%s: dtype and dims of a sample differ from those of the first file", path);
    s->count += bnr_tensor_dims(t)[0];
    return EXIT_DONE;
}

// The number of samples follows from the file's size, whatever the model says of its batch.
static int read_bin(struct samples *s, const char *path) {
    int64_t dims[MAX_RANK];
    if (s->info.rank < 1 || s->info.rank > MAX_RANK)
        return fail(EXIT_BAD, "%s: input '%s' has no known dims; give a .npy file", path, s->info.name);
    memcpy(dims, s->info.dims, (size_t)s->info.rank * sizeof dims[0]);
    dims[0] = -1;
    struct bnr_value_info info = s->info;
    info.dims = dims;
    bnr_tensor *t;
    int code = bin_read(&t, path, &info);
    return code == EXIT_DONE ? add_part(s, t, path) : code;
}

static int read_picture(bnr_tensor **out, const struct samples *s, size_t i, const struct image_options *image) {
    struct bnr_value_info one = s->info;
    one.dims = s->picture;
    return image_read(out, s->pictures.items[i], &one, image);
}

// All pictures are as large as the model says, or else as the first one is.
static int add_pictures(struct samples *s, const struct data *d, const char *path) {
    const size_t first = s->pictures.count;
    int code = EXIT_DONE;
    if (s->info.rank != 4)
        return fail(EXIT_BAD, "%s: input '%s' takes no batches of pictures: its rank is %d, not 4", path,
                    s->info.name, s->info.rank);
    if (is_folder(path))
        code = images_list(&s->pictures, path);
    else
        strings_add(&s->pictures, path);
    if (code == EXIT_DONE && first == 0) {
        bnr_tensor *t;
        memcpy(s->picture, s->info.dims, 4 * sizeof s->picture[0]);
        s->picture[0] = 1;
        code = read_picture(&t, s, 0, d->image);
        if (code == EXIT_DONE)
            memcpy(s->picture, bnr_tensor_dims(t), 4 * sizeof s->picture[0]);
        bnr_tensor_release(t);
    }
    s->count += (int64_t)(s->pictures.count - first);
    return code;
}

static struct samples *find(struct data *d, const char *name) {
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->inputs[i].info.name, name) == 0)
            return &d->inputs[i];
    return NULL;
}

static int read_archive(struct data *d, struct samples *only, const char *path) {
    bnr_tensor **tensors;
    struct strings names;
    int code = npz_read(&tensors, &names, path);
    for (size_t k = 0; k < names.count; k++) {
        struct samples *s = only ? only : find(d, names.items[k]);
        if (code == EXIT_DONE && !s)
            code = fail(EXIT_BAD, "%s: the model has no input '%s'", path, names.items[k]);
        if (code == EXIT_DONE)
            code = add_part(s, tensors[k], path);
        else
            bnr_tensor_release(tensors[k]);
    }
    strings_free(&names);
    free(tensors);
    return code;
}

static int read_argument(struct data *d, const char *arg) {
    const char *path = arg;
    struct samples *s = d->n == 1 ? &d->inputs[0] : NULL;
    for (const char *eq = strchr(arg, '='); eq; eq = strchr(eq + 1, '=')) {
        char *name = xprintf("%.*s", (int)(eq - arg), arg);
        struct samples *named = find(d, name);
        free(name);
        if (named) {
            s = named;
            path = eq + 1;
            break;
        }
    }
    const enum file_format format = format_of(path);
    if (format == FORMAT_NPZ)
        return read_archive(d, s, path);
    if (!s)
        return fail(EXIT_USAGE, "%s: the model has %zu inputs, expected NAME=FILE", arg, d->n);
    const bool pictures = is_image(path) || is_folder(path);
    if (pictures ? s->n_parts > 0 : s->pictures.count > 0)
        return fail(EXIT_USAGE, "%s: pictures and arrays of numbers for one input", path);
    if (pictures)
        return add_pictures(s, d, path);
    if (format == FORMAT_BIN)
        return read_bin(s, path);
    if (format != FORMAT_NPY)
        return fail(EXIT_USAGE, "%s: unknown kind of data file, expected .npy, .npz, .bin, a picture or a folder",
                    path);
    bnr_tensor *t;
    const int code = npy_read(&t, path);
    return code == EXIT_DONE ? add_part(s, t, path) : code;
}

static int data_read(struct data *d, const bnr_model *model, const struct strings *args) {
    size_t count = bnr_model_input_count(model);
    d->inputs = xcalloc(count ? count : 1, sizeof *d->inputs);
    for (size_t i = 0; i < count; i++) {
        struct bnr_value_info info;
        if (bnr_model_input(model, i, &info) == BNR_OK && !info.optional)
            d->inputs[d->n++].info = info;
    }
    for (size_t i = 1; i < args->count; i++) {
        const int code = read_argument(d, args->items[i]);
        if (code != EXIT_DONE)
            return code;
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->inputs[i].count != d->inputs[0].count || d->inputs[i].count < 1)
            return fail(EXIT_BAD, "input '%s' has %" PRId64 " samples, '%s' has %" PRId64 ": expected as many",
                        d->inputs[i].info.name, d->inputs[i].count, d->inputs[0].info.name,
                        d->inputs[0].count);
    return d->n ? EXIT_DONE : fail(EXIT_BAD, "the model has no input to calibrate with");
}

static void data_free(struct data *d) {
    for (size_t i = 0; i < d->n; i++) {
        for (size_t k = 0; k < d->inputs[i].n_parts; k++)
            bnr_tensor_release(d->inputs[i].parts[k]);
        free(d->inputs[i].parts);
        strings_free(&d->inputs[i].pictures);
    }
    free(d->inputs);
}

// ---- batches ----------------------------------------------------------------------------------------

static int read_pictures(bnr_tensor **out, const struct samples *s, const struct image_options *image,
                         int64_t begin, int64_t count) {
    struct bnr_error err;
    int64_t dims[4];
    int code = EXIT_DONE;
    memcpy(dims, s->picture, sizeof dims);
    dims[0] = count;
    if (bnr_tensor_create(out, s->info.dtype, 4, dims, NULL, &err) != BNR_OK)
        return fail_with(&err);
    const size_t bytes = bnr_tensor_bytes(*out) / (size_t)count;
    for (int64_t i = 0; i < count && code == EXIT_DONE; i++) {
        bnr_tensor *one;
        code = read_picture(&one, s, (size_t)(begin + i), image);
        if (code == EXIT_DONE)
            memcpy((unsigned char *)bnr_tensor_data(*out) + (size_t)i * bytes, bnr_tensor_data(one), bytes);
        bnr_tensor_release(one);
    }
    return code;
}

// Samples [begin, begin + count) of one input, from whichever parts hold them.
static int cut(bnr_tensor **out, const struct samples *s, int64_t begin, int64_t count) {
    struct bnr_error err;
    int64_t dims[MAX_RANK];
    const int rank = bnr_tensor_rank(s->parts[0]);
    memcpy(dims, bnr_tensor_dims(s->parts[0]), (size_t)rank * sizeof dims[0]);
    dims[0] = count;
    if (bnr_tensor_create(out, bnr_tensor_dtype(s->parts[0]), rank, dims, NULL, &err) != BNR_OK)
        return fail_with(&err);
    const size_t sample = bnr_tensor_bytes(*out) / (size_t)count;
    unsigned char *to = bnr_tensor_data(*out);
    for (size_t k = 0; k < s->n_parts && count > 0; k++) {
        const int64_t have = bnr_tensor_dims(s->parts[k])[0];
        if (begin < have) {
            const int64_t n = have - begin < count ? have - begin : count;
            memcpy(to, (const unsigned char *)bnr_tensor_data(s->parts[k]) + (size_t)begin * sample,
                   (size_t)n * sample);
            to += (size_t)n * sample;
            count -= n;
            begin += n;
        }
        begin -= have;
    }
    return EXIT_DONE;
}

static int add_batch(bnr_calibration *c, const bnr_model *model, const struct data *d, int64_t begin,
                     int64_t count) {
    const size_t n = bnr_model_input_count(model);
    bnr_tensor **tensors = xcalloc(n ? n : 1, sizeof *tensors);
    struct bnr_error err;
    int code = EXIT_DONE;
    for (size_t i = 0, k = 0; i < n && k < d->n && code == EXIT_DONE; i++) {
        struct bnr_value_info info;
        if (bnr_model_input(model, i, &info) != BNR_OK || info.optional)
            continue;
        const struct samples *s = &d->inputs[k++];
        code = s->pictures.count > 0 ? read_pictures(&tensors[i], s, d->image, begin, count)
                                     : cut(&tensors[i], s, begin, count);
    }
    if (code == EXIT_DONE && bnr_calibration_add(c, (const bnr_tensor *const *)tensors, n, &err) != BNR_OK)
        code = fail_with(&err);
    for (size_t i = 0; i < n; i++)
        bnr_tensor_release(tensors[i]);
    free(tensors);
    return code;
}

// A model with a fixed batch takes no other.
static int64_t batch_size(const struct data *d, int64_t asked) {
    const struct bnr_value_info *info = &d->inputs[0].info;
    if (asked > 0)
        return asked;
    return info->rank > 0 && info->dims[0] > 0 ? info->dims[0] : 32;
}

static int add_batches(bnr_calibration *c, const bnr_model *model, const struct data *d, int64_t batch,
                       size_t *batches) {
    const struct bnr_value_info *info = &d->inputs[0].info;
    const bool fixed = info->rank > 0 && info->dims[0] > 0;
    const int64_t total = d->inputs[0].count;
    *batches = 0;
    for (int64_t at = 0; at < total;) {
        const int64_t count = total - at < batch ? total - at : batch;
        if (at > 0 && count < batch && (count < 2 || fixed))
            break;
        progress("calibrating", (size_t)at, (size_t)total);
        const int code = add_batch(c, model, d, at, count);
        if (code != EXIT_DONE) {
            progress_end();
            return code;
        }
        at += count;
        ++*batches;
    }
    progress_end();
    return EXIT_DONE;
}

// ---- the verb ---------------------------------------------------------------------------------------

struct request {
    const char *out;
    int batch;
    double momentum; // NaN: plain averages
    bool fold, json;
    struct image_options image;
};

static int tell(const bnr_calibration *c, const struct request *q, size_t batches, int64_t samples) {
    json_t *doc = json_object(), *list = json_array();
    const char *name, *reason;
    size_t n = 0, done = 0;
    for (; bnr_calibration_bn(c, n, &name, &reason) == BNR_OK; n++) {
        json_t *j = json_object();
        done += !reason;
        json_object_set_new(j, "name", json_text(name));
        json_object_set_new(j, "calibrated", json_boolean(!reason));
        if (reason)
            json_object_set_new(j, "reason", json_text(reason));
        json_array_append_new(list, j);
        if (reason && !q->json)
            printf("not %s: %s\n", name, reason);
    }
    json_object_set_new(doc, "output", json_text(q->out));
    json_object_set_new(doc, "batches", json_integer((json_int_t)batches));
    json_object_set_new(doc, "samples", json_integer((json_int_t)samples));
    json_object_set_new(doc, "batch_norms", list);
    if (q->json)
        return json_print(doc);
    json_decref(doc);
    printf("%s: %zu of %zu batch normalizations calibrated on %zu batches\n", q->out, done, n, batches);
    return fflush(stdout) == 0 ? EXIT_DONE : fail(EXIT_BAD, "standard output: cannot be written");
}

static int run(const bnr_model *model, const struct strings *args, const struct common *c,
               const struct request *q) {
    struct bnr_error err;
    struct data d = {.image = &q->image};
    bnr_calibration *calibration = NULL;
    size_t batches = 0;
    int code = data_read(&d, model, args);
    if (code == EXIT_DONE &&
        bnr_calibration_create(&calibration, model, &c->run, isnan(q->momentum) ? -1 : q->momentum, &err) !=
            BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE)
        code = add_batches(calibration, model, &d, batch_size(&d, q->batch), &batches);
    if (code == EXIT_DONE &&
        bnr_calibration_write(calibration, q->out, q->fold, &c->run, NULL, NULL, &err) != BNR_OK)
        code = fail_with(&err);
    if (code == EXIT_DONE)
        code = tell(calibration, q, batches, d.inputs[0].count);
    bnr_calibration_free(calibration);
    data_free(&d);
    return code;
}

static int calibrate(const struct strings *args, const struct common *c, const struct request *q) {
    struct bnr_error err;
    bnr_model *model;
    if (bnr_model_load_file(&model, args->items[0], NULL, &err) != BNR_OK)
        return fail_with(&err);
    const int code = run(model, args, c, q);
    bnr_model_free(model);
    return code;
}

int cmd_calibrate(int argc, char **argv) {
    struct common c;
    struct strings args = {0};
    struct request q = {.momentum = NAN};
    common_init(&c);
    const struct opt opts[] = {
        {"output", 'o', OPT_STRING, &q.out, 0, "OUT.onnx", "where to write the model"},
        {"batch", 'b', OPT_INT, &q.batch, 0, "N", "samples per batch (default: the model's, else 32)"},
        {"ema", 0, OPT_DOUBLE, &q.momentum, 0, "MOMENTUM",
         "moving averages: new = MOMENTUM * old + (1 - MOMENTUM) * batch"},
        {"fold", 0, OPT_FLAG, &q.fold, 0, NULL, "write the model folded"},
        {"json", 0, OPT_FLAG, &q.json, 0, NULL, "print the report as JSON"},
        IMAGE_OPTIONS(&q.image),
        {"threads", 't', OPT_INT, &c.threads, 0, "N", "threads to use (default: one per core)"},
        {"cpu", 0, OPT_STRING, &c.cpu, 0, "LEVEL", "generic, avx2, avx512 or neon"},
        {"freeze-initializers", 0, OPT_BITS, &c.run.flags, BNR_FREEZE_INITIALIZERS, NULL,
         "initializers that are graph inputs are constants"},
        {"verbose", 'v', OPT_FLAG, &c.verbose, 0, NULL, "say more"},
        {0},
    };
    int code = cli_parse(&verb_calibrate, opts, argc, argv, &args);
    common_finish(&c);
    if (code < 0 && (args.count < 2 || !q.out))
        code = fail(EXIT_USAGE, "calibrate: expected MODEL, DATA and -o OUT.onnx (see bnrun calibrate --help)");
    if (code < 0 && (q.batch < 0 || (!isnan(q.momentum) && !(q.momentum >= 0 && q.momentum < 1))))
        code = fail(EXIT_USAGE, "calibrate: --batch needs 1 or more, --ema a number in [0, 1)");
    if (code < 0)
        code = calibrate(&args, &c, &q);
    strings_free(&args);
    common_free(&c);
    return code;
}
