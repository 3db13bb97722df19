// SPDX-License-Identifier: Apache-2.0
// RegexFullMatch: matches by hand, what RE2's syntax does not have, and patterns that take exponential
// time where a search goes back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ops_test.h"

static void begin(struct ops_test *t, const char *pattern, const char *const *strings, int64_t n) {
    struct bnr_tensor *x;
    ops_test_begin(t, "RegexFullMatch", 20, 1);
    assert_int_equal(bnr__tensor_new(&x, NULL, BNR_STRING, 1, &n, NULL), BNR_OK);
    for (int64_t i = 0; i < n; i++)
        x->str[i] = (struct bnr_str){strings[i], strlen(strings[i])};
    ops_test_in_tensor(t, x);
    assert_int_equal(bnr__node_set_attr_string(t->node, "pattern", pattern), BNR_OK);
}

// False where the build has no regular expressions.
static bool run(struct ops_test *t) {
    const enum bnr_status st = ops_test_run(t);
    if (st == BNR_UNSUPPORTED) {
        assert_non_null(strstr(t->err.message, "built without regular expressions"));
        return false;
    }
    if (st != BNR_OK)
        fail_msg("%s", t->err.message);
    return true;
}

static void matches(void **state) {
    static const struct {
        const char *pattern, *text;
        bool yes;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a|ab", "ab", true}, // the whole text decides, not the first alternative
        {"a|b*", "bbb", true},
        {"^a$", "a", true},
        {"a", "a\n", false},
        {"a$", "a\n", false},
        {"a.c", "a\nc", false},
        {"(?s)a.c", "a\nc", true},
        {"(?i)stra\\x{df}e", "STRA\xC3\x9F" "E", true},
        {"(?i:A)b", "ab", true},
        {"\\w+", "h\xC3\xA9", false}, // ASCII only
        {"\\pL+", "h\xC3\xA9", true},
        {"[^a]", "\xC3\xA9", true}, // one character, two bytes
        {"..", "\xC3\xA9", false},
        {".*", "\xFF", false}, // no UTF-8
        {"(?P<x>a)(?<y>b)(?:c)", "abc", true},
        {"a{2,3}", "aaaa", false},
        {"a{2,}?", "aaaa", true},
        {"a{,2}", "a{,2}", true}, // no repeat in RE2
        {"[[:digit:]]+[]]", "12]", true},
        {"\\Qa+b\\E+", "a+bb", true},
        {"\\d+\\.\\d\\S", "10.5%", true},
        {"(a*)*b", "aaab", true},
        {"[\\]x]+", "x]x", true},
        {"\xC3\xA9+", "\xC3\xA9\xC3\xA9", true},
        {"a{3,}", "aa", false},
        {"a{3,}", "aaaa", true},
        {"[ab]{2,}?c", "abac", true},
        {"\\x{e9}+\\x41{2,}", "\xC3\xA9" "AA", true},
        {"\\p{Lu}{1,}\\pN+", "AB1", true},
        {"\\Qa.\\E{2,}", "a..", true},
        {"\\Qa.\\E{2,}", "axx", false},
        {"(ab)+(?:c|d){1,}", "ababcd", true},
        {"{+a{,}", "{{a{,}", true},
        {"a|", "", true},
        {".*ab", "aaabc", false},
        {"(.*a){2}b", "aaabc", false},
        {"(?i)a|b", "B", true},
    };
    for (size_t i = 0; i < BNR_COUNT(cases); i++) {
        struct ops_test t;
        begin(&t, cases[i].pattern, &cases[i].text, 1);
        if (!run(&t)) {
            ops_test_end(&t);
            skip();
        }
        if (t.out[0]->u8[0] != cases[i].yes)
            fail_msg("'%s' on '%s' gives %d", cases[i].pattern, cases[i].text, t.out[0]->u8[0]);
        ops_test_end(&t);
    }
}

static void no_going_back(void **state) {
    static const char *const patterns[] = {"(a|a)*b", "(a*)*b", "(a+)+b", "([a-c]{2,})+d",
                                           "(a|aa)+b", "(.*a){20}b", "(a{1,}){1,}b"};
    char text[5001];
    const char *p = text;
    memset(text, 'a', 5000);
    memcpy(text + 4998, "bc", 3); // so that it is not the missing b that ends the search
    for (size_t i = 0; i < BNR_COUNT(patterns); i++) {
        struct ops_test t;
        begin(&t, patterns[i], &p, 1);
        if (!run(&t)) {
            ops_test_end(&t);
            skip();
        }
        assert_int_equal(t.out[0]->u8[0], 0);
        ops_test_end(&t);
    }
}

static void refused(void **state) {
    static const char *const patterns[] = {
        "(a)\\1", "(?=a)a", "(?!a)b", "(?<=a)b", "(?<!a)b", "(?>a)", "a++",  "a*+",   "a{2}+", "(?R)",
        "(?1)",   "(?#a)",  "(*FAIL)", "\\Ka",   "\\Xa",    "\\h",   "[\\h]", "(?|a)", "(a",    "a**",
        "[a",     "a)",     "*a",      "\\",     "\\pX",    "\\k<a>", "(?x)a", "(?P=a)", "[z-a]", "(?P<a>b",
        "a{1001}", "a)(b", "a{2}{3}",  "a{1,99999999999}",
    };
    const char *text = "a";
    for (size_t i = 0; i < BNR_COUNT(patterns); i++) {
        struct ops_test t;
        begin(&t, patterns[i], &text, 1);
        const enum bnr_status st = ops_test_run(&t);
        if (st == BNR_UNSUPPORTED) {
            ops_test_end(&t);
            skip();
        }
        if (st != BNR_SHAPE || !strstr(t.err.message, "pattern \""))
            fail_msg("'%s': status %d, \"%s\"", patterns[i], st, t.err.message);
        ops_test_end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(no_going_back),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
