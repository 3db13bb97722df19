// SPDX-License-Identifier: Apache-2.0
// PCRE2 knows more than RE2 (references, assertions, recursion, ...), which is refused: what is left is
// regular, and pcre2_dfa_match follows all its alternatives at once. It counts the turns of x+ and x{n,}
// where x is one character, and so follows one alternative for every turn; as xx* and x{n}x* it does not.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/ops/lib/regex.h"

enum { MAX_PATTERN = 1 << 20, MIN_WORKSPACE = 1 << 12, MAX_WORKSPACE = 1 << 24 };

struct bnr_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    int *workspace;
    size_t n_workspace;
};

// ---- from RE2's syntax -----------------------------------------------------------------------------

// The pattern as it is read and as it is written.
struct rewrite {
    const char *p, *end;
    bool quoted; // between \Q and \E
    size_t depth; // of groups
    char *out;
    size_t n;
};

// Bytes of output for each of the pattern: an atom is written twice, escaped, with a group around it.
enum { GROWTH = 12 };

static size_t left(const struct rewrite *w) {
    return (size_t)(w->end - w->p);
}

static bool at(const struct rewrite *w, const char *text) {
    const size_t n = strlen(text);
    return left(w) >= n && memcmp(w->p, text, n) == 0;
}

static void put(struct rewrite *w, const char *s, size_t n) {
    memcpy(w->out + w->n, s, n);
    w->n += n;
}

static void take(struct rewrite *w, size_t n) {
    put(w, w->p, n);
    w->p += n;
}

// Behind "(?": a group without capture, a named one, or flags of RE2.
static bool group_is_re2(const struct rewrite *w) {
    const char *p = w->p + 2;
    if (p < w->end && *p == 'P')
        return w->end - p > 1 && p[1] == '<';
    if (p < w->end && *p == '<')
        return w->end - p > 1 && p[1] != '=' && p[1] != '!';
    while (p < w->end && *p != '\0' && strchr("imsU-", *p))
        p++;
    return p < w->end && (*p == ':' || *p == ')');
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t run_of(const char *p, const char *end, const char *set, size_t max) {
    size_t n = 0;
    while (n < max && p + n < end && p[n] != '\0' && strchr(set, p[n]))
        n++;
    return n;
}

// Bytes of the escape sequence at p, or 0 when RE2 has none like it.
static size_t escape_size(const char *p, const char *end) {
    if (end - p < 2 || (is_word(p[1]) && !strchr("AzbBdDsSwWpPafnrtvx0", p[1])))
        return 0;
    if (p[1] == '0')
        return 2 + run_of(p + 2, end, "01234567", 2);
    if (strchr("xpP", p[1]) && end - p > 2 && p[2] == '{') {
        const char *close = memchr(p, '}', (size_t)(end - p));
        return close ? (size_t)(close + 1 - p) : 0;
    }
    if (p[1] == 'x')
        return 2 + run_of(p + 2, end, "0123456789abcdefABCDEF", 2);
    return p[1] == 'p' || p[1] == 'P' ? (end - p > 2 ? 3 : 0) : 2;
}

// Bytes of the class at p, or 0 when an escape in it is not RE2's. One that is not closed is PCRE2's to
// refuse.
static size_t class_size(const char *start, const char *end) {
    const char *p = start + 1 + (end - start > 1 && start[1] == '^');
    for (bool first = true; p < end && (*p != ']' || first); first = false) {
        if (*p == '\\') {
            const size_t n = escape_size(p, end);
            if (n == 0)
                return 0;
            p += n;
        } else if (end - p > 1 && *p == '[' && p[1] == ':') {
            const char *close = memchr(p + 2, ']', (size_t)(end - p - 2));
            p = close && close[-1] == ':' ? close + 1 : p + 1;
        } else {
            p++;
        }
    }
    return (size_t)((p < end ? p + 1 : end) - start);
}

enum atom { FOREIGN, OTHER, CHARACTER };

// A character between \Q and \E, or one that means itself: with all its bytes, and escaped.
static enum atom take_literal(struct rewrite *w) {
    if (w->quoted && (unsigned char)*w->p < 0x80 && !is_word(*w->p))
        put(w, "\\", 1);
    take(w, 1);
    while (w->p < w->end && ((unsigned char)*w->p & 0xC0) == 0x80)
        take(w, 1);
    return CHARACTER;
}

// What a repeat may follow; or another piece of the pattern.
static enum atom take_atom(struct rewrite *w) {
    if (w->quoted && !at(w, "\\E"))
        return take_literal(w);
    if (at(w, "\\Q") || at(w, "\\E")) {
        w->quoted = w->p[1] == 'Q';
        w->p += 2;
        return OTHER;
    }
    if (*w->p == '\\' || *w->p == '[') {
        const bool assertion = at(w, "\\A") || at(w, "\\z") || at(w, "\\b") || at(w, "\\B");
        const size_t n =
            *w->p == '[' ? class_size(w->p, w->end) : escape_size(w->p, w->end);
        if (n > 0)
            take(w, n);
        return n == 0 ? FOREIGN : assertion ? OTHER : CHARACTER;
    }
    if (at(w, "(*") || (at(w, "(?") && !group_is_re2(w)))
        return FOREIGN;
    if (*w->p == ')' && w->depth-- == 0)
        return FOREIGN;
    if (*w->p == '(') {
        w->depth++;
        take(w, at(w, "(?") ? 2 : 1);
        return OTHER;
    }
    if (strchr(")|^$*+?", *w->p) && *w->p != '\0') {
        take(w, 1);
        return OTHER;
    }
    return take_literal(w);
}

struct repeat {
    unsigned min;
    bool bounded;
    size_t size; // bytes in the pattern, without the '?' behind
};

enum { MAX_REPEAT = 1000 }; // RE2's

// Whether a repeat is at w->p. "{" that begins none is a character. false in *valid: above MAX_REPEAT.
static bool find_repeat(const struct rewrite *w, struct repeat *r, bool *valid) {
    if (left(w) == 0 || !strchr("*+?{", *w->p) || *w->p == '\0')
        return false;
    *r = (struct repeat){*w->p == '+', *w->p == '?', 1};
    if (*w->p != '{')
        return true;
    const char *p = w->p + 1;
    const size_t low = run_of(p, w->end, "0123456789", left(w));
    const size_t comma = run_of(p + low, w->end, ",", 1);
    const size_t high = comma ? run_of(p + low + 1, w->end, "0123456789", left(w)) : 0;
    p += low + comma + high;
    if (low == 0 || p == w->end || *p != '}')
        return false;
    r->size = (size_t)(p + 1 - w->p);
    r->bounded = comma == 0 || high > 0;
    r->min = (unsigned)strtoul(w->p + 1, NULL, 10);
    *valid = *valid && low <= 4 && high <= 4 && r->min <= MAX_REPEAT &&
             (high == 0 || strtoul(w->p + 2 + low, NULL, 10) <= MAX_REPEAT);
    return true;
}

// The repeat at w->p of the character that stands in out[from, n). Few or many makes no difference to
// whether the whole text matches.
static void take_repeat(struct rewrite *w, const struct repeat *r, size_t from, bool character) {
    if (!character || r->bounded || r->min == 0) {
        take(w, r->size);
    } else {
        const size_t size = w->n - from;
        memmove(w->out + from + 3, w->out + from, size);
        memcpy(w->out + from, "(?:", 3);
        w->n += 3;
        if (r->min > 1)
            w->n += (size_t)sprintf(w->out + w->n, "{%u}", r->min);
        memcpy(w->out + w->n, w->out + from + 3, size);
        w->n += size;
        put(w, "*)", 2);
        w->p += r->size;
    }
    if (at(w, "?"))
        w->p++;
}

// False at what RE2 does not know, where w->p then is. What neither knows is PCRE2's to refuse.
static bool from_re2(struct rewrite *w) {
    put(w, "(?:", 3);
    while (w->p < w->end) {
        const size_t from = w->n;
        const char *start = w->p;
        const enum atom atom = take_atom(w);
        struct repeat r;
        bool valid = true;
        if (atom == FOREIGN)
            return false;
        if (w->quoted && atom == CHARACTER && at(w, "\\E"))
            take_atom(w);
        if (w->quoted || (atom == OTHER && start[0] == '\\') || !find_repeat(w, &r, &valid))
            continue;
        if (valid)
            take_repeat(w, &r, from, atom == CHARACTER);
        if (!valid || find_repeat(w, &r, &valid)) // possessive, or a repeat of a repeat
            return false;
    }
    put(w, ")\\z", 3); // PCRE2_ENDANCHORED lets pcre2_dfa_match find some matches that end before
    return true;
}

// ---- PCRE2 ------------------------------------------------------------------------------------------

static bool compile(struct bnr_regex *r, const struct rewrite *w, int *code) {
    PCRE2_SIZE where;
    pcre2_compile_context *how = pcre2_compile_context_create(NULL);
    *code = PCRE2_ERROR_NOMEMORY;
    if (!how)
        return false;
    pcre2_set_newline(how, PCRE2_NEWLINE_LF);
    r->code = pcre2_compile((PCRE2_SPTR)w->out, w->n,
                            PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ANCHORED |
                                PCRE2_NEVER_BACKSLASH_C,
                            code, &where, how);
    pcre2_compile_context_free(how);
    if (!r->code)
        return false;
    r->match = pcre2_match_data_create(1, NULL);
    *code = PCRE2_ERROR_NOMEMORY;
    return r->match != NULL;
}

static enum bnr_status fill(struct bnr_regex *r, struct rewrite *w, char *why, size_t why_size) {
    const char *start = w->p;
    int code;
    if (!from_re2(w)) {
        snprintf(why, why_size, "no RE2 syntax at %zu", (size_t)(w->p - start));
        return BNR_SHAPE;
    }
    if (compile(r, w, &code))
        return BNR_OK;
    PCRE2_UCHAR text[120] = "";
    pcre2_get_error_message(code, text, sizeof(text));
    snprintf(why, why_size, "%s", (const char *)text);
    return code == PCRE2_ERROR_NOMEMORY ? BNR_NO_MEMORY : BNR_SHAPE;
}

enum bnr_status bnr__regex_new(struct bnr_regex **out, struct bnr_str pattern, char *why,
                               size_t why_size) {
    *out = NULL;
    if (pattern.len > MAX_PATTERN) {
        snprintf(why, why_size, "%zu bytes, at most %d are taken", pattern.len, (int)MAX_PATTERN);
        return BNR_SHAPE;
    }
    const char *text = pattern.len > 0 ? pattern.ptr : "";
    struct rewrite w = {.p = text, .end = text + pattern.len};
    struct bnr_regex *r = calloc(1, sizeof(*r));
    w.out = malloc(GROWTH * (pattern.len + 1));
    enum bnr_status st = BNR_NO_MEMORY;
    snprintf(why, why_size, "out of memory");
    if (r && w.out)
        st = fill(r, &w, why, why_size);
    free(w.out);
    if (st == BNR_OK)
        *out = r;
    else
        bnr__regex_free(r);
    return st;
}

void bnr__regex_free(struct bnr_regex *r) {
    if (!r)
        return;
    free(r->workspace);
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    free(r);
}

static bool grow(struct bnr_regex *r) {
    const size_t n = r->n_workspace ? 4 * r->n_workspace : MIN_WORKSPACE;
    int *more = realloc(r->workspace, n * sizeof(int));
    if (!more)
        return false;
    r->workspace = more;
    r->n_workspace = n;
    return true;
}

enum bnr_status bnr__regex_full_match(struct bnr_regex *r, struct bnr_str text, bool *matches) {
    for (;;) {
        int code = PCRE2_ERROR_DFA_WSSIZE;
        if (r->n_workspace > 0)
            code = pcre2_dfa_match(r->code, (PCRE2_SPTR)(text.len ? text.ptr : ""), text.len, 0, 0,
                                   r->match, NULL, r->workspace, r->n_workspace);
        *matches = code >= 0;
        if (code >= 0 || code == PCRE2_ERROR_NOMATCH ||
            (code <= PCRE2_ERROR_UTF8_ERR1 && code >= PCRE2_ERROR_UTF8_ERR21))
            return BNR_OK;
        if (code != PCRE2_ERROR_DFA_WSSIZE || r->n_workspace >= MAX_WORKSPACE)
            return code == PCRE2_ERROR_NOMEMORY ? BNR_NO_MEMORY : BNR_UNSUPPORTED;
        if (!grow(r))
            return BNR_NO_MEMORY;
    }
}
