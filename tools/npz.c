// SPDX-License-Identifier: Apache-2.0
// .npz archives through libzip, an optional component, which is opened with the first archive: it brings a
// library of cryptography along.
#include "tools/tensor_io.h"

#ifdef BNR_HAVE_LIBZIP
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#define FUNCTIONS(X)                                                                                         \
    X(zip_open)                                                                                              \
    X(zip_discard)                                                                                           \
    X(zip_get_num_entries)                                                                                   \
    X(zip_get_name)                                                                                          \
    X(zip_stat_index)                                                                                        \
    X(zip_fopen_index)                                                                                       \
    X(zip_fread)                                                                                             \
    X(zip_fclose)

#define POINTER(name) __typeof__(name) *name;
#define NAME(name) #name,

struct functions {
    FUNCTIONS(POINTER)
};

static bool load(struct functions *lib) {
    static const char *const names[] = {FUNCTIONS(NAME)};
    void *library = dlopen(BNR_LIBZIP_FILE, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof names / sizeof names[0]; i++) {
        void *function = dlsym(library, names[i]);
        if (!function)
            return false;
        memcpy((char *)lib + i * sizeof function, &function, sizeof function); // POSIX: they are as large
    }
    return library != NULL;
}

// An archive can claim any size: bound what one member may unpack to.
static const zip_uint64_t largest_member = (zip_uint64_t)8 << 30;

static int read_member(const struct functions *lib, bnr_tensor **out, zip_t *archive, zip_uint64_t index,
                       const char *path) {
    zip_stat_t st;
    *out = NULL;
    if (lib->zip_stat_index(archive, index, 0, &st) != 0 || !(st.valid & ZIP_STAT_SIZE))
        return fail(EXIT_BAD, "%s: member %llu cannot be read", path, (unsigned long long)index);
    if (st.size > largest_member)
        return fail(EXIT_BAD, "%s: member '%s' has %llu bytes, at most %llu are read", path, st.name,
                    (unsigned long long)st.size, (unsigned long long)largest_member);
    char *where = xprintf("%s(%s)", path, st.name);
    unsigned char *data = malloc(st.size ? (size_t)st.size : 1);
    zip_file_t *f = data ? lib->zip_fopen_index(archive, index, 0) : NULL;
    int code;
    if (f && lib->zip_fread(f, data, st.size) == (zip_int64_t)st.size)
        code = npy_parse(out, where, data, (size_t)st.size);
    else
        code = fail(EXIT_BAD, "%s: cannot be unpacked", where);
    if (f)
        lib->zip_fclose(f);
    free(data);
    free(where);
    return code;
}

int npz_read(bnr_tensor ***tensors, struct strings *names, const char *path) {
    *tensors = NULL;
    *names = (struct strings){0};
    struct functions lib;
    if (!load(&lib))
        return fail(EXIT_BAD, "%s: %s, which reads .npz files, is not there", path, BNR_LIBZIP_FILE);
    int error = 0;
    zip_t *archive = lib.zip_open(path, ZIP_RDONLY, &error);
    if (!archive)
        return fail(EXIT_BAD, "%s: is not a readable .npz archive (libzip error %d)", path, error);
    int code = EXIT_DONE;
    zip_int64_t count = lib.zip_get_num_entries(archive, 0);
    for (zip_int64_t i = 0; code == EXIT_DONE && i < count; i++) {
        const char *stored = lib.zip_get_name(archive, (zip_uint64_t)i, 0);
        char *name = xstrdup(stored ? stored : "");
        size_t n = strlen(name);
        if (n > 4 && strcmp(name + n - 4, ".npy") == 0)
            name[n - 4] = 0;
        *tensors = xrealloc(*tensors, (names->count + 1) * sizeof **tensors);
        code = read_member(&lib, &(*tensors)[names->count], archive, (zip_uint64_t)i, path);
        if (code == EXIT_DONE)
            strings_add(names, name);
        free(name);
    }
    lib.zip_discard(archive);
    return code;
}
#else
int npz_read(bnr_tensor ***tensors, struct strings *names, const char *path) {
    *tensors = NULL;
    *names = (struct strings){0};
    return fail(EXIT_BAD, "%s: this bnrun was built without .npz support (libzip)", path);
}
#endif
