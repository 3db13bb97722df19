// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/window.h"

#include <string.h>

#include "runtime/base/checked.h"

// Sizes beyond this are refused, so that sums and products of two of them cannot overflow.
#define LIMIT ((int64_t)1 << 30)

// ---- attributes ---------------------------------------------------------------------------------

static enum bnr_status check_range(const struct bnr_node *n, const char *name, int64_t v,
                                   int64_t min, struct bnr_error *err) {
    if (v < min || v > LIMIT)
        return bnr__op_fail(n, err, BNR_SHAPE, "%s has %lld, expected %lld to %lld", name,
                            (long long)v, (long long)min, (long long)LIMIT);
    return BNR_OK;
}

// A list attribute of `count` elements of at least `min`; *v NULL when absent.
static enum bnr_status read_list(const struct bnr_node *n, const char *name, size_t count,
                                 int64_t min, const int64_t **v, struct bnr_error *err) {
    size_t len;
    *v = bnr__attr_ints(n, name, &len);
    if (!*v || len == 0) {
        *v = NULL;
        return BNR_OK;
    }
    if (len != count)
        return bnr__op_fail(n, err, BNR_SHAPE, "%s has %zu elements, expected %zu", name, len,
                            count);
    for (size_t i = 0; i < count; i++)
        BNR_TRY(check_range(n, name, (*v)[i], min, err));
    return BNR_OK;
}

static enum bnr_status read_auto_pad(const struct bnr_node *n, enum bnr_auto_pad *out,
                                     struct bnr_error *err) {
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *s = bnr__attr_string(n, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (enum bnr_auto_pad)i;
            return BNR_OK;
        }
    }
    // Some exporters write the empty string for the default.
    if (*s == '\0') {
        *out = BNR_PAD_NOTSET;
        return BNR_OK;
    }
    return bnr__op_fail(n, err, BNR_SHAPE,
                        "auto_pad is '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", s);
}

static enum bnr_status read_kernel(const struct bnr_node *n, const struct bnr_dim *kernel,
                                   struct bnr_window *w, struct bnr_error *err) {
    const int64_t *shape;
    BNR_TRY(read_list(n, "kernel_shape", (size_t)w->rank, 1, &shape, err));
    if (!shape && !kernel)
        return bnr__op_fail(n, err, BNR_SHAPE, "attribute 'kernel_shape' is required");
    for (int i = 0; i < w->rank; i++) {
        const int64_t k = kernel ? kernel[i].n : -1;
        if (k >= 0)
            BNR_TRY(check_range(n, "the weight's spatial shape", k, 1, err));
        if (shape && k >= 0 && shape[i] != k)
            return bnr__op_fail(n, err, BNR_SHAPE,
                                "kernel_shape[%d] is %lld, but the weight has %lld", i,
                                (long long)shape[i], (long long)k);
        w->axis[i].kernel = shape ? shape[i] : k;
    }
    return BNR_OK;
}

enum bnr_status bnr__window_attrs(const struct bnr_node *n, int rank, const struct bnr_dim *kernel,
                                  struct bnr_window *w, struct bnr_error *err) {
    *w = (struct bnr_window){.rank = rank};
    const int64_t *strides, *dilations, *pads;
    BNR_TRY(read_auto_pad(n, &w->auto_pad, err));
    BNR_TRY(read_kernel(n, kernel, w, err));
    BNR_TRY(read_list(n, "strides", (size_t)rank, 1, &strides, err));
    BNR_TRY(read_list(n, "dilations", (size_t)rank, 1, &dilations, err));
    BNR_TRY(read_list(n, "pads", 2 * (size_t)rank, 0, &pads, err));
    w->ceil_mode = bnr__attr_int(n, "ceil_mode", 0) != 0;
    for (int i = 0; i < rank; i++) {
        struct bnr_window_axis *a = &w->axis[i];
        a->in = a->out = -1;
        a->stride = strides ? strides[i] : 1;
        a->dilation = dilations ? dilations[i] : 1;
        // Exporters write pads beside auto_pad; auto_pad wins.
        if (pads && w->auto_pad == BNR_PAD_NOTSET) {
            a->begin = pads[i];
            a->end = pads[i + rank];
        }
        if (a->kernel > 0 && bnr__window_extent(a) > LIMIT)
            return bnr__op_fail(n, err, BNR_SHAPE,
                                "a kernel of %lld with dilation %lld is too large",
                                (long long)a->kernel, (long long)a->dilation);
    }
    return BNR_OK;
}

// ---- sizes --------------------------------------------------------------------------------------

static enum bnr_status check_in(const struct bnr_node *n, int axis, int64_t in,
                                struct bnr_error *err) {
    if (in > LIMIT)
        return bnr__op_fail(n, err, BNR_SHAPE, "input dim %d is %lld, expected at most %lld",
                            axis + 2, (long long)in, (long long)LIMIT);
    return BNR_OK;
}

static void split_padding(enum bnr_auto_pad mode, int64_t total, struct bnr_window_axis *a) {
    a->begin = mode == BNR_PAD_SAME_LOWER ? total - total / 2 : total / 2;
    a->end = total - a->begin;
}

static void same_size(enum bnr_auto_pad mode, struct bnr_window_axis *a) {
    a->out = (a->in + a->stride - 1) / a->stride;
    const int64_t total = (a->out - 1) * a->stride + bnr__window_extent(a) - a->in;
    split_padding(mode, total > 0 ? total : 0, a);
}

static enum bnr_status explicit_size(const struct bnr_node *n, int axis, bool ceil_mode,
                                     struct bnr_window_axis *a, struct bnr_error *err) {
    const int64_t room = a->in + a->begin + a->end - bnr__window_extent(a);
    if (room < 0 && a->in > 0)
        return bnr__op_fail(
            n, err, BNR_SHAPE,
            "spatial axis %d: a kernel covering %lld does not fit into %lld with padding "
            "%lld + %lld",
            axis, (long long)bnr__window_extent(a), (long long)a->in, (long long)a->begin,
            (long long)a->end);
    if (room < 0) {
        a->out = 0; // of an empty input
        return BNR_OK;
    }
    a->out = (ceil_mode ? room + a->stride - 1 : room) / a->stride + 1;
    // ceil_mode counts a last window that is only partly inside, but none that starts in the end
    // padding.
    if (ceil_mode && (a->out - 1) * a->stride >= a->in + a->begin)
        a->out--;
    return BNR_OK;
}

enum bnr_status bnr__window_size(const struct bnr_node *n, const struct bnr_dim *in,
                                 struct bnr_window *w, struct bnr_error *err) {
    for (int i = 0; i < w->rank; i++) {
        struct bnr_window_axis *a = &w->axis[i];
        a->in = in[i].n;
        BNR_TRY(check_in(n, i, a->in, err));
        if (a->in < 0 || a->kernel < 0)
            continue;
        if (w->auto_pad == BNR_PAD_SAME_UPPER || w->auto_pad == BNR_PAD_SAME_LOWER)
            same_size(w->auto_pad, a);
        else
            BNR_TRY(explicit_size(n, i, w->ceil_mode && w->auto_pad == BNR_PAD_NOTSET, a, err));
    }
    return BNR_OK;
}

enum bnr_status bnr__window_size_transposed(const struct bnr_node *n, const struct bnr_dim *in,
                                            struct bnr_window *w, struct bnr_error *err) {
    const int64_t *extra, *shape;
    size_t len;
    BNR_TRY(read_list(n, "output_padding", (size_t)w->rank, 0, &extra, err));
    // Some files list batch and channels too.
    shape = bnr__attr_ints(n, "output_shape", &len);
    const size_t skip = shape && len == (size_t)w->rank + 2 ? 2 : 0;
    if (shape && len > 0 && len != (size_t)w->rank + skip)
        return bnr__op_fail(n, err, BNR_SHAPE, "output_shape has %zu elements, expected %d", len,
                            w->rank);
    for (int i = 0; i < w->rank; i++) {
        struct bnr_window_axis *a = &w->axis[i];
        a->in = in[i].n;
        BNR_TRY(check_in(n, i, a->in, err));
        const int64_t add = extra ? extra[i] : 0;
        if (add >= a->stride && add >= a->dilation)
            return bnr__op_fail(
                n, err, BNR_SHAPE,
                "output_padding[%d] is %lld, expected less than stride %lld or dilation %lld", i,
                (long long)add, (long long)a->stride, (long long)a->dilation);
        if (a->in < 0 || a->kernel < 0)
            continue;
        if (a->in > LIMIT / a->stride)
            return bnr__op_fail(n, err, BNR_SHAPE,
                                "spatial axis %d: %lld inputs with stride %lld: too large", i,
                                (long long)a->in, (long long)a->stride);
        const int64_t full = a->stride * (a->in - 1) + add + bnr__window_extent(a);
        const bool same = w->auto_pad == BNR_PAD_SAME_UPPER || w->auto_pad == BNR_PAD_SAME_LOWER;
        if ((shape && len > 0) || same) {
            a->out = shape && len > 0 ? shape[(size_t)i + skip] : a->in * a->stride;
            BNR_TRY(check_range(n, "output_shape", a->out, 0, err));
            // A larger output than the windows reach is zero (plus bias) at the end.
            const int64_t total = full > a->out ? full - a->out : 0;
            const bool upper = w->auto_pad == BNR_PAD_SAME_UPPER || (n->since < 11 && !same);
            split_padding(upper ? BNR_PAD_SAME_UPPER : BNR_PAD_SAME_LOWER, total, a);
            continue;
        }
        a->out = full - a->begin - a->end;
        if (a->out < 0 && a->in > 0)
            return bnr__op_fail(n, err, BNR_SHAPE,
                                "spatial axis %d: padding %lld + %lld leaves a size of %lld", i,
                                (long long)a->begin, (long long)a->end, (long long)a->out);
        if (a->out < 0)
            a->out = 0;
    }
    return BNR_OK;
}

struct bnr_window bnr__window_transpose(const struct bnr_window *w) {
    struct bnr_window t = *w;
    for (int i = 0; i < w->rank; i++) {
        t.axis[i].in = w->axis[i].out;
        t.axis[i].out = w->axis[i].in;
    }
    return t;
}

// ---- iteration ----------------------------------------------------------------------------------

int64_t bnr__window_taps(const struct bnr_window *w) {
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++)
        n *= w->axis[i].kernel;
    return n;
}

int64_t bnr__window_in_numel(const struct bnr_window *w) {
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++)
        n *= w->axis[i].in;
    return n;
}

int64_t bnr__window_out_numel(const struct bnr_window *w) {
    int64_t n = 1;
    for (int i = 0; i < w->rank; i++)
        n *= w->axis[i].out;
    return n;
}

// Taps of output o that are inside the input: *first and the ones behind it; how many.
static int64_t taps_inside(const struct bnr_window_axis *a, int64_t o, int64_t *first) {
    const int64_t at = o * a->stride - a->begin, room = a->in - 1 - at;
    *first = at >= 0 ? 0 : (-at + a->dilation - 1) / a->dilation;
    const int64_t last = room < 0 ? -1 : room / a->dilation;
    const int64_t n = (last < a->kernel ? last + 1 : a->kernel) - *first;
    return n > 0 ? n : 0;
}

void bnr__window_trim(struct bnr_window *w) {
    for (int i = 0; i < w->rank; i++) {
        struct bnr_window_axis *a = &w->axis[i];
        int64_t first;
        taps_inside(a, a->out - 1, &first); // the last output reaches the first ones
        const int64_t room = a->in - 1 + a->begin;
        const int64_t end = room < 0 ? 0 : room / a->dilation + 1; // the first one the last ones
        const int64_t kernel = (end < a->kernel ? end : a->kernel) - first;
        a->kernel = kernel > 0 ? kernel : 0;
        a->begin -= first * a->dilation;
    }
}

void bnr__window_counts(const struct bnr_window *w, double *counts) {
    const size_t n = (size_t)bnr__window_out_numel(w);
    for (size_t k = 0; k < n; k++) {
        int64_t rest = (int64_t)k, unused;
        counts[k] = 1;
        for (int i = w->rank - 1; i >= 0; i--) {
            counts[k] *= (double)taps_inside(&w->axis[i], rest % w->axis[i].out, &unused);
            rest /= w->axis[i].out;
        }
    }
}

// Outputs lo <= o < hi for which o * stride + shift is in [0, in).
static void tap_range(const struct bnr_window_axis *a, int64_t shift, int64_t *lo, int64_t *hi) {
    *lo = shift >= 0 ? 0 : (-shift + a->stride - 1) / a->stride;
    *hi = shift >= a->in ? 0 : (a->in - shift + a->stride - 1) / a->stride;
    if (*hi > a->out)
        *hi = a->out;
}

static void place(const struct bnr_window *w, struct bnr_window_run *r) {
    size_t x = 0, y = 0;
    for (int i = 0; i < w->rank; i++) {
        const struct bnr_window_axis *a = &w->axis[i];
        const int64_t o = i < r->axes ? r->at[i] : r->lo[i];
        x = x * (size_t)a->in + (size_t)(o * a->stride + r->shift[i]);
        y = y * (size_t)a->out + (size_t)o;
    }
    r->x = x;
    r->y = y;
}

bool bnr__window_first(const struct bnr_window *w, int64_t tap, struct bnr_window_run *r) {
    for (int i = w->rank - 1; i >= 0; i--) {
        const struct bnr_window_axis *a = &w->axis[i];
        r->shift[i] = tap % a->kernel * a->dilation - a->begin;
        tap /= a->kernel;
        tap_range(a, r->shift[i], &r->lo[i], &r->hi[i]);
        if (r->lo[i] >= r->hi[i])
            return false;
        r->at[i] = r->lo[i];
    }
    // The run goes along the last axis with more than one output. While it covers whole rows of
    // input and output, the axis in front of it continues it without a gap.
    size_t behind = 1; // input elements from one position on the axis to the next
    bool points = true, whole = true;
    r->axes = w->rank;
    r->count = r->step = 1;
    while (r->axes > 0) {
        const int i = r->axes - 1;
        const struct bnr_window_axis *a = &w->axis[i];
        if (points)
            r->step = (size_t)a->stride * behind;
        else if (!whole || a->stride != 1)
            break;
        r->axes = i;
        r->count *= (size_t)(r->hi[i] - r->lo[i]);
        behind *= (size_t)a->in;
        whole = whole && a->stride == 1 && a->in == a->out && r->hi[i] - r->lo[i] == a->in;
        points = points && a->out == 1;
    }
    place(w, r);
    return true;
}

bool bnr__window_next(const struct bnr_window *w, struct bnr_window_run *r) {
    for (int i = r->axes - 1; i >= 0; i--) {
        if (++r->at[i] < r->hi[i]) {
            place(w, r);
            return true;
        }
        r->at[i] = r->lo[i];
    }
    return false;
}
