// SPDX-License-Identifier: Apache-2.0
// CPU levels: names, order, and what a level may not exceed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/kernels/cpu.h"

static const unsigned all_x86 =
    BNR_CPU_AVX2 | BNR_CPU_AVX512 | BNR_CPU_VNNI | BNR_CPU_BF16 | BNR_CPU_FAR_MEMORY;

static void levels_limit_features(void **state) {
    unsigned f = 99;
    assert_true(bnr__cpu_level("generic", all_x86, &f));
    assert_int_equal(f, 0);
    assert_true(bnr__cpu_level("avx2", all_x86, &f));
    assert_int_equal(f, BNR_CPU_AVX2);
    assert_true(bnr__cpu_level("avx512", all_x86, &f));
    assert_int_equal(f, all_x86);
    assert_true(bnr__cpu_level("avx512", BNR_CPU_AVX2 | BNR_CPU_AVX512, &f));
    assert_int_equal(f, BNR_CPU_AVX2 | BNR_CPU_AVX512);
    assert_true(bnr__cpu_level(NULL, all_x86, &f));
    assert_int_equal(f, all_x86);
}

static void levels_above_the_cpu_are_refused(void **state) {
    unsigned f = 99;
    assert_false(bnr__cpu_level("avx512", BNR_CPU_AVX2, &f));
    assert_false(bnr__cpu_level("avx2", 0, &f));
    assert_false(bnr__cpu_level("neon", all_x86, &f));
    assert_false(bnr__cpu_level("AVX2", all_x86, &f));
    assert_false(bnr__cpu_level("", all_x86, &f));
    assert_int_equal(f, 99);
}

static void names_are_of_the_highest_level(void **state) {
    assert_string_equal(bnr__cpu_level_name(0), "generic");
    assert_string_equal(bnr__cpu_level_name(BNR_CPU_AVX2), "avx2");
    assert_string_equal(bnr__cpu_level_name(all_x86), "avx512");
    assert_string_equal(bnr__cpu_level_name(BNR_CPU_NEON), "neon");
}

static void detection_is_consistent(void **state) {
    const unsigned f = bnr__cpu_detect();
    assert_int_equal(f, bnr__cpu_detect());
    if (f & (BNR_CPU_AVX512 | BNR_CPU_VNNI | BNR_CPU_BF16))
        assert_true(f & BNR_CPU_AVX2);
    if (f & BNR_CPU_FAR_MEMORY)
        assert_true(f & BNR_CPU_AVX512);
#if defined(__x86_64__)
    assert_int_equal((f & BNR_CPU_AVX2) != 0,
                     __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    assert_int_equal((f & BNR_CPU_AVX512) != 0,
                     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    assert_int_equal((f & BNR_CPU_FAR_MEMORY) != 0,
                     (f & BNR_CPU_AVX512) != 0 && __builtin_cpu_is("intel"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_limit_features),
        cmocka_unit_test(levels_above_the_cpu_are_refused),
        cmocka_unit_test(names_are_of_the_highest_level),
        cmocka_unit_test(detection_is_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
