// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/sample.h"

#include <math.h>

// Folds x back at lo and hi until it is between them.
static double reflect(double x, double lo, double hi) {
    const double range = hi - lo;
    if (!(range > 0))
        return lo;
    const double away = x < lo ? lo - x : x > hi ? x - hi : 0;
    if (away == 0)
        return x;
    const double turns = floor(away / range), rest = away - turns * range;
    const bool from_lo = (x < lo) == (fmod(turns, 2) == 0);
    return from_lo ? lo + rest : hi - rest;
}

static double clamp(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

// A whole position to an index, or -1 where it is outside and counts as zero.
static int64_t element(const struct bnr_sampler *s, int axis, double at, double lo, double hi) {
    const double last = (double)(s->dims[axis] - 1);
    if (s->padding == BNR_SAMPLE_ZEROS)
        return at >= 0 && at <= last ? (int64_t)at : -1;
    if (s->padding == BNR_SAMPLE_REFLECTION)
        at = trunc(reflect(at, lo, hi));
    return (int64_t)clamp(at, 0, last);
}

static void cubic_weights(double t, double *w) {
    static const double a = -0.75;
    for (int k = 0; k < 4; k++) {
        const double d = fabs((double)(k - 1) - t);
        w[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1
                      : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
}

static void prepare_axis(const struct bnr_sampler *s, int axis, double x, struct bnr_sample *out) {
    const double n = (double)s->dims[axis];
    const double lo = s->align_corners ? 0 : -0.5, hi = s->align_corners ? n - 1 : n - 0.5;
    x = isnan(x) ? -0x1p40 : clamp(x, -0x1p40, 0x1p40);
    if (s->mode == BNR_SAMPLE_NEAREST)
        x = rint(x);
    if (s->padding == BNR_SAMPLE_BORDER && (x < lo || x > hi))
        x = clamp(x, 0, n - 1);
    else if (s->padding == BNR_SAMPLE_REFLECTION)
        x = reflect(x, lo, hi);
    const double left = s->mode == BNR_SAMPLE_NEAREST ? trunc(x) : floor(x);
    double *w = out->weight[axis];
    if (s->mode == BNR_SAMPLE_NEAREST) {
        w[0] = 1;
    } else if (s->mode == BNR_SAMPLE_LINEAR) {
        w[0] = 1 - (x - left);
        w[1] = x - left;
    } else {
        cubic_weights(x - left, w);
    }
    const int before = s->mode == BNR_SAMPLE_CUBIC ? 1 : 0;
    for (int k = 0; k < out->taps; k++)
        out->index[axis][k] = element(s, axis, left + (double)(k - before), lo, hi);
}

void bnr__sample_prepare(const struct bnr_sampler *s, const double *position,
                         struct bnr_sample *out) {
    out->taps = s->mode == BNR_SAMPLE_NEAREST ? 1 : s->mode == BNR_SAMPLE_LINEAR ? 2 : 4;
    for (int i = 0; i < s->rank; i++)
        prepare_axis(s, i, position[i], out);
}

double bnr__sample_value(const struct bnr_sampler *s, const struct bnr_sample *at,
                         const double *x) {
    int k[BNR_MAX_RANK] = {0};
    double sum = 0;
    for (;;) {
        double w = 1;
        int64_t from = 0;
        bool inside = true;
        for (int i = 0; i < s->rank; i++) {
            const int64_t index = at->index[i][k[i]];
            inside &= index >= 0;
            from = from * s->dims[i] + index;
            w *= at->weight[i][k[i]];
        }
        if (inside)
            sum += w * x[from];
        int i = s->rank - 1;
        while (i >= 0 && ++k[i] == at->taps)
            k[i--] = 0;
        if (i < 0)
            return sum;
    }
}

int64_t bnr__sample_index(const struct bnr_sampler *s, const struct bnr_sample *at) {
    int64_t from = 0;
    for (int i = 0; i < s->rank; i++) {
        if (at->index[i][0] < 0)
            return -1;
        from = from * s->dims[i] + at->index[i][0];
    }
    return from;
}
