// SPDX-License-Identifier: Apache-2.0
// A shift in front of a convolution whose outputs do not all see the same taps on data: padding, a
// transposed one's overlaps, a Pad in front. Convolved with the weights it is a map [1, O, out...],
// constant but for the border:
//     conv(pad(s*x + t)) = conv'(pad(x)) + map,     map = conv(pad(t))
// The map stays behind the convolution as one Add, in place of the affine. That is worth it where the map
// is no larger than the weights, so that the model grows by little, and than x, so that the addition
// costs no more than the affine did; all dims must be known.
#include "runtime/ops/lib/affine_border.h"

#include "runtime/ops/lib/affine_scaled.h"
#include "runtime/ops/lib/conv.h"

enum { MAX_PRODUCTS = 1 << 27 }; // of computing a map
enum { CHUNK = 512 };

bool bnr__affine_by_channel(const struct bnr_affine *a) {
    return a->n == 1 || bnr__affine_axis(a) == 1;
}

// One scale for each channel; the shift may vary over spatial axes as well.
static bool channel_scales(struct bnr_affine_site *site, int64_t channels, const double **s) {
    const struct bnr_affine *a = &site->affine;
    if (bnr__affine_by_channel(a)) {
        const double *t;
        return bnr__affine_along(site, 1, channels, s, &t);
    }
    double *one = BNR_NEW_ARRAY(site->temp, (size_t)channels, double);
    if (!one)
        return bnr__affine_no(site, "out of memory");
    const size_t inner = a->n / (size_t)a->dims[1];
    bool same = a->rank >= 2 && a->dims[0] == 1 && (a->dims[1] == 1 || a->dims[1] == channels);
    for (size_t i = 0; same && i < a->n; i++)
        same = a->s[i] == a->s[i / inner * inner];
    for (size_t c = 0; same && c < (size_t)channels; c++)
        one[c] = a->s[a->dims[1] == 1 ? 0 : c * inner];
    *s = one;
    return same || bnr__affine_no(site, "its scale varies over more than the channels");
}

// The shift at every place of an image [C, in...].
static double *whole_shift(struct bnr_affine_site *site, const struct bnr_conv *c) {
    const struct bnr_affine *a = &site->affine;
    const size_t plane = (size_t)bnr__window_in_numel(&c->window), count = (size_t)c->in_channels * plane;
    double *t = BNR_NEW_ARRAY(site->temp, count, double);
    for (size_t i = 0; t && i < count; i++) {
        size_t at = 0, step = 1, rest = i;
        for (int k = a->rank - 1; k >= 1; k--) {
            const size_t dim = (size_t)(k == 1 ? c->in_channels : c->window.axis[k - 2].in);
            if (a->dims[k] != 1)
                at += rest % dim * step;
            step *= (size_t)a->dims[k];
            rest /= dim;
        }
        t[i] = a->t[a->n == 1 ? 0 : at];
    }
    return t;
}

// Every channel of t is the same everywhere: the weights are summed over the input channels first, and
// what is convolved is an image of ones.
static bool map_of_channels(const struct bnr_linear *l, struct bnr_conv c, const double *t, double *map) {
    const struct bnr_tensor *w = l->numbers;
    const size_t outputs = (size_t)c.out_channels, k = (size_t)l->k, a = (size_t)l->a, b = (size_t)l->b;
    const size_t plane = (size_t)bnr__window_in_numel(&c.window);
    double *sum = BNR_NEW_ARRAY(l->site->temp, outputs * k, double);
    double *ones = BNR_NEW_ARRAY(l->site->temp, plane, double);
    if (!sum || !ones)
        return bnr__affine_no(l->site, "out of memory");
    for (size_t i = 0; i < plane; i++)
        ones[i] = 1;
    double v[CHUNK];
    for (size_t i = 0; i < w->numel; i++) {
        if (i % CHUNK == 0)
            bnr__weights_f64(w, v, i, w->numel - i < CHUNK ? w->numel - i : CHUNK);
        const size_t row = i / k / b, column = row / a * b + i / k % b;
        const size_t o = l->out_is_a ? row : column, in = l->out_is_a ? column : row;
        sum[o * k + i % k] += v[i % CHUNK] * t[in * plane];
    }
    c.group = c.group_in = c.in_channels = 1;
    c.group_out = c.out_channels;
    bnr__conv_f64(&c, ones, sum, NULL, map, NULL);
    return true;
}

static bool map_of_all(const struct bnr_linear *l, const struct bnr_conv *c, const double *t,
                       double *map) {
    const struct bnr_tensor *w = l->numbers;
    double *wide = BNR_NEW_ARRAY(l->site->temp, w->numel, double);
    if (!wide)
        return bnr__affine_no(l->site, "out of memory");
    bnr__weights_f64(w, wide, 0, w->numel);
    bnr__conv_f64(c, t, wide, NULL, map, NULL);
    return true;
}

static bool find_geometry(const struct bnr_linear *l, bool transposed, struct bnr_conv *c) {
    struct bnr_affine_site *site = l->site;
    const struct bnr_node *n = site->node;
    const struct bnr_shape x = bnr__affine_shape(n->in[0]), w = bnr__affine_shape(l->w),
                           y = bnr__affine_shape(n->out[0]);
    struct bnr_error err;
    bool known = x.rank > 2 && x.rank == y.rank;
    for (int i = 1; known && i < x.rank; i++)
        known = x.dims[i].n > 0 && !x.dims[i].sym && y.dims[i].n > 0 && !y.dims[i].sym;
    if (!known)
        return bnr__affine_no(site, "'%s' has a border that the shift would have to change, and its size is not known",
                              n->label);
    return bnr__conv_geometry(n, &x, &w, transposed, c, &err) == BNR_OK ||
           bnr__affine_no(site, "the window of '%s' is not valid", n->label);
}

// Products of positive sizes; more than the limits below ever allow where they do not fit.
static double product(const struct bnr_conv *c, bool out) {
    double p = (double)(out ? c->out_channels : c->in_channels);
    for (int i = 0; i < c->window.rank; i++)
        p *= (double)(out ? c->window.axis[i].out : c->window.axis[i].in);
    return p;
}

static bool is_cheap(const struct bnr_linear *l, const struct bnr_conv *c) {
    const double map = product(c, true), x = product(c, false), w = (double)l->numbers->numel;
    const double most = x < w ? x : w;
    if (map > most)
        return bnr__affine_no(l->site,
                              "'%s' has a border that the shift would have to change: by a map of %.0f numbers, "
                              "more than %s has (%.0f)",
                              l->site->node->label, map, x < w ? "its input" : "its kernel", most);
    const double products = w * product(c, c->transposed ? false : true) /
                            (double)(c->transposed ? c->in_channels : c->out_channels);
    return products <= MAX_PRODUCTS || bnr__affine_by_channel(&l->site->affine) ||
           bnr__affine_no(l->site, "the border of '%s' is too big to be computed", l->site->node->label);
}

bool bnr__affine_border_map(const struct bnr_linear *l, bool transposed, const double **scales,
                            double **map, size_t *plane) {
    struct bnr_affine_site *site = l->site;
    struct bnr_conv c;
    if (!site->may_copy && !bnr__affine_has_scale(&site->affine))
        return bnr__affine_no(site, "'%s' has a border, where the shift would be another one",
                              site->node->label);
    if (!channel_scales(site, bnr__linear_inputs(l), scales) || !find_geometry(l, transposed, &c) ||
        !is_cheap(l, &c))
        return false;
    const double *t = whole_shift(site, &c);
    *plane = (size_t)bnr__window_out_numel(&c.window);
    *map = BNR_NEW_ARRAY(site->temp, (size_t)c.out_channels * *plane, double);
    if (!t || !*map)
        return bnr__affine_no(site, "out of memory");
    return bnr__affine_by_channel(&site->affine) ? map_of_channels(l, c, t, *map)
                                                 : map_of_all(l, &c, t, *map);
}

bool bnr__affine_leave_map(struct bnr_affine_site *site, const double *map) {
    const struct bnr_shape y = bnr__affine_shape(site->node->out[0]);
    int64_t dims[BNR_MAX_RANK] = {1};
    for (int i = 1; i < y.rank; i++)
        dims[i] = y.dims[i].n;
    double *t, *s = bnr__affine_alloc(&site->rest, y.rank, dims, &t, site->temp);
    if (!s)
        return bnr__affine_no(site, "out of memory");
    for (size_t i = 0; i < site->rest.n; i++) {
        s[i] = 1;
        t[i] = map[i];
    }
    return true;
}
