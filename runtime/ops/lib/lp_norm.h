// SPDX-License-Identifier: Apache-2.0
// The p of LpPool, GlobalLpPool and LpNormalization: |x|^p and its inverse.
#ifndef BNR_OPS_LIB_LP_NORM_H
#define BNR_OPS_LIB_LP_NORM_H

#include <math.h>

#include "graph/op.h"

// Attribute p: a float in version 1 of the poolings, an int elsewhere; 2 when absent.
static inline double bnr__lp_attr(const struct bnr_node *n) {
    const struct bnr_attr *p = bnr__attr(n, "p");
    if (!p)
        return 2;
    return p->type == BNR_ATTR_FLOAT ? (double)p->floats[0] : (double)p->ints[0];
}

static inline enum bnr_status bnr__lp_check(const struct bnr_node *n, struct bnr_error *err) {
    const double p = bnr__lp_attr(n);
    if (p > 0 && isfinite(p))
        return BNR_OK;
    return bnr__op_fail(n, err, BNR_SHAPE, "p is %g, expected a positive number", p);
}

static inline double bnr__lp_power(double x, double p) {
    return p == 1 ? fabs(x) : p == 2 ? x * x : pow(fabs(x), p);
}

static inline double bnr__lp_root(double sum, double p) {
    return p == 1 ? sum : p == 2 ? sqrt(sum) : pow(sum, 1 / p);
}

#endif
