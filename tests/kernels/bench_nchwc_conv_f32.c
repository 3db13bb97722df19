// SPDX-License-Identifier: Apache-2.0
// The speed of nchwc_conv_f32 on the layers of well-known networks: milliseconds,
// GFLOP/s of the plain sum whatever the algorithm, and per network the sum over all its layers.
//   bench_nchwc_conv_f32 [LEVEL [NETWORK [ALGORITHM [THREADS]]]]
// Weights come from memory, as in a run of a whole network, not from a cache; tensors are warm.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/kernels/nchwc_conv_f32.h"
#include "tests/lib/kernel_test.h"

// count: how often the network has it. Height and width alike but for the kernel and its padding.
struct layer {
    const char *network;
    int count;
    size_t cin, cout, in, kernel_h, kernel_w, stride;
    bool padded;
    size_t groups;
};

static const struct layer layers[] = {
    {"resnet50", 1, 3, 64, 224, 7, 7, 2, true, 1},
    {"resnet50", 1, 64, 64, 56, 1, 1, 1, false, 1},
    {"resnet50", 3, 64, 64, 56, 3, 3, 1, true, 1},
    {"resnet50", 4, 64, 256, 56, 1, 1, 1, false, 1},
    {"resnet50", 2, 256, 64, 56, 1, 1, 1, false, 1},
    {"resnet50", 1, 256, 128, 56, 1, 1, 1, false, 1},
    {"resnet50", 1, 128, 128, 56, 3, 3, 2, true, 1},
    {"resnet50", 1, 256, 512, 56, 1, 1, 2, false, 1},
    {"resnet50", 4, 128, 512, 28, 1, 1, 1, false, 1},
    {"resnet50", 3, 512, 128, 28, 1, 1, 1, false, 1},
    {"resnet50", 3, 128, 128, 28, 3, 3, 1, true, 1},
    {"resnet50", 1, 512, 256, 28, 1, 1, 1, false, 1},
    {"resnet50", 1, 256, 256, 28, 3, 3, 2, true, 1},
    {"resnet50", 1, 512, 1024, 28, 1, 1, 2, false, 1},
    {"resnet50", 6, 256, 1024, 14, 1, 1, 1, false, 1},
    {"resnet50", 5, 1024, 256, 14, 1, 1, 1, false, 1},
    {"resnet50", 5, 256, 256, 14, 3, 3, 1, true, 1},
    {"resnet50", 1, 1024, 512, 14, 1, 1, 1, false, 1},
    {"resnet50", 1, 512, 512, 14, 3, 3, 2, true, 1},
    {"resnet50", 1, 1024, 2048, 14, 1, 1, 2, false, 1},
    {"resnet50", 3, 512, 2048, 7, 1, 1, 1, false, 1},
    {"resnet50", 2, 2048, 512, 7, 1, 1, 1, false, 1},
    {"resnet50", 2, 512, 512, 7, 3, 3, 1, true, 1},
    {"resnet18", 1, 3, 64, 224, 7, 7, 2, true, 1},
    {"resnet18", 4, 64, 64, 56, 3, 3, 1, true, 1},
    {"resnet18", 1, 64, 128, 56, 3, 3, 2, true, 1},
    {"resnet18", 1, 64, 128, 56, 1, 1, 2, false, 1},
    {"resnet18", 3, 128, 128, 28, 3, 3, 1, true, 1},
    {"resnet18", 1, 128, 256, 28, 3, 3, 2, true, 1},
    {"resnet18", 1, 128, 256, 28, 1, 1, 2, false, 1},
    {"resnet18", 3, 256, 256, 14, 3, 3, 1, true, 1},
    {"resnet18", 1, 256, 512, 14, 3, 3, 2, true, 1},
    {"resnet18", 1, 256, 512, 14, 1, 1, 2, false, 1},
    {"resnet18", 3, 512, 512, 7, 3, 3, 1, true, 1},
    {"vgg16", 1, 3, 64, 224, 3, 3, 1, true, 1},
    {"vgg16", 1, 64, 64, 224, 3, 3, 1, true, 1},
    {"vgg16", 1, 64, 128, 112, 3, 3, 1, true, 1},
    {"vgg16", 1, 128, 128, 112, 3, 3, 1, true, 1},
    {"vgg16", 1, 128, 256, 56, 3, 3, 1, true, 1},
    {"vgg16", 2, 256, 256, 56, 3, 3, 1, true, 1},
    {"vgg16", 1, 256, 512, 28, 3, 3, 1, true, 1},
    {"vgg16", 2, 512, 512, 28, 3, 3, 1, true, 1},
    {"vgg16", 3, 512, 512, 14, 3, 3, 1, true, 1},
    {"mobilenet_v2", 1, 3, 32, 224, 3, 3, 2, true, 1},
    {"mobilenet_v2", 1, 32, 16, 112, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 16, 96, 112, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 96, 24, 56, 1, 1, 1, false, 1},
    {"mobilenet_v2", 2, 24, 144, 56, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 144, 24, 56, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 144, 32, 28, 1, 1, 1, false, 1},
    {"mobilenet_v2", 3, 32, 192, 28, 1, 1, 1, false, 1},
    {"mobilenet_v2", 2, 192, 32, 28, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 192, 64, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 4, 64, 384, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 3, 384, 64, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 384, 96, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 3, 96, 576, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 2, 576, 96, 14, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 576, 160, 7, 1, 1, 1, false, 1},
    {"mobilenet_v2", 3, 160, 960, 7, 1, 1, 1, false, 1},
    {"mobilenet_v2", 2, 960, 160, 7, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 960, 320, 7, 1, 1, 1, false, 1},
    {"mobilenet_v2", 1, 320, 1280, 7, 1, 1, 1, false, 1},
    {"inception_v3", 1, 3, 32, 299, 3, 3, 2, false, 1},
    {"inception_v3", 1, 32, 32, 149, 3, 3, 1, false, 1},
    {"inception_v3", 1, 32, 64, 147, 3, 3, 1, true, 1},
    {"inception_v3", 1, 64, 80, 73, 1, 1, 1, false, 1},
    {"inception_v3", 1, 80, 192, 73, 3, 3, 1, false, 1},
    {"inception_v3", 4, 192, 64, 35, 1, 1, 1, false, 1},
    {"inception_v3", 3, 48, 64, 35, 5, 5, 1, true, 1},
    {"inception_v3", 4, 64, 96, 35, 3, 3, 1, true, 1},
    {"inception_v3", 3, 96, 96, 35, 3, 3, 1, true, 1},
    {"inception_v3", 1, 288, 384, 35, 3, 3, 2, false, 1},
    {"inception_v3", 12, 768, 192, 17, 1, 1, 1, false, 1},
    {"inception_v3", 4, 160, 160, 17, 1, 7, 1, true, 1},
    {"inception_v3", 4, 160, 160, 17, 7, 1, 1, true, 1},
    {"inception_v3", 4, 192, 192, 17, 1, 7, 1, true, 1},
    {"inception_v3", 4, 192, 192, 17, 7, 1, 1, true, 1},
    {"inception_v3", 2, 192, 320, 17, 3, 3, 2, false, 1},
    {"inception_v3", 1, 1280, 448, 8, 1, 1, 1, false, 1},
    {"inception_v3", 1, 2048, 448, 8, 1, 1, 1, false, 1},
    {"inception_v3", 4, 384, 384, 8, 1, 3, 1, true, 1},
    {"inception_v3", 4, 384, 384, 8, 3, 1, 1, true, 1},
    {"inception_v3", 2, 448, 384, 8, 3, 3, 1, true, 1},
    {"regnet_y_400mf", 1, 48, 48, 112, 3, 3, 2, true, 6},
    {"regnet_y_400mf", 1, 104, 104, 56, 3, 3, 2, true, 13},
    {"regnet_y_400mf", 2, 104, 104, 28, 3, 3, 1, true, 13},
    {"regnet_y_400mf", 1, 208, 208, 28, 3, 3, 2, true, 26},
    {"regnet_y_400mf", 5, 208, 208, 14, 3, 3, 1, true, 26},
    {"regnet_y_400mf", 1, 440, 440, 14, 3, 3, 2, true, 55},
    {"regnet_y_400mf", 5, 440, 440, 7, 3, 3, 1, true, 55},
    {"regnet_y_400mf", 1, 32, 48, 112, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 1, 48, 48, 56, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 1, 48, 104, 56, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 5, 104, 104, 28, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 1, 104, 208, 28, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 11, 208, 208, 14, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 1, 208, 440, 14, 1, 1, 1, false, 1},
    {"regnet_y_400mf", 11, 440, 440, 7, 1, 1, 1, false, 1},
    {"squeezenet1_1", 1, 3, 64, 224, 3, 3, 2, false, 1},
    {"squeezenet1_1", 1, 64, 16, 55, 1, 1, 1, false, 1},
    {"squeezenet1_1", 2, 16, 64, 55, 1, 1, 1, false, 1},
    {"squeezenet1_1", 2, 16, 64, 55, 3, 3, 1, true, 1},
    {"squeezenet1_1", 1, 128, 16, 55, 1, 1, 1, false, 1},
    {"squeezenet1_1", 2, 32, 128, 27, 1, 1, 1, false, 1},
    {"squeezenet1_1", 2, 32, 128, 27, 3, 3, 1, true, 1},
    {"squeezenet1_1", 2, 48, 192, 13, 3, 3, 1, true, 1},
    {"squeezenet1_1", 2, 64, 256, 13, 3, 3, 1, true, 1},
    {"squeezenet1_1", 1, 512, 1000, 13, 1, 1, 1, false, 1},
};

enum { COLD_BYTES = 96 << 20, COPIES_MAX = 4096 };

struct bench {
    struct bnr_pool *pool;
    struct bnr_nchwc_conv_f32 conv;
    struct bnr_nchwc_conv_f32_run run;
    float *weights;
    size_t copies, next;
};

static float *floats(size_t bytes) {
    float *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    struct rng r = {1};
    if (!p)
        exit(1);
    fill_values(&r, VALUES_RANDOM, p, bytes / sizeof *p);
    return p;
}

static void run_once(void *cx) {
    struct bench *b = cx;
    b->conv.weights = b->weights + b->next++ % b->copies * (b->conv.packed_bytes / sizeof(float));
    bnr__nchwc_conv_f32_run(&b->run, b->pool);
}

static double pack_seconds(const struct bench *b, const struct bnr_conv_shape *s) {
    const size_t n = s->groups * s->cout * s->cin * s->kernel[1] * s->kernel[2];
    float *w = floats(n * sizeof *w);
    struct timespec t[2];
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[0]);
    bnr__nchwc_conv_f32_pack(&b->conv, b->weights, w);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
    free(w);
    return (double)(t[1].tv_sec - t[0].tv_sec) + 1e-9 * (double)(t[1].tv_nsec - t[0].tv_nsec);
}

static struct bnr_conv_shape shape_of(const struct layer *l) {
    const size_t groups = l->groups;
    struct bnr_conv_shape s = {.batch = 1,
                               .groups = groups,
                               .cin = l->cin / groups,
                               .cout = l->cout / groups,
                               .in = {1, l->in, l->in},
                               .out = {1, 1, 1},
                               .kernel = {1, l->kernel_h, l->kernel_w},
                               .stride = {1, l->stride, l->stride},
                               .dilation = {1, 1, 1}};
    for (int i = 1; i < 3; i++) {
        s.pad[i] = l->padded ? s.kernel[i] / 2 : 0;
        s.out[i] = (s.in[i] + 2 * s.pad[i] - s.kernel[i]) / s.stride[i] + 1;
    }
    return s;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The shortest of some runs: of the thread's own time, or of the clock's where there are several.
static double time_run(struct bench *b) {
    if (!b->pool)
        return best_seconds(run_once, b);
    double best = 1e9;
    const double start = seconds();
    bnr__pool_begin(b->pool);
    for (double t = start, end; t < start + 0.1; t = end) {
        run_once(b);
        end = seconds();
        best = end - t < best ? end - t : best;
    }
    bnr__pool_end(b->pool);
    return best;
}

// Seconds; 0 where the algorithm does not apply.
static double time_layer(const struct layer *l, const struct bnr_nchwc_options *base,
                         struct bnr_pool *pool, enum bnr_nchwc_algorithm *chosen, double *pack) {
    const struct bnr_conv_shape s = shape_of(l);
    struct bnr_nchwc_options o = *base;
    struct bench b = {.pool = pool};
    o.plain = l->cin <= 4;
    if (!bnr__nchwc_conv_f32_init(&b.conv, &s, &o))
        return 0;
    b.copies = COLD_BYTES / b.conv.packed_bytes + 1;
    b.copies = b.copies < COPIES_MAX ? b.copies : COPIES_MAX;
    b.weights = floats(b.copies * b.conv.packed_bytes);
    b.conv.e = (struct bnr_eltwise){.n = 1, .step[0] = {.kind = BNR_ELTWISE_CLAMP, .q = 6}};
    float *src = floats(b.conv.src_image * sizeof(float)), *bias = floats(l->cout * sizeof(float));
    float *dst = floats(b.conv.dst_image * sizeof(float)), *scratch = floats(b.conv.scratch_bytes);
    b.run = (struct bnr_nchwc_conv_f32_run){
        .c = &b.conv, .dst = dst, .src = src, .bias = bias, .scratch = scratch};
    const double t = time_run(&b);
    *pack = pack_seconds(&b, &s);
    *chosen = b.conv.algorithm;
    free(src), free(dst), free(bias), free(scratch), free(b.weights);
    return t;
}

int main(int argc, char **argv) {
    const char *level = argc > 1 ? argv[1] : NULL, *network = argc > 2 ? argv[2] : NULL;
    struct bnr_nchwc_options o = {.threads = argc > 4 ? atoi(argv[4]) : 1};
    struct bnr_pool *pool = test_pool(o.threads);
    o.algorithm = argc > 3 ? (enum bnr_nchwc_algorithm)atoi(argv[3]) : BNR_NCHWC_AUTO;
    if (!bnr__cpu_level(level, bnr__cpu_detect(), &o.cpu))
        return 2;
    double sum = 0, flops = 0, packing = 0, pack = 0;
    for (size_t i = 0; i < BNR_COUNT(layers); i++) {
        const struct layer *l = &layers[i];
        const struct bnr_conv_shape s = shape_of(l);
        if (network && strcmp(network, l->network) != 0)
            continue;
        enum bnr_nchwc_algorithm chosen;
        const double t = time_layer(l, &o, pool, &chosen, &pack);
        const double work =
            2.0 * (double)(s.cin * l->cout * s.kernel[1] * s.kernel[2] * s.out[1] * s.out[2]);
        if (t > 0)
            printf("%-13s %2d x %4zu -> %4zu %3zux%-3zu k%zux%zu s%zu by %d: %7.3f ms %6.1f "
                   "GFLOP/s\n",
                   l->network, l->count, l->cin, l->cout, l->in, l->in, l->kernel_h, l->kernel_w,
                   l->stride, (int)chosen, t * 1e3, work / t * 1e-9);
        packing += l->count * pack;
        sum += l->count * t;
        flops += l->count * (t > 0 ? work : 0);
        if (i + 1 == BNR_COUNT(layers) || strcmp(l->network, layers[i + 1].network) != 0) {
            printf("%-13s all: %.2f ms, %.1f GFLOP/s; packing %.1f ms\n", l->network, sum * 1e3,
                   flops / sum * 1e-9, packing * 1e3);
            sum = flops = packing = 0;
        }
    }
    bnr__pool_free(pool);
    return 0;
}
