// SPDX-License-Identifier: Apache-2.0
// Random networks of the operators that affines meet: chains, branches, several readers, several
// outputs, bodies of If, Loop and Scan, shared weights, open dims and defaults that are overridden, in every
// float dtype and opsets from 6 on. A network is a sequence of steps, each
// with random numbers of its own, so that steps can be left out to find what a failure needs.
#ifndef BNR_TESTS_RANDOM_NET_H
#define BNR_TESTS_RANDOM_NET_H

#include "tests/lib/fold_test.h"

enum { RANDOM_NET_STEPS = 24, RANDOM_NET_VALUES = 64, RANDOM_NET_RANK = 5, RANDOM_NET_WEIGHTS = 16 };

struct random_item { // a value that later steps may read
    struct bnr_value *v;
    int rank;
    int64_t dims[RANDOM_NET_RANK];
    bool read;
};

struct random_net {
    struct net t; // net_end when done
    struct random_item items[RANDOM_NET_VALUES];
    int n, names;
    struct bnr_value *weights[RANDOM_NET_WEIGHTS]; // of the main graph
    int n_weights;
    int bodies; // around what is made next
};

// The same seed gives the same network; step i is left out where bit i of `skip` is set. Without outputs
// where the steps made nothing. Returns the number of steps.
int random_net_grow(struct random_net *r, uint64_t seed, uint32_t skip);

#endif
