// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/pooling.h"

#include "runtime/ops/lib/compute.h"

enum bnr_status bnr__pooling_geometry(const struct bnr_node *n, const struct bnr_shape *x,
                                      struct bnr_window *w, struct bnr_error *err) {
    w->rank = -1;
    if (x->rank < 0)
        return BNR_OK;
    if (x->rank < 3)
        return bnr__op_fail(n, err, BNR_SHAPE, "the input has rank %d, expected 3 or more",
                            x->rank);
    BNR_TRY(bnr__window_attrs(n, x->rank - 2, NULL, w, err));
    return bnr__window_size(n, x->dims + 2, w, err);
}

enum bnr_status bnr__pooling_infer(struct bnr_infer *cx, uint32_t types) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    struct bnr_window w;
    BNR_TRY(bnr__infer_types(cx, 0, types));
    BNR_TRY(bnr__pooling_geometry(cx->node, &x->shape, &w, cx->err));
    struct bnr_shape y = x->shape;
    for (int i = 0; i < w.rank; i++)
        y.dims[i + 2] = w.axis[i].out >= 0 ? bnr__dim_of(w.axis[i].out) : bnr__dim_unknown();
    bnr__infer_set(cx, 0, x->dtype, &y);
    bnr__infer_set(cx, 1, BNR_INT64, &y);
    return BNR_OK;
}

static enum bnr_status begin(const struct bnr_args *a, struct bnr_pooling *p, const int64_t *dims) {
    const struct bnr_tensor *x = a->in[0];
    p->x = p->y = NULL;
    BNR_TRY(bnr__out(a, 0, x->dtype, x->rank, dims, &p->result));
    if (!p->result || p->result->numel == 0)
        return BNR_OK;
    p->planes = bnr__dims_product(dims, 0, 2);
    p->in = x->numel / p->planes;
    p->out = p->result->numel / p->planes;
    p->x = bnr__all_f64(a, x);
    p->y = bnr__temp_f64(a, p->result->numel);
    return p->x && p->y ? BNR_OK : BNR_NO_MEMORY;
}

enum bnr_status bnr__pooling_begin(const struct bnr_args *a, struct bnr_pooling *p) {
    const struct bnr_tensor *x = a->in[0];
    const struct bnr_shape shape = bnr__shape_of(x->rank, x->dims);
    int64_t dims[BNR_MAX_RANK] = {x->dims[0], x->dims[1]};
    BNR_TRY(bnr__pooling_geometry(a->node, &shape, &p->window, a->err));
    for (int i = 0; i < p->window.rank; i++)
        dims[i + 2] = p->window.axis[i].out;
    return begin(a, p, dims);
}

void bnr__pooling_counts(const struct bnr_node *n, struct bnr_window w, double *counts) {
    const bool include_pad = bnr__attr_int(n, "count_include_pad", 0) != 0;
    for (int i = 0; include_pad && i < w.rank; i++) {
        w.axis[i].in += w.axis[i].begin + w.axis[i].end;
        w.axis[i].begin = w.axis[i].end = 0;
    }
    bnr__window_counts(&w, counts);
}

void bnr__pooling_end(const struct bnr_pooling *p) {
    bnr__store_f64(p->result->dtype, p->result->data, p->y, p->result->numel);
}

enum bnr_status bnr__pooling_global_infer(struct bnr_infer *cx) {
    const struct bnr_type *x = bnr__infer_in(cx, 0);
    BNR_TRY(bnr__infer_types(cx, 0, BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, 0, 2, BNR_MAX_RANK));
    struct bnr_shape y = x->shape;
    for (int i = 2; i < y.rank; i++)
        y.dims[i] = bnr__dim_of(1);
    bnr__infer_set(cx, 0, x->dtype, &y);
    return BNR_OK;
}

enum bnr_status bnr__pooling_global_begin(const struct bnr_args *a, struct bnr_pooling *p) {
    const struct bnr_tensor *x = a->in[0];
    int64_t dims[BNR_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int i = 2; i < x->rank; i++)
        dims[i] = 1;
    return begin(a, p, dims);
}
