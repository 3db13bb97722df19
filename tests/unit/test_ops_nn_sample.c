// SPDX-License-Identifier: Apache-2.0
// GridSample, AffineGrid, RoiAlign, MaxRoiPool, NonMaxSuppression, Col2Im and DeformConv by hand
// and against simpler operators.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static void grid_sample_paddings(void **state) {
    // One axis of 4 elements, align_corners: grid g is position (g + 1) * 1.5.
    static const double grid[] = {-1, -1.0 / 3, 0, 1, -3, 3, 5.0 / 3};
    static const struct {
        const char *mode, *padding;
        double y[7];
    } cases[] = {
        // positions 0, 1, 1.5, 3, -3, 6, 4
        {"linear", "zeros", {10, 20, 30, 80, 0, 0, 0}},
        {"linear", "border", {10, 20, 30, 80, 10, 80, 80}},
        {"linear", "reflection", {10, 20, 30, 80, 80, 10, 40}},
        {"nearest", "zeros", {10, 20, 40, 80, 0, 0, 0}}, // 1.5 to even
        {"nearest", "reflection", {10, 20, 40, 80, 80, 10, 40}},
        // Halfway with a = -0.75: weights -0.09375, 0.59375, 0.59375, -0.09375
        {"cubic", "zeros", {10, 20, 27.1875, 80, 0, 0, 0}},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        ops_test_begin(&t, "GridSample", 20, 1);
        ops_test_in(&t, DIMS(1, 1, 4), (double[]){10, 20, 40, 80});
        t.dtype = BNR_DOUBLE;
        ops_test_in(&t, DIMS(1, 7, 1), grid);
        bnr__node_set_attr_string(t.node, "mode", cases[i].mode);
        bnr__node_set_attr_string(t.node, "padding_mode", cases[i].padding);
        bnr__node_set_attr_int(t.node, "align_corners", 1);
        ops_test_ok(&t);
        ops_test_near(&t, 0, cases[i].y, 7, 1e-6);
        ops_test_end(&t);
    }
}

// The identity transform samples every element where it is, in both conventions and 2 or 3
// dimensions.
static void affine_grid_identity(void **state) {
    for (int align = 0; align < 2; align++)
        for (int axes = 2; axes <= 3; axes++) {
            const double eye2[] = {1, 0, 0, 0, 1, 0}, eye3[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
            const double size2[] = {1, 2, 3, 4}, size3[] = {1, 2, 3, 4, 5};
            struct ops_test grid, t;
            ops_test_begin(&grid, "AffineGrid", 20, 1);
            ops_test_in(&grid, DIMS(1, axes, axes + 1), axes == 2 ? eye2 : eye3);
            ops_test_in_as(&grid, BNR_INT64, DIMS(axes + 2), axes == 2 ? size2 : size3);
            bnr__node_set_attr_int(grid.node, "align_corners", align);
            ops_test_ok(&grid);
            double values[3 * 4 * 5 * 3];
            for (size_t i = 0; i < grid.out[0]->numel; i++)
                values[i] = ops_test_y(&grid, 0, i);
            ops_test_begin(&t, "GridSample", 22, 1);
            ops_test_in(&t, axes + 2,
                        axes == 2 ? (int64_t[]){1, 2, 3, 4} : (int64_t[]){1, 2, 3, 4, 5}, NULL);
            ops_test_in(&t, grid.out[0]->rank, grid.out[0]->dims, values);
            bnr__node_set_attr_int(t.node, "align_corners", align);
            ops_test_ok(&t);
            for (size_t i = 0; i < t.in[0]->numel; i++)
                assert_true(fabs(ops_test_y(&t, 0, i) - ops_test_x(&t, 0, i)) < 1e-5);
            ops_test_end(&t);
            ops_test_end(&grid);
        }
}

static void roi_align(void **state) {
    double x[36];
    for (int i = 0; i < 36; i++)
        x[i] = i % 6 + 10 * (i / 6); // linear, so that every average is the value in the middle
    for (int half_pixel = 0; half_pixel < 2; half_pixel++) {
        struct ops_test t;
        ops_test_begin(&t, "RoiAlign", half_pixel ? 16 : 10, 1);
        ops_test_in(&t, DIMS(1, 1, 6, 6), x);
        ops_test_in(&t, DIMS(1, 4), (double[]){2, 2, 10, 6});
        ops_test_in_as(&t, BNR_INT64, DIMS(1), (double[]){0});
        bnr__node_set_attr_int(t.node, "output_height", 1);
        bnr__node_set_attr_int(t.node, "output_width", 2);
        bnr__node_set_attr_float(t.node, "spatial_scale", 0.5f);
        ops_test_ok(&t);
        // x from 1 to 5 in two bins: middles 2 and 4; y from 1 to 3: 2
        const double shift = half_pixel ? 0.5 : 0;
        ops_test_near(&t, 0, (double[]){22 - 11 * shift, 24 - 11 * shift}, 2, 1e-6);
        ops_test_end(&t);
    }
    struct ops_test t;
    ops_test_begin(&t, "RoiAlign", 16, 1);
    ops_test_in(&t, DIMS(1, 1, 6, 6), x);
    ops_test_in(&t, DIMS(1, 4), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(1), (double[]){1});
    ops_test_refused(&t, "batch_indices[0] is 1, expected 0 to 0");
}

static void max_roi_pool(void **state) {
    double x[16];
    for (int i = 0; i < 16; i++)
        x[i] = i;
    struct ops_test t;
    ops_test_begin(&t, "MaxRoiPool", 1, 1);
    ops_test_in(&t, DIMS(1, 1, 4, 4), x);
    ops_test_in(&t, DIMS(2, 5),
                (double[]){0, 0, 0, 2, 2, 0, 9, 9, 9, 9}); // the second one is outside
    bnr__node_set_attr_ints(t.node, "pooled_shape", INTS(2, 2));
    ops_test_ok(&t);
    // 3 x 3 elements in bins of 1.5: rows and columns 0 to 1 and 1 to 2
    ops_test_near(&t, 0, (double[]){5, 6, 9, 10, 0, 0, 0, 0}, 8, 0);
    ops_test_end(&t);
}

static struct ops_test boxes(double iou, bool with_score) {
    static const double box[] = {0, 0,  1, 1,    0, 0.1,  1, 1.1, 0, 10,
                                 1, 11, 0, 10.5, 1, 11.5, 1, 101, 0, 100};
    static const double scores[] = {0.5, 0.9, 0.7, 0.7, 0.1};
    struct ops_test t;
    ops_test_begin(&t, "NonMaxSuppression", 11, 1);
    ops_test_in(&t, DIMS(1, 5, 4), box);
    ops_test_in(&t, DIMS(1, 1, 5), scores);
    ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){3});
    ops_test_in(&t, 0, NULL, &iou);
    if (with_score)
        ops_test_in(&t, 0, NULL, (double[]){0.6});
    return t;
}

static void non_max_suppression(void **state) {
    // Overlaps: boxes 0 and 1: 0.9 / 1.1; boxes 2 and 3: 0.5 / 1.5. Equal scores: the first one
    // wins.
    struct ops_test t = boxes(0.5, false);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0, 1, 0, 0, 2, 0, 0, 3}, 9, 0);
    ops_test_end(&t);
    t = boxes(0.3, false);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0, 1, 0, 0, 2, 0, 0, 4}, 9,
                  0); // whichever corners box 4 has
    ops_test_end(&t);
    t = boxes(0.3, true);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (double[]){0, 0, 1, 0, 0, 2}, 6, 0);
    ops_test_end(&t);
    t = boxes(1.5, false);
    ops_test_refused(&t, "iou_threshold is 1.5");
    ops_test_begin(&t, "NonMaxSuppression", 10, 1);
    ops_test_in(&t, DIMS(1, 1, 4), NULL);
    ops_test_in(&t, DIMS(1, 1, 1), NULL);
    ops_test_ok(&t); // no maximum is a maximum of none
    ops_test_dims(&t, 0, DIMS(0, 3));
    ops_test_end(&t);
}

// Cutting an image of ones into blocks and adding them up counts the blocks that cover each
// element.
static void col2im(void **state) {
    double ones[4 * 4];
    for (int i = 0; i < 16; i++)
        ones[i] = 1;
    for (int integers = 0; integers < 2; integers++) {
        struct ops_test t;
        ops_test_begin(&t, "Col2Im", 18, 1);
        t.dtype = integers ? BNR_INT64 : BNR_FLOAT;
        ops_test_in(&t, DIMS(1, 4, 4), ones);
        ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){3, 3});
        ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){2, 2});
        ops_test_ok(&t);
        ops_test_near(&t, 0, (double[]){1, 2, 1, 2, 4, 2, 1, 2, 1}, 9, 0);
        ops_test_end(&t);
    }
    struct ops_test t;
    ops_test_begin(&t, "Col2Im", 18, 1);
    ops_test_in(&t, DIMS(1, 4, 5), NULL);
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){3, 3});
    ops_test_in_as(&t, BNR_INT64, DIMS(2), (double[]){2, 2});
    ops_test_refused(&t, "dim 2 is 5, but the image has 4 blocks");
}

// Without offsets DeformConv is Conv; an offset of one element shifts the image.
static void deform_conv(void **state) {
    for (int shift = 0; shift < 2; shift++) {
        enum { C = 4, M = 2, H = 5, W = 6, K = 2, OUT_H = 4, OUT_W = 5, OUT = OUT_H * OUT_W };
        double offset[2 * 2 * K * K * OUT];
        for (int i = 0; i < 2 * 2 * K * K * OUT; i++) // pairs (row, column) of each tap
            offset[i] = i / OUT % 2 == 1 ? shift : 0;
        struct ops_test d, c;
        ops_test_begin(&d, "DeformConv", 19, 1);
        ops_test_in(&d, DIMS(1, C, H, W), NULL);
        ops_test_in(&d, DIMS(M, C / 2, K, K), NULL);
        ops_test_in(&d, DIMS(1, 2 * 2 * K * K, OUT_H, OUT_W), offset);
        bnr__node_set_attr_int(d.node, "group", 2);
        bnr__node_set_attr_int(d.node, "offset_group", 2);
        ops_test_ok(&d);
        ops_test_begin(&c, "Conv", 11, 1);
        ops_test_in(&c, DIMS(1, C, H, W), NULL);
        ops_test_in(&c, DIMS(M, C / 2, K, K), NULL);
        bnr__node_set_attr_int(c.node, "group", 2);
        bnr__node_set_attr_ints(c.node, "pads", INTS(0, 0, 0, shift));
        ops_test_ok(&c);
        for (size_t m = 0; m < M; m++)
            for (size_t y = 0; y < OUT_H; y++)
                for (size_t x = 0; x < OUT_W; x++) {
                    const size_t wide = (size_t)(OUT_W + shift);
                    const double e = ops_test_y(&c, 0, (m * OUT_H + y) * wide + x + (size_t)shift);
                    assert_true(fabs(ops_test_y(&d, 0, (m * OUT_H + y) * OUT_W + x) - e) < 1e-6);
                }
        ops_test_end(&c);
        ops_test_end(&d);
    }
    struct ops_test t;
    ops_test_begin(&t, "DeformConv", 19, 1);
    ops_test_in(&t, DIMS(1, 1, 3, 3), NULL);
    ops_test_in(&t, DIMS(1, 1, 2, 2), NULL);
    ops_test_in(&t, DIMS(1, 7, 2, 2), NULL);
    ops_test_refused(&t, "offset has 7 in dim 1, expected 8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_sample_paddings),
        cmocka_unit_test(affine_grid_identity),
        cmocka_unit_test(roi_align),
        cmocka_unit_test(max_roi_pool),
        cmocka_unit_test(non_max_suppression),
        cmocka_unit_test(col2im),
        cmocka_unit_test(deform_conv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
