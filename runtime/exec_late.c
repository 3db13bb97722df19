// SPDX-License-Identifier: Apache-2.0
// Steps whose shapes depend on data: types and checks at run time, when the data are there.
#include <string.h>

#include "graph/infer.h"
#include "runtime/exec.h"

// The info of an input: of tensors all that there is to know, of other kinds what the plan knew.
static enum bnr_status input_info(struct bnr_info *info, const struct bnr_exec *x, int slot,
                                  const struct bnr_args *a) {
    struct bnr_tensor *t = x->slots[slot];
    BNR_TRY(bnr__info_of_tensor(info, t, a->temp));
    if (t->kind != BNR_KIND_TENSOR && x->plan->slots[slot].type.kind == t->kind &&
        x->plan->slots[slot].type.elem)
        info->type = x->plan->slots[slot].type;
    return BNR_OK;
}

enum bnr_status bnr__exec_infer(const struct bnr_exec *x, const struct bnr_step *st,
                                const struct bnr_args *a, struct bnr_type *types) {
    const size_t n_in = (size_t)st->n_in, n_out = (size_t)st->n_out;
    struct bnr_info *infos = BNR_NEW_ARRAY(a->temp, n_in + n_out, struct bnr_info);
    struct bnr_info **list = BNR_NEW_ARRAY(a->temp, n_in + n_out, struct bnr_info *);
    if (!infos || !list)
        return bnr__no_memory(a->err);
    for (size_t i = 0; i < n_in; i++) {
        if (st->in[i] < 0)
            continue;
        BNR_TRY(input_info(&infos[i], x, st->in[i], a));
        list[i] = &infos[i];
    }
    for (size_t i = 0; i < n_out; i++) {
        infos[n_in + i] = bnr__info_unknown();
        list[n_in + i] = st->out[i] >= 0 ? &infos[n_in + i] : NULL;
    }
    struct bnr_infer cx = {.node = st->node,
                           .in = (const struct bnr_info *const *)list,
                           .n_in = st->n_in,
                           .out = list + n_in,
                           .n_out = st->n_out,
                           .arena = a->temp,
                           .err = a->err};
    BNR_TRY(bnr__infer_call(&cx));
    for (size_t i = 0; i < n_out; i++)
        types[i] = infos[n_in + i].type;
    return BNR_OK;
}

static bool fits(const struct bnr_type *type, const struct bnr_tensor *t) {
    if (type->kind != t->kind) // a type of which nothing is known says TENSOR
        return type->kind == BNR_KIND_TENSOR && type->dtype == BNR_UNDEFINED &&
               type->shape.rank < 0;
    if (t->kind != BNR_KIND_TENSOR)
        return true;
    if (type->dtype != BNR_UNDEFINED && type->dtype != t->dtype)
        return false;
    if (type->shape.rank < 0)
        return true;
    if (type->shape.rank != t->rank)
        return false;
    for (int d = 0; d < t->rank; d++)
        if (type->shape.dims[d].n >= 0 && type->shape.dims[d].n != t->dims[d])
            return false;
    return true;
}

enum bnr_status bnr__exec_check(const struct bnr_slot *slot, const struct bnr_tensor *t,
                                const struct bnr_node *n, struct bnr_error *err) {
    if (fits(&slot->type, t))
        return BNR_OK;
    char seen[160], want[160];
    return bnr__op_fail(n, err, BNR_SHAPE, "output '%s' became %s, expected %s", slot->value->name,
                        bnr__tensor_describe(t, seen, sizeof seen),
                        bnr__type_describe(&slot->type, want, sizeof want));
}
