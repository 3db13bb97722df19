// SPDX-License-Identifier: Apache-2.0
// weights_f32 for AVX-512.
#include "runtime/kernels/x86/vec_avx512.h"

#define ISA(name) name##_avx512
#define ISA_NAME "avx512"
#include "runtime/kernels/tmpl/weights_f32.h"
