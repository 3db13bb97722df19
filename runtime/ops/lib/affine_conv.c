// SPDX-License-Identifier: Apache-2.0
// Affines around Conv and ConvTranspose, any number of spatial axes and groups.
//     conv(x) -> (s, t):   W' = s[o]*W, b' = s[o]*b + t[o]
//     (s, t) -> conv(x):   W' = W*s[c], b' = b + sum over c and k of W*t[c]
//     conv(x) + (s*x + t): W'[o, o, tap on the pixel itself] = W + s[o], b' = b + t[o]
// Where W is no constant but dequantized from constants, the scale goes on to W as an affine of its own,
// from behind and from in front, and the bias takes the shift in floating point: as int32 it would be
// rounded to the product of the scales.
// A shift in front is one bias where every output sees all taps of the kernel on data: no padding (zeros
// would have to be -t/s), and for ConvTranspose one tap an output. Else it is a map.
#include <math.h>
#include <string.h>

#include "runtime/ops/lib/affine_border.h"
#include "runtime/ops/lib/affine_scaled.h"

enum { X, W, B };

// The sides of W by its shape alone.
static bool describe_shape(struct bnr_affine_site *site, bool transposed, struct bnr_linear *l) {
    const struct bnr_node *n = site->node;
    const int64_t groups = bnr__attr_int(n, "group", 1);
    *l = (struct bnr_linear){.site = site, .w = bnr__affine_input(n, W), .w_index = W};
    const int64_t first = bnr__affine_dim(l->w, 0), second = bnr__affine_dim(l->w, 1);
    const int rank = bnr__affine_shape(l->w).rank;
    if (rank < 3 || first < 1 || second < 1 || groups < 1 || first % groups != 0)
        return bnr__affine_no(site, "the weights of '%s' are not those of a convolution", n->label);
    l->g = groups;
    l->a = first / groups;
    l->b = second;
    l->k = 1;
    for (int i = 2; i < rank; i++)
        l->k *= bnr__affine_dim(l->w, i);
    l->out_is_a = !transposed;
    return l->k > 0 ||
           bnr__affine_no(site, "the weights of '%s' are not those of a convolution", n->label);
}

static bool describe(struct bnr_affine_site *site, bool transposed, struct bnr_linear *l) {
    const struct bnr_node *n = site->node;
    const struct bnr_tensor *w = bnr__value_constant_tensor(bnr__affine_input(n, W));
    if (!w)
        return bnr__affine_no(site, "the weights of '%s' are not constant", n->label);
    if (!bnr__dtype_is_float(w->dtype))
        return bnr__affine_no(site, "the weights of '%s' are not those of a convolution", n->label);
    if (!describe_shape(site, transposed, l))
        return false;
    l->numbers = w;
    return true;
}

// The bias in double: zeros where there is none.
static bool load_bias(const struct bnr_linear *l, double **bias) {
    const struct bnr_node *n = l->site->node;
    const size_t outputs = (size_t)bnr__linear_outputs(l);
    *bias = BNR_NEW_ARRAY(l->site->temp, outputs, double);
    if (!*bias)
        return bnr__affine_no(l->site, "out of memory");
    if (!bnr__affine_input(n, B))
        return true;
    struct bnr_tensor *b = bnr__affine_numbers(n->in[B]);
    if (!b)
        return bnr__affine_no(l->site, "the bias of '%s' is not constant", n->label);
    const bool fits = b->rank == 1 && b->numel == outputs && bnr__dtype_is_float(b->dtype);
    if (fits)
        bnr__load_f64(*bias, b->dtype, b->data, outputs);
    bnr__tensor_unref(b);
    return fits || bnr__affine_no(l->site, "the bias of '%s' does not have one number a channel",
                                  n->label);
}

static bool store_bias(const struct bnr_linear *l, const double *bias, bool apply,
                       struct bnr_error *err) {
    const struct bnr_node *n = l->site->node;
    const int64_t outputs = bnr__linear_outputs(l);
    const struct bnr_value *old = bnr__affine_input(n, B);
    bool any = old != NULL;
    for (int64_t i = 0; i < outputs && !any; i++)
        any = bias[i] != 0;
    if (!any)
        return true;
    const char *hint = old ? old->name : bnr__arena_printf(l->site->temp, "%s_bias", n->label);
    if (!hint)
        return bnr__affine_no(l->site, "out of memory");
    return bnr__linear_store(l->site, B, hint, bnr__linear_dtype(l), 1, &outputs, bias, apply, err);
}

// Shifts become as they will be stored, and s is multiplied by what that multiplies them by. Not where a shift
// has hardly a digit left.
static bool round_shifts(const struct bnr_linear *l, const double **s, double *bias) {
    struct bnr_affine_site *site = l->site;
    const enum bnr_dtype dtype = bnr__linear_dtype(l);
    const size_t n = (size_t)bnr__linear_outputs(l);
    struct bnr_affine by;
    double *t, *d = bnr__affine_alloc_along(&by, l->numbers->rank, 1, (int64_t)n, &t, site->temp);
    double *scale = BNR_NEW_ARRAY(site->temp, n, double), *rounded = BNR_NEW_ARRAY(site->temp, n, double);
    double *stored = BNR_NEW_ARRAY(site->temp, n, double);
    if (!d || !scale || !rounded || !stored)
        return bnr__affine_no(site, "out of memory");
    bnr__store_f64(dtype, stored, bias, n);
    bnr__load_f64(rounded, dtype, stored, n);
    for (size_t o = 0; o < n; o++) {
        const bool near = fabs(rounded[o] / bias[o] - 1) < BNR_AFFINE_NEAR_ONE; // 0 / 0 is not
        d[o] = near ? rounded[o] / bias[o] : 1;
        scale[o] = (*s)[o] * d[o];
        bias[o] = near ? rounded[o] : bias[o];
    }
    if (bnr__affine_has_scale(&by))
        site->multiple = by;
    *s = scale;
    return true;
}

static bool absorb_after(struct bnr_affine_site *site, bool transposed, bool apply,
                         struct bnr_error *err) {
    struct bnr_linear l;
    const double *s, *t;
    double *bias;
    if (!describe(site, transposed, &l) ||
        !bnr__affine_along(site, 1, bnr__linear_outputs(&l), &s, &t) || !load_bias(&l, &bias))
        return false;
    const int64_t outputs = bnr__linear_outputs(&l);
    for (int64_t o = 0; o < outputs; o++)
        bias[o] = s[o] * bias[o] + t[o];
    // Weights that are not scaled in any case would come out of a scale near 1 as they were.
    const bool scaled = bnr__affine_has_scale(&site->affine) || l.numbers->lazy;
    if (apply && site->may_multiply && scaled && !round_shifts(&l, &s, bias))
        return false;
    return store_bias(&l, bias, false, err) && bnr__linear_scale(&l, s, true, apply, err) &&
           (!apply || store_bias(&l, bias, true, err));
}

static bool all_are(const struct bnr_node *n, const char *attr, int64_t want) {
    size_t count;
    const int64_t *v = bnr__attr_ints(n, attr, &count);
    for (size_t i = 0; i < count; i++)
        if (v[i] != want)
            return false;
    return true;
}

// Whether every output is the same sum over all of W, at the border as well.
static bool sees_all_taps(const struct bnr_linear *l, bool transposed) {
    const struct bnr_node *n = l->site->node;
    const char *auto_pad = bnr__attr_string(n, "auto_pad", "NOTSET");
    if (l->k == 1 && all_are(n, "strides", 1) && all_are(n, "pads", 0) &&
        all_are(n, "output_padding", 0) && !bnr__attr(n, "output_shape"))
        return true; // pointwise: SAME_* pads nothing
    if (transposed)
        return false;
    if (strncmp(auto_pad, "SAME", 4) == 0)
        return l->k == 1; // (out - 1) * stride + 1 - in <= 0
    return strcmp(auto_pad, "VALID") == 0 || all_are(n, "pads", 0);
}

static bool is_flat(const double *map, size_t channels, size_t plane) {
    for (size_t i = 0; i < channels * plane; i++)
        if (map[i] != map[i / plane * plane])
            return false;
    return true;
}

static bool add_to_bias(const struct bnr_linear *l, const double *scales, const double *bias, bool apply,
                        struct bnr_error *err) {
    return store_bias(l, bias, false, err) && bnr__linear_scale_inputs(l, scales, apply, err) &&
           (!apply || store_bias(l, bias, true, err));
}

static bool absorb_border(const struct bnr_linear *l, bool transposed, bool apply,
                          struct bnr_error *err) {
    struct bnr_affine_site *site = l->site;
    const size_t channels = (size_t)bnr__linear_outputs(l);
    const double *scales;
    double *map, *bias;
    size_t plane;
    if (!bnr__affine_border_map(l, transposed, &scales, &map, &plane))
        return false;
    if (is_flat(map, channels, plane)) {
        if (!load_bias(l, &bias))
            return false;
        for (size_t o = 0; o < channels; o++)
            bias[o] += map[o * plane];
        return add_to_bias(l, scales, bias, apply, err);
    }
    const int64_t dims[2] = {(int64_t)channels, (int64_t)plane};
    return bnr__affine_leave_map(site, map) &&
           bnr__linear_store(site, B, "", bnr__linear_dtype(l), 2, dims, map, false, err) &&
           bnr__linear_scale_inputs(l, scales, apply, err);
}

static bool absorb_in_front(const struct bnr_linear *l, bool transposed, bool apply,
                            struct bnr_error *err) {
    struct bnr_affine_site *site = l->site;
    const double *s, *t;
    double *bias;
    const bool shift = bnr__affine_has_shift(&site->affine);
    if (shift && !l->numbers)
        return bnr__affine_no(site, "what the weights of '%s' are dequantized to is not at hand",
                              site->node->label);
    if (shift && (!bnr__affine_by_channel(&site->affine) || !sees_all_taps(l, transposed)))
        return absorb_border(l, transposed, apply, err);
    if (!bnr__affine_along(site, 1, bnr__linear_inputs(l), &s, &t))
        return false;
    if (!shift)
        return bnr__linear_scale_inputs(l, s, apply, err);
    if (!load_bias(l, &bias))
        return false;
    bnr__linear_dot(l, t, bias);
    return add_to_bias(l, s, bias, apply, err);
}

static bool absorb_before(struct bnr_affine_site *site, bool transposed, bool apply,
                          struct bnr_error *err) {
    struct bnr_linear l;
    const struct bnr_value *w = bnr__affine_input(site->node, W);
    if (site->index != X)
        return bnr__affine_no(site, "it feeds the weights of '%s'", site->node->label);
    if (!bnr__affine_dequantized(w))
        return describe(site, transposed, &l) && absorb_in_front(&l, transposed, apply, err);
    if (!describe_shape(site, transposed, &l))
        return false;
    struct bnr_tensor *numbers = bnr__affine_has_shift(&site->affine) ? bnr__affine_numbers(w) : NULL;
    l.numbers = numbers;
    const bool ok = absorb_in_front(&l, transposed, apply, err);
    bnr__tensor_unref(numbers);
    return ok;
}

// ---- beside it ----------------------------------------------------------------------------------

// What an axis pads in front, where it gives as many outputs as it has inputs.
static bool keeps_size(const struct bnr_node *n, int axis, int64_t reach, int64_t *before) {
    const char *auto_pad = bnr__attr_string(n, "auto_pad", "NOTSET");
    size_t count;
    const int64_t *pads = bnr__attr_ints(n, "pads", &count);
    const int64_t after = strcmp(auto_pad, "SAME_LOWER") == 0 ? reach / 2 : reach - reach / 2;
    if (strncmp(auto_pad, "SAME", 4) == 0) {
        *before = reach - after;
        return true;
    }
    const bool padded = strcmp(auto_pad, "NOTSET") == 0 && count > 0;
    *before = padded ? pads[axis] : 0;
    return (padded ? *before + pads[(size_t)axis + count / 2] : 0) == reach;
}

// The tap that lies on the output's own pixel.
static bool own_tap(const struct bnr_linear *l, int64_t *tap) {
    const struct bnr_node *n = l->site->node;
    size_t count;
    const int64_t *dilations = bnr__attr_ints(n, "dilations", &count);
    *tap = 0;
    for (int i = 0; i + 2 < bnr__affine_shape(l->w).rank; i++) {
        const int64_t k = bnr__affine_dim(l->w, i + 2), by = count ? dilations[i] : 1;
        int64_t before;
        if (!keeps_size(n, i, (k - 1) * by, &before) || before % by != 0)
            return false;
        *tap = *tap * k + before / by;
    }
    return all_are(n, "strides", 1);
}

static bool conv_beside(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    struct bnr_linear l;
    const double *s, *t;
    double *bias, *v;
    int64_t tap;
    if (!describe(site, false, &l) || !bnr__affine_along(site, 1, bnr__linear_outputs(&l), &s, &t) ||
        !load_bias(&l, &bias))
        return false;
    if (site->index != X || l.a != l.b || !own_tap(&l, &tap))
        return bnr__affine_no(site, "no tap of '%s' lies on the pixel itself", site->node->label);
    const struct bnr_tensor *w = l.numbers;
    if (w->numel > BNR_AFFINE_MAX || !(v = BNR_NEW_ARRAY(site->temp, w->numel, double)))
        return bnr__affine_no(site, "'%s' has too many weights", site->node->label);
    bnr__weights_f64(w, v, 0, w->numel);
    for (int64_t o = 0; o < bnr__linear_outputs(&l); o++) {
        v[(o * l.b + o % l.b) * l.k + tap] += s[o];
        bias[o] += t[o];
    }
    for (int really = 0; really <= apply; really++)
        if (!store_bias(&l, bias, really, err) ||
            !bnr__linear_store(site, W, l.w->name, w->dtype, w->rank, w->dims, v, really, err))
            return false;
    return true;
}

// ---- dequantized weights ------------------------------------------------------------------------

static bool backward(struct bnr_affine_site *site, bool transposed, struct bnr_affine *out, bool apply,
                     struct bnr_error *err) {
    struct bnr_linear l;
    const double *s, *t;
    double *bias;
    if (!bnr__affine_dequantized(bnr__affine_input(site->node, W)))
        return false; // absorb_after has said why not
    if (!describe_shape(site, transposed, &l) ||
        !bnr__affine_along(site, 1, bnr__linear_outputs(&l), &s, &t) || !load_bias(&l, &bias))
        return false;
    for (int64_t o = 0; o < bnr__linear_outputs(&l); o++)
        bias[o] = s[o] * bias[o] + t[o];
    if (bnr__affine_has_scale(&site->affine) && !bnr__linear_on_weights(&l, s, true, &out[W]))
        return false;
    return store_bias(&l, bias, apply, err);
}

static bool conv_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                          struct bnr_error *err) {
    return backward(site, false, out, apply, err);
}
static bool transposed_backward(struct bnr_affine_site *site, struct bnr_affine *out, bool apply,
                                struct bnr_error *err) {
    return backward(site, true, out, apply, err);
}

static bool conv_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    return absorb_after(site, false, apply, err);
}
static bool conv_before(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    return absorb_before(site, false, apply, err);
}
static bool transposed_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    return absorb_after(site, true, apply, err);
}
static bool transposed_before(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    return absorb_before(site, true, apply, err);
}

const struct bnr_affine_rules bnr__affine_conv = {.absorb_after = conv_after,
                                                  .absorb_before = conv_before,
                                                  .absorb_beside = conv_beside,
                                                  .backward = conv_backward};
const struct bnr_affine_rules bnr__affine_conv_transpose = {.absorb_after = transposed_after,
                                                            .absorb_before = transposed_before,
                                                            .backward = transposed_backward};
