// SPDX-License-Identifier: Apache-2.0
// FusedMatMul (com.microsoft): alpha * A * B, either transposed in its last two dims, or its first dim
// moved behind its batch dims (transBatch).
#include "runtime/ops/lib/spell.h"

static struct bnr_value *transposed(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *x,
                                    const char *last, const char *batch) {
    const bool swap = bnr__attr_int(n, last, 0) != 0, rotate = bnr__attr_int(n, batch, 0) != 0;
    if (!swap && !rotate)
        return x;
    const int rank = bnr__build_rank(b, x);
    int64_t perm[BNR_MAX_RANK];
    if (rank < 2) // a vector
        return rank < 0 ? NULL : x;
    for (int i = 0; i < rank; i++)
        perm[i] = rotate && i < rank - 1 ? (i == rank - 2 ? 0 : i + 1) : i;
    if (swap) {
        const int64_t p = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = p;
    }
    return bnr__build_attr_ints(b, OP1("Transpose", x), "perm", perm, (size_t)rank);
}

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    struct bnr_value *x = transposed(b, n, in[0], "transA", "transBatchA");
    struct bnr_value *y = transposed(b, n, in[1], "transB", "transBatchB");
    out[0] = bnr__build_scaled(b, OP2("MatMul", x, y), in[0], (double)bnr__attr_float(n, "alpha", 1));
}

BNR_DEFINE_OP(ms_fused_matmul) = {
    BNR_SPELLED("FusedMatMul"),
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = "alpha:f transA:i transB:i transBatchA:i transBatchB:i",
};
