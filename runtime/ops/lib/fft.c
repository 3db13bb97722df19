// SPDX-License-Identifier: Apache-2.0
#include "runtime/ops/lib/fft.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static void multiply(double *z, const double *w) {
    const double re = z[0] * w[0] - z[1] * w[1], im = z[0] * w[1] + z[1] * w[0];
    z[0] = re;
    z[1] = im;
}

// In place, m a power of two.
static void radix2(const struct bnr_fft *f, double *x) {
    const size_t m = f->m;
    for (size_t i = 1, j = 0; i < m; i++) {
        size_t bit = m >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j)
            for (int c = 0; c < 2; c++) {
                const double t = x[2 * i + c];
                x[2 * i + c] = x[2 * j + c];
                x[2 * j + c] = t;
            }
    }
    for (size_t len = 2; len <= m; len *= 2)
        for (size_t start = 0; start < m; start += len)
            for (size_t k = 0; k < len / 2; k++) {
                double *a = x + 2 * (start + k), *b = a + len, t[2] = {b[0], b[1]};
                multiply(t, f->twiddle + 2 * (k * (m / len)));
                b[0] = a[0] - t[0];
                b[1] = a[1] - t[1];
                a[0] += t[0];
                a[1] += t[1];
            }
}

static void fill_circle(double *w, size_t count, size_t n) {
    for (size_t k = 0; k < count; k++) {
        const double angle = -2 * pi * (double)k / (double)n;
        w[2 * k] = cos(angle);
        w[2 * k + 1] = sin(angle);
    }
}

enum bnr_status bnr__fft_plan(const struct bnr_args *a, int64_t n, struct bnr_fft *f) {
    if (n > (int64_t)1 << 28)
        return bnr__op_fail(a->node, a->err, BNR_UNSUPPORTED,
                            "a transform of length %lld is too long", (long long)n);
    *f = (struct bnr_fft){.n = (size_t)n, .m = 1};
    const bool power = (n & (n - 1)) == 0;
    while (f->m < (power ? f->n : 2 * f->n - 1))
        f->m *= 2;
    f->twiddle = bnr__temp_f64(a, f->m);
    f->work = bnr__temp_f64(a, 2 * f->m);
    if (!f->twiddle || !f->work)
        return BNR_NO_MEMORY;
    fill_circle(f->twiddle, f->m / 2, f->m);
    if (power)
        return BNR_OK;
    f->chirp = bnr__temp_f64(a, 2 * f->n);
    f->filter = bnr__temp_f64(a, 2 * f->m);
    if (!f->chirp || !f->filter)
        return BNR_NO_MEMORY;
    for (size_t k = 0; k < f->n; k++) {
        // k^2 modulo 2n keeps the angle small and its error with it.
        const double angle = -pi * (double)(k * k % (2 * f->n)) / (double)f->n;
        f->chirp[2 * k] = cos(angle);
        f->chirp[2 * k + 1] = sin(angle);
        const size_t mirror = k == 0 ? 0 : f->m - k;
        f->filter[2 * k] = f->filter[2 * mirror] = f->chirp[2 * k];
        f->filter[2 * k + 1] = f->filter[2 * mirror + 1] = -f->chirp[2 * k + 1];
    }
    radix2(f, f->filter);
    return BNR_OK;
}

static void bluestein(const struct bnr_fft *f, double *x) {
    double *w = f->work;
    memset(w, 0, 2 * f->m * sizeof *w);
    memcpy(w, x, 2 * f->n * sizeof *w);
    for (size_t k = 0; k < f->n; k++)
        multiply(w + 2 * k, f->chirp + 2 * k);
    radix2(f, w);
    for (size_t k = 0; k < f->m; k++) {
        multiply(w + 2 * k, f->filter + 2 * k);
        w[2 * k + 1] = -w[2 * k + 1]; // conjugate, transform, conjugate: the inverse
    }
    radix2(f, w);
    for (size_t k = 0; k < f->n; k++) {
        x[2 * k] = w[2 * k] / (double)f->m;
        x[2 * k + 1] = -w[2 * k + 1] / (double)f->m;
        multiply(x + 2 * k, f->chirp + 2 * k);
    }
}

static void conjugate(double *x, size_t n, double scale) {
    for (size_t k = 0; k < n; k++) {
        x[2 * k] *= scale;
        x[2 * k + 1] *= -scale;
    }
}

void bnr__fft_run(const struct bnr_fft *f, double *x, bool inverse) {
    if (inverse)
        conjugate(x, f->n, 1);
    if (f->chirp)
        bluestein(f, x);
    else
        radix2(f, x);
    if (inverse)
        conjugate(x, f->n, 1 / (double)f->n);
}

// ---- single precision ---------------------------------------------------------------------------

static size_t smallest_factor(size_t n) {
    size_t p = 2;
    while (n % p != 0)
        p++;
    return p;
}

bool bnr__fft_is_smooth(int64_t n) {
    for (int64_t p = 2; p <= BNR_FFT_MAX_PRIME; p++)
        while (n > 1 && n % p == 0)
            n /= p;
    return n == 1;
}

// Sums of p numbers, each times the powers of the p-th root of unity, p prime. Numbers k and p - k
// meet conjugate factors, so that their sum and difference serve both results.
static void butterfly(float *v, size_t p) {
    float in[2 * BNR_FFT_MAX_PRIME];
    memcpy(in, v, 2 * p * sizeof *v);
    if (p == 2) {
        for (int c = 0; c < 2; c++) {
            v[c] = in[c] + in[2 + c];
            v[2 + c] = in[c] - in[2 + c];
        }
        return;
    }
    for (size_t k = 1; k <= p / 2; k++)
        for (int c = 0; c < 2; c++)
            v[c] += in[2 * k + c] + in[2 * (p - k) + c];
    for (size_t k = 1; k <= p / 2; k++) {
        float even[2] = {in[0], in[1]}, odd[2] = {0, 0};
        for (size_t m = 1; m <= p / 2; m++) {
            const float *a = in + 2 * m, *b = in + 2 * (p - m);
            const size_t at = k * m % p, turn = at <= p / 2 ? at : p - at;
            const float cosine = (float)cos(2 * pi * (double)turn / (double)p);
            const float sine = (float)sin(2 * pi * (double)turn / (double)p);
            even[0] += cosine * (a[0] + b[0]);
            even[1] += cosine * (a[1] + b[1]);
            odd[0] -= (at == turn ? sine : -sine) * (a[1] - b[1]);
            odd[1] += (at == turn ? sine : -sine) * (a[0] - b[0]);
        }
        for (int c = 0; c < 2; c++) {
            v[2 * k + c] = even[c] + odd[c];
            v[2 * (p - k) + c] = even[c] - odd[c];
        }
    }
}

// x [n] -> y, whose elements are `stride` apart. x is used up. Depth: the number of prime factors.
static void decimate(float *x, size_t n, float *y, size_t stride) {
    if (n == 1) {
        memcpy(y, x, 2 * sizeof *x);
        return;
    }
    const size_t p = smallest_factor(n), rest = n / p;
    float v[2 * BNR_FFT_MAX_PRIME];
    for (size_t i = 0; i < rest; i++) {
        for (size_t m = 0; m < p; m++)
            memcpy(v + 2 * m, x + 2 * (i + m * rest), 2 * sizeof *x);
        butterfly(v, p);
        for (size_t m = 0; m < p; m++) {
            const double angle = 2 * pi * (double)(i * m) / (double)n;
            const float c = (float)cos(angle), s = (float)sin(angle);
            float *to = x + 2 * (i + m * rest);
            to[0] = v[2 * m] * c - v[2 * m + 1] * s;
            to[1] = v[2 * m] * s + v[2 * m + 1] * c;
        }
    }
    for (size_t m = 0; m < p; m++)
        decimate(x + 2 * m * rest, rest, y + 2 * m * stride, stride * p);
}

void bnr__fft_inverse_f32(float *x, size_t n, float *scratch) {
    const float scale = 1 / (float)n;
    memcpy(scratch, x, 2 * n * sizeof *x);
    decimate(scratch, n, x, 1);
    for (size_t i = 0; i < 2 * n; i++)
        x[i] *= scale;
}
