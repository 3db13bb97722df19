// SPDX-License-Identifier: Apache-2.0
// gemm_f32 for portable C: tiles of up to 4 rows by 2 vectors.
#include "runtime/kernels/generic/vec_generic.h"

#define ISA(name) name##_generic
#define ISA_NAME "generic"
#define MR 4
#define NV 2
#include "runtime/kernels/tmpl/gemm_f32.h"
