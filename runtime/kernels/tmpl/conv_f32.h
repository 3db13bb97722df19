// SPDX-License-Identifier: Apache-2.0
// Template: the conv_f32 packer on the vectors of the file that includes it. Needs ISA(name),
// ISA_NAME.
#include "runtime/kernels/conv_f32.h"

#include "runtime/base/compiler.h"
#include "runtime/kernels/tmpl/address.h"

static void pack_zeros(const struct bnr_conv_pack *p) {
    for (size_t c = 0; c < p->channels; c++)
        v_store(p->dst + c * p->ld, v_set1(0));
}

static void pack_full(const struct bnr_conv_pack *p) {
    const float *src = v_address(p->src, p->run[0].offset);
    float *dst = p->dst;
    for (size_t c = 0; c < p->channels; c++, src += p->plane, dst += p->ld)
        v_store(dst, v_load(src));
}

// n runs, read by one of the range loads.
#define PACK_RUNS(name, load)                                                                      \
    BNR_INLINE void name(const struct bnr_conv_pack *p, const int n) {                             \
        for (size_t c = 0; c < p->channels; c++) {                                                 \
            vf v = v_set1(0);                                                                      \
            for (int i = 0; i < n; i++) {                                                          \
                const float *src = v_address(p->src, p->run[i].offset) + c * p->plane;             \
                v = load(src, p->run[i].first, p->run[i].last, v);                                 \
            }                                                                                      \
            v_store(p->dst + c * p->ld, v);                                                        \
        }                                                                                          \
    }

PACK_RUNS(pack_runs, v_load_range)
PACK_RUNS(pack_runs2, v_load2_range)

static void pack_strided(const struct bnr_conv_pack *p) {
    pack_zeros(p);
    for (int i = 0; i < p->n; i++) {
        const struct bnr_conv_run r = p->run[i];
        const float *src = p->src + (r.offset + r.first * (ptrdiff_t)p->stride);
        for (size_t c = 0; c < p->channels; c++, src += p->plane) {
            for (int l = r.first; l < r.last; l++)
                p->dst[c * p->ld + l] = src[(size_t)(l - r.first) * p->stride];
        }
    }
}

// ---- the prologue, on the vectors just written --------------------------------------------------

BNR_INLINE vf activate(const struct bnr_conv_before *b, size_t c, vf x, const enum bnr_eltwise_kind kind) {
    switch (kind) {
    case BNR_ELTWISE_CLAMP:
        return v_min(v_set1(b->q), v_max(v_set1(b->p), x));
    case BNR_ELTWISE_LEAKY_RELU:
        return v_select(v_lt(x, v_set1(0)), v_mul(v_set1(b->p), x), x);
    case BNR_ELTWISE_PRELU:
        return v_select(v_lt(x, v_set1(0)), v_mul(v_set1(b->slope[c]), x), x);
    default:
        return x;
    }
}

// inside: 1 in lanes that hold input, 0 in padding.
BNR_INLINE void before_rows(const struct bnr_conv_pack *p, vf inside, const bool full,
                            const enum bnr_eltwise_kind kind) {
    const struct bnr_conv_before *b = p->before;
    for (size_t c = 0; c < p->channels; c++) {
        float *dst = p->dst + c * p->ld;
        const vf v = v_load(dst), x = b->s ? v_fma(v_set1(b->s[c]), v, v_set1(b->t[c])) : v;
        const vf y = activate(b, c, x, kind);
        v_store(dst, full ? y : v_select(v_lt(v_set1(0), inside), y, v_set1(0)));
    }
}

BNR_INLINE void before_kind(const struct bnr_conv_pack *p, const enum bnr_eltwise_kind kind) {
    float ones[VW];
    vf inside = v_set1(0);
    v_store(ones, v_set1(1));
    if (p->run[0].last - p->run[0].first == VW) {
        before_rows(p, inside, true, kind);
        return;
    }
    for (int i = 0; i < p->n; i++)
        inside = v_load_range(ones, p->run[i].first, p->run[i].last, inside);
    before_rows(p, inside, false, kind);
}

static void before(const struct bnr_conv_pack *p) {
    switch (p->before->kind) {
    case BNR_ELTWISE_CLAMP:
        before_kind(p, BNR_ELTWISE_CLAMP);
        break;
    case BNR_ELTWISE_LEAKY_RELU:
        before_kind(p, BNR_ELTWISE_LEAKY_RELU);
        break;
    case BNR_ELTWISE_PRELU:
        before_kind(p, BNR_ELTWISE_PRELU);
        break;
    default:
        before_kind(p, BNR_ELTWISE_AFFINE);
        break;
    }
}

static void pack_input(const struct bnr_conv_pack *p) {
    if (p->n == 0)
        pack_zeros(p);
    else if (p->stride == 1 && p->run[0].last - p->run[0].first == VW)
        pack_full(p);
    else if (p->stride == 1 && p->n == 1)
        pack_runs(p, 1);
    else if (p->stride == 1 && p->n == 2)
        pack_runs(p, 2);
    else if (p->stride == 1)
        pack_runs(p, p->n);
    else if (p->stride == 2 && p->n == 1)
        pack_runs2(p, 1);
    else if (p->stride == 2 && p->n == 2)
        pack_runs2(p, 2);
    else if (p->stride == 2)
        pack_runs2(p, p->n);
    else
        pack_strided(p);
}

static void pack(const struct bnr_conv_pack *p) {
    pack_input(p);
    if (p->before && p->n > 0)
        before(p);
}

const struct bnr_conv_f32_kernels ISA(bnr__conv_f32) = {.isa = ISA_NAME, .lanes = VW, .pack = pack};
