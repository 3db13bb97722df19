// SPDX-License-Identifier: Apache-2.0
#include "runtime/profile.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct event {
    const struct bnr_plan *plan;
    const struct bnr_step *step;
    uint64_t start, duration; // nanoseconds since the profile began
    long thread;
};

struct bnr_profile {
    const struct bnr_allocator *allocator;
    pthread_mutex_t lock;
    uint64_t origin;
    struct event *events;
    size_t count, capacity;
};

uint64_t bnr__profile_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct bnr_profile *bnr__profile_new(const struct bnr_allocator *a) {
    struct bnr_profile *p = bnr__calloc(a, 1, sizeof *p);
    if (!p)
        return NULL;
    p->allocator = a;
    p->origin = bnr__profile_now();
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void bnr__profile_free(struct bnr_profile *p) {
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    bnr__free(p->allocator, p->events, p->capacity * sizeof *p->events);
    bnr__free(p->allocator, p, sizeof *p);
}

static bool make_room(struct bnr_profile *p) {
    if (p->count < p->capacity)
        return true;
    const size_t grown = p->capacity ? p->capacity * 2 : 256;
    struct event *events =
        bnr__realloc(p->allocator, p->events, p->capacity * sizeof *events, grown * sizeof *events);
    if (!events)
        return false;
    p->events = events;
    p->capacity = grown;
    return true;
}

enum bnr_status bnr__profile_add(struct bnr_profile *p, const struct bnr_plan *plan,
                                 const struct bnr_step *step, uint64_t start,
                                 struct bnr_error *err) {
    const uint64_t end = bnr__profile_now();
    const long thread = syscall(SYS_gettid);
    pthread_mutex_lock(&p->lock);
    const bool room = make_room(p);
    if (room)
        p->events[p->count++] = (struct event){plan, step, start - p->origin, end - start, thread};
    pthread_mutex_unlock(&p->lock);
    return room ? BNR_OK : bnr__no_memory(err);
}

static void print_types(struct bnr_text *text, const struct bnr_plan *plan, const int *slots,
                        int n) {
    bool first = true;
    bnr__text_add(text, "[");
    for (int i = 0; i < n; i++) {
        if (slots[i] < 0)
            continue;
        char buf[200];
        bnr__text_add(text, first ? "" : ",");
        bnr__text_json_string(text,
                              bnr__type_describe(&plan->slots[slots[i]].type, buf, sizeof buf));
        first = false;
    }
    bnr__text_add(text, "]");
}

static void print_event(struct bnr_text *text, const struct event *e) {
    const struct bnr_step *st = e->step;
    bnr__text_add(text, "{\"ph\":\"X\",\"pid\":1,\"tid\":%ld,\"ts\":", e->thread);
    bnr__text_json_number(text, (double)e->start / 1000);
    bnr__text_add(text, ",\"dur\":");
    bnr__text_json_number(text, (double)e->duration / 1000);
    bnr__text_add(text, ",\"name\":");
    bnr__text_json_string(text, st->node->op_type);
    bnr__text_add(text, ",\"args\":{\"node\":");
    bnr__text_json_string(text, st->node->label);
    bnr__text_add(text, ",\"kernel\":");
    bnr__text_json_string(text, st->kernel ? st->kernel : "reference");
    bnr__text_add(text, ",\"fused\":[");
    for (int i = 1; i < st->n_nodes; i++) {
        bnr__text_add(text, i > 1 ? "," : "");
        bnr__text_json_string(text, st->nodes[i]->op_type);
    }
    bnr__text_add(text, "],\"before\":[");
    for (int i = 0; i < st->n_before; i++) {
        bnr__text_add(text, i > 0 ? "," : "");
        bnr__text_json_string(text, st->before[i]->op_type);
    }
    bnr__text_add(text, "],\"inputs\":");
    print_types(text, e->plan, st->in, st->n_in);
    bnr__text_add(text, ",\"outputs\":");
    print_types(text, e->plan, st->out, st->n_out);
    bnr__text_add(text, "}}");
}

void bnr__profile_print(struct bnr_profile *p, struct bnr_text *text) {
    pthread_mutex_lock(&p->lock);
    bnr__text_add(text, "[");
    for (size_t i = 0; i < p->count; i++) {
        bnr__text_add(text, i ? ",\n" : "\n");
        print_event(text, &p->events[i]);
    }
    bnr__text_add(text, "\n]\n");
    pthread_mutex_unlock(&p->lock);
}
