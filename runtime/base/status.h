// SPDX-License-Identifier: Apache-2.0
// Error returns: every fallible function returns enum bnr_status and describes the failure in a
// caller-owned struct bnr_error, so that reporting "out of memory" needs no memory.
#ifndef BNR_BASE_STATUS_H
#define BNR_BASE_STATUS_H

#include "runtime/base/compiler.h"
#include "runtime/bnrun.h"

#define BNR_TRY(e)                                                                                 \
    do {                                                                                           \
        enum bnr_status st_ = (e);                                                                 \
        if (st_ != BNR_OK)                                                                         \
            return st_;                                                                            \
    } while (0)

// Writes the message (cut to fit; control characters from the model become '?', so that it stays one
// line) and returns `code`. `err` may be NULL. Message: what, which node or tensor, seen, expected.
enum bnr_status bnr__fail(struct bnr_error *err, enum bnr_status code, const char *fmt, ...)
    BNR_PRINTF(3, 4);

// The same failure with "prefix: " put in front, for callers that know the file or node.
enum bnr_status bnr__fail_prefix(struct bnr_error *err, enum bnr_status code, const char *fmt, ...)
    BNR_PRINTF(3, 4);

// bnr__fail with BNR_NO_MEMORY and a fixed text.
enum bnr_status bnr__no_memory(struct bnr_error *err);

#endif
