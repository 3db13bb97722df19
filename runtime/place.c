// SPDX-License-Identifier: Apache-2.0
// Greedy best-fit placement. Blocks are placed one after the other, each into the smallest gap
// between the blocks already placed that live at the same time, or behind them. The order decides
// the quality; none is best for every network, and placing is cheap, so a few are tried.
#include "runtime/place.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

// Beyond this many blocks only the order of time is tried, whose cost is blocks x blocks alive.
enum { MAX_QUADRATIC = 4096 };

// A block while it is placed.
struct item {
    size_t size, offset;
    int first, last;
    size_t index; // into the caller's array
};

static int by_index(const struct item *a, const struct item *b) {
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_size(const void *pa, const void *pb) {
    const struct item *a = pa, *b = pb;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return by_index(a, b);
}

static int by_duration(const void *pa, const void *pb) {
    const struct item *a = pa, *b = pb;
    int64_t da = (int64_t)a->last - a->first, db = (int64_t)b->last - b->first;
    if (da != db)
        return da > db ? -1 : 1;
    return by_size(pa, pb);
}

static int by_area(const void *pa, const void *pb) {
    const struct item *a = pa, *b = pb;
    double xa = (double)a->size * ((double)a->last - a->first + 1);
    double xb = (double)b->size * ((double)b->last - b->first + 1);
    if (xa != xb)
        return xa > xb ? -1 : 1;
    return by_index(a, b);
}

static int by_time(const void *pa, const void *pb) {
    const struct item *a = pa, *b = pb;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return by_size(pa, pb);
}

static bool alive_together(const struct item *a, const struct item *b) {
    return a->first <= b->last && b->first <= a->last;
}

// Candidates for the place of one block.
struct gap {
    size_t begin, size; // size SIZE_MAX: none seen yet
    bool high;          // put the block at the gap's upper end
};

// Takes the gap [begin, end) between two neighbours that die at `low_dies` and `high_dies`, when it
// is the tightest so far. Inside it the block goes beside the neighbour that lives longer, so that
// what becomes free later becomes free in one piece.
static void consider(struct gap *best, const struct item *it, size_t begin, size_t end,
                     int low_dies, int high_dies) {
    if (end <= begin || end - begin < it->size || end - begin >= best->size)
        return;
    *best = (struct gap){.begin = begin, .size = end - begin, .high = high_dies > low_dies};
}

// The offset for `it` among placed[0..n), which are sorted by offset: in the tightest gap, the one
// below `capacity` included, else behind everything. capacity 0: always at the lower end.
static size_t best_fit(const struct item *it, struct item *const *placed, size_t n,
                       size_t capacity) {
    struct gap best = {.size = SIZE_MAX};
    size_t end = 0;
    int dies = INT_MAX; // of what ends at `end`; the walls live for ever
    for (size_t i = 0; i < n; i++) {
        const struct item *p = placed[i];
        if (!alive_together(it, p))
            continue;
        consider(&best, it, end, p->offset, dies, p->last);
        if (p->offset + p->size > end) {
            end = p->offset + p->size;
            dies = p->last;
        }
    }
    consider(&best, it, end, capacity, dies, INT_MAX);
    if (best.size == SIZE_MAX)
        return end;
    return best.high && capacity ? best.begin + best.size - it->size : best.begin;
}

static void insert(struct item **placed, size_t n, struct item *it) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (placed[mid]->offset <= it->offset)
            low = mid + 1;
        else
            high = mid;
    }
    memmove(placed + low + 1, placed + low, (n - low) * sizeof(struct item *));
    placed[low] = it;
}

// Without blocks that ended before `now`: what is placed in order of time meets them no more.
static size_t drop_dead(struct item **placed, size_t n, int now) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (placed[i]->last >= now)
            placed[kept++] = placed[i];
    return kept;
}

// Places all items in the order that they have (see best_fit for capacity). Returns the bytes
// needed.
static size_t place_all(struct item *items, size_t n, struct item **placed, size_t capacity,
                        bool in_time) {
    size_t count = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        struct item *it = &items[i];
        if (in_time)
            count = drop_dead(placed, count, it->first);
        it->offset = best_fit(it, placed, count, capacity);
        insert(placed, count++, it);
        if (it->offset + it->size > bytes)
            bytes = it->offset + it->size;
    }
    return bytes;
}

struct event {
    int time;
    bool ends;
    size_t size;
};

// Starts come before ends of the same step: `last` is included.
static int by_event(const void *pa, const void *pb) {
    const struct event *a = pa, *b = pb;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (int)a->ends - (int)b->ends;
}

static size_t largest_sum(const struct item *items, size_t n, struct event *events) {
    for (size_t i = 0; i < n; i++) {
        events[2 * i] = (struct event){items[i].first, false, items[i].size};
        events[2 * i + 1] = (struct event){items[i].last, true, items[i].size};
    }
    qsort(events, 2 * n, sizeof *events, by_event);
    size_t sum = 0, most = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        sum = events[i].ends ? sum - events[i].size : sum + events[i].size;
        most = sum > most ? sum : most;
    }
    return most;
}

// Fills items with rounded sizes; empty blocks are left out (their offset is 0). False on overflow.
static bool collect(struct bnr_block *blocks, size_t n, struct item *items, size_t *count) {
    size_t sum = BNR_TENSOR_PAD;
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        blocks[i].offset = 0;
        if (blocks[i].size == 0)
            continue;
        size_t size = blocks[i].size;
        if (!bnr__size_add(size, BNR_TENSOR_ALIGN - 1, &size))
            return false;
        size -= size % BNR_TENSOR_ALIGN;
        if (!bnr__size_add(sum, size, &sum))
            return false;
        items[(*count)++] = (struct item){
            .size = size, .first = blocks[i].first, .last = blocks[i].last, .index = i};
    }
    return true;
}

static const struct {
    int (*compare)(const void *a, const void *b);
    bool in_time, sides;
} orders[] = {{by_time, true, true},       {by_time, true, false},    {by_size, false, false},
              {by_size, false, true},      {by_area, false, false},   {by_area, false, true},
              {by_duration, false, false}, {by_duration, false, true}};

enum bnr_status bnr__place(struct bnr_block *blocks, size_t n, struct bnr_arena *temp,
                           struct bnr_placement *out, struct bnr_error *err) {
    struct item *items = BNR_NEW_ARRAY(temp, n, struct item);
    struct item **placed = BNR_NEW_ARRAY(temp, n, struct item *);
    struct event *events = bnr__arena_array(temp, n, 2 * sizeof *events);
    size_t count;
    if (!items || !placed || !events)
        return bnr__no_memory(err);
    if (!collect(blocks, n, items, &count))
        return bnr__fail(err, BNR_NO_MEMORY, "the sizes of all tensors overflow when added");
    size_t bound = largest_sum(items, count, events), best = SIZE_MAX;
    for (size_t i = 0; i < BNR_COUNT(orders) && best > bound; i++) {
        if (!orders[i].in_time && count > MAX_QUADRATIC)
            break;
        qsort(items, count, sizeof *items, orders[i].compare);
        size_t bytes =
            place_all(items, count, placed, orders[i].sides ? bound : 0, orders[i].in_time);
        if (bytes >= best)
            continue;
        best = bytes;
        for (size_t k = 0; k < count; k++)
            blocks[items[k].index].offset = items[k].offset;
    }
    out->bytes = best + BNR_TENSOR_PAD;
    out->lower_bound = bound + BNR_TENSOR_PAD;
    return BNR_OK;
}
