// SPDX-License-Identifier: Apache-2.0
// gather_activation: activations that files spell with several operators become one.
//
//     x * Sigmoid(alpha*x)                          =>    Swish(x)        (ai.onnx 24)
//     x * HardSigmoid(x), x * Clip(x+3, 0, 6) / 6   =>    HardSwish(x)    (ai.onnx 14)
//     x * (1 + Erf(x / sqrt(2))) * 0.5              =>    Gelu(x)         (ai.onnx 20)
//     Clip(x+3, 0, 6) / 6                           =>    HardSigmoid(x)  (ai.onnx 6)
//
// in any order of the factors, constants being one number each. Needs: floating point, and what
// lies between is read by nobody else. The operators may be newer than the model's opset: this is
// for running, not for files. Comes before folding, which would take the division by 6 elsewhere.
#include <math.h>
#include <string.h>

#include "passes/lib/gather.h"

enum { MAX_FACTORS = 4 };

struct product {
    double constant;
    struct bnr_value *factors[MAX_FACTORS];
    int n;
};

// The factors of n, a Mul or Div, through others that nobody else reads.
static bool collect(const struct bnr_node *n, struct product *p) {
    const bool divides = n->op_type[0] == 'D';
    for (int i = 0; i < 2; i++) {
        double c;
        struct bnr_value *v = n->in[i];
        if (bnr__gather_number(v, &c)) {
            p->constant = divides && i == 1 ? p->constant / c : p->constant * c;
            continue;
        }
        if (!v || (divides && i == 1))
            return false;
        const struct bnr_node *mul = bnr__gather_inner(v, "Mul", 2),
                              *div = bnr__gather_inner(v, "Div", 2);
        double unused;
        if (mul || (div && bnr__gather_number(div->in[1], &unused))) {
            if (!collect(mul ? mul : div, p))
                return false;
            continue;
        }
        if (p->n == MAX_FACTORS)
            return false;
        p->factors[p->n++] = v;
    }
    return true;
}

// ---- shapes of a gate ---------------------------------------------------------------------------

// Clip(x + 3, 0, 6)
static struct bnr_value *clipped(const struct bnr_value *v) {
    const struct bnr_node *clip = bnr__gather_inner(v, "Clip", 1);
    double low, high, three;
    if (!clip)
        return NULL;
    if (clip->since >= 11) {
        if (clip->n_in < 3 || !bnr__gather_number(clip->in[1], &low) ||
            !bnr__gather_number(clip->in[2], &high))
            return NULL;
    } else {
        low = (double)bnr__attr_float(clip, "min", -1);
        high = (double)bnr__attr_float(clip, "max", -1);
    }
    struct bnr_value *x = bnr__gather_with_number(bnr__gather_inner(clip->in[0], "Add", 2), &three);
    return x && low == 0 && bnr__gather_is_close(high, 6) && bnr__gather_is_close(three, 3) ? x
                                                                                            : NULL;
}

static bool is_sixth_sigmoid(const struct bnr_node *n) {
    return n && bnr__gather_is_close((double)bnr__attr_float(n, "alpha", 0.2f), 1.0 / 6) &&
           bnr__gather_is_close((double)bnr__attr_float(n, "beta", 0.5f), 0.5);
}

// 1 + Erf(x / sqrt(2))
static struct bnr_value *erf_gate(const struct bnr_value *v) {
    double one, root;
    const struct bnr_value *e = bnr__gather_with_number(bnr__gather_inner(v, "Add", 2), &one);
    const struct bnr_node *erf = bnr__gather_inner(e, "Erf", 1);
    if (!erf || !bnr__gather_is_close(one, 1))
        return NULL;
    const struct bnr_node *div = bnr__gather_inner(erf->in[0], "Div", 2),
                          *mul = bnr__gather_inner(erf->in[0], "Mul", 2);
    struct bnr_value *x = bnr__gather_with_number(div ? div : mul, &root);
    return x && bnr__gather_is_close(div ? root : 1 / root, 1.4142135623730951) ? x : NULL;
}

struct found {
    const char *op;
    int opset;
    struct bnr_value *x;
    double alpha; // Swish, HardSigmoid
};

static bool match_gate(struct bnr_value *x, const struct bnr_value *gate, double c,
                       struct found *f) {
    const struct bnr_node *sigmoid = bnr__gather_inner(gate, "Sigmoid", 1),
                          *hard = bnr__gather_inner(gate, "HardSigmoid", 1);
    f->x = x;
    if (sigmoid && bnr__gather_is_close(c, 1)) {
        *f = (struct found){.op = "Swish", .opset = 24, .x = x, .alpha = 1};
        if (sigmoid->in[0] == x)
            return true;
        return bnr__gather_with_number(bnr__gather_inner(sigmoid->in[0], "Mul", 2), &f->alpha) == x;
    }
    if ((hard && hard->in[0] == x && is_sixth_sigmoid(hard) && bnr__gather_is_close(c, 1)) ||
        (clipped(gate) == x && bnr__gather_is_close(c, 1.0 / 6))) {
        *f = (struct found){.op = "HardSwish", .opset = 14, .x = x};
        return true;
    }
    if (erf_gate(gate) == x && bnr__gather_is_close(c, 0.5)) {
        *f = (struct found){.op = "Gelu", .opset = 20, .x = x};
        return true;
    }
    return false;
}

static bool match(const struct bnr_node *n, struct found *f) {
    struct product p = {.constant = 1};
    if ((!bnr__gather_is_op(n, "Mul", 2) && !bnr__gather_is_op(n, "Div", 2)) ||
        !bnr__dtype_is_float(n->out[0]->info->type.dtype) || !collect(n, &p))
        return false;
    if (p.n == 1) {
        *f = (struct found){
            .op = "HardSigmoid", .opset = 6, .x = clipped(p.factors[0]), .alpha = 1.0 / 6};
        return f->x && bnr__gather_is_close(p.constant, 1.0 / 6);
    }
    return p.n == 2 && (match_gate(p.factors[0], p.factors[1], p.constant, f) ||
                        match_gate(p.factors[1], p.factors[0], p.constant, f));
}

// ---- rewriting ----------------------------------------------------------------------------------

static enum bnr_status replace(struct bnr_pass_cx *cx, struct bnr_node *n, const struct found *f) {
    struct bnr_node *with;
    struct bnr_value *x = f->x;
    BNR_TRY(bnr__gather_node(cx, n, f->op, f->opset, 1, &x, &with));
    if (f->alpha != 0 && bnr__node_set_attr_float(with, "alpha", (float)f->alpha) != BNR_OK)
        return bnr__no_memory(cx->err);
    return bnr__gather_replace(cx, n, with);
}

static enum bnr_status run(struct bnr_pass_cx *cx, struct bnr_graph *g) {
    struct bnr_node *prev;
    for (struct bnr_node *n = g->last; n; n = prev) {
        struct found f;
        prev = n->prev;
        if (!match(n, &f) || !bnr__op_find("", f.op) || !bnr__pass_may_rewrite(cx))
            continue;
        BNR_TRY(replace(cx, n, &f));
    }
    return BNR_OK;
}

const struct bnr_pass bnr__pass_gather_activation = {
    .name = "gather_activation", .group = BNR_PASS_GATHER, .run = run};
