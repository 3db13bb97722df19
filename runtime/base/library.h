// SPDX-License-Identifier: Apache-2.0
// Shared libraries that few need: opened with the first call instead of with the program, whose memory and start
// they would cost.
//
//     #define FUNCTIONS(X) X(foo_open) X(foo_close)
//     struct foo { FUNCTIONS(BNR_LIBRARY_POINTER) } foo;
//     static const char *const names[] = {FUNCTIONS(BNR_LIBRARY_NAME)};
//     if (bnr__library_open("libfoo.so.1", names, BNR_COUNT(names), &foo)) foo.foo_open(...);
#ifndef BNR_BASE_LIBRARY_H
#define BNR_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/compiler.h"

#define BNR_LIBRARY_POINTER(name) BNR_TYPEOF(name) *name;
#define BNR_LIBRARY_NAME(name) #name,

// Fills a struct of n pointers to functions. The library stays open. False when it or one of them is not there.
bool bnr__library_open(const char *file, const char *const *names, size_t n, void *functions);

#endif
