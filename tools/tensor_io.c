// SPDX-License-Identifier: Apache-2.0
#include "tools/tensor_io.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/checked.h"

static const struct {
    const char *name;
    enum file_format format;
} formats[] = {{"bin", FORMAT_BIN}, {"npy", FORMAT_NPY}, {"npz", FORMAT_NPZ}, {"pb", FORMAT_PB}};

enum file_format format_named(const char *name) {
    for (size_t i = 0; i < BNR_COUNT(formats); i++)
        if (strcmp(name, formats[i].name) == 0)
            return formats[i].format;
    return FORMAT_NONE;
}

enum file_format format_of(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? format_named(dot + 1) : FORMAT_NONE;
}

int file_read(unsigned char **data, size_t *size, const char *path) {
    *data = NULL;
    *size = 0;
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        int error = errno;
        if (f)
            fclose(f);
        return fail(EXIT_BAD, "%s: cannot be read: %s", path, strerror(error));
    }
    if (!S_ISREG(st.st_mode)) {
        fclose(f);
        return fail(EXIT_BAD, "%s: is not a regular file", path);
    }
    *size = (size_t)st.st_size;
    *data = malloc(*size ? *size : 1);
    bool ok = *data && fread(*data, 1, *size, f) == *size;
    fclose(f);
    if (ok)
        return EXIT_DONE;
    const char *why = *data ? "cannot be read to its end" : "is too large for the memory";
    free(*data);
    *data = NULL;
    return fail(EXIT_BAD, "%s: %s (%zu bytes)", path, why, *size);
}

// ---- .bin -------------------------------------------------------------------------------------------

static void describe_dims(char *buf, size_t n, const struct bnr_value_info *type) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < type->rank && used + 32 < n; i++)
        used += (size_t)(type->dims[i] >= 0
                             ? snprintf(buf + used, n - used, "%s%" PRId64, i ? "x" : "", type->dims[i])
                             : snprintf(buf + used, n - used, "%s?", i ? "x" : ""));
}

int bin_read(bnr_tensor **out, const char *path, const struct bnr_value_info *type) {
    *out = NULL;
    char shape[256];
    size_t element = bnr_dtype_size(type->dtype);
    if (type->kind != BNR_KIND_TENSOR || element == 0 || type->dtype == BNR_STRING)
        return fail(EXIT_BAD, "%s: raw data cannot fill input '%s' (%s)", path, type->name,
                    bnr_dtype_name(type->dtype));
    if (type->rank < 0)
        return fail(EXIT_USAGE, "%s: the model leaves the rank of '%s' open; give --shape %s=DIMS", path,
                    type->name, type->name);
    describe_dims(shape, sizeof shape, type);
    int open = -1;
    size_t known = element;
    int64_t dims[64];
    for (int i = 0; i < type->rank && i < 64; i++) {
        dims[i] = type->dims[i];
        if (dims[i] < 0 && open >= 0)
            return fail(EXIT_USAGE, "%s: input '%s' (%s) has more than one open dim; give --shape %s=DIMS",
                        path, type->name, shape, type->name);
        if (dims[i] < 0)
            open = i;
        else if (!bnr__size_mul(known, (size_t)dims[i], &known))
            return fail(EXIT_BAD, "%s: the dims of input '%s' (%s) overflow", path, type->name, shape);
    }
    unsigned char *data;
    size_t size;
    int code = file_read(&data, &size, path);
    if (code != EXIT_DONE)
        return code;
    bool fits = open < 0 ? size == known : known > 0 && size > 0 && size % known == 0;
    if (!fits) {
        free(data);
        return fail(EXIT_BAD, "%s: has %zu bytes, input '%s' (%s %s) needs %s%zu", path, size, type->name,
                    bnr_dtype_name(type->dtype), shape, open < 0 ? "" : "a multiple of ", known);
    }
    if (open >= 0)
        dims[open] = (int64_t)(size / known);
    struct bnr_error err;
    enum bnr_status st = bnr_tensor_create(out, type->dtype, type->rank, dims, data, &err);
    free(data);
    return st == BNR_OK ? EXIT_DONE : fail(EXIT_BAD, "%s: %s", path, err.message);
}

// ---- .npy (format versions 1 to 3) ------------------------------------------------------------------

static const struct {
    const char *descr; // without the byte-order mark
    enum bnr_dtype dtype;
} npy_types[] = {
    {"f4", BNR_FLOAT},  {"f8", BNR_DOUBLE}, {"f2", BNR_FLOAT16}, {"u1", BNR_UINT8},
    {"i1", BNR_INT8},   {"u2", BNR_UINT16}, {"i2", BNR_INT16},   {"u4", BNR_UINT32},
    {"i4", BNR_INT32},  {"u8", BNR_UINT64}, {"i8", BNR_INT64},   {"b1", BNR_BOOL},
    {"c8", BNR_COMPLEX64}, {"c16", BNR_COMPLEX128},
};

// The text behind "'key':" in the header's dictionary, or NULL.
static const char *header_value(const char *header, const char *key) {
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p = strchr(p + strlen(key), ':');
    return p ? p + 1 + strspn(p + 1, " ") : NULL;
}

static bool parse_shape(const char *p, int64_t dims[16], int *rank) {
    *rank = 0;
    if (*p++ != '(')
        return false;
    for (;;) {
        p += strspn(p, " ,");
        if (*p == ')')
            return true;
        char *end;
        errno = 0;
        long long v = strtoll(p, &end, 10);
        if (end == p || errno || v < 0 || *rank == 16)
            return false;
        dims[(*rank)++] = v;
        p = end;
    }
}

static bool parse_descr(const char *p, enum bnr_dtype *dtype, char seen[16]) {
    if (*p != '\'' && *p != '"')
        return false;
    size_t n = strcspn(p + 1, "'\"");
    snprintf(seen, 16, "%.*s", (int)(n < 15 ? n : 15), p + 1);
    if (!strchr("<|=", seen[0]) || !seen[0])
        return false;
    for (size_t i = 0; i < BNR_COUNT(npy_types); i++)
        if (strcmp(seen + 1, npy_types[i].descr) == 0) {
            *dtype = npy_types[i].dtype;
            return true;
        }
    return false;
}

static int parse_header(const char *path, const char *header, enum bnr_dtype *dtype, int64_t dims[16],
                        int *rank) {
    char seen[16] = "";
    const char *descr = header_value(header, "descr"), *shape = header_value(header, "shape"),
               *order = header_value(header, "fortran_order");
    if (!descr || !shape || !order)
        return fail(EXIT_BAD, "%s: .npy header lacks descr, fortran_order or shape", path);
    if (!parse_descr(descr, dtype, seen))
        return fail(EXIT_BAD, "%s: .npy dtype '%s' is not supported (little-endian numbers are)", path,
                    seen);
    if (!parse_shape(shape, dims, rank))
        return fail(EXIT_BAD, "%s: .npy shape is not a tuple of at most 16 numbers >= 0", path);
    if (strncmp(order, "False", 5) != 0 && *rank > 1)
        return fail(EXIT_BAD, "%s: .npy array is in Fortran order, expected C order", path);
    return EXIT_DONE;
}

int npy_parse(bnr_tensor **out, const char *path, const unsigned char *data, size_t size) {
    *out = NULL;
    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3)
        return fail(EXIT_BAD, "%s: is not a .npy file (version 1 to 3)", path);
    size_t prefix = data[6] == 1 ? 10 : 12;
    size_t length = data[8] | (size_t)data[9] << 8;
    if (prefix == 12)
        length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > size - prefix || length > 1 << 20)
        return fail(EXIT_BAD, "%s: .npy header of %zu bytes does not fit (file: %zu)", path, length, size);
    char *header = xcalloc(length + 1, 1);
    memcpy(header, data + prefix, length);
    enum bnr_dtype dtype = BNR_UNDEFINED;
    int64_t dims[16];
    int rank = 0;
    int code = parse_header(path, header, &dtype, dims, &rank);
    free(header);
    if (code != EXIT_DONE)
        return code;
    size_t bytes = bnr_dtype_size(dtype), have = size - prefix - length;
    for (int i = 0; i < rank; i++)
        if (!bnr__size_mul(bytes, (size_t)dims[i], &bytes))
            return fail(EXIT_BAD, "%s: .npy dims overflow", path);
    if (bytes != have)
        return fail(EXIT_BAD, "%s: .npy data has %zu bytes, its dims need %zu", path, have, bytes);
    struct bnr_error err;
    if (bnr_tensor_create(out, dtype, rank, dims, data + prefix + length, &err) != BNR_OK)
        return fail(EXIT_BAD, "%s: %s", path, err.message);
    return EXIT_DONE;
}

int npy_read(bnr_tensor **out, const char *path) {
    unsigned char *data;
    size_t size;
    *out = NULL;
    int code = file_read(&data, &size, path);
    if (code == EXIT_DONE)
        code = npy_parse(out, path, data, size);
    free(data);
    return code;
}

// What .npy can hold in place of dtype d: d itself, or a wider one.
static enum bnr_dtype npy_dtype(enum bnr_dtype d) {
    switch ((int)d) {
    case BNR_BFLOAT16:
    case BNR_FLOAT8E4M3FN:
    case BNR_FLOAT8E4M3FNUZ:
    case BNR_FLOAT8E5M2:
    case BNR_FLOAT8E5M2FNUZ:
    case BNR_FLOAT8E8M0:
    case BNR_FLOAT4E2M1:
        return BNR_FLOAT;
    case BNR_INT4:
    case BNR_INT2:
        return BNR_INT8;
    case BNR_UINT4:
    case BNR_UINT2:
        return BNR_UINT8;
    default:
        return d;
    }
}

static size_t npy_header(char header[512], enum bnr_dtype dtype, const bnr_tensor *t) {
    const char *descr = "";
    for (size_t i = 0; i < BNR_COUNT(npy_types); i++)
        if (npy_types[i].dtype == dtype)
            descr = npy_types[i].descr;
    int rank = bnr_tensor_rank(t), n = snprintf(header, 512, "\x93NUMPY\x01%c%c%c", 0, 0, 0);
    n += snprintf(header + n, 512 - (size_t)n, "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                  bnr_dtype_size(dtype) == 1 ? "|" : "<", descr);
    for (int i = 0; i < rank; i++)
        n += snprintf(header + n, 512 - (size_t)n, "%" PRId64 "%s", bnr_tensor_dims(t)[i],
                      rank == 1 || i + 1 < rank ? ", " : "");
    n += snprintf(header + n, 512 - (size_t)n, "), }");
    while ((n + 1) % 64 != 0) // the data start at a multiple of 64
        header[n++] = ' ';
    header[n++] = '\n';
    header[8] = (char)((n - 10) & 255);
    header[9] = (char)((n - 10) >> 8);
    return (size_t)n;
}

static int npy_write(const bnr_tensor *t, const char *path) {
    struct bnr_error err;
    bnr_tensor *wide;
    enum bnr_dtype dtype = npy_dtype(bnr_tensor_dtype(t));
    if (bnr_tensor_cast(&wide, t, dtype, &err) != BNR_OK)
        return fail(EXIT_BAD, "%s: %s", path, err.message);
    struct out_file f;
    int code = out_open(&f, path);
    if (code == EXIT_DONE) {
        char header[512];
        out_write(&f, header, npy_header(header, dtype, t));
        out_write(&f, bnr_tensor_data(wide), bnr_tensor_bytes(wide));
        code = out_close(&f);
    }
    bnr_tensor_release(wide);
    return code;
}

// ---- writing ----------------------------------------------------------------------------------------

int tensor_write(const bnr_tensor *t, const char *name, const char *path, enum file_format format) {
    if (format == FORMAT_PB) {
        struct bnr_error err;
        return bnr_tensor_write_pb(t, name, path, &err) == BNR_OK ? EXIT_DONE : fail_with(&err);
    }
    if (bnr_tensor_kind(t) != BNR_KIND_TENSOR || bnr_tensor_dtype(t) == BNR_STRING)
        return fail(EXIT_BAD, "%s: output '%s' is no tensor of numbers; write it as .pb", path, name);
    if (format == FORMAT_NPY)
        return npy_write(t, path);
    struct out_file f;
    int code = out_open(&f, path);
    if (code != EXIT_DONE)
        return code;
    out_write(&f, bnr_tensor_data(t), bnr_tensor_bytes(t));
    return out_close(&f);
}
