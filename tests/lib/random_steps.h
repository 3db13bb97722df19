// SPDX-License-Identifier: Apache-2.0
// What the steps of random networks (random_net.h) share: picks, values, and the node made last.
#ifndef BNR_TESTS_RANDOM_STEPS_H
#define BNR_TESTS_RANDOM_STEPS_H

#include "tests/lib/random_net.h"

typedef void random_step(struct random_net *r, struct random_item *x);

int random_pick(struct random_net *r, int n); // 0 .. n-1
bool random_chance(struct random_net *r, int one_in);
int random_opset(const struct random_net *r);
const char *random_name(struct random_net *r, const char *what); // lasts until four more are made

// The latest value, or any: chains with a few branches.
struct random_item *random_any(struct random_net *r);
// The node made last stays where inference takes it and its outputs are of a good size. Its first
// output; NULL where it was taken back.
struct random_item *random_made(struct random_net *r);
// A value whose type is known, as a new item; NULL where it is too large.
struct random_item *random_add(struct random_net *r, struct bnr_value *v);
void random_mark_read(struct random_net *r, const struct bnr_value *v);

// Numbers that a scale may have: far enough from 0 that divisions stay tame; some are 0 or 1, all
// are positive now and then.
struct bnr_value *random_factors(struct random_net *r, int rank, const int64_t *dims, bool divisor);
// Numbers in [-1, 1); now and then those that another node reads already.
struct bnr_value *random_weights(struct random_net *r, int rank, const int64_t *dims);

// ---- steps
random_step random_step_bn, random_step_conv, random_step_arithmetic, random_step_unary,
    random_step_residual, random_step_join, random_step_pool;
random_step random_step_broadcast, random_step_where, random_step_expand,
    random_step_constant;                                       // random_mix.c
random_step random_step_if, random_step_loop, random_step_scan; // random_bodies.c

// Dims of the inputs become symbols or unknown, constants become defaults that other numbers
// override.
void random_leave_open(struct random_net *r); // random_mix.c

#endif
