// SPDX-License-Identifier: Apache-2.0
// conv_f32's packer for portable C.
#include "runtime/kernels/generic/vec_generic.h"

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#include "runtime/kernels/tmpl/conv_f32.h"
