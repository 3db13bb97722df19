// SPDX-License-Identifier: Apache-2.0
// GRUUnit (experimental in ai.onnx 1): a step of a GRU from its fused gates [1, N, 3 D] (reset, which the
// caller has applied, update, output) and hidden state [1, N, D]: h u + tanh(o) (1 - u). Where the sequence has
// ended (t >= seq_lengths) the state stays, or is 0 with drop_states.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_node *gates = bnr__build_node(b, "Split", 1, &in[1], 3);
    if (!gates)
        return;
    bnr__build_int(b, bnr__build_int(b, gates->out[0], "axis", -1), "num_outputs", 3);
    struct bnr_value *update = OP1("Sigmoid", gates->out[1]), *one = bnr__build_scalar(b, in[0], 1);
    struct bnr_value *kept = OP2("Mul", in[0], update);
    struct bnr_value *changed = OP2("Mul", OP1("Tanh", gates->out[2]), OP2("Sub", one, update));
    struct bnr_value *runs = OP2("Unsqueeze", OP2("Less", in[3], in[2]), INTS(-1));
    struct bnr_value *ended =
        bnr__attr_int(n, "drop_states", 0) != 0 ? bnr__build_scalar(b, in[0], 0) : in[0];
    out[0] = OP3("Where", runs, OP2("Add", kept, changed), ended);
}

BNR_DEFINE_OP(old_gru_unit) = {
    BNR_SPELLED_OLD("GRUUnit"),
    .min_in = 4,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = "drop_states:i",
};
