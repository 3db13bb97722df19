// SPDX-License-Identifier: Apache-2.0
// The IR: model, graph, node, value, attribute, and the edits that keep it valid. Knows no protobuf, no
// files and no kernels. Everything except tensors lives in the model's arena and goes with it; a removed
// node or value is unlinked, not freed.
#ifndef BNR_GRAPH_GRAPH_H
#define BNR_GRAPH_GRAPH_H

#include "graph/names.h"
#include "graph/tensor.h"
#include "runtime/base/map.h"

struct bnr_op; // graph/op.h
struct bnr_interface;

// ---- types ------------------------------------------------------------------------------------------

// A dim is a number (n >= 0), a symbol (n == -1, sym set: equal symbols mean equal numbers), or unknown.
struct bnr_dim {
    int64_t n;
    const char *sym; // interned in the model (bnr__model_intern): compare by pointer
};

struct bnr_shape {
    int rank; // -1: unknown
    struct bnr_dim dims[BNR_MAX_RANK];
};

// What is known about a value without running the graph.
struct bnr_type {
    enum bnr_kind kind;
    enum bnr_dtype dtype;        // TENSOR/SPARSE elements, MAP keys; UNDEFINED while unknown
    struct bnr_shape shape;      // TENSOR, SPARSE
    const struct bnr_type *elem; // SEQUENCE, OPTIONAL: of the items; MAP: of the values; may be NULL
};

// In elems the numbers may be negative, so an unknown element is n == BNR_ELEM_UNKNOWN without a symbol;
// a symbol has n == -1 and sym set as in a dim.
#define BNR_ELEM_UNKNOWN INT64_MIN
static inline bool bnr__elem_is_number(struct bnr_dim e) {
    return !e.sym && e.n != BNR_ELEM_UNKNOWN;
}
static inline struct bnr_dim bnr__elem_of_dim(struct bnr_dim d) {
    return d.sym || d.n >= 0 ? d : (struct bnr_dim){.n = BNR_ELEM_UNKNOWN};
}
// An element as a dim: negative numbers, which are no dims, become unknown.
static inline struct bnr_dim bnr__dim_of_elem(struct bnr_dim e) {
    return e.sym || e.n >= 0 ? e : (struct bnr_dim){.n = -1};
}

// What shape inference knows about a value: its type, and its value where that is constant or is small
// integer data made of dims (Shape -> Gather -> Concat -> Reshape chains).
struct bnr_info {
    struct bnr_type type;
    struct bnr_tensor *tensor;   // the constant value (not owned), or NULL
    const struct bnr_dim *elems; // integer elements in row-major order, some symbolic; NULL: unknown.
                                 // Set only when the shape is fully known. May be set beside tensor.
    int n_elems;
};

bool bnr__dim_equal(struct bnr_dim a, struct bnr_dim b); // known to be equal; unknown equals nothing
bool bnr__shape_known(const struct bnr_shape *s);        // rank and every dim a number
// Every dim to its number; the caller checked bnr__shape_known.
void bnr__shape_numbers(const struct bnr_shape *s, int64_t dims[BNR_MAX_RANK]);
struct bnr_shape bnr__shape_of(int rank, const int64_t *dims);
struct bnr_shape bnr__shape_unknown(void);
struct bnr_dim bnr__dim_unknown(void);
struct bnr_dim bnr__dim_of(int64_t n);
struct bnr_info bnr__info_unknown(void); // a tensor of which nothing is known
// Type and value of a constant; `t` is not referenced. Items give the element type, in `arena`.
enum bnr_status bnr__info_of_tensor(struct bnr_info *info, struct bnr_tensor *t,
                                    struct bnr_arena *arena);
// "float32[N,3,?,224]"; returns buf.
const char *bnr__type_describe(const struct bnr_type *t, char *buf, size_t size);

// ---- attributes -------------------------------------------------------------------------------------

enum bnr_attr_type { // ONNX AttributeProto.AttributeType
    BNR_ATTR_UNDEFINED = 0,
    BNR_ATTR_FLOAT = 1,
    BNR_ATTR_INT = 2,
    BNR_ATTR_STRING = 3,
    BNR_ATTR_TENSOR = 4,
    BNR_ATTR_GRAPH = 5,
    BNR_ATTR_FLOATS = 6,
    BNR_ATTR_INTS = 7,
    BNR_ATTR_STRINGS = 8,
    BNR_ATTR_TENSORS = 9,
    BNR_ATTR_GRAPHS = 10,
    BNR_ATTR_SPARSE_TENSOR = 11,
    BNR_ATTR_SPARSE_TENSORS = 12,
    BNR_ATTR_TYPE_PROTO = 13,
    BNR_ATTR_TYPE_PROTOS = 14,
};

struct bnr_attr {
    const char *name;
    enum bnr_attr_type type;
    const char *ref; // ref_attr_name inside a function body, else NULL
    size_t n;        // number of elements; 1 for the singular types
    union {          // arrays of n, also for the singular types
        const float *floats;
        const int64_t *ints;
        const struct bnr_str *strings; // here each is followed by a NUL that its len does not count
        struct bnr_tensor **tensors; // TENSOR(S) and SPARSE_TENSOR(S)
        struct bnr_graph **graphs;
        const struct bnr_type *types;
    };
};

// ---- values, nodes, graphs --------------------------------------------------------------------------

struct bnr_use {
    struct bnr_node *node; // may be a node of a nested graph (a captured value)
    int index;             // into node->in
};

struct bnr_value {
    const char *name; // interned; unique within its graph, and within a nested graph that reads it
    int id;           // dense in the model: index into info tables
    size_t slot;      // index into graph->values
    struct bnr_graph *graph; // NULL once removed
    struct bnr_node *producer; // NULL: graph input, initializer or constant
    int producer_index;        // into producer->out
    struct bnr_use *uses;      // every node input that reads it, nested graphs included
    size_t n_uses, uses_capacity;
    int n_graph_outputs;     // how many times its graph lists it as an output (other graphs cannot)
    bool is_input;           // listed as graph input
    bool is_initializer;     // came as an initializer (also when it is an overridable input)
    bool from_constant_node; // came as a Constant node (name of that node in constant_node)
    const char *constant_node;
    struct bnr_tensor *tensor; // owned reference: constant value, or default of an overridable input
    // Shared and constant while nothing is known; to write: bnr__value_declare, bnr__value_info.
    const struct bnr_type *declared; // what the file says (value_info, inputs, outputs)
    const struct bnr_info *info;     // what inference found; its tensor only if constant
    const void *source;        // what the loader made it from, for the saver; NULL for new values
};

struct bnr_node {
    int id; // dense in the model
    const char *name, *op_type, *domain, *overload; // never NULL; "" when absent; domain "" = ai.onnx
    const char *label; // for messages: name, or "op_type#id" when the file gives no name
    int opset;         // of its domain, as imported where the node was written; 0: not imported
    const struct bnr_op *op; // NULL until resolved, or unknown to this build
    int since;               // the operator version in force: the highest since-version <= opset
    struct bnr_graph *graph; // NULL once removed
    struct bnr_node *prev, *next;
    struct bnr_value **in; // NULL entries: omitted optional inputs
    size_t *use_slots;     // [n_in]: where this use stands in in[i]->uses
    int n_in;
    struct bnr_value **out; // NULL entries: unwanted outputs
    int n_out;
    struct bnr_attr *attrs;
    size_t n_attrs;
    // Set by the fusion passes: run inside `fused_into`'s step when its kernel can, else as a step of
    // its own. A hint: it changes no result, and one that rewriting made stale (the head may be gone) means
    // nothing. Members are single-use chains; the head has NULL here. Those behind the head are its
    // epilogue, those in front of its input 0 its prologue. The kernel checks shapes: the other operand of
    // an Add may turn out to broadcast.
    struct bnr_node *fused_into;
    struct bnr_bn **origins; // which BatchNormalizations of the file this node carries
    size_t n_origins;
    int multiplied; // how many times its channels were, by numbers near 1 (passes/lib/exact_shift.h)
    const void *source; // what the loader made it from, for the saver; NULL for new nodes
};

// A graph returns values of its own only: bnr__graph_add_output puts an Identity in between where a file
// returns a value of an outer graph. Nodes may read values of the graphs around theirs (captures).
struct bnr_graph {
    struct bnr_model *model;
    struct bnr_graph *next_made; // in model->made_graphs
    const char *name, *doc;
    struct bnr_node *owner; // the If/Loop/... whose body this is, else NULL
    struct bnr_node *first, *last;
    size_t n_nodes;
    struct bnr_value **inputs, **outputs;
    size_t n_inputs, n_outputs, outputs_capacity, inputs_capacity;
    struct bnr_value **values; // all live ones, no order promised
    size_t n_values, values_capacity;
    struct bnr_map names; // name -> struct bnr_value
};

struct bnr_function { // model-local; gone after bnr__model_inline_functions
    const char *name, *domain, *overload;
    const char **inputs, **outputs;
    size_t n_inputs, n_outputs;
    const char **attr_names; // without default
    size_t n_attr_names;
    struct bnr_attr *attr_defaults;
    size_t n_attr_defaults;
    struct bnr_graph *body; // its values are named as in the function; inputs/outputs set
};

struct bnr_opset {
    const char *domain; // "" = ai.onnx
    int version;
};

// One BatchNormalization of the file, and what became of it.
enum bnr_verdict { BNR_BN_KEPT, BNR_BN_FOLDED, BNR_BN_FUSED };
struct bnr_bn {
    const char *name; // the node's label
    enum bnr_verdict verdict;
    const char *into;   // label of the node that it went into; NULL when kept
    const char *reason; // why it was kept, or how it was folded
    int64_t channels;
    double max_scale, min_var_eps; // largest |s| and smallest var + eps; NaN when not constant
};

struct bnr_meta {
    const char *key, *value;
};

struct bnr_model {
    atomic_int refs;
    struct bnr_arena arena;
    const struct bnr_allocator *allocator;
    const char *path; // for messages: the file's name, or "<memory>"
    int64_t ir_version, model_version;
    const char *producer_name, *producer_version, *domain, *doc;
    struct bnr_opset *opsets;
    size_t n_opsets;
    struct bnr_meta *meta;
    size_t n_meta;
    struct bnr_function *functions;
    size_t n_functions;
    struct bnr_graph *graph;
    struct bnr_graph *made_graphs; // every graph ever made, function bodies included
    bool freeze_initializers;      // initializers that are graph inputs count as constants
    // For passes that scale weights; NULL: portable ones.
    const struct bnr_weights_f32 *weight_kernels;
    struct bnr_pool *pool; // for them; NULL: serial
    // Weights in a file may be scaled before it is known that the result is finite: reading them
    // for every rewrite takes as long as packing them. These are the scaled ones;
    // bnr__scaled_settle, later, tells whether they are.
    bool trusts_weights;
    struct bnr_tensor **trusted;
    size_t n_trusted, trusted_capacity;
    struct bnr_bn **bns;
    size_t n_bns, bns_capacity;
    int next_value_id, next_node_id; // = sizes of tables indexed by id
    struct bnr_names *names;
    struct bnr_tensor **held; // tensors that attributes point at: released with the model
    size_t n_held, held_capacity;
    const char **missing; // a line for each node without implementation: bnr__model_resolve
    size_t n_missing, missing_capacity;
    struct bnr_arena info_arena;   // value->info
    struct bnr_arena infer_arena;  // what those point at; emptied by bnr__model_infer
    struct bnr_tensor **evaluated; // constants that inference found; likewise
    size_t n_evaluated, evaluated_capacity;
    unsigned name_counter;
    const struct bnr_interface *interface; // runtime/interface.h, in `arena`; NULL until the API made it
    void *source; // the loader's own object (parsed message, mapping), for the saver
    void (*release_source)(void *source);
    void (*rest_source)(void *source); // what is mapped will not be read for a while: its pages go. May be NULL
};

// ---- making -----------------------------------------------------------------------------------------
// Functions that can run out of memory return BNR_NO_MEMORY or NULL and leave the graph valid.

// Without graph: the maker sets m->graph = bnr__graph_new(m, NULL).
struct bnr_model *bnr__model_new(const struct bnr_allocator *a);
static inline struct bnr_model *bnr__model_unconst(const struct bnr_model *m) {
    return (struct bnr_model *)(uintptr_t)m; // to count owners
}
struct bnr_model *bnr__model_ref(struct bnr_model *m); // one more owner, that calls bnr__model_free
void bnr__model_free(struct bnr_model *m); // NULL is fine
// A deep copy of the IR that shares all tensors; functions must be inlined before. The copy has no
// model `source`, but its nodes and values point at the same sources as the original's, so that the
// saver can tell what they were in the file: whoever follows them keeps the original alive. What
// inference found is not copied. Nothing is added to the original's names from now on: the copy
// shares them.
enum bnr_status bnr__model_clone(struct bnr_model **out, const struct bnr_model *m,
                                 struct bnr_error *err);
const char *bnr__model_intern(struct bnr_model *m, const char *s);
// The imported version of a domain ("" and "ai.onnx" are the same); 0 when not imported. Files below IR
// version 3 have no imports and mean version 1 of ai.onnx.
int bnr__model_opset(const struct bnr_model *m, const char *domain);
enum bnr_status bnr__model_add_opset(struct bnr_model *m, const char *domain, int version);
// Keeps a tensor alive as long as the model (takes over the caller's reference, also on failure).
enum bnr_status bnr__model_hold(struct bnr_model *m, struct bnr_tensor *t);

// `owner` NULL: the main graph, or a function's body. Belongs to the model whether attached or not.
struct bnr_graph *bnr__graph_new(struct bnr_model *m, struct bnr_node *owner);
// Room for about so many values in all.
enum bnr_status bnr__graph_reserve(struct bnr_graph *g, size_t n_values);
// Appends to the inputs or outputs. An input must have no producer and be listed once; a value may be
// several outputs. An output that belongs to an outer graph goes through an Identity node.
enum bnr_status bnr__graph_add_input(struct bnr_graph *g, struct bnr_value *v, struct bnr_error *err);
enum bnr_status bnr__graph_add_output(struct bnr_graph *g, struct bnr_value *v, struct bnr_error *err);
// A new value. `name` NULL makes a fresh one; a name that is taken in g or a graph around it is
// BNR_MALFORMED. (A subgraph may use a name that the graph around it defines after its owner: a loader
// that makes values in another order gives one of them a fresh name and keeps its own map.)
enum bnr_status bnr__value_new(struct bnr_value **out, struct bnr_graph *g, const char *name,
                               struct bnr_error *err);
enum bnr_status bnr__value_set_declared(struct bnr_value *v, const struct bnr_type *type,
                                        struct bnr_error *err);
// The value's own declared type and info, from now on; NULL when out of memory.
struct bnr_type *bnr__value_declare(struct bnr_value *v);
struct bnr_info *bnr__value_info(struct bnr_value *v);
// Makes the info that of the constant it is.
enum bnr_status bnr__value_info_of_constant(struct bnr_value *v);
// By name, here or in the graphs around g. NULL when there is none.
struct bnr_value *bnr__value_find(const struct bnr_graph *g, const char *name);
// A new constant named after `hint` ("conv1.weight" -> "conv1.weight_folded" when taken). Takes over the
// reference to t, also on failure.
enum bnr_status bnr__value_constant(struct bnr_value **out, struct bnr_graph *g, const char *hint,
                                    struct bnr_tensor *t, struct bnr_error *err);
// A name based on `hint` that no value (or node) of the model uses. In the model's arena.
const char *bnr__name_fresh(struct bnr_graph *g, const char *hint);

// A node in front of `before` (NULL: at the end). Inputs are copied and get uses; outputs are made by the
// caller with bnr__node_set_output. name NULL: none. opset, op and since follow the model's imports (the
// internal domain is always version 1).
enum bnr_status bnr__node_new(struct bnr_node **out, struct bnr_graph *g, struct bnr_node *before,
                              const char *domain, const char *op_type, const char *name, int n_in,
                              struct bnr_value *const *in, int n_out, struct bnr_error *err);

// ---- edits ------------------------------------------------------------------------------------------

enum bnr_status bnr__node_set_input(struct bnr_node *n, int index, struct bnr_value *v); // v NULL: omit;
                                                                                     // grows n_in
// index < n_out. v leaves the node that produced it, if any; the value that was there is left without
// producer. v NULL: unwanted.
void bnr__node_set_output(struct bnr_node *n, int index, struct bnr_value *v);
// A copy of the attribute takes the place of one of the same name; arrays are copied, tensors get held by
// the model; graphs are not copied: they must have been made with owner n.
enum bnr_status bnr__node_set_attr(struct bnr_node *n, const struct bnr_attr *attr);
enum bnr_status bnr__node_set_attr_int(struct bnr_node *n, const char *name, int64_t v);
enum bnr_status bnr__node_set_attr_ints(struct bnr_node *n, const char *name, const int64_t *v,
                                        size_t count);
enum bnr_status bnr__node_set_attr_float(struct bnr_node *n, const char *name, float v);
enum bnr_status bnr__node_set_attr_string(struct bnr_node *n, const char *name, const char *v);
// Takes over the reference to t, also on failure.
enum bnr_status bnr__node_set_attr_tensor(struct bnr_node *n, const char *name, struct bnr_tensor *t);
void bnr__node_remove_attr(struct bnr_node *n, const char *name);
// Every use of `from` (nested graphs and graph outputs included) reads `to` instead; `to` is of the same
// graph or one around it. When `from` is a graph output, `to` takes over its name (and declared type and
// source), so that the model's interface stays, and `from` gets the name that `to` had; not possible
// (returns BNR_UNSUPPORTED, nothing changed) when `to` is itself a graph input, a constant, another output,
// or of another graph. `from` stays, without uses.
enum bnr_status bnr__value_replace(struct bnr_value *from, struct bnr_value *to);
bool bnr__value_replaceable(const struct bnr_value *from, const struct bnr_value *to);
void bnr__node_remove(struct bnr_node *n); // its outputs must have no uses; they and its subgraphs go too
// A value without producer and uses that is no graph output. A constant that is listed as graph input goes
// from there, too; other inputs stay (nothing is done).
void bnr__value_remove(struct bnr_value *v);
void bnr__node_move(struct bnr_node *n, struct bnr_node *before); // within its graph; NULL: to the end
// Adds the origins of `from` to `to` (duplicates dropped).
enum bnr_status bnr__node_add_origins(struct bnr_node *to, const struct bnr_node *from);
// Topological order for g and the graphs nested in it; what a nested graph captures counts as input of the
// node that owns it. Nodes move only where they must: a graph already in order stays as it is, a node read
// too early moves directly in front of its first reader. BNR_MALFORMED names a node on a cycle.
enum bnr_status bnr__graph_sort(struct bnr_graph *g, struct bnr_error *err);
// Values get the lowest ids there are, where many were removed: tables by id become small.
void bnr__model_renumber(struct bnr_model *m);
// Replaces calls of model-local functions by their bodies (attribute references bound, names made
// unique), nested calls up to a depth of 64 and 1,000,000 nodes in total. Constant nodes whose value was a
// reference become constants. The functions are gone afterwards. After a failure the model can only be
// freed.
enum bnr_status bnr__model_inline_functions(struct bnr_model *m, struct bnr_error *err);
// Turns a Constant node into a constant value (the value itself stays and keeps its name and uses).
// Nothing happens to a node that is none, or whose attribute is still a reference to a function's.
enum bnr_status bnr__node_lift_constant(struct bnr_node *n, struct bnr_error *err);

// ---- questions --------------------------------------------------------------------------------------

// Constant: has a tensor and cannot be overridden by a graph input (IR >= 4; older files had to list
// every initializer as an input, so there it is constant).
bool bnr__value_is_constant(const struct bnr_value *v);
// The tensor of a constant, perhaps lazy; NULL for other values, other kinds, and NULL.
const struct bnr_tensor *bnr__value_constant_tensor(const struct bnr_value *v);
// Read by exactly one node input, and neither a graph output nor captured by a nested graph.
bool bnr__value_single_use(const struct bnr_value *v);
static inline bool bnr__value_is_output(const struct bnr_value *v) {
    return v->n_graph_outputs > 0;
}
const struct bnr_attr *bnr__attr(const struct bnr_node *n, const char *name); // NULL when absent
int64_t bnr__attr_int(const struct bnr_node *n, const char *name, int64_t fallback);
float bnr__attr_float(const struct bnr_node *n, const char *name, float fallback);
// NULL when absent. NUL-terminated (a NUL inside cuts it short).
const char *bnr__attr_string(const struct bnr_node *n, const char *name, const char *fallback);
// NULL and *count = 0 when absent.
const int64_t *bnr__attr_ints(const struct bnr_node *n, const char *name, size_t *count);
const float *bnr__attr_floats(const struct bnr_node *n, const char *name, size_t *count);
struct bnr_graph *bnr__attr_graph(const struct bnr_node *n, const char *name);
struct bnr_tensor *bnr__attr_tensor(const struct bnr_node *n, const char *name);
bool bnr__node_is(const struct bnr_node *n, const char *domain, const char *op_type);
// An operator of ai.onnx that is listed; a NULL ends the list.
bool bnr__node_is_one_of(const struct bnr_node *n, const char *const *op_types);
bool bnr__node_has_subgraphs(const struct bnr_node *n);
// Values of outer graphs that g's nodes (nested ones too) read or that it returns: each once.
enum bnr_status bnr__graph_captures(const struct bnr_graph *g, struct bnr_arena *arena,
                                    struct bnr_value ***out, size_t *count);
// Calls fn for every graph of the model (function bodies excepted), outer ones first, until it returns
// other than BNR_OK. fn may edit its graph, and the graphs around it as long as the owner stays.
enum bnr_status bnr__model_each_graph(struct bnr_model *m,
                                      enum bnr_status (*fn)(struct bnr_graph *g, void *cx), void *cx);

// ---- verify and print -------------------------------------------------------------------------------

// Checks every invariant above: links, uses, names, order, attribute types, tensors. What a file can cause
// (a value that nothing produces, a cycle, a bad attribute or tensor) is BNR_MALFORMED; what only our own
// bugs can cause is BNR_INTERNAL. Linear in the size of the model.
enum bnr_status bnr__model_verify(const struct bnr_model *m, struct bnr_error *err);

struct bnr_text;
const char *bnr__attr_type_name(enum bnr_attr_type type); // "INT", "FLOATS", ...
void bnr__print_text(struct bnr_text *t, const struct bnr_model *m); // one node a line, types, constants
void bnr__print_dot(struct bnr_text *t, const struct bnr_model *m);
void bnr__print_json(struct bnr_text *t, const struct bnr_model *m);

#endif
