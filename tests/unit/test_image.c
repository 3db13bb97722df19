// SPDX-License-Identifier: Apache-2.0
// Decoding of pictures. tests/data/images holds one small picture, written by other programs, in the
// formats of the libraries: pixel (x, y) is (50 x, 80 y + 5, 255 - 40 x), or its red alone in those named
// gray. BMP and PNM are written here. Files cut off or damaged anywhere must only fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/ops/lib/image.h"
#include "tests/lib/ops_test.h"

enum { W = 5, H = 3, MAX_FILE = 4096 };

static int expected(int x, int y, int c, bool gray) {
    return gray || c == 0 ? 50 * x : c == 1 ? 80 * y + 5 : 255 - 40 * x;
}

static size_t read_file(const char *name, uint8_t *to) {
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/data/images/%s", BNR_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(to, 1, MAX_FILE, f);
    fclose(f);
    assert_in_range(n, 50, MAX_FILE - 1);
    return n;
}

static const struct {
    const char *name;
    int tolerance;
} files[] = {
    {"rgb.png", 0},        {"rgba.png", 0},     {"palette.png", 0},     {"gray.png", 0},
    {"interlaced.png", 0}, {"rgb16.png", 0},    {"lzw.tiff", 0},        {"deflate.tiff", 0},
    {"lossless.webp", 0},  {"lossless.jp2", 0}, {"gray.jpeg", 4},       {"rgb.jpeg", 5},
    {"cmyk.jpeg", 5},      {"progressive.jpeg", 5},
};

// True when the picture could be decoded; skips formats without library.
static bool decode(const char *name, enum bnr_pixels pixels, struct bnr_image *im) {
    uint8_t data[MAX_FILE];
    struct bnr_error err = {0};
    const enum bnr_status st = bnr__image_decode(im, data, read_file(name, data), pixels, NULL, &err);
    if (st == BNR_UNSUPPORTED) {
        assert_non_null(strstr(err.message, "built without image support"));
        return false;
    }
    if (st != BNR_OK)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(im->width, W);
    assert_int_equal(im->height, H);
    return true;
}

static void pixels_of_files(void **state) {
    for (size_t f = 0; f < BNR_COUNT(files); f++) {
        struct bnr_image im;
        if (!decode(files[f].name, BNR_PIXELS_RGB, &im))
            continue;
        const bool gray = strncmp(files[f].name, "gray", 4) == 0;
        assert_int_equal(im.channels, 3);
        for (int i = 0; i < W * H * 3; i++) {
            const int want = expected(i / 3 % W, i / 3 / W, i % 3, gray);
            if (abs(im.pixels[i] - want) > files[f].tolerance)
                fail_msg("%s: byte %d is %d, expected %d", files[f].name, i, im.pixels[i], want);
        }
        bnr__image_free(&im);
    }
}

static void pixel_formats(void **state) {
    struct bnr_image rgb, bgr, gray;
    if (!decode("rgb.png", BNR_PIXELS_RGB, &rgb))
        skip();
    decode("rgb.png", BNR_PIXELS_BGR, &bgr);
    decode("rgb.png", BNR_PIXELS_GRAY, &gray);
    assert_int_equal(gray.channels, 1);
    for (int i = 0; i < W * H; i++) {
        const uint8_t *p = rgb.pixels + 3 * i;
        const double want = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        assert_true(gray.pixels[i] - want < 0.51 && want - gray.pixels[i] < 0.51);
        for (int c = 0; c < 3; c++)
            assert_int_equal(bgr.pixels[3 * i + c], p[2 - c]);
    }
    bnr__image_free(&rgb);
    bnr__image_free(&bgr);
    bnr__image_free(&gray);
}

// ---- BMP and PNM, written here ----------------------------------------------------------------------

static void put(uint8_t *p, int bytes, uint32_t v) {
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

// A header of 40 bytes and `extra` bytes of palette or masks; returns where the pixels begin.
static size_t bmp_header(uint8_t *p, int height, int bits, int compression, size_t extra) {
    memset(p, 0, 54 + extra);
    memcpy(p, "BM", 2);
    put(p + 10, 4, (uint32_t)(54 + extra));
    put(p + 14, 4, 40);
    put(p + 18, 4, W);
    put(p + 22, 4, (uint32_t)height);
    put(p + 26, 2, 1);
    put(p + 28, 2, (uint32_t)bits);
    put(p + 30, 4, (uint32_t)compression);
    return 54 + extra;
}

static void assert_pixels(const uint8_t *data, size_t size, int (*want)(int x, int y, int c)) {
    struct bnr_image im;
    struct bnr_error err = {0};
    if (bnr__image_decode(&im, data, size, BNR_PIXELS_RGB, NULL, &err) != BNR_OK)
        fail_msg("%s", err.message);
    assert_int_equal(im.width, W);
    assert_int_equal(im.height, H);
    for (int i = 0; i < W * H * 3; i++)
        assert_int_equal(im.pixels[i], want(i / 3 % W, i / 3 / W, i % 3));
    bnr__image_free(&im);
    struct bnr_image cut;
    assert_int_equal(bnr__image_decode(&cut, data, size / 2, BNR_PIXELS_RGB, NULL, NULL),
                     BNR_MALFORMED);
}

static int colour(int x, int y, int c) {
    return expected(x, y, c, false);
}
static int index_of(int x, int y) {
    return (x + 2 * y) % 4;
}
static int palette_colour(int x, int y, int c) {
    return 60 * index_of(x, y) + 10 * c;
}
static int black_and_white(int x, int y, int c) {
    return (x + y) % 2 * 255;
}
static int of_five_bits(int x, int y, int c) {
    return (int)((c == 0 ? 6 * x : c == 1 ? 12 * y : 31 - 6 * x) * 255 / 31.0 + 0.5);
}

static size_t bmp_direct(uint8_t *p, int bits, bool top_down, bool fields) {
    size_t at = bmp_header(p, top_down ? -H : H, bits, fields ? 3 : 0, fields ? 12 : 0);
    if (fields)
        for (int c = 0; c < 3; c++)
            put(p + 54 + 4 * c, 4, bits == 32 ? 0xFFu << 8 * c : 0x1Fu << 5 * c); // red lowest
    const size_t stride = ((size_t)W * (size_t)bits + 31) / 32 * 4;
    for (int y = 0; y < H; y++) {
        uint8_t *row = p + at + (size_t)(top_down ? y : H - 1 - y) * stride;
        memset(row, 0, stride);
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 3; c++) {
                const int place = fields ? c : 2 - c;
                const uint32_t five = (uint32_t)(of_five_bits(x, y, c) * 31 / 255.0 + 0.5);
                if (bits == 16)
                    put(row + 2 * x, 2, (uint32_t)row[2 * x] | (uint32_t)row[2 * x + 1] << 8 |
                                            five << 5 * place);
                else
                    row[x * bits / 8 + place] = (uint8_t)colour(x, y, c);
            }
    }
    return at + H * stride;
}

static size_t bmp_indexed(uint8_t *p, int bits) {
    const size_t colours = bits == 1 ? 2 : 4, at = bmp_header(p, H, bits, 0, 4 * colours);
    put(p + 46, 4, (uint32_t)colours);
    for (int i = 0; i < (int)colours; i++)
        for (int c = 0; c < 3; c++)
            p[54 + 4 * i + 2 - c] = (uint8_t)(bits == 1 ? 255 * i : 60 * i + 10 * c);
    const size_t stride = ((size_t)W * (size_t)bits + 31) / 32 * 4;
    for (int y = 0; y < H; y++) {
        uint8_t *row = p + at + (size_t)(H - 1 - y) * stride;
        memset(row, 0, stride);
        for (int x = 0; x < W; x++) {
            const int index = bits == 1 ? (x + y) % 2 : index_of(x, y);
            row[x * bits / 8] |= (uint8_t)(index << (8 - bits - x * bits % 8));
        }
    }
    return at + H * stride;
}

static void bmp_pixels(void **state) {
    uint8_t p[MAX_FILE];
    assert_pixels(p, bmp_direct(p, 24, false, false), colour);
    assert_pixels(p, bmp_direct(p, 24, true, false), colour);
    assert_pixels(p, bmp_direct(p, 32, false, false), colour);
    assert_pixels(p, bmp_direct(p, 32, true, true), colour);
    assert_pixels(p, bmp_direct(p, 16, false, false), of_five_bits);
    assert_pixels(p, bmp_direct(p, 16, false, true), of_five_bits);
    assert_pixels(p, bmp_indexed(p, 8), palette_colour);
    assert_pixels(p, bmp_indexed(p, 4), palette_colour);
    assert_pixels(p, bmp_indexed(p, 1), black_and_white);
}

// Rows from the bottom have the indices 0 1 2 3 0, 2 3 0 1 2, 0 1 2 3 0 (index_of).
static void bmp_runs(void **state) {
    static const uint8_t eight[] = {0, 5, 0, 1, 2, 3, 0, 0, 0, 0, // five as they are, end of line
                                    1, 2, 1, 3, 0, 2, 0, 0, 1, 0, 1, 1, 1, 2, 0, 0, // with a move by 0
                                    1, 0, 1, 1, 1, 2, 1, 3, 9, 0, 0, 1}; // beyond the line's end
    static const uint8_t four[] = {0, 5, 0x01, 0x23, 0x00, 0, 0, 0, // filled up to an even number
                                   2, 0x23, 2, 0x01, 1, 0x2F, 0, 0, // two in turn
                                   0, 5, 0x01, 0x23, 0x0F, 0, 0, 1};
    uint8_t p[MAX_FILE];
    bmp_indexed(p, 8);
    put(p + 30, 4, 1);
    memcpy(p + 70, eight, sizeof(eight));
    assert_pixels(p, 70 + sizeof(eight), palette_colour);
    bmp_indexed(p, 4);
    put(p + 30, 4, 2);
    memcpy(p + 70, four, sizeof(four));
    assert_pixels(p, 70 + sizeof(four), palette_colour);
}

static int gray_value(int x, int y, int c) {
    return 50 * x + y;
}

static void pnm_pixels(void **state) {
    static const char p1[] = "P1 # a comment\n5 3\n0 1 0 1 0\n10101\n0 1 0 1 0\n";
    static const char p2[] = "P2\n5\n#\n3 255\n0 50 100 150 200\n1 51 101 151 201\n2 52 102 152 202\n";
    static const uint8_t p4[] = {'P', '4', '\n', '5', ' ', '3', '\n', 0xAF, 0x50, 0xAF};
    uint8_t p[MAX_FILE];
    struct bnr_image im;
    assert_int_equal(bnr__image_decode(&im, p1, sizeof(p1) - 1, BNR_PIXELS_RGB, NULL, NULL), BNR_OK);
    for (int i = 0; i < W * H; i++)
        assert_int_equal(im.pixels[3 * i], 255 - black_and_white(i % W, i / W, 0)); // 1 is black
    bnr__image_free(&im);
    assert_pixels((const uint8_t *)p2, sizeof(p2) - 1, gray_value);
    assert_pixels(p4, sizeof(p4), black_and_white);
    for (int bytes = 1; bytes <= 2; bytes++) { // P6 with 8 and 16 bits
        size_t at = (size_t)sprintf((char *)p, "P6\n5 3\n%d\n", bytes == 1 ? 255 : 65535);
        for (int i = 0; i < W * H * 3; i++)
            for (int b = 0; b < bytes; b++)
                p[at++] = (uint8_t)colour(i / 3 % W, i / 3 / W, i % 3);
        assert_pixels(p, at, colour);
    }
    size_t at = (size_t)sprintf((char *)p, "P5 5 3 255 ");
    for (int i = 0; i < W * H; i++)
        p[at++] = (uint8_t)gray_value(i % W, i / W, 0);
    assert_pixels(p, at, gray_value);
}

// ---- what must be refused ---------------------------------------------------------------------------

static void refused(const void *data, size_t size, const char *part) {
    struct bnr_image im;
    struct bnr_error err = {0};
    assert_int_equal(bnr__image_decode(&im, data, size, BNR_PIXELS_RGB, NULL, &err), BNR_MALFORMED);
    assert_null(im.pixels);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void sizes_are_limited(void **state) {
    uint8_t p[MAX_FILE];
    bmp_indexed(p, 8);
    put(p + 30, 4, 1); // run lengths: the file's size limits nothing
    put(p + 18, 4, 70000);
    put(p + 22, 4, 70000);
    refused(p, 200, "at most");
    put(p + 18, 4, 0);
    refused(p, 200, "width");
    put(p + 18, 4, 0x80000000u);
    refused(p, 200, "width");
    refused("P6 2000000000 2000000000 255 ", 29, "bytes");
    refused("P6 99999999999 3 255 ", 21, "missing or wrong");
    refused("P5 5 3 0 ", 9, "missing or wrong");
    refused("GIF89a", 6, "no image");
    refused("", 0, "no image");
}

// An allocation of its own, so that reading behind the end is seen by the sanitizers.
static void try_bytes(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + (size == 0));
    struct bnr_image im;
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    if (bnr__image_decode(&im, copy, size, BNR_PIXELS_GRAY, NULL, NULL) == BNR_OK)
        bnr__image_free(&im);
    else
        assert_null(im.pixels);
    free(copy);
}

static void damage(const uint8_t *data, size_t size) {
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    uint8_t p[MAX_FILE];
    for (size_t n = 0; n < size; n++)
        try_bytes(data, n);
    memcpy(p, data, size);
    for (size_t i = 0; i < size; i++) {
        for (size_t f = 0; f < BNR_COUNT(flips); f++) {
            p[i] = (uint8_t)(data[i] ^ flips[f]);
            try_bytes(p, size);
        }
        p[i] = data[i];
    }
}

static void damaged_files(void **state) {
    uint8_t p[MAX_FILE];
    for (size_t f = 0; f < BNR_COUNT(files); f++)
        damage(p, read_file(files[f].name, p));
    damage(p, bmp_direct(p, 24, false, false));
    damage(p, bmp_direct(p, 16, true, true));
    damage(p, bmp_indexed(p, 4));
}

static void by_the_operator(void **state) {
    struct ops_test t;
    double bytes[MAX_FILE];
    uint8_t p[MAX_FILE];
    const size_t n = bmp_direct(p, 24, false, false);
    for (size_t i = 0; i < n; i++)
        bytes[i] = p[i];
    for (int damaged = 0; damaged < 2; damaged++) {
        ops_test_begin(&t, "ImageDecoder", 20, 1);
        ops_test_in_as(&t, BNR_UINT8, DIMS((int64_t)n), bytes);
        assert_int_equal(bnr__node_set_attr_string(t.node, "pixel_format", "BGR"), BNR_OK);
        ops_test_ok(&t);
        if (damaged) {
            ops_test_dims(&t, 0, DIMS(0, 0, 3));
        } else {
            ops_test_dims(&t, 0, DIMS(H, W, 3));
            for (int i = 0; i < W * H * 3; i++)
                assert_int_equal(t.out[0]->u8[i], colour(i / 3 % W, i / 3 / W, 2 - i % 3));
        }
        ops_test_end(&t);
        bytes[0] = 0;
    }
    ops_test_begin(&t, "ImageDecoder", 20, 1);
    ops_test_in_as(&t, BNR_UINT8, DIMS((int64_t)n), bytes);
    assert_int_equal(bnr__node_set_attr_string(t.node, "pixel_format", "rgb"), BNR_OK);
    ops_test_refused(&t, "pixel_format is 'rgb'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_of_files),  cmocka_unit_test(pixel_formats),
        cmocka_unit_test(bmp_pixels),       cmocka_unit_test(bmp_runs),
        cmocka_unit_test(pnm_pixels),       cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(damaged_files),    cmocka_unit_test(by_the_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
