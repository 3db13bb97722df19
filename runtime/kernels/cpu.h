// SPDX-License-Identifier: Apache-2.0
// What the CPU (and the operating system) can do, and the levels that --cpu names.
#ifndef BNR_KERNELS_CPU_H
#define BNR_KERNELS_CPU_H

#include <stdbool.h>

enum bnr_cpu_features {
    BNR_CPU_AVX2 = 1 << 0, // AVX2, FMA and F16C
    BNR_CPU_AVX512 = 1 << 1, // AVX-512 F, BW, DQ, VL; implies AVX2
    BNR_CPU_VNNI = 1 << 2,
    BNR_CPU_BF16 = 1 << 3,
    // What is not in a core's own caches comes slowly for the arithmetic that it can do: Intel's
    // processors with AVX-512, when it is used.
    BNR_CPU_FAR_MEMORY = 1 << 4,
    BNR_CPU_NEON = 1 << 8,
};

unsigned bnr__cpu_detect(void);
// Features of `detected` that the named level allows; NULL: all. False for an unknown name or a level
// above what was detected.
bool bnr__cpu_level(const char *name, unsigned detected, unsigned *features);
const char *bnr__cpu_level_name(unsigned features); // "generic", "avx2", "avx512", "neon"

#endif
