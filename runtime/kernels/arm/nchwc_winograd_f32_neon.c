// SPDX-License-Identifier: Apache-2.0
// nchwc_winograd_f32's transforms for NEON.
#include "runtime/kernels/arm/vec_neon.h"

#define ISA(name) name##_neon
#define ISA_NAME "neon"
#include "runtime/kernels/tmpl/nchwc_winograd_f32.h"
