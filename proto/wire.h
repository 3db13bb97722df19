// SPDX-License-Identifier: Apache-2.0
// The protobuf wire format, one field at a time. Knows no schema. Bytes are untrusted: every read is
// bounded, and what is cut short or overlong is an error.
#ifndef BNR_PROTO_WIRE_H
#define BNR_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bnr_wire_type {
    BNR_WIRE_VARINT = 0,
    BNR_WIRE_FIXED64 = 1,
    BNR_WIRE_BYTES = 2,
    BNR_WIRE_FIXED32 = 5,
};

struct bnr_bytes {
    const uint8_t *data;
    size_t size;
};

struct bnr_wire {
    const uint8_t *at, *end;
    const char *error; // why bnr__wire_next stopped early; NULL at the end of the bytes
};

struct bnr_wire_field {
    uint32_t id;
    enum bnr_wire_type type;
    const uint8_t *start;     // of the tag
    struct bnr_bytes payload; // behind the length, where there is one
    uint64_t number;          // of a varint
};

static inline struct bnr_wire bnr__wire(struct bnr_bytes b) {
    return (struct bnr_wire){b.data, b.size ? b.data + b.size : b.data, NULL};
}

// The next field; false at the end of the bytes or, with w->error set, at a malformed field.
bool bnr__wire_next(struct bnr_wire *w, struct bnr_wire_field *f);
// Reads a varint of at most max_bytes bytes; 0 when it is cut short or longer, else its length.
size_t bnr__varint_read(const uint8_t *p, size_t size, size_t max_bytes, uint64_t *out);
// Writes v in its shortest form (dst has 10 bytes); returns the length.
size_t bnr__varint_write(uint8_t *dst, uint64_t v);
size_t bnr__varint_size(uint64_t v);

#endif
