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

#include "graph/op.h"
#include "passes/pass.h"

enum { MAX_FACTORS = 4 };

struct product {
    double constant;
    struct bnr_value *factors[MAX_FACTORS];
    int n;
};

static bool is_op(const struct bnr_node *n, const char *op_type, int n_in) {
    return n && n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0 && n->n_in >= n_in &&
           n->n_out > 0 && n->out[0];
}

// The node of this type that makes v, where v is read once.
static struct bnr_node *inner(const struct bnr_value *v, const char *op_type, int n_in) {
    return v && v->producer_index == 0 && is_op(v->producer, op_type, n_in) &&
                   bnr__value_single_use(v)
               ? v->producer
               : NULL;
}

static bool one_number(const struct bnr_value *v, double *number) {
    if (!v || !bnr__value_is_constant(v) || v->tensor->kind != BNR_KIND_TENSOR ||
        v->tensor->numel != 1 || !bnr__dtype_is_float(v->tensor->dtype))
        return false;
    *number = bnr__tensor_f64(v->tensor, 0);
    return true;
}

static bool close_to(double a, double b) {
    return fabs(a - b) <= 1e-3 * fabs(b); // float16 constants included
}

// x of x + c or c + x (op Add), x * c or c * x (op Mul), x / c (op Div).
static struct bnr_value *with_number(const struct bnr_node *n, double *number) {
    if (!n || !n->in[0] || !n->in[1])
        return NULL;
    if (one_number(n->in[1], number))
        return n->in[0];
    return strcmp(n->op_type, "Div") != 0 && one_number(n->in[0], number) ? n->in[1] : NULL;
}

// The factors of n, a Mul or Div, through others that nobody else reads.
static bool collect(const struct bnr_node *n, struct product *p) {
    const bool divides = n->op_type[0] == 'D';
    for (int i = 0; i < 2; i++) {
        double c;
        struct bnr_value *v = n->in[i];
        if (one_number(v, &c)) {
            p->constant = divides && i == 1 ? p->constant / c : p->constant * c;
            continue;
        }
        if (!v || (divides && i == 1))
            return false;
        const struct bnr_node *mul = inner(v, "Mul", 2), *div = inner(v, "Div", 2);
        double unused;
        if (mul || (div && one_number(div->in[1], &unused))) {
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

// ---- shapes of a gate
// -------------------------------------------------------------------------------

// Clip(x + 3, 0, 6)
static struct bnr_value *clipped(const struct bnr_value *v) {
    const struct bnr_node *clip = inner(v, "Clip", 1);
    double low, high, three;
    if (!clip)
        return NULL;
    if (clip->since >= 11) {
        if (clip->n_in < 3 || !one_number(clip->in[1], &low) || !one_number(clip->in[2], &high))
            return NULL;
    } else {
        low = (double)bnr__attr_float(clip, "min", -1);
        high = (double)bnr__attr_float(clip, "max", -1);
    }
    struct bnr_value *x = with_number(inner(clip->in[0], "Add", 2), &three);
    return x && low == 0 && close_to(high, 6) && close_to(three, 3) ? x : NULL;
}

static bool is_sixth_sigmoid(const struct bnr_node *n) {
    return n && close_to((double)bnr__attr_float(n, "alpha", 0.2f), 1.0 / 6) &&
           close_to((double)bnr__attr_float(n, "beta", 0.5f), 0.5);
}

// 1 + Erf(x / sqrt(2))
static struct bnr_value *erf_gate(const struct bnr_value *v) {
    double one, root;
    const struct bnr_value *e = with_number(inner(v, "Add", 2), &one);
    const struct bnr_node *erf = inner(e, "Erf", 1);
    if (!erf || !close_to(one, 1))
        return NULL;
    const struct bnr_node *div = inner(erf->in[0], "Div", 2), *mul = inner(erf->in[0], "Mul", 2);
    struct bnr_value *x = with_number(div ? div : mul, &root);
    return x && close_to(div ? root : 1 / root, 1.4142135623730951) ? x : NULL;
}

struct found {
    const char *op;
    int opset;
    struct bnr_value *x;
    double alpha; // Swish, HardSigmoid
};

static bool match_gate(struct bnr_value *x, const struct bnr_value *gate, double c,
                       struct found *f) {
    const struct bnr_node *sigmoid = inner(gate, "Sigmoid", 1),
                          *hard = inner(gate, "HardSigmoid", 1);
    f->x = x;
    if (sigmoid && close_to(c, 1)) {
        *f = (struct found){.op = "Swish", .opset = 24, .x = x, .alpha = 1};
        if (sigmoid->in[0] == x)
            return true;
        return with_number(inner(sigmoid->in[0], "Mul", 2), &f->alpha) == x;
    }
    if ((hard && hard->in[0] == x && is_sixth_sigmoid(hard) && close_to(c, 1)) ||
        (clipped(gate) == x && close_to(c, 1.0 / 6))) {
        *f = (struct found){.op = "HardSwish", .opset = 14, .x = x};
        return true;
    }
    if (erf_gate(gate) == x && close_to(c, 0.5)) {
        *f = (struct found){.op = "Gelu", .opset = 20, .x = x};
        return true;
    }
    return false;
}

static bool match(const struct bnr_node *n, struct found *f) {
    struct product p = {.constant = 1};
    if ((!is_op(n, "Mul", 2) && !is_op(n, "Div", 2)) ||
        !bnr__dtype_is_float(n->out[0]->info.type.dtype) || !collect(n, &p))
        return false;
    if (p.n == 1) {
        *f = (struct found){
            .op = "HardSigmoid", .opset = 6, .x = clipped(p.factors[0]), .alpha = 1.0 / 6};
        return f->x && close_to(p.constant, 1.0 / 6);
    }
    return p.n == 2 && (match_gate(p.factors[0], p.factors[1], p.constant, f) ||
                        match_gate(p.factors[1], p.factors[0], p.constant, f));
}

// ---- rewriting
// --------------------------------------------------------------------------------------

static enum bnr_status replace(struct bnr_pass_cx *cx, struct bnr_node *n, const struct found *f) {
    struct bnr_node *with;
    struct bnr_value *x = f->x;
    BNR_TRY(bnr__node_new(&with, n->graph, n, "", f->op, n->name[0] ? n->name : NULL, 1, &x, 1,
                          cx->err));
    if (with->opset < f->opset) {
        with->opset = f->opset;
        with->op = bnr__op_find("", f->op);
        with->since = with->op ? bnr__op_version(with->op, f->opset) : 0;
    }
    if (f->alpha != 0 && bnr__node_set_attr_float(with, "alpha", (float)f->alpha) != BNR_OK)
        return bnr__no_memory(cx->err);
    bnr__node_set_output(with, 0, n->out[0]);
    bnr__node_remove(n); // what it read is dead now
    return bnr__node_infer(with, NULL, cx->err);
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
