// SPDX-License-Identifier: Apache-2.0
// DFT and STFT of many lengths against the defining sum, windows against their formulas.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static const double pi = 3.14159265358979323846;

// Bin k of the n numbers that `get` gives: sum of x[i] * exp(sign * 2 pi i k / n).
static void bin(const double *x, int n, int k, int sign, double out[2]) {
    out[0] = out[1] = 0;
    for (int i = 0; i < n; i++) {
        const double a = sign * 2 * pi * (double)((int64_t)i * k % n) / n, c = cos(a), s = sin(a);
        out[0] += x[2 * i] * c - x[2 * i + 1] * s;
        out[1] += x[2 * i] * s + x[2 * i + 1] * c;
    }
}

static const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 17, 30, 61, 67, 97, 128, 210, 243};

static void near(double seen, double expected, double tolerance) {
    if (fabs(seen - expected) > tolerance)
        fail_msg("%.17g, expected %.17g", seen, expected);
}

static void complex_transforms(void **state) {
    for (size_t s = 0; s < BNR_COUNT(sizes); s++)
        for (int variant = 0; variant < 4; variant++) {
            const int n = sizes[s];
            const bool inverse = variant & 1, single = variant & 2;
            struct ops_test t;
            ops_test_begin(&t, "DFT", 20, 1);
            t.dtype = single ? BNR_FLOAT : BNR_DOUBLE;
            ops_test_in(&t, DIMS(1, n, 2), NULL);
            bnr__node_set_attr_int(t.node, "inverse", inverse);
            ops_test_ok(&t);
            double *x = calloc(2 * (size_t)n, sizeof *x), e[2];
            for (int i = 0; i < 2 * n; i++)
                x[i] = ops_test_x(&t, 0, (size_t)i);
            for (int k = 0; k < n; k++) {
                bin(x, n, k, inverse ? 1 : -1, e);
                for (size_t c = 0; c < 2; c++)
                    near(ops_test_y(&t, 0, 2 * (size_t)k + c), e[c] / (inverse ? n : 1),
                         (single ? 1e-6 : 1e-13) * n);
            }
            free(x);
            ops_test_end(&t);
        }
}

// Real input along a middle axis, cut off or padded with zeros to dft_length.
static void real_transforms(void **state) {
    enum { N = 6, INNER = 3 };
    for (int length = 3; length <= 9; length++) {
        struct ops_test t;
        ops_test_begin(&t, "DFT", 20, 1);
        t.dtype = BNR_DOUBLE;
        ops_test_in(&t, DIMS(2, N, INNER, 1), NULL);
        ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){length});
        ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){-3});
        bnr__node_set_attr_int(t.node, "onesided", 1);
        ops_test_ok(&t);
        const int bins = length / 2 + 1;
        ops_test_dims(&t, 0, DIMS(2, bins, INNER, 2));
        for (int o = 0; o < 2 * INNER; o++)
            for (int k = 0; k < bins; k++) {
                double x[2 * 9] = {0}, e[2];
                for (int i = 0; i < length && i < N; i++)
                    x[2 * i] = ops_test_x(&t, 0, (size_t)((o / INNER * N + i) * INNER + o % INNER));
                bin(x, length, k, -1, e);
                for (int c = 0; c < 2; c++)
                    near(ops_test_y(&t, 0,
                                    (size_t)(((o / INNER * bins + k) * INNER + o % INNER) * 2 + c)),
                         e[c], 1e-12);
            }
        ops_test_end(&t);
    }
}

// The one-sided inverse of the one-sided transform is the signal.
static void there_and_back(void **state) {
    for (int n = 2; n <= 9; n++) {
        struct ops_test there, back;
        double half[2 * 9];
        ops_test_begin(&there, "DFT", 17, 1);
        there.dtype = BNR_DOUBLE;
        ops_test_in(&there, DIMS(1, n, 1), NULL);
        bnr__node_set_attr_int(there.node, "onesided", 1);
        ops_test_ok(&there);
        for (int i = 0; i < 2 * (n / 2 + 1); i++)
            half[i] = ops_test_y(&there, 0, (size_t)i);
        ops_test_begin(&back, "DFT", 17, 1);
        back.dtype = BNR_DOUBLE;
        ops_test_in(&back, DIMS(1, n / 2 + 1, 2), half);
        ops_test_in_as(&back, BNR_INT64, 0, NULL, (double[]){n});
        bnr__node_set_attr_int(back.node, "onesided", 1);
        bnr__node_set_attr_int(back.node, "inverse", 1);
        ops_test_ok(&back);
        ops_test_dims(&back, 0, DIMS(1, n, 1));
        for (int i = 0; i < n; i++)
            near(ops_test_y(&back, 0, (size_t)i), ops_test_x(&there, 0, (size_t)i), 1e-14);
        ops_test_end(&there);
        ops_test_end(&back);
    }
}

static void stft(void **state) {
    enum { L = 20, STEP = 3, FRAME = 6, WINDOW = 5 };
    for (int windowed = 0; windowed < 2; windowed++) {
        struct ops_test t;
        ops_test_begin(&t, "STFT", 17, 1);
        t.dtype = BNR_DOUBLE;
        ops_test_in(&t, DIMS(2, L, 1), NULL);
        ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){STEP});
        if (windowed)
            ops_test_in(&t, DIMS(WINDOW), NULL);
        else
            ops_test_omit(&t);
        ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){FRAME});
        ops_test_ok(&t);
        enum { FRAMES = 1 + (L - FRAME) / STEP, BINS = FRAME / 2 + 1 };
        ops_test_dims(&t, 0, DIMS(2, FRAMES, BINS, 2));
        for (int f = 0; f < 2 * FRAMES; f++)
            for (int k = 0; k < BINS; k++) {
                double x[2 * FRAME] = {0}, e[2];
                for (int i = 0; i < (windowed ? WINDOW : FRAME); i++)
                    x[2 * i] = ops_test_x(&t, 0, (size_t)(f / FRAMES * L + f % FRAMES * STEP + i)) *
                               (windowed ? ops_test_x(&t, 2, (size_t)i) : 1);
                bin(x, FRAME, k, -1, e);
                for (int c = 0; c < 2; c++)
                    near(ops_test_y(&t, 0, (size_t)((f * BINS + k) * 2 + c)), e[c], 1e-13);
            }
        ops_test_end(&t);
    }
}

static void windows(void **state) {
    static const char *const names[] = {"HannWindow", "HammingWindow", "BlackmanWindow"};
    for (int kind = 0; kind < 3; kind++)
        for (int periodic = 0; periodic < 2; periodic++) {
            struct ops_test t;
            ops_test_begin(&t, names[kind], 17, 1);
            ops_test_in_as(&t, BNR_INT32, 0, NULL, (double[]){7});
            bnr__node_set_attr_int(t.node, "periodic", periodic);
            bnr__node_set_attr_int(t.node, "output_datatype", BNR_DOUBLE);
            ops_test_ok(&t);
            assert_int_equal(t.out[0]->dtype, BNR_DOUBLE);
            for (size_t i = 0; i < 7; i++) {
                const double p = 2 * pi * (double)i / (periodic ? 7 : 6);
                const double e = kind == 0   ? pow(sin(p / 2), 2)
                                 : kind == 1 ? 25.0 / 46 - 21.0 / 46 * cos(p)
                                             : 0.42 - 0.5 * cos(p) + 0.08 * cos(2 * p);
                near(ops_test_y(&t, 0, i), e, 1e-15);
            }
            ops_test_end(&t);
        }
}

static void mel_weights(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "MelWeightMatrix", 17, 1);
    const double in[] = {4, 64, 8192, 0, 4096};
    for (int i = 0; i < 5; i++)
        ops_test_in_as(&t, i < 3 ? BNR_INT64 : BNR_FLOAT, 0, NULL, &in[i]);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(33, 4));
    for (size_t band = 0; band < 4; band++) { // a rising and a falling flank around a peak of 1
        size_t peak = 0;
        for (size_t i = 0; i < 33; i++)
            if (ops_test_y(&t, 0, i * 4 + band) == 1)
                peak = i;
        assert_true(ops_test_y(&t, 0, peak * 4 + band) == 1);
        for (size_t i = 1; i < 33; i++) {
            const double step =
                ops_test_y(&t, 0, i * 4 + band) - ops_test_y(&t, 0, (i - 1) * 4 + band);
            assert_true(i <= peak ? step >= 0 : step <= 0);
        }
    }
    ops_test_end(&t);
}

static void refusals(void **state) {
    struct ops_test t;
    ops_test_begin(&t, "DFT", 20, 1);
    ops_test_in(&t, DIMS(1, 4, 3), NULL);
    ops_test_refused(&t, "the last dim is 3");
    ops_test_begin(&t, "DFT", 17, 1);
    ops_test_in(&t, DIMS(1, 4, 2), NULL);
    bnr__node_set_attr_int(t.node, "axis", 2);
    ops_test_refused(&t, "axis 2 is no signal axis");
    ops_test_begin(&t, "DFT", 20, 1);
    ops_test_in(&t, DIMS(1, 4, 2), NULL);
    bnr__node_set_attr_int(t.node, "onesided", 1);
    ops_test_refused(&t, "real input only");
    ops_test_begin(&t, "DFT", 20, 1);
    ops_test_in(&t, DIMS(1, 4, 1), NULL);
    ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){0});
    ops_test_refused(&t, "dft_length is 0");
    ops_test_begin(&t, "STFT", 17, 1);
    ops_test_in(&t, DIMS(1, 4, 1), NULL);
    ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){0});
    ops_test_refused(&t, "frame_step is 0");
    ops_test_begin(&t, "HannWindow", 17, 1);
    ops_test_in_as(&t, BNR_INT64, 0, NULL, (double[]){-1});
    ops_test_refused(&t, "size is -1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complex_transforms),
        cmocka_unit_test(real_transforms),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(stft),
        cmocka_unit_test(windows),
        cmocka_unit_test(mel_weights),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
