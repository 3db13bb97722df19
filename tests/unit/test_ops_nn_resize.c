// SPDX-License-Identifier: Apache-2.0
// Resize and Upsample: every coordinate transformation, nearest mode and kernel against the
// specification's formulas in one dimension, axes by separability, sizes and policies by hand.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { IN = 5 };
static const double x5[IN] = {1, 4, 2, 8, 5};

// ---- the specification's formulas ---------------------------------------------------------------

static double source(const char *mode, double o, double scale, double out) {
    const double wide = scale * IN;
    if (strcmp(mode, "half_pixel") == 0)
        return (o + 0.5) / scale - 0.5;
    if (strcmp(mode, "half_pixel_symmetric") == 0)
        return IN / 2.0 * (1 - out / wide) + (o + 0.5) / scale - 0.5;
    if (strcmp(mode, "pytorch_half_pixel") == 0)
        return out > 1 ? (o + 0.5) / scale - 0.5 : 0;
    if (strcmp(mode, "align_corners") == 0)
        return wide == 1 ? 0 : o * (IN - 1) / (wide - 1);
    return o / scale; // asymmetric
}

static double at(double i) {
    return x5[(int)fmin(fmax(i, 0), IN - 1)];
}

static double cubic_weight(double d, double a) {
    d = fabs(d);
    if (d <= 1)
        return (a + 2) * d * d * d - (a + 3) * d * d + 1;
    return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

// The value at position x: a kernel of `reach` elements each way, stretched when `shrink` < 1.
static double interpolated(double x, bool cubic, double a, double shrink, bool exclude) {
    const int reach = (int)ceil((cubic ? 2 : 1) / shrink);
    double sum = 0, weights = 0;
    for (double i = floor(x) - reach; i <= floor(x) + reach + 1; i++) {
        const double d = (i - x) * shrink;
        double w = cubic ? cubic_weight(d, a) : fmax(0, 1 - fabs(d));
        if (exclude && (i < 0 || i >= IN))
            w = 0;
        sum += w * at(i);
        weights += w;
    }
    return exclude || shrink < 1 ? sum / weights : sum;
}

static double nearest(double x, const char *mode) {
    if (strcmp(mode, "round_prefer_floor") == 0)
        return at(ceil(x - 0.5));
    if (strcmp(mode, "round_prefer_ceil") == 0)
        return at(floor(x + 0.5));
    return at(strcmp(mode, "floor") == 0 ? floor(x) : ceil(x));
}

// ---- one dimension ------------------------------------------------------------------------------

static const char *const coordinates[] = {"half_pixel", "half_pixel_symmetric",
                                          "pytorch_half_pixel", "align_corners", "asymmetric"};
static const float scales[] = {2, 2.6f, 0.6f, 0.3f, 1};

static struct ops_test begin(float scale, const char *coordinate, const char *mode) {
    const double s = (double)scale;
    struct ops_test t;
    ops_test_begin(&t, "Resize", 19, 1);
    ops_test_in(&t, DIMS(IN), x5);
    ops_test_omit(&t);
    ops_test_in(&t, DIMS(1), &s);
    bnr__node_set_attr_string(t.node, "coordinate_transformation_mode", coordinate);
    bnr__node_set_attr_string(t.node, "mode", mode);
    return t;
}

static void nearest_modes(void **state) {
    static const char *const modes[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    for (size_t c = 0; c < BNR_COUNT(coordinates); c++)
        for (size_t s = 0; s < BNR_COUNT(scales); s++)
            for (size_t m = 0; m < BNR_COUNT(modes); m++) {
                struct ops_test t = begin(scales[s], coordinates[c], "nearest");
                bnr__node_set_attr_string(t.node, "nearest_mode", modes[m]);
                ops_test_ok(&t);
                const int64_t n = (int64_t)floorf(IN * scales[s]);
                ops_test_dims(&t, 0, 1, &n);
                for (int64_t i = 0; i < n; i++) {
                    const double x =
                        source(coordinates[c], (double)i, (double)scales[s], (double)n);
                    assert_true(ops_test_y(&t, 0, (size_t)i) == nearest(x, modes[m]));
                }
                ops_test_end(&t);
            }
}

static void kernels(void **state) {
    for (size_t c = 0; c < BNR_COUNT(coordinates); c++)
        for (size_t s = 0; s < BNR_COUNT(scales); s++)
            for (int options = 0; options < 8; options++) {
                const bool cubic = options & 1, antialias = options & 2, exclude = options & 4;
                struct ops_test t = begin(scales[s], coordinates[c], cubic ? "cubic" : "linear");
                bnr__node_set_attr_int(t.node, "antialias", antialias);
                bnr__node_set_attr_int(t.node, "exclude_outside", exclude);
                bnr__node_set_attr_float(t.node, "cubic_coeff_a", -0.5f);
                ops_test_ok(&t);
                const double n = floor((double)(IN * scales[s]));
                for (int i = 0; i < (int)n; i++) {
                    const double x = source(coordinates[c], i, (double)scales[s], n);
                    const double shrink = antialias && scales[s] < 1 ? (double)scales[s] : 1;
                    const double e = interpolated(x, cubic, -0.5, shrink, exclude);
                    if (fabs(ops_test_y(&t, 0, (size_t)i) - e) > 1e-5)
                        fail_msg("%s %g options %d [%d]: %g, expected %g", coordinates[c],
                                 (double)scales[s], options, i, ops_test_y(&t, 0, (size_t)i), e);
                }
                ops_test_end(&t);
            }
}

static void crop_and_resize(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Resize", 13, 1);
    ops_test_in(&t, DIMS(1, IN), x5);
    ops_test_in(&t, DIMS(4), (double[]){0, 0.25, 1, 1.25});
    ops_test_omit(&t);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){1, 5});
    bnr__node_set_attr_string(t.node, "coordinate_transformation_mode", "tf_crop_and_resize");
    bnr__node_set_attr_string(t.node, "mode", "linear");
    bnr__node_set_attr_float(t.node, "extrapolation_value", 10);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){4, 2, 8, 5, 10}, 5,
                  1e-6); // from 1 to 5: the last one is outside
    ops_test_end(&t);
}

// ---- several ------------------------------------------------------------------------------------

static void separable(void **state) {
    double x[6 * 7];
    struct ops_test t;
    for (int i = 0; i < 6 * 7; i++)
        x[i] = (i / 7 + 1) * x5[i % 7 % 5]; // an outer product
    ops_test_begin(&t, "Resize", 18, 1);
    ops_test_in(&t, DIMS(1, 6, 7), x);
    ops_test_omit(&t);
    ops_test_in(&t, DIMS(2), (double[]){2, 0.5});
    bnr__node_set_attr_ints(t.node, "axes", INTS(2, 1));
    bnr__node_set_attr_string(t.node, "mode", "linear");
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(1, 3, 14));
    for (size_t i = 0; i < 3 * 14; i++) {
        // Rows 1.5, 3.5, 5.5 of 1 to 6; columns at (c + 0.5) / 2 - 0.5.
        const double row = 2 * (double)(i / 14) + 1.5, c = ((double)(i % 14) + 0.5) / 2 - 0.5;
        const double left = fmax(floor(c), 0), right = fmin(floor(c) + 1, 6), f = c - floor(c);
        const double e = row * ((1 - f) * x5[(int)left % 5] + f * x5[(int)right % 5]);
        assert_true(fabs(ops_test_y(&t, 0, i) - e) < 1e-5);
    }
    ops_test_end(&t);
}

static void sizes_and_policies(void **state) {
    static const struct {
        const char *policy;
        int64_t dims[2];
    } cases[] = {{"stretch", {7, 9}}, {"not_larger", {7, 7}}, {"not_smaller", {9, 9}}};
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        ops_test_begin(&t, "Resize", 18, 1);
        ops_test_in(&t, DIMS(2, 2), NULL);
        ops_test_omit(&t);
        ops_test_omit(&t);
        ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){7, 9});
        bnr__node_set_attr_string(t.node, "keep_aspect_ratio_policy", cases[i].policy);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, 2, cases[i].dims);
        ops_test_end(&t);
    }
    // A dim times a scale is a float product: 10 * 0.7f is 7.
    double x[10] = {0};
    struct ops_test t;
    ops_test_begin(&t, "Resize", 11, 1);
    ops_test_in(&t, DIMS(10), x);
    ops_test_in(&t, DIMS(0), x);
    ops_test_in(&t, DIMS(1), (double[]){(double)0.7f});
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(7));
    ops_test_end(&t);
}

static void old_versions(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Upsample", 7, 1);
    ops_test_in(&t, DIMS(1, 1, 2), (double[]){1, 2});
    const float two[] = {1, 1, 2.5f};
    bnr__node_set_attr(
        t.node,
        &(struct bnr_attr){.name = "scales", .type = BNR_ATTR_FLOATS, .n = 3, .floats = two});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){1, 1, 1, 2, 2}, 5, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "Upsample", 1, 1);
    ops_test_in(&t, DIMS(1, 1, 1, 2), (double[]){1, 3});
    bnr__node_set_attr_float(t.node, "height_scale", 2);
    bnr__node_set_attr_float(t.node, "width_scale", 2);
    bnr__node_set_attr_string(t.node, "mode", "bilinear");
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){1, 2, 3, 3, 1, 2, 3, 3}, 8, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "Resize", 10, 1); // shrinking rounds up
    ops_test_in(&t, DIMS(4), (double[]){1, 2, 3, 4});
    ops_test_in(&t, DIMS(1), (double[]){(double)0.6f});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){1, 3}, 2, 0);
    ops_test_end(&t);
}

static void integers(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "Resize", 13, 1);
    t.dtype = BNR_UINT8;
    ops_test_in(&t, DIMS(2), (double[]){0, 255});
    ops_test_omit(&t);
    ops_test_in_as(&t, BNR_FLOAT, DIMS(1), (double[]){4});
    bnr__node_set_attr_string(t.node, "mode", "cubic");
    ops_test_ok(&t);
    assert_true(ops_test_y(&t, 0, 0) == 0); // overshoot saturates
    assert_true(ops_test_y(&t, 0, 7) == 255);
    ops_test_end(&t);
}

static void refusals(void **state) {
    struct ops_test t = begin(2, "half_pixel", "linear");
    ops_test_in_as(&t, BNR_INT64, DIMS(1), (double[]){3});
    ops_test_refused(&t, "not both");
    t = begin(-1, "half_pixel", "linear");
    ops_test_refused(&t, "scales[0] is -1");
    t = begin(2, "half_pixel", "quadratic");
    ops_test_refused(&t, "mode is 'quadratic'");
    t = begin(2, "tf_crop_and_resize", "linear");
    ops_test_refused(&t, "roi has 0 elements, expected 2");
    t = begin(2, "half_pixel", "nearest");
    bnr__node_set_attr_int(t.node, "antialias", 1);
    ops_test_refused(&t, "antialias does not go");
    t = begin(2, "half_pixel", "linear");
    bnr__node_set_attr_ints(t.node, "axes", INTS(1));
    ops_test_refused(&t, "axis 1 is outside");
    ops_test_begin(&t, "Resize", 13, 1);
    ops_test_in(&t, DIMS(2, 2), NULL);
    ops_test_omit(&t);
    ops_test_in(&t, DIMS(1), (double[]){2});
    ops_test_refused(&t, "scales has 1 elements, expected 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_modes),      cmocka_unit_test(kernels),
        cmocka_unit_test(crop_and_resize),    cmocka_unit_test(separable),
        cmocka_unit_test(sizes_and_policies), cmocka_unit_test(old_versions),
        cmocka_unit_test(integers),           cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
