// SPDX-License-Identifier: Apache-2.0
// reduce_f32 for portable C.
#include "runtime/kernels/generic/vec_generic.h"

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#include "runtime/kernels/tmpl/reduce_f32.h"
