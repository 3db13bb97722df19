// SPDX-License-Identifier: Apache-2.0
// gemm_f32 for AVX-512: tiles of up to 14 rows by 2 vectors.
#include "runtime/kernels/x86/vec_avx512.h"

#define ISA(name) name##_avx512
#define ISA_NAME "avx512"
#define MR 14
#define NV 2
#include "runtime/kernels/tmpl/gemm_f32.h"
