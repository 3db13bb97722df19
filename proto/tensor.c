// SPDX-License-Identifier: Apache-2.0
// TensorProto to tensor: every encoding of every dtype. What a message claims about its size is believed
// only when as many bytes or entries are there.
#include <string.h>

#include "proto/internal.h"
#include "proto/onnx_file.h"
#include "runtime/base/checked.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors in files are little-endian, and so must be this machine"
#endif

// Below this a copy is cheaper than keeping the file's page in memory.
enum { SHARE_FROM = 4096 };

struct shape {
    const char *name;
    enum bnr_dtype dtype;
    int rank;
    int64_t dims[BNR_MAX_RANK];
    size_t numel;
    size_t raw_size; // bytes in raw_data; 0 for strings
};

bool bnr__raw_size(enum bnr_dtype dtype, size_t numel, size_t *out) {
    size_t bits = (size_t)bnr__dtype_bits(dtype), per_byte = bits < 8 && bits ? 8 / bits : 1;
    if (per_byte > 1) {
        *out = numel / per_byte + (numel % per_byte != 0);
        return true;
    }
    return bnr__size_mul(numel, bits / 8, out);
}

bool bnr__raw_is_memory(enum bnr_dtype dtype) {
    return bnr__dtype_bits(dtype) >= 8;
}

static enum bnr_status get_shape(const Onnx__TensorProto *p, struct shape *s, struct bnr_error *err) {
    *s = (struct shape){.name = p->name ? p->name : ""};
    if (!p->has_data_type || !bnr__dtype_valid(p->data_type))
        return bnr__fail(err, BNR_MALFORMED, "tensor '%s': data type %d is not known", s->name,
                         (int)p->data_type);
    s->dtype = (enum bnr_dtype)p->data_type;
    if (p->n_dims > BNR_MAX_RANK)
        return bnr__fail(err, BNR_UNSUPPORTED, "tensor '%s': rank %zu, at most %d is supported", s->name,
                         p->n_dims, BNR_MAX_RANK);
    s->rank = (int)p->n_dims;
    if (p->n_dims)
        memcpy(s->dims, p->dims, p->n_dims * sizeof s->dims[0]);
    if (bnr__shape_numel(s->dims, s->rank, "dims", &s->numel, err) != BNR_OK ||
        !bnr__raw_size(s->dtype, s->numel, &s->raw_size))
        return bnr__fail_prefix(err, BNR_MALFORMED, "tensor '%s'", s->name);
    return BNR_OK;
}

// ---- raw bytes --------------------------------------------------------------------------------------

// Element i of those that share `byte`: sign-extended where the dtype is signed.
static uint8_t unpack_element(enum bnr_dtype dtype, unsigned byte, size_t i) {
    unsigned bits = (unsigned)bnr__dtype_bits(dtype);
    unsigned sign = dtype == BNR_INT4 || dtype == BNR_INT2 ? 1u << (bits - 1) : 0;
    unsigned v = byte >> (i * bits % 8) & ((1u << bits) - 1);
    return (uint8_t)((v ^ sign) - sign);
}

void bnr__raw_pack(uint8_t *dst, const struct bnr_tensor *t, size_t begin, size_t n) {
    unsigned bits = (unsigned)bnr__dtype_bits(t->dtype), mask = (1u << bits) - 1;
    memset(dst, 0, (n * bits + 7) / 8);
    for (size_t i = 0; i < n; i++)
        dst[i * bits / 8] |= (uint8_t)((t->u8[begin + i] & mask) << (i * bits % 8));
}

static void copy_raw(struct bnr_tensor *t, const uint8_t *src) {
    size_t bits = (size_t)bnr__dtype_bits(t->dtype);
    if (bits < 8)
        for (size_t i = 0; i < t->numel; i++)
            t->u8[i] = unpack_element(t->dtype, src[i * bits / 8], i);
    else if (t->dtype == BNR_BOOL)
        for (size_t i = 0; i < t->numel; i++)
            t->u8[i] = src[i] != 0;
    else if (t->nbytes)
        memcpy(t->data, src, t->nbytes);
}

// Whether a tensor may point into the mapping: whole elements in memory order, and readable as far behind
// the end as kernels read. Most weights lie at addresses that fit their type by chance only.
static bool can_share(const struct bnr_mapping *m, const struct shape *s, const uint8_t *data) {
    return m && bnr__raw_is_memory(s->dtype) && s->dtype != BNR_BOOL && s->raw_size >= SHARE_FROM &&
           m->readable - (size_t)(data - m->bytes.data) >= s->raw_size + BNR_TENSOR_PAD;
}

static void release_mapping(struct bnr_tensor *t) {
    bnr__mapping_unref(t->owner);
}

static void drop_pages(const struct bnr_tensor *t, size_t begin, size_t bytes) {
    bnr__mapping_drop(t->owner, (struct bnr_bytes){t->u8 + begin, bytes});
}

// Only the floats of initializers stay at addresses that do not fit: those are what a network is made of,
// and what kernels pack.
static bool may_lie_anywhere(const struct bnr_tensor_reader *r, const struct bnr_tensor *t) {
    return bnr__tensor_is_aligned(t) || (r->loose && bnr__dtype_is_float(t->dtype));
}

static enum bnr_status from_raw(const struct bnr_tensor_reader *r, const struct shape *s,
                                struct bnr_bytes raw, struct bnr_mapping *m, struct bnr_tensor **out,
                                struct bnr_error *err) {
    if (s->dtype == BNR_STRING)
        return bnr__fail(err, BNR_MALFORMED, "tensor '%s': strings cannot be raw data", s->name);
    if (raw.size != s->raw_size)
        return bnr__fail(err, BNR_MALFORMED,
                         "tensor '%s': %zu bytes of data, its dims and dtype %s need %zu", s->name,
                         raw.size, bnr__dtype_name(s->dtype), s->raw_size);
    if (can_share(m, s, raw.data)) {
        BNR_TRY(bnr__tensor_wrap(out, r->allocator, s->dtype, s->rank, s->dims, bnr__unconst(raw.data),
                                 release_mapping, m, err));
        bnr__mapping_ref(m);
        (*out)->drop = drop_pages;
        if (may_lie_anywhere(r, *out))
            return BNR_OK;
        bnr__tensor_unref(*out);
    }
    BNR_TRY(bnr__tensor_new(out, r->allocator, s->dtype, s->rank, s->dims, err));
    copy_raw(*out, raw.data);
    if (m)
        bnr__mapping_drop(m, raw);
    return BNR_OK;
}

static enum bnr_status from_external(struct bnr_tensor_reader *r, const Onnx__TensorProto *p,
                                     const struct shape *s, struct bnr_tensor **out,
                                     struct bnr_error *err) {
    struct bnr_mapping *m = NULL;
    struct bnr_bytes raw;
    if (!r->external)
        return bnr__fail(err, BNR_UNSUPPORTED,
                         "tensor '%s': external data is only available to models loaded from a file",
                         s->name);
    enum bnr_status st = bnr__external_find(r->external, p, s->raw_size, &m, &raw, err);
    if (st != BNR_OK)
        return bnr__fail_prefix(err, st, "tensor '%s'", s->name);
    return from_raw(r, s, raw, m, out, err);
}

// ---- typed fields -----------------------------------------------------------------------------------

enum typed_field { INT32_DATA, FLOAT_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA, STRING_DATA, N_TYPED };

struct typed {
    const char *name;
    size_t n;
    const void *data;
};

// The field that elements of a dtype are in.
static enum typed_field field_of(enum bnr_dtype dtype) {
    switch ((int)dtype) {
    case BNR_FLOAT:
    case BNR_COMPLEX64:
        return FLOAT_DATA;
    case BNR_INT64:
        return INT64_DATA;
    case BNR_DOUBLE:
    case BNR_COMPLEX128:
        return DOUBLE_DATA;
    case BNR_UINT32:
    case BNR_UINT64:
        return UINT64_DATA;
    case BNR_STRING:
        return STRING_DATA;
    default:
        return INT32_DATA;
    }
}

static void typed_fields(const Onnx__TensorProto *p, struct typed f[N_TYPED]) {
    f[INT32_DATA] = (struct typed){"int32_data", p->n_int32_data, p->int32_data};
    f[FLOAT_DATA] = (struct typed){"float_data", p->n_float_data, p->float_data};
    f[INT64_DATA] = (struct typed){"int64_data", p->n_int64_data, p->int64_data};
    f[DOUBLE_DATA] = (struct typed){"double_data", p->n_double_data, p->double_data};
    f[UINT64_DATA] = (struct typed){"uint64_data", p->n_uint64_data, p->uint64_data};
    f[STRING_DATA] = (struct typed){"string_data", p->n_string_data, p->string_data};
}

static size_t entries_needed(const struct shape *s) {
    if (s->dtype == BNR_COMPLEX64 || s->dtype == BNR_COMPLEX128)
        return s->numel * 2;
    return bnr__raw_is_memory(s->dtype) || s->dtype == BNR_STRING ? s->numel : s->raw_size;
}

// All data are in the one place where they belong, and as many as they should be.
static enum bnr_status check_entries(const struct typed f[N_TYPED], const struct shape *s, bool has_raw,
                                     struct bnr_error *err) {
    const char *dtype = bnr__dtype_name(s->dtype);
    enum typed_field own = field_of(s->dtype);
    for (int i = 0; i < N_TYPED; i++)
        if (f[i].n && (has_raw || i != (int)own))
            return bnr__fail(err, BNR_MALFORMED, "tensor '%s' (%s): data in %s, expected it in %s only",
                             s->name, dtype, f[i].name, has_raw ? "raw_data" : f[own].name);
    if (!has_raw && f[own].n != entries_needed(s))
        return bnr__fail(err, BNR_MALFORMED, "tensor '%s' (%s): %zu entries in %s, its dims need %zu",
                         s->name, dtype, f[own].n, f[own].name, entries_needed(s));
    return BNR_OK;
}

static void narrow_i32(struct bnr_tensor *t, const int32_t *src) {
    size_t bits = (size_t)bnr__dtype_bits(t->dtype);
    for (size_t i = 0; i < t->numel; i++) {
        if (bits < 8) // an entry is a byte of several elements
            t->u8[i] = unpack_element(t->dtype, (unsigned)src[i * bits / 8], i);
        else if (bits == 8)
            t->u8[i] = t->dtype == BNR_BOOL ? src[i] != 0 : (uint8_t)src[i];
        else
            t->u16[i] = (uint16_t)src[i];
    }
}

static void copy_typed(struct bnr_tensor *t, const void *src) {
    if (t->dtype == BNR_UINT32) {
        const uint64_t *wide = src;
        for (size_t i = 0; i < t->numel; i++)
            t->u32[i] = (uint32_t)wide[i];
    } else if (field_of(t->dtype) == INT32_DATA && t->dtype != BNR_INT32) {
        narrow_i32(t, src);
    } else if (t->nbytes) {
        memcpy(t->data, src, t->nbytes);
    }
}

static enum bnr_status from_strings(const struct bnr_tensor_reader *r, const struct shape *s,
                                    const ProtobufCBinaryData *src, struct bnr_tensor **out,
                                    struct bnr_error *err) {
    struct bnr_tensor view = {0};
    struct bnr_str *str = BNR_NEW_ARRAY(r->temp, s->numel, struct bnr_str);
    if (!str)
        return bnr__no_memory(err);
    for (size_t i = 0; i < s->numel; i++)
        str[i] = (struct bnr_str){(const char *)src[i].data, src[i].len};
    bnr__tensor_set(&view, BNR_STRING, s->rank, s->dims, str);
    return bnr__tensor_clone(out, r->allocator, &view, err);
}

static enum bnr_status from_typed(const struct bnr_tensor_reader *r, const struct shape *s,
                                  const void *src, struct bnr_tensor **out, struct bnr_error *err) {
    if (s->dtype == BNR_STRING)
        return from_strings(r, s, src, out, err);
    BNR_TRY(bnr__tensor_new(out, r->allocator, s->dtype, s->rank, s->dims, err));
    copy_typed(*out, src);
    return BNR_OK;
}

// ---- TensorProto ------------------------------------------------------------------------------------

enum bnr_status bnr__tensor_from_proto(struct bnr_tensor_reader *r, const Onnx__TensorProto *p,
                                       struct bnr_tensor **out, struct bnr_error *err) {
    struct shape s;
    struct typed typed[N_TYPED];
    struct bnr_mark *mark = bnr__mark_of(r->skeleton, &p->base);
    bool has_raw = mark && mark->data.data;
    *out = NULL;
    BNR_TRY(get_shape(p, &s, err));
    if (p->segment)
        return bnr__fail(err, BNR_UNSUPPORTED, "tensor '%s': is stored in segments", s.name);
    if (p->has_data_location && p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        BNR_TRY(from_external(r, p, &s, out, err));
    } else {
        typed_fields(p, typed);
        BNR_TRY(check_entries(typed, &s, has_raw, err));
        BNR_TRY(has_raw ? from_raw(r, &s, mark->data, r->mapping, out, err)
                        : from_typed(r, &s, typed[field_of(s.dtype)].data, out, err));
    }
    if (mark && !mark->tensor)
        mark->tensor = bnr__tensor_ref(*out);
    return BNR_OK;
}
