# SPDX-License-Identifier: Apache-2.0
"""Just enough of ONNX Runtime's C API, by ctypes, for the scripts that set bnrun beside it.

The library: $ORT_LIB, or any libonnxruntime.so.1. The npm package onnxruntime-node holds one:
npm install onnxruntime-node@1.30.0 --ignore-scripts
"""
import ctypes as C

# Indices into the table of functions, API version 1.
ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, RUN, CREATE_OPTIONS, SAVE_MODEL = 2, 3, 7, 9, 10, 11
SET_LEVEL, SET_INTRA, SET_INTER, INPUT_COUNT, OUTPUT_COUNT, INPUT_NAME, OUTPUT_NAME = 23, 24, 25, 30, 31, 36, 37
CREATE_TENSOR, TENSOR_DATA, ELEMENT_TYPE, RANK, DIMS, TENSOR_INFO = 49, 51, 60, 61, 62, 65
CREATE_CPU_MEMORY, DEFAULT_ALLOCATOR = 69, 78
RELEASE_STATUS, RELEASE_SESSION, RELEASE_VALUE, RELEASE_INFO, RELEASE_OPTIONS = 93, 95, 96, 99, 100
OFF, BASIC, ALL = 0, 1, 99
FLOAT = 1
DTYPES = {1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 9: 'bool',
          10: 'float16', 11: 'float64', 12: 'uint32', 13: 'uint64'}


class OrtError(Exception):
    pass


class Ort:
    """One session at a time."""

    def __init__(self, path):
        lib = C.CDLL(path)
        lib.OrtGetApiBase.restype = C.POINTER(C.c_void_p)
        get_api = C.CFUNCTYPE(C.c_void_p, C.c_uint32)(lib.OrtGetApiBase()[0])
        self.table = C.cast(get_api(1), C.POINTER(C.c_void_p))
        self.env, self.memory, self.allocator = C.c_void_p(), C.c_void_p(), C.c_void_p()
        self.session = C.c_void_p()
        self.call(CREATE_ENV, C.c_int(4), C.c_char_p(b'bnrun'), C.byref(self.env))
        self.call(CREATE_CPU_MEMORY, C.c_int(1), C.c_int(0), C.byref(self.memory))
        self.call(DEFAULT_ALLOCATOR, C.byref(self.allocator))

    def function(self, index, result, *args):
        return C.CFUNCTYPE(result, *args)(self.table[index])

    def call(self, index, *args):
        types = [C.c_void_p if hasattr(a, '_obj') else type(a) for a in args]
        args = [C.cast(a, C.c_void_p) if hasattr(a, '_obj') else a for a in args]
        status = self.function(index, C.c_void_p, *types)(*args)
        if status:
            message = self.function(ERROR_MESSAGE, C.c_char_p, C.c_void_p)(status).decode(errors='replace')
            self.function(RELEASE_STATUS, None, C.c_void_p)(status)
            raise OrtError(message)

    def load(self, model, threads=1, level=None, save=None):
        """level: OFF, BASIC, ALL (None: its default). save: file for the optimized model."""
        options = C.c_void_p()
        self.close()
        self.call(CREATE_OPTIONS, C.byref(options))
        self.call(SET_INTRA, options, C.c_int(threads))
        self.call(SET_INTER, options, C.c_int(1))
        if level is not None:
            self.call(SET_LEVEL, options, C.c_int(level))
        if save:
            self.call(SAVE_MODEL, options, C.c_char_p(save.encode()))
        try:
            self.call(CREATE_SESSION, self.env, C.c_char_p(model.encode()), options, C.byref(self.session))
        finally:
            self.function(RELEASE_OPTIONS, None, C.c_void_p)(options)

    def close(self):
        if self.session:
            self.function(RELEASE_SESSION, None, C.c_void_p)(self.session)
        self.session = C.c_void_p()

    def names(self, count, name):
        n = C.c_size_t()
        self.call(count, self.session, C.byref(n))
        found = [C.c_char_p() for _ in range(n.value)]
        for i, p in enumerate(found):
            self.call(name, self.session, C.c_size_t(i), self.allocator, C.byref(p))
        return (C.c_char_p * n.value)(*[p.value for p in found])

    def tensor(self, data, size, dims, dtype):
        value = C.c_void_p()
        array = (C.c_int64 * len(dims))(*dims)
        self.call(CREATE_TENSOR, self.memory, C.cast(data, C.c_void_p), C.c_size_t(size),
                  C.cast(array, C.c_void_p), C.c_size_t(len(dims)), C.c_int(dtype), C.byref(value))
        return value

    def bind(self, data, dims):
        """The single float input for run()."""
        self.inputs, self.outputs = self.names(INPUT_COUNT, INPUT_NAME), self.names(OUTPUT_COUNT, OUTPUT_NAME)
        self.values = (C.c_void_p * 1)(self.tensor(data, C.sizeof(data), dims, FLOAT))

    def call_run(self, inputs, values, outputs):
        out = (C.c_void_p * len(outputs))()
        self.call(RUN, self.session, C.c_void_p(), C.cast(inputs, C.c_void_p), C.cast(values, C.c_void_p),
                  C.c_size_t(len(inputs)), C.cast(outputs, C.c_void_p), C.c_size_t(len(outputs)),
                  C.cast(out, C.c_void_p))
        return out

    def run(self):
        release = self.function(RELEASE_VALUE, None, C.c_void_p)
        for v in self.call_run(self.inputs, self.values, self.outputs):
            release(v)

    def evaluate(self, arrays):
        """Runs the model on numpy arrays by input name; gives a list of arrays."""
        import numpy as np
        numbers = {np.dtype(name): number for number, name in DTYPES.items()}
        inputs, outputs = self.names(INPUT_COUNT, INPUT_NAME), self.names(OUTPUT_COUNT, OUTPUT_NAME)
        given = [np.ascontiguousarray(arrays[n.decode()]) for n in inputs]
        values = (C.c_void_p * len(given))(*[self.tensor(C.c_void_p(a.ctypes.data), a.nbytes, a.shape,
                                                         numbers[a.dtype]) for a in given])
        made = self.call_run(inputs, values, outputs)
        results = [self.array(C.c_void_p(v)) for v in made]
        release = self.function(RELEASE_VALUE, None, C.c_void_p)
        for v in (*made, *values):
            release(v)
        return results

    def array(self, value):
        import numpy as np
        info, element, rank, data = C.c_void_p(), C.c_int(), C.c_size_t(), C.c_void_p()
        self.call(TENSOR_INFO, value, C.byref(info))
        self.call(ELEMENT_TYPE, info, C.byref(element))
        self.call(RANK, info, C.byref(rank))
        dims = (C.c_int64 * rank.value)()
        self.call(DIMS, info, C.cast(dims, C.c_void_p), rank)
        self.function(RELEASE_INFO, None, C.c_void_p)(info)
        self.call(TENSOR_DATA, value, C.byref(data))
        result = np.empty(list(dims), DTYPES[element.value])
        C.memmove(result.ctypes.data, data, result.nbytes)
        return result
