// SPDX-License-Identifier: Apache-2.0
#include "proto/wire.h"

enum { MAX_TAG = 5, MAX_LENGTH = 5, MAX_VARINT = 10 };

size_t bnr__varint_read(const uint8_t *p, size_t size, size_t max_bytes, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < size && i < max_bytes; i++) {
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80) {
            *out = v;
            return i + 1;
        }
    }
    return 0;
}

size_t bnr__varint_write(uint8_t *dst, uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        dst[n++] = (uint8_t)(v | 0x80);
    dst[n++] = (uint8_t)v;
    return n;
}

size_t bnr__varint_size(uint64_t v) {
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static bool stop(struct bnr_wire *w, const char *error) {
    w->error = error;
    return false;
}

static bool take(struct bnr_wire *w, struct bnr_wire_field *f, size_t size) {
    if (size > (size_t)(w->end - w->at))
        return stop(w, "passes the end of its message");
    f->payload = (struct bnr_bytes){w->at, size};
    w->at += size;
    return true;
}

static bool take_payload(struct bnr_wire *w, struct bnr_wire_field *f) {
    size_t left = (size_t)(w->end - w->at), n;
    uint64_t length;
    switch (f->type) {
    case BNR_WIRE_VARINT:
        n = bnr__varint_read(w->at, left, MAX_VARINT, &f->number);
        return n ? take(w, f, n) : stop(w, "is a varint that is cut short or too long");
    case BNR_WIRE_FIXED64:
        return take(w, f, 8);
    case BNR_WIRE_FIXED32:
        return take(w, f, 4);
    case BNR_WIRE_BYTES:
        n = bnr__varint_read(w->at, left, MAX_LENGTH, &length);
        if (!n)
            return stop(w, "has a length that is cut short or too long");
        w->at += n;
        if (length > SIZE_MAX)
            return stop(w, "passes the end of its message");
        return take(w, f, (size_t)length);
    }
    return stop(w, "has a wire type that ONNX does not use");
}

bool bnr__wire_next(struct bnr_wire *w, struct bnr_wire_field *f) {
    w->error = NULL;
    if (w->at == w->end)
        return false;
    uint64_t tag;
    *f = (struct bnr_wire_field){.start = w->at};
    size_t n = bnr__varint_read(w->at, (size_t)(w->end - w->at), MAX_TAG, &tag);
    if (!n)
        return stop(w, "has a tag that is cut short or too long");
    f->id = (uint32_t)(tag >> 3);
    f->type = (enum bnr_wire_type)(tag & 7);
    if (f->id == 0 || tag > UINT32_MAX)
        return stop(w, "has a field number that is out of range");
    w->at += n;
    return take_payload(w, f);
}
