// SPDX-License-Identifier: Apache-2.0
// The operator interface. An operator is one file in runtime/ops that defines one `struct bnr_op`
// (BNR_DEFINE_OP) and one line in runtime/ops/ops.inc; nothing else changes.
#ifndef BNR_GRAPH_OP_H
#define BNR_GRAPH_OP_H

#include "graph/graph.h"

enum { BNR_OP_MAX_VERSIONS = 12, BNR_VARIADIC = 1000000 };

enum bnr_op_flags {
    BNR_OP_ELEMENTWISE = 1 << 0, // output element i depends on (broadcast) input elements i only
    BNR_OP_INPLACE = 1 << 1,     // output 0 may overwrite input 0 when sizes agree and nobody else reads it
    BNR_OP_VIEW = 1 << 2,        // output 0 is input 0's bytes with other dims (Reshape, Identity, ...)
    BNR_OP_RANDOM = 1 << 3,      // not a function of its inputs: never folded or merged
    BNR_OP_DATA_SHAPE = 1 << 4,  // output dims depend on input *data* even when infer has every value
                                 // (NonZero, Unique): ref allocates with bnr__out_alloc
    BNR_OP_ACTIVATION = 1 << 5,  // unary, element-wise: may join the step of the node in front
    BNR_OP_EPILOGUE = 1 << 6,    // its fast kernel takes activations / affine / residual as epilogue
    BNR_OP_PROLOGUE = 1 << 8,    // its fast kernel takes affines and activations in front of input 0
    BNR_OP_ANY_KIND = 1 << 7,    // may take inputs that are no tensors, and checks their kinds itself. For
                                 // all others bnr__node_infer refuses sequences, optionals, ...
};

// ---- inference --------------------------------------------------------------------------------------
// infer() must: check rank, dtype and attributes as far as they are known (one-line error with values),
// set dtype and shape of every output, and, for integer shape arithmetic, elems. Unknown stays unknown.
// It runs at load (symbolic dims), at plan time (concrete dims), and before a step whose output shape
// depends on data (then in[i]->tensor is set for every input).
// A checked fact about an input's data (an index range) is also checked in ref, where the data exist.
struct bnr_infer {
    const struct bnr_node *node;
    const struct bnr_info *const *in; // [n_in]; NULL: omitted
    int n_in;
    struct bnr_info *const *out; // [n_out]; NULL: unwanted. Start as unknown types
    int n_out;
    struct bnr_arena *arena; // for elems, element types
    struct bnr_error *err;
    struct bnr_infer_driver *driver; // for operators with subgraphs
    uint32_t *types; // [n_in], when an operator is only asked what it takes (bnr__op_types): checks of
                     // dtypes leave the allowed ones here. Else NULL
};

// Fails with "node 'x' (Op): ..." in front of the message. For infer and ref alike.
enum bnr_status bnr__op_fail(const struct bnr_node *n, struct bnr_error *err, enum bnr_status code,
                             const char *fmt, ...) BNR_PRINTF(4, 5);
// Returns st; a failure whose message names no node yet gets that one in front.
enum bnr_status bnr__op_status(const struct bnr_node *n, struct bnr_error *err, enum bnr_status st);

// Output types from a body graph: sets the body's input types from `ins` (n of them; NULL entries:
// unknown), infers it, and gives pointers to the infos of its outputs (owned by the driver).
enum bnr_status bnr__infer_body(struct bnr_infer *cx, struct bnr_graph *body,
                                const struct bnr_info *const *ins, size_t n,
                                const struct bnr_info **outs);

// Helpers for infer functions (runtime/ops/lib/infer.c). They report through cx->err.
void bnr__infer_set(struct bnr_infer *cx, int out, enum bnr_dtype dtype, const struct bnr_shape *shape);
void bnr__infer_set_dims(struct bnr_infer *cx, int out, enum bnr_dtype dtype, int rank,
                         const int64_t *dims);
enum bnr_status bnr__infer_same(struct bnr_infer *cx); // out 0 = type of in 0
// Multidirectional broadcasting of inputs first .. last into *shape.
enum bnr_status bnr__infer_broadcast(struct bnr_infer *cx, int first, int last, struct bnr_shape *shape);
// Rank of input i when known must be in [min, max]; unknown passes.
enum bnr_status bnr__infer_rank(struct bnr_infer *cx, int i, int min, int max);
// Dtype of input i when known must be one of the 0-terminated list; unknown passes.
enum bnr_status bnr__infer_dtype(struct bnr_infer *cx, int i, const enum bnr_dtype *allowed);
// Inputs i and j: same dtype where both are known.
enum bnr_status bnr__infer_same_dtype(struct bnr_infer *cx, int i, int j);
// axis in [-rank, rank) -> [0, rank).
enum bnr_status bnr__infer_axis(struct bnr_infer *cx, int64_t axis, int rank, int *out);
// The integer elements of input i (a constant, or known dims): *elems is NULL when not known. Elements
// may be symbolic. From tensor or elems, whichever is there.
enum bnr_status bnr__infer_ints(struct bnr_infer *cx, int i, const struct bnr_dim **elems, int *n);
// Sets output `out`'s elems (copied) when they are few (<= 64) and as many as the shape, which is set
// before, says.
enum bnr_status bnr__infer_set_elems(struct bnr_infer *cx, int out, const struct bnr_dim *elems, int n);

// ---- reference evaluation ---------------------------------------------------------------------------
// ref() is plain, in-order, and covers every dtype that the specification allows. It is the oracle for
// fast kernels, the evaluator for constant folding, and what runs where no fast kernel applies.
struct bnr_args {
    const struct bnr_node *node;
    const struct bnr_tensor *const *in; // [n_in]; NULL: omitted
    int n_in;
    struct bnr_tensor **out; // [n_out]; NULL: unwanted. Allocated where infer gave full shapes;
                             // else data == NULL and ref calls bnr__out_alloc / bnr__out_share
    int n_out;
    struct bnr_pool *pool;     // NULL: serial
    void *scratch;             // fast kernels: the bytes that prepare asked for, 64-byte aligned
    struct bnr_arena *strings; // bytes of new string elements; lives as long as the run
    struct bnr_arena *temp;    // ref's working memory; emptied after the step
    struct bnr_run *run;       // for operators with subgraphs; NULL while constant folding without one
    struct bnr_error *err;
    enum bnr_status *status; // fast kernels: BNR_OK, or why the data do not do, which err says
};

// Every wanted a->out[i] is a slot that holds an owned reference: these replace what is there.
// Gives output i its dims and a fresh buffer, or keeps the tensor that is there when it has data and dtype
// and dims agree. The new tensor comes from the allocator of the one that it replaces.
enum bnr_status bnr__out_alloc(const struct bnr_args *a, int i, enum bnr_dtype dtype, int rank,
                               const int64_t *dims);
// Makes output i another tensor or sequence object that outlives the step, on which it takes a reference
// of its own: nothing is copied. Tensors placed in a plan's memory do not outlive it: bnr__tensor_keep.
enum bnr_status bnr__out_share(const struct bnr_args *a, int i, const struct bnr_tensor *t);
// Runs a body graph (If, Loop, Scan, SequenceMap): n_in inputs in the order of body->inputs; captured
// values are found by the executor. On success outs[i] (body->n_outputs of them) are new references.
enum bnr_status bnr__run_body(const struct bnr_args *a, struct bnr_graph *body,
                              struct bnr_tensor *const *ins, size_t n_in, struct bnr_tensor **outs);

// ---- fast path --------------------------------------------------------------------------------------
// prepare() looks at a node with known shapes and constants and may choose a kernel. Leaving `run` NULL
// means: use ref. It may take the first `fused_taken` of the members fused into the node, and the last
// `before_taken` of those in front of it. A member in front has no operand but constants; zeros of a
// convolution's padding are put in behind it.
// a->in and a->out may lie in the caller's own memory: run() touches no byte behind their ends. Scratch and
// packed constants are padded (BNR_TENSOR_PAD). It does not read a constant that it had packed: once
// nothing else does, a session may give its elements back.
struct bnr_pair;
struct bnr_strided; // runtime/ops/lib/strided.h: a tensor whose elements lie in another one

struct bnr_prepare {
    const struct bnr_node *node;
    const struct bnr_node *const *fused; // members in order; each one's first chained input is the
    int n_fused;                         // output of the one in front
    const struct bnr_node *const *before; // members in front, in order: each one's input 0 is the output of
    int n_before;                         // the one in front of it, the node's input 0 that of the last
    const struct bnr_info *const *in;    // infos of the node's inputs; tensor set for constants
    const struct bnr_info *const *out;   // infos of the node's own outputs
    // Infos of any value, for the members' other inputs.
    const struct bnr_info *(*info)(const struct bnr_prepare *cx, const struct bnr_value *v);
    const struct bnr_info *table; // backs info()
    unsigned cpu;                 // BNR_CPU_* features that may be used
    int threads;
    struct bnr_arena *arena; // for `state`: lives as long as the plan
    struct bnr_arena *temp;  // for what is not needed any more when prepare() is over
    struct bnr_packs *packs; // packed constants, shared between plans: bnr__pack_get
    struct bnr_error *err;
    // Results
    void (*run)(const struct bnr_args *a, const void *state);
    const void *state;
    size_t scratch;  // bytes a run needs
    int fused_taken; // members that run() performs. Their inputs other than the chained one follow the
                     // node's own in a->in, in order, member by member; a->out are the last one's
    int before_taken; // a->in[0] is input 0 of the first one taken; their other inputs are not in a->in
    const char *kernel; // name for profiles: "conv_1x1_avx512"
    // Blocked tensors (kernels/nchwc_f32.h). 0: everything is plain. Else the number of channels in a block,
    // and a kernel for such tensors is asked for: it names in blocked_in and blocked_out the ones of a->in
    // and a->out (bit i: number i) that it reads and writes in blocks, of those for which bnr__blocked_shape
    // is true. None: there is no such kernel. An operator that knows nothing of blocks gives that answer.
    size_t lanes;
    uint64_t blocked_in, blocked_out;
    bool joined;        // blocked: a->out[0] is all of a->in one after the other, so that there is no step where
                        // the planner can lay them so
    double saves;       // what a blocked kernel gains over the plain one, in bytes moved to another layout
    int overwrites;     // the one of a->in whose memory output 0 may take over when it dies with the step
                        // and is as large; -1: none. Preset: 0 for BNR_OP_INPLACE, else -1
    enum bnr_status (*pair)(struct bnr_pair *p); // blocked: asks what makes a->in[0]; NULL: nothing to ask
    // Plain: may input i of a->in (-1: output 0) be part of another tensor, a->in[i] be that one and its
    // elements lie as `at` says? When it says so, it is so. NULL: no.
    bool (*place)(const void *state, int i, const struct bnr_strided *at);
};

// What is known about input i of the node; NULL: omitted.
static inline const struct bnr_info *bnr__prepare_in(const struct bnr_prepare *cx, int i) {
    return i < cx->node->n_in ? cx->in[i] : NULL;
}

// A kernel that alone reads another one's output, as its input 0: may the two run as one step? Its a->in are
// the kernel's own, but for number 0, which is the front's, and behind them, from front_at on, the front's
// head's others; its a->out are the kernel's own.
struct bnr_pair {
    void (*front_run)(const struct bnr_args *a, const void *state); // of the front, by which to know it
    const void *front_state, *own_state;
    int front_at, threads;
    struct bnr_arena *arena; // for `state`
    struct bnr_error *err;
    // Results; run NULL: they run one after the other
    void (*run)(const struct bnr_args *a, const void *state);
    const void *state;
    size_t scratch;
    const char *kernel;
};

// A packed form of the constant `t`, made once per session for (t, key): `size` bytes are allocated
// (64-byte aligned) and filled by pack(dst, t, arg). key: a string literal that names the format and must
// determine the result together with `variant`. NULL when out of memory.
// While the planner only asks what a node could do, nothing is packed and what is returned may not be read.
const void *bnr__pack_get(struct bnr_prepare *cx, struct bnr_tensor *t, const char *key, uint64_t variant,
                          size_t size, void (*pack)(void *dst, const struct bnr_tensor *t, void *arg),
                          void *arg);

// What a part of a constant is packed from.
struct bnr_pack_source {
    const void *elems;     // from the first one of the part on
    const double *factors; // of its rows; NULL: none
};

// The same in parts that several threads pack at once, straight from a mapped file, when the plan is made:
// until then the pack may not be read, and f->arg lives in cx->arena. Parts are made of neighbouring elements
// and fill different bytes. Prefer it for weights: what lies in the file at an address that does not fit is
// copied by the part, not as a whole.
struct bnr_pack_format {
    const char *key;
    uint64_t variant;
    size_t size;
    size_t parts, part_elems; // part i: of elements [i * part_elems, (i + 1) * part_elems), the last of fewer
    bool turned;              // of the elements of the matrix that t is the transpose of (graph/turned.h)
    // Elements in a row. Not 0: a part is made of whole rows, and `pack` takes float32 elements at
    // any address, with a factor for each row (struct bnr_lazy).
    size_t row_elems;
    // dst: of the whole. False: an element by its factor is infinite or no number.
    bool (*pack)(void *dst, const struct bnr_pack_source *src, size_t part, const void *arg);
    const void *arg;
};
const void *bnr__pack_get_parts(struct bnr_prepare *cx, struct bnr_tensor *t,
                                const struct bnr_pack_format *f);

// For kernels that read a constant as it is: its elements where they are, at any address, perhaps in a mapped
// file. They stay as long as packs do. NULL: they are not at hand, so few that packing costs less memory than the
// pages of the file around them, or there is no memory: it has to be packed.
const void *bnr__pack_in_place(struct bnr_prepare *cx, struct bnr_tensor *t);

struct bnr_affine_rules; // graph/affine.h: how a per-channel affine passes through the operator
struct bnr_steps;        // runtime/ops/lib/steps.h: element-wise steps that a kernel does

// Spells a node in other operators: makes them with b, reading `in` ([n->n_in], NULL: omitted), and sets
// out[0 .. n->n_out) (NULL where not wanted, or where there is none).
struct bnr_build; // graph/build.h
typedef void bnr_expansion(struct bnr_build *b, const struct bnr_node *n, struct bnr_value *const *in,
                           struct bnr_value **out);

struct bnr_op {
    const char *domain; // "" = ai.onnx
    const char *name;
    int since[BNR_OP_MAX_VERSIONS]; // every version of the specification, ascending, 0-terminated
    int min_in, max_in;   // max_in BNR_VARIADIC: any number. The first min_in inputs are never NULL in
                          // infer, ref and prepare (so Loop, whose first may be omitted, has 0)
    int min_out, max_out; // likewise: the first min_out outputs are never NULL
    unsigned flags;
    // Its attributes and their types, "alpha:f axes:I! p:if": i int, f float, s string, t tensor, g graph;
    // capitals for lists; several letters where versions differ; ! where every version requires it.
    // NULL: not checked. Others than these are ignored.
    const char *attrs;
    enum bnr_status (*infer)(struct bnr_infer *cx);
    enum bnr_status (*ref)(const struct bnr_args *a);
    enum bnr_status (*prepare)(struct bnr_prepare *cx); // NULL: ref only
    // Operators that move elements and no more: makes of *s, which is where the elements of input 0 lie (shapes
    // known, no dim 0), where those of output `out` do. False where it cannot say. BNR_OP_VIEW needs none.
    bool (*strided)(struct bnr_infer *cx, int out, struct bnr_strided *s);
    // Adds node n (an element-wise float32 operator, all shapes known) to the steps of a kernel; false
    // and no change where that is not possible. NULL: never.
    bool (*step)(struct bnr_steps *s, const struct bnr_node *n);
    const struct bnr_affine_rules *affine;              // NULL: an affine cannot pass
    // Not NULL: sessions run these operators in its place, so that they use their fast kernels; infer is
    // bnr__expand_infer and ref bnr__expand_ref, or written by hand.
    bnr_expansion *expand;
};

#define BNR_DEFINE_OP(ident) const struct bnr_op bnr__op_##ident

// The registry (runtime/ops/registry.c). Domains "" and "ai.onnx" are the same. NULL when unknown.
const struct bnr_op *bnr__op_find(const char *domain, const char *name);
size_t bnr__op_count(void);
const struct bnr_op *bnr__op_at(size_t i);
// The version in force at `opset`: highest since <= opset; 0 when the opset is older than the operator,
// or newer than this build's specification (`bnr__op_max_opset`).
int bnr__op_version(const struct bnr_op *op, int opset);
int bnr__op_max_opset(const char *domain); // newest known opset of a domain; 0 for an unknown domain

enum { BNR_DTYPES_ALL = ((1 << BNR_DTYPE_COUNT) - 1) & ~1 };
// types[i]: the set of dtypes (bit 1 << dtype) that input i of n_in may have in this version, as far as
// the operator's inference checks them.
enum bnr_status bnr__op_types(const struct bnr_op *op, int version, uint32_t *types, int n_in);

// Attributes against n->op->attrs: after this bnr__attr_int etc. never meet another type than they want.
enum bnr_status bnr__op_check_attrs(const struct bnr_node *n, struct bnr_error *err);

// Sets node->op and node->since throughout the model. Nodes without an implementation keep op NULL and get
// a line in model->missing; *missing (may be NULL) counts them. Wrong input/output counts and a domain
// that is not imported are BNR_MALFORMED. Outputs below min_out that the file leaves out are made.
enum bnr_status bnr__model_resolve(struct bnr_model *m, size_t *missing, struct bnr_error *err);
// One more line for model->missing; copied.
enum bnr_status bnr__model_add_missing(struct bnr_model *m, const char *line, struct bnr_error *err);

// infer and ref of an operator that has `expand`: the same nodes in a graph of their own (graph/expand.c).
enum bnr_status bnr__expand_infer(struct bnr_infer *cx);
enum bnr_status bnr__expand_ref(const struct bnr_args *a);
// Replaces every node that can be: one that needs to know more of its inputs' shapes stays. The model
// is inferred.
enum bnr_status bnr__model_expand(struct bnr_model *m, struct bnr_error *err);

// ---- inference over graphs (graph/infer.c) ------------------------------------------------------------
// Infos of a model's values for one set of input shapes, indexed by value id, beside what value->info
// says. Zero-initialized infos are not valid: bnr__infer_table_init makes them all unknown.
struct bnr_infer_table {
    struct bnr_info *infos; // [n]
    size_t n;
    struct bnr_arena *arena;  // holds infos, elems and element types
    struct bnr_tensor **made; // constants found by evaluation, released with the table
    size_t n_made, made_capacity;
};
enum bnr_status bnr__infer_table_init(struct bnr_infer_table *table, const struct bnr_model *m,
                                      struct bnr_arena *arena);
void bnr__infer_table_free(struct bnr_infer_table *table); // not the arena

// Infers the whole model symbolically and stores the result in each value's `info`. Where the file
// declares something else for an intermediate value or for an output's dims, what is inferred wins: stale
// value_info is common. Declared dims are believed only of graph inputs and of what operators unknown to
// this build produce; declared dtypes and ranks fill in what is not known. A main graph's output with
// another dtype than declared is BNR_SHAPE. Small constants are evaluated, as below.
enum bnr_status bnr__model_infer(struct bnr_model *m, struct bnr_error *err);
// The same for a model that was just resolved. Nodes with an input of a dtype that their operator lacks
// become missing ones (op NULL, a line in model->missing), so that all of them are found.
enum bnr_status bnr__model_infer_first(struct bnr_model *m, struct bnr_error *err);
// Gives back what inference found, and its memory.
void bnr__model_forget_infos(struct bnr_model *m);
// Infers one graph, given its inputs' infos and those of captured values in the table. Constants are
// filled in; what follows from constants and known dims alone is evaluated by reference code where
// results are small (shape arithmetic), and then has info.tensor. Used by the planner.
enum bnr_status bnr__graph_infer(struct bnr_graph *g, struct bnr_infer_table *table,
                                 struct bnr_error *err);
// Infers one node, without evaluating it, from the table into the table. table NULL: from and into
// value->info, for passes that made the node.
enum bnr_status bnr__node_infer(struct bnr_node *n, struct bnr_infer_table *table,
                                struct bnr_error *err);
// Evaluates a node without subgraphs by its reference code on constant inputs. outs[n->n_out] receives
// new references (NULL for unwanted outputs); on failure all are NULL.
enum bnr_status bnr__node_eval(const struct bnr_node *n, struct bnr_tensor *const *in,
                               struct bnr_tensor **outs, const struct bnr_allocator *a,
                               struct bnr_error *err);

#endif
