// SPDX-License-Identifier: Apache-2.0
// The table of operators, built from ops.inc, and which opsets of which domains this build knows.
#include <pthread.h>
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/base/map.h"

#define BNR_OP(ident) extern const struct bnr_op bnr__op_##ident;
#include "runtime/ops/ops.inc"
#undef BNR_OP

#define BNR_OP(ident) &bnr__op_##ident,
static const struct bnr_op *const table[] = {
#include "runtime/ops/ops.inc"
};
#undef BNR_OP

static const struct {
    const char *domain;
    int max_opset;
} domains[] = {
    {"", 28}, // 27 is the newest release; 28 is in development
    {"ai.onnx.ml", 5},
    {"ai.onnx.preview", 1},
    {"ai.onnx.preview.training", 1},
    {"com.microsoft", 1},
    {BNR_INTERNAL_DOMAIN, 1},
};

static const char *canonical_domain(const char *domain) {
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

// Open addressing by name, filled once: graphs of thousands of nodes ask for each of them.
enum { SLOTS = 1024 };
_Static_assert(BNR_COUNT(table) < SLOTS / 2, "more slots");

static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static const struct bnr_op *slots[SLOTS];

static size_t slot_of(const char *name) {
    return (size_t)bnr__hash_bytes(name, strlen(name), 0) % SLOTS;
}

static void fill_slots(void) {
    for (size_t i = 0; i < BNR_COUNT(table); i++) {
        size_t k = slot_of(table[i]->name);
        while (slots[k])
            k = (k + 1) % SLOTS;
        slots[k] = table[i];
    }
}

const struct bnr_op *bnr__op_find(const char *domain, const char *name) {
    domain = canonical_domain(domain);
    pthread_once(&slots_once, fill_slots);
    for (size_t k = slot_of(name); slots[k]; k = (k + 1) % SLOTS)
        if (strcmp(slots[k]->name, name) == 0 && strcmp(slots[k]->domain, domain) == 0)
            return slots[k];
    return NULL;
}

size_t bnr__op_count(void) {
    return BNR_COUNT(table);
}

const struct bnr_op *bnr__op_at(size_t i) {
    return i < BNR_COUNT(table) ? table[i] : NULL;
}

int bnr__op_version(const struct bnr_op *op, int opset) {
    if (opset > bnr__op_max_opset(op->domain))
        return 0;
    int version = 0;
    for (int i = 0; i < BNR_OP_MAX_VERSIONS && op->since[i] != 0 && op->since[i] <= opset; i++)
        version = op->since[i];
    return version;
}

int bnr__op_max_opset(const char *domain) {
    domain = canonical_domain(domain);
    for (size_t i = 0; i < BNR_COUNT(domains); i++)
        if (strcmp(domains[i].domain, domain) == 0)
            return domains[i].max_opset;
    return 0;
}
