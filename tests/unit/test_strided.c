// SPDX-License-Identifier: Apache-2.0
// Where elements lie after Reshape, Transpose and Slice, against lists of them all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/ops/lib/strided.h"
#include "tests/lib/kernel_test.h"

enum { MOST = 1296 };

// The same by hand: element i of the tensor is element at[i] of the other one.
struct list {
    int rank;
    int64_t dims[BNR_MAX_RANK], at[MOST];
    size_t n;
};

static void list_dense(struct list *l, int rank, const int64_t *dims) {
    l->rank = rank;
    l->n = 1;
    for (int d = 0; d < rank; d++)
        l->n *= (size_t)(l->dims[d] = dims[d]);
    for (size_t i = 0; i < l->n; i++)
        l->at[i] = (int64_t)i;
}

// Element index[] of the result is element from[] of l, for every index.
static void list_pick(struct list *l, const int64_t *dims, const int *axis_of, const int64_t *first,
                      const int64_t *step) {
    static struct list old;
    old = *l;
    l->n = 1;
    for (int d = 0; d < l->rank; d++)
        l->n *= (size_t)(l->dims[d] = dims[d]);
    for (size_t i = 0; i < l->n; i++) {
        int64_t from[BNR_MAX_RANK] = {0}, rest = (int64_t)i, place = 0;
        for (int d = l->rank - 1; d >= 0; d--) {
            from[axis_of[d]] = first[d] + rest % dims[d] * step[d];
            rest /= dims[d];
        }
        for (int d = 0; d < l->rank; d++)
            place = place * old.dims[d] + from[d];
        l->at[i] = old.at[place];
    }
}

static void list_permute(struct list *l, const int *perm) {
    int64_t dims[BNR_MAX_RANK], first[BNR_MAX_RANK] = {0}, step[BNR_MAX_RANK];
    for (int d = 0; d < l->rank; d++) {
        dims[d] = l->dims[perm[d]];
        step[d] = 1;
    }
    list_pick(l, dims, perm, first, step);
}

static void list_slice(struct list *l, int axis, int64_t first_at, int64_t count, int64_t by) {
    int64_t dims[BNR_MAX_RANK], first[BNR_MAX_RANK] = {0}, step[BNR_MAX_RANK];
    int axes[BNR_MAX_RANK];
    for (int d = 0; d < l->rank; d++) {
        dims[d] = d == axis ? count : l->dims[d];
        first[d] = d == axis ? first_at : 0;
        step[d] = d == axis ? by : 1;
        axes[d] = d;
    }
    list_pick(l, dims, axes, first, step);
}

static void check(const struct bnr_strided *s, const struct list *l) {
    bool dense = true;
    int64_t product = 1;
    assert_int_equal(s->rank, l->rank);
    for (int i = 0; i < s->n; i++)
        product *= s->parts[i].count;
    assert_int_equal(product, l->n);
    for (size_t i = 0; i < l->n; i++) {
        int64_t rest = (int64_t)i, at = s->first;
        for (int k = s->n - 1; k >= 0; k--) {
            at += rest % s->parts[k].count * s->parts[k].step;
            rest /= s->parts[k].count;
        }
        assert_int_equal(at, l->at[i]);
        dense = dense && at == (int64_t)i;
    }
    assert_int_equal(bnr__strided_is_dense(s), dense);
    size_t inner = 1;
    for (int d = s->rank - 1; d >= 0; inner *= (size_t)s->dims[d--]) {
        int64_t step;
        assert_int_equal(s->dims[d], l->dims[d]);
        if (bnr__strided_step(s, d, &step))
            for (int64_t i = 0; i < s->dims[d]; i++)
                assert_int_equal(l->at[(size_t)i * inner], s->first + i * step);
    }
}

static void check_starts(const struct bnr_strided *s, const struct list *l, int axes) {
    size_t starts[MOST], inner = 1;
    for (int d = axes; d < l->rank; d++)
        inner *= (size_t)l->dims[d];
    bnr__strided_starts(s, axes, starts);
    for (size_t i = 0; i < l->n / inner; i++)
        assert_int_equal(starts[i], l->at[i * inner]);
}

static int random_dims(struct rng *r, int64_t *dims) {
    static const int64_t some[] = {1, 1, 2, 2, 3, 4, 6};
    const int rank = (int)rng_size(r, 0, 4); // up to 6 * 6 * 6 * 6 elements
    for (int d = 0; d < rank; d++)
        dims[d] = some[rng_next(r) % (sizeof some / sizeof some[0])];
    return rank;
}

static void random_perm(struct rng *r, int rank, int *perm) {
    for (int i = 0; i < rank; i++) {
        const int k = (int)rng_size(r, 0, (size_t)i);
        perm[i] = perm[k];
        perm[k] = i;
    }
}

// Dims with the same product: neighbours joined, dims cut in two, ones put in and left out.
static int random_reshape(struct rng *r, const struct list *l, int64_t *dims) {
    int rank = 0;
    for (int d = 0; d < l->rank; d++) {
        const int64_t dim = l->dims[d];
        const uint64_t what = rng_next(r) % 4;
        if (what == 0 && rank > 0) {
            dims[rank - 1] *= dim;
        } else if (what == 1 && dim % 2 == 0 && rank + 2 < BNR_MAX_RANK) {
            dims[rank++] = dim / 2;
            dims[rank++] = 2;
        } else if (what != 2 || dim != 1) {
            dims[rank++] = dim;
        }
    }
    return rank;
}

static void elements_lie_where_they_are_said_to(void **state) {
    static struct list l;
    int reshaped = 0, sliced = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng r = {seed};
        struct bnr_strided s;
        int64_t dims[BNR_MAX_RANK];
        int rank = random_dims(&r, dims);
        bool backwards = false;
        bnr__strided_dense(&s, rank, dims);
        list_dense(&l, rank, dims);
        for (int k = 0; k < 5; k++) {
            struct bnr_strided next = s;
            const uint64_t what = rng_next(&r) % 3;
            if (what == 0) {
                int perm[BNR_MAX_RANK];
                random_perm(&r, l.rank, perm);
                bnr__strided_permute(&s, perm);
                list_permute(&l, perm);
            } else if (what == 1) {
                rank = random_reshape(&r, &l, dims);
                if (!bnr__strided_reshape(&next, rank, dims))
                    continue;
                s = next;
                l.rank = rank;
                for (int d = 0; d < rank; d++)
                    l.dims[d] = dims[d];
                reshaped++;
            } else if (l.rank > 0) {
                const int axis = (int)rng_size(&r, 0, (size_t)l.rank - 1);
                const int64_t dim = l.dims[axis], count = (int64_t)rng_size(&r, 1, (size_t)dim);
                int64_t step = count > 1 ? (dim - 1) / (count - 1) : INT64_MAX;
                int64_t first = 0;
                if (rng_next(&r) % 3 == 0) {
                    first = dim - 1;
                    step = count > 1 ? -step : INT64_MIN;
                }
                if (!bnr__strided_slice(&next, axis, first, count, step))
                    continue;
                s = next;
                list_slice(&l, axis, first, count, count > 1 ? step : 0);
                sliced++;
            }
            check(&s, &l);
        }
        for (int i = 0; i < s.n; i++)
            backwards = backwards || s.parts[i].step < 0;
        for (int axes = 0; axes <= s.rank && !backwards; axes++)
            check_starts(&s, &l, axes);
    }
    assert_true(reshaped > 1000 && sliced > 1000);
}

static void a_rearrangement_is_turned_round(void **state) {
    static struct list l;
    int turned = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct rng r = {seed};
        struct bnr_strided s, inverse;
        int64_t dims[BNR_MAX_RANK], other[BNR_MAX_RANK];
        const int rank = random_dims(&r, dims);
        bool known = true;
        bnr__strided_dense(&s, rank, dims);
        list_dense(&l, rank, dims);
        for (int k = 0; k < 4 && known; k++) {
            int perm[BNR_MAX_RANK];
            random_perm(&r, l.rank, perm);
            bnr__strided_permute(&s, perm);
            list_permute(&l, perm);
            l.rank = random_reshape(&r, &l, other);
            for (int d = 0; d < l.rank; d++)
                l.dims[d] = other[d];
            known = bnr__strided_reshape(&s, l.rank, l.dims);
        }
        if (!known || !bnr__strided_inverse(&s, rank, dims, &inverse))
            continue;
        turned++;
        static struct list back;
        list_dense(&back, rank, dims);
        for (size_t i = 0; i < l.n; i++)
            back.at[l.at[i]] = (int64_t)i;
        check(&inverse, &back);
    }
    assert_true(turned > 300);
    // A part of a tensor is no rearrangement of it.
    struct bnr_strided s, inverse;
    const int64_t dims[] = {4, 6};
    bnr__strided_dense(&s, 2, dims);
    assert_true(bnr__strided_slice(&s, 1, 2, 3, 1));
    assert_false(bnr__strided_inverse(&s, 2, dims, &inverse));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_lie_where_they_are_said_to),
        cmocka_unit_test(a_rearrangement_is_turned_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
