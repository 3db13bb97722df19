// SPDX-License-Identifier: Apache-2.0
// Affines past averages and maxima over axes on which s and t do not vary:
//     mean(s*x + t) = s*mean(x) + t        where the weights of the mean sum to 1: no zeros of
//     padding counted max(s*x + t) = s*max(x) + t          where s > 0
// and past Resize, whose interpolations are such means.
#include <string.h>

#include "runtime/ops/lib/affine_rules.h"

// The affine varies over batch and channels only, which pooling leaves alone.
static bool before_spatial(struct bnr_affine_site *site) {
    for (int i = 2; i < site->affine.rank; i++)
        if (bnr__affine_varies(&site->affine, i))
            return bnr__affine_no(site, "'%s' pools over axes on which it varies",
                                  site->node->label);
    return site->index == 0 ||
           bnr__affine_no(site, "it does not meet the data of '%s'", site->node->label);
}

static bool needs_positive(struct bnr_affine_site *site) {
    return bnr__affine_positive(&site->affine) ||
           bnr__affine_no(site, "a scale that is not positive does not pass the %s '%s'",
                          site->node->op_type, site->node->label);
}

static bool counts_padding(const struct bnr_node *n) {
    if (!bnr__attr_int(n, "count_include_pad", 0))
        return false;
    size_t count;
    const int64_t *pads = bnr__attr_ints(n, "pads", &count);
    bool any = bnr__attr_int(n, "ceil_mode", 0) != 0 ||
               strncmp(bnr__attr_string(n, "auto_pad", "NOTSET"), "SAME", 4) == 0;
    for (size_t i = 0; i < count; i++)
        any |= pads[i] != 0;
    return any;
}

static bool average_pool(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    if (bnr__affine_has_shift(&site->affine) && counts_padding(site->node))
        return bnr__affine_no(site,
                              "'%s' averages zeros of its padding, which the shift would change",
                              site->node->label);
    return before_spatial(site) && bnr__affine_pass(site, out);
}

static bool max_pool(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                     struct bnr_error *err) {
    return before_spatial(site) && needs_positive(site) && bnr__affine_pass(site, out);
}

static bool global_average_pool(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                                struct bnr_error *err) {
    return before_spatial(site) && bnr__affine_pass(site, out);
}

const struct bnr_affine_rules bnr__affine_average_pool = {.forward = average_pool,
                                                          .backward = average_pool};
const struct bnr_affine_rules bnr__affine_max_pool = {.forward = max_pool, .backward = max_pool};
const struct bnr_affine_rules bnr__affine_global_average_pool = {.forward = global_average_pool,
                                                                 .backward = global_average_pool};
const struct bnr_affine_rules bnr__affine_global_max_pool = {.forward = max_pool,
                                                             .backward = max_pool};

// ---- ReduceMean, ReduceMax, ReduceMin -----------------------------------------------------------

// Which axes of the input are reduced; false when that is not known.
static bool reduced_axes(const struct bnr_node *n, int rank, bool *reduced) {
    int64_t axes[2 * BNR_MAX_RANK];
    int count;
    if (rank < 1 || !bnr__affine_ints(n, 1, "axes", axes, &count))
        return false;
    const bool all = count == 0 && !bnr__attr_int(n, "noop_with_empty_axes", 0);
    for (int i = 0; i < rank; i++)
        reduced[i] = all;
    for (int i = 0; i < count; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return false;
        reduced[axis] = true;
    }
    return true;
}

static bool reduce(struct bnr_affine_site *site, struct bnr_affine *out, bool forward) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    if (site->index != 0)
        return bnr__affine_no(site, "it gives the axes of '%s'", n->label);
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM) {
        out[0] = *a;
        out[0].rank = 0;
        return true;
    }
    bool reduced[BNR_MAX_RANK];
    const int rank = bnr__affine_shape(n->in[0]).rank;
    const bool keep = bnr__attr_int(n, "keepdims", 1) != 0;
    if (!reduced_axes(n, rank, reduced))
        return bnr__affine_no(site, "the axes of '%s' are not known", n->label);
    struct bnr_affine r = {.n = a->n, .s = a->s, .t = a->t};
    int in = 0, at = 0; // axes of the input and of the output
    for (int i = 0; i < rank; i++)
        at += reduced[i] && !keep ? 0 : 1;
    if (a->rank != (forward ? rank : at))
        return bnr__affine_no(site, "the rank of '%s' is not known", n->label);
    at = 0;
    for (; in < rank; in++) {
        const bool gone = reduced[in] && !keep;
        const int own = forward ? in : at;
        const int64_t dim = !forward && gone ? 1 : a->dims[own];
        if (reduced[in] && dim != 1)
            return bnr__affine_no(site, "'%s' reduces axes on which it varies", n->label);
        if (!forward || !gone)
            r.dims[forward ? at : in] = dim;
        at += gone ? 0 : 1;
    }
    r.rank = forward ? at : rank;
    *out = r;
    return true;
}

static bool mean_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    return reduce(site, out, true);
}
static bool mean_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    return reduce(site, out, false);
}
static bool max_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                        struct bnr_error *err) {
    return needs_positive(site) && reduce(site, out, true);
}
static bool max_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    return needs_positive(site) && reduce(site, out, false);
}
const struct bnr_affine_rules bnr__affine_reduce_mean = {.forward = mean_forward,
                                                         .backward = mean_backward};
const struct bnr_affine_rules bnr__affine_reduce_max = {.forward = max_forward,
                                                        .backward = max_backward};

// ---- Resize -------------------------------------------------------------------------------------

static bool resize(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                   struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    const char *mode = bnr__attr_string(n, "mode", "nearest");
    if (site->index != 0)
        return bnr__affine_no(site, "it gives the size of '%s'", n->label);
    if (strcmp(bnr__attr_string(n, "coordinate_transformation_mode", ""), "tf_crop_and_resize") ==
        0)
        return bnr__affine_no(site, "'%s' may extrapolate with a fixed value", n->label);
    if (strcmp(mode, "cubic") == 0 && bnr__attr_int(n, "exclude_outside", 0))
        return bnr__affine_no(site, "'%s' leaves out what is outside of its input", n->label);
    for (int i = 0; i < a->rank; i++)
        if (bnr__affine_varies(a, i) && (bnr__affine_dim(n->in[0], i) != a->dims[i] ||
                                         bnr__affine_dim(n->out[0], i) != a->dims[i]))
            return bnr__affine_no(site, "'%s' resizes axes on which it varies", n->label);
    return bnr__affine_pass(site, out);
}

const struct bnr_affine_rules bnr__affine_resize = {.forward = resize, .backward = resize};
