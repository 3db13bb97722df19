// SPDX-License-Identifier: Apache-2.0
// weights_f32 for portable C.
#include "runtime/kernels/generic/vec_generic.h"

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#include "runtime/kernels/tmpl/weights_f32.h"
