# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime through its C API, the oracle of differential tests.

The library is the file that ORT_LIB names. Values are as in libbnrun.py.
"""
import ctypes as C
import os

import numpy as np

from libbnrun import NUMBER, NUMPY, STRING, Map, Raw

# Indices into the table of functions of the C API, version 1.
ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION_FROM_ARRAY, RUN, CREATE_OPTIONS = 2, 3, 8, 9, 10
SET_LOG_LEVEL, SET_OPTIMIZATION, SET_INTRA, SET_INTER = 22, 23, 24, 25
INPUT_COUNT, OUTPUT_COUNT, INPUT_NAME, OUTPUT_NAME = 30, 31, 36, 37
CREATE_TENSOR, CREATE_TENSOR_WITH_DATA, TENSOR_DATA, FILL_STRINGS = 48, 49, 51, 52
STRINGS_LENGTH, STRINGS_CONTENT, ELEMENT_TYPE, DIM_COUNT, DIMS, TYPE_AND_SHAPE = 53, 54, 60, 61, 62, 65
VALUE_TYPE, CREATE_CPU_MEMORY, DEFAULT_ALLOCATOR, ALLOCATOR_FREE = 67, 69, 78, 76
GET_VALUE, VALUE_COUNT, CREATE_VALUE = 80, 81, 82
RELEASE_STATUS, RELEASE_SESSION, RELEASE_VALUE, RELEASE_INFO, RELEASE_OPTIONS = 93, 95, 96, 99, 100
TENSOR, SEQUENCE, MAP = 1, 2, 3


class Error(Exception):
    pass


def find():
    """The library's path, or None."""
    path = os.environ.get('ORT_LIB', '')
    return path if os.path.exists(path) else None


class Library:
    def __init__(self, path):
        lib = C.CDLL(path)
        lib.OrtGetApiBase.restype = C.POINTER(C.c_void_p)
        get_api = C.CFUNCTYPE(C.c_void_p, C.c_uint32)(lib.OrtGetApiBase()[0])
        self.table = C.cast(get_api(1), C.POINTER(C.c_void_p))
        self.functions = {}
        self.env, self.memory, self.allocator = C.c_void_p(), C.c_void_p(), C.c_void_p()
        self.call(CREATE_ENV, C.c_int(4), C.c_char_p(b'test'), C.byref(self.env))
        self.call(CREATE_CPU_MEMORY, C.c_int(1), C.c_int(0), C.byref(self.memory))
        self.call(DEFAULT_ALLOCATOR, C.byref(self.allocator))
        self.options = C.c_void_p()
        self.call(CREATE_OPTIONS, C.byref(self.options))
        self.call(SET_INTRA, self.options, C.c_int(1))
        self.call(SET_INTER, self.options, C.c_int(1))
        self.call(SET_OPTIMIZATION, self.options, C.c_int(0))
        self.call(SET_LOG_LEVEL, self.options, C.c_int(4))

    def function(self, index, result, types):
        key = (index, *types)
        if key not in self.functions:
            self.functions[key] = C.CFUNCTYPE(result, *types)(self.table[index])
        return self.functions[key]

    def call(self, index, *args):
        types = [C.c_void_p if hasattr(a, '_obj') else type(a) for a in args]
        args = [C.cast(a, C.c_void_p) if hasattr(a, '_obj') else a for a in args]
        status = self.function(index, C.c_void_p, types)(*args)
        if status:
            text = self.function(ERROR_MESSAGE, C.c_char_p, [C.c_void_p])(status).decode(errors='replace')
            self.release(RELEASE_STATUS, status)
            raise Error(text)

    def release(self, index, handle):
        self.function(index, None, [C.c_void_p])(handle)

    def make(self, value, keep):
        out = C.c_void_p()
        if isinstance(value, (list, Map)):
            of_map = isinstance(value, Map)
            parts = [value.keys, value.values] if of_map else value
            items = (C.c_void_p * len(parts))(*[self.make(v, keep).value for v in parts])
            self.call(CREATE_VALUE, C.cast(items, C.c_void_p), C.c_size_t(len(parts)),
                      C.c_int(MAP if of_map else SEQUENCE), C.byref(out))
            for item in items:
                self.release(RELEASE_VALUE, item)
            return out
        number, array = (value.dtype, value.bits) if isinstance(value, Raw) else (None, value)
        dims = C.cast((C.c_int64 * max(1, array.ndim))(*array.shape), C.c_void_p)
        if array.dtype == object:
            texts = array.ravel().tolist()
            self.call(CREATE_TENSOR, self.allocator, dims, C.c_size_t(array.ndim), C.c_int(STRING), C.byref(out))
            self.call(FILL_STRINGS, out, C.cast((C.c_char_p * max(1, len(texts)))(*texts), C.c_void_p),
                      C.c_size_t(len(texts)))
            return out
        array = np.array(array, order='C')
        keep.append(array)
        self.call(CREATE_TENSOR_WITH_DATA, self.memory, C.c_void_p(array.ctypes.data), C.c_size_t(array.nbytes),
                  dims, C.c_size_t(array.ndim), C.c_int(number or NUMBER[array.dtype]), C.byref(out))
        return out

    def strings(self, value, shape):
        count, length = int(np.prod(shape, dtype=np.int64)), C.c_size_t()
        self.call(STRINGS_LENGTH, value, C.byref(length))
        text, offsets = C.create_string_buffer(length.value + 1), (C.c_size_t * max(1, count))()
        if count:
            self.call(STRINGS_CONTENT, value, C.cast(text, C.c_void_p), length, C.cast(offsets, C.c_void_p),
                      C.c_size_t(count))
        ends = list(offsets[1:count]) + [length.value]
        array = np.empty(count, object)
        for i in range(count):
            array[i] = text.raw[offsets[i]:ends[i]]
        return array.reshape(shape)

    def take_tensor(self, value):
        info, number, rank, data = C.c_void_p(), C.c_int(), C.c_size_t(), C.c_void_p()
        self.call(TYPE_AND_SHAPE, value, C.byref(info))
        self.call(ELEMENT_TYPE, info, C.byref(number))
        self.call(DIM_COUNT, info, C.byref(rank))
        dims = (C.c_int64 * max(1, rank.value))()
        self.call(DIMS, info, C.cast(dims, C.c_void_p), rank)
        self.release(RELEASE_INFO, info)
        shape = tuple(dims[:rank.value])
        if number.value == STRING:
            return self.strings(value, shape)
        if number.value not in NUMPY and number.value not in (16, 17, 18, 19, 20):
            raise Error(f'element type {number.value} is not read by this test')
        kind = np.dtype(NUMPY.get(number.value, np.uint16 if number.value == 16 else np.uint8))
        self.call(TENSOR_DATA, value, C.byref(data))
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        array = np.frombuffer(C.string_at(data, size) if size else b'', kind).reshape(shape)
        return array if number.value in NUMPY else Raw(number.value, array)

    def take(self, value):
        if not value.value:
            return None
        kind, count = C.c_int(), C.c_size_t()
        self.call(VALUE_TYPE, value, C.byref(kind))
        if kind.value == TENSOR:
            return self.take_tensor(value)
        if kind.value not in (SEQUENCE, MAP):
            raise Error(f'value type {kind.value} is not read by this test')
        self.call(VALUE_COUNT, value, C.byref(count))
        if kind.value == MAP:
            count.value = 2
        items = []
        for i in range(count.value):
            item = C.c_void_p()
            self.call(GET_VALUE, value, C.c_int(i), self.allocator, C.byref(item))
            items.append(self.take(item))
            self.release(RELEASE_VALUE, item)
        return Map(*items) if kind.value == MAP else items

    def run(self, model, names, inputs, outputs):
        """The outputs of a serialized model; `names` of the inputs, `outputs` of the outputs."""
        session, keep, made = C.c_void_p(), [], []
        self.call(CREATE_SESSION_FROM_ARRAY, self.env, C.c_char_p(model), C.c_size_t(len(model)), self.options,
                  C.byref(session))
        results = (C.c_void_p * max(1, len(outputs)))()
        try:
            for value in inputs:
                made.append(self.make(value, keep).value)
            self.call(RUN, session, C.c_void_p(),
                      C.cast((C.c_char_p * max(1, len(names)))(*[n.encode() for n in names]), C.c_void_p),
                      C.cast((C.c_void_p * max(1, len(made)))(*made), C.c_void_p), C.c_size_t(len(made)),
                      C.cast((C.c_char_p * len(outputs))(*[n.encode() for n in outputs]), C.c_void_p),
                      C.c_size_t(len(outputs)), C.cast(results, C.c_void_p))
            return [self.take(C.c_void_p(v)) for v in results[:len(outputs)]]
        finally:
            for v in [*made, *results]:
                if v:
                    self.release(RELEASE_VALUE, v)
            self.release(RELEASE_SESSION, session)
