// SPDX-License-Identifier: Apache-2.0
// A node's kernel against its reference code: built as ops_test.h says, then run at every level of
// this CPU with one and with two threads, every tensor in a buffer of its own that ends at a guard
// page.
#ifndef BNR_TESTS_NODE_TEST_H
#define BNR_TESTS_NODE_TEST_H

#include "tests/lib/kernel_test.h"
#include "tests/lib/ops_test.h"

// Evaluates the node by reference code, and by its kernel, which there must be. Inputs whose bits
// are set in `constants` are constants. Floats of an output may differ by tolerance * (1 + its
// largest magnitude); other types not at all, or (tolerance >= 1) by that much. Ends the test t;
// `what` is shown on failure.
void node_test(struct ops_test *t, unsigned constants, double tolerance, const char *what);
// The same for a node whose kernel must refuse the data with `part` in the message, as the
// reference does.
void node_test_refused(struct ops_test *t, unsigned constants, const char *part);

#endif
