// SPDX-License-Identifier: Apache-2.0
// Random networks (tests/lib/random_net.h): folded and unfolded must agree in double precision, for files
// and for our own kernels; folding twice changes nothing; a folded network that is written reads back as
// the same.
//
//   BNR_SEED=S        the first seed (default 1)
//   BNR_SEEDS=N       how many (default 300)
//   BNR_SECONDS=N     as many as fit in N seconds instead
//   BNR_SKIP=0xMASK   only the first seed, here, without these steps; shows the network
//
// Networks are made in child processes, so that a crash has a seed, too. The seed that fails is printed with
// the steps that the failure needs, then run once more to show it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/random_net.h"

enum { BATCH = 100 };

static const unsigned groups[] = {BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_RAISE,
                                  BNR_PASS_CLEAN | BNR_PASS_FOLD | BNR_PASS_FUSE, BNR_PASS_FOLD};

struct progress { // shared with the children
    uint64_t seed;
    size_t nets, folded, kept;
};

static int check(uint64_t seed, uint32_t skip, struct progress *p) {
    static struct random_net r;
    int steps = 0;
    for (size_t k = 0; k < BNR_COUNT(groups); k++) {
        steps = random_net_grow(&r, seed, skip);
        if (r.t.g->n_outputs > 0) {
            net_fold(&r.t, groups[k]);
            if (groups[k] & BNR_PASS_RAISE)
                net_reload(&r.t, groups[k]);
            for (size_t i = 0; i < r.t.folded->n_bns; i++)
                *(r.t.folded->bns[i]->verdict == BNR_BN_KEPT ? &p->kept : &p->folded) += 1;
            p->nets++;
        }
        net_end(&r.t);
    }
    return steps;
}

// Whether `count` seeds from `seed` on pass, in a child. A failed check leaves the child through cmocka's
// own way out of main, with an exit status other than 0.
static bool passes(uint64_t seed, uint64_t count, uint32_t skip, struct progress *p) {
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(3);
        for (uint64_t i = 0; i < count; i++) {
            p->seed = seed + i;
            check(seed + i, skip, p);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Leaves out every step without which the seed fails as well.
static uint32_t shrink(uint64_t seed, struct progress *p) {
    uint32_t skip = 0;
    for (int round = 0; round < 2; round++)
        for (int i = RANDOM_NET_STEPS - 1; i >= 0; i--)
            if (!(skip >> i & 1) && !passes(seed, 1, skip | 1u << i, p))
                skip |= 1u << i;
    return skip;
}

static long from_environment(const char *variable, long fallback) {
    const char *s = getenv(variable);
    return s && *s ? strtol(s, NULL, 0) : fallback;
}

static void random_networks(void **state) {
    const long seconds = from_environment("BNR_SECONDS", 0);
    const uint64_t first = (uint64_t)from_environment("BNR_SEED", 1);
    const uint64_t count = seconds ? UINT64_MAX : (uint64_t)from_environment("BNR_SEEDS", 300);
    const long skip = from_environment("BNR_SKIP", -1);
    const time_t end = time(NULL) + seconds;
    struct progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    uint64_t done = 0;
    if (skip >= 0) {
        check(first, (uint32_t)skip, p);
        return;
    }
    while (done < count && (!seconds || time(NULL) < end)) {
        const uint64_t batch = count - done < BATCH ? count - done : BATCH;
        if (!passes(first + done, batch, 0, p)) {
            const uint64_t seed = p->seed;
            const uint32_t without = shrink(seed, p);
            print_error("seed %llu fails, also with BNR_SEED=%llu BNR_SKIP=0x%x:\n",
                        (unsigned long long)seed, (unsigned long long)seed, without);
            check(seed, without, p);
            fail_msg("it passes in this process");
        }
        done += batch;
    }
    print_message("%llu seeds, %zu networks: %zu folded, %zu kept\n", (unsigned long long)done, p->nets,
                  p->folded, p->kept);
    assert_true(done < 100 || (p->folded > p->nets / 2 && p->kept > 0));
    munmap(p, sizeof *p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
