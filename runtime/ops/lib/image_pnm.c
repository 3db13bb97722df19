// SPDX-License-Identifier: Apache-2.0
// PBM, PGM and PPM (P1 to P6): text or binary, up to 16 bits a channel.
#include "runtime/ops/lib/image_codec.h"

struct pnm {
    struct bnr_bytes in;
    bool text, bits, gray;
    uint32_t max; // value of full brightness
};

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct bnr_bytes *in) {
    while (in->at < in->size && (is_space(in->data[in->at]) || in->data[in->at] == '#')) {
        if (in->data[in->at] == '#')
            while (in->at < in->size && in->data[in->at] != '\n' && in->data[in->at] != '\r')
                in->at++;
        else
            in->at++;
    }
}

// A decimal number of at most `max`, false when there is none.
static bool number(struct bnr_bytes *in, uint32_t max, uint32_t *out) {
    skip_space(in);
    const size_t first = in->at;
    uint64_t v = 0;
    for (; in->at < in->size && in->data[in->at] >= '0' && in->data[in->at] <= '9'; in->at++) {
        v = v * 10 + (in->data[in->at] - '0');
        if (v > max)
            return false;
    }
    *out = (uint32_t)v;
    return in->at > first;
}

// The next value. Text bitmaps need no space between their digits.
static bool text_value(struct pnm *p, uint32_t *v) {
    if (!p->bits)
        return number(&p->in, p->max, v);
    skip_space(&p->in);
    if (p->in.at == p->in.size || p->in.data[p->in.at] < '0' || p->in.data[p->in.at] > '1')
        return false;
    *v = p->in.data[p->in.at++] == '0'; // 1 is black
    return true;
}

static bool text_pixels(struct pnm *p, struct bnr_image *im) {
    const size_t n = im->width * im->height;
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 3; c++) {
            uint32_t v;
            if (c > 0 && p->gray)
                im->pixels[3 * i + c] = im->pixels[3 * i];
            else if (!text_value(p, &v))
                return false;
            else
                im->pixels[3 * i + c] = (uint8_t)((v * 255 + p->max / 2) / p->max);
        }
    }
    return true;
}

static uint8_t binary_value(const struct pnm *p, const uint8_t *row, size_t i) {
    if (p->bits)
        return row[i / 8] >> (7 - i % 8) & 1 ? 0 : 255;
    uint32_t v = p->max < 256 ? row[i] : (uint32_t)row[2 * i] << 8 | row[2 * i + 1];
    v = v > p->max ? p->max : v;
    return (uint8_t)((v * 255 + p->max / 2) / p->max);
}

static void binary_pixels(const struct pnm *p, struct bnr_image *im, size_t stride) {
    for (size_t y = 0; y < im->height; y++) {
        const uint8_t *row = p->in.data + p->in.at + y * stride;
        uint8_t *rgb = im->pixels + y * im->width * 3;
        for (size_t i = 0; i < 3 * im->width; i++)
            rgb[i] = binary_value(p, row, p->gray ? i / 3 : i);
    }
}

enum bnr_status bnr__image_pnm(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    const int kind = in.data[1] - '0';
    struct pnm p = {.in = in, .text = kind <= 3, .bits = kind % 3 == 1, .gray = kind % 3 != 0};
    uint32_t width, height;
    p.in.at = 2;
    p.max = 1;
    if (!number(&p.in, INT32_MAX, &width) || !number(&p.in, INT32_MAX, &height) ||
        (!p.bits && !number(&p.in, 65535, &p.max)) || p.max == 0)
        return bnr__fail(err, BNR_MALFORMED, "width, height or largest value is missing or wrong");
    const size_t channels = p.gray ? 1 : 3, bytes = p.max < 256 ? 1 : 2;
    const size_t stride = p.bits ? ((size_t)width + 7) / 8 : width * channels * bytes;
    const size_t least = p.text ? ((size_t)width * channels) : stride; // a text value has a digit
    if (!p.text && (p.in.at == in.size || !is_space(in.data[p.in.at++])))
        return bnr__fail(err, BNR_MALFORMED, "the header is not closed by white space");
    if (least > 0 && (in.size - p.in.at) / least < height)
        return bnr__fail(err, BNR_MALFORMED, "%u x %u pixels in %zu bytes", width, height, in.size);
    BNR_TRY(bnr__image_begin(im, width, height, err));
    if (p.text && !text_pixels(&p, im))
        return bnr__fail(err, BNR_MALFORMED, "a value is missing or above %u", p.max);
    if (!p.text)
        binary_pixels(&p, im, stride);
    return BNR_OK;
}
