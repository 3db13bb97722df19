// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/library.h"

#include <dlfcn.h>
#include <string.h>

bool bnr__library_open(const char *file, const char *const *names, size_t n, void *functions) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < n; i++) {
        void *function = dlsym(library, names[i]);
        if (!function)
            return false;
        // POSIX: a function's address fits into a void *.
        memcpy((char *)functions + i * sizeof function, &function, sizeof function);
    }
    return library != NULL;
}
