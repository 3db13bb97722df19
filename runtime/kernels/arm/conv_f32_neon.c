// SPDX-License-Identifier: Apache-2.0
// conv_f32's packer for NEON.
#include "runtime/kernels/arm/vec_neon.h"

#define ISA(name) name##_neon
#define ISA_NAME "neon"
#include "runtime/kernels/tmpl/conv_f32.h"
