// SPDX-License-Identifier: Apache-2.0
// Winograd's tiles for a shape, what they cost, and the choice of an algorithm.
#include "runtime/kernels/nchwc_winograd_f32.h"

#include <string.h>

#include "runtime/kernels/pieces.h"

// The length of a 1xk or kx1 kernel that has transforms, or 0.
static size_t line_length(const struct bnr_conv_shape *s) {
    const size_t k = s->kernel[1] == 1 ? s->kernel[2] : s->kernel[2] == 1 ? s->kernel[1] : 0;
    return k == 3 || k == 5 || k == 7 ? k : 0;
}

static bool any_form(const struct bnr_nchwc_conv_f32 *c) {
    const struct bnr_conv_shape *s = &c->s;
    for (int i = 0; i < BNR_CONV_AXES; i++) {
        if (s->stride[i] != 1 || s->dilation[i] != 1)
            return false;
    }
    const bool blocked = !c->plain || c->algorithm == BNR_NCHWC_PHASES;
    return s->kernel[0] == 1 && s->pad[0] == 0 && s->in[0] == s->out[0] && blocked &&
           !c->lanewise && !c->narrow;
}

// Tiles of kxk kernels, of n points a line. False where there are no transforms.
static bool square_form(struct bnr_winograd_form *f, size_t n, size_t k) {
    static const double input[] = {70, 230, 600}, output[] = {50, 170, 450};
    const size_t size = n / 2 - 2, m = n - k + 1;
    if (k < 3 || k > 5 || (k > 3 && n != 6))
        return false;
    f->kind = k == 3 ? (int)size : BNR_WINOGRAD_LARGER + (int)k - 4;
    f->tile_h = f->tile_w = m;
    f->patch_h = f->patch_w = n;
    f->points = n * n;
    f->input = input[size];
    f->output = output[size] * (double)m / (double)(n - 2);
    return true;
}

static void line_form(struct bnr_winograd_form *f, size_t m, size_t k, bool vertical) {
    const size_t n = m + k - 1;
    f->kind = BNR_WINOGRAD_LINES + (int)(m == 4) * 3 + (int)(k - 3) / 2;
    f->tile_h = vertical ? m : 1;
    f->tile_w = vertical ? 1 : m;
    f->patch_h = vertical ? n : 1;
    f->patch_w = vertical ? 1 : n;
    f->points = n;
    f->input = 10 + 6 * (double)n;
    f->output = 20 + (double)(n * m);
}

// With P = ceil(p / 2) and e = 2 P - p, x[2 i + k - p] is phase (k + e) % 2 at i + (k + e) / 2 - P.
bool bnr__winograd_phases(struct bnr_nchwc_conv_f32 *c) {
    struct bnr_conv_shape *s = &c->s;
    if (!c->plain || s->groups != 1 || 4 * s->cin > BNR_WINOGRAD_PHASE_CHANNELS ||
        s->kernel[0] != 1)
        return false;
    c->whole = *s;
    for (int i = 1; i < BNR_CONV_AXES; i++) {
        const size_t before = ceil_div(s->pad[i], 2), shift = 2 * before - s->pad[i];
        if (s->stride[i] != 2 || s->dilation[i] != 1 || ceil_div(s->kernel[i] + shift, 2) != 4)
            return false;
        s->kernel[i] = 4;
        s->stride[i] = 1;
        s->pad[i] = before;
        s->in[i] = ceil_div(s->in[i], 2);
    }
    s->cin *= 4;
    c->taps = s->kernel[1] * s->kernel[2];
    c->in_blocks = ceil_div(s->cin, c->lanes);
    c->algorithm = BNR_NCHWC_PHASES;
    return true;
}

void bnr__winograd_phase_kernels(const struct bnr_nchwc_conv_f32 *c, float *dst,
                                 const bnr_any_float *src, size_t n) {
    const struct bnr_conv_shape *w = &c->whole, *s = &c->s;
    const size_t shift[2] = {2 * s->pad[1] - w->pad[1], 2 * s->pad[2] - w->pad[2]};
    memset(dst, 0, n * s->cin * c->taps * sizeof *dst);
    for (size_t i = 0; i < n * w->cin; i++) {
        float *to = dst + (i / w->cin * s->cin + i % w->cin) * c->taps; // phase 0's
        for (size_t y = shift[0]; y < w->kernel[1] + shift[0]; y++) {
            for (size_t x = shift[1]; x < w->kernel[2] + shift[1]; x++, src++)
                to[(y % 2 * 2 + x % 2) * w->cin * c->taps + y / 2 * s->kernel[2] + x / 2] = *src;
        }
    }
}

bool bnr__winograd_form(const struct bnr_nchwc_conv_f32 *c, enum bnr_nchwc_algorithm algorithm,
                        struct bnr_winograd_form *f) {
    const size_t k = line_length(&c->s);
    if (!any_form(c))
        return false;
    switch (algorithm) {
    case BNR_NCHWC_WINOGRAD2:
    case BNR_NCHWC_WINOGRAD4:
    case BNR_NCHWC_WINOGRAD6:
        return c->s.kernel[1] == c->s.kernel[2] &&
               square_form(f, 2 * (size_t)(algorithm - BNR_NCHWC_WINOGRAD2) + 4, c->s.kernel[1]);
    case BNR_NCHWC_PHASES:
        return square_form(f, 6, c->s.kernel[1]);
    case BNR_NCHWC_LINE2:
    case BNR_NCHWC_LINE4:
        line_form(f, algorithm == BNR_NCHWC_LINE2 ? 2 : 4, k, c->s.kernel[2] == 1);
        return k != 0;
    default:
        return false;
    }
}

// Vector instructions of one core, or what takes as long. Layers of 3x3 whose weights are not in a
// cache, measured ms, this estimate in brackets; on a Zen 4 (a multiply-add of 16 lanes a cycle, 6.4
// bytes of weights in that time):
//
//                          direct       m = 2        m = 4        m = 6
//     64 ->  64, 56x56  2.09 (2.12)  1.09 (1.05)  0.63 (0.62)  0.60 (0.61)
//    128 -> 128, 28x28  2.07 (2.13)  1.01 (1.02)  0.62 (0.62)  0.65 (0.68)
//    256 -> 256, 14x14  2.08 (2.15)  1.09 (1.03)  0.78 (0.80)  1.13 (1.03)
//    512 -> 512,  7x7   2.09 (2.23)  1.42 (1.38)  1.58 (1.79)  2.93 (3.03)
//    512 -> 512, 28x28  36.1 (33.2)  17.0 (15.2)  10.1 (9.9)   9.1  (11.8)
//
// and on a Sapphire Rapids (135 GFLOP/s, 2.4 bytes in the time of a multiply-add):
//
//     64 ->  64, 56x56  1.77 (1.80)  1.06 (0.89)  0.66 (0.54)  0.68 (0.53)
//    128 -> 128, 28x28  1.75 (1.81)  0.98 (0.87)  0.67 (0.53)  0.68 (0.55)
//    256 -> 256, 14x14  1.73 (1.85)  1.09 (0.90)  1.05 (1.07)  1.77 (1.81)
//    512 -> 512,  7x7   1.87 (1.99)  1.86 (1.88)  3.40 (3.86)  6.02 (6.87)
//    512 -> 512, 14x14  6.94 (7.38)  4.41 (3.57)  4.65 (4.25)  7.07 (7.17)
//    512 -> 512, 28x28  27.8 (29.0)  15.1 (13.3)  11.2 (8.1)   10.3 (8.1)
double bnr__winograd_cost(const struct bnr_nchwc_conv_f32 *c, const struct bnr_winograd_form *f,
                          double tiles, size_t out_blocks) {
    const double weights = (double)(f->points * c->s.cin * out_blocks);
    const double bytes = c->far_memory ? 2.4 : 6.4; // in the time of an instruction
    const double multiply = tiles * weights * 1.05, load = weights * 64 / bytes;
    const double slow = multiply > load ? multiply : load, fast = multiply + load - slow;
    const double transform =
        tiles * ((double)c->in_blocks * f->input + (double)out_blocks * f->output);
    return slow + 0.2 * fast + transform;
}

static double cost_of_all(const struct bnr_nchwc_conv_f32 *c, const struct bnr_winograd_form *f) {
    const struct bnr_conv_shape *s = &c->s;
    const double tiles = (double)(s->batch * s->out[0] * ceil_div(s->out[1], f->tile_h) *
                                  ceil_div(s->out[2], f->tile_w));
    return bnr__winograd_cost(c, f, tiles, c->out_blocks);
}

enum bnr_nchwc_algorithm bnr__nchwc_choose_algorithm(const struct bnr_nchwc_conv_f32 *c,
                                                     bool prologue) {
    // The direct sum: a point for each tap, tiles of a pixel.
    struct bnr_winograd_form f = {.tile_h = 1, .tile_w = 1, .points = c->taps};
    enum bnr_nchwc_algorithm best = BNR_NCHWC_DIRECT;
    struct bnr_nchwc_conv_f32 phases = *c;
    double least = cost_of_all(c, &f);
    for (int i = BNR_NCHWC_WINOGRAD2; i < BNR_NCHWC_ALGORITHMS; i++) {
        const enum bnr_nchwc_algorithm algorithm = (enum bnr_nchwc_algorithm)i;
        const struct bnr_nchwc_conv_f32 *on = c;
        if (algorithm == BNR_NCHWC_PHASES) {
            if (prologue || !bnr__winograd_phases(&phases))
                continue;
            on = &phases;
        }
        if (!bnr__winograd_form(on, algorithm, &f) ||
            (algorithm == BNR_NCHWC_WINOGRAD6 && c->s.cin > BNR_WINOGRAD6_CHANNELS))
            continue;
        // Each has larger weights, which take longer to load, than those in front, and is less
        // accurate: it has to be clearly faster.
        const double cost = cost_of_all(on, &f);
        if (cost >= 0.9 * least)
            continue;
        least = cost;
        best = algorithm;
    }
    return best;
}
