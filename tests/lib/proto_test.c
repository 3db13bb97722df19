// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/proto_test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/onnx_file.h"
#include "runtime/base/text.h"

static void *need(void *p) {
    if (!p)
        abort();
    return p;
}

void *pb_grow(struct bnr_arena *a, void *array, size_t count, size_t size) {
    if (count & (count - 1)) // not at a power of two: there is room
        return array;
    char *p = need(bnr__arena_array(a, count ? count * 2 : 1, size));
    if (count)
        memcpy(p, array, count * size);
    return p;
}

char *pb_text(const char *s) {
    return (char *)(uintptr_t)s;
}

Onnx__TensorProto *pb_tensor(struct bnr_arena *a, const char *name, int dtype, int rank,
                             const int64_t *dims) {
    Onnx__TensorProto *t = need(BNR_NEW(a, Onnx__TensorProto));
    onnx__tensor_proto__init(t);
    t->name = pb_text(name);
    t->has_data_type = 1;
    t->data_type = dtype;
    for (int i = 0; i < rank; i++)
        PB_PUSH(a, t, dims, dims[i]);
    return t;
}

void pb_raw(Onnx__TensorProto *t, const void *data, size_t size) {
    t->has_raw_data = 1;
    t->raw_data.data = (uint8_t *)(uintptr_t)data;
    t->raw_data.len = size;
}

Onnx__TensorProto *pb_floats(struct bnr_arena *a, const char *name, int rank, const int64_t *dims) {
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    float *data = need(BNR_NEW_ARRAY(a, n, float));
    for (size_t i = 0; i < n; i++)
        data[i] = 0.5f * (float)i;
    Onnx__TensorProto *t = pb_tensor(a, name, BNR_FLOAT, rank, dims);
    pb_raw(t, data, n * sizeof *data);
    return t;
}

static Onnx__StringStringEntryProto *entry(struct bnr_arena *a, const char *key, const char *value) {
    Onnx__StringStringEntryProto *e = need(BNR_NEW(a, Onnx__StringStringEntryProto));
    onnx__string_string_entry_proto__init(e);
    e->key = pb_text(key);
    e->value = pb_text(value);
    return e;
}

void pb_external(struct bnr_arena *a, Onnx__TensorProto *t, const char *location, const char *offset,
                 const char *length) {
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (location)
        PB_PUSH(a, t, external_data, entry(a, "location", location));
    if (offset)
        PB_PUSH(a, t, external_data, entry(a, "offset", offset));
    if (length)
        PB_PUSH(a, t, external_data, entry(a, "length", length));
}

Onnx__ValueInfoProto *pb_value(struct bnr_arena *a, const char *name, int dtype, int rank,
                               const int64_t *dims) {
    Onnx__ValueInfoProto *v = need(BNR_NEW(a, Onnx__ValueInfoProto));
    Onnx__TypeProto *type = need(BNR_NEW(a, Onnx__TypeProto));
    Onnx__TypeProto__Tensor *tensor = need(BNR_NEW(a, Onnx__TypeProto__Tensor));
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    v->name = pb_text(name);
    v->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = dtype;
    if (rank < 0)
        return v;
    tensor->shape = need(BNR_NEW(a, Onnx__TensorShapeProto));
    onnx__tensor_shape_proto__init(tensor->shape);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *d = need(BNR_NEW(a, Onnx__TensorShapeProto__Dimension));
        onnx__tensor_shape_proto__dimension__init(d);
        if (dims[i] != -1) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = dims[i];
        }
        PB_PUSH(a, tensor->shape, dim, d);
    }
    return v;
}

static void push_names(struct bnr_arena *a, const char *names, size_t *n, char ***list) {
    struct {
        size_t n_list;
        char **list;
    } to = {0}, *m = &to;
    for (const char *p = names; *names;) {
        size_t length = strcspn(p, ",");
        PB_PUSH(a, m, list, need(bnr__arena_strndup(a, p, length)));
        if (!p[length])
            break;
        p += length + 1;
    }
    *n = to.n_list;
    *list = to.list;
}

Onnx__NodeProto *pb_node(struct bnr_arena *a, const char *op_type, const char *inputs,
                         const char *outputs) {
    Onnx__NodeProto *n = need(BNR_NEW(a, Onnx__NodeProto));
    onnx__node_proto__init(n);
    n->op_type = pb_text(op_type);
    push_names(a, inputs, &n->n_input, &n->input);
    push_names(a, outputs, &n->n_output, &n->output);
    return n;
}

Onnx__AttributeProto *pb_attr(struct bnr_arena *a, const char *name, int type) {
    Onnx__AttributeProto *p = need(BNR_NEW(a, Onnx__AttributeProto));
    onnx__attribute_proto__init(p);
    p->name = pb_text(name);
    p->has_type = 1;
    p->type = (Onnx__AttributeProto__AttributeType)type;
    return p;
}

Onnx__GraphProto *pb_graph(struct bnr_arena *a, const char *name) {
    Onnx__GraphProto *g = need(BNR_NEW(a, Onnx__GraphProto));
    onnx__graph_proto__init(g);
    g->name = pb_text(name);
    return g;
}

static Onnx__OperatorSetIdProto *opset(struct bnr_arena *a, const char *domain, int64_t version) {
    Onnx__OperatorSetIdProto *o = need(BNR_NEW(a, Onnx__OperatorSetIdProto));
    onnx__operator_set_id_proto__init(o);
    o->domain = pb_text(domain);
    o->has_version = 1;
    o->version = version;
    return o;
}

Onnx__ModelProto *pb_model(struct bnr_arena *a, Onnx__GraphProto *graph) {
    Onnx__ModelProto *m = need(BNR_NEW(a, Onnx__ModelProto));
    onnx__model_proto__init(m);
    m->has_ir_version = 1;
    m->ir_version = 8;
    m->graph = graph;
    PB_PUSH(a, m, opset_import, opset(a, "", 17));
    return m;
}

Onnx__ModelProto *pb_relu_model(struct bnr_arena *a) {
    Onnx__GraphProto *g = pb_graph(a, "relu");
    const int64_t dims[] = {1, 4};
    PB_PUSH(a, g, input, pb_value(a, "x", BNR_FLOAT, 2, dims));
    PB_PUSH(a, g, output, pb_value(a, "y", BNR_FLOAT, 2, dims));
    PB_PUSH(a, g, node, pb_node(a, "Relu", "x", "y"));
    return pb_model(a, g);
}

// ---- the rich model ---------------------------------------------------------------------------------

static void add_initializers(struct bnr_arena *a, Onnx__GraphProto *g) {
    static const uint8_t nibbles[] = {0x21, 0x43, 0x05};
    static const char *const words[] = {"one", "", "three"};
    Onnx__TensorProto *t = pb_floats(a, "weight", 2, (int64_t[]){30, 10});
    t->doc_string = pb_text("how it was trained");
    PB_PUSH(a, t, metadata_props, entry(a, "tensor", "note"));
    PB_PUSH(a, g, initializer, t);
    t = pb_tensor(a, "scale", BNR_FLOAT, 1, (int64_t[]){4});
    for (int i = 0; i < 4; i++)
        PB_PUSH(a, t, float_data, 1.5f + (float)i);
    PB_PUSH(a, g, initializer, t);
    t = pb_tensor(a, "shape", BNR_INT64, 1, (int64_t[]){2});
    PB_PUSH(a, t, int64_data, 1);
    PB_PUSH(a, t, int64_data, -1);
    PB_PUSH(a, g, initializer, t);
    t = pb_tensor(a, "nibbles", BNR_INT4, 1, (int64_t[]){5});
    pb_raw(t, nibbles, sizeof nibbles);
    PB_PUSH(a, g, initializer, t);
    t = pb_tensor(a, "words", BNR_STRING, 1, (int64_t[]){3});
    for (int i = 0; i < 3; i++)
        PB_PUSH(a, t, string_data,
                ((ProtobufCBinaryData){strlen(words[i]), (uint8_t *)(uintptr_t)words[i]}));
    PB_PUSH(a, g, initializer, t);
    PB_PUSH(a, g, initializer, pb_floats(a, "zero_by_four", 2, (int64_t[]){0, 4}));

    Onnx__SparseTensorProto *s = need(BNR_NEW(a, Onnx__SparseTensorProto));
    onnx__sparse_tensor_proto__init(s);
    s->values = pb_floats(a, "sparse", 1, (int64_t[]){2});
    s->indices = pb_tensor(a, "", BNR_INT64, 1, (int64_t[]){2});
    PB_PUSH(a, s->indices, int64_data, 1);
    PB_PUSH(a, s->indices, int64_data, 5);
    PB_PUSH(a, s, dims, 2);
    PB_PUSH(a, s, dims, 3);
    PB_PUSH(a, g, sparse_initializer, s);
}

static Onnx__GraphProto *branch(struct bnr_arena *a, const char *name, const char *op) {
    Onnx__GraphProto *g = pb_graph(a, name);
    Onnx__NodeProto *constant = pb_node(a, "Constant", "", "k");
    Onnx__AttributeProto *value = pb_attr(a, "value_float", BNR_ATTR_FLOAT);
    value->has_f = 1;
    value->f = 0.25f;
    PB_PUSH(a, constant, attribute, value);
    PB_PUSH(a, g, node, constant);
    PB_PUSH(a, g, node, pb_node(a, op, "h,k", "r"));
    PB_PUSH(a, g, output, pb_value(a, "r", BNR_FLOAT, -1, NULL));
    g->doc_string = pb_text("a branch");
    return g;
}

static Onnx__NodeProto *if_node(struct bnr_arena *a) {
    Onnx__NodeProto *n = pb_node(a, "If", "flag", "chosen");
    n->name = pb_text("choose");
    Onnx__AttributeProto *g = pb_attr(a, "then_branch", BNR_ATTR_GRAPH);
    g->g = branch(a, "then", "Add");
    PB_PUSH(a, n, attribute, g);
    g = pb_attr(a, "else_branch", BNR_ATTR_GRAPH);
    g->g = branch(a, "else", "Mul");
    PB_PUSH(a, n, attribute, g);
    return n;
}

static Onnx__NodeProto *custom_node(struct bnr_arena *a) {
    Onnx__NodeProto *n = pb_node(a, "Everything", "chosen,,weight", "custom,,extra");
    n->domain = pb_text("test.domain");
    n->doc_string = pb_text("a node's note");
    PB_PUSH(a, n, metadata_props, entry(a, "node", "meta"));
    Onnx__AttributeProto *p = pb_attr(a, "ints", BNR_ATTR_INTS);
    PB_PUSH(a, p, ints, -7);
    PB_PUSH(a, p, ints, INT64_MAX);
    p->doc_string = pb_text("an attribute's note");
    PB_PUSH(a, n, attribute, p);
    p = pb_attr(a, "floats", BNR_ATTR_FLOATS);
    PB_PUSH(a, p, floats, 1.25f);
    PB_PUSH(a, n, attribute, p);
    p = pb_attr(a, "strings", BNR_ATTR_STRINGS);
    PB_PUSH(a, p, strings, ((ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "abc"}));
    PB_PUSH(a, n, attribute, p);
    p = pb_attr(a, "tensors", BNR_ATTR_TENSORS);
    PB_PUSH(a, p, tensors, pb_floats(a, "", 1, (int64_t[]){300}));
    PB_PUSH(a, n, attribute, p);
    p = pb_attr(a, "type", BNR_ATTR_TYPE_PROTO);
    p->tp = pb_value(a, "", BNR_DOUBLE, 1, (int64_t[]){-1})->type;
    PB_PUSH(a, n, attribute, p);
    return n;
}

static Onnx__FunctionProto *function(struct bnr_arena *a) {
    Onnx__FunctionProto *f = need(BNR_NEW(a, Onnx__FunctionProto));
    onnx__function_proto__init(f);
    f->name = pb_text("Twice");
    f->domain = pb_text("local");
    PB_PUSH(a, f, input, pb_text("v"));
    PB_PUSH(a, f, output, pb_text("w"));
    PB_PUSH(a, f, opset_import, opset(a, "", 17));
    Onnx__NodeProto *leaky = pb_node(a, "LeakyRelu", "v", "u");
    Onnx__AttributeProto *alpha = pb_attr(a, "alpha", BNR_ATTR_FLOAT);
    alpha->ref_attr_name = pb_text("slope");
    PB_PUSH(a, leaky, attribute, alpha);
    PB_PUSH(a, f, node, leaky);
    PB_PUSH(a, f, node, pb_node(a, "Add", "u,u", "w"));
    PB_PUSH(a, f, attribute, pb_text("slope"));
    return f;
}

static Onnx__NodeProto *call(struct bnr_arena *a) {
    Onnx__NodeProto *n = pb_node(a, "Twice", "x", "h");
    n->domain = pb_text("local");
    n->name = pb_text("twice");
    Onnx__AttributeProto *slope = pb_attr(a, "slope", BNR_ATTR_FLOAT);
    slope->has_f = 1;
    slope->f = 0.125f;
    PB_PUSH(a, n, attribute, slope);
    return n;
}

Onnx__ModelProto *pb_rich_model(struct bnr_arena *a) {
    Onnx__GraphProto *g = pb_graph(a, "rich");
    PB_PUSH(a, g, input, pb_value(a, "x", BNR_FLOAT, 2, (int64_t[]){-1, 10}));
    PB_PUSH(a, g, input, pb_value(a, "flag", BNR_BOOL, 0, NULL));
    g->input[0]->type->tensor_type->shape->dim[0]->value_case =
        ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    g->input[0]->type->tensor_type->shape->dim[0]->dim_param = pb_text("batch");
    g->input[0]->doc_string = pb_text("an input's note");
    add_initializers(a, g);
    Onnx__NodeProto *constant = pb_node(a, "Constant", "", "c");
    Onnx__AttributeProto *value = pb_attr(a, "value", BNR_ATTR_TENSOR);
    value->t = pb_floats(a, "", 1, (int64_t[]){10});
    PB_PUSH(a, constant, attribute, value);
    PB_PUSH(a, g, node, call(a));
    PB_PUSH(a, g, node, if_node(a));
    PB_PUSH(a, g, node, constant);
    PB_PUSH(a, g, node, custom_node(a));
    PB_PUSH(a, g, node, pb_node(a, "Mul", "custom,c", "y"));
    PB_PUSH(a, g, output, pb_value(a, "y", BNR_FLOAT, -1, NULL));
    PB_PUSH(a, g, value_info, pb_value(a, "chosen", BNR_FLOAT, 2, (int64_t[]){-1, 10}));
    PB_PUSH(a, g, value_info, pb_value(a, "gone", BNR_FLOAT, -1, NULL));
    g->doc_string = pb_text("a graph's note");
    PB_PUSH(a, g, metadata_props, entry(a, "graph", "meta"));
    Onnx__TensorAnnotation *q = need(BNR_NEW(a, Onnx__TensorAnnotation));
    onnx__tensor_annotation__init(q);
    q->tensor_name = pb_text("c");
    PB_PUSH(a, q, quant_parameter_tensor_names, entry(a, "SCALE_TENSOR", "scale"));
    PB_PUSH(a, g, quantization_annotation, q);

    Onnx__ModelProto *m = pb_model(a, g);
    m->producer_name = pb_text("a test");
    m->producer_version = pb_text("1.0");
    m->has_model_version = 1;
    m->model_version = 3;
    m->doc_string = pb_text("a model's note");
    PB_PUSH(a, m, opset_import, opset(a, "test.domain", 2));
    PB_PUSH(a, m, opset_import, opset(a, "local", 1));
    PB_PUSH(a, m, metadata_props, entry(a, "author", "nobody"));
    PB_PUSH(a, m, functions, function(a));
    Onnx__TrainingInfoProto *training = need(BNR_NEW(a, Onnx__TrainingInfoProto));
    onnx__training_info_proto__init(training);
    training->algorithm = pb_graph(a, "step");
    PB_PUSH(a, training->algorithm, initializer, pb_floats(a, "rate", 1, (int64_t[]){200}));
    PB_PUSH(a, training, update_binding, entry(a, "weight", "new_weight"));
    PB_PUSH(a, m, training_info, training);
    return m;
}

// ---- bytes, models, files ---------------------------------------------------------------------------

uint8_t *pb_pack(struct bnr_arena *a, const void *message, size_t *size) {
    *size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = need(bnr__arena_alloc(a, *size));
    protobuf_c_message_pack(message, bytes);
    return bytes;
}

enum bnr_status pb_load(struct bnr_arena *a, const void *message, struct bnr_model **out,
                        struct bnr_error *err) {
    size_t size;
    uint8_t *bytes = pb_pack(a, message, &size);
    return bnr__model_read_memory(out, bytes, size, NULL, err);
}

char *pb_print(const struct bnr_model *m) {
    struct bnr_text t = {0};
    bnr__print_text(&t, m);
    need(t.data);
    char *rest = need(strchr(t.data, '\n')), *copy = need(strdup(rest));
    bnr__text_free(&t);
    return copy;
}

void test_folder_make(char path[256]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, 256, "%s/bnrun-test-XXXXXX", tmp ? tmp : "/tmp");
    need(mkdtemp(path));
}

static size_t each_file(const char *path, int remove) {
    size_t n = 0;
    DIR *d = need(opendir(path));
    for (struct dirent *e; (e = readdir(d));) {
        char file[600];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        struct stat info;
        if (remove && lstat(file, &info) == 0 && S_ISDIR(info.st_mode))
            test_folder_remove(file);
        else if (remove)
            unlink(file);
        n++;
    }
    closedir(d);
    return n;
}

void test_folder_remove(const char *path) {
    each_file(path, 1);
    rmdir(path);
}

size_t test_folder_count(const char *path) {
    return each_file(path, 0);
}

void write_bytes(const char *path, const void *data, size_t size) {
    FILE *f = need(fopen(path, "wb"));
    if (fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

uint8_t *read_bytes(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = need(malloc(*size + 1));
    if (fread(data, 1, *size, f) != *size)
        abort();
    fclose(f);
    return data;
}
