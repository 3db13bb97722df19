// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/number_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- to text ------------------------------------------------------------------------------------

// `digits` significant digits of |v| and the power of ten of the first. printf's decimal point
// depends on the locale, so only the digits are taken from it.
static int decimal_digits(double v, int digits, char out[20]) {
    char text[48];
    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(v));
    const char *e = strchr(text, 'e');
    int n = 0;
    for (const char *c = text; c < e; c++)
        if (*c >= '0' && *c <= '9')
            out[n++] = *c;
    out[n] = '\0';
    return atoi(e + 1);
}

static bool reads_back(enum bnr_dtype d, const char *digits, int exponent, double v) {
    char text[48], element[8];
    snprintf(text, sizeof text, "%se%d", digits, exponent - (int)strlen(digits) + 1);
    const double parsed = strtod(text, NULL);
    bnr__store_f64(d, element, &parsed, 1);
    return bnr__get_f64(d, element, 0) == fabs(v);
}

static size_t plain(char *text, const char *digits, int exponent) {
    const int n = (int)strlen(digits);
    size_t at = 0;
    if (exponent < 0) {
        text[at++] = '0';
        text[at++] = '.';
        for (int i = -1; i > exponent; i--)
            text[at++] = '0';
        memcpy(text + at, digits, (size_t)n);
        return at + (size_t)n;
    }
    for (int i = 0; i <= exponent; i++)
        text[at++] = i < n ? digits[i] : '0';
    text[at++] = '.';
    if (n <= exponent + 1)
        text[at++] = '0';
    for (int i = exponent + 1; i < n; i++)
        text[at++] = digits[i];
    return at;
}

static size_t float_to_text(enum bnr_dtype d, double v, char *text) {
    if (isnan(v))
        return (size_t)snprintf(text, BNR_NUMBER_TEXT, "NaN");
    const size_t sign = signbit(v) ? 1 : 0;
    text[0] = '-';
    if (isinf(v))
        return sign + (size_t)snprintf(text + sign, BNR_NUMBER_TEXT - sign, "INF");
    char digits[20];
    int exponent = 0, count = 0;
    do
        exponent = decimal_digits(v, ++count, digits);
    while (count < 17 && !reads_back(d, digits, exponent, v));
    if (exponent >= -4 && exponent < 16)
        return sign + plain(text + sign, digits, exponent);
    return sign + (size_t)snprintf(text + sign, BNR_NUMBER_TEXT - sign, "%c%s%se%+03d", digits[0],
                                   count > 1 ? "." : "", digits + 1, exponent);
}

size_t bnr__number_to_text(enum bnr_dtype d, const void *src, size_t i,
                           char text[BNR_NUMBER_TEXT]) {
    const int64_t integer = bnr__get_i64(d, src, i);
    switch (bnr__dtype_class(d)) {
    case BNR_CLASS_BOOL:
        return (size_t)snprintf(text, BNR_NUMBER_TEXT, "%s", integer ? "True" : "False");
    case BNR_CLASS_INT:
        return (size_t)snprintf(text, BNR_NUMBER_TEXT, "%lld", (long long)integer);
    case BNR_CLASS_UINT:
        return (size_t)snprintf(text, BNR_NUMBER_TEXT, "%llu", (unsigned long long)integer);
    default:
        return float_to_text(d, bnr__get_f64(d, src, i), text);
    }
}

// ---- from text ----------------------------------------------------------------------------------

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(const char *s, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (word[i] == '\0' || (s[i] | 0x20) != word[i])
            return false;
    return word[n] == '\0';
}

// A number without decimal point ("31415e-4"), which strtod reads in the same way in every locale.
// Digits beyond MAX_DIGITS cannot change a double, except that they exist, which a last 1 stands
// for.
enum { MAX_DIGITS = 780 };
struct decimal {
    char text[MAX_DIGITS + 32];
    size_t digits;
    long exponent;
    bool integer, any;
};

static void push_digit(struct decimal *d, char c, bool fraction) {
    d->any = true;
    if (d->digits == 0 && c == '0') {
        d->exponent -= fraction;
    } else if (d->digits < MAX_DIGITS) {
        d->text[d->digits++] = c;
        d->exponent -= fraction;
    } else {
        if (c != '0')
            d->text[MAX_DIGITS - 1] |= 1; // '0', '2', ... become odd: away from a tie
        d->exponent += !fraction;
    }
}

// digits [. digits] [e [sign] digits], all of s.
static bool scan_decimal(struct decimal *d, const char *s, const char *end) {
    d->digits = 0;
    d->exponent = 0;
    d->any = false;
    d->integer = true;
    for (; s < end && *s >= '0' && *s <= '9'; s++)
        push_digit(d, *s, false);
    if (s < end && *s == '.') {
        d->integer = false;
        for (s++; s < end && *s >= '0' && *s <= '9'; s++)
            push_digit(d, *s, true);
    }
    if (!d->any)
        return false;
    if (s < end && (*s | 0x20) == 'e') {
        d->integer = false;
        s++;
        const bool negative = s < end && *s == '-';
        s += s < end && (*s == '-' || *s == '+');
        if (s == end)
            return false;
        long e = 0;
        for (; s < end && *s >= '0' && *s <= '9'; s++)
            e = e < 100000000 ? e * 10 + (*s - '0') : e;
        d->exponent += negative ? -e : e;
    }
    return s == end;
}

static int64_t saturate(double v) {
    return isnan(v) ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

bool bnr__text_to_number(const char *text, size_t length, double *value, int64_t *integer) {
    const char *s = text, *end = text + length;
    while (s < end && is_blank(*s))
        s++;
    while (s < end && is_blank(end[-1]))
        end--;
    const bool negative = s < end && *s == '-';
    s += s < end && (*s == '-' || *s == '+');
    const size_t n = (size_t)(end - s);
    struct decimal d;
    d.integer = false;
    if (is_word(s, n, "inf") || is_word(s, n, "infinity"))
        *value = HUGE_VAL;
    else if (is_word(s, n, "nan"))
        *value = (double)NAN;
    else if (is_word(s, n, "true") || is_word(s, n, "false"))
        *value = n == 4;
    else if (!scan_decimal(&d, s, end))
        return false;
    else {
        snprintf(d.text + d.digits, sizeof d.text - d.digits, "%se%ld", d.digits ? "" : "0",
                 d.digits ? d.exponent : 0);
        *value = strtod(d.text, NULL);
    }
    if (negative)
        *value = -*value;
    *integer = saturate(*value);
    if (d.integer && d.digits <= 20) {
        d.text[d.digits] = '\0';
        errno = 0;
        const uint64_t magnitude = strtoull(d.text, NULL, 10);
        if (errno == 0)
            *integer = (int64_t)(negative ? 0 - magnitude : magnitude);
    }
    return true;
}
