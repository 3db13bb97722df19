// SPDX-License-Identifier: Apache-2.0
// nchwc_narrow_f32's kernels for portable C: 4 lanes.
#include "runtime/kernels/generic/vec_generic.h"

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#define PIXELS 6
#include "runtime/kernels/tmpl/nchwc_narrow_f32.h"
