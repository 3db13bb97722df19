// SPDX-License-Identifier: Apache-2.0
// Element types: names, sizes and conversions. In memory every element has whole bytes: 4- and 2-bit
// types are held unpacked, one element a byte (sign-extended for the signed ones); packing exists only
// in files and at the API. So data movement never needs to know about sub-byte types.
#ifndef BNR_GRAPH_DTYPE_H
#define BNR_GRAPH_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/bnrun.h"

// One element of a string tensor; not NUL-terminated. The bytes belong to whoever made the tensor: a
// model's arena, a run's string arena, or the tensor's own block.
struct bnr_str {
    const char *ptr;
    size_t len;
};

// The arithmetic class of a dtype: what reference code computes it in.
enum bnr_class {
    BNR_CLASS_NONE,
    BNR_CLASS_FLOAT,   // float32 and everything narrower, through float
    BNR_CLASS_DOUBLE,  // float64
    BNR_CLASS_INT,     // signed integers, through int64_t
    BNR_CLASS_UINT,    // unsigned integers, through uint64_t
    BNR_CLASS_BOOL,    // one byte, 0 or 1
    BNR_CLASS_STRING,  // struct bnr_str
    BNR_CLASS_COMPLEX, // pairs of float or double
};

size_t bnr__dtype_size(enum bnr_dtype d);       // bytes of an element in memory; 0 for UNDEFINED
int bnr__dtype_bits(enum bnr_dtype d);          // bits of an element in a file; 0 for STRING
enum bnr_class bnr__dtype_class(enum bnr_dtype d);
bool bnr__dtype_is_float(enum bnr_dtype d);     // FLOAT or DOUBLE class
bool bnr__dtype_valid(int d);                   // a known number other than UNDEFINED
const char *bnr__dtype_name(enum bnr_dtype d);  // "float32", "int4", "bfloat16", ...; "undefined"
enum bnr_dtype bnr__dtype_parse(const char *name); // UNDEFINED when unknown

// Scalars. Narrowing rounds to nearest even. float8/float4 follow the ONNX Cast tables; `saturate`
// (Cast's attribute) clips out-of-range values to the largest finite one instead of NaN/Inf.
float bnr__f16_to_f32(uint16_t h);
uint16_t bnr__f32_to_f16(float f);
uint16_t bnr__f64_to_f16(double f); // rounds once
float bnr__bf16_to_f32(uint16_t h);
uint16_t bnr__f32_to_bf16(float f);
float bnr__f8_to_f32(enum bnr_dtype d, uint8_t v); // FLOAT8*, FLOAT8E8M0, FLOAT4E2M1
uint8_t bnr__f32_to_f8(enum bnr_dtype d, float f, bool saturate);

// Arrays, n elements, dense. Loading any numeric dtype (bool = 0/1) into a compute type, and storing a
// compute type into any numeric dtype. Float to float narrowing rounds to nearest even (float8
// saturates); integer to narrower integer wraps; float to integer truncates toward zero, out of range
// saturates, NaN gives 0; anything to bool is "!= 0".
// `src`/`dst` point at elements of dtype d.
void bnr__load_f32(float *dst, enum bnr_dtype d, const void *src, size_t n);
void bnr__load_f64(double *dst, enum bnr_dtype d, const void *src, size_t n);
void bnr__load_i64(int64_t *dst, enum bnr_dtype d, const void *src, size_t n); // uint64: bit pattern
void bnr__store_f32(enum bnr_dtype d, void *dst, const float *src, size_t n);
void bnr__store_f64(enum bnr_dtype d, void *dst, const double *src, size_t n);
void bnr__store_i64(enum bnr_dtype d, void *dst, const int64_t *src, size_t n);
double bnr__get_f64(enum bnr_dtype d, const void *src, size_t i);
int64_t bnr__get_i64(enum bnr_dtype d, const void *src, size_t i);

#endif
