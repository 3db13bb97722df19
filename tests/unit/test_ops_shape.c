// SPDX-License-Identifier: Apache-2.0
// Operators that move elements, on random shapes: for each output element the test says by a
// formula which input element it must be, and compares bytes. Elements are numbered, so that a
// wrong one shows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

enum { ROUNDS = 60, RANK = 4 };

static uint32_t state;

static uint32_t rnd(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * n >> 28);
}

struct shape {
    int rank;
    int64_t d[BNR_MAX_RANK];
};

static struct shape random_shape(int min_rank, int64_t largest) {
    struct shape s = {.rank = min_rank + (int)rnd((uint32_t)(RANK + 1 - min_rank))};
    for (int i = 0; i < s.rank; i++)
        s.d[i] = 1 + rnd((uint32_t)largest);
    return s;
}

// An input whose element i is i + 1, in dtypes of every size.
static void numbered(struct ops_test *t, struct shape s) {
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_INT64, BNR_UINT16, BNR_INT8, BNR_DOUBLE};
    double values[20000];
    size_t n = 1;
    for (int i = 0; i < s.rank; i++)
        n *= (size_t)s.d[i];
    assert_true(n < 20000);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)(i % 127 + 1);
    ops_test_in_as(t, dtypes[rnd(5)], s.rank, s.d, values);
}

static void int_input(struct ops_test *t, const int64_t *v, int n) {
    double values[64];
    for (int i = 0; i < n; i++)
        values[i] = (double)v[i];
    ops_test_in_as(t, BNR_INT64, 1, (const int64_t[]){n}, values);
}

static bool next_index(int rank, const int64_t *dims, int64_t *index) {
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < dims[i])
            return true;
        index[i] = 0;
    }
    return false;
}

// in[] from out[]; false: the element is not from the input but zero.
typedef bool source_fn(const void *cx, const int64_t *out, int64_t *in);

static void check(const struct ops_test *t, int output, source_fn *source, const void *cx) {
    const struct bnr_tensor *x = t->in[0], *y = t->out[output];
    const size_t size = bnr__dtype_size(x->dtype);
    static const uint8_t zero[16];
    int64_t out[BNR_MAX_RANK] = {0};
    assert_int_equal(x->dtype, y->dtype);
    if (y->numel == 0)
        return;
    size_t at = 0;
    do {
        int64_t in[BNR_MAX_RANK] = {0};
        const void *want = zero;
        if (source(cx, out, in)) {
            size_t from = 0;
            for (int i = 0; i < x->rank; i++) {
                assert_true(in[i] >= 0 && in[i] < x->dims[i]);
                from = from * (size_t)x->dims[i] + (size_t)in[i];
            }
            want = x->u8 + from * size;
        }
        assert_memory_equal(y->u8 + at++ * size, want, size);
    } while (next_index(y->rank, y->dims, out));
    assert_int_equal(at, y->numel);
}

// ---- Transpose ----------------------------------------------------------------------------------

struct permuted {
    int rank;
    int64_t perm[BNR_MAX_RANK];
};

static bool from_permuted(const void *cx, const int64_t *out, int64_t *in) {
    const struct permuted *p = cx;
    for (int i = 0; i < p->rank; i++)
        in[p->perm[i]] = out[i];
    return true;
}

static void test_transpose(void **unused) {
    state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct ops_test t;
        const struct shape s = random_shape(0, round % 2 ? 9 : 5);
        struct permuted p = {.rank = s.rank};
        for (int i = 0; i < s.rank; i++)
            p.perm[i] = s.rank - 1 - i;
        ops_test_begin(&t, "Transpose", round % 2 ? 13 : 1, 1);
        numbered(&t, s);
        if (rnd(4)) {
            for (int i = s.rank - 1; i > 0; i--) {
                const uint32_t j = rnd((uint32_t)i + 1);
                const int64_t k = p.perm[i];
                p.perm[i] = p.perm[j];
                p.perm[j] = k;
            }
            bnr__node_set_attr_ints(t.node, "perm", p.perm, (size_t)s.rank);
        }
        ops_test_ok(&t);
        for (int i = 0; i < s.rank; i++)
            assert_int_equal(t.out[0]->dims[i], s.d[p.perm[i]]);
        check(&t, 0, from_permuted, &p);
        ops_test_end(&t);
    }
}

// ---- Slice --------------------------------------------------------------------------------------

struct sliced {
    int rank;
    int64_t start[BNR_MAX_RANK], step[BNR_MAX_RANK];
};

static bool from_sliced(const void *cx, const int64_t *out, int64_t *in) {
    const struct sliced *p = cx;
    for (int i = 0; i < p->rank; i++)
        in[i] = p->start[i] + out[i] * p->step[i];
    return true;
}

// Python's rules, one index after the other.
static int64_t count_slice(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first) {
    int64_t n = 0;
    start = start < 0 ? start + dim : start;
    end = end < 0 ? end + dim : end;
    if (step > 0 && start < 0)
        start = 0;
    if (step < 0 && start > dim - 1)
        start = dim - 1;
    *first = start;
    for (int64_t i = start; step > 0 ? i < end && i < dim : i > end && i >= 0; i += step)
        n++;
    return n;
}

static void test_slice(void **unused) {
    static const int opsets[] = {1, 9, 10, 11, 13};
    state = 2;
    for (int round = 0; round < 4 * ROUNDS; round++) {
        const int opset = opsets[rnd(5)];
        const bool old = opset < 10;
        struct ops_test t;
        const struct shape s = random_shape(1, 7);
        struct sliced p = {.rank = s.rank};
        int64_t starts[RANK], ends[RANK], axes[RANK], steps[RANK], dims[BNR_MAX_RANK];
        int n = 0;
        for (int i = 0; i < s.rank; i++) {
            p.step[i] = 1;
            dims[i] = s.d[i];
            if (rnd(4) == 0)
                continue;
            axes[n] = rnd(2) && opset >= 11 ? i - s.rank : i;
            steps[n] = old ? 1 : (int64_t)rnd(7) - 3;
            steps[n] = steps[n] ? steps[n] : 1;
            starts[n] = (int64_t)rnd(20) - 10;
            ends[n] = rnd(5) ? (int64_t)rnd(20) - 10 : steps[n] < 0 ? INT64_MIN : INT64_MAX;
            // A negative end beyond the front means "to the front" only when stepping back.
            if (starts[n] < -s.d[i] && steps[n] < 0)
                starts[n] = -s.d[i];
            p.step[i] = steps[n];
            dims[i] = count_slice(s.d[i], starts[n], ends[n], steps[n], &p.start[i]);
            n++;
        }
        if (n == 0)
            continue;
        ops_test_begin(&t, "Slice", opset, 1);
        numbered(&t, s);
        if (old) {
            bnr__node_set_attr_ints(t.node, "starts", starts, (size_t)n);
            bnr__node_set_attr_ints(t.node, "ends", ends, (size_t)n);
            bnr__node_set_attr_ints(t.node, "axes", axes, (size_t)n);
        } else {
            const int64_t *const lists[] = {starts, ends, axes, steps};
            for (int i = 0; i < 4; i++) {
                int_input(&t, lists[i], n);
                memcpy(t.in[1 + i]->data, lists[i],
                       (size_t)n * sizeof(int64_t)); // beyond double's range
            }
        }
        ops_test_ok(&t);
        ops_test_dims(&t, 0, s.rank, dims);
        check(&t, 0, from_sliced, &p);
        ops_test_end(&t);
    }
}

// There is no first element to begin with, however far the end is.
static void test_slice_of_nothing(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Slice", 13, 1);
    ops_test_in(&t, DIMS(2, 0), NULL);
    int_input(&t, (int64_t[]){-1}, 1);
    int_input(&t, (int64_t[]){-100}, 1);
    int_input(&t, (int64_t[]){1}, 1);
    int_input(&t, (int64_t[]){-1}, 1);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 0));
    ops_test_end(&t);
}

// ---- Concat and Split ---------------------------------------------------------------------------

static void test_concat_split(void **unused) {
    state = 3;
    for (int round = 0; round < ROUNDS; round++) {
        struct ops_test split, concat;
        struct shape s = random_shape(1, 6);
        const int axis = (int)rnd((uint32_t)s.rank), n = 1 + (int)rnd(4);
        int64_t sizes[4];
        s.d[axis] = 0;
        for (int i = 0; i < n; i++)
            s.d[axis] += sizes[i] = rnd(4);
        ops_test_begin(&split, "Split", round % 3 == 0 ? 2 : round % 3 == 1 ? 13 : 18, n);
        numbered(&split, s);
        bnr__node_set_attr_int(split.node, "axis", axis);
        if (round % 3 == 0)
            bnr__node_set_attr_ints(split.node, "split", sizes, (size_t)n);
        else
            int_input(&split, sizes, n);
        ops_test_ok(&split);
        struct sliced p = {.rank = s.rank};
        for (int i = 0; i < s.rank; i++)
            p.step[i] = 1;
        ops_test_begin(&concat, "Concat", 13, 1);
        bnr__node_set_attr_int(concat.node, "axis", axis - s.rank);
        for (int i = 0; i < n; i++) {
            check(&split, i, from_sliced, &p);
            p.start[axis] += sizes[i];
            ops_test_in_as(&concat, split.in[0]->dtype, split.out[i]->rank, split.out[i]->dims,
                           NULL);
            memcpy(concat.in[i]->data, split.out[i]->data, split.out[i]->nbytes);
        }
        ops_test_ok(&concat);
        assert_true(bnr__tensor_equal(concat.out[0], split.in[0]));
        ops_test_end(&split);
        ops_test_end(&concat);
    }
}

static void test_split_equal(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Split", 18, 4);
    ops_test_in(&t, DIMS(7), NULL);
    bnr__node_set_attr_int(t.node, "num_outputs", 4);
    ops_test_ok(&t);
    for (int i = 0; i < 4; i++)
        assert_int_equal(t.out[i]->dims[0], i < 3 ? 2 : 1);
    assert_true(ops_test_y(&t, 3, 0) == ops_test_x(&t, 0, 6));
    ops_test_end(&t);
    ops_test_begin(&t, "Split", 13, 2);
    ops_test_in(&t, DIMS(4, 2), NULL);
    ops_test_unwanted(&t, 0);
    ops_test_ok(&t);
    ops_test_dims(&t, 1, DIMS(2, 2));
    assert_true(ops_test_y(&t, 1, 0) == ops_test_x(&t, 0, 4));
    ops_test_end(&t);
}

// ---- Expand and Tile ----------------------------------------------------------------------------

struct repeated {
    int rank, skip; // dims; leading ones that the input does not have
    int64_t dims[BNR_MAX_RANK];
};

static bool from_repeated(const void *cx, const int64_t *out, int64_t *in) {
    const struct repeated *p = cx;
    for (int i = 0; i < p->rank; i++)
        in[i] = out[i + p->skip] % p->dims[i];
    return true;
}

static void test_expand_tile(void **unused) {
    state = 4;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        struct ops_test t;
        const bool expand = round % 2;
        struct shape s = random_shape(0, 4);
        struct repeated p = {.rank = s.rank, .skip = expand ? (int)rnd(3) : 0};
        int64_t list[BNR_MAX_RANK], dims[BNR_MAX_RANK];
        for (int i = 0; i < s.rank + p.skip; i++) {
            const int k = i - p.skip;
            if (k >= 0 && expand && rnd(2))
                s.d[k] = 1;
            const int64_t d = k < 0 ? 1 : s.d[k];
            list[i] = expand && d != 1 ? (rnd(2) ? 1 : d) : rnd(10) ? 1 + rnd(4) : 0;
            dims[i] = expand ? (d == 1 ? list[i] : d) : d * list[i];
            if (k >= 0)
                p.dims[k] = d;
        }
        ops_test_begin(&t, expand ? "Expand" : "Tile", 13, 1);
        numbered(&t, s);
        int_input(&t, list, s.rank + p.skip);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, s.rank + p.skip, dims);
        check(&t, 0, from_repeated, &p);
        ops_test_end(&t);
    }
}

static void test_tile_1(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Tile", 1, 1);
    ops_test_in(&t, DIMS(2, 3), NULL);
    ops_test_in(&t, 1, (const int64_t[]){1}, (const double[]){2});
    ops_test_in(&t, 1, (const int64_t[]){1}, (const double[]){1});
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 6));
    const struct repeated p = {.rank = 2, .dims = {2, 3}};
    check(&t, 0, from_repeated, &p);
    ops_test_end(&t);
}

// ---- Pad ----------------------------------------------------------------------------------------

struct padded {
    int rank, mode;
    int64_t before[BNR_MAX_RANK], cut[BNR_MAX_RANK],
        n[BNR_MAX_RANK]; // cut: at the front; n: what is left
};

// Walks from the first element to index i, turning round at the ends.
static int64_t reflected(int64_t i, int64_t n) {
    int64_t at = 0, step = i < 0 ? -1 : 1;
    for (int64_t k = i < 0 ? -i : i; k > 0 && n > 1; k--) {
        if (at + step < 0 || at + step >= n)
            step = -step;
        at += step;
    }
    return at;
}

static bool from_padded(const void *cx, const int64_t *out, int64_t *in) {
    const struct padded *p = cx;
    for (int d = 0; d < p->rank; d++) {
        int64_t i = out[d] - p->before[d];
        const bool outside = i < 0 || i >= p->n[d];
        if (outside && p->mode == 0)
            return false;
        if (outside && p->mode == 1)
            i = reflected(i, p->n[d]);
        else if (outside && p->mode == 2)
            i = i < 0 ? 0 : p->n[d] - 1;
        while (i < 0)
            i += p->n[d];
        while (i >= p->n[d])
            i -= p->n[d];
        in[d] = i + p->cut[d];
    }
    return true;
}

static void test_pad(void **unused) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const int opsets[] = {2, 11, 13, 18, 25};
    state = 5;
    for (int round = 0; round < 4 * ROUNDS; round++) {
        struct ops_test t;
        const int opset = opsets[rnd(5)];
        struct padded p = {.mode = (int)rnd(opset >= 19 ? 4 : 3)};
        const struct shape s = random_shape(1, 5);
        int64_t pads[2 * RANK], axes[RANK];
        int n = 0;
        p.rank = s.rank;
        for (int i = 0; i < s.rank; i++) {
            p.n[i] = s.d[i];
            if (opset < 18 || rnd(2))
                axes[n++] = rnd(2) && opset >= 18 ? i - s.rank : i;
        }
        for (int k = 0; k < n; k++) {
            const int d = (int)(axes[k] < 0 ? axes[k] + s.rank : axes[k]);
            pads[k] = (int64_t)rnd(6) - 1;
            pads[n + k] = (int64_t)rnd(6) - 1;
            if (s.d[d] < 3) // something must be left
                pads[k] = pads[k] < 0 ? 0 : pads[k];
            if (s.d[d] < 2)
                pads[n + k] = pads[n + k] < 0 ? 0 : pads[n + k];
            p.before[d] = pads[k] > 0 ? pads[k] : 0;
            p.cut[d] = pads[k] < 0 ? 1 : 0;
            p.n[d] -= (pads[k] < 0) + (pads[n + k] < 0);
        }
        ops_test_begin(&t, "Pad", opset, 1);
        bnr__node_set_attr_string(t.node, "mode", modes[p.mode]);
        numbered(&t, s);
        if (opset < 11)
            bnr__node_set_attr_ints(t.node, "pads", pads, (size_t)(2 * n));
        else
            int_input(&t, pads, 2 * n);
        if (opset >= 18) {
            ops_test_omit(&t);
            int_input(&t, axes, n);
        }
        ops_test_ok(&t);
        check(&t, 0, from_padded, &p);
        ops_test_end(&t);
    }
}

static void test_pad_value(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Pad", 2, 1);
    ops_test_in_as(&t, BNR_FLOAT16, DIMS(1), (const double[]){3});
    bnr__node_set_attr_ints(t.node, "pads", INTS(1, 2));
    bnr__node_set_attr_float(t.node, "value", 0.5f);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (const double[]){0.5, 3, 0.5, 0.5}, 4, 0);
    ops_test_end(&t);
    ops_test_begin(&t, "Pad", 11, 1);
    ops_test_in_as(&t, BNR_INT32, DIMS(1), (const double[]){3});
    int_input(&t, (const int64_t[]){0, 1}, 2);
    ops_test_in_as(&t, BNR_INT32, 0, NULL, (const double[]){-7});
    ops_test_ok(&t);
    ops_test_near(&t, 0, (const double[]){3, -7}, 2, 0);
    ops_test_end(&t);
}

// ---- DepthToSpace and SpaceToDepth --------------------------------------------------------------

struct blocks {
    int64_t b, c; // c: channels of the side with fewer
    bool crd;
};

static bool from_depth(const void *cx, const int64_t *out, int64_t *in) {
    const struct blocks *p = cx;
    const int64_t row = out[2] % p->b, column = out[3] % p->b;
    in[0] = out[0];
    in[1] = p->crd ? (out[1] * p->b + row) * p->b + column : (row * p->b + column) * p->c + out[1];
    in[2] = out[2] / p->b;
    in[3] = out[3] / p->b;
    return true;
}

static bool from_space(const void *cx, const int64_t *out, int64_t *in) {
    const struct blocks *p = cx;
    in[0] = out[0];
    in[1] = out[1] % p->c;
    in[2] = out[2] * p->b + out[1] / p->c / p->b;
    in[3] = out[3] * p->b + out[1] / p->c % p->b;
    return true;
}

static void test_depth_space(void **unused) {
    state = 6;
    for (int round = 0; round < ROUNDS; round++) {
        struct ops_test t;
        const bool to_space = round % 2;
        struct blocks p = {.b = 1 + rnd(3), .c = 1 + rnd(4), .crd = round % 4 == 1};
        const int64_t n = 1 + rnd(2), h = 1 + rnd(4), w = 1 + rnd(4);
        struct shape deep = {4, {n, p.c * p.b * p.b, h, w}}, wide = {4, {n, p.c, h * p.b, w * p.b}};
        ops_test_begin(&t, to_space ? "DepthToSpace" : "SpaceToDepth", p.crd ? 11 : 1, 1);
        bnr__node_set_attr_int(t.node, "blocksize", p.b);
        if (p.crd)
            bnr__node_set_attr_string(t.node, "mode", "CRD");
        numbered(&t, to_space ? deep : wide);
        ops_test_ok(&t);
        ops_test_dims(&t, 0, 4, to_space ? wide.d : deep.d);
        check(&t, 0, to_space ? from_depth : from_space, &p);
        ops_test_end(&t);
    }
}

// ---- views --------------------------------------------------------------------------------------

static void same_elements(struct ops_test *t, int rank, const int64_t *dims) {
    ops_test_ok(t);
    ops_test_dims(t, 0, rank, dims);
    assert_memory_equal(t->out[0]->data, t->in[0]->data, t->in[0]->nbytes);
    ops_test_end(t);
}

static void test_reshape(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Reshape", 1, 1);
    ops_test_in(&t, DIMS(2, 3, 4), NULL);
    bnr__node_set_attr_ints(t.node, "shape", INTS(0, -1));
    same_elements(&t, DIMS(2, 12));
    ops_test_begin(&t, "Reshape", 5, 1);
    ops_test_in(&t, DIMS(2, 3, 4), NULL);
    int_input(&t, (const int64_t[]){4, -1, 1, 2}, 4);
    same_elements(&t, DIMS(4, 3, 1, 2));
    ops_test_begin(&t, "Reshape", 14, 1);
    ops_test_in(&t, DIMS(0, 3), NULL);
    int_input(&t, (const int64_t[]){3, 0}, 2);
    bnr__node_set_attr_int(t.node, "allowzero", 1);
    same_elements(&t, DIMS(3, 0));
    ops_test_begin(&t, "Reshape", 13, 1); // a batch of nothing keeps its other dims
    ops_test_in(&t, DIMS(0, 3, 4), NULL);
    int_input(&t, (const int64_t[]){0, -1}, 2);
    same_elements(&t, DIMS(0, 12));
    ops_test_begin(&t, "Reshape", 13, 1);
    ops_test_in(&t, DIMS(1, 1), NULL);
    int_input(&t, NULL, 0);
    same_elements(&t, 0, NULL);
}

static void test_squeeze_unsqueeze_flatten(void **unused) {
    struct ops_test t;
    ops_test_begin(&t, "Squeeze", 11, 1);
    ops_test_in(&t, DIMS(1, 3, 1, 5), NULL);
    bnr__node_set_attr_ints(t.node, "axes", INTS(-2));
    same_elements(&t, DIMS(1, 3, 5));
    ops_test_begin(&t, "Squeeze", 13, 1);
    ops_test_in(&t, DIMS(1, 3, 1, 5), NULL);
    same_elements(&t, DIMS(3, 5));
    ops_test_begin(&t, "Squeeze", 21, 1);
    ops_test_in(&t, DIMS(1, 3, 1, 5), NULL);
    int_input(&t, (const int64_t[]){2, 0}, 2);
    same_elements(&t, DIMS(3, 5));
    ops_test_begin(&t, "Unsqueeze", 1, 1);
    ops_test_in(&t, DIMS(3, 5), NULL);
    bnr__node_set_attr_ints(t.node, "axes", INTS(0, 2));
    same_elements(&t, DIMS(1, 3, 1, 5));
    ops_test_begin(&t, "Unsqueeze", 13, 1);
    ops_test_in(&t, DIMS(3, 5), NULL);
    int_input(&t, (const int64_t[]){-1, 1}, 2);
    same_elements(&t, DIMS(3, 1, 5, 1));
    for (int axis = -3; axis <= 3; axis++) {
        const int cut = axis < 0 ? axis + 3 : axis;
        const int64_t dims[] = {2, 3, 4};
        int64_t want[2] = {1, 1};
        for (int i = 0; i < 3; i++)
            want[i >= cut] *= dims[i];
        ops_test_begin(&t, "Flatten", 11, 1);
        ops_test_in(&t, 3, dims, NULL);
        bnr__node_set_attr_int(t.node, "axis", axis);
        same_elements(&t, 2, want);
    }
}

// ---- made of dims and numbers -------------------------------------------------------------------

static void test_shape_size(void **unused) {
    static const struct {
        int opset;
        int64_t start, end;
        int n;
        double want[3];
    } cases[] = {
        {1, 0, 3, 3, {2, 3, 4}}, {15, 1, 3, 2, {3, 4}}, {15, -1, 9, 1, {4}},
        {19, 0, -1, 2, {2, 3}},  {25, 2, 1, 0, {0}},    {13, 1, 2, 3, {2, 3, 4}}, // not before 15
        {15, -9, 1, 1, {2}},
    };
    struct ops_test t;
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        ops_test_begin(&t, "Shape", cases[i].opset, 1);
        ops_test_in(&t, DIMS(2, 3, 4), NULL);
        bnr__node_set_attr_int(t.node, "start", cases[i].start);
        bnr__node_set_attr_int(t.node, "end", cases[i].end);
        ops_test_ok(&t);
        ops_test_near(&t, 0, cases[i].want, (size_t)cases[i].n, 0);
        ops_test_end(&t);
    }
    ops_test_begin(&t, "Size", 13, 1);
    ops_test_in(&t, DIMS(2, 3, 4), NULL);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, 0, NULL);
    ops_test_near(&t, 0, (const double[]){24}, 1, 0);
    ops_test_end(&t);
}

static void range_case(enum bnr_dtype dtype, double start, double limit, double delta, size_t n,
                       const double *want) {
    struct ops_test t;
    ops_test_begin(&t, "Range", dtype == BNR_FLOAT16 ? 27 : 11, 1);
    ops_test_in_as(&t, dtype, 0, NULL, &start);
    ops_test_in_as(&t, dtype, 0, NULL, &limit);
    ops_test_in_as(&t, dtype, 0, NULL, &delta);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, 1, (const int64_t[]){(int64_t)n});
    ops_test_near(&t, 0, want, n, 0);
    ops_test_end(&t);
}

static void test_range(void **unused) {
    range_case(BNR_INT64, 3, 9, 3, 2, (const double[]){3, 6});
    range_case(BNR_INT32, 10, 4, -2, 3, (const double[]){10, 8, 6});
    range_case(BNR_INT16, 5, 5, 1, 0, NULL);
    range_case(BNR_INT64, 5, 9, -1, 0, NULL);
    range_case(BNR_FLOAT, 1, 2, 0.25, 4, (const double[]){1, 1.25, 1.5, 1.75});
    range_case(BNR_DOUBLE, 0, 1, 0.1, 10,
               (const double[]){0, 0.1, 0.2, 0.1 * 3, 0.4, 0.5, 0.1 * 6, 0.1 * 7, 0.8, 0.9});
    range_case(BNR_FLOAT16, 2046, 2050, 1, 4,
               (const double[]){2046, 2047, 2048, 2048}); // rounds, does not stick
}

static void test_constant_of_shape(void **unused) {
    struct ops_test t;
    struct bnr_tensor *value;
    ops_test_begin(&t, "ConstantOfShape", 9, 1);
    int_input(&t, (const int64_t[]){2, 3}, 2);
    ops_test_ok(&t);
    ops_test_dims(&t, 0, DIMS(2, 3));
    assert_int_equal(t.out[0]->dtype, BNR_FLOAT);
    for (size_t i = 0; i < 6; i++)
        assert_true(ops_test_y(&t, 0, i) == 0);
    ops_test_end(&t);
    ops_test_begin(&t, "ConstantOfShape", 20, 1);
    int_input(&t, (const int64_t[]){3}, 1);
    assert_int_equal(bnr__tensor_new(&value, NULL, BNR_INT16, 1, (const int64_t[]){1}, NULL),
                     BNR_OK);
    value->i16[0] = -5;
    assert_int_equal(bnr__node_set_attr_tensor(t.node, "value", value), BNR_OK);
    ops_test_ok(&t);
    ops_test_near(&t, 0, (const double[]){-5, -5, -5}, 3, 0);
    ops_test_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_slice_of_nothing),
        cmocka_unit_test(test_concat_split),
        cmocka_unit_test(test_split_equal),
        cmocka_unit_test(test_expand_tile),
        cmocka_unit_test(test_tile_1),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_pad_value),
        cmocka_unit_test(test_depth_space),
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_squeeze_unsqueeze_flatten),
        cmocka_unit_test(test_shape_size),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_constant_of_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
