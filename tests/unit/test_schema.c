// SPDX-License-Identifier: Apache-2.0
// proto/onnx.proto against the schema that libonnx-dev installs: every message, field number, type, label,
// packed flag and enum value of that one must be in ours, and the same. Ours may have more, as it is newer.
// BNR_ONNX_PROTO names another copy to compare with.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/fields.h"
#include "proto/onnx.pb-c.h"

#define INSTALLED "/usr/include/onnx/"

// ---- our descriptors, by full name ------------------------------------------------------------------

static const ProtobufCMessageDescriptor *messages[100];
static const ProtobufCEnumDescriptor *enums[20];
static size_t n_messages, n_enums;

static void add_enum(const ProtobufCEnumDescriptor *d) {
    for (size_t i = 0; i < n_enums; i++)
        if (enums[i] == d)
            return;
    assert_true(n_enums < sizeof enums / sizeof enums[0]);
    enums[n_enums++] = d;
}

static void add_message(const ProtobufCMessageDescriptor *d) {
    for (size_t i = 0; i < n_messages; i++)
        if (messages[i] == d)
            return;
    assert_true(n_messages < sizeof messages / sizeof messages[0]);
    messages[n_messages++] = d;
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            add_message(d->fields[i].descriptor);
        else if (d->fields[i].type == PROTOBUF_C_TYPE_ENUM)
            add_enum(d->fields[i].descriptor);
}

static int collect(void **state) {
    (void)state;
    add_message(&onnx__model_proto__descriptor);
    add_message(&onnx__sequence_proto__descriptor);
    add_message(&onnx__operator_set_proto__descriptor);
    // Enums that no field has as its type.
    add_enum(&onnx__version__descriptor);
    add_enum(&onnx__tensor_proto__data_type__descriptor);
    add_enum(&onnx__sequence_proto__data_type__descriptor);
    add_enum(&onnx__optional_proto__data_type__descriptor);
    return 0;
}

static const ProtobufCMessageDescriptor *find_message(const char *name) {
    for (size_t i = 0; i < n_messages; i++)
        if (strcmp(messages[i]->name, name) == 0)
            return messages[i];
    return NULL;
}

static const ProtobufCEnumDescriptor *find_enum(const char *name) {
    for (size_t i = 0; i < n_enums; i++)
        if (strcmp(enums[i]->name, name) == 0)
            return enums[i];
    return NULL;
}

// ---- a .proto file ----------------------------------------------------------------------------------

struct parser {
    const char *p;
    char token[200]; // "" at the end
    size_t fields, values;
};

static void next(struct parser *s) {
    size_t n = 0;
    for (;;) {
        while (isspace((unsigned char)*s->p))
            s->p++;
        if (s->p[0] != '/' || s->p[1] != '/')
            break;
        s->p += strcspn(s->p, "\n");
    }
    if (*s->p == '"') {
        do
            s->token[n++] = *s->p++;
        while (*s->p && *s->p != '"' && n < sizeof s->token - 2);
        s->token[n++] = *s->p++;
    } else if (isalnum((unsigned char)*s->p) || *s->p == '_') {
        while ((isalnum((unsigned char)*s->p) || *s->p == '_' || *s->p == '.') && n < sizeof s->token - 1)
            s->token[n++] = *s->p++;
    } else if (*s->p) {
        s->token[n++] = *s->p++;
    }
    s->token[n] = 0;
}

static bool is(const struct parser *s, const char *token) {
    return strcmp(s->token, token) == 0;
}

static void expect(struct parser *s, const char *token) {
    if (!is(s, token))
        fail_msg("expected '%s' in the schema, found '%s'", token, s->token);
    next(s);
}

static void skip_statement(struct parser *s) {
    while (s->token[0] && !is(s, ";"))
        next(s);
    next(s);
}

static void check_enum(struct parser *s, const char *scope) {
    char name[600];
    next(s);
    snprintf(name, sizeof name, "%s.%s", scope, s->token);
    const ProtobufCEnumDescriptor *ours = find_enum(name);
    if (!ours)
        fail_msg("enum %s is missing", name);
    next(s);
    expect(s, "{");
    while (!is(s, "}")) {
        char value[200];
        snprintf(value, sizeof value, "%s", s->token);
        next(s);
        expect(s, "=");
        int number = (int)strtol(s->token, NULL, 0);
        next(s);
        expect(s, ";");
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(ours, value);
        if (!v)
            fail_msg("%s.%s is missing", name, value);
        // The one value that moves: the newest version.
        if (strcmp(value, "IR_VERSION") == 0 ? v->value < number : v->value != number)
            fail_msg("%s.%s is %d, the schema has %d", name, value, v->value, number);
        s->values++;
    }
    next(s);
}

static const char *type_name(const ProtobufCFieldDescriptor *f) {
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
        return "int32";
    case PROTOBUF_C_TYPE_INT64:
        return "int64";
    case PROTOBUF_C_TYPE_UINT64:
        return "uint64";
    case PROTOBUF_C_TYPE_FLOAT:
        return "float";
    case PROTOBUF_C_TYPE_DOUBLE:
        return "double";
    case PROTOBUF_C_TYPE_STRING:
        return "string";
    case PROTOBUF_C_TYPE_BYTES:
        return "bytes";
    case PROTOBUF_C_TYPE_MESSAGE:
        return ((const ProtobufCMessageDescriptor *)f->descriptor)->name;
    case PROTOBUF_C_TYPE_ENUM:
        return ((const ProtobufCEnumDescriptor *)f->descriptor)->name;
    default:
        return "another";
    }
}

// A scalar, or a message or enum of the message itself or of the package.
static bool same_type(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                      const char *type) {
    char own[300], global[300];
    snprintf(own, sizeof own, "%s.%s", d->name, type);
    snprintf(global, sizeof global, "onnx.%s", type);
    const char *ours = type_name(f);
    return strcmp(ours, type) == 0 || strcmp(ours, own) == 0 || strcmp(ours, global) == 0;
}

// At the type of a field; `label` "" inside a oneof.
static void check_field(struct parser *s, const ProtobufCMessageDescriptor *d, const char *label) {
    char type[200], name[200];
    bool packed = false;
    snprintf(type, sizeof type, "%s", s->token);
    next(s);
    snprintf(name, sizeof name, "%s", s->token);
    next(s);
    expect(s, "=");
    unsigned id = (unsigned)strtoul(s->token, NULL, 0);
    next(s);
    while (!is(s, ";")) {
        packed |= is(s, "packed");
        next(s);
    }
    next(s);
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, name);
    if (!f)
        fail_msg("%s.%s is missing", d->name, name);
    if (f->id != id)
        fail_msg("%s.%s has number %u, the schema has %u", d->name, name, f->id, id);
    if (!same_type(d, f, type))
        fail_msg("%s.%s is %s, the schema has %s", d->name, name, type_name(f), type);
    bool repeated = strcmp(label, "repeated") == 0;
    if ((f->label == PROTOBUF_C_LABEL_REPEATED) != repeated || f->label == PROTOBUF_C_LABEL_REQUIRED)
        fail_msg("%s.%s has another label than '%s'", d->name, name, label);
    if (((f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0) != packed)
        fail_msg("%s.%s: packed differs", d->name, name);
    if (((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) != (label[0] == 0))
        fail_msg("%s.%s: oneof differs", d->name, name);
    s->fields++;
}

static void check_message(struct parser *s, const char *scope) {
    char name[300];
    next(s);
    snprintf(name, sizeof name, "%s.%s", scope, s->token);
    const ProtobufCMessageDescriptor *d = find_message(name);
    if (!d)
        fail_msg("message %s is missing", name);
    next(s);
    expect(s, "{");
    while (!is(s, "}")) {
        if (is(s, "message")) {
            check_message(s, name);
        } else if (is(s, "enum")) {
            check_enum(s, name);
        } else if (is(s, "reserved")) {
            skip_statement(s);
        } else if (is(s, "oneof")) {
            next(s);
            next(s);
            expect(s, "{");
            while (!is(s, "}"))
                check_field(s, d, "");
            next(s);
        } else if (is(s, ";")) {
            next(s);
        } else {
            char label[200];
            snprintf(label, sizeof label, "%s", s->token);
            next(s);
            check_field(s, d, label);
        }
    }
    next(s);
}

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    assert_true(n > 0 && n < (1 << 20) - 1);
    fclose(f);
    return text;
}

static void test_installed_schema(void **state) {
    (void)state;
    const char *path = getenv("BNR_ONNX_PROTO") ? getenv("BNR_ONNX_PROTO") : INSTALLED "onnx.proto";
    char *text = read_text(path);
    if (!text) {
        print_message("%s is not there: install libonnx-dev to compare with it\n", path);
        skip();
    }
    struct parser s = {.p = text};
    for (next(&s); s.token[0];) {
        if (is(&s, "message"))
            check_message(&s, "onnx");
        else if (is(&s, "enum"))
            check_enum(&s, "onnx");
        else
            skip_statement(&s);
    }
    print_message("%s: %zu fields and %zu enum values agree\n", path, s.fields, s.values);
    assert_true(s.fields > 100 && s.values >= 45);
    free(text);
}

// ---- messages of which only C++ headers are installed -----------------------------------------------

// "tensor_values" is spelled "TensorValues" there.
static bool same_name(const char *snake, const char *camel, size_t n) {
    size_t i = 0;
    for (bool upper = true; *snake; snake++) {
        if (*snake == '_') {
            upper = true;
            continue;
        }
        if (i == n || camel[i++] != (upper ? (char)toupper((unsigned char)*snake) : *snake))
            return false;
        upper = false;
    }
    return i == n;
}

static size_t check_header(const char *path) {
    const ProtobufCMessageDescriptor *d = NULL;
    char line[1024], name[200], field[200];
    size_t n = 0;
    unsigned id;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *class = strstr(line, "class ONNX_API ") == line ? line + 15 : line + 6;
        if (strncmp(line, "class ", 6) == 0 && strstr(line, " final :") &&
            sscanf(class, "%150s", name) == 1) {
            char full[220];
            snprintf(full, sizeof full, "onnx.%s", name);
            for (char *p = full; *p; p++)
                if (*p == '_')
                    *p = '.'; // nested messages
            d = find_message(full);
            if (!d)
                fail_msg("message %s of %s is missing", full, path);
        } else if (d && sscanf(line, " k%190[A-Za-z0-9]FieldNumber = %u", field, &id) >= 1) {
            char *end = strstr(field, "FieldNumber"), *equals = strchr(line, '=');
            if (!end || !equals || sscanf(equals, "= %u", &id) != 1)
                continue;
            const ProtobufCFieldDescriptor *ours = protobuf_c_message_descriptor_get_field(d, id);
            if (!ours || !same_name(ours->name, field, (size_t)(end - field)))
                fail_msg("%s: field %u is %s, %s has %s", d->name, id, ours ? ours->name : "missing", path,
                         field);
            n++;
        }
    }
    if (f)
        fclose(f);
    return n;
}

static void test_installed_headers(void **state) {
    (void)state;
    static const char *const headers[] = {"onnx-data.pb.h", "onnx-operators-ml.pb.h", "onnx-ml.pb.h"};
    size_t n[3];
    for (int i = 0; i < 3; i++) {
        char path[200];
        snprintf(path, sizeof path, INSTALLED "%s", headers[i]);
        n[i] = check_header(path);
        print_message("%s: %zu fields agree\n", path, n[i]);
    }
    if (!n[0] && !n[1] && !n[2]) {
        print_message("install libonnx-dev to compare with its headers\n");
        skip();
    }
    assert_true(n[0] >= 19 && n[1] >= 13 && n[2] >= 100);
}

// ---- what must hold without an installed schema -----------------------------------------------------

static void test_newest_version(void **state) {
    (void)state;
    assert_int_equal(ONNX__VERSION__IR_VERSION, 14);
    // All data types, 0 to 26.
    assert_int_equal(onnx__tensor_proto__data_type__descriptor.n_values, 27);
    for (int i = 0; i < 27; i++)
        assert_int_equal(onnx__tensor_proto__data_type__descriptor.values[i].value, i);
    assert_int_equal(n_messages, 33);
}

static void test_field_numbers(void **state) {
    (void)state;
#define CHECK(constant, message, field, number)                                                    \
    {                                                                                              \
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(               \
            &onnx__##message##_proto__descriptor, number);                                         \
        assert_non_null(f);                                                                        \
        assert_string_equal(f->name, #field);                                                      \
        assert_int_equal(constant, number);                                                        \
    }
    BNR_FIELD_LIST(CHECK)
#undef CHECK
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_installed_schema),
        cmocka_unit_test(test_installed_headers),
        cmocka_unit_test(test_newest_version),
        cmocka_unit_test(test_field_numbers),
    };
    return cmocka_run_group_tests(tests, collect, NULL);
}
