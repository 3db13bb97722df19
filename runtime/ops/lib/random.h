// SPDX-License-Identifier: Apache-2.0
// Random numbers for operators: NumPy's RandomState stream, so that a seeded operator draws what
// ONNX's own reference draws. Without the attribute `seed` the node's number is the seed: runs are
// reproducible, and nodes differ.
#ifndef BNR_OPS_LIB_RANDOM_H
#define BNR_OPS_LIB_RANDOM_H

#include "runtime/ops/lib/compute.h"
#include "runtime/ops/lib/mt19937.h"

struct bnr_random {
    struct bnr_mt19937 mt;
    double spare; // the second number of a normal pair
    bool has_spare;
};

// Seeded from the node. NULL when out of memory (a->err filled).
struct bnr_random *bnr__random_new(const struct bnr_args *a);
double bnr__random_uniform(struct bnr_random *r); // [0, 1)
double bnr__random_normal(struct bnr_random *r);  // mean 0, deviation 1

// Attribute `dtype` (else `like`, which may be UNDEFINED) must be one of `types`.
enum bnr_status bnr__random_dtype(const struct bnr_node *n, enum bnr_dtype like, uint32_t types,
                                  enum bnr_dtype *dtype, struct bnr_error *err);

// Distributions of RandomNormal and RandomUniform: number = draw(r) * (high - low) + low, or
// draw(r) * scale + mean.
enum bnr_distribution { BNR_UNIFORM, BNR_NORMAL };
// Output 0 has the dims of input 0 where there is one, else of the attribute `shape`.
enum bnr_status bnr__random_infer(struct bnr_infer *cx);
enum bnr_status bnr__random_run(const struct bnr_args *a, enum bnr_distribution d);

#endif
