// SPDX-License-Identifier: Apache-2.0
// TypeProto to the IR's types.
#include <inttypes.h>

#include "proto/internal.h"

struct reader {
    struct bnr_model *m;
    const char *what;
    struct bnr_error *err;
};

// Exporters write -1 (and proto3 ones nothing at all) for a dim that they do not know.
static enum bnr_status read_dim(struct reader *r, const Onnx__TensorShapeProto__Dimension *p,
                                struct bnr_dim *out) {
    *out = bnr__dim_unknown();
    if (p->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        if (p->dim_value < -1)
            return bnr__fail(r->err, BNR_MALFORMED, "'%s': a dim is %" PRId64 ", expected >= 0", r->what,
                             p->dim_value);
        out->n = p->dim_value;
    } else if (p->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && p->dim_param[0]) {
        out->sym = bnr__model_intern(r->m, p->dim_param);
        if (!out->sym)
            return bnr__no_memory(r->err);
    }
    return BNR_OK;
}

static enum bnr_status read_tensor(struct reader *r, int32_t elem_type, const Onnx__TensorShapeProto *shape,
                                   struct bnr_type *out) {
    if (elem_type != BNR_UNDEFINED && !bnr__dtype_valid(elem_type))
        return bnr__fail(r->err, BNR_MALFORMED, "'%s': element type %d is not known", r->what,
                         (int)elem_type);
    out->dtype = (enum bnr_dtype)elem_type;
    out->shape = bnr__shape_unknown();
    if (!shape)
        return BNR_OK;
    if (shape->n_dim > BNR_MAX_RANK)
        return bnr__fail(r->err, BNR_UNSUPPORTED, "'%s': rank %zu, at most %d is supported", r->what,
                         shape->n_dim, BNR_MAX_RANK);
    out->shape.rank = (int)shape->n_dim;
    for (size_t i = 0; i < shape->n_dim; i++)
        BNR_TRY(read_dim(r, shape->dim[i], &out->shape.dims[i]));
    return BNR_OK;
}

static enum bnr_status read_type(struct reader *r, const Onnx__TypeProto *p, struct bnr_type *out);

static enum bnr_status read_elem(struct reader *r, const Onnx__TypeProto *p, const struct bnr_type **out) {
    if (!p)
        return BNR_OK;
    struct bnr_type *elem = BNR_NEW(&r->m->arena, struct bnr_type);
    if (!elem)
        return bnr__no_memory(r->err);
    *out = elem;
    return read_type(r, p, elem);
}

// As deep as the message, whose nesting was checked.
static enum bnr_status read_type(struct reader *r, const Onnx__TypeProto *p, struct bnr_type *out) {
    *out = (struct bnr_type){.kind = BNR_KIND_TENSOR, .shape = bnr__shape_unknown()};
    switch (p->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return read_tensor(r, p->tensor_type->elem_type, p->tensor_type->shape, out);
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        out->kind = BNR_KIND_SPARSE;
        return read_tensor(r, p->sparse_tensor_type->elem_type, p->sparse_tensor_type->shape, out);
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        out->kind = BNR_KIND_SEQUENCE;
        return read_elem(r, p->sequence_type->elem_type, &out->elem);
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        out->kind = BNR_KIND_OPTIONAL;
        return read_elem(r, p->optional_type->elem_type, &out->elem);
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        out->kind = BNR_KIND_MAP;
        BNR_TRY(read_tensor(r, p->map_type->key_type, NULL, out));
        return read_elem(r, p->map_type->value_type, &out->elem);
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
        return bnr__fail(r->err, BNR_UNSUPPORTED, "'%s' has the opaque type '%s.%s'", r->what,
                         p->opaque_type->domain ? p->opaque_type->domain : "",
                         p->opaque_type->name ? p->opaque_type->name : "");
    default: // a type that says nothing
        return BNR_OK;
    }
}

enum bnr_status bnr__type_from_proto(struct bnr_model *m, const Onnx__TypeProto *p, const char *what,
                                     struct bnr_type *out, struct bnr_error *err) {
    struct reader r = {m, what, err};
    *out = (struct bnr_type){.kind = BNR_KIND_TENSOR, .shape = bnr__shape_unknown()};
    return p ? read_type(&r, p, out) : BNR_OK;
}
