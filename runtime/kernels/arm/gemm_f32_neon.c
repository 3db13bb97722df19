// SPDX-License-Identifier: Apache-2.0
// gemm_f32 for NEON: tiles of up to 8 rows by 2 vectors.
#include "runtime/kernels/arm/vec_neon.h"

#define ISA(name) name##_neon
#define ISA_NAME "neon"
#define MR 8
#define NV 2
#include "runtime/kernels/tmpl/gemm_f32.h"
