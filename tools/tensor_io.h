// SPDX-License-Identifier: Apache-2.0
// Tensor files by extension: .bin (raw little-endian), .npy, .npz, .pb (TensorProto and relatives).
#ifndef BNR_TOOLS_TENSOR_IO_H
#define BNR_TOOLS_TENSOR_IO_H

#include "tools/cli.h"

enum file_format { FORMAT_NONE, FORMAT_BIN, FORMAT_NPY, FORMAT_NPZ, FORMAT_PB };
enum file_format format_of(const char *path); // by extension; FORMAT_NONE when it is none of these
enum file_format format_named(const char *name); // "bin", "npy", "pb"

// Each returns EXIT_DONE, or reports one line and returns the exit code; *out is then NULL.

// Raw data for the given dims, of which at most one may be open (-1): it follows from the file's size.
int bin_read(bnr_tensor **out, const char *path, const struct bnr_value_info *type);
int npy_read(bnr_tensor **out, const char *path);
// From memory; `path` is for messages.
int npy_parse(bnr_tensor **out, const char *path, const unsigned char *data, size_t size);
// Every array of the archive: names without ".npy".
int npz_read(bnr_tensor ***tensors, struct strings *names, const char *path);

// Writes in the given format. .npy has no bfloat16, float8, float4 or sub-byte integers: those are
// widened without loss to float32 or int8/uint8.
int tensor_write(const bnr_tensor *t, const char *name, const char *path, enum file_format format);

// Reads a whole regular file; the caller frees *data.
int file_read(unsigned char **data, size_t *size, const char *path);

#endif
