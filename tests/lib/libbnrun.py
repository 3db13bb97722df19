# SPDX-License-Identifier: Apache-2.0
"""libbnrun.so from Python, for tests that run many small models in one process.

Values are numpy arrays, lists of them (sequences), Map, or None (an optional without element). Strings are
arrays of dtype object that hold bytes. Types that numpy lacks come and go as Raw.
"""
import ctypes as C

import numpy as np

NO_FOLD, REFERENCE = 1, 2
SEQUENCE, OPTIONAL, MAP = 1, 2, 3
STRING = 8
NUMPY = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
         9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64, 14: np.complex64,
         15: np.complex128}
NUMBER = {np.dtype(v): k for k, v in NUMPY.items()}


class Raw:
    """Elements of a type that numpy lacks (bfloat16, float8, int4, ...), as the unsigned integers that hold
    their bits."""

    def __init__(self, dtype, bits):
        self.dtype, self.bits = dtype, bits


class Map:
    """keys and as many values: vectors."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values

    def sorted(self):
        order = np.argsort(self.keys, kind='stable')
        return Map(self.keys[order], self.values[order])


class Error(Exception):
    """What the library answered: `status` is its number, the text its one line."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class _Error(C.Structure):
    _fields_ = [('code', C.c_int), ('message', C.c_char * 1020)]


class _Options(C.Structure):
    _fields_ = [('struct_size', C.c_size_t), ('threads', C.c_int), ('flags', C.c_uint), ('cpu', C.c_char_p),
                ('passes', C.c_char_p), ('stop_after', C.c_int), ('print_after', C.c_char_p),
                ('keep', C.c_char_p), ('log', C.c_void_p), ('log_user', C.c_void_p),
                ('allocator', C.c_void_p)]


def _dims(shape):
    return (C.c_int64 * max(1, len(shape)))(*shape)


class Library:
    def __init__(self, path):
        self.lib = C.CDLL(path)
        for name in ('data', 'dims', 'string', 'item'):
            getattr(self.lib, f'bnr_tensor_{name}').restype = C.c_void_p
        for name in ('numel', 'item_count', 'bytes'):
            getattr(self.lib, f'bnr_tensor_{name}').restype = C.c_size_t
        for name in ('bnr_model_input_count', 'bnr_model_output_count'):
            getattr(self.lib, name).restype = C.c_size_t
        self.lib.bnr_model_missing.restype = C.c_char_p

    def check(self, function, *args):
        err = _Error()
        status = function(*args, C.byref(err))
        if status:
            raise Error(status, err.message.decode(errors='replace'))

    # A new bnr_tensor; `keep` holds what must outlive it.
    def make(self, value, keep):
        out = C.c_void_p()
        if isinstance(value, (list, Map)):
            of_map = isinstance(value, Map)
            items = [self.make(v, keep) for v in ([value.keys, value.values] if of_map else value)]
            self.check(self.lib.bnr_tensor_create_items, C.byref(out), C.c_int(MAP if of_map else SEQUENCE),
                       (C.c_void_p * max(1, len(items)))(*items), C.c_size_t(len(items)))
            for item in items:
                self.lib.bnr_tensor_release(item)
            return out
        number, array = (value.dtype, value.bits) if isinstance(value, Raw) else (None, value)
        if array.dtype == object:
            texts = array.ravel().tolist()
            self.check(self.lib.bnr_tensor_create_strings, C.byref(out), C.c_int(array.ndim), _dims(array.shape),
                       (C.c_char_p * max(1, len(texts)))(*texts), None)
            return out
        array = np.array(array, order='C')
        keep.append(array)
        self.check(self.lib.bnr_tensor_wrap, C.byref(out), C.c_int(number or NUMBER[array.dtype]),
                   C.c_int(array.ndim), _dims(array.shape), C.c_void_p(array.ctypes.data),
                   C.c_size_t(array.nbytes))
        return out

    def take(self, t):
        t = C.c_void_p(t)
        kind = self.lib.bnr_tensor_kind(t)
        if kind != 0:
            count = self.lib.bnr_tensor_item_count(t)
            items = [self.take(self.lib.bnr_tensor_item(t, C.c_size_t(i))) for i in range(count)]
            return Map(*items) if kind == MAP else items if kind == SEQUENCE else items[0] if items else None
        rank, number = self.lib.bnr_tensor_rank(t), self.lib.bnr_tensor_dtype(t)
        dims = C.cast(self.lib.bnr_tensor_dims(t), C.POINTER(C.c_int64))
        shape, count = tuple(dims[:rank]), self.lib.bnr_tensor_numel(t)
        if number == STRING:
            array = np.empty(count, object)
            length = C.c_size_t()
            for i in range(count):
                at = self.lib.bnr_tensor_string(t, C.c_size_t(i), C.byref(length))
                array[i] = C.string_at(at, length.value)
            return array.reshape(shape)
        size = self.lib.bnr_tensor_bytes(t)
        data = C.string_at(self.lib.bnr_tensor_data(t), size) if size else b''
        if number in NUMPY:
            return np.frombuffer(data, NUMPY[number]).reshape(shape)
        kind = np.uint8 if size == count else np.uint16
        return Raw(number, np.frombuffer(data, kind).reshape(shape))

    def run(self, model, inputs, flags=0, threads=1):
        """The outputs of a serialized model; inputs in the order of its graph."""
        handle, session, keep, made = C.c_void_p(), C.c_void_p(), [], []
        self.check(self.lib.bnr_model_load, C.byref(handle), model, C.c_size_t(len(model)), None)
        try:
            options = _Options()
            self.lib.bnr_options_init(C.byref(options))
            options.flags, options.threads = flags, threads
            self.check(self.lib.bnr_session_create, C.byref(session), handle, C.byref(options))
            for value in inputs:
                made.append(self.make(value, keep).value)
            count = self.lib.bnr_model_output_count(handle)
            outs = (C.c_void_p * max(1, count))()
            self.check(self.lib.bnr_run, session, (C.c_void_p * max(1, len(made)))(*made),
                       C.c_size_t(len(made)), outs, C.c_size_t(count))
            results = [self.take(t) for t in outs[:count]]
            for t in outs[:count]:
                self.lib.bnr_tensor_release(C.c_void_p(t))
            return results
        finally:
            for t in made:
                self.lib.bnr_tensor_release(C.c_void_p(t))
            self.lib.bnr_session_free(session)
            self.lib.bnr_model_free(handle)
