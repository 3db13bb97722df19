// SPDX-License-Identifier: Apache-2.0
// nchwc_narrow_f32's kernels for 8 lanes of AVX-512's blocks: AVX2's vectors, twice as many
// registers.
#include "runtime/kernels/x86/vec_avx2.h"

#define ISA(name) name##_avx512
#define ISA_NAME "avx512"
#define PIXELS 14
#include "runtime/kernels/tmpl/nchwc_narrow_f32.h"
