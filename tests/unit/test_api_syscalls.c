// SPDX-License-Identifier: Apache-2.0
// Runs of known shapes make no system call, except to wake and await threads. Counted by tracing a
// child.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/session.h"
#include "tests/lib/model_builder.h"

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

enum { MARK = 123456789 }; // an argument that nobody passes to getpgid

static void mark(void) {
    syscall(SYS_getpgid, MARK);
}

static struct bnr_model *model(void) {
    struct model_builder t;
    mb_begin(&t, 13, NULL);
    struct bnr_value *x = mb_input(&t, "x", BNR_FLOAT, DIMS(-1, 16, 24, 24));
    struct bnr_value *c =
        mb_op(&t, "Conv", x, mb_weights(&t, DIMS(32, 16, 3, 3)), mb_weights(&t, DIMS(32)));
    struct bnr_value *r = mb_op(&t, "Sigmoid", mb_op(&t, "Relu", c, NULL, NULL), NULL, NULL);
    struct bnr_value *p = mb_op(&t, "GlobalAveragePool", r, NULL, NULL);
    struct bnr_value *f = mb_op(&t, "Flatten", p, NULL, NULL);
    mb_output(&t, mb_op(&t, "MatMul", f, mb_weights(&t, DIMS(32, 50)), NULL));
    return mb_end(&t);
}

// The traced child: exits with 0 when all went well.
static int child(int threads) {
    struct bnr_model *m = model();
    struct bnr_session *s;
    struct bnr_options o;
    bnr_options_init(&o);
    o.threads = threads;
    if (!m || bnr_session_create(&s, m, &o, NULL) != BNR_OK)
        return 1;
    struct bnr_tensor *x[2], *y[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        x[i] = mb_tensor(BNR_FLOAT, DIMS(1 + i, 16, 24, 24), 1);
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            mark();
        if (bnr_run(s, (const bnr_tensor *const[]){x[i % 2]}, 1, &y[i % 2], 1, NULL) != BNR_OK)
            return 1;
    }
    mark();
    return 0;
}

struct counts {
    int futex, others, marks, example;
};

// Follows the calls of the child's first thread. False when tracing is not allowed here.
static bool trace(pid_t pid, struct counts *c, int *status) {
    bool entering = false;
    while (waitpid(pid, status, 0) == pid && !WIFEXITED(*status) && !WIFSIGNALED(*status)) {
        struct __ptrace_syscall_info info;
        const int sig = WSTOPSIG(*status);
        entering = sig == (SIGTRAP | 0x80) && !entering;
        if (entering && ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) > 0) {
            if (info.entry.nr == SYS_getpgid && info.entry.args[0] == MARK) {
                c->marks++;
            } else if (c->marks == 1) {
                c->futex += info.entry.nr == SYS_futex;
                c->others += info.entry.nr != SYS_futex;
                c->example = info.entry.nr == SYS_futex ? c->example : (int)info.entry.nr;
            }
        }
        if (sig == SIGSTOP && ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD) != 0)
            return false;
        const bool pass_on = sig != SIGSTOP && sig != SIGTRAP && sig != (SIGTRAP | 0x80);
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)(pass_on ? sig : 0));
    }
    return true;
}

static struct counts count_calls(int threads) {
    struct counts c = {0};
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(77);
        raise(SIGSTOP);
        _exit(child(threads));
    }
    if (!trace(pid, &c, &status) || (WIFEXITED(status) && WEXITSTATUS(status) == 77)) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        print_message("tracing is not permitted here\n");
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(c.marks, 2);
    return c;
}

static void one_thread_calls_nothing(void **state) {
    const struct counts c = count_calls(1);
    if (c.futex + c.others > 0)
        fail_msg("%d futex calls, %d others (such as number %d)", c.futex, c.others, c.example);
}

static void two_threads_only_wake(void **state) {
    const struct counts c = count_calls(2);
    if (c.others > 0)
        fail_msg("%d calls, such as number %d", c.others, c.example);
    assert_true(c.futex > 0); // the workers slept in between
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_calls_nothing),
        cmocka_unit_test(two_threads_only_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
