// SPDX-License-Identifier: Apache-2.0
// Attention as exporters spell it is one step, which reads and writes around the steps that only
// move elements; what is not quite attention runs as it is written. The results are those of the
// reference.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/op.h"
#include "runtime/exec.h"
#include "runtime/kernels/cpu.h"
#include "tests/lib/fault_alloc.h"
#include "tests/lib/model_builder.h"
#include "tests/lib/ops_test.h"

typedef struct bnr_value value;

enum { MOST_INPUTS = 4 };

struct net {
    struct model_builder b;
    struct bnr_tensor *in[MOST_INPUTS];
    size_t n_in;
};

// ---- building -----------------------------------------------------------------------------------

static value *node(struct net *t, const char *op_type, int n_in, value *const *in) {
    struct bnr_node *n;
    value *v;
    assert_int_equal(bnr__node_new(&n, t->b.graph, NULL, "", op_type, NULL, n_in, in, 1, &t->b.err),
                     BNR_OK);
    assert_int_equal(bnr__value_new(&v, t->b.graph, NULL, &t->b.err), BNR_OK);
    bnr__node_set_output(n, 0, v);
    return v;
}

static value *op(struct net *t, const char *op_type, value *x, value *y) {
    return node(t, op_type, y ? 2 : 1, (value *const[]){x, y});
}

static value *set_int(value *v, const char *name, int64_t i) {
    assert_int_equal(bnr__node_set_attr_int(v->producer, name, i), BNR_OK);
    return v;
}

static value *ints(struct net *t, size_t n, const int64_t *v) {
    return mb_ints(&t->b, n, v);
}

static value *scalar_int(struct net *t, int64_t i) {
    value *v;
    struct bnr_tensor *x;
    assert_int_equal(bnr__tensor_new(&x, t->b.model->allocator, BNR_INT64, 0, NULL, NULL), BNR_OK);
    x->i64[0] = i;
    assert_int_equal(bnr__value_constant(&v, t->b.graph, "i", x, &t->b.err), BNR_OK);
    return v;
}

// A constant with `rank` dims of 1.
static value *number(struct net *t, int rank, float f) {
    static const int64_t ones[] = {1, 1, 1, 1, 1};
    value *v;
    struct bnr_tensor *x;
    assert_int_equal(bnr__tensor_new(&x, t->b.model->allocator, BNR_FLOAT, rank, ones, NULL),
                     BNR_OK);
    x->f32[0] = f;
    assert_int_equal(bnr__value_constant(&v, t->b.graph, "f", x, &t->b.err), BNR_OK);
    return v;
}

static value *reshape(struct net *t, value *x, size_t n, const int64_t *dims) {
    return op(t, "Reshape", x, ints(t, n, dims));
}

static value *transpose(struct net *t, value *x, const int64_t *perm, size_t n) {
    value *y = op(t, "Transpose", x, NULL);
    assert_int_equal(bnr__node_set_attr_ints(y->producer, "perm", perm, n), BNR_OK);
    return y;
}

static value *slice(struct net *t, value *x, int64_t axis, int64_t start, int64_t end,
                    int64_t step) {
    value *const in[] = {x, ints(t, 1, &start), ints(t, 1, &end), ints(t, 1, &axis),
                         ints(t, 1, &step)};
    return node(t, "Slice", 5, in);
}

// The first dim is open, and `batch` when the model runs; 0: it is written in the model.
static value *input(struct net *t, const char *name, enum bnr_dtype dtype, int64_t batch, int rank,
                    const int64_t *dims) {
    int64_t declared[5], real[5];
    for (int d = 0; d < rank; d++)
        declared[d] = real[d] = dims[d];
    if (batch > 0)
        declared[0] = -1;
    t->in[t->n_in] = mb_tensor(dtype, rank, real, 7 + t->n_in);
    t->n_in++;
    return mb_input(&t->b, name, dtype, rank, declared);
}

static value *softmax(struct net *t, value *x, int64_t axis) {
    return set_int(op(t, "Softmax", x, NULL), "axis", axis);
}

static value *attend(struct net *t, value *q, value *k, value *v) {
    return op(t, "MatMul", softmax(t, op(t, "MatMul", q, k), -1), v);
}

// ---- as exporters spell it ----------------------------------------------------------------------

enum { LENGTH = 19, HEADS = 3, SIZE = 8, WIDTH = HEADS * SIZE };

// [length, batch, 3 * width], cut in three, heads beside the batch: torch.nn.MultiheadAttention.
static void torch_multihead(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, 3 * WIDTH}, heads[] = {LENGTH, -1, SIZE};
    value *x = input(t, "x", BNR_FLOAT, batch, 3, dims), *part[3];
    x = transpose(t, x, INTS(1, 0, 2));
    for (int i = 0; i < 3; i++)
        part[i] = reshape(t, slice(t, x, -1, i * WIDTH, (i + 1) * WIDTH, 1), 3, heads);
    value *q = op(t, "Div", transpose(t, part[0], INTS(1, 0, 2)), number(t, 0, sqrtf(SIZE)));
    value *y =
        attend(t, q, transpose(t, part[1], INTS(1, 2, 0)), transpose(t, part[2], INTS(1, 0, 2)));
    const int64_t flat[] = {-1, WIDTH};
    mb_output(&t->b, reshape(t, transpose(t, y, INTS(1, 0, 2)), 2, flat));
}

// [batch, length, 3, heads, size], turned, and three slices of it: timm. Scaled by the square root
// of the scale on either side: scaled_dot_product_attention.
static void timm(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, 3 * WIDTH}, parts[] = {-1, LENGTH, 3, HEADS, SIZE};
    value *x = reshape(t, input(t, "x", BNR_FLOAT, batch, 3, dims), 5, parts), *part[3];
    x = transpose(t, x, INTS(2, 0, 3, 1, 4));
    for (int i = 0; i < 3; i++)
        part[i] = op(t, "Gather", x, scalar_int(t, i == 2 ? -1 : i));
    value *root = number(t, 0, powf(SIZE, -0.25f));
    value *k = op(t, "Mul", transpose(t, part[1], INTS(0, 1, 3, 2)), root);
    value *y = attend(t, op(t, "Mul", root, part[0]), k, part[2]);
    const int64_t flat[] = {-1, LENGTH, WIDTH};
    mb_output(&t->b, reshape(t, transpose(t, y, INTS(0, 2, 1, 3)), 3, flat));
}

static value *heads_of(struct net *t, value *x, bool turned) {
    const int64_t dims[] = {-1, LENGTH, HEADS, SIZE};
    x = reshape(t, x, 4, dims);
    return turned ? transpose(t, x, INTS(0, 2, 3, 1)) : transpose(t, x, INTS(0, 2, 1, 3));
}

// Three inputs, the scores divided, a mask of [batch, 1, 1, length]: BERT.
static void bert(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, WIDTH}, mask_dims[] = {batch, 1, 1, LENGTH};
    value *q = input(t, "q", BNR_FLOAT, batch, 3, dims),
          *k = input(t, "k", BNR_FLOAT, batch, 3, dims);
    value *v = input(t, "v", BNR_FLOAT, batch, 3, dims);
    value *mask = input(t, "mask", BNR_FLOAT, batch, 4, mask_dims);
    value *s = op(t, "MatMul", heads_of(t, q, false), heads_of(t, k, true));
    s = op(t, "Add", op(t, "Div", s, number(t, 0, sqrtf(SIZE))), mask);
    value *y = op(t, "MatMul", softmax(t, s, 3), heads_of(t, v, false));
    const int64_t flat[] = {-1, LENGTH, WIDTH};
    mb_output(&t->b, reshape(t, transpose(t, y, INTS(0, 2, 1, 3)), 3, flat));
}

// Split, Squeeze, and a constant bias for each head in front of what is masked: Swin.
static void swin(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, 3, HEADS, SIZE};
    const int64_t bias[] = {1, HEADS, LENGTH, LENGTH}, axis[] = {0};
    value *x = transpose(t, input(t, "x", BNR_FLOAT, batch, 5, dims), INTS(2, 0, 3, 1, 4)),
          *part[3];
    struct bnr_node *n;
    assert_int_equal(bnr__node_new(&n, t->b.graph, NULL, "", "Split", NULL, 1, &x, 3, &t->b.err),
                     BNR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bnr__value_new(&part[i], t->b.graph, NULL, &t->b.err), BNR_OK);
        bnr__node_set_output(n, i, part[i]);
    }
    for (int i = 0; i < 3; i++)
        part[i] = op(t, "Squeeze", part[i], ints(t, 1, axis));
    value *q = op(t, "Mul", part[0], number(t, 1, 0.35f));
    value *s = op(t, "MatMul", q, transpose(t, part[1], INTS(0, 1, 3, 2)));
    s = op(t, "Add", mb_weights(&t->b, 4, bias), s);
    mb_output(&t->b, op(t, "MatMul", softmax(t, s, -1), part[2]));
}

// Heads beside the batch in one dim, which no step leads through: OPT.
static value *beside_batch(struct net *t, value *x) {
    const int64_t dims[] = {-1, LENGTH, SIZE};
    return reshape(t, heads_of(t, x, false), 3, dims);
}

static void opt(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, WIDTH}, heads[] = {-1, HEADS, LENGTH, SIZE};
    value *q = input(t, "q", BNR_FLOAT, batch, 3, dims);
    value *k = input(t, "k", BNR_FLOAT, batch, 3, dims);
    value *v = input(t, "v", BNR_FLOAT, batch, 3, dims);
    k = transpose(t, beside_batch(t, k), INTS(0, 2, 1));
    value *y = attend(t, beside_batch(t, q), k, beside_batch(t, v));
    const int64_t flat[] = {-1, LENGTH, WIDTH};
    y = transpose(t, reshape(t, y, 4, heads), INTS(0, 2, 1, 3));
    mb_output(&t->b, reshape(t, y, 3, flat));
}

// Nothing to move: other lengths, one set of keys for all.
static void bare(struct net *t, int64_t batch) {
    const int64_t q[] = {batch, HEADS, 5, SIZE}, k[] = {batch, 1, SIZE, LENGTH},
                  v[] = {1, LENGTH, 11};
    value *in[] = {input(t, "q", BNR_FLOAT, batch, 4, q), input(t, "k", BNR_FLOAT, batch, 4, k),
                   input(t, "v", BNR_FLOAT, 0, 3, v)};
    mb_output(&t->b, attend(t, in[0], in[1], in[2]));
}

// ---- running ------------------------------------------------------------------------------------

struct outcome {
    struct bnr_tensor *out[2];
    int attention, steps;
};

static struct outcome run(struct net *t, const struct bnr_model *m, unsigned flags, const char *cpu,
                          int threads) {
    struct outcome o = {.attention = 0};
    struct bnr_session *s = mb_session(m, flags, cpu, threads);
    struct bnr_error err;
    if (bnr_run(s, (const bnr_tensor *const *)t->in, t->n_in, o.out, s->face->n_outputs, &err) !=
        BNR_OK)
        fail_msg("%s", err.message);
    const struct bnr_plan *plan = s->plans[0].first;
    o.steps = plan->n_steps;
    for (int i = 0; i < plan->n_steps; i++)
        o.attention += plan->steps[i].kernel && strncmp(plan->steps[i].kernel, "attention", 9) == 0;
    bnr_session_free(s);
    return o;
}

static void compare(const struct bnr_tensor *got, const struct bnr_tensor *want) {
    float most = 0;
    assert_int_equal(got->numel, want->numel);
    for (size_t i = 0; i < want->numel && want->dtype == BNR_FLOAT; i++)
        most = fmaxf(most, fabsf(want->f32[i]));
    for (size_t i = 0; i < want->numel && want->dtype == BNR_FLOAT; i++)
        if (!(fabsf(got->f32[i] - want->f32[i]) <= 4e-6f * most))
            fail_msg("element %zu is %g, expected %g", i, (double)got->f32[i],
                     (double)want->f32[i]);
}

static void release(struct outcome *o) {
    bnr_tensor_release(o->out[0]);
    bnr_tensor_release(o->out[1]);
}

typedef void build_fn(struct net *t, int64_t batch);

static void check(build_fn *build, int opset, int64_t batch, int attention, int steps) {
    static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};
    struct net t = {.n_in = 0};
    mb_begin(&t.b, opset, NULL);
    build(&t, batch);
    struct bnr_model *m = mb_end(&t.b);
    if (!m)
        fail_msg("%s", t.b.err.message);
    struct outcome want = run(&t, m, BNR_REFERENCE, NULL, 1);
    assert_int_equal(want.attention, 0);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        unsigned features;
        if (!bnr__cpu_level(levels[i], bnr__cpu_detect(), &features))
            continue; // not on this CPU
        struct outcome one = run(&t, m, 0, levels[i], 1), two = run(&t, m, 0, levels[i], 2);
        assert_int_equal(one.attention, attention);
        assert_int_equal(one.steps, steps);
        for (int k = 0; k < 2 && want.out[k]; k++) {
            compare(one.out[k], want.out[k]);
            assert_true(bnr__tensor_equal(one.out[k], two.out[k]));
        }
        release(&one);
        release(&two);
    }
    release(&want);
    for (size_t i = 0; i < t.n_in; i++)
        bnr_tensor_release(t.in[i]);
    bnr_model_free(m);
}

static void attention_is_one_step(void **state) {
    static build_fn *const builds[] = {torch_multihead, timm, bert, swin, opt, bare};
    for (size_t i = 0; i < sizeof builds / sizeof builds[0]; i++) {
        check(builds[i], 13, 1, 1, 1);
        check(builds[i], 17, 3, 1, 1);
    }
}

// Every allocation may fail, of what the session makes of the model and of its plan.
static void memory_may_run_out(void **state) {
    struct net t = {.n_in = 0};
    mb_begin(&t.b, 13, NULL);
    torch_multihead(&t, 2);
    struct bnr_model *m = mb_end(&t.b);
    struct outcome want = run(&t, m, 0, NULL, 1);
    enum bnr_status st = BNR_NO_MEMORY;
    for (long k = 0; st != BNR_OK; k++) {
        struct fault_alloc f;
        struct bnr_session *s = NULL;
        struct bnr_tensor *out = NULL;
        struct bnr_options options;
        bnr_options_init(&options);
        fault_alloc_init(&f, k);
        options.allocator = &f.allocator;
        options.threads = 1;
        st = bnr_session_create(&s, m, &options, NULL);
        if (st == BNR_OK)
            st = bnr_run(s, (const bnr_tensor *const *)t.in, t.n_in, &out, 1, NULL);
        assert_true(st == BNR_OK || st == BNR_NO_MEMORY);
        if (st == BNR_OK)
            assert_true(bnr__tensor_equal(out, want.out[0]));
        bnr_tensor_release(out);
        bnr_session_free(s);
        assert_int_equal(f.live_blocks, 0);
    }
    release(&want);
    bnr_tensor_release(t.in[0]);
    bnr_model_free(m);
}

// ---- and almost so ----------------------------------------------------------------------------

struct operands {
    value *q, *k, *v;
};

// [batch, 6, SIZE], [batch, SIZE, LENGTH], [batch, LENGTH, SIZE]
static struct operands operands(struct net *t, enum bnr_dtype dtype, int64_t batch) {
    const int64_t q[] = {batch, 6, SIZE}, k[] = {batch, SIZE, LENGTH}, v[] = {batch, LENGTH, SIZE};
    return (struct operands){input(t, "q", dtype, batch, 3, q), input(t, "k", dtype, batch, 3, k),
                             input(t, "v", dtype, batch, 3, v)};
}

static void doubles(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_DOUBLE, batch);
    mb_output(&t->b, attend(t, o.q, o.k, o.v));
}

static void scores_wanted(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *s = op(t, "MatMul", o.q, o.k);
    mb_output(&t->b, op(t, "MatMul", softmax(t, s, -1), o.v));
    mb_output(&t->b, s);
}

static void weights_read_twice(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *p = softmax(t, op(t, "MatMul", o.q, o.k), -1);
    mb_output(&t->b, op(t, "MatMul", p, o.v));
    mb_output(&t->b, op(t, "Tanh", p, NULL));
}

static void other_axis(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, op(t, "MatMul", softmax(t, op(t, "MatMul", o.q, o.k), 1), o.v));
}

// Before opset 13 softmax is over all axes from that one on.
static void several_axes(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *s = op(t, "MatMul", o.q, o.k);
    mb_output(&t->b, op(t, "MatMul", op(t, "Softmax", s, NULL), o.v));
}

static void weights_behind(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *p = softmax(t, op(t, "MatMul", o.q, o.k), -1);
    mb_output(&t->b, op(t, "MatMul", transpose(t, o.q, INTS(0, 2, 1)), p));
}

static void mask_scaled(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    const int64_t dims[] = {6, LENGTH};
    value *s = op(t, "Add", op(t, "MatMul", o.q, o.k), mb_weights(&t->b, 2, dims));
    s = op(t, "Mul", s, number(t, 0, 0.5f));
    mb_output(&t->b, op(t, "MatMul", softmax(t, s, -1), o.v));
}

static void what_is_no_attention_runs_as_written(void **state) {
    check(doubles, 13, 2, 0, 3);
    check(scores_wanted, 13, 2, 0, 3);
    check(weights_read_twice, 13, 2, 0, 4);
    check(other_axis, 13, 2, 0, 3);
    check(several_axes, 11, 2, 0, 3);
    check(weights_behind, 13, 2, 0, 4);
    check(mask_scaled, 13, 2, 0, 4);
}

static void mask_with_more_dims(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    const int64_t dims[] = {4, 1, 6, 1};
    value *s = op(t, "Add", op(t, "MatMul", o.q, o.k), mb_weights(&t->b, 4, dims));
    mb_output(&t->b, op(t, "MatMul", softmax(t, s, -1), o.v));
}

static void mask_with_fewer_dims(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    const int64_t dims[] = {2 * LENGTH};
    value *mask = slice(t, input(t, "mask", BNR_FLOAT, 0, 1, dims), 0, 3, LENGTH + 3, 1);
    value *s = op(t, "Add", mask, op(t, "MatMul", o.q, o.k));
    mb_output(&t->b, op(t, "MatMul", softmax(t, s, -1), o.v));
}

static void scale_with_more_dims(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, attend(t, op(t, "Mul", o.q, number(t, 4, 0.5f)), o.k, o.v));
}

static void scale_of_columns(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    const int64_t dims[] = {SIZE};
    mb_output(&t->b, attend(t, op(t, "Mul", o.q, mb_weights(&t->b, 1, dims)), o.k, o.v));
}

static void last_axis_of_four(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, HEADS, LENGTH, LENGTH};
    value *x = input(t, "x", BNR_FLOAT, batch, 4, dims), *y = op(t, "Tanh", x, NULL);
    mb_output(&t->b, op(t, "MatMul", softmax(t, op(t, "MatMul", x, y), 3), y));
}

static void what_goes_beside_attention(void **state) {
    check(mask_with_more_dims, 13, 2, 1, 1);
    check(mask_with_fewer_dims, 13, 2, 1, 2);
    check(scale_with_more_dims, 13, 2, 1, 2);
    check(scale_of_columns, 13, 2, 1, 2);
    check(last_axis_of_four, 11, 2, 1, 2);
}

// ---- what moves ---------------------------------------------------------------------------------

static void keys_wanted(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *k = transpose(t, o.v, INTS(0, 2, 1));
    mb_output(&t->b, attend(t, o.q, k, o.v));
    mb_output(&t->b, k);
}

static void keys_captured(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *k = transpose(t, o.v, INTS(0, 2, 1)), *none = NULL;
    const int64_t dims[] = {0};
    value *yes = input(t, "yes", BNR_BOOL, 0, 0, dims);
    value *y = op(t, "If", yes, none);
    for (int i = 0; i < 2; i++) {
        mb_enter(&t->b, y->producer);
        mb_output(&t->b, op(t, i ? "Tanh" : "Neg", k, NULL));
        mb_leave(&t->b, i ? "then_branch" : "else_branch");
    }
    mb_output(&t->b, attend(t, o.q, k, o.v));
    mb_output(&t->b, y);
}

static void columns_apart(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, attend(t, o.q, o.k, transpose(t, o.k, INTS(0, 2, 1))));
}

static void rows_backwards(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, attend(t, slice(t, o.q, 1, -1, INT64_MIN, -1), o.k, o.v));
}

static void rows_apart(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, attend(t, slice(t, o.q, 1, 1, 6, 2), o.k, o.v));
}

// As far as the kernel can read it: the first slice takes the columns apart.
static void some_of_the_way(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, 2 * SIZE};
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *x = slice(t, input(t, "x", BNR_FLOAT, batch, 3, dims), 2, 0, 2 * SIZE, 2);
    mb_output(&t->b, attend(t, slice(t, x, 1, 3, 10, 1), o.k, o.v));
}

static void result_read_twice(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    value *y = attend(t, o.q, o.k, o.v);
    mb_output(&t->b, transpose(t, y, INTS(0, 2, 1)));
    mb_output(&t->b, y);
}

static void result_cut(struct net *t, int64_t batch) {
    const struct operands o = operands(t, BNR_FLOAT, batch);
    mb_output(&t->b, slice(t, attend(t, o.q, o.k, o.v), 1, 1, 4, 1));
}

// The second one reads what the first one has written around a step that is gone.
static void one_behind_the_other(struct net *t, int64_t batch) {
    const int64_t dims[] = {batch, LENGTH, HEADS, SIZE};
    value *x = input(t, "x", BNR_FLOAT, batch, 4, dims);
    value *k = transpose(t, x, INTS(0, 2, 3, 1)), *v = transpose(t, x, INTS(0, 2, 1, 3));
    value *y = transpose(t, attend(t, v, k, v), INTS(0, 2, 1, 3));
    y = transpose(t, y, INTS(0, 2, 1, 3));
    mb_output(&t->b, transpose(t, attend(t, y, k, v), INTS(0, 2, 1, 3)));
}

static void what_nobody_else_reads_is_not_made(void **state) {
    check(keys_wanted, 13, 2, 1, 2);
    check(keys_captured, 13, 2, 1, 3);
    check(columns_apart, 13, 2, 1, 2);
    check(rows_backwards, 13, 2, 1, 2);
    check(rows_apart, 13, 2, 1, 1);
    check(some_of_the_way, 13, 2, 1, 2);
    check(result_read_twice, 13, 2, 1, 2);
    check(result_cut, 13, 2, 1, 2);
    check(one_behind_the_other, 13, 2, 2, 2);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_one_step),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(what_is_no_attention_runs_as_written),
        cmocka_unit_test(what_goes_beside_attention),
        cmocka_unit_test(what_nobody_else_reads_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
