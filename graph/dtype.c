// SPDX-License-Identifier: Apache-2.0
#include "graph/dtype.h"

#include <math.h>
#include <string.h>

#include "runtime/base/compiler.h"

static const struct {
    const char *name;
    uint8_t size, bits;
    uint8_t class;
} table[BNR_DTYPE_COUNT] = {
    [BNR_UNDEFINED] = {"undefined", 0, 0, BNR_CLASS_NONE},
    [BNR_FLOAT] = {"float32", 4, 32, BNR_CLASS_FLOAT},
    [BNR_UINT8] = {"uint8", 1, 8, BNR_CLASS_UINT},
    [BNR_INT8] = {"int8", 1, 8, BNR_CLASS_INT},
    [BNR_UINT16] = {"uint16", 2, 16, BNR_CLASS_UINT},
    [BNR_INT16] = {"int16", 2, 16, BNR_CLASS_INT},
    [BNR_INT32] = {"int32", 4, 32, BNR_CLASS_INT},
    [BNR_INT64] = {"int64", 8, 64, BNR_CLASS_INT},
    [BNR_STRING] = {"string", sizeof(struct bnr_str), 0, BNR_CLASS_STRING},
    [BNR_BOOL] = {"bool", 1, 8, BNR_CLASS_BOOL},
    [BNR_FLOAT16] = {"float16", 2, 16, BNR_CLASS_FLOAT},
    [BNR_DOUBLE] = {"float64", 8, 64, BNR_CLASS_DOUBLE},
    [BNR_UINT32] = {"uint32", 4, 32, BNR_CLASS_UINT},
    [BNR_UINT64] = {"uint64", 8, 64, BNR_CLASS_UINT},
    [BNR_COMPLEX64] = {"complex64", 8, 64, BNR_CLASS_COMPLEX},
    [BNR_COMPLEX128] = {"complex128", 16, 128, BNR_CLASS_COMPLEX},
    [BNR_BFLOAT16] = {"bfloat16", 2, 16, BNR_CLASS_FLOAT},
    [BNR_FLOAT8E4M3FN] = {"float8e4m3fn", 1, 8, BNR_CLASS_FLOAT},
    [BNR_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 1, 8, BNR_CLASS_FLOAT},
    [BNR_FLOAT8E5M2] = {"float8e5m2", 1, 8, BNR_CLASS_FLOAT},
    [BNR_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 1, 8, BNR_CLASS_FLOAT},
    [BNR_UINT4] = {"uint4", 1, 4, BNR_CLASS_UINT},
    [BNR_INT4] = {"int4", 1, 4, BNR_CLASS_INT},
    [BNR_FLOAT4E2M1] = {"float4e2m1", 1, 4, BNR_CLASS_FLOAT},
    [BNR_FLOAT8E8M0] = {"float8e8m0", 1, 8, BNR_CLASS_FLOAT},
    [BNR_UINT2] = {"uint2", 1, 2, BNR_CLASS_UINT},
    [BNR_INT2] = {"int2", 1, 2, BNR_CLASS_INT},
};

bool bnr__dtype_valid(int d) {
    return d > BNR_UNDEFINED && d < BNR_DTYPE_COUNT;
}

size_t bnr__dtype_size(enum bnr_dtype d) {
    return bnr__dtype_valid((int)d) ? table[d].size : 0;
}

int bnr__dtype_bits(enum bnr_dtype d) {
    return bnr__dtype_valid((int)d) ? table[d].bits : 0;
}

enum bnr_class bnr__dtype_class(enum bnr_dtype d) {
    return bnr__dtype_valid((int)d) ? (enum bnr_class)table[d].class : BNR_CLASS_NONE;
}

bool bnr__dtype_is_float(enum bnr_dtype d) {
    enum bnr_class c = bnr__dtype_class(d);
    return c == BNR_CLASS_FLOAT || c == BNR_CLASS_DOUBLE;
}

const char *bnr__dtype_name(enum bnr_dtype d) {
    return bnr__dtype_valid((int)d) ? table[d].name : table[0].name;
}

enum bnr_dtype bnr__dtype_parse(const char *name) {
    for (int d = 1; d < BNR_DTYPE_COUNT; d++)
        if (strcmp(name, table[d].name) == 0)
            return (enum bnr_dtype)d;
    return BNR_UNDEFINED;
}

const char *bnr_dtype_name(enum bnr_dtype dtype) {
    return bnr__dtype_name(dtype);
}

enum bnr_dtype bnr_dtype_from_name(const char *name) {
    return name ? bnr__dtype_parse(name) : BNR_UNDEFINED;
}

size_t bnr_dtype_size(enum bnr_dtype dtype) {
    return bnr__dtype_size(dtype);
}

// ---- scalar conversions -------------------------------------------------------------------------

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

// Both conversions are selections without branches, so that loops over them become vector code.
static inline float f16_to_f32(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, abs = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t normal = abs + 0x38000000; // another bias
    // Zero and subnormal: the mantissa behind 2^-14, less 2^-14.
    const uint32_t tiny = bits_of(float_of(abs + 0x38800000) - 0x1p-14f);
    const uint32_t finite = abs < 0x00800000 ? tiny : normal;
    return float_of(sign | (abs < 0x0f800000 ? finite : abs | 0x7f800000));
}

float bnr__f16_to_f32(uint16_t h) {
    return f16_to_f32(h);
}

// A binary format with `mant` explicit mantissa bits and exponents from 1 - bias. Rounds |v|
// (finite) to its grid, to nearest even, as an integer count of the smallest subnormal step scaled
// by the exponent: the encoding without sign, where a carry runs into the exponent by itself.
static uint32_t round_to_grid(double v, int mant, int bias) {
    int e;
    frexp(v, &e); // v = f * 2^e, f in [0.5, 1)
    e -= 1;
    if (v == 0 || e < 1 - bias)
        e = 1 - bias;
    double steps = nearbyint(ldexp(v, mant - e)); // <= 2^(mant + 1), exact scaling
    uint32_t biased = (uint32_t)(e + bias - 1);
    return (biased << mant) + (uint32_t)steps;
}

uint16_t bnr__f64_to_f16(double d) {
    uint16_t sign = signbit(d) ? 0x8000 : 0;
    if (isnan(d))
        return sign | 0x7e00;
    d = fabs(d);
    if (d >= 65520)
        return sign | 0x7c00;
    return (uint16_t)(sign | round_to_grid(d, 10, 15));
}

static inline uint16_t f32_to_f16(float f) {
    const uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, abs = u & 0x7fffffff;
    const uint32_t nan = 0x7e00 | (abs >> 13 & 0x3ff);
    // Normal in half precision: another bias, rounded to nearest even.
    const uint32_t r = abs - 0x38000000, normal = (r + 0xfff + (r >> 13 & 1)) >> 13;
    // Subnormal: adding 0.5 leaves the value in the low mantissa bits, rounded by the addition.
    const uint32_t tiny = bits_of(float_of(abs) + 0.5f) - bits_of(0.5f);
    const uint32_t finite = abs < 0x38800000 ? tiny : normal;
    const uint32_t large = abs > 0x7f800000 ? nan : 0x7c00; // 65520 rounds to infinity
    return (uint16_t)(sign | (abs < 0x477ff000 ? finite : large));
}

uint16_t bnr__f32_to_f16(float f) {
    return f32_to_f16(f);
}

float bnr__bf16_to_f32(uint16_t h) {
    return float_of((uint32_t)h << 16);
}

uint16_t bnr__f32_to_bf16(float f) {
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// The 8- and 4-bit formats (ONNX technical note "Float stored in 8 bits", OCP MX formats).
struct small_float {
    int mant, bias;
    uint8_t max;      // encoding of the largest finite value
    uint8_t overflow; // what a too large value becomes without saturation
    uint8_t nan;      // of either sign unless it is the format's "negative zero"; float4 has none
    uint8_t sign;     // sign bit
    bool negative_zero, infinity;
};

static const struct small_float *small_float(enum bnr_dtype d) {
    static const struct small_float e4m3fn = {3, 7, 0x7e, 0x7f, 0x7f, 0x80, true, false};
    static const struct small_float e4m3fnuz = {3, 8, 0x7f, 0x80, 0x80, 0x80, false, false};
    static const struct small_float e5m2 = {2, 15, 0x7b, 0x7c, 0x7f, 0x80, true, true};
    static const struct small_float e5m2fnuz = {2, 16, 0x7f, 0x80, 0x80, 0x80, false, false};
    static const struct small_float e2m1 = {1, 1, 0x7, 0x7, 0x8, 0x8, true, false};
    switch ((int)d) {
    case BNR_FLOAT8E4M3FN:
        return &e4m3fn;
    case BNR_FLOAT8E4M3FNUZ:
        return &e4m3fnuz;
    case BNR_FLOAT8E5M2:
        return &e5m2;
    case BNR_FLOAT8E5M2FNUZ:
        return &e5m2fnuz;
    default:
        return &e2m1;
    }
}

float bnr__f8_to_f32(enum bnr_dtype d, uint8_t v) {
    if (d == BNR_FLOAT8E8M0)
        return v == 0xff ? NAN : ldexpf(1.0f, v - 127);
    const struct small_float *f = small_float(d);
    uint8_t abs = v & (uint8_t)(f->sign - 1);
    bool negative = v & f->sign;
    float r;
    if (!f->negative_zero && v == f->nan)
        return NAN;
    if (f->infinity && abs > f->overflow)
        r = NAN;
    else if (f->infinity && abs == f->overflow)
        r = INFINITY;
    else if (d == BNR_FLOAT8E4M3FN && abs == f->nan)
        r = NAN;
    else {
        int exp = abs >> f->mant, mant = abs & ((1 << f->mant) - 1);
        r = exp ? ldexpf((float)(mant + (1 << f->mant)), exp - f->bias - f->mant)
                : ldexpf((float)mant, 1 - f->bias - f->mant);
    }
    return negative ? -r : r;
}

// Powers of two only; between two of them the upper one is taken (Cast's round_mode "up", its
// default).
static uint8_t f32_to_e8m0(float v) {
    if (isnan(v))
        return 0xff;
    v = fabsf(v);
    if (v >= 0x1p127f)
        return 0xfe;
    int e;
    float f = frexpf(v, &e); // v = f * 2^e, f in [0.5, 1)
    e = v == 0 ? -127 : f == 0.5f ? e - 1 : e;
    return (uint8_t)((e < -127 ? -127 : e) + 127);
}

uint8_t bnr__f32_to_f8(enum bnr_dtype d, float v, bool saturate) {
    if (d == BNR_FLOAT8E8M0)
        return f32_to_e8m0(v);
    const struct small_float *f = small_float(d);
    uint8_t sign = signbit(v) ? f->sign : 0;
    if (isnan(v))
        return f->negative_zero ? sign | f->nan : f->nan;
    uint32_t abs = isinf(v) ? 0xff : round_to_grid((double)fabsf(v), f->mant, f->bias);
    if (abs > f->max || fabsf(v) > 1e6f) {
        if (saturate || d == BNR_FLOAT4E2M1)
            return sign | f->max;
        return f->negative_zero ? sign | f->overflow : f->overflow;
    }
    if (abs == 0 && !f->negative_zero)
        return 0;
    return (uint8_t)(sign | abs);
}

// ---- arrays -------------------------------------------------------------------------------------

// One case per dtype that is a C type as it stands: CASE(dtype, type).
#define NATIVE_INTEGERS(CASE)                                                                      \
    CASE(BNR_UINT8, uint8_t)                                                                       \
    CASE(BNR_INT8, int8_t)                                                                         \
    CASE(BNR_UINT16, uint16_t)                                                                     \
    CASE(BNR_INT16, int16_t)                                                                       \
    CASE(BNR_INT32, int32_t)                                                                       \
    CASE(BNR_INT64, int64_t)                                                                       \
    CASE(BNR_UINT32, uint32_t)                                                                     \
    CASE(BNR_UINT64, uint64_t)                                                                     \
    CASE(BNR_UINT4, uint8_t)                                                                       \
    CASE(BNR_INT4, int8_t)                                                                         \
    CASE(BNR_UINT2, uint8_t)                                                                       \
    CASE(BNR_INT2, int8_t)

// The loads into the three compute types differ in the type only. Constants in a mapped file may
// lie at any address.
#define DEFINE_LOAD(name, T)                                                                       \
    void name(T *dst, enum bnr_dtype d, const void *src, size_t n) {                               \
        switch ((int)d) {                                                                          \
            NATIVE_INTEGERS(LOAD_NATIVE)                                                           \
            LOAD_NATIVE(BNR_FLOAT, float)                                                          \
            LOAD_NATIVE(BNR_DOUBLE, double)                                                        \
            LOAD_AS(BNR_BOOL, uint8_t, s[i] != 0)                                                  \
            LOAD_AS(BNR_FLOAT16, uint16_t, f16_to_f32(s[i]))                                       \
            LOAD_AS(BNR_BFLOAT16, uint16_t, bnr__bf16_to_f32(s[i]))                                \
        case BNR_FLOAT8E4M3FN:                                                                     \
        case BNR_FLOAT8E4M3FNUZ:                                                                   \
        case BNR_FLOAT8E5M2:                                                                       \
        case BNR_FLOAT8E5M2FNUZ:                                                                   \
        case BNR_FLOAT8E8M0:                                                                       \
        case BNR_FLOAT4E2M1:                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                dst[i] = FROM_FLOAT(bnr__f8_to_f32(d, ((const uint8_t *)src)[i]));                 \
            break;                                                                                 \
        default:                                                                                   \
            memset(dst, 0, n * sizeof *dst);                                                       \
        }                                                                                          \
    }
#define LOAD_AS(dtype, S, expression)                                                              \
    case dtype: {                                                                                  \
        typedef S source BNR_ANY_ADDRESS;                                                          \
        const source *s = src;                                                                     \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = FROM_FLOAT(expression);                                                       \
        break;                                                                                     \
    }

// Truncates toward zero; out of range saturates, NaN gives 0.
static int64_t to_i64(double v) {
    if (isnan(v))
        return 0;
    return v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

static uint64_t to_u64(double v) {
    if (isnan(v) || v <= 0)
        return 0;
    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

#define LOAD_NATIVE(dtype, S)                                                                      \
    case dtype: {                                                                                  \
        typedef S source BNR_ANY_ADDRESS;                                                          \
        const source *s = src;                                                                     \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = (float)s[i];                                                                  \
        break;                                                                                     \
    }
#define FROM_FLOAT(v) ((float)(v))
DEFINE_LOAD(bnr__load_f32, float)
#undef LOAD_NATIVE
#undef FROM_FLOAT

#define LOAD_NATIVE(dtype, S)                                                                      \
    case dtype: {                                                                                  \
        typedef S source BNR_ANY_ADDRESS;                                                          \
        const source *s = src;                                                                     \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = (double)s[i];                                                                 \
        break;                                                                                     \
    }
#define FROM_FLOAT(v) ((double)(v))
DEFINE_LOAD(bnr__load_f64, double)
#undef LOAD_NATIVE
#undef FROM_FLOAT

// Integers by value, floating point through to_i64 (chosen by type, so that int64 keeps every bit).
#define LOAD_NATIVE(dtype, S)                                                                      \
    case dtype: {                                                                                  \
        typedef S source BNR_ANY_ADDRESS;                                                          \
        const source *s = src;                                                                     \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = _Generic(s[i], float: to_i64((double)s[i]), double: to_i64((double)s[i]),     \
                              default: (int64_t)s[i]);                                             \
        break;                                                                                     \
    }
#define FROM_FLOAT(v) to_i64((double)(v))
DEFINE_LOAD(bnr__load_i64, int64_t)
#undef LOAD_NATIVE
#undef FROM_FLOAT

// A float value into an integer dtype with `bits` bits.
static int64_t clamp_int(double v, int bits) {
    int64_t i = to_i64(v), limit = bits >= 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    return i > limit ? limit : i < -limit - 1 ? -limit - 1 : i;
}

static uint64_t clamp_uint(double v, int bits) {
    uint64_t u = to_u64(v), limit = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return u > limit ? limit : u;
}

// The same for what int32 holds, without branches: NaN gives 0, from `high` on `most`.
#define DEFINE_CLAMP(name, T)                                                                      \
    static inline int32_t name(T v, T low, T high, int32_t most) {                                 \
        v = v == v ? v : 0;                                                                        \
        v = v < low ? low : v;                                                                     \
        const int32_t whole = (int32_t)(v < high ? v : 0);                                         \
        return v < high ? whole : most;                                                            \
    }
DEFINE_CLAMP(clamp_f32, float)
DEFINE_CLAMP(clamp_f64, double)

#define STORE_LOOP(S, expression)                                                                  \
    {                                                                                              \
        S *d_ = dst;                                                                               \
        for (size_t i = 0; i < n; i++)                                                             \
            d_[i] = (S)(expression);                                                               \
        break;                                                                                     \
    }
#define STORE_INT(dtype, S)                                                                        \
    case dtype:                                                                                    \
        STORE_LOOP(S, clamp_int((double)src[i], table[d].bits))
#define STORE_SHORT(dtype, S, CLAMP, low, high, most)                                              \
    case dtype:                                                                                    \
        STORE_LOOP(S, CLAMP(src[i], low, high, most))
#define STORE_UINT(dtype, S)                                                                       \
    case dtype:                                                                                    \
        STORE_LOOP(S, clamp_uint((double)src[i], table[d].bits))
#define DEFINE_STORE(name, T, TO_F16, CLAMP)                                                       \
    void name(enum bnr_dtype d, void *dst, const T *src, size_t n) {                               \
        switch ((int)d) {                                                                          \
            STORE_SHORT(BNR_UINT8, uint8_t, CLAMP, 0, 0x1p8, UINT8_MAX)                            \
            STORE_SHORT(BNR_INT8, int8_t, CLAMP, INT8_MIN, 0x1p7, INT8_MAX)                        \
            STORE_SHORT(BNR_UINT16, uint16_t, CLAMP, 0, 0x1p16, UINT16_MAX)                        \
            STORE_SHORT(BNR_INT16, int16_t, CLAMP, INT16_MIN, 0x1p15, INT16_MAX)                   \
            STORE_SHORT(BNR_INT32, int32_t, CLAMP, INT32_MIN, 0x1p31, INT32_MAX)                   \
            STORE_INT(BNR_INT64, int64_t)                                                          \
            STORE_UINT(BNR_UINT32, uint32_t)                                                       \
            STORE_UINT(BNR_UINT64, uint64_t)                                                       \
            STORE_UINT(BNR_UINT4, uint8_t)                                                         \
            STORE_INT(BNR_INT4, int8_t)                                                            \
            STORE_UINT(BNR_UINT2, uint8_t)                                                         \
            STORE_INT(BNR_INT2, int8_t)                                                            \
        case BNR_BOOL:                                                                             \
            STORE_LOOP(uint8_t, src[i] != 0)                                                       \
        case BNR_FLOAT:                                                                            \
            STORE_LOOP(float, src[i])                                                              \
        case BNR_DOUBLE:                                                                           \
            STORE_LOOP(double, src[i])                                                             \
        case BNR_FLOAT16:                                                                          \
            STORE_LOOP(uint16_t, TO_F16(src[i]))                                                   \
        case BNR_BFLOAT16:                                                                         \
            STORE_LOOP(uint16_t, bnr__f32_to_bf16((float)src[i]))                                  \
        default: /* the 8- and 4-bit floats */                                                     \
            STORE_LOOP(uint8_t, bnr__f32_to_f8(d, (float)src[i], true))                            \
        }                                                                                          \
    }
DEFINE_STORE(bnr__store_f32, float, f32_to_f16, clamp_f32)
DEFINE_STORE(bnr__store_f64, double, bnr__f64_to_f16, clamp_f64)

void bnr__store_i64(enum bnr_dtype d, void *dst, const int64_t *src, size_t n) {
    int bits = bnr__dtype_bits(d);
    bool narrow = bits < 8;
    switch ((int)d) {
#define STORE_WRAPPED(dtype, S)                                                                    \
    case dtype:                                                                                    \
        if (!narrow)                                                                               \
            STORE_LOOP(S, src[i])                                                                  \
        STORE_LOOP(S, bnr__dtype_class(d) == BNR_CLASS_INT                                         \
                          ? (int64_t)((uint64_t)src[i] << (64 - bits)) >> (64 - bits)              \
                          : (int64_t)((uint64_t)src[i] << (64 - bits) >> (64 - bits)))
        NATIVE_INTEGERS(STORE_WRAPPED)
    case BNR_BOOL:
        STORE_LOOP(uint8_t, src[i] != 0)
    case BNR_FLOAT:
        STORE_LOOP(float, src[i])
    case BNR_DOUBLE:
        STORE_LOOP(double, src[i])
    case BNR_FLOAT16:
        STORE_LOOP(uint16_t, bnr__f64_to_f16((double)src[i]))
    case BNR_BFLOAT16:
        STORE_LOOP(uint16_t, bnr__f32_to_bf16((float)src[i]))
    default:
        STORE_LOOP(uint8_t, bnr__f32_to_f8(d, (float)src[i], true))
    }
}

double bnr__get_f64(enum bnr_dtype d, const void *src, size_t i) {
    double v;
    float f;
    if (d == BNR_FLOAT) { // the most frequent one
        memcpy(&f, (const char *)src + i * sizeof f, sizeof f);
        return (double)f;
    }
    bnr__load_f64(&v, d, (const char *)src + i * bnr__dtype_size(d), 1);
    return v;
}

int64_t bnr__get_i64(enum bnr_dtype d, const void *src, size_t i) {
    int64_t v;
    bnr__load_i64(&v, d, (const char *)src + i * bnr__dtype_size(d), 1);
    return v;
}
