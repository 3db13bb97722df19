// SPDX-License-Identifier: Apache-2.0
// Batches that are run some images at a time: the same bits as image by image, for any number of
// threads; and graphs in which images are not alike, which must not be cut.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/session.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

enum { IMAGES = 4, SIDE = 320, CHANNELS = 4, FLOATS = CHANNELS * SIDE * SIDE };

// What stands behind two layers of convolution, and whether a batch is cut all the same.
enum tail {
    NOTHING,
    SCALE,
    SUM,
    PRODUCT,
    LARGE_PRODUCT,
    JOIN,
    EACH_ITS_OWN,
    OVER_IMAGES,
    TURNED,
    SHAPE,
    N_TAILS
};
static const bool is_cut[N_TAILS] = {
    [NOTHING] = true, [SCALE] = true, [SUM] = true, [PRODUCT] = true, [JOIN] = true};

static struct bnr_value *pooled(struct model_builder *t, struct bnr_value *v) {
    return mb_op(t, "Flatten", mb_op(t, "GlobalAveragePool", v, NULL, NULL), NULL, NULL);
}

static struct bnr_value *add_tail(struct model_builder *t, struct bnr_value *x, struct bnr_value *v,
                                  enum tail tail) {
    struct bnr_value *y;
    switch (tail) {
    case SCALE:
        return mb_op(t, "Mul", v, mb_weights(t, DIMS(CHANNELS, 1, 1)), NULL);
    case SUM:
        return mb_op(t, "Add", v, x, NULL);
    case PRODUCT:
        return mb_op(t, "MatMul", pooled(t, v), mb_weights(t, DIMS(CHANNELS, 5)), NULL);
    case LARGE_PRODUCT:
        return mb_op(t, "MatMul", mb_op(t, "Flatten", v, NULL, NULL),
                     mb_weights(t, DIMS(FLOATS, 8)), NULL);
    case JOIN:
        y = mb_op(t, "Concat", v, x, NULL);
        bnr__node_set_attr_int(y->producer, "axis", 1);
        return y;
    case EACH_ITS_OWN:
        return mb_op(t, "Mul", v, mb_weights(t, DIMS(IMAGES, CHANNELS, 1, 1)), NULL);
    case OVER_IMAGES:
        y = mb_op(t, "Softmax", v, NULL, NULL);
        bnr__node_set_attr_int(y->producer, "axis", 0);
        return y;
    case TURNED: // [channels, images]; as many of these as of those
        return mb_op(t, "Transpose", pooled(t, v), NULL, NULL);
    case SHAPE: // the number of images, written into the graph
        return mb_op(t, "Reshape", v, mb_ints(t, 2, (const int64_t[]){IMAGES, -1}), NULL);
    default:
        return v;
    }
}

static struct bnr_model *model(enum tail tail) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(-1, CHANNELS, SIDE, SIDE)), *v = x;
    for (int i = 0; i < 2; i++) {
        v = mb_op(&t, "Conv", v, mb_weights(&t, DIMS(CHANNELS, CHANNELS, 3, 3)),
                  mb_weights(&t, DIMS(CHANNELS)));
        bnr__node_set_attr_ints(v->producer, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
        v = mb_op(&t, "Relu", v, NULL, NULL);
    }
    mb_output(&t, add_tail(&t, x, v, tail));
    return mb_end(&t);
}

static struct bnr_tensor *run(struct bnr_model *m, int threads, unsigned flags, int64_t images,
                              const float *data, size_t *slices) {
    struct bnr_session *s = mb_session(m, flags, NULL, threads);
    struct bnr_error err;
    struct bnr_tensor *x, *y = NULL;
    const int64_t dims[] = {images, CHANNELS, SIDE, SIDE};
    assert_int_equal(bnr_tensor_create(&x, BNR_FLOAT, 4, dims, data, NULL), BNR_OK);
    for (int i = 0; i < (threads == 2 ? 2 : 1); i++) { // the second into the first one's result
        if (bnr_run(s, (const bnr_tensor *const[]){x}, 1, &y, 1, &err) != BNR_OK)
            fail_msg("%s", err.message);
    }
    *slices = s->plans[0].first->slices;
    bnr_tensor_release(x);
    bnr_session_free(s);
    return y;
}

static void check_images(struct bnr_model *m, const float *data, const struct bnr_tensor *whole) {
    for (size_t i = 0; i < IMAGES; i++) {
        size_t slices;
        struct bnr_tensor *one = run(m, 1, 0, 1, data + i * FLOATS, &slices);
        assert_int_equal(slices, 1);
        assert_int_equal(one->nbytes * IMAGES, whole->nbytes);
        assert_memory_equal(one->data, whole->u8 + i * one->nbytes, one->nbytes);
        bnr_tensor_release(one);
    }
}

static void check_close(const struct bnr_tensor *seen, const struct bnr_tensor *want) {
    assert_int_equal(seen->numel, want->numel);
    for (int d = 0; d < want->rank; d++)
        assert_int_equal(seen->dims[d], want->dims[d]);
    double largest = 0;
    for (size_t i = 0; i < want->numel; i++)
        largest = fmax(largest, fabs((double)want->f32[i]));
    for (size_t i = 0; i < want->numel; i++)
        if (!(fabs((double)seen->f32[i] - (double)want->f32[i]) <= 1e-4 * largest))
            fail_msg("[%zu]: %g, not %g", i, (double)seen->f32[i], (double)want->f32[i]);
}

static void check_tail(enum tail tail, const float *data) {
    struct bnr_model *m = model(tail);
    assert_non_null(m);
    size_t slices;
    struct bnr_tensor *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        struct bnr_tensor *y = run(m, threads, 0, IMAGES, data, &slices);
        assert_int_equal(slices > 1, is_cut[tail]);
        if (first)
            assert_memory_equal(y->data, first->data, first->nbytes);
        else
            first = bnr_tensor_retain(y);
        bnr_tensor_release(y);
    }
    if (is_cut[tail])
        check_images(m, data, first);
    struct bnr_tensor *want = run(m, 1, BNR_REFERENCE, IMAGES, data, &slices);
    assert_int_equal(slices, 1);
    check_close(first, want);
    bnr_tensor_release(want);
    bnr_tensor_release(first);
    bnr_model_free(m);
}

static void batches(void **state) {
    struct bnr_tensor *x = mb_tensor(BNR_FLOAT, DIMS(IMAGES, FLOATS), 7);
    for (int tail = 0; tail < N_TAILS; tail++)
        check_tail((enum tail)tail, x->f32);
    bnr_tensor_release(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
