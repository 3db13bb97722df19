// SPDX-License-Identifier: Apache-2.0
// Affines past operators that move elements: Transpose, Concat, Split, Slice, Pad, DepthToSpace.
// The s and t follow the axes, ranges and blocks that are moved.
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/ops/lib/affine_rules.h"

bool bnr__affine_ints(const struct bnr_node *n, int index, const char *attr, int64_t *vals,
                      int *count) {
    *count = 0;
    const struct bnr_value *v = index >= 0 ? bnr__affine_input(n, index) : NULL;
    if (v) {
        const struct bnr_tensor *t = bnr__affine_constant(v);
        const struct bnr_info *info = v->info;
        if (!t && info->tensor && info->tensor->kind == BNR_KIND_TENSOR)
            t = info->tensor; // found by inference
        if (!t || t->numel > BNR_MAX_RANK * 2 || bnr__dtype_is_float(t->dtype))
            return false;
        *count = (int)t->numel;
        for (int i = 0; i < *count; i++)
            vals[i] = bnr__tensor_i64(t, (size_t)i);
        return true;
    }
    size_t have;
    const int64_t *a = bnr__attr_ints(n, attr, &have);
    if (have > BNR_MAX_RANK * 2)
        return false;
    *count = (int)have;
    if (have > 0)
        memcpy(vals, a, have * sizeof *vals);
    return true;
}

static bool no_memory(struct bnr_affine_site *site) {
    return bnr__affine_no(site, "'%s' has too many channels", site->node->label);
}

// ---- ranges along one axis ----------------------------------------------------------------------

// Element j of `out` along `axis` (`count` of them) is element from + j*step of `a`; where that is
// outside of a, the identity. The other axes stay.
static bool take(struct bnr_affine_site *site, struct bnr_affine *out, const struct bnr_affine *a,
                 int axis, int64_t count, int64_t from, int64_t step) {
    int64_t dims[BNR_MAX_RANK];
    memcpy(dims, a->dims, sizeof dims);
    dims[axis] = count;
    double *t, *s = bnr__affine_alloc(out, a->rank, dims, &t, site->temp);
    if (!s)
        return no_memory(site);
    size_t inner = 1;
    for (int i = axis + 1; i < a->rank; i++)
        inner *= (size_t)dims[i];
    const int64_t have = a->dims[axis];
    for (size_t outer = 0; outer < out->n / inner / (size_t)count; outer++) {
        for (int64_t k = 0; k < count; k++, s += inner, t += inner) {
            const int64_t j = from + k * step;
            const bool inside = j >= 0 && j < have;
            const size_t at = (outer * (size_t)have + (size_t)(inside ? j : 0)) * inner;
            for (size_t i = 0; i < inner; i++) {
                s[i] = inside ? a->s[at + i] : 1;
                t[i] = inside ? a->t[at + i] : 0;
            }
        }
    }
    return true;
}

// Puts `a` at from, from + step, ... of an axis of `total` elements, the identity elsewhere. An
// affine that does not vary over the axis holds for all `count` places.
static bool embed(struct bnr_affine_site *site, struct bnr_affine *out, const struct bnr_affine *a,
                  int axis, int64_t total, int64_t from, int64_t count, int64_t step) {
    int64_t dims[BNR_MAX_RANK];
    memcpy(dims, a->dims, sizeof dims);
    dims[axis] = total;
    double *t, *s = bnr__affine_alloc(out, a->rank, dims, &t, site->temp);
    if (!s)
        return no_memory(site);
    size_t inner = 1;
    for (int i = axis + 1; i < a->rank; i++)
        inner *= (size_t)dims[i];
    for (size_t i = 0; i < out->n; i++)
        s[i] = 1;
    const size_t outer = out->n / inner / (size_t)total;
    for (size_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < count; j++)
            for (size_t i = 0; i < inner; i++) {
                const size_t to = (o * (size_t)total + (size_t)(from + j * step)) * inner + i;
                const size_t at =
                    (o * (size_t)a->dims[axis] + (a->dims[axis] == 1 ? 0 : (size_t)j)) * inner + i;
                s[to] = a->s[at];
                t[to] = a->t[at];
            }
    return true;
}

// ---- Transpose ----------------------------------------------------------------------------------

// out axis i is axis order[i] of a.
static bool permute(struct bnr_affine_site *site, struct bnr_affine *out,
                    const struct bnr_affine *a, const int *order) {
    int64_t dims[BNR_MAX_RANK];
    size_t stride[BNR_MAX_RANK], step = 1; // of a, by its own axes
    for (int i = a->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= (size_t)a->dims[i];
    }
    for (int i = 0; i < a->rank; i++)
        dims[i] = a->dims[order[i]];
    double *t, *s = bnr__affine_alloc(out, a->rank, dims, &t, site->temp);
    if (!s)
        return no_memory(site);
    for (size_t i = 0; i < out->n; i++) {
        size_t rest = i, at = 0;
        for (int k = a->rank - 1; k >= 0; k--) {
            at += rest % (size_t)dims[k] * stride[order[k]];
            rest /= (size_t)dims[k];
        }
        s[i] = a->s[at];
        t[i] = a->t[at];
    }
    return true;
}

static bool transpose(struct bnr_affine_site *site, struct bnr_affine *out, bool inverse) {
    const struct bnr_affine *a = &site->affine;
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM)
        return bnr__affine_pass(site, out);
    int64_t perm[2 * BNR_MAX_RANK];
    int count, order[BNR_MAX_RANK];
    if (!bnr__affine_ints(site->node, -1, "perm", perm, &count) || (count != 0 && count != a->rank))
        return bnr__affine_no(site, "the permutation of '%s' is not known", site->node->label);
    for (int i = 0; i < a->rank; i++) {
        const int64_t p = count ? perm[i] : a->rank - 1 - i;
        if (p < 0 || p >= a->rank)
            return bnr__affine_no(site, "the permutation of '%s' is not valid", site->node->label);
        order[inverse ? p : i] = (int)(inverse ? i : p);
    }
    return permute(site, out, a, order);
}

static bool transpose_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                              struct bnr_error *err) {
    return transpose(site, out, false);
}
static bool transpose_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                               struct bnr_error *err) {
    return transpose(site, out, true);
}
const struct bnr_affine_rules bnr__affine_transpose = {.forward = transpose_forward,
                                                       .backward = transpose_backward};

// ---- Concat and Split ---------------------------------------------------------------------------

// The axis of a node that joins or splits, for values of `rank`; -1 when not known.
static int joint_axis(const struct bnr_node *n, int64_t fallback, int rank) {
    int64_t axis = bnr__attr_int(n, "axis", fallback);
    axis += axis < 0 ? rank : 0;
    return rank > 0 && axis >= 0 && axis < rank ? (int)axis : -1;
}

// Where part i of the joined value starts, how long it is and how long the whole; false when not
// known.
static bool part_of(struct bnr_value *const *parts, int n, int axis, int i, int64_t *from,
                    int64_t *len, int64_t *total) {
    *from = *len = *total = 0;
    for (int k = 0; k < n; k++) {
        const int64_t d = bnr__affine_dim(parts[k], axis);
        if (!parts[k] || d < 0)
            return false;
        if (k == i) {
            *from = *total;
            *len = d;
        }
        *total += d;
    }
    return true;
}

static bool sizes_unknown(struct bnr_affine_site *site) {
    return bnr__affine_no(site, "the sizes of what '%s' joins or cuts are not known",
                          site->node->label);
}

// From the whole to its parts.
static bool distribute(struct bnr_affine_site *site, struct bnr_value *const *parts, int n,
                       int axis, struct bnr_affine *out) {
    const struct bnr_affine *a = &site->affine;
    const bool varies = bnr__affine_varies(a, axis);
    int64_t from = 0, len = 0, total = 0;
    if (varies && (!part_of(parts, n, axis, 0, &from, &len, &total) || total != a->dims[axis]))
        return sizes_unknown(site);
    for (int i = 0; i < n; i++, from += len) {
        if (!parts[i])
            continue;
        if (!varies) {
            out[i] = *a;
            continue;
        }
        len = bnr__affine_dim(parts[i], axis);
        if (len > 0 && !take(site, &out[i], a, axis, len, from, 1))
            return false;
    }
    return true;
}

// From one part to the whole; the identity on the others.
static bool extend(struct bnr_affine_site *site, struct bnr_value *const *parts, int n, int axis,
                   struct bnr_affine *out) {
    struct bnr_affine a = site->affine;
    int64_t from, len, total;
    if (!part_of(parts, n, axis, site->index, &from, &len, &total) || len < 1)
        return sizes_unknown(site);
    if (bnr__affine_axis(&a) == BNR_AFFINE_UNIFORM) { // of any rank: give it this one
        a.rank = bnr__affine_shape(parts[site->index]).rank;
        for (int i = 0; i < a.rank; i++)
            a.dims[i] = 1;
    }
    return embed(site, out, &a, axis, total, from, len, 1);
}

static bool concat_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const int axis = joint_axis(n, 1, bnr__affine_shape(n->out[0]).rank);
    return axis < 0 ? sizes_unknown(site) : extend(site, n->in, n->n_in, axis, out);
}
static bool concat_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                            struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const int axis = joint_axis(n, 1, bnr__affine_shape(n->out[0]).rank);
    return axis < 0 ? sizes_unknown(site) : distribute(site, n->in, n->n_in, axis, out);
}
static bool split_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const int axis = joint_axis(n, 0, bnr__affine_shape(n->in[0]).rank);
    if (axis < 0 || site->index != 0)
        return sizes_unknown(site);
    return distribute(site, n->out, n->n_out, axis, out);
}
static bool split_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const int axis = joint_axis(n, 0, bnr__affine_shape(n->in[0]).rank);
    return axis < 0 ? sizes_unknown(site) : extend(site, n->out, n->n_out, axis, out);
}
const struct bnr_affine_rules bnr__affine_concat = {.forward = concat_forward,
                                                    .backward = concat_backward};
const struct bnr_affine_rules bnr__affine_split = {.forward = split_forward,
                                                   .backward = split_backward};

// ---- Slice --------------------------------------------------------------------------------------

// Whether `axis` is cut, and then from where in which steps.
static bool find_cut(const struct bnr_node *n, int axis, int rank, bool *cut, int64_t *start,
                     int64_t *step) {
    int64_t axes[2 * BNR_MAX_RANK], starts[2 * BNR_MAX_RANK], steps[2 * BNR_MAX_RANK];
    int n_axes, n_starts, n_steps;
    *cut = false;
    *step = 1;
    if (!bnr__affine_ints(n, 3, "axes", axes, &n_axes))
        return false;
    const bool have_starts = bnr__affine_ints(n, 1, "starts", starts, &n_starts);
    if (n_axes == 0) { // all, in order
        const int64_t all = have_starts ? n_starts : bnr__affine_dim(n->in[1], 0);
        if (all < 0 || all > rank)
            return false;
        for (n_axes = 0; n_axes < all; n_axes++)
            axes[n_axes] = n_axes;
    }
    for (int i = 0; i < n_axes; i++) {
        if (axes[i] != axis && axes[i] + rank != axis)
            continue;
        const int64_t dim = bnr__affine_dim(n->in[0], axis);
        if (!have_starts || i >= n_starts || dim < 0 ||
            !bnr__affine_ints(n, 4, "", steps, &n_steps))
            return false;
        *cut = true;
        *step = i < n_steps ? steps[i] : 1;
        *start = starts[i] < 0 ? starts[i] + dim : starts[i];
        const int64_t last = *step < 0 ? dim - 1 : dim;
        *start = *start < 0 ? 0 : *start > last ? last : *start;
    }
    return true;
}

static bool slice(struct bnr_affine_site *site, struct bnr_affine *out, bool forward) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    const int axis = bnr__affine_axis(a), rank = bnr__affine_shape(n->in[0]).rank;
    if (site->index != 0)
        return bnr__affine_no(site, "it gives the range of '%s'", n->label);
    if (axis == BNR_AFFINE_UNIFORM)
        return bnr__affine_pass(site, out);
    bool cut;
    int64_t start, step;
    if (axis == BNR_AFFINE_MANY || rank < 0 || !find_cut(n, axis, rank, &cut, &start, &step))
        return bnr__affine_no(site, "what '%s' cuts out is not known", n->label);
    if (!cut)
        return bnr__affine_pass(site, out);
    const int64_t in = bnr__affine_dim(n->in[0], axis), count = bnr__affine_dim(n->out[0], axis);
    if (in < 1 || count < 1 || start + (count - 1) * step < 0 || start + (count - 1) * step >= in)
        return bnr__affine_no(site, "what '%s' cuts out is not known", n->label);
    return forward ? take(site, out, a, axis, count, start, step)
                   : embed(site, out, a, axis, in, start, count, step);
}

static bool slice_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    return slice(site, out, true);
}
static bool slice_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    return slice(site, out, false);
}
const struct bnr_affine_rules bnr__affine_slice = {.forward = slice_forward,
                                                   .backward = slice_backward};

// ---- Pad ----------------------------------------------------------------------------------------

struct padding {
    int rank;
    int64_t begin[BNR_MAX_RANK], end[BNR_MAX_RANK];
    bool constant; // mode; else the border repeats data
    double value;
};

static bool read_padding(const struct bnr_node *n, struct padding *p) {
    int64_t pads[2 * BNR_MAX_RANK], axes[2 * BNR_MAX_RANK];
    int count, n_axes;
    const char *mode = bnr__attr_string(n, "mode", "constant");
    *p = (struct padding){.rank = bnr__affine_shape(n->in[0]).rank,
                          .constant = strcmp(mode, "constant") == 0,
                          .value = (double)bnr__attr_float(n, "value", 0)};
    if (p->rank < 0 ||
        !bnr__affine_ints(n, 1, bnr__attr(n, "paddings") ? "paddings" : "pads", pads, &count) ||
        !bnr__affine_ints(n, 3, "", axes, &n_axes))
        return false;
    if (n_axes == 0)
        for (; n_axes < p->rank; n_axes++)
            axes[n_axes] = n_axes;
    if (count != 2 * n_axes)
        return false;
    for (int i = 0; i < n_axes; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + p->rank : axes[i];
        if (axis < 0 || axis >= p->rank || pads[i] < 0 || pads[n_axes + i] < 0)
            return false;
        p->begin[axis] = pads[i];
        p->end[axis] = pads[n_axes + i];
    }
    const struct bnr_value *v = bnr__affine_input(n, 2);
    const struct bnr_tensor *t = bnr__affine_constant(v);
    if (v && p->constant && (!t || t->numel != 1))
        return false;
    if (t && t->numel == 1)
        p->value = bnr__tensor_f64(t, 0);
    return true;
}

static bool keeps_value(const struct bnr_affine *a, double value) {
    for (size_t i = 0; i < a->n; i++)
        if (a->s[i] * value + a->t[i] != value)
            return false;
    return true;
}

// The one value that the affine takes to `value` (forward), or `value` to; false where channels disagree.
static bool other_value(const struct bnr_affine *a, double value, bool forward, double *other) {
    *other = value;
    for (size_t i = 0; i < a->n; i++) {
        const double v = forward ? (value - a->t[i]) / a->s[i] : a->s[i] * value + a->t[i];
        if (!(fabs(v) <= DBL_MAX) || (i > 0 && v != *other))
            return false;
        *other = v;
    }
    return true;
}

static bool set_value(struct bnr_affine_site *site, double value, bool apply, struct bnr_error *err) {
    struct bnr_node *n = site->node;
    if (n->since >= 11)
        return bnr__linear_store(site, 2, "pad_value", n->in[0]->info->type.dtype, 0, NULL, &value,
                                 apply, err);
    if (!isfinite((float)value))
        return bnr__affine_no(site, "'%s' would pad with what is not finite", n->label);
    if (!apply || bnr__node_set_attr_float(n, "value", (float)value) == BNR_OK)
        return true;
    bnr__no_memory(err);
    return false;
}

// In front of the padding the shift becomes a map behind it, which undoes in the border what s and t do
// there. For those who know what to do with maps (affine_border.h).
static bool map_of_padding(struct bnr_affine_site *site, const struct padding *p,
                           struct bnr_affine *out) {
    enum { MAX_MAP = 1 << 20 };
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    int64_t dims[BNR_MAX_RANK];
    const int axis = bnr__affine_axis(a);
    double count = 1;
    for (int i = 0; i < p->rank; i++) {
        const bool padded = p->begin[i] != 0 || p->end[i] != 0;
        dims[i] = padded || i == axis ? bnr__affine_dim(n->out[0], i) : 1;
        count *= (double)dims[i];
        if (dims[i] < 1 || count > MAX_MAP)
            return bnr__affine_no(site, "'%s' pads with %g, which it would change", n->label, p->value);
    }
    double *t, *s = bnr__affine_alloc(out, p->rank, dims, &t, site->temp);
    if (!s)
        return no_memory(site);
    for (size_t i = 0; i < out->n; i++) {
        size_t rest = i, channel = 0;
        bool inside = true;
        for (int k = p->rank - 1; k >= 0; k--) {
            const int64_t at = (int64_t)(rest % (size_t)dims[k]);
            rest /= (size_t)dims[k];
            if (k == axis)
                channel = (size_t)at;
            else if (dims[k] != 1)
                inside &= at >= p->begin[k] && at < dims[k] - p->end[k];
        }
        s[i] = a->s[axis < 0 ? 0 : channel];
        t[i] = inside ? a->t[axis < 0 ? 0 : channel] : p->value - s[i] * p->value;
    }
    return true;
}

static bool pad_around(struct bnr_affine_site *site, const struct padding *p, struct bnr_affine *out,
                       bool forward, bool apply, struct bnr_error *err) {
    double value;
    if (!p->constant || keeps_value(&site->affine, p->value))
        return bnr__affine_pass(site, out);
    if (other_value(&site->affine, p->value, forward, &value))
        return bnr__affine_pass(site, out) && set_value(site, value, apply, err);
    if (forward && isfinite(p->value))
        return map_of_padding(site, p, out);
    return bnr__affine_no(site, "'%s' pads with %g, which it would change", site->node->label, p->value);
}

static bool pad(struct bnr_affine_site *site, struct bnr_affine *out, bool forward, bool apply,
                struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    const int axis = bnr__affine_axis(a);
    struct padding p;
    if (site->index != 0 || axis == BNR_AFFINE_MANY || !read_padding(n, &p))
        return bnr__affine_no(site, "how '%s' pads is not known", n->label);
    bool elsewhere = false; // padding on an axis over which the affine does not vary
    for (int i = 0; i < p.rank; i++)
        elsewhere |= i != axis && (p.begin[i] != 0 || p.end[i] != 0);
    if (axis < 0 || (p.begin[axis] == 0 && p.end[axis] == 0))
        return elsewhere ? pad_around(site, &p, out, forward, apply, err) : bnr__affine_pass(site, out);
    if (p.constant && elsewhere && !keeps_value(a, p.value))
        return bnr__affine_no(site, "'%s' pads with %g, which it would change", n->label, p.value);
    if (!p.constant)
        return bnr__affine_no(site, "'%s' repeats channels", n->label);
    const int64_t in = bnr__affine_dim(n->in[0], axis), total = bnr__affine_dim(n->out[0], axis);
    if (in < 1 || total != in + p.begin[axis] + p.end[axis])
        return bnr__affine_no(site, "how '%s' pads is not known", n->label);
    if (forward)
        return embed(site, out, a, axis, total, p.begin[axis], in, 1);
    for (int64_t c = 0; c < total; c++)
        if ((c < p.begin[axis] || c >= p.begin[axis] + in) &&
            a->s[c] * p.value + a->t[c] != p.value)
            return bnr__affine_no(site, "'%s' adds channels of %g, which it would change", n->label,
                                  p.value);
    return take(site, out, a, axis, in, p.begin[axis], 1);
}

static bool pad_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                        struct bnr_error *err) {
    return pad(site, out, true, apply, err);
}
static bool pad_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                         struct bnr_error *err) {
    return pad(site, out, false, apply, err);
}
const struct bnr_affine_rules bnr__affine_pad = {.forward = pad_forward, .backward = pad_backward};

// ---- DepthToSpace and SpaceToDepth --------------------------------------------------------------

// Between `deep` channels and deep/blocks of them: which deep channel holds (channel, block).
static size_t deep_channel(bool crd, size_t channel, size_t block, size_t channels, size_t blocks) {
    return crd ? channel * blocks + block : block * channels + channel;
}

static bool blocks(struct bnr_affine_site *site, struct bnr_affine *out, bool crd, bool to_deep) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    const int64_t size = bnr__attr_int(n, "blocksize", 1);
    if (bnr__affine_axis(a) == BNR_AFFINE_UNIFORM)
        return bnr__affine_pass(site, out);
    if (bnr__affine_axis(a) != 1 || a->rank != 4 || size < 1 || size > 1024 ||
        (!to_deep && a->dims[1] % (size * size) != 0))
        return bnr__affine_no(site, "'%s' moves pixels between axes", n->label);
    const size_t per = (size_t)(size * size), channels = to_deep ? a->n : a->n / per;
    const int64_t dims[4] = {1, (int64_t)(to_deep ? channels * per : channels), 1, 1};
    double *t, *s = bnr__affine_alloc(out, 4, dims, &t, site->temp);
    if (!s)
        return no_memory(site);
    for (size_t c = 0; c < channels; c++)
        for (size_t b = 0; b < per; b++) {
            const size_t deep = deep_channel(crd, c, b, channels, per);
            const size_t from = to_deep ? c : deep, to = to_deep ? deep : c;
            if (!to_deep && b > 0 && (s[to] != a->s[from] || t[to] != a->t[from]))
                return bnr__affine_no(site, "'%s' mixes channels of different scale or shift",
                                      n->label);
            s[to] = a->s[from];
            t[to] = a->t[from];
        }
    return true;
}

static bool is_crd(const struct bnr_node *n) {
    return strcmp(bnr__attr_string(n, "mode", "DCR"), "CRD") == 0;
}
static bool depth_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    return blocks(site, out, is_crd(site->node), false);
}
static bool depth_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    return blocks(site, out, is_crd(site->node), true);
}
static bool space_forward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    return blocks(site, out, false, true);
}
static bool space_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                           struct bnr_error *err) {
    return blocks(site, out, false, false);
}
const struct bnr_affine_rules bnr__affine_depth_to_space = {.forward = depth_forward,
                                                            .backward = depth_backward};
const struct bnr_affine_rules bnr__affine_space_to_depth = {.forward = space_forward,
                                                            .backward = space_backward};
