// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/damage.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/alloc.h"

enum { MAX_ELEMENTS = 4096, MAX_LIST = 64 };

static uint32_t rnd(struct damage *d, size_t n) {
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return n > 0 ? (uint32_t)((d->state >> 33) % n) : 0;
}

static void say(struct damage *d, const char *fmt, ...) BNR_PRINTF(2, 3);
static void say(struct damage *d, const char *fmt, ...) {
    const size_t used = strlen(d->what);
    va_list args;
    va_start(args, fmt);
    vsnprintf(d->what + used, sizeof d->what - used, fmt, args);
    va_end(args);
}

static void *need(struct damage *d, size_t size) {
    void *p = bnr__arena_alloc(d->arena, size ? size : 1);
    if (!p)
        abort();
    memset(p, 0, size);
    return p;
}

static char *text(struct damage *d, const char *s) {
    return memcpy(need(d, strlen(s) + 1), s, strlen(s) + 1);
}

static int64_t odd_int(struct damage *d) {
    static const int64_t odd[] = {INT64_MAX,
                                  INT64_MIN,
                                  INT64_MAX - 1,
                                  INT32_MAX,
                                  INT32_MIN,
                                  UINT32_MAX,
                                  (int64_t)1 << 40,
                                  (int64_t)1 << 62,
                                  65536,
                                  1000,
                                  -1000,
                                  -1,
                                  -2,
                                  0,
                                  1,
                                  2,
                                  3,
                                  7,
                                  -65536,
                                  100};
    return odd[rnd(d, BNR_COUNT(odd))];
}

static int64_t near(struct damage *d, int64_t n) {
    return (int64_t)((uint64_t)n + rnd(d, 5) - 2);
}

static double odd_float(struct damage *d) {
    static const double odd[] = {NAN,   INFINITY, -INFINITY, 0,   -0.0, 1e30, -1e30,
                                 1e-40, 0.5,      -1,        3e9, -3e9, 1e19};
    return odd[rnd(d, BNR_COUNT(odd))];
}

static const char *odd_text(struct damage *d) {
    static const char *const odd[] = {
        "",
        "x",
        "constant",
        "linear",
        "nearest",
        "cubic",
        "SAME_UPPER",
        "VALID",
        "NOTSET",
        "mean",
        "sum",
        "ij,jk->ik",
        "...",
        "->",
        "i",
        "reverse",
        "bidirectional",
        "tanh",
        "\xff\xfe",
        "a very long value that no operator knows, whatever it is called"};
    return odd[rnd(d, BNR_COUNT(odd))];
}

// ---- where --------------------------------------------------------------------------------------

// The k-th node of all, bodies and functions included; counts down in *k.
static Onnx__NodeProto *find_node(Onnx__NodeProto **nodes, size_t n, size_t *k) {
    for (size_t i = 0; i < n; i++) {
        Onnx__NodeProto *node = nodes[i];
        if ((*k)-- == 0)
            return node;
        for (size_t a = 0; a < node->n_attribute; a++) {
            Onnx__GraphProto *g = node->attribute[a]->g;
            Onnx__NodeProto *inside = g ? find_node(g->node, g->n_node, k) : NULL;
            if (inside)
                return inside;
        }
    }
    return NULL;
}

static Onnx__NodeProto *nth_node(Onnx__ModelProto *m, size_t k) {
    Onnx__NodeProto *found = find_node(m->graph->node, m->graph->n_node, &k);
    for (size_t i = 0; i < m->n_functions && !found; i++)
        found = find_node(m->functions[i]->node, m->functions[i]->n_node, &k);
    return found;
}

static Onnx__NodeProto *any_node(struct damage *d) {
    size_t n = 0;
    while (nth_node(d->model, n))
        n++;
    return n > 0 ? nth_node(d->model, rnd(d, n)) : NULL;
}

static bool has_op(const struct damage *d, const char *name) {
    const Onnx__NodeProto *n;
    for (size_t k = 0; (n = nth_node(d->model, k)) != NULL; k++)
        if (n->op_type && strcmp(n->op_type, name) == 0)
            return true;
    return false;
}

static Onnx__ValueInfoProto *input_of(struct damage *d, size_t i) {
    return d->model->graph->input[i];
}

// ---- attributes ---------------------------------------------------------------------------------

static void clear_attr(Onnx__AttributeProto *a) {
    a->has_f = a->has_i = a->has_s = 0;
    a->n_floats = a->n_ints = a->n_strings = a->n_tensors = a->n_graphs = a->n_type_protos =
        a->n_sparse_tensors = 0;
    a->t = NULL;
    a->g = NULL;
    a->tp = NULL;
    a->sparse_tensor = NULL;
    a->has_type = 1;
}

static ProtobufCBinaryData bytes(struct damage *d, const char *s) {
    return (ProtobufCBinaryData){.len = strlen(s), .data = (uint8_t *)text(d, s)};
}

static Onnx__TensorProto *odd_tensor(struct damage *d) {
    static const int dtypes[] = {BNR_FLOAT, BNR_INT64,  BNR_INT32, BNR_STRING,
                                 BNR_BOOL,  BNR_DOUBLE, 0,         99};
    Onnx__TensorProto *t = need(d, sizeof *t);
    onnx__tensor_proto__init(t);
    t->has_data_type = 1;
    t->data_type = dtypes[rnd(d, BNR_COUNT(dtypes))];
    t->n_dims = rnd(d, 3);
    t->dims = need(d, 3 * sizeof *t->dims);
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        n *= (size_t)(t->dims[i] = rnd(d, 4));
    t->has_raw_data = t->data_type != BNR_STRING;
    t->raw_data.len = n * (t->data_type == BNR_BOOL                                 ? 1
                           : t->data_type == BNR_FLOAT || t->data_type == BNR_INT32 ? 4
                                                                                    : 8);
    t->raw_data.data = need(d, t->raw_data.len);
    return t;
}

static void retype_attr(struct damage *d, Onnx__AttributeProto *a) {
    clear_attr(a);
    a->type = (Onnx__AttributeProto__AttributeType)(rnd(d, 8) ? 1 + rnd(d, 8) : rnd(d, 16));
    a->has_i = a->has_f = a->has_s = 1;
    a->i = odd_int(d);
    a->f = (float)odd_float(d);
    a->s = bytes(d, odd_text(d));
    if (a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR)
        a->t = odd_tensor(d);
    a->n_ints = a->n_floats = a->n_strings = rnd(d, 4);
    a->ints = need(d, 4 * sizeof *a->ints);
    a->floats = need(d, 4 * sizeof *a->floats);
    a->strings = need(d, 4 * sizeof *a->strings);
    for (size_t i = 0; i < a->n_ints; i++) {
        a->ints[i] = odd_int(d);
        a->floats[i] = (float)odd_float(d);
        a->strings[i] = bytes(d, odd_text(d));
    }
    if (a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS)
        a->n_ints = 0;
    if (a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS)
        a->n_floats = 0;
    if (a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS)
        a->n_strings = 0;
    say(d, " of type %d", (int)a->type);
}

// A list gets another element, loses one, or all, or is doubled.
static size_t resize_list(struct damage *d, void **list, size_t n, size_t size) {
    const size_t to = (const size_t[]){0, n > 0 ? n - 1 : 1, n + 1, 2 * n + 1}[rnd(d, 4)];
    char *grown = need(d, (to + 1) * size);
    for (size_t i = 0; i < to && n > 0; i++)
        memcpy(grown + i * size, (const char *)*list + (i % n) * size, size);
    say(d, " has %zu elements instead of %zu", to, n);
    *list = grown;
    return to;
}

static void change_list(struct damage *d, Onnx__AttributeProto *a) {
    if (rnd(d, 3) == 0) {
        if (a->n_ints > 0)
            a->n_ints = resize_list(d, (void **)&a->ints, a->n_ints, sizeof *a->ints);
        else if (a->n_floats > 0)
            a->n_floats = resize_list(d, (void **)&a->floats, a->n_floats, sizeof *a->floats);
        else if (a->n_strings > 0)
            a->n_strings = resize_list(d, (void **)&a->strings, a->n_strings, sizeof *a->strings);
        return;
    }
    const uint32_t at = rnd(d, a->n_ints + a->n_floats + a->n_strings);
    if (at < a->n_ints) {
        a->ints[at] = rnd(d, 3) ? odd_int(d) : near(d, a->ints[at]);
        say(d, "[%u] = %lld", at, (long long)a->ints[at]);
    } else if (at < a->n_floats) {
        a->floats[at] = (float)odd_float(d);
        say(d, "[%u] = %g", at, (double)a->floats[at]);
    } else if (at < a->n_strings) {
        a->strings[at] = bytes(d, odd_text(d));
        say(d, "[%u] = '%s'", at, (const char *)a->strings[at].data);
    }
}

static void change_attr_tensor(struct damage *d, Onnx__TensorProto *t) {
    if (rnd(d, 3) == 0 && t->n_dims > 0) {
        const uint32_t at = rnd(d, t->n_dims);
        t->dims[at] = odd_int(d);
        say(d, ": dim %u of its tensor = %lld", at, (long long)t->dims[at]);
    } else if (rnd(d, 2)) {
        t->data_type = (int32_t)rnd(d, 28);
        say(d, ": its tensor has dtype %d", t->data_type);
    } else if (t->n_int64_data > 0) {
        t->int64_data[rnd(d, t->n_int64_data)] = odd_int(d);
        say(d, ": an element of its tensor is odd");
    } else {
        *t = *odd_tensor(d);
        say(d, ": another tensor");
    }
}

static void change_attr(struct damage *d) {
    Onnx__NodeProto *n = any_node(d);
    if (!n || n->n_attribute == 0)
        return;
    const uint32_t at = rnd(d, n->n_attribute);
    Onnx__AttributeProto *a = n->attribute[at];
    say(d, "; %s.%s", n->op_type, a->name);
    if (rnd(d, 5) == 0) {
        n->attribute[at] = n->attribute[--n->n_attribute];
        say(d, " is gone");
    } else if (rnd(d, 6) == 0) {
        retype_attr(d, a);
    } else if (a->n_ints + a->n_floats + a->n_strings > 0) {
        change_list(d, a);
    } else if (a->t) {
        change_attr_tensor(d, a->t);
    } else if (a->has_s) {
        a->s = bytes(d, odd_text(d));
        say(d, " = '%s'", (const char *)a->s.data);
    } else if (a->has_f) {
        a->f = (float)odd_float(d);
        say(d, " = %g", (double)a->f);
    } else {
        a->i = rnd(d, 3) ? odd_int(d) : near(d, a->i);
        say(d, " = %lld", (long long)a->i);
    }
}

// An attribute that some other operator has.
static void add_attr(struct damage *d) {
    static const char *const names[] = {"axis",
                                        "axes",
                                        "keepdims",
                                        "group",
                                        "pads",
                                        "strides",
                                        "dilations",
                                        "kernel_shape",
                                        "alpha",
                                        "mode",
                                        "to",
                                        "epsilon",
                                        "perm",
                                        "auto_pad",
                                        "ceil_mode",
                                        "output_shape",
                                        "output_padding",
                                        "hidden_size",
                                        "direction",
                                        "block_size",
                                        "num_outputs",
                                        "broadcast",
                                        "dtype",
                                        "k",
                                        "value",
                                        "shape",
                                        "scale",
                                        "p",
                                        "size"};
    Onnx__NodeProto *n = any_node(d);
    if (!n)
        return;
    Onnx__AttributeProto **all = need(d, (n->n_attribute + 1) * sizeof *all);
    if (n->n_attribute > 0)
        memcpy(all, n->attribute, n->n_attribute * sizeof *all);
    Onnx__AttributeProto *a = need(d, sizeof *a);
    onnx__attribute_proto__init(a);
    a->name = text(d, names[rnd(d, BNR_COUNT(names))]);
    say(d, "; %s gets %s", n->op_type, a->name);
    retype_attr(d, a);
    all[n->n_attribute++] = a;
    n->attribute = all;
}

// ---- nodes --------------------------------------------------------------------------------------

static void change_node(struct damage *d) {
    Onnx__NodeProto *n = any_node(d);
    if (!n || n->n_input == 0)
        return;
    const uint32_t i = rnd(d, n->n_input), j = rnd(d, n->n_input);
    char *was = n->input[i];
    if (strcmp(n->op_type, "Loop") == 0 && i == 0)
        return; // what may then run for ever is no wrong Loop
    switch (rnd(d, 4)) {
    case 0:
        n->input[i] = text(d, "");
        say(d, "; %s without input %u", n->op_type, i);
        break;
    case 1:
        n->n_input--;
        say(d, "; %s has %zu inputs", n->op_type, n->n_input);
        break;
    case 2:
        n->input[i] = n->input[j];
        n->input[j] = was;
        say(d, "; %s with inputs %u and %u swapped", n->op_type, i, j);
        break;
    default:
        n->input[i] = n->input[j];
        say(d, "; %s with input %u also as %u", n->op_type, j, i);
        break;
    }
}

static void change_outputs(struct damage *d) {
    Onnx__NodeProto *n = any_node(d);
    if (!n || n->n_output == 0)
        return;
    char **all = need(d, (n->n_output + 1) * sizeof *all);
    memcpy(all, n->output, n->n_output * sizeof *all);
    all[n->n_output] = text(d, "one_more");
    n->output = all;
    n->n_output++;
    say(d, "; %s with one more output", n->op_type);
}

static void change_opset(struct damage *d) {
    if (d->model->n_opset_import == 0)
        return;
    Onnx__OperatorSetIdProto *o = d->model->opset_import[rnd(d, d->model->n_opset_import)];
    o->version = rnd(d, 4) ? 1 + (int64_t)rnd(d, 27) : o->version + 1;
    say(d, "; opset %lld", (long long)o->version);
}

// ---- inputs -------------------------------------------------------------------------------------

static struct bnr_tensor *make(struct damage *d, enum bnr_dtype dtype, int rank,
                               const int64_t *dims) {
    bnr_tensor *t = NULL;
    if (dtype != BNR_STRING) {
        bnr_tensor_create(&t, dtype, rank, dims, NULL, NULL);
        return t;
    }
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    const char **strings = need(d, (n + 1) * sizeof *strings);
    for (size_t i = 0; i < n; i++)
        strings[i] = odd_text(d);
    bnr_tensor_create_strings(&t, rank, dims, strings, NULL, NULL);
    return t;
}

// The elements of `from`, as often as they are needed.
static void fill(struct bnr_tensor *t, const struct bnr_tensor *from) {
    if (t->dtype == BNR_STRING || from->dtype == BNR_STRING || from->numel == 0 ||
        bnr__dtype_class(t->dtype) == BNR_CLASS_COMPLEX ||
        bnr__dtype_class(from->dtype) == BNR_CLASS_COMPLEX)
        return;
    for (size_t i = 0; i < t->numel; i++) {
        const double v = bnr__tensor_f64(from, i % from->numel);
        const int64_t k = v > -1e18 && v < 1e18 ? (int64_t)v : 0;
        void *at = t->u8 + i * bnr__dtype_size(t->dtype);
        if (bnr__dtype_is_float(t->dtype))
            bnr__store_f64(t->dtype, at, &v, 1);
        else
            bnr__store_i64(t->dtype, at, &k, 1);
    }
}

static void replace(struct damage *d, size_t i, enum bnr_dtype dtype, int rank,
                    const int64_t *dims) {
    struct bnr_tensor *t = make(d, dtype, rank, dims);
    if (!t)
        return;
    fill(t, d->inputs[i]);
    bnr_tensor_release(d->inputs[i]);
    d->inputs[i] = t;
}

static void change_dtype(struct damage *d, size_t i) {
    const struct bnr_tensor *t = d->inputs[i];
    const enum bnr_dtype to = (enum bnr_dtype)(1 + rnd(d, BNR_DTYPE_COUNT - 1));
    say(d, "; input %zu is %s", i, bnr_dtype_name(to));
    replace(d, i, to, t->rank, t->dims);
}

static void change_dims(struct damage *d, size_t i) {
    static const int64_t sizes[] = {0,        1, 2, 3, 5, 8, 17, (int64_t)1 << 31, (int64_t)1 << 62,
                                    INT64_MAX};
    const struct bnr_tensor *t = d->inputs[i];
    int64_t dims[BNR_MAX_RANK];
    int rank = t->rank;
    memcpy(dims, t->dims, (size_t)rank * sizeof *dims);
    switch (rank > 0 ? rnd(d, 4) : 0) {
    case 0: // a dim more
        if (rank == BNR_MAX_RANK)
            return;
        dims[rank++] = 1 + (int64_t)rnd(d, 2);
        break;
    case 1: // a dim less
        rank--;
        break;
    case 2: // all dims, huge ones beside a 0 (but Scan goes through every row, empty or not)
        for (int k = 0; k < rank; k++)
            dims[k] = sizes[rnd(d, has_op(d, "Scan") ? 7 : BNR_COUNT(sizes))];
        dims[rnd(d, (size_t)rank)] = 0;
        break;
    default:
        dims[rnd(d, (size_t)rank)] = sizes[rnd(d, 7)];
        break;
    }
    double n = 1;
    bool zero = false;
    for (int k = 0; k < rank; k++) {
        n *= (double)dims[k];
        zero = zero || dims[k] == 0;
    }
    if (!zero && n > MAX_ELEMENTS)
        return;
    say(d, "; input %zu is [", i);
    for (int k = 0; k < rank; k++)
        say(d, "%s%lld", k ? "," : "", (long long)dims[k]);
    say(d, "]");
    replace(d, i, t->dtype, rank, dims);
}

static void change_elements(struct damage *d, size_t i) {
    struct bnr_tensor *t = d->inputs[i];
    if (t->numel == 0 || bnr__dtype_class(t->dtype) == BNR_CLASS_COMPLEX)
        return;
    const struct bnr_tensor *from = t;
    replace(d, i, t->dtype, t->rank, t->dims); // inputs of other cases share the tensor
    t = d->inputs[i];
    if (t == from || t->dtype == BNR_STRING)
        return;
    // What says how often a body is to run may be long without being wrong.
    const bool runs = has_op(d, "Loop") || has_op(d, "Scan");
    for (uint32_t k = 1 + rnd(d, 3); k > 0; k--) {
        const uint32_t at = rnd(d, t->numel);
        void *p = t->u8 + at * bnr__dtype_size(t->dtype);
        const double f = odd_float(d);
        const int64_t n = runs ? (int64_t)rnd(d, 20) - 5 : odd_int(d);
        if (bnr__dtype_is_float(t->dtype)) {
            bnr__store_f64(t->dtype, p, &f, 1);
            say(d, "; input %zu[%u] = %g", i, at, f);
        } else {
            bnr__store_i64(t->dtype, p, &n, 1);
            say(d, "; input %zu[%u] = %lld", i, at, (long long)n);
        }
    }
}

static void change_input(struct damage *d) {
    const size_t i = rnd(d, d->n_inputs);
    if (d->n_inputs == 0 || !d->inputs[i] || d->inputs[i]->kind != BNR_KIND_TENSOR)
        return;
    switch (rnd(d, 4)) {
    case 0:
        change_dtype(d, i);
        break;
    case 1:
        change_elements(d, i);
        break;
    default:
        change_dims(d, i);
        break;
    }
}

static void change_initializer(struct damage *d) {
    Onnx__GraphProto *g = d->model->graph;
    if (g->n_initializer == 0)
        return;
    Onnx__TensorProto *t = g->initializer[rnd(d, g->n_initializer)];
    say(d, "; initializer %s", t->name);
    change_attr_tensor(d, t);
}

// ---- declarations -------------------------------------------------------------------------------

// The declared type follows the tensor: exactly, with open dims, or without a shape.
static void declare(struct damage *d, size_t i) {
    const struct bnr_tensor *t = d->inputs[i];
    if (!t || t->kind != BNR_KIND_TENSOR)
        return;
    Onnx__TypeProto *type = need(d, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = need(d, sizeof *tensor);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)t->dtype;
    input_of(d, i)->type = type;
    const uint32_t how = rnd(d, 3);
    if (how == 0)
        return;
    Onnx__TensorShapeProto *shape = tensor->shape = need(d, sizeof *shape);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = need(d, ((size_t)t->rank + 1) * sizeof *shape->dim);
    for (int k = 0; k < t->rank; k++) {
        Onnx__TensorShapeProto__Dimension *dim = shape->dim[shape->n_dim++] = need(d, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        if (how == 1)
            continue;
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = t->dims[k];
    }
}

static void to_initializer(struct damage *d, size_t i) {
    Onnx__GraphProto *g = d->model->graph;
    struct bnr_tensor *t = d->inputs[i];
    if (!t || t->kind != BNR_KIND_TENSOR || t->dtype == BNR_STRING || bnr__dtype_bits(t->dtype) < 8)
        return;
    Onnx__TensorProto *p = need(d, sizeof *p);
    onnx__tensor_proto__init(p);
    p->name = input_of(d, i)->name;
    p->has_data_type = p->has_raw_data = 1;
    p->data_type = (int32_t)t->dtype;
    p->n_dims = (size_t)t->rank;
    p->dims = need(d, (p->n_dims + 1) * sizeof *p->dims);
    memcpy(p->dims, t->dims, p->n_dims * sizeof *p->dims);
    p->raw_data.len = t->numel * bnr__dtype_size(t->dtype);
    p->raw_data.data = need(d, p->raw_data.len);
    memcpy(p->raw_data.data, t->data, p->raw_data.len);
    Onnx__TensorProto **all = need(d, (g->n_initializer + 1) * sizeof *all);
    if (g->n_initializer > 0)
        memcpy(all, g->initializer, g->n_initializer * sizeof *all);
    all[g->n_initializer++] = p;
    g->initializer = all;
    bnr_tensor_release(t);
    for (size_t k = i + 1; k < d->n_inputs; k++) {
        g->input[k - 1] = g->input[k];
        d->inputs[k - 1] = d->inputs[k];
    }
    g->n_input = --d->n_inputs;
    say(d, "; input %zu is constant", i);
}

void damage_apply(struct damage *d) {
    static void (*const changes[])(struct damage *) = {
        change_attr, change_attr, change_attr,    change_input,       change_input, change_input,
        add_attr,    change_node, change_outputs, change_initializer, change_opset};
    Onnx__GraphProto *g = d->model->graph;
    for (uint32_t n = 1 + rnd(d, 3); n > 0; n--)
        changes[rnd(d, BNR_COUNT(changes))](d);
    const bool keep = rnd(d, 8) == 0;
    for (size_t i = 0; i < d->n_inputs && !keep; i++)
        declare(d, i);
    for (size_t i = 0; i < g->n_output && !keep; i++)
        g->output[i]->type = NULL;
    if (!keep)
        g->n_value_info = 0;
    for (size_t i = d->n_inputs; i > 0; i--)
        if (rnd(d, 5) == 0)
            to_initializer(d, i - 1);
}
