// SPDX-License-Identifier: Apache-2.0
// BMP: 1, 4, 8, 16, 24 and 32 bits a pixel, palettes, bit fields, run lengths; headers from OS/2's
// of 12 bytes to version 5.
#include "runtime/ops/lib/image_codec.h"

enum { PLAIN = 0, RUNS_8 = 1, RUNS_4 = 2, FIELDS = 3, FIELDS_ALPHA = 6 }; // compression

struct bmp {
    struct bnr_bytes in; // at: the first pixel
    size_t width, height;
    bool top_down;
    unsigned bits, compression;
    uint32_t masks[3];          // red, green, blue of 16 and 32 bits a pixel
    const uint8_t *palette;     // blue, green, red
    size_t n_colors, per_color; // bytes of an entry
};

static uint32_t le16(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p) {
    return le16(p) | le16(p + 2) << 16;
}

static enum bnr_status damaged(struct bnr_error *err, const char *what) {
    return bnr__fail(err, BNR_MALFORMED, "%s", what);
}

// Palette or masks behind the header of `n` bytes.
static enum bnr_status read_tables(struct bmp *b, size_t n, struct bnr_error *err) {
    const uint8_t *dib = b->in.data + 14;
    const bool fields = b->compression == FIELDS || b->compression == FIELDS_ALPHA;
    static const uint32_t plain[2][3] = {{0x7C00, 0x3E0, 0x1F}, {0xFF0000, 0xFF00, 0xFF}};
    size_t end = 14 + n;
    memcpy(b->masks, plain[b->bits == 32], sizeof(b->masks));
    if (fields) {
        if (n < 40 || (b->bits != 16 && b->bits != 32) || b->in.size < 14 + 52)
            return damaged(err, "bit fields without masks");
        for (int i = 0; i < 3; i++)
            b->masks[i] = le32(dib + 40 + 4 * i);
        if (n == 40)
            end += b->compression == FIELDS ? 12 : 16;
    }
    if (b->bits <= 8) {
        const uint32_t used = n >= 36 ? le32(dib + 32) : 0;
        b->per_color = n == 12 ? 3 : 4;
        b->n_colors = used == 0 || used > (1u << b->bits) ? (size_t)1 << b->bits : used;
        if (end > b->in.size || b->in.size - end < b->n_colors * b->per_color)
            return damaged(err, "the palette is cut off");
        b->palette = b->in.data + end;
    }
    return BNR_OK;
}

static enum bnr_status read_header(struct bmp *b, struct bnr_error *err) {
    const uint8_t *p = b->in.data;
    if (b->in.size < 26)
        return damaged(err, "the header is cut off");
    const size_t n = le32(p + 14);
    if ((n != 12 && n < 40) || n > b->in.size - 14)
        return bnr__fail(err, BNR_MALFORMED, "header of %zu bytes", n);
    int64_t height;
    if (n == 12) {
        b->width = le16(p + 18);
        height = (int16_t)le16(p + 20);
        b->bits = le16(p + 24);
    } else {
        const int32_t width = (int32_t)le32(p + 18);
        b->width = width < 0 ? 0 : (size_t)width;
        height = (int32_t)le32(p + 22);
        b->bits = le16(p + 28);
        b->compression = le32(p + 30);
    }
    b->top_down = height < 0;
    b->height = (size_t)(height < 0 ? -height : height);
    b->in.at = le32(p + 10);
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 &&
        b->bits != 32)
        return bnr__fail(err, BNR_MALFORMED, "%u bits a pixel", b->bits);
    if (!(b->compression == PLAIN || b->compression == FIELDS || b->compression == FIELDS_ALPHA ||
          (b->compression == RUNS_8 && b->bits == 8) || (b->compression == RUNS_4 && b->bits == 4)))
        return bnr__fail(err, BNR_MALFORMED, "compression %u with %u bits a pixel", b->compression,
                         b->bits);
    if (b->in.at > b->in.size)
        return damaged(err, "the pixels are cut off");
    return read_tables(b, n, err);
}

static uint8_t *row_of(const struct bmp *b, struct bnr_image *im, size_t y) {
    return im->pixels + (b->top_down ? y : im->height - 1 - y) * im->width * 3;
}

// Colours behind the palette's end are black.
static void set_index(const struct bmp *b, uint8_t *rgb, unsigned index) {
    if (index >= b->n_colors)
        return;
    const uint8_t *c = b->palette + index * b->per_color;
    rgb[0] = c[2];
    rgb[1] = c[1];
    rgb[2] = c[0];
}

// The bits of `mask`, which are neighbours, scaled to 0 .. 255.
static uint8_t field(uint32_t v, uint32_t mask) {
    if (mask == 0)
        return 0;
    while (!(mask & 1)) {
        mask >>= 1;
        v >>= 1;
    }
    return (uint8_t)(((uint64_t)(v & mask) * 255 + mask / 2) / mask);
}

static void plain_pixel(const struct bmp *b, const uint8_t *row, size_t x, uint8_t *rgb) {
    switch (b->bits) {
    case 1:
        set_index(b, rgb, row[x / 8] >> (7 - x % 8) & 1);
        break;
    case 4:
        set_index(b, rgb, x % 2 == 0 ? row[x / 2] >> 4 : row[x / 2] & 15);
        break;
    case 8:
        set_index(b, rgb, row[x]);
        break;
    case 24:
        rgb[0] = row[3 * x + 2];
        rgb[1] = row[3 * x + 1];
        rgb[2] = row[3 * x];
        break;
    default:
        for (int c = 0; c < 3; c++)
            rgb[c] = field(b->bits == 16 ? le16(row + 2 * x) : le32(row + 4 * x), b->masks[c]);
    }
}

static enum bnr_status plain_pixels(const struct bmp *b, struct bnr_image *im,
                                    struct bnr_error *err) {
    const size_t stride = (b->width * b->bits + 31) / 32 * 4; // width < 2^31
    if ((b->in.size - b->in.at) / stride < b->height)
        return damaged(err, "the pixels are cut off");
    BNR_TRY(bnr__image_begin(im, b->width, b->height, err));
    for (size_t y = 0; y < b->height; y++) {
        const uint8_t *row = b->in.data + b->in.at + y * stride;
        uint8_t *rgb = row_of(b, im, y);
        for (size_t x = 0; x < b->width; x++)
            plain_pixel(b, row, x, rgb + 3 * x);
    }
    return BNR_OK;
}

// `n` pixels from (x, y) on: pixel i has the palette index at `from` + i (step 1), or all of them
// (two in turn, for 4 bits) the one at `from` (step 0). Beyond the row's end they are dropped.
static void run_of(const struct bmp *b, struct bnr_image *im, size_t x, size_t y, size_t n,
                   const uint8_t *from, int step) {
    for (size_t i = 0; i < n && x + i < b->width && y < b->height; i++) {
        const size_t at = step ? i : i % 2;
        const unsigned index = b->bits == 8   ? from[step ? i : 0]
                               : at % 2 == 0 ? from[at / 2] >> 4
                                             : from[at / 2] & 15;
        set_index(b, row_of(b, im, y) + 3 * (x + i), index);
    }
}

// Pairs of (count, index), or of 0 and: 0 end of line, 1 end of the image, 2 a move by the next two
// bytes, n >= 3 that many indices as they are, filled up to an even number of bytes.
static enum bnr_status run_pixels(const struct bmp *b, struct bnr_image *im,
                                  struct bnr_error *err) {
    BNR_TRY(bnr__image_begin(im, b->width, b->height, err));
    const uint8_t *p = b->in.data + b->in.at, *end = b->in.data + b->in.size;
    size_t x = 0, y = 0;
    while (end - p >= 2) {
        const size_t n = p[0], what = p[1];
        p += 2;
        if (n > 0) {
            run_of(b, im, x, y, n, p - 1, 0);
            x += n;
        } else if (what == 0) {
            x = 0;
            y++;
        } else if (what == 1) {
            return BNR_OK;
        } else if (what == 2) {
            if (end - p < 2)
                break;
            x += p[0];
            y += p[1];
            p += 2;
        } else {
            const size_t bytes = b->bits == 8 ? what : (what + 1) / 2;
            if ((size_t)(end - p) < bytes)
                break;
            run_of(b, im, x, y, what, p, 1);
            x += what;
            p += bytes + (bytes % 2 != 0 && (size_t)(end - p) > bytes);
        }
    }
    return y >= b->height ? BNR_OK : damaged(err, "the pixels are cut off");
}

enum bnr_status bnr__image_bmp(struct bnr_image *im, struct bnr_bytes in, struct bnr_error *err) {
    struct bmp b = {.in = in};
    BNR_TRY(read_header(&b, err));
    if (b.width == 0)
        return damaged(err, "no width");
    return b.compression == RUNS_8 || b.compression == RUNS_4 ? run_pixels(&b, im, err)
                                                              : plain_pixels(&b, im, err);
}
