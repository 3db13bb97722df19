// SPDX-License-Identifier: Apache-2.0
// Error messages.
#include "runtime/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Names come from untrusted files: keep the message one line and free of terminal control codes.
static void sanitize(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

enum bnr_status bnr__fail(struct bnr_error *err, enum bnr_status code, const char *fmt, ...) {
    if (!err)
        return code;
    err->code = code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    sanitize(err->message);
    return code;
}

enum bnr_status bnr__fail_prefix(struct bnr_error *err, enum bnr_status code, const char *fmt, ...) {
    if (!err)
        return code;
    char tail[sizeof err->message];
    memcpy(tail, err->message, sizeof tail);
    err->code = code;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %.*s",
                 (int)(sizeof err->message - (size_t)n - 3), tail);
    sanitize(err->message);
    return code;
}

enum bnr_status bnr__no_memory(struct bnr_error *err) {
    return bnr__fail(err, BNR_NO_MEMORY, "out of memory");
}

const char *bnr_status_text(enum bnr_status status) {
    switch (status) {
#define BNR_STATUS_TEXT(name, value, text)                                                         \
    case BNR_##name:                                                                               \
        return text;
        BNR_STATUS_LIST(BNR_STATUS_TEXT)
#undef BNR_STATUS_TEXT
    }
    return "unknown status";
}
