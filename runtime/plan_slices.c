// SPDX-License-Identifier: Apache-2.0
// Whether a batch can be run some images at a time, and how many: what a step makes is still in the
// caches then when the next one reads it. A step of a whole batch goes through memory.
//
// The images of everything given lie along its first dim. A graph whose nodes each make image i of
// their outputs from image i of their inputs, and from constants that are the same for all, gives
// the same for a batch as for its images one by one. What is not known to be such a node is not.
#include "graph/affine.h"
#include "runtime/plan_build.h"
#include "runtime/session.h"

// What the steps of a run keep in the caches, about; rows of a product that use its matrix well.
enum { CACHE_BYTES = 4 << 20, FEW_ROWS = 16 };

struct batch {
    const struct bnr_planner *p;
    int64_t n;             // images
    double made, matrices; // bytes: of all that is made for an image, of what products read for it
    double widest;         // step: bytes of an image in and out
};

static const struct bnr_shape *shape_of(const struct batch *b, const struct bnr_value *v) {
    return &bnr__planner_info(b->p, v)->type.shape;
}

static double bytes_of(const struct batch *b, const struct bnr_value *v) {
    size_t bytes;
    return bnr__type_bytes(&bnr__planner_info(b->p, v)->type, &bytes) ? (double)bytes : 0;
}

static bool is_batch(const struct batch *b, const struct bnr_value *v) {
    return !bnr__plan_value_known(b->p, v) &&
           bnr__type_placeable(&bnr__planner_info(b->p, v)->type) && shape_of(b, v)->rank > 1 &&
           shape_of(b, v)->dims[0].n == b->n;
}

// The same for all images, where it is broadcast to a tensor of that rank.
static bool is_shared(const struct batch *b, const struct bnr_value *v, int rank) {
    const struct bnr_shape *s = shape_of(b, v);
    return bnr__plan_value_known(b->p, v) &&
           (s->rank < rank || (s->rank == rank && s->dims[0].n == 1));
}

static bool inputs_known(const struct batch *b, const struct bnr_node *n) {
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] && !bnr__plan_value_known(b->p, n->in[i]))
            return false;
    return true;
}

static bool is_elementwise(const struct batch *b, const struct bnr_node *n) {
    // Before opset 7 `axis` said where the smaller operand stands.
    if (!(n->op->flags & BNR_OP_ELEMENTWISE) || (n->op->flags & BNR_OP_RANDOM) ||
        bnr__attr(n, "axis") || n->n_out != 1)
        return false;
    const int rank = shape_of(b, n->out[0])->rank;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !is_shared(b, n->in[i], rank) &&
            !(is_batch(b, n->in[i]) && shape_of(b, n->in[i])->rank == rank))
            return false;
    return true;
}

// Products of an image's rows with one matrix.
static bool is_product(struct batch *b, const struct bnr_node *n) {
    const bool gemm = bnr__node_is(n, "", "Gemm");
    if ((!gemm && !bnr__node_is(n, "", "MatMul")) || !is_batch(b, n->in[0]) ||
        !inputs_known(b, n) || shape_of(b, n->in[1])->rank != 2 ||
        (gemm && bnr__attr_int(n, "transA", 0) != 0) ||
        (n->n_in > 2 && n->in[2] && !is_shared(b, n->in[2], 2)))
        return false;
    const struct bnr_shape *x = shape_of(b, n->in[0]);
    if (bytes_of(b, n->in[0]) < (double)(b->n * FEW_ROWS * x->dims[x->rank - 1].n) * 4)
        b->matrices += bytes_of(b, n->in[1]);
    return true;
}

// Axis 0 is not the one that is meant.
static bool is_beside(const struct batch *b, const struct bnr_node *n, int64_t fallback) {
    const int64_t axis = bnr__attr_int(n, "axis", fallback);
    return axis != 0 && axis + shape_of(b, n->in[0])->rank != 0;
}

// Each image of what input 0 holds by itself; what else is read is the same for all.
static bool keeps_images(const struct batch *b, const struct bnr_node *n) {
    static const char *const any[] = {"Conv",        "ConvTranspose",     "MaxPool",
                                      "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
                                      "Reshape",     "Flatten",           "LRN"};
    if (n->n_out != 1 || !inputs_known(b, n))
        return false;
    for (size_t i = 0; i < BNR_COUNT(any); i++)
        if (bnr__node_is(n, "", any[i]))
            return true;
    if (bnr__node_is(n, "", "BatchNormalization"))
        return n->since >= 7 && bnr__attr_int(n, "training_mode", 0) == 0;
    if (bnr__node_is(n, BNR_INTERNAL_DOMAIN, "Affine"))
        return true;
    if (bnr__node_is(n, "", "LayerNormalization") || bnr__node_is(n, "", "Softmax"))
        return is_beside(b, n, 1);
    size_t count;
    const int64_t *perm = bnr__attr_ints(n, "perm", &count);
    return bnr__node_is(n, "", "Transpose") && count > 0 && perm[0] == 0;
}

static bool is_join(const struct batch *b, const struct bnr_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i] || !is_batch(b, n->in[i]))
            return false;
    return bnr__node_is(n, "", "Concat") && is_beside(b, n, 1);
}

static bool is_known(const struct batch *b, const struct bnr_node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && !bnr__plan_value_known(b->p, n->out[i]))
            return false;
    return true;
}

// A node that treats images alike and one by one; counts what it reads and makes.
static bool splits(struct batch *b, const struct bnr_node *n) {
    double bytes = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i] || bnr__plan_value_known(b->p, n->in[i]))
            continue;
        if (!is_batch(b, n->in[i]))
            return false;
        bytes += bytes_of(b, n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        if (!is_batch(b, n->out[i]))
            return false;
        b->made += bytes_of(b, n->out[i]) / (double)b->n;
        bytes += bytes_of(b, n->out[i]);
    }
    b->widest = bytes / (double)b->n > b->widest ? bytes / (double)b->n : b->widest;
    return n->n_in > 0 && n->in[0] &&
           (is_elementwise(b, n) || is_product(b, n) || is_join(b, n) || keeps_images(b, n));
}

// The largest part of the batch that stays in the caches.
static size_t choose_slices(const struct batch *b) {
    for (int64_t slices = 1; slices < b->n; slices++)
        if (b->n % slices == 0 && b->widest * (double)(b->n / slices) <= CACHE_BYTES)
            return (size_t)slices;
    return (size_t)b->n;
}

size_t bnr__plan_slices(const struct bnr_planner *p) {
    const struct bnr_plans *plans = p->request->plans;
    const struct bnr_session *s = p->request->session;
    const struct bnr_graph *g = plans->graph;
    struct batch b = {.p = p};
    if (p->plain || (s->flags & BNR_TRAINING) || plans != &s->plans[0] || plans->n_given == 0 ||
        shape_of(&b, plans->given[0])->rank < 2)
        return 1;
    b.n = shape_of(&b, plans->given[0])->dims[0].n;
    for (size_t i = 0; i < plans->n_given && b.n > 1; i++)
        if (!is_batch(&b, plans->given[i]))
            return 1;
    for (const struct bnr_node *n = g->first; n && b.n > 1; n = n->next)
        if (!is_known(&b, n) && !splits(&b, n))
            return 1;
    for (size_t k = 0; k < g->n_outputs && b.n > 1; k++)
        if (!is_batch(&b, g->outputs[k]))
            return 1;
    // A matrix is read for every slice instead of once.
    return b.n > 1 && b.matrices <= b.made ? choose_slices(&b) : 1;
}

bool bnr__plan_slices_agree(const struct bnr_planner *p, const struct bnr_infer_table *whole) {
    for (const struct bnr_node *n = p->plan->graph->first; n; n = n->next) {
        for (int i = 0; i < n->n_out; i++) {
            if (!n->out[i] || whole->infos[n->out[i]->id].tensor)
                continue;
            const struct bnr_info *part = bnr__planner_info(p, n->out[i]);
            struct bnr_shape want = whole->infos[n->out[i]->id].type.shape;
            if (want.rank < 1 || part->tensor || part->type.shape.rank != want.rank)
                return false;
            want.dims[0].n /= (int64_t)p->plan->slices;
            for (int d = 0; d < want.rank; d++)
                if (!bnr__dim_equal(part->type.shape.dims[d], want.dims[d]))
                    return false;
        }
    }
    return true;
}
