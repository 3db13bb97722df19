// SPDX-License-Identifier: Apache-2.0
// Affines around QuantizeLinear and DequantizeLinear, exact up to one rounding of each scale.
//     (q - z)*k -> (s, t)       = (q' - z')*(k*|s|)            k* and z* one for each channel, or
//                                                              block where one s goes with it
//     (s, t) -> round(x/k) + z  = round(x/(k/s)) + z + t/k
// A shift is a whole number of steps or stays where it is: d = t/(k*|s|).
//     s > 0:  q' = q,      z' = z - d
//     s < 0:  q' = c - q,  z' = c - z - d   for a c that keeps both in range: c = 2z + d leaves the zero
//             point alone (int8 around 0: q' = -q), which -128 or a zero point off the middle may not
//             allow; then c = lowest + highest number of the type (q' = ~q), which always fits for d = 0.
//     s = 0:  q' = z + t/k, the scale stays: a scale of 0 is no scale
// Integers that come at run time cannot change sign. Scales narrower than what they make (float16 for
// float32 weights) would lose bits that folded weights keep: refused.
#include <float.h>
#include <math.h>
#include <string.h>

#include "graph/op.h"
#include "runtime/ops/lib/affine_rules.h"
#include "runtime/ops/lib/quantize.h"

enum { Q, SCALE, ZERO, CHUNK = 512 };

// One quantized tensor's parameters, expanded to one for each entry of `axis` where the affine varies.
struct quantized {
    struct bnr_affine_site *site;
    const struct bnr_tensor *q, *scale, *zero; // q NULL: comes at run time; zero NULL: none
    enum bnr_dtype dtype;                      // of the integers
    double low, high;                          // their range
    int axis;                                  // along which there are n parameters
    int64_t n;
    int64_t block;                  // > 0: parameters for blocks along axis, n of them in all
    struct bnr_quant_layout layout; // of q in terms of the n parameters
    double *k, *z;                  // [n] the new ones
    double *turn;                   // [n] c; NaN: q' = q
    double *fill;                   // [n] q' for all; NaN: not
};

static int bits_of(enum bnr_dtype d) { // of a significand; 0: no type for scales that change
    switch ((int)d) {
    case BNR_FLOAT16:
        return 11;
    case BNR_BFLOAT16:
        return 8;
    case BNR_FLOAT:
        return 24;
    case BNR_DOUBLE:
        return 53;
    default:
        return 0;
    }
}

static bool is_small_float(enum bnr_dtype d) {
    return (d >= BNR_FLOAT8E4M3FN && d <= BNR_FLOAT8E5M2FNUZ) || d == BNR_FLOAT4E2M1;
}

// ---- reading the node ---------------------------------------------------------------------------------

static void set_range(struct quantized *u) {
    const int bits = bnr__dtype_bits(u->dtype);
    const bool is_signed = bnr__dtype_class(u->dtype) == BNR_CLASS_INT;
    u->high = is_small_float(u->dtype) ? HUGE_VAL : ldexp(1, is_signed ? bits - 1 : bits) - 1;
    u->low = is_small_float(u->dtype) ? -HUGE_VAL : is_signed ? -u->high - 1 : 0;
}

// Each block has one factor: they lie along another axis, or none divides one.
static bool choose_blocks(struct quantized *u, int axis, int rank) {
    struct bnr_affine_site *site = u->site;
    const struct bnr_affine *a = &site->affine;
    const struct bnr_node *n = site->node;
    const int own = bnr__affine_axis(a);
    if (u->scale->rank != rank || axis < 0 || axis >= rank)
        return bnr__affine_no(site, "the scale of '%s' does not have its blocks", n->label);
    u->axis = axis;
    u->n = (int64_t)u->scale->numel;
    u->block = bnr__attr_int(n, "block_size", 0);
    if (own == BNR_AFFINE_UNIFORM)
        return true;
    const int64_t block = own == axis ? u->block : 1, entries = (int64_t)a->n;
    if ((entries - 1) / block + 1 != u->scale->dims[own])
        return bnr__affine_no(site, "'%s' has another number of channels", n->label);
    for (int64_t i = 0; i < entries; i++)
        if (a->s[i] != a->s[i / block * block] || a->t[i] != a->t[i / block * block])
            return bnr__affine_no(site, "'%s' has one scale for blocks of %lld channels", n->label,
                                  (long long)block);
    return true;
}

// The affine's entry for parameter p.
static size_t entry_of(const struct quantized *u, int64_t p) {
    const struct bnr_affine *a = &u->site->affine;
    const int own = bnr__affine_axis(a);
    if (own == BNR_AFFINE_UNIFORM || u->block == 0)
        return a->n == 1 ? 0 : (size_t)p;
    const size_t inner = bnr__dims_product(u->scale->dims, own + 1, u->scale->rank);
    const size_t at = (size_t)p / inner % (size_t)u->scale->dims[own];
    return own == u->axis ? at * (size_t)u->block : at;
}

// The axis of the parameters that there have to be.
static bool choose_axis(struct quantized *u, int rank) {
    struct bnr_affine_site *site = u->site;
    const struct bnr_node *n = site->node;
    const int own = bnr__affine_axis(&site->affine);
    int64_t axis = n->since < 13 ? 0 : bnr__attr_int(n, "axis", 1);
    axis += axis < 0 ? rank : 0;
    if (own == BNR_AFFINE_MANY)
        return bnr__affine_no(site, "its scale varies over more than one axis of '%s'", n->label);
    if (bnr__attr_int(n, "block_size", 0) > 0)
        return choose_blocks(u, (int)axis, rank);
    u->n = (int64_t)u->scale->numel;
    u->axis = (int)axis;
    if (u->scale->numel == 1 && u->scale->rank <= 1) {
        if (own == BNR_AFFINE_UNIFORM)
            return true;
        u->axis = own;
        u->n = (int64_t)site->affine.n;
        return true;
    }
    if (u->scale->rank != 1 || axis < 0 || axis >= rank)
        return bnr__affine_no(site, "the scale of '%s' is no vector", n->label);
    if (own == BNR_AFFINE_UNIFORM || (own == axis && (int64_t)site->affine.n == u->n))
        return true;
    return bnr__affine_no(site, "'%s' has its scales along axis %d, the affine varies over axis %d",
                          n->label, (int)axis, own);
}

static bool describe(struct quantized *u, struct bnr_affine_site *site, const struct bnr_value *q,
                     const struct bnr_value *numbers) {
    const struct bnr_node *n = site->node;
    const struct bnr_shape shape = bnr__affine_shape(numbers);
    *u = (struct quantized){.site = site,
                            .q = bnr__affine_constant(q),
                            .scale = bnr__affine_constant(bnr__affine_input(n, SCALE)),
                            .zero = bnr__affine_constant(bnr__affine_input(n, ZERO)),
                            .dtype = q->info->type.dtype};
    if (!u->scale || (bnr__affine_input(n, ZERO) && !u->zero))
        return bnr__affine_no(site, "the scale or zero point of '%s' is not constant", n->label);
    if (u->dtype == BNR_UNDEFINED || shape.rank < 0)
        return bnr__affine_no(site, "the dtype or rank at '%s' is not known", n->label);
    const enum bnr_dtype wide = numbers->info->type.dtype;
    if (bits_of(u->scale->dtype) == 0 || bits_of(u->scale->dtype) < bits_of(wide))
        return bnr__affine_no(site, "the scale of '%s' is %s, too narrow to hold the product for %s",
                              n->label, bnr__dtype_name(u->scale->dtype), bnr__dtype_name(wide));
    if (!choose_axis(u, shape.rank) ||
        (u->zero && u->zero->numel != u->scale->numel && u->zero->numel != 1))
        return site->why ? false : bnr__affine_no(site, "the zero point of '%s' does not fit its scale",
                                                  n->label);
    u->layout = (struct bnr_quant_layout){.outer = 1, .n = (size_t)u->n, .inner = 1, .per_axis = u->n > 1};
    if (u->q && u->block > 0) {
        u->layout = bnr__quant_layout(n, u->q, u->scale);
    } else if (u->q && u->n > 1) {
        if (u->axis >= u->q->rank || u->q->dims[u->axis] != u->n)
            return bnr__affine_no(site, "'%s' has another number of channels", n->label);
        u->layout.outer = bnr__dims_product(u->q->dims, 0, u->axis);
        u->layout.inner = bnr__dims_product(u->q->dims, u->axis + 1, u->q->rank);
    } else if (u->q) {
        u->layout.n = u->q->numel;
    }
    set_range(u);
    double **const arrays[] = {&u->k, &u->z, &u->turn, &u->fill};
    for (size_t i = 0; i < BNR_COUNT(arrays); i++)
        if (!(*arrays[i] = BNR_NEW_ARRAY(site->temp, (size_t)u->n, double)))
            return bnr__affine_no(site, "out of memory");
    return true;
}

static double scale_at(const struct quantized *u, int64_t p) {
    return bnr__tensor_f64(u->scale, u->scale->numel == 1 ? 0 : (size_t)p);
}

static double zero_at(const struct quantized *u, int64_t p) {
    return u->zero ? bnr__tensor_f64(u->zero, u->zero->numel == 1 ? 0 : (size_t)p) : 0;
}

// v rounded to the scale's type; 0 where that is no normal number.
static double as_scale(const struct quantized *u, double v) {
    const enum bnr_dtype d = u->scale->dtype;
    const double tiny = d == BNR_FLOAT16  ? 0x1p-14
                        : d == BNR_DOUBLE ? DBL_MIN
                                          : (double)FLT_MIN;
    bnr__round_to(d, &v, 1);
    return v >= tiny ? v : 0;
}

// t in steps of k, where that is a whole number up to what rounding t once would do.
static bool whole_steps(const struct quantized *u, double t, double k, double *steps) {
    *steps = rint(t / k);
    return isfinite(*steps) &&
           fabs(*steps * k - t) <= fabs(t) * ldexp(1, -bits_of(u->scale->dtype));
}

// ---- DequantizeLinear -> affine -----------------------------------------------------------------------

static bool in_range(const struct quantized *u, double v) {
    return v >= u->low && v <= u->high;
}

// Calls visit for every element; `out` (may be NULL) receives what it leaves.
static void each_integer(const struct quantized *u, double *low, double *high, void *out) {
    double v[CHUNK];
    const struct bnr_quant_layout *l = &u->layout;
    const size_t bits = (size_t)bnr__dtype_bits(u->dtype);
    for (size_t at = 0; at < u->q->numel; at += CHUNK) { // CHUNK elements are whole bytes
        const size_t m = u->q->numel - at < CHUNK ? u->q->numel - at : CHUNK;
        bnr__load_f64(v, u->dtype, u->q->u8 + at / 8 * bits, m);
        for (size_t i = 0; i < m; i++) {
            const size_t row = (at + i) / l->inner;
            const size_t p = bnr__quant_index(l, row / l->n, row % l->n, (at + i) % l->inner);
            if (low) {
                low[p] = fmin(low[p], v[i]);
                high[p] = fmax(high[p], v[i]);
            } else if (!isnan(u->fill[p])) {
                v[i] = u->fill[p];
            } else if (!isnan(u->turn[p])) {
                v[i] = u->turn[p] - v[i] + 0.0; // no negative zero
            }
        }
        if (out)
            bnr__store_f64(u->dtype, (uint8_t *)out + at / 8 * bits, v, m);
    }
}

// The parameters p of what s*(q - z)*k + t is.
static bool turn_around(struct quantized *u, int64_t p, double z, double d, double low, double high) {
    const bool floats = is_small_float(u->dtype); // -q, around 0 alone
    const double cs[] = {floats && z != 0 ? (double)NAN : 2 * z + d,
                         floats ? (double)NAN : u->low + u->high};
    if (!u->q)
        return bnr__affine_no(u->site, "what '%s' reads is not constant: it cannot change its sign",
                              u->site->node->label);
    for (size_t i = 0; i < BNR_COUNT(cs); i++)
        if (in_range(u, cs[i] - low) && in_range(u, cs[i] - high) && in_range(u, cs[i] - z - d)) {
            u->turn[p] = cs[i];
            u->z[p] = cs[i] - z - d;
            return true;
        }
    return bnr__affine_no(u->site, "no zero point of %s in '%s' gives the negative scale and the shift",
                          bnr__dtype_name(u->dtype), u->site->node->label);
}

static bool dequantized(struct quantized *u, int64_t p, double s, double t, double low, double high) {
    const double k = scale_at(u, p), z = zero_at(u, p);
    double d = 0;
    u->turn[p] = u->fill[p] = (double)NAN;
    u->k[p] = as_scale(u, k * fabs(s));
    u->z[p] = z;
    if (!isfinite(u->k[p]) || !(k > 0))
        return bnr__affine_no(u->site, "the scale of '%s' is or becomes no finite positive number",
                              u->site->node->label);
    if (u->k[p] == 0 && s != 0 && u->scale->dtype == BNR_FLOAT16)
        return bnr__affine_no(u->site, "scale %g is below what float16 holds for '%s'", k * fabs(s),
                              u->site->node->label);
    if (u->k[p] == 0) { // s is 0, or the channel is below everything else by 30 orders
        u->k[p] = k;
        if (!u->q || !whole_steps(u, t, k, &d) || !in_range(u, z + d))
            return bnr__affine_no(u->site, "its scale 0 of channel %lld leaves no scale for '%s'",
                                  (long long)p, u->site->node->label);
        u->fill[p] = z + d;
        return true;
    }
    if (!whole_steps(u, t, u->k[p], &d) || (d != 0 && is_small_float(u->dtype)))
        return bnr__affine_no(u->site, "its shift is no whole number of the steps of '%s'",
                              u->site->node->label);
    if (s < 0)
        return turn_around(u, p, z, d, low, high);
    u->z[p] = z - d;
    return in_range(u, u->z[p]) ||
           bnr__affine_no(u->site, "its shift would move the zero point of '%s' out of %s",
                          u->site->node->label, bnr__dtype_name(u->dtype));
}

static bool dequantize_all(struct quantized *u) {
    const struct bnr_affine *a = &u->site->affine;
    double *low = BNR_NEW_ARRAY(u->site->temp, (size_t)u->n, double);
    double *high = BNR_NEW_ARRAY(u->site->temp, (size_t)u->n, double);
    if (!low || !high)
        return bnr__affine_no(u->site, "out of memory");
    for (int64_t p = 0; p < u->n; p++) {
        low[p] = HUGE_VAL;
        high[p] = -HUGE_VAL;
    }
    if (u->q && !bnr__affine_positive(a))
        each_integer(u, low, high, NULL);
    for (int64_t p = 0; p < u->n; p++) {
        const size_t i = entry_of(u, p);
        if (!dequantized(u, p, a->s[i], a->t[i], low[p], high[p]))
            return false;
    }
    return true;
}

// ---- writing ------------------------------------------------------------------------------------------

static bool all_equal(const double *v, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return false;
    return true;
}

// What the node gets: parameters for the whole tensor, or for each entry of the axis.
struct written {
    bool vector, zero; // `zero`: there is a zero point
    int64_t dims[BNR_MAX_RANK];
    int rank;
};

static bool plan_writing(const struct quantized *u, struct written *w) {
    const struct bnr_node *n = u->site->node;
    *w = (struct written){.zero = u->zero != NULL};
    for (int64_t p = 0; p < u->n && !w->zero; p++)
        w->zero = u->z[p] != 0;
    if (w->zero && !u->zero && u->dtype == BNR_INT32)
        return bnr__affine_no(u->site, "'%s' dequantizes int32, which has no zero point", n->label);
    if (u->block > 0) {
        w->rank = u->scale->rank;
        memcpy(w->dims, u->scale->dims, sizeof w->dims);
        return true;
    }
    w->vector = u->scale->numel > 1 || !all_equal(u->k, u->n) || !all_equal(u->z, u->n);
    if (w->vector && n->since < 13)
        return bnr__affine_no(u->site, "'%s' has one scale for all channels in opset %d", n->label,
                              n->since);
    w->rank = w->vector ? 1 : u->scale->rank;
    w->dims[0] = w->vector ? u->n : 1;
    return true;
}

static bool put(const struct quantized *u, const struct written *w, int index, const double *v,
                enum bnr_dtype dtype, struct bnr_error *err) {
    struct bnr_node *n = u->site->node;
    const struct bnr_value *old = bnr__affine_input(n, index);
    const struct bnr_allocator *a = n->graph->model->allocator;
    struct bnr_tensor *t;
    struct bnr_value *made;
    const char *hint = old ? old->name : bnr__arena_printf(u->site->temp, "%s_zero_point", n->label);
    if (!hint) {
        bnr__no_memory(err);
        return false;
    }
    if (bnr__tensor_new(&t, a, dtype, w->rank, w->dims, err) != BNR_OK)
        return false;
    bnr__store_f64(dtype, t->data, v, t->numel);
    if (bnr__value_constant(&made, n->graph, hint, t, err) != BNR_OK)
        return false;
    if (bnr__node_set_input(n, index, made) == BNR_OK)
        return true;
    bnr__no_memory(err);
    return false;
}

static bool put_integers(const struct quantized *u, struct bnr_error *err) {
    struct bnr_node *n = u->site->node;
    struct bnr_tensor *t;
    struct bnr_value *made;
    bool changes = false;
    for (int64_t p = 0; p < u->n; p++)
        changes = changes || !isnan(u->turn[p]) || !isnan(u->fill[p]);
    if (!u->q || !changes)
        return true;
    if (bnr__tensor_new(&t, n->graph->model->allocator, u->dtype, u->q->rank, u->q->dims, err) != BNR_OK)
        return false;
    each_integer(u, NULL, NULL, t->data);
    if (bnr__value_constant(&made, n->graph, n->in[Q]->name, t, err) != BNR_OK)
        return false;
    if (bnr__node_set_input(n, Q, made) == BNR_OK)
        return true;
    bnr__no_memory(err);
    return false;
}

static bool write_all(const struct quantized *u, const struct written *w, struct bnr_error *err) {
    struct bnr_node *n = u->site->node;
    const enum bnr_dtype dtype = u->scale->dtype; // the tensors go when their last use does
    const enum bnr_dtype integers = u->zero ? u->zero->dtype : u->dtype;
    if (w->vector && bnr__node_set_attr_int(n, "axis", u->axis) != BNR_OK) {
        bnr__no_memory(err);
        return false;
    }
    return put_integers(u, err) && (!w->zero || put(u, w, ZERO, u->z, integers, err)) &&
           put(u, w, SCALE, u->k, dtype, err);
}

static bool after_dequantize(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    struct quantized u;
    struct written w;
    if (!describe(&u, site, n->in[Q], n->out[0]) || !dequantize_all(&u) || !plan_writing(&u, &w))
        return false;
    if (u.q && !site->may_copy && n->in[Q]->n_uses > 1 && !bnr__affine_positive(&site->affine))
        return bnr__affine_no(site, "other nodes share the integers '%s'", n->in[Q]->name);
    return !apply || write_all(&u, &w, err);
}

// ---- affine -> QuantizeLinear -------------------------------------------------------------------------
// Rounding ties to even after an odd whole shift: such an element may come out one step beside.

static bool before_quantize(struct bnr_affine_site *site, bool apply, struct bnr_error *err) {
    const struct bnr_node *n = site->node;
    const struct bnr_affine *a = &site->affine;
    struct quantized u;
    struct written w;
    if (!bnr__affine_positive(a)) // behind input 0: the others have to be constant
        return bnr__affine_no(site, "a scale that is not positive does not pass the rounding of '%s'",
                              n->label);
    if (!n->in[Q] || !describe(&u, site, n->out[0], n->in[Q]))
        return false;
    for (int64_t p = 0; p < u.n; p++) {
        const size_t i = entry_of(&u, p);
        double d;
        u.turn[p] = u.fill[p] = (double)NAN;
        u.k[p] = as_scale(&u, scale_at(&u, p) / a->s[i]);
        if (!(u.k[p] > 0) || !isfinite(u.k[p]))
            return bnr__affine_no(site, "the scale of '%s' is or becomes no finite positive number",
                                  n->label);
        if (is_small_float(u.dtype))
            return bnr__affine_no(site, "'%s' makes no integers", n->label);
        if (!whole_steps(&u, a->t[i], scale_at(&u, p), &d))
            return bnr__affine_no(site, "its shift is no whole number of the steps of '%s'", n->label);
        u.z[p] = zero_at(&u, p) + d;
        if (!in_range(&u, u.z[p]))
            return bnr__affine_no(site, "its shift would move the zero point of '%s' out of %s", n->label,
                                  bnr__dtype_name(u.dtype));
    }
    return plan_writing(&u, &w) && (!apply || write_all(&u, &w, err));
}

const struct bnr_affine_rules bnr__affine_dequantize = {.absorb_after = after_dequantize};
const struct bnr_affine_rules bnr__affine_quantize = {.absorb_before = before_quantize};
