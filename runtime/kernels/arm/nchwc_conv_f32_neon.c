// SPDX-License-Identifier: Apache-2.0
// nchwc_conv_f32's kernels for NEON.
#include "runtime/kernels/arm/vec_neon.h"

#define ISA(name) name##_neon
#define ISA_NAME "neon"
#define PIXELS 14
#include "runtime/kernels/tmpl/nchwc_conv_f32.h"
