/* SPDX-License-Identifier: Apache-2.0
 *
 * bnrun: an inference runtime for ONNX models that folds batch normalization.
 *
 * This header is the whole public interface; what is not here is not API. It compiles as C99 and C++.
 *
 *     struct bnr_error err;
 *     bnr_model *model;
 *     bnr_session *session;
 *     if (bnr_model_load_file(&model, "net.onnx", NULL, &err) != BNR_OK) { puts(err.message); ... }
 *     if (bnr_session_create(&session, model, NULL, &err) != BNR_OK) ...
 *     bnr_tensor *x, *y = NULL;
 *     bnr_tensor_wrap(&x, BNR_FLOAT, 4, (int64_t[]){1, 3, 224, 224}, pixels, bytes, &err);
 *     bnr_run(session, (const bnr_tensor *[]){x}, 1, &y, 1, &err);
 *     const float *scores = bnr_tensor_data(y);
 *
 * Nothing is global, nothing is printed, nothing exits or aborts, whatever the bytes of a model. Every
 * function that can fail returns an enum bnr_status and, when `err` is not NULL, fills it with one line
 * that names the file, node or tensor, what was seen and what was expected. On failure output pointers
 * are set to NULL. All free/release functions accept NULL.
 *
 * Threads: distinct objects may be used at once. A model is immutable after loading: any number of
 * threads may create sessions from it. A session may be run by any number of threads at once.
 */
#ifndef BNRUN_H
#define BNRUN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define BNR_API
#elif defined(__GNUC__)
#define BNR_API __attribute__((visibility("default")))
#else
#define BNR_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define BNR_VERSION_MAJOR 0
#define BNR_VERSION_MINOR 1
#define BNR_VERSION_PATCH 0

/* "0.1.0", of the library in use (the macros above are those of the header). */
BNR_API const char *bnr_version(void);

/* ---- status ---------------------------------------------------------------------------------------- */

/* X(name, value, text). Values are fixed; new ones are appended. */
#define BNR_STATUS_LIST(X)                                                                                 \
    X(OK, 0, "no error")                                                                                   \
    X(NO_MEMORY, 1, "out of memory")                                                                       \
    X(IO, 2, "a file cannot be read or written")                                                           \
    X(MALFORMED, 3, "not a valid ONNX model or tensor")                                                    \
    X(UNSUPPORTED, 4, "a valid model or request that this build cannot run")                               \
    X(SHAPE, 5, "shapes, dtypes or attributes do not fit together")                                        \
    X(INVALID, 6, "wrong argument to a function")                                                          \
    X(INTERNAL, 7, "a bug in bnrun")

enum bnr_status {
#define BNR_STATUS_ENUM(name, value, text) BNR_##name = value,
    BNR_STATUS_LIST(BNR_STATUS_ENUM)
#undef BNR_STATUS_ENUM
};

/* The text of the table above; "unknown status" for other numbers. Static storage. */
BNR_API const char *bnr_status_text(enum bnr_status status);

struct bnr_error {
    enum bnr_status code;
    char message[1020]; /* one line, NUL-terminated, UTF-8 as far as the model's names are */
};

/* ---- element types --------------------------------------------------------------------------------- */

/* ONNX TensorProto.DataType numbers. */
enum bnr_dtype {
    BNR_UNDEFINED = 0,
    BNR_FLOAT = 1,
    BNR_UINT8 = 2,
    BNR_INT8 = 3,
    BNR_UINT16 = 4,
    BNR_INT16 = 5,
    BNR_INT32 = 6,
    BNR_INT64 = 7,
    BNR_STRING = 8,
    BNR_BOOL = 9, /* one byte, 0 or 1 */
    BNR_FLOAT16 = 10,
    BNR_DOUBLE = 11,
    BNR_UINT32 = 12,
    BNR_UINT64 = 13,
    BNR_COMPLEX64 = 14,
    BNR_COMPLEX128 = 15,
    BNR_BFLOAT16 = 16,
    BNR_FLOAT8E4M3FN = 17,
    BNR_FLOAT8E4M3FNUZ = 18,
    BNR_FLOAT8E5M2 = 19,
    BNR_FLOAT8E5M2FNUZ = 20,
    BNR_UINT4 = 21, /* 4- and 2-bit types: one element a byte in tensors made or read here */
    BNR_INT4 = 22,
    BNR_FLOAT4E2M1 = 23,
    BNR_FLOAT8E8M0 = 24,
    BNR_UINT2 = 25,
    BNR_INT2 = 26,
    BNR_DTYPE_COUNT = 27
};

BNR_API const char *bnr_dtype_name(enum bnr_dtype dtype); /* "float32", "int64", ...; static */
BNR_API enum bnr_dtype bnr_dtype_from_name(const char *name); /* BNR_UNDEFINED when unknown */
BNR_API size_t bnr_dtype_size(enum bnr_dtype dtype);      /* bytes of one element in a tensor's data */

/* ---- memory ---------------------------------------------------------------------------------------- */

/* ptr NULL: allocate new_size bytes; new_size 0: free ptr; else resize. Returns NULL when out of memory
 * (the old block stays). Memory must be aligned for any type. Called from several threads at once. The
 * struct must stay as it is until everything made with it is freed: models, sessions and the outputs of
 * runs. (Threads and their bookkeeping come from the system.) */
struct bnr_allocator {
    void *(*reallocate)(void *user, void *ptr, size_t old_size, size_t new_size);
    void *user;
};

/* ---- tensors --------------------------------------------------------------------------------------- */

typedef struct bnr_tensor bnr_tensor;

/* What a value can be. Numbers are fixed. */
enum bnr_kind {
    BNR_KIND_TENSOR = 0,
    BNR_KIND_SEQUENCE = 1, /* items: its elements */
    BNR_KIND_OPTIONAL = 2, /* items: none or one */
    BNR_KIND_MAP = 3,      /* items: a tensor of keys, then a tensor or sequence of as many values */
    BNR_KIND_SPARSE = 4    /* items: values [nnz], indices [nnz] (linear) or [nnz, rank] */
};

/* A tensor over the caller's memory, which must stay valid and unchanged while the tensor is in use, and
 * be aligned for its elements. `bytes` must be exactly the product of dims times the element size. */
BNR_API enum bnr_status bnr_tensor_wrap(bnr_tensor **out, enum bnr_dtype dtype, int rank,
                                        const int64_t *dims, void *data, size_t bytes,
                                        struct bnr_error *err);
/* A tensor with its own memory: copied from `data`, or zeros when data is NULL. */
BNR_API enum bnr_status bnr_tensor_create(bnr_tensor **out, enum bnr_dtype dtype, int rank,
                                          const int64_t *dims, const void *data, struct bnr_error *err);
/* A string tensor: product of dims NUL-terminated strings, copied. lengths NULL: strlen of each. */
BNR_API enum bnr_status bnr_tensor_create_strings(bnr_tensor **out, int rank, const int64_t *dims,
                                                  const char *const *strings, const size_t *lengths,
                                                  struct bnr_error *err);
/* A sequence, optional or map of the given items, on each of which it holds a reference. */
BNR_API enum bnr_status bnr_tensor_create_items(bnr_tensor **out, enum bnr_kind kind,
                                                bnr_tensor *const *items, size_t n_items,
                                                struct bnr_error *err);
/* The same elements in another numeric dtype: floats round to nearest even, integers wrap, floats to
 * integers truncate and saturate (NaN: 0). The same dtype gives a copy. */
BNR_API enum bnr_status bnr_tensor_cast(bnr_tensor **out, const bnr_tensor *t, enum bnr_dtype dtype,
                                        struct bnr_error *err);
BNR_API bnr_tensor *bnr_tensor_retain(bnr_tensor *t); /* one more reference; returns t */
BNR_API void bnr_tensor_release(bnr_tensor *t);

BNR_API enum bnr_kind bnr_tensor_kind(const bnr_tensor *t);
BNR_API enum bnr_dtype bnr_tensor_dtype(const bnr_tensor *t);
BNR_API int bnr_tensor_rank(const bnr_tensor *t);
BNR_API const int64_t *bnr_tensor_dims(const bnr_tensor *t); /* [rank], valid while t lives */
BNR_API size_t bnr_tensor_numel(const bnr_tensor *t);
BNR_API size_t bnr_tensor_bytes(const bnr_tensor *t); /* numel * element size */
BNR_API void *bnr_tensor_data(const bnr_tensor *t);   /* dense, row-major; not for strings */
BNR_API const char *bnr_tensor_string(const bnr_tensor *t, size_t i, size_t *length); /* not terminated */
BNR_API size_t bnr_tensor_item_count(const bnr_tensor *t);
BNR_API bnr_tensor *bnr_tensor_item(const bnr_tensor *t, size_t i); /* borrowed */

/* ---- models ---------------------------------------------------------------------------------------- */

typedef struct bnr_model bnr_model;

/* Loads a model file; the file is mapped and must not change while the model or its sessions live.
 * External data must lie in the file's folder or below it (after resolving links). `allocator` NULL: the
 * C library's. Returns BNR_OK, BNR_NO_MEMORY, BNR_IO, BNR_MALFORMED, BNR_UNSUPPORTED or BNR_SHAPE.
 * A model with operators that this build lacks loads; bnr_session_create refuses it. */
BNR_API enum bnr_status bnr_model_load_file(bnr_model **out, const char *path,
                                            const struct bnr_allocator *allocator, struct bnr_error *err);
/* The same from memory. `data` is copied as far as needed: the caller may free it afterwards. External
 * data is not reachable. */
BNR_API enum bnr_status bnr_model_load(bnr_model **out, const void *data, size_t size,
                                       const struct bnr_allocator *allocator, struct bnr_error *err);
BNR_API void bnr_model_free(bnr_model *model);

/* Loading checks the graph of a compiled model, but does not read its weights. This reads them all and
 * compares their checksums: BNR_MALFORMED. BNR_OK for a model that is not compiled. */
BNR_API enum bnr_status bnr_model_check(const bnr_model *model, struct bnr_error *err);

/* One input or output. Pointers live as long as the model or session asked. */
struct bnr_value_info {
    const char *name;
    enum bnr_kind kind;
    enum bnr_kind elem_kind;    /* of a sequence's or optional's items; else BNR_KIND_TENSOR */
    enum bnr_dtype dtype;       /* of a (sequence's, ...) tensor; BNR_UNDEFINED when not known */
    int rank;                   /* -1 when not known */
    const int64_t *dims;        /* [rank]; -1: open */
    const char *const *symbols; /* [rank]; the name of an open dim, or NULL */
    int optional;               /* an input with a default value: may be left out (NULL) when running */
};

/* Inputs in the order of the graph, without initializers that cannot be overridden. */
BNR_API size_t bnr_model_input_count(const bnr_model *model);
BNR_API size_t bnr_model_output_count(const bnr_model *model);
/* Index out of range: BNR_INVALID. */
BNR_API enum bnr_status bnr_model_input(const bnr_model *model, size_t index, struct bnr_value_info *info);
BNR_API enum bnr_status bnr_model_output(const bnr_model *model, size_t index, struct bnr_value_info *info);

/* Every domain that the model imports. Index past the end: BNR_INVALID. */
struct bnr_opset_info {
    const char *domain; /* "" is ai.onnx */
    int version;
};
BNR_API enum bnr_status bnr_model_opset(const bnr_model *model, size_t index,
                                        struct bnr_opset_info *info);
/* The nodes of the main graph in execution order (functions inlined). Index past the end: BNR_INVALID. */
struct bnr_node_info {
    const char *name; /* as in error messages and reports */
    const char *domain, *op_type;
    int opset;     /* imported for its domain */
    int supported; /* 0: this build lacks it */
};
BNR_API size_t bnr_model_node_count(const bnr_model *model);
BNR_API enum bnr_status bnr_model_node(const bnr_model *model, size_t index, struct bnr_node_info *info);

/* Operators that this build lacks, one line each ("node 'x': ai.onnx Foo, opset 12"); NULL past the end. */
BNR_API const char *bnr_model_missing(const bnr_model *model, size_t index);

/* A description of the model, made with malloc; the caller frees it. NULL when out of memory. */
enum bnr_print_format { BNR_PRINT_TEXT = 0, BNR_PRINT_DOT = 1, BNR_PRINT_JSON = 2 };
BNR_API char *bnr_model_print(const bnr_model *model, enum bnr_print_format format);

/* ---- operators ------------------------------------------------------------------------------------- */

/* What this build implements, in no particular order; internal operators of the optimizer are not among
 * them. Index past the end: BNR_INVALID. Pointers are to static storage. */
struct bnr_op_info {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    const int *versions; /* [n_versions] ascending: opsets of the domain that introduced or changed it */
    size_t n_versions;
    int min_inputs, max_inputs; /* max: INT32_MAX where any number may be given */
    int min_outputs, max_outputs;
};
BNR_API enum bnr_status bnr_op(size_t index, struct bnr_op_info *info);
/* The dtypes that input i of [0, n) of the index-th operator may have in one of its versions: types[i] has
 * bit (1 << dtype) set for each of them. As far as they are checked without knowing attributes. */
BNR_API enum bnr_status bnr_op_types(size_t index, int version, uint32_t *types, size_t n);

/* ---- sessions -------------------------------------------------------------------------------------- */

typedef struct bnr_session bnr_session;

enum bnr_flags {
    BNR_NO_FOLD = 1,            /* optimize, but keep every BatchNormalization */
    BNR_REFERENCE = 2,          /* the unmodified graph by reference code */
    BNR_FREEZE_INITIALIZERS = 4, /* initializers that are graph inputs count as constants */
    BNR_PROFILE = 8,            /* record the time of each step: bnr_session_profile */
    BNR_PROMOTE_DOUBLE = 16,    /* with BNR_REFERENCE: evaluate all floating point in double precision;
                                   float inputs are converted, float outputs come as double */
    BNR_TRAINING = 32,          /* BatchNormalization by the batch's own statistics, never folded */
    BNR_ONLY_BN = 64,           /* bnr_model_fold_file: nothing but what BN folding needs is rewritten */
    BNR_KEEP_STATISTICS = 128,  /* bnr_model_fold_file: each BN's parameters as metadata of the file */
    BNR_SPIN = 256              /* threads wait for the next run by spinning for a while: it starts sooner, and
                                   they cost time in between */
};

enum bnr_log_level { BNR_LOG_ERROR = 0, BNR_LOG_WARNING = 1, BNR_LOG_INFO = 2, BNR_LOG_DEBUG = 3 };

struct bnr_options {
    size_t struct_size; /* set by bnr_options_init */
    int threads;        /* worker threads including the caller; 0: one per core */
    unsigned flags;     /* enum bnr_flags */
    const char *cpu;    /* highest kernel level: "generic", "avx2", "avx512", "neon"; NULL: best */
    const char *passes; /* comma-separated pass names to run instead of the default list; NULL: default */
    int stop_after;     /* stop rewriting after this many rewrites; < 0: no limit */
    const char *print_after; /* log the graph as text after this pass; "all": after each */
    const char *keep;        /* comma-separated names of BatchNormalization nodes to keep; NULL: none */
    void (*log)(void *user, enum bnr_log_level level, const char *message);
    void *log_user;
    const struct bnr_allocator *allocator; /* NULL: the C library's */
};

/* Defaults: all cores, best cpu, default passes. */
BNR_API void bnr_options_init(struct bnr_options *options);

/* Optimizes a copy of the model's graph (weights are shared, not copied) and makes it ready to run. The
 * model may be freed afterwards. options NULL: defaults. BNR_UNSUPPORTED when operators are missing. */
BNR_API enum bnr_status bnr_session_create(bnr_session **out, const bnr_model *model,
                                           const struct bnr_options *options, struct bnr_error *err);
BNR_API void bnr_session_free(bnr_session *session); /* no run may be under way */

/* Runs the model. inputs: bnr_model_input_count() tensors in that order (shorter or NULL where
 * optional). outputs: n_outputs <= bnr_model_output_count() entries; a NULL entry receives a new tensor
 * that the caller releases; an entry made with bnr_tensor_wrap or bnr_tensor_create receives the values
 * and must have the right dtype and dims. Nothing else is allocated once these input shapes have been
 * seen. On failure entries that were NULL stay NULL. */
BNR_API enum bnr_status bnr_run(bnr_session *session, const bnr_tensor *const *inputs, size_t n_inputs,
                                bnr_tensor **outputs, size_t n_outputs, struct bnr_error *err);

/* Makes the plan for these input shapes without running, as the first bnr_run would (data is not read
 * unless output shapes depend on it). */
BNR_API enum bnr_status bnr_session_plan(bnr_session *session, const bnr_tensor *const *inputs,
                                         size_t n_inputs, struct bnr_error *err);

/* What happened to each BatchNormalization of the model. Pointers live as long as the session. */
enum bnr_bn_verdict { BNR_VERDICT_KEPT = 0, BNR_VERDICT_FOLDED = 1, BNR_VERDICT_FUSED = 2 };
struct bnr_bn_report {
    const char *name;   /* of the node */
    enum bnr_bn_verdict verdict;
    const char *into;   /* the node that absorbed it; NULL when kept */
    const char *reason; /* one sentence */
    int64_t channels;   /* -1 when not known */
    double max_scale;   /* largest |gamma / sqrt(var + eps)|; NaN when not constant */
    double min_var_eps; /* smallest var + eps; NaN when not constant */
    double error_bound; /* bnr_model_fold_file: what rounding the folded constants can do to any output of
                           the node that absorbed it, for inputs of that node up to 1 in magnitude (exact
                           arithmetic assumed); NaN elsewhere and where nothing is known */
};
BNR_API size_t bnr_session_bn_count(const bnr_session *session);
BNR_API enum bnr_status bnr_session_bn(const bnr_session *session, size_t index,
                                       struct bnr_bn_report *report);

struct bnr_session_stats {
    size_t nodes_before, nodes_after; /* graph nodes, before and after optimization */
    size_t steps;                     /* of the latest plan */
    size_t arena_bytes;               /* of the latest plan */
    size_t arena_lower_bound;         /* largest sum of tensors alive at once */
    size_t packed_bytes;              /* constants as kernels read them: packed, or in place in the file */
    size_t plans;                     /* plans made so far */
};
BNR_API void bnr_session_stats(const bnr_session *session, struct bnr_session_stats *stats);

/* With BNR_PROFILE: the steps of all runs so far as a Chrome trace (JSON array of events), made with
 * malloc; the caller frees it. NULL when out of memory or without BNR_PROFILE. */
BNR_API char *bnr_session_profile(const bnr_session *session);
/* The optimized graph, like bnr_model_print. */
BNR_API char *bnr_session_print(const bnr_session *session, enum bnr_print_format format);
/* "avx512", "avx2", "generic" or "neon": the level in use. Static. */
BNR_API const char *bnr_session_cpu(const bnr_session *session);
BNR_API int bnr_session_threads(const bnr_session *session);

/* ---- compiled models ------------------------------------------------------------------------------ */

/* Compiles the model for this build of the library and the CPU level of `options`: makes a session with
 * them, plans it for these inputs (asked for their types only; none are needed where all shapes are
 * fixed), and writes the optimized graph, all packed weights and the original model to `path` (beside it
 * first, then renamed). bnr_model_load_file opens such a file in next to no time: a session with the same
 * options uses what is in it, other shapes and other options work on the original model in it. It is
 * refused (BNR_UNSUPPORTED) by another build or CPU level. Original models with external data, or from
 * memory, are left out: what needs them is then BNR_UNSUPPORTED. */
BNR_API enum bnr_status bnr_model_compile_file(const bnr_model *model, const char *path,
                                               const struct bnr_options *options,
                                               const bnr_tensor *const *inputs, size_t n_inputs,
                                               struct bnr_error *err);

/* ---- folding to a file ----------------------------------------------------------------------------- */

/* Folds the model's BatchNormalizations and writes standard ONNX at the model's own opset. Names of
 * inputs, outputs and untouched nodes stay. The file is written beside `path` and renamed, so that a
 * failure leaves nothing half-written. FusedConv, FusedGemm and FusedMatMul beside a BN that folds become
 * the standard operators that they are made of, from opset 14 on. options (may be NULL): keep, and these
 * flags:
 * - BNR_FREEZE_INITIALIZERS.
 * - BNR_NO_FOLD keeps every BatchNormalization; the rest of the graph is cleaned.
 * - BNR_ONLY_BN leaves everything that no BN's fold touches as it was: no node is evaluated, merged or
 *   removed, arithmetic with constants stays unless a BN's way leads through it.
 * - BNR_KEEP_STATISTICS adds metadata "bnrun.bn.N" (N from 0): a JSON object with name, verdict, into,
 *   epsilon, gamma, beta, mean and var of the N-th BatchNormalization, as far as they are constant.
 * report (may be NULL) gets one call per BatchNormalization. */
BNR_API enum bnr_status bnr_model_fold_file(const bnr_model *model, const char *path,
                                            const struct bnr_options *options,
                                            void (*report)(void *user, const struct bnr_bn_report *bn),
                                            void *user, struct bnr_error *err);

/* ---- proof ----------------------------------------------------------------------------------------- */

/* How far computed values are from others. */
struct bnr_difference {
    double max_abs; /* largest |a - b|; infinity where one is NaN or infinite and the other is not */
    double max_rel; /* max_abs / the largest |b| of the tensor (max_abs itself when that is 0) */
    double max_ulp; /* largest |a - b| in units in the last place of b in the output's dtype */
    size_t index;   /* of the element with max_abs, row-major */
    double a, b;    /* that element */
};

struct bnr_verify_output {
    const char *name;
    enum bnr_dtype dtype;
    size_t numel;
    double magnitude; /* largest |value| of the double-precision result */
    struct bnr_difference folded_unfolded, folded_double, unfolded_double;
    double allowed; /* for folded_double.max_abs: the larger of twice `rounding` and tolerance * magnitude */
    int passed;     /* that, and `rounding` at most 100 * tolerance * magnitude */
    /* bnr_verify_training: promoted to double precision before it is folded, what the folded network
     * gives: the fold without rounding. passed needs at most 1e-9 * magnitude. */
    struct bnr_difference algebra_double;
    double rounding; /* unfolded_double.max_abs; where that would not be enough, the largest of several
                        evaluations of the unfolded network, by reference code and each CPU level's kernels */
};

/* One BatchNormalization of the model (bnr_verify_training, bnr_verify_layers). */
struct bnr_verify_bn {
    const char *name;   /* of the node */
    int checked;        /* it took part */
    const char *reason; /* why not; NULL when it did */
    struct bnr_verify_output output; /* bnr_verify_layers: the tensor that it makes; name NULL elsewhere */
    double bound; /* bnr_verify_layers: what rounding the folded constants can do there, a priori, for
                     inputs as large as in this run; NaN where it was not folded or nothing is known */
};

struct bnr_verify_report {
    size_t n_outputs;
    struct bnr_verify_output *outputs;
    int passed; /* all of them */
    size_t n_bns;
    struct bnr_verify_bn *bns; /* in the order of the graph; NULL from bnr_verify */
    size_t n_checked;          /* how many of them took part */
};

/* Runs the model on these inputs three ways and compares: as options say, the same with BNR_NO_FOLD, and
 * the unmodified graph evaluated in double precision by reference code. tolerance <= 0: 1e-5 for
 * float32 and float64 outputs, 4e-3 for narrower ones. Release the report with bnr_verify_free. */
BNR_API enum bnr_status bnr_verify(struct bnr_verify_report **out, const bnr_model *model,
                                   const bnr_tensor *const *inputs, size_t n_inputs,
                                   const struct bnr_options *options, double tolerance,
                                   struct bnr_error *err);
/* The proof through training mode. The double-precision result is that of the network whose every
 * BatchNormalization normalizes by the batch's own mean and population variance. The folded and the
 * unfolded run have these statistics as constants, and must give the same. Layers that cannot train (see
 * their reason: parameters not constant, one value per channel in this batch, a body that did not run, or
 * ran several times with statistics of its own each time) keep the statistics of the file in all runs.
 * Otherwise like bnr_verify, but where there are layers and none of them trained, `passed` is 0. */
BNR_API enum bnr_status bnr_verify_training(struct bnr_verify_report **out, const bnr_model *model,
                                            const bnr_tensor *const *inputs, size_t n_inputs,
                                            const struct bnr_options *options, double tolerance,
                                            struct bnr_error *err);
/* bnr_verify, and the same comparison at the output of every former BatchNormalization, in bodies of
 * all their rounds. A layer whose output the fold leaves nowhere in the graph, or that nothing ran, has no
 * figures (checked is 0). `passed` is about the model's outputs alone. */
BNR_API enum bnr_status bnr_verify_layers(struct bnr_verify_report **out, const bnr_model *model,
                                          const bnr_tensor *const *inputs, size_t n_inputs,
                                          const struct bnr_options *options, double tolerance,
                                          struct bnr_error *err);
BNR_API void bnr_verify_free(struct bnr_verify_report *report);

/* ---- calibration ----------------------------------------------------------------------------------- */

/* Statistics estimated anew from data without labels (arXiv 1502.03167, Algorithm 2, lines 8 to 12): the
 * network runs with every BatchNormalization normalizing by the batch, so that all layers see what the
 * others make of the same batch; the running mean becomes the average of the batches' means, the running
 * variance that of their variances, each times m / (m - 1) for m values. Batches count by their size. */
typedef struct bnr_calibration bnr_calibration;

/* The model must outlive it. options: threads, cpu, BNR_FREEZE_INITIALIZERS; may be NULL. momentum in
 * [0, 1): moving averages running = momentum * running + (1 - momentum) * batch that start with the first
 * batch; < 0: plain averages. */
BNR_API enum bnr_status bnr_calibration_create(bnr_calibration **out, const bnr_model *model,
                                               const struct bnr_options *options, double momentum,
                                               struct bnr_error *err);
/* One batch. Layers that see a single value per channel in the first one keep the statistics that they
 * have; in a later one that is an error, as are statistics that are not finite. Each round of a body
 * counts as a batch of its own for the layers in it; those that nothing runs in any batch keep theirs. */
BNR_API enum bnr_status bnr_calibration_add(bnr_calibration *c, const bnr_tensor *const *inputs,
                                            size_t n_inputs, struct bnr_error *err);
/* The k-th BatchNormalization: its name, and why it is not calibrated (*reason NULL: it is). k past the
 * end: BNR_INVALID. */
BNR_API enum bnr_status bnr_calibration_bn(const bnr_calibration *c, size_t k, const char **name,
                                           const char **reason);
/* Writes the model with the new statistics, in the old ones' dtypes. At least one batch is needed. fold:
 * as by bnr_model_fold_file with these options and report (options may be NULL); else options and report
 * are not used. */
BNR_API enum bnr_status bnr_calibration_write(const bnr_calibration *c, const char *path, int fold,
                                              const struct bnr_options *options,
                                              void (*report)(void *user, const struct bnr_bn_report *bn),
                                              void *user, struct bnr_error *err);
BNR_API void bnr_calibration_free(bnr_calibration *c);

/* ---- tensor files ---------------------------------------------------------------------------------- */

/* Reads a serialized TensorProto (type->kind TENSOR), SequenceProto or OptionalProto. type: what the
 * file should hold (a bnr_value_info of the model); NULL: a tensor. */
BNR_API enum bnr_status bnr_tensor_read_pb(bnr_tensor **out, const char *path,
                                           const struct bnr_value_info *type, struct bnr_error *err);
/* Writes a TensorProto (or SequenceProto, OptionalProto); beside `path` first, then renamed. */
BNR_API enum bnr_status bnr_tensor_write_pb(const bnr_tensor *t, const char *name, const char *path,
                                            struct bnr_error *err);

#ifdef __cplusplus
}
#endif

#endif
