// SPDX-License-Identifier: Apache-2.0
// CPU detection. Compiled without any -m flag: this runs before anything is known about the CPU.
#include "runtime/kernels/cpu.h"

#include <stddef.h>
#include <string.h>

#include "runtime/base/compiler.h"

#if BNR_ARCH_X86
#include <cpuid.h>

enum {
    XCR0_AVX = 0x6,
    XCR0_AVX512 = 0xe6
}; // XMM and YMM; also opmask and both halves of ZMM state

// The register state that the operating system saves; AVX instructions fault without it.
static unsigned read_xcr0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool is_intel(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx && d == signature_INTEL_edx &&
           c == signature_INTEL_ecx;
}

unsigned bnr__cpu_detect(void) {
    unsigned a, b, c, d, leaf1_c, features = 0;
    if (!__get_cpuid(1, &a, &b, &leaf1_c, &d) || !(leaf1_c & bit_OSXSAVE))
        return 0;
    const unsigned xcr0 = read_xcr0();
    const unsigned need = bit_FMA | bit_AVX | bit_F16C;
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || (leaf1_c & need) != need ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
        return 0;
    features |= BNR_CPU_AVX2;
    const unsigned need512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((xcr0 & XCR0_AVX512) != XCR0_AVX512 || (b & need512) != need512)
        return features;
    features |= BNR_CPU_AVX512;
    if (is_intel())
        features |= BNR_CPU_FAR_MEMORY;
    if (c & bit_AVX512VNNI)
        features |= BNR_CPU_VNNI;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5))) // AVX512_BF16
        features |= BNR_CPU_BF16;
    return features;
}

#elif BNR_ARCH_ARM64

unsigned bnr__cpu_detect(void) {
    return BNR_CPU_NEON; // part of the base architecture
}

#else

unsigned bnr__cpu_detect(void) {
    return 0;
}

#endif

static const struct {
    const char *name;
    unsigned needs, allows;
} levels[] = {
    {"generic", 0, 0},
    {"avx2", BNR_CPU_AVX2, BNR_CPU_AVX2},
    {"avx512", BNR_CPU_AVX512,
     BNR_CPU_AVX2 | BNR_CPU_AVX512 | BNR_CPU_VNNI | BNR_CPU_BF16 | BNR_CPU_FAR_MEMORY},
    {"neon", BNR_CPU_NEON, BNR_CPU_NEON},
};

bool bnr__cpu_level(const char *name, unsigned detected, unsigned *features) {
    if (!name) {
        *features = detected;
        return true;
    }
    for (size_t i = 0; i < BNR_COUNT(levels); i++) {
        if (strcmp(name, levels[i].name) != 0)
            continue;
        if ((detected & levels[i].needs) != levels[i].needs)
            return false;
        *features = detected & levels[i].allows;
        return true;
    }
    return false;
}

const char *bnr__cpu_level_name(unsigned features) {
    const char *name = levels[0].name;
    for (size_t i = 1; i < BNR_COUNT(levels); i++) {
        if (features & levels[i].needs)
            name = levels[i].name;
    }
    return name;
}
