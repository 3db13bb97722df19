// SPDX-License-Identifier: Apache-2.0
// Blocked tensors in plans: random convolutional networks at every CPU level against the reference,
// with the planned memory poisoned through the lanes that are no channels, and small forms of known
// networks, of which the reorders are counted.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/exec.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

typedef struct bnr_value value;

static uint64_t seed, first_seed; // first_seed is printed by failures

static unsigned draw(unsigned below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static const char *const levels[] = {"generic", "avx2", "avx512", "neon"};

// ---- building networks --------------------------------------------------------------------------

static void set_int(value *v, const char *name, int64_t x) {
    if (v)
        bnr__node_set_attr_int(v->producer, name, x);
}

static void set_ints(value *v, const char *name, int n, const int64_t *x) {
    if (v)
        bnr__node_set_attr_ints(v->producer, name, x, (size_t)n);
}

struct conv {
    int cin, cout, kernel, stride, pad, group;
};

// Weights small enough that sums do not grow from layer to layer.
static value *conv(struct model_builder *t, value *x, struct conv c) {
    const int cin = c.cin / c.group;
    value *w = mb_weights(t, DIMS(c.cout, cin, c.kernel, c.kernel)),
          *b = mb_weights(t, DIMS(c.cout));
    if (w)
        for (size_t i = 0; i < w->tensor->numel; i++)
            w->tensor->f32[i] *= 1.7f / sqrtf((float)(cin * c.kernel * c.kernel));
    value *y = mb_op(t, "Conv", x, w, b);
    set_int(y, "group", c.group);
    set_ints(y, "strides", DIMS(c.stride, c.stride));
    set_ints(y, "pads", DIMS(c.pad, c.pad, c.pad, c.pad));
    return y;
}

static value *pool(struct model_builder *t, const char *op, value *x, int kernel, int stride,
                   int pad) {
    value *y = mb_op(t, op, x, NULL, NULL);
    set_ints(y, "kernel_shape", DIMS(kernel, kernel));
    set_ints(y, "strides", DIMS(stride, stride));
    set_ints(y, "pads", DIMS(pad, pad, pad, pad));
    return y;
}

static value *unary(struct model_builder *t, const char *op, value *x) {
    return mb_op(t, op, x, NULL, NULL);
}

static value *conv_relu(struct model_builder *t, value *x, struct conv c) {
    return unary(t, "Relu", conv(t, x, c));
}

static value *concat(struct model_builder *t, value *a, value *b) {
    value *y = mb_op(t, "Concat", a, b, NULL);
    set_int(y, "axis", 1);
    return y;
}

// Pool, 1x1, 1x1, times.
static value *squeeze_excite(struct model_builder *t, value *x, int channels, int inner,
                             const char *gate) {
    value *s = unary(t, "GlobalAveragePool", x);
    s = conv_relu(t, s, (struct conv){channels, inner, 1, 1, 0, 1});
    s = unary(t, gate, conv(t, s, (struct conv){inner, channels, 1, 1, 0, 1}));
    return draw(2) ? mb_op(t, "Mul", x, s, NULL) : mb_op(t, "Mul", s, x, NULL);
}

// ---- runs ---------------------------------------------------------------------------------------

static struct bnr_session *session_of(const struct bnr_model *m, unsigned flags, const char *cpu,
                                      int threads) {
    struct bnr_session *s;
    struct bnr_error err;
    struct bnr_options o;
    bnr_options_init(&o);
    o.threads = threads;
    o.flags = flags;
    o.cpu = cpu;
    const enum bnr_status st = bnr_session_create(&s, m, &o, &err);
    if (st == BNR_OK)
        return s;
    if (!cpu)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, err.message);
    return NULL; // this CPU has no such level
}

static void run(struct bnr_session *s, struct bnr_tensor *in, struct bnr_tensor **out) {
    struct bnr_error err;
    const bnr_tensor *inputs[1] = {in};
    if (bnr_run(s, inputs, 1, out, s->face->n_outputs, &err) != BNR_OK)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, err.message);
}

// All memory of later runs begins as NaN, so lanes without channel that leak are seen.
static void poison(struct bnr_session *s) {
    for (struct bnr_memory *m = s->memory; m; m = m->next)
        memset(m->data, 0xff, m->size);
}

static void check_close(const struct bnr_tensor *got, const struct bnr_tensor *want,
                        const char *cpu) {
    float most = 1e-3f, worst = 0;
    assert_int_equal(got->numel, want->numel);
    for (size_t i = 0; i < want->numel; i++)
        most = fmaxf(most, fabsf(want->f32[i]));
    for (size_t i = 0; i < want->numel; i++) {
        const float d = fabsf(got->f32[i] - want->f32[i]);
        worst = d <= worst ? worst : d; // NaN, too
    }
    if (!(worst <= 2e-5f * most))
        fail_msg("seed %llu, %s: differs by %g of %g", (unsigned long long)first_seed, cpu,
                 (double)worst, (double)most);
}

// ---- random networks ----------------------------------------------------------------------------

enum { MAX_VALUES = 24 };

struct net {
    struct model_builder t;
    value *v[MAX_VALUES];
    int channels[MAX_VALUES], side[MAX_VALUES];
    int n;
};

static void add_value(struct net *net, value *v, int channels, int side) {
    if (net->n == MAX_VALUES)
        return;
    net->v[net->n] = v;
    net->channels[net->n] = channels;
    net->side[net->n++] = side;
}

static int some_channels(void) {
    static const int counts[] = {3, 8, 20, 24, 32, 40, 48, 64};
    return counts[draw(8)];
}

static void random_conv(struct net *net, int a) {
    static const int kernels[] = {1, 1, 3, 3, 5, 2};
    struct conv c = {.cin = net->channels[a], .cout = some_channels(), .group = 1};
    c.kernel = kernels[draw(6)];
    c.pad = (int)draw((unsigned)c.kernel);
    c.stride = 1 + (int)draw(2);
    if (draw(4) == 0) {
        c.group = c.cin;
        c.cout = c.cin;
    } else if (draw(4) == 0 && c.cin % 4 == 0 && c.cout % 4 == 0) {
        c.group = draw(2) ? 2 : 4;
    }
    const int room = net->side[a] + 2 * c.pad - c.kernel;
    if (room < 0)
        return;
    value *v = conv(&net->t, net->v[a], c);
    if (draw(2))
        v = unary(&net->t, draw(2) ? "Relu" : "HardSwish", v);
    add_value(net, v, c.cout, room / c.stride + 1);
}

static void random_pool(struct net *net, int a) {
    static const char *const ops[] = {"MaxPool", "AveragePool"};
    const int kernel = 2 + (int)draw(2), stride = 1 + (int)draw(2), pad = (int)draw(2);
    const int room = net->side[a] + 2 * pad - kernel;
    if (room < 0)
        return;
    value *v = pool(&net->t, ops[draw(2)], net->v[a], kernel, stride, pad);
    if (draw(2))
        set_int(v, "count_include_pad", (int)draw(2));
    if (draw(2))
        v = unary(&net->t, "Relu", v);
    add_value(net, v, net->channels[a], room / stride + 1);
}

// Scales and offsets per channel, and operands that broadcast in other ways.
static void random_affine(struct net *net, int a) {
    const int c = net->channels[a], side = net->side[a];
    value *v = net->v[a];
    v = mb_op(&net->t, "Mul", v, mb_weights(&net->t, DIMS(c, 1, 1)), NULL);
    v = mb_op(&net->t, draw(2) ? "Add" : "Sub", v, mb_weights(&net->t, DIMS(1, c, 1, 1)), NULL);
    const unsigned what = draw(6);
    if (what == 0)
        v = mb_op(&net->t, "Add", v, mb_weights(&net->t, DIMS(1, c, side, side)), NULL);
    else if (what == 1)
        v = mb_op(&net->t, "Sub", mb_weights(&net->t, DIMS(1)), v, NULL);
    else if (what == 2)
        v = mb_op(&net->t, "Mul", v, mb_weights(&net->t, DIMS(side, side)), NULL);
    else if (what == 3)
        v = mb_op(&net->t, "PRelu", v, mb_weights(&net->t, DIMS(c, 1, 1)), NULL);
    add_value(net, draw(2) ? unary(&net->t, "Relu", v) : v, c, side);
}

static void random_reshape(struct net *net, int a) {
    const int c = net->channels[a], side = net->side[a];
    const int64_t dims[4] = {0, c, side, side}, merged[3] = {0, c, side * side};
    value *v = mb_op(&net->t, "Reshape", net->v[a], mb_ints(&net->t, 3, merged), NULL);
    v = unary(&net->t, draw(2) ? "Relu" : "Softplus", v);
    add_value(net, mb_op(&net->t, "Reshape", v, mb_ints(&net->t, 4, dims), NULL), c, side);
}

// Padding, cutting, and enlarging.
static void random_pixels(struct net *net, int a) {
    static const char *const modes[] = {"constant", "edge", "reflect"};
    const int side = net->side[a];
    if (draw(2) == 0 || side < 4 || side > 20) {
        const int64_t front = (int64_t)draw(4) - 1, behind = draw(3);
        const int64_t pads[8] = {0, 0, front, front, 0, 0, behind, behind};
        value *v = mb_op(&net->t, "Pad", net->v[a], mb_ints(&net->t, 8, pads), NULL);
        if (v && side >= 4)
            bnr__node_set_attr_string(v->producer, "mode", modes[draw(3)]);
        if (side + front > 0)
            add_value(net, v, net->channels[a], side + (int)(front + behind));
        return;
    }
    value *scales = mb_weights(&net->t, DIMS(4));
    for (int i = 0; scales && i < 4; i++)
        scales->tensor->f32[i] = i < 2 ? 1 : 2;
    value *v = mb_op(&net->t, "Resize", net->v[a], NULL, scales);
    add_value(net, v, net->channels[a], side * 2);
}

static void random_node(struct net *net) {
    const int a = (int)draw((unsigned)net->n), b = (int)draw((unsigned)net->n);
    const bool same_side = net->side[a] == net->side[b];
    switch (draw(10)) {
    case 0:
        random_pool(net, a);
        break;
    case 1:
        random_affine(net, a);
        break;
    case 2:
        if (same_side && net->channels[a] == net->channels[b])
            add_value(net, mb_op(&net->t, "Add", net->v[a], net->v[b], NULL), net->channels[a],
                      net->side[a]);
        break;
    case 3:
        if (same_side && net->channels[a] + net->channels[b] < 120)
            add_value(net, concat(&net->t, net->v[a], net->v[b]),
                      net->channels[a] + net->channels[b], net->side[a]);
        break;
    case 4:
        add_value(net,
                  squeeze_excite(&net->t, net->v[a], net->channels[a], some_channels(),
                                 draw(2) ? "Sigmoid" : "HardSigmoid"),
                  net->channels[a], net->side[a]);
        break;
    case 5:
        if (draw(3) == 0)
            random_reshape(net, a);
        else
            random_pixels(net, a);
        break;
    default:
        random_conv(net, a);
    }
}

static struct bnr_model *random_network(int *batch, int *side, int *channels) {
    struct net net = {.n = 0};
    mb_begin(&net.t, 14, NULL);
    *batch = draw(3) ? 1 : 2;
    *side = 6 + (int)draw(15);
    *channels = draw(2) ? 3 : some_channels();
    add_value(&net, mb_input(&net.t, "x", BNR_FLOAT, DIMS(*batch, *channels, *side, *side)),
              *channels, *side);
    const int nodes = 2 + (int)draw(14);
    random_conv(&net, 0);
    for (int i = 0; i < nodes; i++)
        random_node(&net);
    value *last = net.v[net.n - 1];
    mb_output(&net.t,
              draw(3) ? last : unary(&net.t, "Flatten", unary(&net.t, "GlobalAveragePool", last)));
    if (draw(2))
        mb_output(&net.t, net.v[draw((unsigned)net.n)]);
    struct bnr_model *m = mb_end(&net.t);
    if (!m)
        fail_msg("seed %llu: %s", (unsigned long long)first_seed, net.t.err.message);
    return m;
}

struct tally {
    size_t blocked, reorders, views;
};

static bool is_reorder(const struct bnr_step *st) {
    return st->kernel && strncmp(st->kernel, "reorder", 7) == 0;
}

static void count_plan(struct tally *t, const struct bnr_plan *plan) {
    for (int s = 0; s < plan->n_steps; s++)
        t->reorders += is_reorder(&plan->steps[s]);
    for (int i = 0; i < plan->n_slots; i++) {
        t->blocked += plan->slots[i].lanes > 0;
        t->views += plan->slots[i].view_of >= 0;
    }
}

static void check_levels(const struct bnr_model *m, struct bnr_tensor *in, struct tally *t) {
    struct bnr_session *plain = session_of(m, BNR_REFERENCE, NULL, 1);
    const size_t n = plain->face->n_outputs;
    struct bnr_tensor *want[2] = {NULL}, *got[2] = {NULL}, *two[2] = {NULL};
    run(plain, in, want);
    for (size_t l = 0; l < BNR_COUNT(levels); l++) {
        struct bnr_session *s = session_of(m, 0, levels[l], 1);
        struct bnr_session *threads = session_of(m, 0, levels[l], 2);
        if (!s || !threads)
            continue;
        run(s, in, got);
        poison(s);
        run(s, in, got);
        run(threads, in, two);
        for (size_t k = 0; k < n; k++) {
            check_close(got[k], want[k], levels[l]);
            if (!bnr__tensor_equal(got[k], two[k]))
                fail_msg("seed %llu: two threads, other bits", (unsigned long long)first_seed);
        }
        count_plan(t, s->plans[0].first);
        bnr_session_free(s);
        bnr_session_free(threads);
    }
    for (size_t k = 0; k < n; k++) {
        bnr_tensor_release(want[k]);
        bnr_tensor_release(got[k]);
        bnr_tensor_release(two[k]);
    }
    bnr_session_free(plain);
}

static void random_networks(void **state) {
    struct tally t = {0};
    for (unsigned round = 0; round < 80; round++) {
        int batch, side, channels;
        seed = first_seed = round;
        struct bnr_model *m = random_network(&batch, &side, &channels);
        struct bnr_tensor *in = mb_tensor(BNR_FLOAT, DIMS(batch, channels, side, side), round);
        check_levels(m, in, &t);
        bnr_tensor_release(in);
        bnr_model_free(m);
    }
    assert_true(t.blocked > 300);
    assert_true(t.reorders > 100);
    assert_true(t.views > 100);
}

// ---- small forms of networks --------------------------------------------------------------------

enum { C = 48, SIDE = 20 };

static value *resnet(struct model_builder *t, value *x) {
    value *y = conv_relu(t, x, (struct conv){C, C, 3, 1, 1, 1});
    y = conv(t, y, (struct conv){C, C, 3, 1, 1, 1});
    x = unary(t, "Relu", mb_op(t, "Add", y, x, NULL));
    y = conv_relu(t, x, (struct conv){C, 2 * C, 3, 2, 1, 1});
    y = conv(t, y, (struct conv){2 * C, 2 * C, 3, 1, 1, 1});
    x = conv(t, x, (struct conv){C, 2 * C, 1, 2, 0, 1});
    return unary(t, "Relu", mb_op(t, "Add", y, x, NULL));
}

static value *pad_one(struct model_builder *t, value *x) {
    return mb_op(t, "Pad", x, mb_ints(t, 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}), NULL);
}

// Branches of whole blocks, and of others.
static value *inception(struct model_builder *t, value *x) {
    for (int part = 32; part >= 20; part -= 12) {
        const int c = part == 32 ? C : 3 * 32 + C;
        value *a = conv_relu(t, x, (struct conv){c, part, 1, 1, 0, 1});
        value *b = conv_relu(t, x, (struct conv){c, part, 3, 1, 1, 1});
        value *d = conv_relu(t, pool(t, "AveragePool", pad_one(t, x), 3, 1, 0),
                             (struct conv){c, part, 1, 1, 0, 1});
        value *m = pool(t, "MaxPool", part == 32 ? x : a, 3, 1, 1);
        x = concat(t, concat(t, a, b), concat(t, d, m));
    }
    return conv_relu(t, x, (struct conv){80, C, 3, 1, 1, 1});
}

// A larger Concat takes what a smaller one has; affine and activation in front of convolutions.
static value *densenet(struct model_builder *t, value *x) {
    value *all = x;
    for (int i = 0; i < 3; i++) {
        value *y = mb_op(t, "Mul", all, mb_weights(t, DIMS(C + 32 * i, 1, 1)), NULL);
        y = unary(t, "Relu", mb_op(t, "Add", y, mb_weights(t, DIMS(C + 32 * i, 1, 1)), NULL));
        y = conv_relu(t, y, (struct conv){C + 32 * i, 64, 1, 1, 0, 1});
        all = concat(t, all, conv(t, y, (struct conv){64, 32, 3, 1, 1, 1}));
    }
    return pool(t, "AveragePool", all, 2, 2, 0);
}

static value *mobilenet(struct model_builder *t, value *x) {
    value *y = conv_relu(t, x, (struct conv){C, 6 * C, 1, 1, 0, 1});
    y = unary(t, "HardSwish", conv(t, y, (struct conv){6 * C, 6 * C, 5, 1, 2, 6 * C}));
    y = squeeze_excite(t, y, 6 * C, 20, "HardSigmoid");
    y = conv(t, y, (struct conv){6 * C, C, 1, 1, 0, 1});
    return mb_op(t, "Add", x, y, NULL);
}

// x + x * scale, as PaddleOCR's feature pyramid has it.
static value *pyramid(struct model_builder *t, value *x) {
    x = conv_relu(t, x, (struct conv){C, 2 * C, 1, 1, 0, 1});
    x = mb_op(t, "Add", x, squeeze_excite(t, x, 2 * C, 12, "HardSigmoid"), NULL);
    return conv(t, x, (struct conv){2 * C, C, 3, 1, 1, 1});
}

static value *shuffle(struct model_builder *t, value *x, int channels, int groups) {
    const int64_t apart[] = {1, groups, channels / groups, SIDE, SIDE};
    const int64_t together[] = {1, channels, SIDE, SIDE};
    x = unary(t, "Transpose", mb_op(t, "Reshape", x, mb_ints(t, 5, apart), NULL));
    set_ints(x, "perm", DIMS(0, 2, 1, 3, 4));
    return mb_op(t, "Reshape", x, mb_ints(t, 4, together), NULL);
}

static value *dim_of(struct model_builder *t, value *x, int64_t axis) {
    value *d = mb_op(t, "Gather", unary(t, "Shape", x), mb_ints(t, 1, &axis), NULL);
    set_int(d, "axis", 0);
    return d;
}

static value *list_of(struct model_builder *t, value *a, value *b, value *c) {
    value *y = mb_op(t, "Concat", a, b, c);
    set_int(y, "axis", 0);
    return y;
}

// The same with the other sizes of x taken from it, as exporters spell it out where they are open.
static value *shuffle_by_shape(struct model_builder *t, value *x, int channels, int groups) {
    const int64_t apart[] = {groups, channels / groups}, together[] = {channels};
    value *batch = dim_of(t, x, 0), *sides = list_of(t, dim_of(t, x, 2), dim_of(t, x, 3), NULL);
    x = mb_op(t, "Reshape", x, list_of(t, batch, mb_ints(t, 2, apart), sides), NULL);
    x = unary(t, "Transpose", x);
    set_ints(x, "perm", DIMS(0, 2, 1, 3, 4));
    return mb_op(t, "Reshape", x, list_of(t, batch, mb_ints(t, 1, together), sides), NULL);
}

static value *shufflenet(struct model_builder *t, value *x) {
    for (int i = 0; i < 2; i++) {
        value *y = conv_relu(t, x, (struct conv){C, 20, 1, 1, 0, 1});
        y = conv(t, y, (struct conv){20, 20, 3, 1, 1, 20});
        y = concat(t, conv_relu(t, x, (struct conv){C, 28, 3, 1, 1, 1}), y);
        x = i ? shuffle_by_shape(t, y, C, 2) : shuffle(t, y, C, 2);
    }
    return conv_relu(t, x, (struct conv){C, C, 3, 1, 1, 2});
}

// open: height and width are known only when the network runs.
static void check_network(value *(*body)(struct model_builder *t, value *x), uint64_t from,
                          bool open) {
    struct model_builder t;
    struct tally tally = {0};
    seed = first_seed = from;
    mb_begin(&t, 14, NULL);
    value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(1, 3, open ? -1 : 2 * SIDE, open ? -2 : 2 * SIDE));
    x = conv_relu(&t, x, (struct conv){3, C, 3, 2, 1, 1});
    x = unary(&t, "GlobalAveragePool", body(&t, x));
    mb_output(&t, unary(&t, "Flatten", x));
    struct bnr_model *m = mb_end(&t);
    if (!m)
        fail_msg("network %llu: %s", (unsigned long long)from, t.err.message);
    struct bnr_tensor *in = mb_tensor(BNR_FLOAT, DIMS(1, 3, 2 * SIDE, 2 * SIDE), from);
    check_levels(m, in, &tally);
    struct bnr_session *s = session_of(m, 0, NULL, 1);
    struct bnr_tensor *out = NULL;
    run(s, in, &out);
    bnr_tensor_release(out);
    const struct bnr_plan *plan = s->plans[0].first;
    for (int i = 0; i < plan->n_steps; i++)
        if (!plan->steps[i].run)
            fail_msg("network %llu: '%s' by reference code", (unsigned long long)from,
                     plan->steps[i].node->label);
    for (int i = 0; i < plan->n_steps; i++) // a shuffle runs with the Concat in front of it
        assert_string_not_equal(plan->steps[i].node->op_type, "Reshape");
    assert_int_equal(tally.reorders, 0);
    bnr_session_free(s);
    bnr_tensor_release(in);
    bnr_model_free(m);
}

// No step between convolutions runs on plain tensors, or by reference code.
static void networks_without_reorders(void **state) {
    value *(*const bodies[])(struct model_builder *, value *) = {resnet,    inception, densenet,
                                                                 mobilenet, pyramid,   shufflenet};
    for (size_t i = 0; i < BNR_COUNT(bodies); i++)
        for (int open = 0; open < 2; open++)
            check_network(bodies[i], i, open);
}

// The parts of a Concat lie in it, and smaller ones in the last.
static void concat_copies_nothing(void **state) {
    struct model_builder t;
    mb_begin(&t, 14, NULL);
    value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(1, 3, 2 * SIDE, 2 * SIDE));
    x = conv_relu(&t, x, (struct conv){3, C, 3, 2, 1, 1});
    mb_output(&t, unary(&t, "GlobalAveragePool", densenet(&t, x)));
    struct bnr_model *m = mb_end(&t);
    assert_non_null(m);
    struct bnr_session *s = session_of(m, 0, NULL, 1);
    const struct bnr_plan *plan = s->plans[0].first;
    for (int i = 0; i < plan->n_steps; i++)
        assert_string_not_equal(plan->steps[i].node->op_type, "Concat");
    bnr_session_free(s);
    bnr_model_free(m);
}

// A kernel for blocked tensors maps the pixels of an output, which must not be asked for before it is
// known that there can be one.
static void huge_pads_are_refused(void **state) {
    struct model_builder t;
    mb_begin(&t, 6, NULL);
    value *y = mb_op(&t, "Pad", mb_input(&t, "x", BNR_FLOAT, DIMS(1, 3, 4, 4)), NULL, NULL);
    set_ints(y, "pads", DIMS(0, 0, 0, 0, 0, 0, INT64_MAX / 2, 0));
    mb_output(&t, y);
    struct bnr_model *m = mb_end(&t);
    struct bnr_session *s;
    struct bnr_error err;
    assert_non_null(m);
    assert_int_equal(bnr_session_create(&s, m, NULL, &err), BNR_SHAPE);
    assert_non_null(strstr(err.message, "larger than memory can be"));
    bnr_model_free(m);
}

int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_pads_are_refused),
        cmocka_unit_test(random_networks),
        cmocka_unit_test(networks_without_reorders),
        cmocka_unit_test(concat_copies_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
