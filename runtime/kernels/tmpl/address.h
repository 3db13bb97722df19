// SPDX-License-Identifier: Apache-2.0
// Addresses for loads of which only some lanes are read.
#ifndef BNR_KERNELS_ADDRESS_H
#define BNR_KERNELS_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

// p + offset where that may lie outside of p's buffer: made as an integer, not read through there.
static inline const float *v_address(const float *p, ptrdiff_t offset) {
    return (const float *)((uintptr_t)p + (uintptr_t)(offset * (ptrdiff_t)sizeof(float)));
}

#endif
