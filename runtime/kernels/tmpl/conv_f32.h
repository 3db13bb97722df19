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

static void pack(const struct bnr_conv_pack *p) {
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

const struct bnr_conv_f32_kernels ISA(bnr__conv_f32) = {.isa = ISA_NAME, .lanes = VW, .pack = pack};
