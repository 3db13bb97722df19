// SPDX-License-Identifier: Apache-2.0
#include "tools/inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "tools/tensor_io.h"

const char *shape_text(const bnr_tensor *t, char *buf, size_t size) {
    static const char *const kinds[] = {"", "sequence", "optional", "map", "sparse"};
    if (bnr_tensor_kind(t) != BNR_KIND_TENSOR) {
        snprintf(buf, size, "%s of %zu", kinds[bnr_tensor_kind(t)], bnr_tensor_item_count(t));
        return buf;
    }
    int rank = bnr_tensor_rank(t), n = 0;
    if (rank == 0)
        snprintf(buf, size, "scalar");
    for (int i = 0; i < rank && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%" PRId64, i ? "x" : "", bnr_tensor_dims(t)[i]);
    return buf;
}

// ---- --shape ----------------------------------------------------------------------------------------

enum { MAX_RANK = 16 };

// A model input with the dims that --shape settled.
struct slot {
    struct bnr_value_info info;
    int64_t dims[MAX_RANK];
};

static int parse_dims(const char *text, int64_t dims[MAX_RANK], int *rank) {
    *rank = 0;
    for (const char *p = text;;) {
        char *end;
        errno = 0;
        long long v = strtoll(p, &end, 10);
        if (end == p || errno || v < 0 || *rank == MAX_RANK)
            return fail(EXIT_USAGE, "--shape: '%s' is not a list of dims such as 1x3x224x224", text);
        dims[(*rank)++] = v;
        if (*end == 0)
            return EXIT_DONE;
        if (*end != 'x' && *end != ',')
            return fail(EXIT_USAGE, "--shape: '%s' is not a list of dims such as 1x3x224x224", text);
        p = end + 1;
    }
}

static int set_dims(struct slot *s, const int64_t *dims, int rank) {
    if (s->info.rank >= 0 && s->info.rank != rank)
        return fail(EXIT_USAGE, "--shape: input '%s' has rank %d, not %d", s->info.name, s->info.rank, rank);
    for (int i = 0; i < rank; i++) {
        if (s->info.rank >= 0 && s->dims[i] >= 0 && s->dims[i] != dims[i])
            return fail(EXIT_USAGE, "--shape: dim %d of input '%s' is %" PRId64 ", not %" PRId64, i,
                        s->info.name, s->dims[i], dims[i]);
        s->dims[i] = dims[i];
    }
    s->info.rank = rank;
    return EXIT_DONE;
}

static bool set_symbol(struct slot *slots, size_t n, const char *symbol, int64_t value) {
    bool found = false;
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < slots[k].info.rank; i++)
            if (slots[k].info.symbols && slots[k].info.symbols[i] &&
                strcmp(slots[k].info.symbols[i], symbol) == 0) {
                slots[k].dims[i] = value;
                found = true;
            }
    return found;
}

static int apply_shape(struct slot *slots, size_t n, const char *arg) {
    const char *eq = strrchr(arg, '=');
    if (!eq)
        return fail(EXIT_USAGE, "--shape: '%s' has no '=', expected NAME=DIMS", arg);
    char *name = xprintf("%.*s", (int)(eq - arg), arg);
    int64_t dims[MAX_RANK];
    int rank, code = parse_dims(eq + 1, dims, &rank);
    if (code == EXIT_DONE) {
        struct slot *s = NULL;
        for (size_t i = 0; i < n; i++)
            if (strcmp(slots[i].info.name, name) == 0)
                s = &slots[i];
        if (s)
            code = set_dims(s, dims, rank);
        else if (rank != 1 || !set_symbol(slots, n, name, dims[0]))
            code = fail(EXIT_USAGE, "--shape: the model has no input and no symbolic dim '%s'", name);
    }
    free(name);
    return code;
}

// ---- random data ------------------------------------------------------------------------------------

static uint64_t next_random(uint64_t *state) { // SplitMix64
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(uint64_t *state) { // (0, 1]
    return (double)((next_random(state) >> 11) + 1) * 0x1p-53;
}

static double normal(uint64_t *state) { // Box-Muller
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static bool is_float(enum bnr_dtype d) {
    return d == BNR_FLOAT || d == BNR_DOUBLE || d == BNR_FLOAT16 || d == BNR_BFLOAT16 ||
           (d >= BNR_FLOAT8E4M3FN && d <= BNR_FLOAT8E5M2FNUZ) || d == BNR_FLOAT4E2M1 ||
           d == BNR_FLOAT8E8M0;
}

// Standard normal for floating point, 0 and 1 for the rest (valid as index, mask or count).
static int random_tensor(bnr_tensor **out, const struct slot *s, uint64_t seed, double scale) {
    int64_t dims[MAX_RANK];
    struct bnr_error err;
    *out = NULL;
    if (s->info.kind != BNR_KIND_TENSOR || s->info.dtype == BNR_STRING || s->info.rank < 0)
        return fail(EXIT_USAGE, "input '%s' cannot be filled with random data; give a file", s->info.name);
    for (int i = 0; i < s->info.rank; i++)
        dims[i] = s->dims[i] < 0 ? 1 : s->dims[i];
    bnr_tensor *wide;
    if (bnr_tensor_create(&wide, BNR_DOUBLE, s->info.rank, dims, NULL, &err) != BNR_OK)
        return fail(EXIT_BAD, "input '%s': %s", s->info.name, err.message);
    double *p = bnr_tensor_data(wide);
    for (size_t i = 0; i < bnr_tensor_numel(wide); i++)
        p[i] = is_float(s->info.dtype) ? scale * normal(&seed) : (double)(next_random(&seed) & 1);
    enum bnr_status st = bnr_tensor_cast(out, wide, s->info.dtype, &err);
    bnr_tensor_release(wide);
    return st == BNR_OK ? EXIT_DONE : fail(EXIT_BAD, "input '%s': %s", s->info.name, err.message);
}

// ---- files ------------------------------------------------------------------------------------------

static size_t find_slot(const struct slot *slots, size_t n, const char *name, size_t length) {
    size_t i = 0;
    while (i < n && (strlen(slots[i].info.name) != length || strncmp(slots[i].info.name, name, length)))
        i++;
    return i;
}

static int take(struct inputs *in, const struct slot *slots, size_t i, const char *path) {
    if (in->tensors[i])
        return fail(EXIT_USAGE, "%s: input '%s' is given twice", path, slots[i].info.name);
    struct bnr_value_info info = slots[i].info;
    info.dims = slots[i].dims;
    struct bnr_error err;
    if (is_image(path))
        return image_read(&in->tensors[i], path, &info, in->image);
    switch (format_of(path)) {
    case FORMAT_BIN:
        return bin_read(&in->tensors[i], path, &info);
    case FORMAT_NPY:
        return npy_read(&in->tensors[i], path);
    case FORMAT_PB:
        return bnr_tensor_read_pb(&in->tensors[i], path, &info, &err) == BNR_OK ? EXIT_DONE
                                                                               : fail_with(&err);
    default:
        return fail(EXIT_USAGE, "%s: unknown kind of input file, expected .bin, .npy, .npz, .pb, .png or .jpg", path);
    }
}

static int take_archive(struct inputs *in, const struct slot *slots, const char *path) {
    bnr_tensor **tensors;
    struct strings names;
    int code = npz_read(&tensors, &names, path);
    for (size_t k = 0; k < names.count; k++) {
        size_t i = find_slot(slots, in->count, names.items[k], strlen(names.items[k]));
        if (code == EXIT_DONE && i == in->count)
            code = fail(EXIT_BAD, "%s: the model has no input '%s'", path, names.items[k]);
        if (code == EXIT_DONE && in->tensors[i])
            code = fail(EXIT_USAGE, "%s: input '%s' is given twice", path, names.items[k]);
        if (code == EXIT_DONE)
            in->tensors[i] = tensors[k];
        else
            bnr_tensor_release(tensors[k]);
    }
    strings_free(&names);
    free(tensors);
    return code;
}

static int take_argument(struct inputs *in, const struct slot *slots, const char *arg) {
    // NAME=FILE only when NAME is an input: paths may hold '=' too, and names as well.
    for (const char *eq = strchr(arg, '='); eq; eq = strchr(eq + 1, '=')) {
        size_t i = find_slot(slots, in->count, arg, (size_t)(eq - arg));
        if (i < in->count)
            return take(in, slots, i, eq + 1);
    }
    if (format_of(arg) == FORMAT_NPZ)
        return take_archive(in, slots, arg);
    const char *eq = strchr(arg, '='), *slash = strchr(arg, '/');
    if (eq && (!slash || eq < slash))
        return fail(EXIT_USAGE, "%s: the model has no input '%.*s'", arg, (int)(eq - arg), arg);
    for (size_t i = 0; i < in->count; i++)
        if (!in->tensors[i])
            return take(in, slots, i, arg);
    return fail(EXIT_USAGE, "%s: more input files than the model's %zu inputs", arg, in->count);
}

static int load_slots(struct slot *slots, size_t n, const bnr_model *model) {
    for (size_t i = 0; i < n; i++) {
        struct slot *s = &slots[i];
        bnr_model_input(model, i, &s->info);
        if (s->info.rank > MAX_RANK)
            return fail(EXIT_BAD, "input '%s' has rank %d, at most %d is supported", s->info.name,
                        s->info.rank, MAX_RANK);
        for (int k = 0; k < s->info.rank; k++)
            s->dims[k] = s->info.dims[k];
        s->info.dims = s->dims;
    }
    return EXIT_DONE;
}

static int fill_missing(struct inputs *in, const struct slot *slots, bool any_given, double scale) {
    for (size_t i = 0; i < in->count; i++) {
        if (in->tensors[i] || slots[i].info.optional)
            continue;
        if (any_given)
            return fail(EXIT_USAGE, "input '%s' has no file", slots[i].info.name);
        int code = random_tensor(&in->tensors[i], &slots[i], i + 1, scale);
        if (code != EXIT_DONE)
            return code;
        in->n_random++;
    }
    return EXIT_DONE;
}

static int settle_shapes(struct slot *slots, size_t n, const bnr_model *model,
                         const struct strings *shapes) {
    int code = load_slots(slots, n, model);
    for (size_t i = 0; code == EXIT_DONE && i < shapes->count; i++)
        code = apply_shape(slots, n, shapes->items[i]);
    return code;
}

int inputs_open_dims(struct open_dims *count, const bnr_model *model, const struct strings *shapes) {
    const size_t n = bnr_model_input_count(model);
    struct slot *slots = xcalloc(n, sizeof *slots);
    const int code = settle_shapes(slots, n, model, shapes);
    *count = (struct open_dims){.first = 0};
    for (size_t i = 0; i < n; i++)
        for (int k = 0; !slots[i].info.optional && k < slots[i].info.rank; k++)
            if (slots[i].dims[k] < 0)
                ++*(k == 0 ? &count->first : &count->others);
    free(slots);
    return code;
}

// First axes come first: what a symbol is there it is everywhere.
static void fill_open(struct slot *slots, size_t n, const struct open_dims *open) {
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < n; i++)
            for (int k = round; k < slots[i].info.rank && (round > 0 || k == 0); k++) {
                const int64_t value = k == 0 ? open->first : open->others;
                if (slots[i].dims[k] >= 0)
                    continue;
                if (slots[i].info.symbols && slots[i].info.symbols[k])
                    set_symbol(slots, n, slots[i].info.symbols[k], value);
                slots[i].dims[k] = value;
            }
}

int inputs_build_open(struct inputs *in, const bnr_model *model, const struct strings *args, size_t first_arg,
                      const struct strings *shapes, const struct open_dims *open) {
    size_t n = bnr_model_input_count(model);
    *in = (struct inputs){.tensors = xcalloc(n, sizeof *in->tensors), .count = n, .image = in->image};
    struct slot *slots = xcalloc(n, sizeof *slots);
    int code = settle_shapes(slots, n, model, shapes);
    if (code == EXIT_DONE && args->count <= first_arg)
        fill_open(slots, n, open);
    for (size_t i = first_arg; code == EXIT_DONE && i < args->count; i++)
        code = take_argument(in, slots, args->items[i]);
    if (code == EXIT_DONE)
        code = fill_missing(in, slots, args->count > first_arg, open->scale > 0 ? open->scale : 1);
    free(slots);
    if (code != EXIT_DONE)
        inputs_free(in);
    return code;
}

int inputs_build(struct inputs *in, const bnr_model *model, const struct strings *args, size_t first_arg,
                 const struct strings *shapes) {
    return inputs_build_open(in, model, args, first_arg, shapes, &(struct open_dims){1, 1, 1});
}

void inputs_free(struct inputs *in) {
    for (size_t i = 0; i < in->count; i++)
        bnr_tensor_release(in->tensors[i]);
    free(in->tensors);
    *in = (struct inputs){0};
}

void inputs_announce(const struct inputs *in, const bnr_model *model) {
    if (!in->n_random)
        return;
    for (size_t i = 0; i < in->count; i++) {
        struct bnr_value_info info;
        char shape[256];
        bnr_model_input(model, i, &info);
        if (in->tensors[i])
            fprintf(stderr, "bnrun: no input file: '%s' is filled with random data (%s %s, seed %zu)\n",
                    info.name, bnr_dtype_name(info.dtype), shape_text(in->tensors[i], shape, sizeof shape),
                    i + 1);
    }
}
