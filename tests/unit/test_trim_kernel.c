// SPDX-License-Identifier: Apache-2.0
// The pass trim_kernel: kernels lose exactly the taps at their ends that meet padding alone, and
// the network computes the same, over random sizes, kernels, strides, dilations and pads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/fold_test.h"
#include "tests/lib/graph_build.h"

struct axis {
    int64_t in, kernel, stride, dilation, begin, end, out;
};

static int64_t between(struct net *t, int low, int high) {
    return (int64_t)net_random(t, low, high + .999);
}

static struct axis random_axis(struct net *t) {
    struct axis a;
    do {
        a = (struct axis){.in = between(t, 1, 6),
                          .kernel = between(t, 1, 5),
                          .stride = between(t, 1, 3),
                          .dilation = between(t, 1, 7),
                          .begin = between(t, 0, 12),
                          .end = between(t, 0, 12)};
        a.out = a.in + a.begin + a.end - (a.kernel - 1) * a.dilation;
    } while (a.out < 1);
    a.out = (a.out - 1) / a.stride + 1;
    return a;
}

// Every output position of every tap is looked at.
static bool is_read(const struct axis *a, int64_t tap) {
    for (int64_t o = 0; o < a->out; o++) {
        const int64_t at = o * a->stride + tap * a->dilation - a->begin;
        if (at >= 0 && at < a->in)
            return true;
    }
    return false;
}

static int64_t expected_kernel(const struct axis *a) {
    int64_t front = 0, back = 0;
    for (; front < a->kernel - 1 && !is_read(a, front) && (front + 1) * a->dilation <= a->begin;
         front++)
        ;
    for (; back < a->kernel - 1 - front && !is_read(a, a->kernel - 1 - back) &&
           (back + 1) * a->dilation <= a->end;
         back++)
        ;
    return a->kernel - front - back;
}

static struct bnr_node *conv_of(const struct net *t) {
    for (struct bnr_node *n = t->folded->graph->first; n; n = n->next)
        if (bnr__node_is(n, "", "Conv"))
            return n;
    fail_msg("no Conv is left");
    return NULL;
}

static void random_geometry(void **state) {
    int trimmed = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct net t;
        net_begin(&t, 13);
        t.seed = seed;
        const struct axis a = random_axis(&t), b = random_axis(&t);
        struct bnr_value *x = net_input(&t, "x", NET_DIMS(1, 2, a.in, b.in));
        struct bnr_value *w = net_weight(&t, "w", NET_DIMS(2, 2, a.kernel, b.kernel));
        struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w));
        net_attr_ints(&t, "strides", NET_INTS(a.stride, b.stride));
        net_attr_ints(&t, "dilations", NET_INTS(a.dilation, b.dilation));
        net_attr_ints(&t, "pads", NET_INTS(a.begin, b.begin, a.end, b.end));
        net_attr_ints(&t, "kernel_shape", NET_INTS(a.kernel, b.kernel));
        // The bias keeps an output that reads padding alone from being nothing.
        net_output(&t, net_op(&t, "Add", "add", NET_IN(y, net_weight(&t, "b", NET_DIMS(2, 1, 1)))));
        t.options.passes = "trim_kernel";
        net_fold(&t, BNR_PASS_FUSE);
        const struct bnr_tensor *left = conv_of(&t)->in[1]->tensor;
        assert_int_equal(left->dims[2], expected_kernel(&a));
        assert_int_equal(left->dims[3], expected_kernel(&b));
        trimmed += left->numel < 2 * 2 * (size_t)(a.kernel * b.kernel);
        net_end(&t);
    }
    assert_in_range(trimmed, 50, 350);
}

static void pads_itself(const char *automatic, int64_t stride) {
    struct net t;
    net_begin(&t, 13);
    t.dtype = BNR_DOUBLE;
    struct bnr_value *x = net_input(&t, "x", NET_DIMS(2, 3, 1, 2));
    struct bnr_value *w = net_weight(&t, "w", NET_DIMS(4, 3, 3, 4));
    struct bnr_value *y = net_op(&t, "Conv", "conv", NET_IN(x, w));
    net_attr_string(&t, "auto_pad", automatic);
    net_attr_ints(&t, "strides", NET_INTS(stride, stride));
    net_output(&t, y);
    net_fold(&t, BNR_PASS_FUSE);
    // One row: of three rows of taps the middle one meets it. Two columns at stride 1: 4 wide, pads
    // 1 and 2 or 2 and 1, every tap but the outermost on the wider side meets one; at stride 2 one
    // position.
    const struct bnr_tensor *left = conv_of(&t)->in[1]->tensor;
    assert_int_equal(left->dims[2], 1);
    assert_int_equal(left->dims[3], stride == 1 ? 3 : 2);
    net_end(&t);
}

static void automatic_pads(void **state) {
    for (int64_t stride = 1; stride <= 2; stride++) {
        pads_itself("SAME_UPPER", stride);
        pads_itself("SAME_LOWER", stride);
    }
}

// The size of x is not known, or the weights are computed: nothing can be said.
static void unknown_stays(void **state) {
    for (int computed = 0; computed < 2; computed++) {
        struct net t;
        net_begin(&t, 13);
        const int64_t dims[] = {1, 2, computed ? 1 : -1, 1};
        struct bnr_value *x = build_input(t.g, "x", BNR_FLOAT, 4, dims);
        struct bnr_value *w = net_weight(&t, "w", NET_DIMS(2, 2, 3, 1));
        if (computed)
            w = net_op(&t, "Mul", "product", NET_IN(w, net_op(&t, "ReduceSum", "sum", NET_IN(x))));
        net_output(&t, net_op(&t, "Conv", "conv", NET_IN(x, w)));
        net_attr_ints(&t, "pads", NET_INTS(1, 0, 1, 0));
        t.options.passes = "trim_kernel";
        net_rewrite(&t, BNR_PASS_FUSE);
        assert_int_equal(conv_of(&t)->in[1]->info->type.shape.dims[2].n, 3);
        net_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_geometry),
        cmocka_unit_test(automatic_pads),
        cmocka_unit_test(unknown_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
