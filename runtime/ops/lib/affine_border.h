// SPDX-License-Identifier: Apache-2.0
// What a shift in front of a convolution is behind it where there is a border.
#ifndef BNR_OPS_LIB_AFFINE_BORDER_H
#define BNR_OPS_LIB_AFFINE_BORDER_H

#include "runtime/ops/lib/affine_rules.h"

// *map [O][*plane] and the scale of each input channel for l's site in front. False (with why) where the
// map would cost more than it saves, or the dims are not known.
bool bnr__affine_border_map(const struct bnr_linear *l, bool transposed, const double **scales,
                            double **map, size_t *plane);
// s and t vary over axis 1 at most.
bool bnr__affine_by_channel(const struct bnr_affine *a);
// The map as what is left behind the node.
bool bnr__affine_leave_map(struct bnr_affine_site *site, const double *map);

#endif
