// SPDX-License-Identifier: Apache-2.0
// A pointwise convolution and the depthwise one behind it run as one step where the tensor between
// them is large and nobody else wants it; the results are those of the reference.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/exec.h"
#include "tests/lib/model_builder.h"

typedef struct bnr_value value;

enum { CIN = 3, WIDE = 40, SIDE = 90 };

struct net {
    int64_t batch, side, kernel, stride;
    const char *activation;
    bool biases, wanted, read_twice, residual,
        deep; // deep: a 3x3 convolution in front, not a pointwise one
};

static value *conv(struct model_builder *t, const struct net *c, value *x, int64_t cin,
                   int64_t kernel, int64_t stride, int64_t group) {
    const int64_t dims[] = {WIDE, cin / group, kernel, kernel}, bias[] = {WIDE};
    const int64_t pads[] = {kernel / 2, kernel / 2, kernel / 2, kernel / 2},
                  strides[] = {stride, stride};
    value *y =
        mb_op(t, "Conv", x, mb_weights(t, 4, dims), c->biases ? mb_weights(t, 1, bias) : NULL);
    if (y) {
        bnr__node_set_attr_int(y->producer, "group", group);
        bnr__node_set_attr_ints(y->producer, "strides", strides, 2);
        bnr__node_set_attr_ints(y->producer, "pads", pads, 4);
    }
    return c->activation ? mb_op(t, c->activation, y, NULL, NULL) : y;
}

static struct bnr_model *build(const struct net *c) {
    struct model_builder t;
    const int64_t dims[] = {c->batch, CIN, c->side, c->side};
    mb_begin(&t, 14, NULL);
    value *x = conv(&t, c, mb_input(&t, "x", BNR_FLOAT, 4, dims), CIN, 3, 1, 1);
    value *wide = conv(&t, c, x, WIDE, c->deep ? 3 : 1, 1, 1);
    if (c->residual)
        wide = mb_op(&t, "Add", wide, x, NULL);
    value *y = conv(&t, c, wide, WIDE, c->kernel, c->stride, WIDE);
    y = mb_op(&t, "GlobalAveragePool", y, NULL, NULL);
    if (c->read_twice)
        y = mb_op(&t, "Add", mb_op(&t, "GlobalAveragePool", wide, NULL, NULL), y, NULL);
    mb_output(&t, y);
    if (c->wanted)
        mb_output(&t, wide);
    struct bnr_model *m = mb_end(&t);
    if (!m)
        fail_msg("%s", t.err.message);
    return m;
}

static struct bnr_tensor *run(struct bnr_session *s, const struct bnr_tensor *in) {
    struct bnr_error err;
    struct bnr_tensor *out[2] = {NULL};
    const bnr_tensor *inputs[] = {in};
    if (bnr_run(s, inputs, 1, out, s->face->n_outputs, &err) != BNR_OK)
        fail_msg("%s", err.message);
    bnr_tensor_release(out[1]);
    return out[0];
}

static int count_steps(const struct bnr_session *s, const char *kernel) {
    const struct bnr_plan *plan = s->plans[0].first;
    int n = 0;
    for (int i = 0; i < plan->n_steps; i++)
        n += plan->steps[i].kernel && strncmp(plan->steps[i].kernel, kernel, strlen(kernel)) == 0;
    return n;
}

static void check(const struct net *c, int pairs) {
    const int64_t dims[] = {c->batch, CIN, c->side, c->side};
    struct bnr_model *m = build(c);
    struct bnr_session *plain = mb_session(m, BNR_REFERENCE, NULL, 1),
                       *one = mb_session(m, 0, NULL, 1), *two = mb_session(m, 0, NULL, 2);
    struct bnr_tensor *in = mb_tensor(BNR_FLOAT, 4, dims, 1);
    struct bnr_tensor *want = run(plain, in), *got = run(one, in), *also = run(two, in);
    float most = 0;
    for (size_t i = 0; i < want->numel; i++)
        most = fmaxf(most, fabsf(want->f32[i]));
    for (size_t i = 0; i < want->numel; i++)
        if (!(fabsf(got->f32[i] - want->f32[i]) <= 1e-5f * most))
            fail_msg("element %zu is %g, expected %g", i, (double)got->f32[i],
                     (double)want->f32[i]);
    assert_true(bnr__tensor_equal(got, also));
    assert_int_equal(count_steps(one, "nchwc_pair"), pairs);
    assert_int_equal(count_steps(one, "nchwc_dwconv"), 1 - pairs);
    assert_int_equal(count_steps(plain, "nchwc"), 0);
    bnr_tensor_release(in);
    bnr_tensor_release(want);
    bnr_tensor_release(got);
    bnr_tensor_release(also);
    bnr_session_free(plain);
    bnr_session_free(one);
    bnr_session_free(two);
    bnr_model_free(m);
}

static void wide_tensors_are_not_made(void **state) {
    const struct net base = {.batch = 1, .side = SIDE, .kernel = 3, .stride = 1};
    struct net c = base;
    check(&c, 1);
    c.biases = true;
    c.activation = "Relu";
    check(&c, 1);
    c.stride = 2;
    c.kernel = 5;
    c.activation = "HardSwish";
    check(&c, 1);
    c.batch = 2;
    check(&c, 1);
}

static void others_run_apart(void **state) {
    const struct net base = {
        .batch = 1, .side = SIDE, .kernel = 3, .stride = 1, .biases = true, .activation = "Relu"};
    struct net c = base;
    c.side = 20; // stays in a cache
    check(&c, 0);
    c = base;
    c.wanted = true;
    check(&c, 0);
    c = base;
    c.read_twice = true;
    check(&c, 0);
    c = base;
    c.residual = true;
    check(&c, 0);
    c = base;
    c.deep = true;
    check(&c, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_tensors_are_not_made),
        cmocka_unit_test(others_run_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
