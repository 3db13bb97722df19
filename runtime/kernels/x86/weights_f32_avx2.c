// SPDX-License-Identifier: Apache-2.0
// weights_f32 for AVX2.
#include "runtime/kernels/x86/vec_avx2.h"

#define ISA(name) name##_avx2
#define ISA_NAME "avx2"
#include "runtime/kernels/tmpl/weights_f32.h"
