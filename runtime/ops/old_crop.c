// SPDX-License-Identifier: Apache-2.0
// Crop (experimental in ai.onnx 1): [N, C, H, W] without the border (left, top, right, bottom); with `scale`
// (height, width) the part of that size behind the left and top border.
#include "runtime/ops/lib/spell.h"

static void expand(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                   struct bnr_value **out) {
    size_t n_border, n_scale;
    const int64_t *border = bnr__attr_ints(n, "border", &n_border);
    const int64_t *scale = bnr__attr_ints(n, "scale", &n_scale);
    scale = n_scale > 0 ? scale : NULL; // an empty list has no elements, but a place
    if (n_border != 4 || (n_scale != 0 && n_scale != 2)) {
        bnr__build_fail(b, BNR_SHAPE, "border has %zu and scale %zu numbers, expected 4 and 0 or 2",
                        n_border, n_scale);
        return;
    }
    int64_t end[2]; // of height and width
    for (int i = 0; i < 2; i++) {
        const int64_t begin = border[1 - i], behind = border[3 - i];
        if (begin < 0 || behind < 0 || (scale && (scale[i] < 0 || scale[i] > INT64_MAX - begin))) {
            bnr__build_fail(b, BNR_SHAPE, "border %lld and %lld, expected 0 or more", (long long)begin,
                            (long long)behind);
            return;
        }
        end[i] = scale ? begin + scale[i] : behind > 0 ? -behind : INT64_MAX;
    }
    struct bnr_value *parts[] = {in[0], INTS(border[1], border[0]), INTS(end[0], end[1]), INTS(2, 3)};
    struct bnr_node *y = bnr__build_node(b, "Slice", 4, parts, 1);
    out[0] = y ? y->out[0] : NULL;
}

BNR_DEFINE_OP(old_crop) = {
    BNR_SPELLED_OLD("Crop"),
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = "border:I! scale:I",
};
