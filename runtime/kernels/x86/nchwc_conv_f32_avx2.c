// SPDX-License-Identifier: Apache-2.0
// nchwc_conv_f32's kernels for AVX2.
#include "runtime/kernels/x86/vec_avx2.h"

#define ISA(name) name##_avx2
#define ISA_NAME "avx2"
#define PIXELS 6
#include "runtime/kernels/tmpl/nchwc_conv_f32.h"
