// SPDX-License-Identifier: Apache-2.0
// gemm_f32 for AVX2: tiles of up to 6 rows by 2 vectors.
#include "runtime/kernels/x86/vec_avx2.h"

#define ISA(name) name##_avx2
#define ISA_NAME "avx2"
#define MR 6
#define NV 2
#include "runtime/kernels/tmpl/gemm_f32.h"
