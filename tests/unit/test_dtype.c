// SPDX-License-Identifier: Apache-2.0
// graph/dtype: every conversion against its format's definition, written here for all values of the format.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/dtype.h"
#include "runtime/base/compiler.h"

// The value of a binary format from its definition, in double.
static double decode(unsigned v, int mant, int exp_bits, int bias, bool infinity) {
    unsigned m = v & ((1u << mant) - 1), e = v >> mant & ((1u << exp_bits) - 1);
    double sign = v >> (mant + exp_bits) & 1 ? -1 : 1;
    if (infinity && e == (1u << exp_bits) - 1)
        return m ? (double)NAN : sign * (double)INFINITY;
    return sign * (e ? ldexp(1 + ldexp(m, -mant), (int)e - bias) : ldexp(m, 1 - bias - mant));
}

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void half_decodes_every_value(void **state) {
    for (unsigned v = 0; v < 65536; v++) {
        double h = (double)bnr__f16_to_f32((uint16_t)v), b = (double)bnr__bf16_to_f32((uint16_t)v);
        assert_true(same(h, decode(v, 10, 5, 15, true)));
        assert_true(same(b, decode(v, 7, 8, 127, true)));
        if (isnan(h)) {
            assert_true(isnan(bnr__f16_to_f32(bnr__f32_to_f16((float)h))));
        } else {
            assert_int_equal(bnr__f32_to_f16((float)h), v);
            assert_int_equal(bnr__f64_to_f16(h), v);
        }
        if (!isnan(b))
            assert_int_equal(bnr__f32_to_bf16((float)b), v);
    }
}

// Between two neighbours v and v + 1 of a format: just below, at and just above the midpoint.
static void half_rounds_to_nearest_even(void **state) {
    for (unsigned v = 0; v < 0x7bff; v++) {
        double lo = decode(v, 10, 5, 15, true), hi = decode(v + 1, 10, 5, 15, true), mid = (lo + hi) / 2;
        unsigned even = v & 1 ? v + 1 : v;
        assert_int_equal(bnr__f64_to_f16(mid), even);
        assert_int_equal(bnr__f64_to_f16(nextafter(mid, 0)), v);
        assert_int_equal(bnr__f64_to_f16(nextafter(mid, 1e9)), v + 1);
        float fmid = (float)mid; // exact: 12 bits
        assert_int_equal(bnr__f32_to_f16(fmid), even);
        assert_int_equal(bnr__f32_to_f16(-fmid), even | 0x8000);
        assert_int_equal(bnr__f32_to_f16(nextafterf(fmid, 0)), v);
        assert_int_equal(bnr__f32_to_f16(nextafterf(fmid, 1e9f)), v + 1);
    }
    assert_int_equal(bnr__f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(bnr__f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(bnr__f64_to_f16(-65520.0), 0xfc00);
    assert_int_equal(bnr__f32_to_f16(1e-30f), 0);
    for (unsigned v = 0; v < 0x7f7f; v += 5) {
        double lo = (double)bnr__bf16_to_f32((uint16_t)v), hi = (double)bnr__bf16_to_f32((uint16_t)(v + 1));
        float mid = (float)((lo + hi) / 2);
        assert_int_equal(bnr__f32_to_bf16(mid), v & 1 ? v + 1 : v);
        assert_int_equal(bnr__f32_to_bf16(nextafterf(mid, 0)), v);
        assert_int_equal(bnr__f32_to_bf16(nextafterf(mid, INFINITY)), v + 1);
    }
}

struct format {
    enum bnr_dtype dtype;
    int mant, exp_bits, bias;
    unsigned max; // encoding of the largest finite value
    bool fnuz, infinity;
};

static const struct format formats[] = {
    {BNR_FLOAT8E4M3FN, 3, 4, 7, 0x7e, false, false},
    {BNR_FLOAT8E4M3FNUZ, 3, 4, 8, 0x7f, true, false},
    {BNR_FLOAT8E5M2, 2, 5, 15, 0x7b, false, true},
    {BNR_FLOAT8E5M2FNUZ, 2, 5, 16, 0x7f, true, false},
    {BNR_FLOAT4E2M1, 1, 2, 1, 0x7, false, false},
};

static void check_neighbours(const struct format *f, unsigned v) {
    unsigned sign = 1u << (f->mant + f->exp_bits);
    double lo = decode(v, f->mant, f->exp_bits, f->bias, false);
    assert_true(same((double)bnr__f8_to_f32(f->dtype, (uint8_t)v), lo));
    assert_int_equal(bnr__f32_to_f8(f->dtype, (float)lo, false), v);
    if (v || !f->fnuz) {
        assert_true(same((double)bnr__f8_to_f32(f->dtype, (uint8_t)(v | sign)), -lo));
        assert_int_equal(bnr__f32_to_f8(f->dtype, (float)-lo, true), v | sign);
    }
    if (v == f->max)
        return;
    float mid = (float)((lo + decode(v + 1, f->mant, f->exp_bits, f->bias, false)) / 2);
    assert_int_equal(bnr__f32_to_f8(f->dtype, mid, true), v & 1 ? v + 1 : v);
    assert_int_equal(bnr__f32_to_f8(f->dtype, nextafterf(mid, 0), true), v);
    assert_int_equal(bnr__f32_to_f8(f->dtype, nextafterf(mid, 1e9f), true), v + 1);
}

static void small_floats_follow_their_definition(void **state) {
    for (size_t k = 0; k < BNR_COUNT(formats); k++) {
        const struct format *f = &formats[k];
        unsigned sign = 1u << (f->mant + f->exp_bits);
        float max = (float)decode(f->max, f->mant, f->exp_bits, f->bias, false);
        for (unsigned v = 0; v <= f->max; v++)
            check_neighbours(f, v);
        assert_int_equal(bnr__f32_to_f8(f->dtype, INFINITY, true), f->max);
        assert_int_equal(bnr__f32_to_f8(f->dtype, max * 3, true), f->max);
        assert_int_equal(bnr__f32_to_f8(f->dtype, -max * 3, true), f->max | sign);
        if (f->dtype == BNR_FLOAT4E2M1)
            continue;
        assert_true(isnan(bnr__f8_to_f32(f->dtype, bnr__f32_to_f8(f->dtype, NAN, true))));
        float over = bnr__f8_to_f32(f->dtype, bnr__f32_to_f8(f->dtype, max * 3, false));
        assert_true(f->infinity ? isinf(over) : isnan(over));
    }
    assert_int_equal(bnr__f32_to_f8(BNR_FLOAT8E4M3FNUZ, -0.0f, true), 0);
    assert_true(isnan(bnr__f8_to_f32(BNR_FLOAT8E4M3FNUZ, 0x80)));
    for (int v = 0; v < 255; v++) {
        float p = bnr__f8_to_f32(BNR_FLOAT8E8M0, (uint8_t)v);
        assert_true((double)p == ldexp(1, v - 127));
        assert_int_equal(bnr__f32_to_f8(BNR_FLOAT8E8M0, p, true), v);
    }
    assert_true(isnan(bnr__f8_to_f32(BNR_FLOAT8E8M0, 0xff)));
}

static void integers_wrap(void **state) {
    const int64_t ints[] = {0, 1, -1, 127, 128, 255, 256, -129, 70000, INT64_MAX, INT64_MIN};
    enum { N = BNR_COUNT(ints) };
    int8_t i8[N], i4[N];
    uint16_t u16[N];
    uint8_t u2[N];
    bnr__store_i64(BNR_INT8, i8, ints, N);
    bnr__store_i64(BNR_UINT16, u16, ints, N);
    bnr__store_i64(BNR_INT4, i4, ints, N);
    bnr__store_i64(BNR_UINT2, u2, ints, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(i8[i], (int8_t)ints[i]);
        assert_int_equal(u16[i], (uint16_t)ints[i]);
        assert_int_equal(i4[i], ((ints[i] & 15) ^ 8) - 8);
        assert_int_equal(u2[i], ints[i] & 3);
    }
}

static void floats_to_integers_truncate_and_saturate(void **state) {
    const float floats[] = {0, 1.9f, -1.9f, 300, -300, 1e30f, -1e30f, NAN, INFINITY};
    int32_t i32[9];
    uint8_t u8[9];
    bool b[9];
    bnr__store_f32(BNR_INT32, i32, floats, 9);
    bnr__store_f32(BNR_UINT8, u8, floats, 9);
    bnr__store_f32(BNR_BOOL, b, floats, 9);
    const int32_t want32[] = {0, 1, -1, 300, -300, INT32_MAX, INT32_MIN, 0, INT32_MAX};
    const uint8_t want8[] = {0, 1, 0, 255, 0, 255, 0, 0, 255};
    for (int i = 0; i < 9; i++) {
        assert_int_equal(i32[i], want32[i]);
        assert_int_equal(u8[i], want8[i]);
        assert_int_equal(b[i], i != 0);
    }
    const uint64_t big = UINT64_MAX;
    double d;
    bnr__load_f64(&d, BNR_UINT64, &big, 1);
    assert_true(d == 0x1p64);
    const int64_t exact = ((int64_t)1 << 62) + 1;
    assert_int_equal(bnr__get_i64(BNR_INT64, &exact, 0), exact);
}

static void names_read_back(void **state) {
    for (int d = 1; d < BNR_DTYPE_COUNT; d++) {
        assert_int_equal(bnr__dtype_parse(bnr__dtype_name((enum bnr_dtype)d)), d);
        assert_true(bnr__dtype_size((enum bnr_dtype)d) > 0);
        assert_int_not_equal(bnr__dtype_class((enum bnr_dtype)d), BNR_CLASS_NONE);
    }
    assert_int_equal(bnr__dtype_parse("float33"), BNR_UNDEFINED);
    assert_false(bnr__dtype_valid(27) || bnr__dtype_valid(-1) || bnr__dtype_valid(0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_decodes_every_value),
        cmocka_unit_test(half_rounds_to_nearest_even),
        cmocka_unit_test(small_floats_follow_their_definition),
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(floats_to_integers_truncate_and_saturate),
        cmocka_unit_test(names_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
