// SPDX-License-Identifier: Apache-2.0
// What shape operators must refuse, each with a line that says why: axes and indices out of range
// or repeated, sizes that are negative, do not fit or overflow, wrong counts, wrong dtypes, missing
// inputs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static struct ops_test t;

// The node with one float input of these dims.
static void on(const char *op, int opset, int n_out, int rank, const int64_t *dims) {
    ops_test_begin(&t, op, opset, n_out);
    ops_test_in(&t, rank, dims, NULL);
}

static void list(const int64_t *v, size_t n) {
    double values[32];
    assert_true(n <= 32);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)v[i];
    ops_test_in_as(&t, BNR_INT64, 1, (const int64_t[]){(int64_t)n}, values);
    memcpy(t.in[t.n_in - 1]->data, v, n * sizeof *v);
}

static void scalar(enum bnr_dtype dtype, double v) {
    ops_test_in_as(&t, dtype, 0, NULL, &v);
}

static void attr(const char *name, int64_t v) {
    assert_int_equal(bnr__node_set_attr_int(t.node, name, v), BNR_OK);
}

static void attrs(const char *name, const int64_t *v, size_t n) {
    assert_int_equal(bnr__node_set_attr_ints(t.node, name, v, n), BNR_OK);
}

static void refused(const char *part) {
    ops_test_refused(&t, part);
}

static void test_views(void **unused) {
    on("Reshape", 13, 1, DIMS(2, 3));
    list(INTS(4, -1));
    refused("6 elements cannot be divided by the 4");
    on("Reshape", 13, 1, DIMS(2, 3));
    list(INTS(-1, -1));
    refused("-1 for the second time");
    on("Reshape", 13, 1, DIMS(2, 3));
    list(INTS(3, -2));
    refused("dim 1 of the shape is -2");
    on("Reshape", 13, 1, DIMS(2, 3));
    list(INTS(7));
    refused("has 6 elements");
    on("Reshape", 13, 1, DIMS(6));
    list(INTS(6, 0));
    refused("dim 1 of the shape is 0, but the input has rank 1");
    on("Reshape", 14, 1, DIMS(0));
    list(INTS(0, -1));
    attr("allowzero", 1);
    refused("both 0 and -1");
    on("Reshape", 13, 1, DIMS(2, 3));
    list(INTS(INT64_MAX, INT64_MAX));
    refused("overflow");
    on("Reshape", 13, 1, DIMS(1));
    list(INTS(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    refused("17 dims");
    on("Reshape", 13, 1, DIMS(2, 3));
    refused("missing");
    on("Reshape", 13, 1, DIMS(6));
    scalar(BNR_FLOAT, 6);
    refused("input 1 is float32[], expected a tensor of");
    on("Reshape", 1, 1, DIMS(6));
    refused("missing");
    on("Squeeze", 13, 1, DIMS(1, 3));
    list(INTS(1));
    refused("dim 1 is 3, expected 1");
    on("Squeeze", 11, 1, DIMS(1, 1));
    attrs("axes", INTS(0, -2));
    refused("axis 0 is given twice");
    on("Squeeze", 11, 1, DIMS(1, 1));
    attrs("axes", INTS(2));
    refused("axis 2 is outside [-2, 2)");
    on("Unsqueeze", 13, 1, DIMS(3));
    list(INTS(2, -1));
    refused("axis 2 is given twice");
    on("Unsqueeze", 13, 1, DIMS(3));
    list(INTS(3));
    refused("axis 3 is outside");
    on("Unsqueeze", 13, 1, DIMS(3));
    refused("missing");
    on("Flatten", 13, 1, DIMS(3, 4));
    attr("axis", 3);
    refused("axis 3 is outside [-2, 2]");
    on("Flatten", 9, 1, DIMS(3, 4));
    attr("axis", -1);
    refused("axis -1 is outside [0, 2]");
}

static void test_layout(void **unused) {
    on("Transpose", 13, 1, DIMS(2, 3));
    attrs("perm", INTS(0, 0));
    refused("axis 0 is given twice");
    on("Transpose", 13, 1, DIMS(2, 3));
    attrs("perm", INTS(0));
    refused("perm has 1 axes");
    on("Concat", 13, 1, DIMS(2, 3));
    refused("'axis' is required");
    on("Concat", 13, 1, DIMS(2, 3));
    ops_test_in(&t, DIMS(3, 3), NULL);
    attr("axis", 1);
    refused("does not fit");
    on("Concat", 13, 1, DIMS(2, 3));
    ops_test_in(&t, DIMS(2), NULL);
    attr("axis", 0);
    refused("does not fit");
    on("Concat", 13, 1, DIMS(2, 3));
    ops_test_in_as(&t, BNR_DOUBLE, DIMS(2, 3), NULL);
    attr("axis", 0);
    refused("expected the same");
    on("Split", 13, 2, DIMS(5));
    refused("cannot be split into 2 equal parts");
    on("Split", 13, 2, DIMS(5));
    list(INTS(2, 2));
    refused("sum up to 4, the dim is 5");
    on("Split", 13, 2, DIMS(5));
    list(INTS(6, -1));
    refused("part 1 has size -1");
    on("Split", 13, 2, DIMS(5));
    list(INTS(5));
    refused("1 sizes for 2 outputs");
    on("Split", 18, 2, DIMS(5));
    attr("num_outputs", 3);
    refused("num_outputs is 3");
    on("Slice", 13, 1, DIMS(5));
    list(INTS(0, 0));
    list(INTS(1, 1));
    refused("2 starts for an input of rank 1");
    on("Slice", 13, 1, DIMS(5));
    list(INTS(0));
    list(INTS(1));
    list(INTS(0));
    list(INTS(0));
    refused("step 0 is 0");
    on("Slice", 13, 1, DIMS(5));
    list(INTS(0));
    list(INTS(1, 2));
    refused("1 starts, but 2 ends");
    on("Slice", 1, 1, DIMS(5));
    attrs("starts", INTS(0));
    refused("missing");
    on("DepthToSpace", 13, 1, DIMS(1, 6, 2, 2));
    attr("blocksize", 2);
    refused("6 channels");
    on("DepthToSpace", 13, 1, DIMS(1, 4, 2, 2));
    attr("blocksize", 0);
    refused("blocksize is 0");
    on("DepthToSpace", 13, 1, DIMS(4, 2, 2));
    attr("blocksize", 2);
    refused("rank 3, expected 4");
    on("SpaceToDepth", 13, 1, DIMS(1, 4, 3, 2));
    attr("blocksize", 2);
    refused("dim 2 is 3");
    on("Pad", 13, 1, DIMS(2, 3));
    list(INTS(1, 1));
    refused("2 pads for 2 axes");
    on("Pad", 13, 1, DIMS(2));
    list(INTS(-2, -1));
    refused("cannot be padded");
    on("Pad", 13, 1, DIMS(0));
    list(INTS(1, 0));
    assert_int_equal(bnr__node_set_attr_string(t.node, "mode", "edge"), BNR_OK);
    refused("no elements to pad from");
    on("Pad", 13, 1, DIMS(2));
    list(INTS(1, 0));
    assert_int_equal(bnr__node_set_attr_string(t.node, "mode", "wrap"), BNR_OK);
    refused("mode is 'wrap'");
    on("Pad", 13, 1, DIMS(2));
    list(INTS(INT64_MAX, 0));
    refused("cannot be padded");
}

// No amount of memory is asked for that cannot be, and what cannot be had is said.
static void test_huge(void **unused) {
    on("Expand", 13, 1, DIMS(1));
    list(INTS(1LL << 50));
    refused("memory");
    on("Expand", 13, 1, DIMS(1));
    list(INTS(1LL << 40, 1LL << 40));
    refused("overflow");
    on("Tile", 13, 1, DIMS(4));
    list(INTS(INT64_MAX));
    refused("overflow");
    on("Tile", 13, 1, DIMS(4));
    list(INTS(-1));
    refused("-1 times");
    ops_test_begin(&t, "ConstantOfShape", 13, 1);
    list(INTS(1LL << 50));
    refused("memory");
    ops_test_begin(&t, "ConstantOfShape", 13, 1);
    list(INTS(-3));
    refused("dim 0 is -3");
    ops_test_begin(&t, "Range", 13, 1);
    scalar(BNR_INT64, 0);
    scalar(BNR_INT64, 0x1p52);
    scalar(BNR_INT64, 1);
    refused("memory");
    ops_test_begin(&t, "Range", 13, 1);
    scalar(BNR_INT64, -0x1p63);
    scalar(BNR_INT64, 0x1p62);
    scalar(BNR_INT64, 1);
    refused("too many elements");
    ops_test_begin(&t, "Range", 13, 1);
    scalar(BNR_INT64, 0);
    scalar(BNR_INT64, 1);
    scalar(BNR_INT64, 0);
    refused("delta is 0");
    ops_test_begin(&t, "Range", 13, 1);
    scalar(BNR_FLOAT, 0);
    scalar(BNR_FLOAT, 1);
    scalar(BNR_FLOAT, 0);
    refused("give no range");
    ops_test_begin(&t, "OneHot", 13, 1);
    list(INTS(1));
    scalar(BNR_INT64, 0x1p60);
    list(INTS(0, 1));
    refused("overflow");
}

static void test_indices(void **unused) {
    on("Gather", 13, 1, DIMS(3, 2));
    list(INTS(3));
    refused("index 3 is outside [-3, 3)");
    on("Gather", 13, 1, DIMS(3, 2));
    list(INTS(-4));
    refused("index -4 is outside [-3, 3)");
    on("Gather", 13, 1, DIMS(3, 2));
    list(INTS(0));
    attr("axis", 2);
    refused("axis 2 is outside [-2, 2)");
    on("Gather", 13, 1, 0, NULL);
    list(INTS(0));
    refused("rank 0");
    on("Gather", 13, 1, DIMS(3));
    ops_test_in(&t, DIMS(1), NULL);
    refused("dtype float32");
    on("Gather", 13, 1, DIMS(0, 2));
    list(INTS(0));
    refused("index 0 is outside");
    on("GatherElements", 13, 1, DIMS(2, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(2, 3), NULL);
    refused("dim 1 of the indices is 3, of the data 2");
    on("GatherElements", 13, 1, DIMS(2, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 2), (const double[]){0, 2});
    refused("index 2 is outside");
    on("GatherND", 13, 1, DIMS(2, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 3), NULL);
    refused("tuples of 3 indices");
    on("GatherND", 13, 1, DIMS(2, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 2), (const double[]){1, -3});
    refused("index -3 is outside");
    on("GatherND", 13, 1, DIMS(2, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(2, 1), NULL);
    attr("batch_dims", 2);
    refused("batch_dims is 2");
    on("ScatterElements", 13, 1, DIMS(3));
    list(INTS(3));
    ops_test_in(&t, DIMS(1), NULL);
    refused("index 3 is outside");
    on("ScatterElements", 13, 1, DIMS(3));
    list(INTS(0, 1));
    ops_test_in(&t, DIMS(1), NULL);
    refused("2 in the indices, 1 in the updates");
    on("ScatterElements", 16, 1, DIMS(3));
    list(INTS(0));
    ops_test_in(&t, DIMS(1), NULL);
    assert_int_equal(bnr__node_set_attr_string(t.node, "reduction", "max"), BNR_OK);
    refused("reduction is 'max'");
    on("ScatterND", 13, 1, DIMS(3, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 1), (const double[]){1});
    ops_test_in(&t, DIMS(1, 3), NULL);
    refused("dim 1 of the updates is 3, expected 2");
    on("ScatterND", 13, 1, DIMS(3, 2));
    ops_test_in_as(&t, BNR_INT64, DIMS(1, 1), (const double[]){3});
    ops_test_in(&t, DIMS(1, 2), NULL);
    refused("index 3 is outside");
    on("Compress", 11, 1, DIMS(2));
    ops_test_in_as(&t, BNR_BOOL, DIMS(3), (const double[]){1, 0, 1});
    refused("condition 2 is true");
    on("ReverseSequence", 10, 1, DIMS(2, 2));
    list(INTS(1, 3));
    refused("sequence length 3");
    on("ReverseSequence", 10, 1, DIMS(2, 2));
    list(INTS(1, 1));
    attr("time_axis", 1);
    refused("time_axis is 1 and batch_axis 1");
    on("OneHot", 11, 1, DIMS(2));
    scalar(BNR_INT64, -1);
    list(INTS(0, 1));
    refused("depth is -1");
    on("OneHot", 11, 1, DIMS(2));
    scalar(BNR_INT64, 3);
    list(INTS(0, 1, 2));
    refused("3 values");
    on("TensorScatter", 24, 1, DIMS(1, 4, 1));
    ops_test_in(&t, DIMS(1, 2, 1), NULL);
    list(INTS(3));
    refused("2 elements at 3 do not fit into a cache of 4");
    on("Trilu", 14, 1, DIMS(3));
    refused("rank 1");
}

static void test_attribute_types(void **unused) {
    on("Flatten", 13, 1, DIMS(3, 4));
    attrs("axis", INTS(1));
    refused("attribute 'axis' is a list of ints");
    on("Transpose", 13, 1, DIMS(3, 4));
    attr("perm", 1);
    refused("attribute 'perm'");
    on("DepthToSpace", 13, 1, DIMS(1, 4, 1, 1));
    refused("attribute 'blocksize' is required");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_indices),
        cmocka_unit_test(test_attribute_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
