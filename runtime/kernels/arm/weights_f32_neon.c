// SPDX-License-Identifier: Apache-2.0
// weights_f32 for NEON.
#include "runtime/kernels/arm/vec_neon.h"

#define ISA(name) name##_neon
#define ISA_NAME "neon"
#include "runtime/kernels/tmpl/weights_f32.h"
