// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most: fused multiply-adds from registers.
#ifndef BNR_TOOLS_PEAK_H
#define BNR_TOOLS_PEAK_H

// GFLOP/s of one thread with the vectors of a CPU level ("avx512", "avx2", "generic", "neon"), measured.
double peak_gflops(const char *level);

#endif
