// SPDX-License-Identifier: Apache-2.0
// Every operator on random inputs and attributes, and on fitting ones with a few changes: nothing
// crashes (for the sanitizers to see), nothing returns BNR_INTERNAL, inputs stay as they are, a
// second evaluation gives the same bytes, what inference says without seeing data holds for what
// comes out, and a session, with its passes and kernels, gives the same types. Some cases of every operator can be evaluated, and some are refused. Without
// arguments some hundred cases an operator; "test_fuzz_ops SEED CASES [NAME]" for others, -v as the
// last one names each case.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/affine.h"
#include "graph/op.h"
#include "runtime/bnrun.h"

enum { MAX_IN = 9, MAX_OUT = 4, MAX_ALLOC = 1 << 24, DEFAULT_CASES = 200, LEAST_SHARE = 100 };

static uint64_t state;
static char current[1000]; // names the case

static uint32_t rnd(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "%s: %s\n", current, what);
        exit(1);
    }
}

// Refuses what only an attribute gone wild asks for.
static void *limited(void *user, void *ptr, size_t old_size, size_t new_size) {
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return new_size > MAX_ALLOC ? NULL : realloc(ptr, new_size);
}
static const struct bnr_allocator allocator = {.reallocate = limited};

// ---- values -------------------------------------------------------------------------------------

static int64_t small_int(void) {
    static const int64_t odd[] = {INT64_MAX, INT64_MIN, INT32_MAX, 1 << 20, -1000, 64};
    return rnd(40) == 0 ? odd[rnd(BNR_COUNT(odd))] : (int64_t)rnd(8) - 2;
}

static double small_float(void) {
    static const double odd[] = {INFINITY, -INFINITY, NAN, 1e30, -1e-40, 0.0};
    return rnd(30) == 0 ? odd[rnd(BNR_COUNT(odd))] : ((double)rnd(2001) - 1000) / 250;
}

static const char *const words[] = {
    "",
    "constant",
    "reflect",
    "edge",
    "wrap",
    "linear",
    "nearest",
    "cubic",
    "bilinear",
    "bicubic",
    "NOTSET",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "none",
    "add",
    "mul",
    "max",
    "min",
    "mean",
    "sum",
    "avg",
    "forward",
    "reverse",
    "bidirectional",
    "DCR",
    "CRD",
    "tanh",
    "half_pixel",
    "align_corners",
    "asymmetric",
    "TF",
    "TFIDF",
    "LOWER",
    "ij,jk->ik",
    "ii",
    "...i->...",
    "circular",
    "zeros",
    "border",
    "output_half_pixel",
    "a b",
    "\xc3\xa9",
};

static struct bnr_str word(void) {
    const char *s = words[rnd(BNR_COUNT(words))];
    return (struct bnr_str){s, strlen(s)};
}

static void fill(struct bnr_tensor *t) {
    for (size_t i = 0; i < t->numel; i++) {
        const int64_t k = small_int();
        const double d = small_float();
        void *at = t->u8 + i * bnr__dtype_size(t->dtype);
        if (t->dtype == BNR_STRING)
            t->str[i] = word();
        else if (bnr__dtype_class(t->dtype) == BNR_CLASS_COMPLEX)
            memset(at, (int)rnd(64), bnr__dtype_size(t->dtype));
        else if (bnr__dtype_is_float(t->dtype))
            bnr__store_f64(t->dtype, at, &d, 1);
        else
            bnr__store_i64(t->dtype, at, &k, 1);
    }
}

static struct bnr_tensor *make_tensor(enum bnr_dtype dtype, int rank, const int64_t *dims) {
    struct bnr_tensor *t;
    check(bnr__tensor_new(&t, &allocator, dtype, rank, dims, NULL) == BNR_OK,
          "no memory for an input");
    fill(t);
    return t;
}

static enum bnr_dtype random_dtype(void) {
    static const enum bnr_dtype usual[] = {BNR_FLOAT,  BNR_FLOAT, BNR_FLOAT,  BNR_INT64,
                                           BNR_INT64,  BNR_INT32, BNR_UINT8,  BNR_INT8,
                                           BNR_DOUBLE, BNR_BOOL,  BNR_FLOAT16};
    return rnd(5) ? usual[rnd(BNR_COUNT(usual))] : (enum bnr_dtype)(1 + rnd(BNR_DTYPE_COUNT - 1));
}

// ---- templates ----------------------------------------------------------------------------------

// Inputs that fit together, for operators that hardly accept random ones, by their name, in front of
// which stands the domain where it is not ai.onnx: dtype letter and dims, "=" and values where they
// matter; "-" for an omitted input, "Qf2" a sequence, "Ms2>f2" a map. Attributes: "@name=3" an int,
// "@name=%0.5" a float, "@name=~word" a string, "@name=#f2=1,2" a tensor; lists end with a comma.
static const struct {
    const char *op, *inputs;
} templates[] = {
    {"AffineGrid", "f1,2,3 l4=1,2,3,4"},
    {"And", "b2,3 b3"},
    {"Attention", "f1,2,2,4 f1,2,3,4 f1,2,3,4"},
    {"Attention", "f1,2,8 f1,3,8 f1,3,8 b2,3 @q_num_heads=2 @kv_num_heads=2"},
    {"Attention", "f1,2,2,4 f1,2,3,4 f1,2,3,4 f2,5 f1,2,2,4 f1,2,2,4"},
    {"AveragePool", "f1,2,5,5 @kernel_shape=2,2,"},
    {"BatchNormalization", "f2,3,2 f3 f3 f3 f3=1,2,3 @training_mode=0 @is_test=1"},
    {"BitShift", "u2,3 u2,3 @direction=~LEFT"},
    {"CausalConvWithState", "f1,2,4 f2,1,3 f2"},
    {"Col2Im", "f1,4,4 l2=3,3 l2=2,2"},
    {"Compress", "f3,2 b3 @axis=0"},
    {"Conv", "f1,2,5,5 f3,2,3,3 f3"},
    {"Conv", "f1,2,7 f2,1,3 @group=2"},
    {"ConvInteger", "u1,2,4,4 u2,2,2,2 u"},
    {"ConvTranspose", "f1,2,3,3 f2,3,2,2 f3"},
    {"Crop", "f1,2,4,4 @border=1,1,1,1,"},
    {"CumProd", "f2,3 i=1"},
    {"CumSum", "f2,3 i=1"},
    {"DFT", "f1,4,1 l=4 l=1"},
    {"DeformConv", "f1,1,3,3 f1,1,2,2 f1,8,2,2 f1"},
    {"DepthToSpace", "f1,8,2,2 @blocksize=2"},
    {"DequantizeLinear", "u2,3 f3 u3 @axis=1"},
    {"DynamicSlice", "f4,3 l2=0,0 l2=2,2 l2=0,1"},
    {"Einsum", "f2,3 f3,2 @equation=~ij,jk->ik"},
    {"Expand", "f3,1 l3=2,1,4"},
    {"GRU", "f2,1,2 f1,6,2 f1,6,2 f1,12 i1=2 f1,1,2 @hidden_size=2"},
    {"GRUUnit", "f1,2,3 f1,2,9 i2=1,0 i=0"},
    {"Gather", "f3,2 l2=0,-1 @axis=0"},
    {"GatherElements", "f3,2 l2,2=0,1,1,0"},
    {"GatherND", "f3,2 l2,1=0,2"},
    {"Gemm", "f2,3 f3,4 f4"},
    {"GridSample", "f1,1,3,3 f1,2,2,2"},
    {"GroupNormalization", "f1,4,3 f4 f4 @num_groups=2"},
    {"GroupNormalization", "f1,4,3 f2 f2 @num_groups=2"},
    {"ImageDecoder", "u12=80,53,32,49,32,49,32,50,53,53,10,7"},
    {"InstanceNormalization", "f1,3,4 f3 f3"},
    {"LSTM", "f2,1,2 f1,8,2 f1,8,2 f1,16 i1=2 f1,1,2 f1,1,2 f1,6 @hidden_size=2"},
    {"LSTM", "f2,1,2 f1,8,2 f1,8,2 @hidden_size=2"},
    {"LinearAttention", "f1,2,4 f1,2,4 f1,2,4 @q_num_heads=2 @kv_num_heads=2 @update_rule=~linear"},
    {"LinearAttention",
     "f1,2,4 f1,2,4 f1,2,4 f1,2,2,2 f1,2,2 f1,2,1 @q_num_heads=2 @kv_num_heads=2"},
    {"LoopIndexTensor", "f3 i=0"},
    {"LpPool", "f1,2,5 @kernel_shape=2,"},
    {"MatMulInteger", "u2,3 u3,2 u u"},
    {"MaxPool", "f1,2,5,5 @kernel_shape=2,2,"},
    {"MaxRoiPool", "f1,1,4,4 f1,5=0,0,0,3,3 @pooled_shape=2,2,"},
    {"MaxUnpool", "f1,1,2,2 l1,1,2,2=0,3,8,10 @kernel_shape=2,2, @strides=2,2,"},
    {"MelWeightMatrix", "l=4 l=8 l=100 f=1 f=40"},
    {"Multinomial", "f1,3 @sample_size=2"},
    {"NegativeLogLikelihoodLoss", "f2,3,2 l2,2=0,1,2,0 f3 @reduction=~mean"},
    {"NonMaxSuppression", "f1,3,4=0,0,1,1,0,0,1,2,2,2,3,3 f1,1,3 l=3 f=0.5 f=0"},
    {"OneHot", "l2,2 l=3 f2=0,1"},
    {"Or", "b2,3 b3"},
    {"Pad", "f2,3 l4=1,0,-1,2 f"},
    {"Pad", "f2,3 @pads=1,0,0,2, @paddings=1,0,0,2,"},
    {"QLinearConv", "u1,1,3,3 f=1 u u1,1,2,2 f=1 u f=1 u"},
    {"QLinearMatMul", "u2,3 f=1 u u3,2 f=1 u f=1 u"},
    {"QuantizeLinear", "f2,3 f=1 u"},
    {"RNN", "f2,1,2 f1,2,2 f1,2,2 f1,4 i1=2 f1,1,2 @hidden_size=2"},
    {"Range", "f=0 f=5 f=1"},
    {"Range", "l=1 l=9 l=2"},
    {"RegexFullMatch", "s3 @pattern=~a.*"},
    {"Reshape", "f2,3 l3=0,-1,1"},
    {"Resize", "f1,1,2,2 - f4=1,1,2,2"},
    {"Resize", "f1,1,2,2 - - l4=1,1,3,1"},
    {"ReverseSequence", "f3,2,2 l2=3,1 @batch_axis=1 @time_axis=0"},
    {"RoiAlign", "f1,1,4,4 f1,4=0,0,3,3 l1=0"},
    {"RotaryEmbedding", "f1,2,3,4 f4,2 f4,2 l1,3=0,1,2"},
    {"RotaryEmbedding", "f1,2,3,4 f1,3,2 f1,3,2"},
    {"STFT", "f1,8,1 l=2 f4 l=4"},
    {"Scatter", "f3,2 l1,2=0,2 f1,2"},
    {"ScatterElements", "f3,2 l1,2=0,2 f1,2"},
    {"ScatterND", "f3,2 l2,1=0,2 f2,2"},
    {"SequenceAt", "Qf2,3 l=0"},
    {"SimplifiedLayerNormalization", "f2,3 f3"},
    {"Slice", "f4,3 l2=0,-1 l2=3,-9 l2=0,1 l2=2,-1"},
    {"Slice", "f4,3 @starts=0,1, @ends=3,9,"},
    {"SoftmaxCrossEntropyLoss", "f2,3,2 l2,2=0,1,2,0 f3 @reduction=~mean"},
    {"SpaceToDepth", "f1,2,4,4 @blocksize=2"},
    {"Split", "f4,3 l2=1,3 @axis=0"},
    {"SplitToSequence", "f4,3 l2=1,3 @axis=0"},
    {"StringConcat", "s2,3 s3"},
    {"StringNormalizer", "s3"},
    {"StringSplit", "s2,3"},
    {"TensorScatter", "f2,2,4,3 f2,2,2,3 l2=0,2"},
    {"TfIdfVectorizer",
     "l2,4 @max_gram_length=2 @min_gram_length=1 @max_skip_count=1 @mode=~TF "
     "@ngram_counts=0,2, @ngram_indexes=0,1,2, @pool_int64s=1,2,1,2,"},
    {"Tile", "f2,3 l2=2,1"},
    {"TopK", "f2,5 l1=2"},
    {"Unsqueeze", "f2,3 l2=0,-1"},
    {"Upsample", "f1,1,2,2 f4=1,1,2,2"},
    {"Upsample", "f1,1,2,2 @scales=%1,1,2,2,"},
    {"Where", "b2,3 f3 f2,1"},
    {"Xor", "b2,3 b3"},
    {"ai.onnx.ml ArrayFeatureExtractor", "f2,3 l2=0,2"},
    {"ai.onnx.ml CastMap", "Ml2=0,1>f2 @cast_to=~TO_FLOAT @map_form=~DENSE"},
    {"ai.onnx.ml CategoryMapper", "s3 @cats_int64s=1,2, @cats_strings=~add,mul,"},
    {"ai.onnx.ml DictVectorizer", "Ms2>f2 @string_vocabulary=~add,mul,"},
    {"ai.onnx.ml DictVectorizer", "Ml2=0,1>f2 @int64_vocabulary=0,1,"},
    {"ai.onnx.ml LabelEncoder", "l3 @keys_int64s=1,2, @values_floats=%1,2,"},
    {"ai.onnx.ml LinearClassifier",
     "f2,3 @coefficients=%1,2,3,4,5,6, @intercepts=%1,2, @classlabels_ints=0,1,"},
    {"ai.onnx.ml LinearRegressor", "f2,3 @coefficients=%1,2,3, @intercepts=%1, @targets=1"},
    {"ai.onnx.ml SVMClassifier",
     "f2,2 @classlabels_ints=0,1, @coefficients=%1,-1, @support_vectors=%1,2,3,4, "
     "@vectors_per_class=1,1, @rho=%0.5, @kernel_params=%0.1,0,3,"},
    {"ai.onnx.ml SVMRegressor",
     "f2,2 @coefficients=%1,2, @support_vectors=%1,2,3,4, @n_supports=2 @rho=%0.5, "
     "@kernel_type=~RBF @kernel_params=%0.1,0,3,"},
    {"ai.onnx.ml TreeEnsemble",
     "f2,2 @tree_roots=0, @nodes_featureids=0, @nodes_modes=#u1=0 @nodes_splits=#f1=0.5 "
     "@nodes_trueleafs=1, @nodes_truenodeids=0, @nodes_falseleafs=1, "
     "@nodes_falsenodeids=1, @leaf_targetids=0,0, @leaf_weights=#f2=1,2 @n_targets=1"},
    {"ai.onnx.ml TreeEnsembleClassifier",
     "f2,2 @nodes_treeids=0,0,0, @nodes_nodeids=0,1,2, @nodes_featureids=0,0,0, "
     "@nodes_modes=~BRANCH_LEQ,LEAF,LEAF, @nodes_values=%0.5,0,0, "
     "@nodes_truenodeids=1,0,0, @nodes_falsenodeids=2,0,0, @class_ids=0,1, "
     "@class_nodeids=1,2, @class_treeids=0,0, @class_weights=%1,2, @classlabels_int64s=0,1,"},
    {"ai.onnx.ml TreeEnsembleRegressor",
     "f2,2 @n_targets=1 @nodes_treeids=0,0,0, @nodes_nodeids=0,1,2, "
     "@nodes_featureids=0,0,0, @nodes_modes=~BRANCH_LEQ,LEAF,LEAF, @nodes_values=%0.5,0,0, "
     "@nodes_truenodeids=1,0,0, @nodes_falsenodeids=2,0,0, @target_ids=0,0, "
     "@target_nodeids=1,2, @target_treeids=0,0, @target_weights=%1,2,"},
    {"ai.onnx.ml ZipMap", "f2,3 @classlabels_int64s=0,1,2,"},
    {"ai.onnx.preview.training Adagrad", "f=0.1 l=1 f3 f3 f3=1,1,1"},
    {"ai.onnx.preview.training Adam", "f=0.1 l=1 f3 f3 f3 f3=1,1,1"},
    {"ai.onnx.preview.training Momentum",
     "f=0.1 l=1 f3 f3 f3 @alpha=%0.9 @beta=%0.1 @norm_coefficient=%0.01 @mode=~standard"},
    {"bnrun Affine", "f2,3,2 d3 d3 @axis=1"},
    {"bnrun AveragePoolGradient", "f1,2,4,4 f1,2,3,3 @kernel_shape=2,2,"},
    {"bnrun ConvGradient", "f1,2,4,4 f3,2,2,2 f1,3,3,3"},
    {"bnrun DotAttention", "f2,3,4 f2,4,5 f2,5,3"},
    {"bnrun DotAttention", "f2,3,4 f2,4,5 f5,3 f2,1,5 @scale=%0.5"},
    {"bnrun ResizeGradient", "f1,1,2,2 - f4=1,1,2,2 - f1,1,4,4 @mode=~linear @since=13"},
    {"bnrun Derivative", "f2,3 @of=~Erf"},
    {"com.microsoft Attention", "f1,2,4 f4,12 f12 @num_heads=2"},
    {"com.microsoft Attention", "f1,2,4 f4,12 f12 i1,5=1,1,1,0,1 f2,1,2,3,2 @num_heads=2"},
    {"com.microsoft CDist", "f3,2 f4,2 @metric=~euclidean"},
    {"com.microsoft DynamicQuantizeMatMul", "f2,3 u3,2 f=1 u f2"},
    {"com.microsoft EmbedLayerNormalization", "i1,2=0,1 i1,2=0,1 f3,4 f2,4 f2,4 f4 f4 i1,2=1,1"},
    {"com.microsoft FusedConv", "f1,2,5,5 f3,2,3,3 f3 @activation=~Relu"},
    {"com.microsoft FusedGemm", "f2,3 f3,4 f4 @activation=~Relu"},
    {"com.microsoft FusedMatMul", "f2,3 f3,2"},
    {"com.microsoft GroupQueryAttention",
     "f1,2,8 f1,2,8 f1,2,8 - - i1=1 i=2 @num_heads=2 @kv_num_heads=2"},
    {"com.microsoft GroupQueryAttention",
     "f1,1,8 f1,1,4 f1,1,4 f1,1,3,4 f1,1,3,4 i1=2 i=3 @num_heads=2 @kv_num_heads=1"},
    {"com.microsoft MatMulIntegerToFloat", "u2,3 u3,2 f=1 f=1 u u f2"},
    {"com.microsoft MatMulNBits", "f2,16 u2,1,8 f2 @K=16 @N=2 @bits=4 @block_size=16"},
    {"com.microsoft MultiHeadAttention", "f1,2,4 f1,3,4 f1,3,4 @num_heads=2"},
    {"com.microsoft NhwcMaxPool", "u1,4,4,2 @kernel_shape=2,2,"},
    {"com.microsoft QAttention", "u1,2,4 u4,12 f12 f=1 f=1 - u u @num_heads=2"},
    {"com.microsoft QLinearAdd", "u2,3 f=1 u u3 f=1 u f=1 u"},
    {"com.microsoft QLinearAveragePool", "u1,2,4,4 f=1 u f=1 u @kernel_shape=2,2,"},
    {"com.microsoft QLinearConcat", "f=1 u u2,3 f=1 u u2,1 f=1 u @axis=1"},
    {"com.microsoft QLinearGlobalAveragePool", "u1,2,3,3 f=1 u f=1 u @channels_last=0"},
    {"com.microsoft QLinearLeakyRelu", "u2,3 f=1 u f=1 u"},
    {"com.microsoft QLinearMul", "u2,3 f=1 u u3 f=1 u f=1 u"},
    {"com.microsoft QLinearSigmoid", "u2,3 f=1 u f=1 u"},
    {"com.microsoft QLinearSoftmax", "u2,3 f=1 u f=1 u @opset=13 @axis=-1"},
    {"com.microsoft RotaryEmbedding", "f1,2,3,4 l1=0 f4,2 f4,2"},
    {"com.microsoft SkipLayerNormalization", "f1,2,3 f1,2,3 f3 f3 f3"},
    {"com.microsoft SkipSimplifiedLayerNormalization", "f1,2,3 f1,2,3 f3 f3"},
};

// The k-th template of an operator, NULL behind the last.
static const char *template_of(const struct bnr_op *op, uint32_t k) {
    char key[100];
    snprintf(key, sizeof key, "%s%s%s", op->domain, op->domain[0] ? " " : "", op->name);
    for (size_t i = 0; i < BNR_COUNT(templates); i++)
        if (strcmp(templates[i].op, key) == 0 && k-- == 0)
            return templates[i].inputs;
    return NULL;
}

static struct bnr_tensor *tensor_from_template(const char *s) {
    static const char letters[] = "fdlibucs";
    static const enum bnr_dtype dtypes[] = {BNR_FLOAT, BNR_DOUBLE, BNR_INT64, BNR_INT32,
                                            BNR_BOOL,  BNR_UINT8,  BNR_INT8,  BNR_STRING};
    int64_t dims[BNR_MAX_RANK];
    int rank = 0;
    const enum bnr_dtype dtype = dtypes[strchr(letters, *s++) - letters];
    while (*s >= '0' && *s <= '9') {
        dims[rank++] = strtoll(s, (char **)(uintptr_t)&s, 10);
        s += *s == ',';
    }
    struct bnr_tensor *t = make_tensor(rnd(12) ? dtype : random_dtype(), rank, dims);
    for (size_t i = 0; *s == '=' && i < t->numel && t->dtype == dtype; i++) {
        const double v = strtod(s + 1, (char **)(uintptr_t)&s);
        if (*s == ',')
            *(char *)(uintptr_t)s = '='; // the text is a copy
        if (rnd(20))
            bnr__store_f64(dtype, t->u8 + i * bnr__dtype_size(dtype), &v, 1);
    }
    return t;
}

static struct bnr_tensor *container(enum bnr_kind kind, enum bnr_dtype dtype) {
    struct bnr_tensor *c;
    check(bnr__tensor_new_kind(&c, &allocator, kind, dtype, NULL) == BNR_OK,
          "no memory for a container");
    return c;
}

static void push(struct bnr_tensor *container, struct bnr_tensor *item) {
    check(bnr__tensor_push(container, item, NULL) == BNR_OK, "no memory for an item");
    bnr__tensor_unref(item);
}

static struct bnr_tensor *from_template(const char *s) {
    char text[100];
    if (*s != 'Q' && *s != 'M')
        return tensor_from_template(s);
    struct bnr_tensor *c =
        container(*s == 'Q' ? BNR_KIND_SEQUENCE : BNR_KIND_MAP, *s == 'Q' ? BNR_FLOAT : BNR_UNDEFINED);
    for (uint32_t n = *s == 'Q' ? rnd(4) : 0; n > 0; n--) {
        snprintf(text, sizeof text, "%s", s + 1);
        push(c, tensor_from_template(text));
    }
    if (*s == 'M') {
        const char *values = strchr(s, '>');
        snprintf(text, sizeof text, "%.*s", (int)(values - s - 1), s + 1);
        push(c, tensor_from_template(text));
        snprintf(text, sizeof text, "%s", values + 1);
        push(c, tensor_from_template(text));
    }
    return c;
}

// ---- one case -----------------------------------------------------------------------------------

struct fuzz_case {
    const struct bnr_op *op;
    struct bnr_model *m;
    struct bnr_node *node;
    struct bnr_tensor *in[MAX_IN], *copies[MAX_IN], *out[MAX_OUT];
    const struct bnr_tensor *given[MAX_IN]; // those of `in` that are inputs of the graph
    int n_in, n_out, n_given;
    bool typed;           // inputs of the graph are declared, as files have to
    enum bnr_dtype dtype; // of most inputs
    int rank;
    int64_t dims[BNR_MAX_RANK];
};

static int64_t small_dim(void) {
    return rnd(12) == 0 ? 0 : 1 + rnd(4);
}

static struct bnr_tensor *random_input(const struct fuzz_case *c) {
    int64_t dims[BNR_MAX_RANK];
    int rank = c->rank;
    enum bnr_dtype dtype = c->dtype;
    memcpy(dims, c->dims, sizeof dims);
    const uint32_t kind = c->n_in == 0 ? 0 : rnd(8);
    if (kind == 1 || kind == 2) { // a list of numbers or a scalar
        rank = rnd(4) > 0;
        dims[0] = rnd(2) ? c->rank : small_dim();
        dtype = rnd(3) ? BNR_INT64 : dtype;
    } else if (kind == 3 && rank > 1) { // one number a channel
        rank = 1;
        dims[0] = c->dims[1];
    } else if (kind == 4) {
        rank = (int)rnd(6);
        for (int i = 0; i < rank; i++)
            dims[i] = small_dim();
    } else if (kind == 5) {
        dtype = random_dtype();
    } else if (kind == 6 && rank > 0) {
        dims[rnd((uint32_t)rank)] = rnd(2) ? 1 : small_dim();
    }
    return make_tensor(dtype, rank, dims);
}

// What is declared: all, symbols for some dims (the same for the same number), or nothing.
static void declare(const struct fuzz_case *c, struct bnr_value *v, const struct bnr_tensor *t) {
    const uint32_t kind = c->typed ? 1 + rnd(3) : rnd(4);
    if (t->kind != BNR_KIND_TENSOR)
        bnr__value_declare(v)->kind = t->kind;
    if (kind == 0 || t->kind != BNR_KIND_TENSOR)
        return;
    bnr__value_declare(v)->dtype = t->dtype;
    bnr__value_declare(v)->shape = bnr__shape_of(t->rank, t->dims);
    for (int i = 0; kind == 1 && i < t->rank; i++) {
        char name[24];
        snprintf(name, sizeof name, "d%lld", (long long)t->dims[i]);
        if (rnd(2))
            bnr__value_declare(v)->shape.dims[i] = (struct bnr_dim){
                .n = -1, .sym = rnd(4) ? bnr__model_intern(v->graph->model, name) : NULL};
    }
}

static struct bnr_tensor *random_sequence(const struct fuzz_case *c) {
    struct bnr_tensor *s = container(rnd(5) ? BNR_KIND_SEQUENCE : BNR_KIND_OPTIONAL, c->dtype);
    for (uint32_t n = rnd(s->kind == BNR_KIND_SEQUENCE ? 4 : 2); n > 0; n--)
        push(s, random_input(c));
    return s;
}

// t NULL: the input is omitted.
static void add_input(struct fuzz_case *c, struct bnr_tensor *t) {
    struct bnr_value *v = NULL;
    struct bnr_graph *g = c->m->graph;
    if (t) {
        c->in[c->n_in] = t;
        check(bnr__tensor_clone(&c->copies[c->n_in], &allocator, t, NULL) == BNR_OK,
              "no memory for a copy");
        if (rnd(3) == 0 && t->kind == BNR_KIND_TENSOR) {
            check(bnr__value_constant(&v, g, "c", bnr__tensor_ref(t), NULL) == BNR_OK,
                  "no constant");
        } else {
            check(bnr__value_new(&v, g, NULL, NULL) == BNR_OK, "no value");
            declare(c, v, t);
            check(bnr__graph_add_input(g, v, NULL) == BNR_OK, "no input");
            c->given[c->n_given++] = t;
        }
    }
    check(bnr__node_set_input(c->node, c->n_in++, v) == BNR_OK, "no use");
}

static void set_attr(struct fuzz_case *c, const char *name, char type) {
    enum { MOST = 6 };
    int64_t ints[MOST];
    float floats[MOST];
    struct bnr_str strings[MOST];
    const size_t n = type >= 'a' ? 1 : rnd(MOST + 1);
    struct bnr_attr a = {.name = name, .n = n};
    for (size_t i = 0; i < MOST; i++) {
        ints[i] = small_int();
        floats[i] = (float)small_float();
        strings[i] = word();
    }
    struct bnr_tensor *t;
    switch (type) {
    case 'i':
    case 'I':
        a.type = type == 'i' ? BNR_ATTR_INT : BNR_ATTR_INTS;
        a.ints = ints;
        break;
    case 'f':
    case 'F':
        a.type = type == 'f' ? BNR_ATTR_FLOAT : BNR_ATTR_FLOATS;
        a.floats = floats;
        break;
    case 's':
    case 'S':
        a.type = type == 's' ? BNR_ATTR_STRING : BNR_ATTR_STRINGS;
        a.strings = strings;
        break;
    case 't':
        t = make_tensor(random_dtype(), rnd(3) ? 0 : 1, (const int64_t[]){(int64_t)rnd(5)});
        bnr__node_set_attr_tensor(c->node, name, t);
        return;
    default:
        return;
    }
    check(bnr__node_set_attr(c->node, &a) == BNR_OK, "no attribute");
}

// Of `rarely` optional ones one, and those that are required where they are not there yet.
static void add_attrs(struct fuzz_case *c, uint32_t rarely) {
    static const char types[] = "ifstIFS";
    for (const char *s = c->op->attrs; s && *s;) {
        const size_t name_len = strcspn(s, ":"), len = strcspn(s, " ");
        const char *letters = s + name_len + 1;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)name_len, s);
        const bool required = s[len - 1] == '!';
        if (required ? !bnr__attr(c->node, name) && rnd(30) > 0 : rnd(rarely) == 0) {
            const size_t n_letters = strcspn(letters, " !");
            set_attr(c, name,
                     rnd(40) ? letters[rnd((uint32_t)n_letters)] : types[rnd(sizeof types - 1)]);
        }
        s += len;
        s += strspn(s, " ");
    }
}

static void random_inputs(struct fuzz_case *c) {
    const struct bnr_op *op = c->op;
    const int most_in = op->max_in < MAX_IN ? op->max_in : MAX_IN;
    const int n_in = op->min_in >= most_in
                         ? most_in
                         : op->min_in + (int)rnd((uint32_t)(most_in - op->min_in + 1));
    while (c->n_in < n_in) {
        const bool sequence = rnd(op->flags & BNR_OP_ANY_KIND ? 2 : 200) == 0;
        const bool given = c->n_in < op->min_in || rnd(5);
        add_input(c, !given ? NULL : sequence ? random_sequence(c) : random_input(c));
    }
}

static void template_attr(struct fuzz_case *c, char *text) {
    enum { MOST = 16 };
    int64_t ints[MOST];
    float floats[MOST];
    struct bnr_str strings[MOST];
    char *value = strchr(text, '=');
    *value++ = '\0';
    if (rnd(20) == 0)
        return;
    if (*value == '#') {
        check(bnr__node_set_attr_tensor(c->node, text, from_template(value + 1)) == BNR_OK,
              "no attribute");
        return;
    }
    const char kind = *value == '~' || *value == '%' ? *value++ : 'i';
    const bool list = *value && value[strlen(value) - 1] == ',';
    struct bnr_attr a = {.name = text};
    for (char *s = value; *s && a.n < MOST; s += *s == ',', a.n++) {
        char *at = s;
        ints[a.n] = strtoll(at, &s, 10);
        floats[a.n] = strtof(at, &s);
        if (kind == '~')
            s = at + (list ? strcspn(at, ",") : strlen(at));
        strings[a.n] = (struct bnr_str){at, (size_t)(s - at)};
        if (rnd(40) == 0) {
            ints[a.n] = small_int();
            floats[a.n] = (float)small_float();
            strings[a.n] = word();
        }
    }
    if (kind == '~') {
        a.type = list ? BNR_ATTR_STRINGS : BNR_ATTR_STRING;
        a.strings = strings;
    } else if (kind == '%') {
        a.type = list ? BNR_ATTR_FLOATS : BNR_ATTR_FLOAT;
        a.floats = floats;
    } else {
        a.type = list ? BNR_ATTR_INTS : BNR_ATTR_INT;
        a.ints = ints;
    }
    check(bnr__node_set_attr(c->node, &a) == BNR_OK, "no attribute");
}

static void use_template(struct fuzz_case *c, const char *template) {
    char text[500];
    snprintf(text, sizeof text, "%s ", template);
    for (char *s = text, *end; (end = strchr(s, ' ')); s = end + 1) {
        *end = '\0';
        if (*s == '@')
            template_attr(c, s + 1);
        else if (c->n_in < MAX_IN && rnd(25))
            add_input(c, *s == '-' || rnd(20) == 0 ? NULL
                         : rnd(12)                 ? from_template(s)
                                                   : random_input(c));
    }
}

static void build(struct fuzz_case *c) {
    const struct bnr_op *op = c->op;
    int versions = 0, opset;
    while (versions < BNR_OP_MAX_VERSIONS && op->since[versions])
        versions++;
    opset = op->since[rnd((uint32_t)versions)];
    c->m = bnr__model_new(&allocator);
    check(c->m != NULL, "no model");
    c->m->ir_version = 10;
    check(bnr__model_add_opset(c->m, op->domain, opset) == BNR_OK, "no import");
    c->m->graph = bnr__graph_new(c->m, NULL);
    const int most_out = op->max_out < MAX_OUT ? op->max_out : MAX_OUT,
              least_out = op->min_out ? op->min_out : 1;
    c->n_out = least_out >= most_out ? most_out
                                     : least_out + (int)rnd((uint32_t)(most_out - least_out + 1));
    check(c->m->graph && bnr__node_new(&c->node, c->m->graph, NULL, op->domain, op->name, "fuzzed",
                                       0, NULL, c->n_out, NULL) == BNR_OK,
          "no node");
    for (int i = 0; i < c->n_out; i++) {
        struct bnr_value *v;
        if (i >= op->min_out && rnd(5) == 0)
            continue;
        check(bnr__value_new(&v, c->m->graph, NULL, NULL) == BNR_OK, "no output");
        bnr__node_set_output(c->node, i, v);
        check(bnr__graph_add_output(c->m->graph, v, NULL) == BNR_OK, "no output");
    }
    c->typed = rnd(3) > 0;
    c->dtype = random_dtype();
    c->rank = (int)rnd(6);
    for (int i = 0; i < c->rank; i++)
        c->dims[i] = small_dim();
    const char *template = template_of(op, rnd(3));
    if (template)
        use_template(c, template);
    else
        random_inputs(c);
    add_attrs(c, template ? 16 : 2);
}

static void check_error(enum bnr_status st, const struct bnr_error *err) {
    check(st != BNR_INTERNAL, err->message);
    check(st == BNR_OK || (err->code == st && err->message[0] && !strchr(err->message, '\n')),
          "a failure without a line");
}

// What was inferred without data against what came out.
static void check_inferred(const struct fuzz_case *c) {
    for (int i = 0; i < c->n_out; i++) {
        if (!c->node->out[i])
            continue;
        const struct bnr_type *said = &c->node->out[i]->info->type;
        const struct bnr_tensor *y = c->out[i];
        char text[500], a[200], b[200];
        snprintf(text, sizeof text, "output %d is %s, but was inferred as %s", i,
                 bnr__tensor_describe(y, a, sizeof a), bnr__type_describe(said, b, sizeof b));
        if (said->kind == BNR_KIND_TENSOR && said->dtype == BNR_UNDEFINED && said->shape.rank < 0)
            continue;
        check(said->kind == y->kind, text);
        if (y->kind != BNR_KIND_TENSOR)
            continue;
        check(said->dtype == BNR_UNDEFINED || said->dtype == y->dtype, text);
        check(said->shape.rank < 0 || said->shape.rank == y->rank, text);
        for (int d = 0; d < said->shape.rank; d++) {
            const struct bnr_dim dim = said->shape.dims[d];
            check(dim.n < 0 || dim.n == y->dims[d], text);
            check(!dim.sym || dim.sym[0] != 'd' || atoll(dim.sym + 1) == y->dims[d], text);
        }
        const struct bnr_tensor *known = c->node->out[i]->info->tensor;
        check(!known || bnr__tensor_equal(known, y), "inference evaluated to other values");
    }
}

static void check_unchanged(const struct fuzz_case *c) {
    for (int i = 0; i < c->n_in; i++)
        check(!c->in[i] || bnr__tensor_equal(c->in[i], c->copies[i]), "an input was changed");
}

static void evaluate(struct fuzz_case *c, enum bnr_status inferred, const char *why) {
    struct bnr_tensor *again[MAX_OUT] = {NULL};
    struct bnr_error err = {.code = BNR_OK};
    const enum bnr_status st = bnr__node_eval(c->node, c->in, c->out, &allocator, &err);
    check_error(st, &err);
    check_unchanged(c);
    if (st != BNR_OK)
        return;
    check(inferred == BNR_OK || inferred == BNR_NO_MEMORY, why); // refused what can be evaluated
    if (inferred == BNR_OK)
        check_inferred(c);
    check(bnr__node_eval(c->node, c->in, again, &allocator, &err) == BNR_OK,
          "the second evaluation failed");
    for (int i = 0; i < c->n_out; i++) {
        if (again[i] && !(c->op->flags & BNR_OP_RANDOM))
            check(bnr__tensor_equal(c->out[i], again[i]),
                  "the second evaluation gave other values");
        bnr__tensor_unref(again[i]);
    }
}

// What a session makes of it, which may refuse what inference refuses only where it sees data.
static void run_session(const struct fuzz_case *c) {
    struct bnr_tensor *out[MAX_OUT] = {NULL};
    struct bnr_error err = {.code = BNR_OK};
    struct bnr_options o;
    bnr_session *s = NULL;
    bnr_options_init(&o);
    o.threads = 1;
    o.allocator = &allocator;
    const size_t n = c->m->graph->n_outputs;
    enum bnr_status st = bnr_session_create(&s, c->m, &o, &err);
    if (st == BNR_OK)
        st = bnr_run(s, c->given, (size_t)c->n_given, out, n, &err);
    check_error(st, &err);
    const bool ran = c->out[0] != NULL;
    bool mixed = false; // items may be of several types, which no declaration says
    for (int i = 0; i < c->n_given; i++)
        mixed = mixed || c->given[i]->kind != BNR_KIND_TENSOR;
    check(!ran || mixed || st == BNR_OK || st == BNR_NO_MEMORY, err.message);
    for (int i = 0, k = 0; ran && st == BNR_OK && i < c->n_out; i++) {
        if (!c->node->out[i])
            continue;
        const struct bnr_tensor *a = c->out[i], *b = out[k++];
        char text[400], one[160], other[160];
        snprintf(text, sizeof text, "output %d is %s, but %s in a session", i,
                 bnr__tensor_describe(a, one, sizeof one),
                 bnr__tensor_describe(b, other, sizeof other));
        check(a->kind == b->kind && a->dtype == b->dtype && a->rank == b->rank &&
                  memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0,
              text);
    }
    for (size_t i = 0; i < n; i++)
        bnr_tensor_release(out[i]);
    bnr_session_free(s);
    check_unchanged(c);
}

static void describe(const struct fuzz_case *c) {
    char text[120];
    for (int i = 0; i < c->n_in; i++) {
        const size_t used = strlen(current);
        snprintf(current + used, sizeof current - used, " %s",
                 c->in[i] ? bnr__tensor_describe(c->in[i], text, sizeof text) : "-");
    }
}

static bool run_case(const struct bnr_op *op) {
    struct fuzz_case c = {.op = op};
    struct bnr_error err = {.code = BNR_OK};
    build(&c);
    describe(&c);
    enum bnr_status st = bnr__model_resolve(c.m, NULL, &err);
    check_error(st, &err);
    if (st == BNR_OK) {
        st = bnr__model_infer(c.m, &err);
        check_error(st, &err);
        evaluate(&c, st, err.message);
        if (c.typed && c.node->out[0] && strcmp(op->domain, BNR_INTERNAL_DOMAIN) != 0)
            run_session(&c);
    }
    const bool ran = c.out[0] != NULL;
    for (int i = 0; i < MAX_IN; i++) {
        bnr__tensor_unref(c.in[i]);
        bnr__tensor_unref(c.copies[i]);
    }
    for (int i = 0; i < MAX_OUT; i++)
        bnr__tensor_unref(c.out[i]);
    bnr__model_free(c.m);
    return ran;
}

// Operators with bodies, and Gradient, which looks at the graph around it.
static bool needs_graph(const struct bnr_op *op) {
    return (op->attrs && strstr(op->attrs, ":g")) || strcmp(op->name, "Gradient") == 0;
}

// Whatever the input is, or all but what is no tensor.
static bool takes_anything(const struct bnr_op *op) {
    static const char *const names[] = {"Identity", "NonZero", "OptionalHasElement", "Shape", "Size"};
    for (size_t i = 0; i < BNR_COUNT(names); i++)
        if (strcmp(op->name, names[i]) == 0)
            return true;
    return false;
}

int main(int argc, char **argv) {
    const bool verbose = argc > 1 && strcmp(argv[argc - 1], "-v") == 0;
    const uint64_t seed = argc > 2 ? strtoull(argv[1], NULL, 0) : 1;
    const long cases = argc > 2 ? atol(argv[2]) : DEFAULT_CASES;
    const char *name = argc > 3 + verbose ? argv[3] : NULL;
    size_t total = 0, ran = 0, missed = 0;
    for (size_t i = 0; i < bnr__op_count(); i++) {
        const struct bnr_op *op = bnr__op_at(i);
        if (needs_graph(op) || (name && strcmp(name, op->name) != 0))
            continue;
        long ran_here = 0;
        for (long k = 0; k < cases; k++) {
            state = (seed << 32) + (uint64_t)k * 2654435761u;
            rnd(2);
            snprintf(current, sizeof current, "%s, seed %llu, case %ld", op->name,
                     (unsigned long long)seed, k);
            if (verbose)
                fprintf(stderr, "%s\n", current);
            ran_here += run_case(op);
        }
        // Else the generator is no good for it.
        if (ran_here * LEAST_SHARE < cases || (ran_here == cases && !takes_anything(op))) {
            fprintf(stderr, "%s %s: %ld of %ld cases could be evaluated\n", op->domain, op->name,
                    ran_here, cases);
            missed++;
        }
        total += (size_t)cases;
        ran += (size_t)ran_here;
    }
    printf("%zu cases, of which %zu could be evaluated\n", total, ran);
    return missed > 0;
}
