// SPDX-License-Identifier: Apache-2.0
#include "graph/turned.h"

enum { RUN = 16 }; // elements of a row of the base that are read in one go

// Rows row .. row + rows - 1 of the turned matrix, columns column .. column + columns - 1.
struct piece {
    float *dst;
    size_t row, rows, column, columns;
};

// A row of the base becomes a column, spread over as many cache lines as it has elements: a few at
// a time.
static void fill_piece(const struct bnr_tensor *base, const struct piece *p) {
    const size_t width = (size_t)base->dims[1];
    float run[RUN];
    for (size_t i = 0; i < p->rows; i += RUN) {
        const size_t n = p->rows - i < RUN ? p->rows - i : RUN;
        for (size_t j = 0; j < p->columns; j++) {
            bnr__tensor_copy(base, run, (p->column + j) * width + p->row + i, n);
            for (size_t k = 0; k < n; k++)
                p->dst[(i + k) * p->columns + j] = run[k];
        }
    }
}

static void fill(const struct bnr_lazy *z, void *dst, size_t begin, size_t n) {
    const size_t width = (size_t)z->base->dims[0];
    for (float *to = dst; n > 0;) {
        struct piece p = {.dst = to, .row = begin / width, .column = begin % width};
        p.rows = p.column == 0 && n >= width ? n / width : 1;
        p.columns = n < width - p.column ? n : width - p.column;
        fill_piece(z->base, &p);
        to += p.rows * p.columns;
        begin += p.rows * p.columns;
        n -= p.rows * p.columns;
    }
}

enum bnr_status bnr__tensor_turned(struct bnr_tensor **out, struct bnr_tensor *t,
                                   struct bnr_error *err) {
    const int64_t dims[2] = {t->dims[1], t->dims[0]};
    struct bnr_lazy *z = bnr__malloc(t->allocator, sizeof *z);
    *out = NULL;
    if (!z)
        return bnr__no_memory(err);
    *z = (struct bnr_lazy){.base = bnr__tensor_ref(t), .fill = fill, .size = sizeof *z};
    return bnr__tensor_lazy(out, t->allocator, 2, dims, z, err);
}

struct bnr_tensor *bnr__turned_base(const struct bnr_tensor *t) {
    return t->lazy && t->lazy->fill == fill ? t->lazy->base : NULL;
}
