// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/blocked.h"

#include "runtime/base/checked.h"

bool bnr__blocked_shape(const struct bnr_type *type, size_t lanes, struct bnr_nchwc *s) {
    const struct bnr_shape *shape = &type->shape;
    if (type->kind != BNR_KIND_TENSOR || type->dtype != BNR_FLOAT || shape->rank < 3 ||
        shape->rank > 5)
        return false;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i].n < 1)
            return false;
    *s = (struct bnr_nchwc){.batch = (size_t)shape->dims[0].n,
                            .channels = (size_t)shape->dims[1].n,
                            .pixels = 1,
                            .lanes = lanes};
    s->blocks = s->channels / lanes + (s->channels % lanes != 0);
    size_t all;
    for (int i = 2; i < shape->rank; i++) {
        if (!bnr__size_mul(s->pixels, (size_t)shape->dims[i].n, &s->pixels))
            return false;
    }
    return bnr__size_mul(s->batch, sizeof(float), &all) && bnr__size_mul(all, s->blocks, &all) &&
           bnr__size_mul(all, lanes, &all) && bnr__size_mul(all, s->pixels, &all);
}

int bnr__blocked_dims(const struct bnr_type *type, size_t lanes, int64_t dims[BNR_MAX_RANK]) {
    const int rank = type->shape.rank;
    bnr__shape_numbers(&type->shape, dims);
    dims[1] = (dims[1] + (int64_t)lanes - 1) / (int64_t)lanes;
    dims[rank] = (int64_t)lanes;
    return rank + 1;
}

bool bnr__blocked_as_plain(const struct bnr_nchwc *s) {
    return s->pixels == 1 && (s->channels % s->lanes == 0 || s->batch == 1);
}
