// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression (ai.onnx 10, 11): for every batch and class, boxes by falling score, without
// those that overlap a better one by more than iou_threshold. One row [batch, class, box] for each
// that stays.
#include <math.h>

#include "runtime/ops/lib/compute.h"

enum { BOXES, SCORES, MAX_OUTPUT, IOU, SCORE };

enum { SOME = 32 };

static enum bnr_status infer(struct bnr_infer *cx) {
    const struct bnr_type *b = bnr__infer_in(cx, BOXES), *s = bnr__infer_in(cx, SCORES);
    const struct bnr_shape y = {.rank = 2, .dims = {bnr__dim_unknown(), bnr__dim_of(3)}};
    enum bnr_status status;
    double v;
    for (int i = 0; i < cx->n_in; i++)
        BNR_TRY(bnr__infer_types(cx, i, i == MAX_OUTPUT ? BNR_TYPE(INT64) : BNR_TYPES_FLOAT));
    BNR_TRY(bnr__infer_rank(cx, BOXES, 3, 3));
    BNR_TRY(bnr__infer_rank(cx, SCORES, 3, 3));
    if (b->shape.rank == 3)
        BNR_TRY(
            bnr__infer_dims_agree(cx, "numbers of a box", b->shape.dims[2], bnr__dim_of(4), NULL));
    if (b->shape.rank == 3 && s->shape.rank == 3) {
        BNR_TRY(bnr__infer_dims_agree(cx, "batches of boxes and scores", b->shape.dims[0],
                                      s->shape.dims[0], NULL));
        BNR_TRY(bnr__infer_dims_agree(cx, "boxes and their scores", b->shape.dims[1],
                                      s->shape.dims[2], NULL));
    }
    for (int i = MAX_OUTPUT; i <= SCORE; i++) {
        bnr__infer_scalar(cx, i, &v, &status);
        BNR_TRY(status);
    }
    bnr__infer_set(cx, 0, BNR_INT64, &y);
    return BNR_OK;
}

struct box {
    double x0, y0, x1, y1;
};

static struct box read_box(const double *b, bool center) {
    if (center)
        return (struct box){b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
    return (struct box){fmin(b[1], b[3]), fmin(b[0], b[2]), fmax(b[1], b[3]), fmax(b[0], b[2])};
}

static double area(struct box b) {
    return b.x1 > b.x0 && b.y1 > b.y0 ? (b.x1 - b.x0) * (b.y1 - b.y0) : 0;
}

static bool overlaps(struct box a, struct box b, double threshold) {
    const struct box both = {fmax(a.x0, b.x0), fmax(a.y0, b.y0), fmin(a.x1, b.x1),
                             fmin(a.y1, b.y1)};
    const double common = area(both), all = area(a) + area(b) - common;
    return common > 0 && all > 0 && common / all > threshold;
}

// ---- boxes that stay ----------------------------------------------------------------------------

// Every box is compared with all better ones that stay, and most do not even touch. That is looked
// at in float32 for some at a time, without a branch, so that a compiler makes it vectors: rounding
// keeps the order of two numbers or makes them equal.
struct sides {
    float x0[SOME], y0[SOME], x1[SOME], y1[SOME];
};

struct kept {
    size_t n;
    struct box *boxes;
    struct sides *sides; // of SOME boxes each
};

static void keep(struct kept *k, struct box b) {
    struct sides *s = &k->sides[k->n / SOME];
    const size_t at = k->n % SOME;
    for (size_t i = at; i < SOME; i++) { // where no box is yet, one that touches nothing
        s->x0[i] = s->y0[i] = INFINITY;
        s->x1[i] = s->y1[i] = -INFINITY;
    }
    s->x0[at] = (float)b.x0;
    s->y0[at] = (float)b.y0;
    s->x1[at] = (float)b.x1;
    s->y1[at] = (float)b.y1;
    k->boxes[k->n++] = b;
}

static bool may_touch(const struct sides *s, float x0, float y0, float x1, float y1) {
    int32_t any = 0;
    for (size_t i = 0; i < SOME; i++)
        any |= (int32_t)(s->x0[i] <= x1) & (int32_t)(s->x1[i] >= x0) & (int32_t)(s->y0[i] <= y1) &
               (int32_t)(s->y1[i] >= y0);
    return any != 0;
}

static bool is_suppressed(const struct kept *k, struct box b, double threshold) {
    const float x0 = (float)b.x0, y0 = (float)b.y0, x1 = (float)b.x1, y1 = (float)b.y1;
    for (size_t from = 0; from < k->n; from += SOME) {
        if (!may_touch(&k->sides[from / SOME], x0, y0, x1, y1))
            continue;
        for (size_t i = from; i < from + SOME && i < k->n; i++)
            if (overlaps(b, k->boxes[i], threshold))
                return true;
    }
    return false;
}

// ---- a heap of candidates -----------------------------------------------------------------------

// Often a few hundred are taken out of many thousands: a heap gives the best ones without sorting
// the others.
struct candidate {
    double score;
    size_t index;
};

static bool better(struct candidate a, struct candidate b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

static void sift_down(struct candidate *heap, size_t n, size_t at) {
    const struct candidate c = heap[at];
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && better(heap[child + 1], heap[child]))
            child++;
        if (!better(heap[child], c))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = c;
}

static struct candidate take_best(struct candidate *heap, size_t n) {
    const struct candidate best = heap[0];
    heap[0] = heap[n - 1];
    sift_down(heap, n - 1, 0);
    return best;
}

// ---- a class ------------------------------------------------------------------------------------

struct job {
    size_t boxes;
    bool center, has_least;
    double iou, least; // score
    size_t most;       // boxes per class
    struct candidate *heap;
    struct kept kept;
    int64_t *rows;
    size_t n_rows;
};

static void select_class(struct job *j, const double *boxes, const double *scores, int64_t batch,
                         int64_t class) {
    size_t n = 0;
    j->kept.n = 0;
    for (size_t i = 0; i < j->boxes; i++)
        if (!isnan(scores[i]) && (!j->has_least || scores[i] > j->least))
            j->heap[n++] = (struct candidate){scores[i], i};
    for (size_t i = n / 2; i > 0; i--)
        sift_down(j->heap, n, i - 1);
    for (; n > 0 && j->kept.n < j->most; n--) {
        const size_t index = take_best(j->heap, n).index;
        const struct box box = read_box(boxes + 4 * index, j->center);
        if (is_suppressed(&j->kept, box, j->iou))
            continue;
        keep(&j->kept, box);
        int64_t *row = j->rows + 3 * j->n_rows++;
        row[0] = batch;
        row[1] = class;
        row[2] = (int64_t)index;
    }
}

static enum bnr_status read_scalar(const struct bnr_args *a, int i, double *v) {
    const struct bnr_tensor *t = bnr__in(a, i);
    if (t && t->numel != 1)
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "input %d has %zu elements, expected 1", i,
                            t->numel);
    *v = t ? bnr__tensor_f64(t, 0) : 0;
    return BNR_OK;
}

static enum bnr_status prepare_job(const struct bnr_args *a, struct job *j, size_t classes) {
    double most = 0;
    BNR_TRY(read_scalar(a, MAX_OUTPUT, &most));
    BNR_TRY(read_scalar(a, IOU, &j->iou));
    BNR_TRY(read_scalar(a, SCORE, &j->least));
    if (!(j->iou >= 0 && j->iou <= 1))
        return bnr__op_fail(a->node, a->err, BNR_SHAPE, "iou_threshold is %g, expected 0 to 1",
                            j->iou);
    j->has_least = bnr__in(a, SCORE) != NULL;
    j->center = bnr__attr_int(a->node, "center_point_box", 0) != 0;
    j->most = most <= 0 ? 0 : most >= (double)j->boxes ? j->boxes : (size_t)most;
    j->heap = bnr__temp(a, j->boxes, sizeof *j->heap);
    j->kept.boxes = bnr__temp(a, j->most, sizeof *j->kept.boxes);
    j->kept.sides = bnr__temp(a, j->most / SOME + 1, sizeof *j->kept.sides);
    size_t rows;
    if (!bnr__size_mul(classes, j->most, &rows) || !bnr__size_mul(rows, 3, &rows))
        return bnr__no_memory(a->err);
    j->rows = bnr__temp(a, rows, sizeof *j->rows);
    return j->heap && j->kept.boxes && j->kept.sides && j->rows ? BNR_OK : BNR_NO_MEMORY;
}

static enum bnr_status ref(const struct bnr_args *a) {
    const struct bnr_tensor *b = a->in[BOXES], *s = a->in[SCORES];
    const size_t batches = s->numel ? (size_t)s->dims[0] : 0,
                 classes = s->numel ? (size_t)s->dims[1] : 0;
    struct job j = {.boxes = (size_t)b->dims[1]};
    struct bnr_tensor *y;
    BNR_TRY(prepare_job(a, &j, batches * classes));
    const double *boxes = bnr__all_f64(a, b), *scores = bnr__all_f64(a, s);
    if (!boxes || !scores)
        return BNR_NO_MEMORY;
    for (size_t i = 0; i < batches * classes && j.most > 0; i++)
        select_class(&j, boxes + i / classes * j.boxes * 4, scores + i * j.boxes,
                     (int64_t)(i / classes), (int64_t)(i % classes));
    const int64_t dims[] = {(int64_t)j.n_rows, 3};
    BNR_TRY(bnr__out(a, 0, BNR_INT64, 2, dims, &y));
    for (size_t i = 0; y && i < y->numel; i++)
        y->i64[i] = j.rows[i];
    return BNR_OK;
}

BNR_DEFINE_OP(non_max_suppression) = {
    .domain = "",
    .name = "NonMaxSuppression",
    .since = {10, 11},
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .flags = BNR_OP_DATA_SHAPE,
    .attrs = "center_point_box:i",
    .infer = infer,
    .ref = ref,
};
