// SPDX-License-Identifier: Apache-2.0
// The comparison rule of ONNX's backend tests: same kind, count, dtype and shape; strings and integers
// exact up to the tolerance; |got - expected| <= atol + rtol * |expected|; NaN equals NaN.
#ifndef BNR_TOOLS_COMPARE_H
#define BNR_TOOLS_COMPARE_H

#include "tools/cli.h"

struct tolerance {
    double rtol, atol;
};

// True when equal; else `why` says what differs first and, for numbers, how many elements do.
bool tensors_match(const bnr_tensor *got, const bnr_tensor *expected, struct tolerance tol, char *why,
                   size_t size);

#endif
