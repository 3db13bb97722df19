// SPDX-License-Identifier: Apache-2.0
// Affines behind operators that normalize by the data's own statistics and then scale and shift by
// constants: s*(g*x^ + b) + t = (s*g)*x^ + (s*b + t). They are not foldable themselves.
#include "runtime/ops/lib/affine_rules.h"

enum { X, SCALE, BIAS };

static bool absorb(struct bnr_affine_site *site, int axis, bool apply, struct bnr_error *err) {
    struct bnr_node *n = site->node;
    const struct bnr_tensor *g = bnr__affine_constant(bnr__affine_input(n, SCALE));
    const struct bnr_value *old = bnr__affine_input(n, BIAS);
    const struct bnr_tensor *b = bnr__affine_constant(old);
    if (!g || (old && !b) || g->rank != 1 || (b && (b->rank != 1 || b->numel != g->numel)) ||
        !bnr__dtype_is_float(g->dtype))
        return bnr__affine_no(site, "the scale and bias of '%s' are not constant vectors",
                              n->label);
    const int64_t count = g->dims[0];
    const double *s, *t;
    if (!bnr__affine_along(site, axis, count, &s, &t))
        return false;
    double *scale = BNR_NEW_ARRAY(site->temp, (size_t)count, double);
    double *bias = BNR_NEW_ARRAY(site->temp, (size_t)count, double);
    if (!scale || !bias)
        return bnr__affine_no(site, "out of memory");
    for (size_t i = 0; i < (size_t)count; i++) {
        scale[i] = s[i] * bnr__tensor_f64(g, i);
        bias[i] = s[i] * (b ? bnr__tensor_f64(b, i) : 0) + t[i];
    }
    const char *hint = old ? old->name : bnr__arena_printf(site->temp, "%s_bias", n->label);
    if (!hint)
        return bnr__affine_no(site, "out of memory");
    const enum bnr_dtype dtype = g->dtype; // g goes when its last use does
    for (int round = 0; round < (apply ? 2 : 1); round++)
        if (!bnr__linear_store(site, SCALE, n->in[SCALE]->name, dtype, 1, &count, scale, round == 1,
                               err) ||
            !bnr__linear_store(site, BIAS, hint, dtype, 1, &count, bias, round == 1, err))
            return false;
    return true;
}

static bool instance_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    return absorb(site, 1, apply, err);
}

static bool layer_after(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    const int rank = bnr__affine_shape(site->node->out[0]).rank;
    const int64_t axis = bnr__attr_int(site->node, "axis", -1);
    if (rank < 1 || (axis != -1 && axis != rank - 1))
        return bnr__affine_no(site, "'%s' normalizes over several axes", site->node->label);
    if (site->index != 0)
        return bnr__affine_no(site, "it follows the statistics of '%s'", site->node->label);
    return absorb(site, rank - 1, apply, err);
}

const struct bnr_affine_rules bnr__affine_instance_norm = {.absorb_after = instance_after};
const struct bnr_affine_rules bnr__affine_layer_norm = {.absorb_after = layer_after};
