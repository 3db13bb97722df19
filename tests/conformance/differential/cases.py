# SPDX-License-Identifier: Apache-2.0
"""What the files of cases share: the registry, a case, and random values.

    @cases('Add', 'Sub')
    def arithmetic(r, op):
        a, b = r.broadcast(r.pick(NUMERIC))
        return Case(op, [a, b], opset=r.opset(7))

A function gives one case; it is called for every operator that it names, `count` times, each with another `r`.
"""
import zlib

import numpy as np
from onnx import AttributeProto, TensorProto, TypeProto, helper

from libbnrun import NUMBER, Map, Raw

F32, F64, F16 = np.float32, np.float64, np.float16
I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
U8, U16, U32, U64, BOOL, TEXT = np.uint8, np.uint16, np.uint32, np.uint64, np.bool_, np.dtype(object)
FLOATS = [F32, F32, F32, F64, F16]
INTS = [I8, I16, I32, I64, U8, U16, U32, U64]
NUMERIC = [F32, F32, F64, F16, I32, I64, I8, U8]
ANY = [F32, F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, BOOL, TEXT]
BFLOAT16, FLOAT8E4M3FN, FLOAT8E4M3FNUZ, FLOAT8E5M2, FLOAT8E5M2FNUZ = 16, 17, 18, 19, 20

FUNCTIONS = []  # (operator, function), in the order of the files


def cases(*ops, count=25, share=0.5):
    """share: the part of the cases that ONNX Runtime must accept at least."""
    def register(function):
        function.cases, function.share = count, share
        FUNCTIONS.extend((op, function) for op in ops)
        return function
    return register


class Case:
    """One node. inputs: arrays, lists (sequences), Raw, or None where omitted. constants: which inputs are
    initializers. tolerance: relative, for float32; float16 has 200 times as much. values: False compares
    dtypes and shapes only."""

    def __init__(self, op, inputs, attrs=None, opset=17, domain='', outputs=1, constants=(), tolerance=1e-5,
                 relative_to_largest=False, int_slack=0, open_dims=False, values=True):
        self.op, self.inputs, self.attrs, self.opset, self.domain = op, inputs, attrs or {}, opset, domain
        self.outputs = [True] * outputs if isinstance(outputs, int) else outputs
        self.constants, self.tolerance, self.int_slack = constants, tolerance, int_slack
        self.relative_to_largest, self.open_dims = relative_to_largest, open_dims
        self.values = values
        self.ir_version = 8 if opset <= 18 else 10
        self.label = op

    def attributes(self):
        made = []
        for name, value in self.attrs.items():
            if isinstance(value, list) and not value:  # helper does not know what an empty list holds
                made.append(AttributeProto(name=name, type=AttributeProto.INTS))
            elif value is not None:
                made.append(helper.make_attribute(name, value))
        return made

    @staticmethod
    def number(value):
        if isinstance(value, Raw):
            return value.dtype
        return TensorProto.STRING if value.dtype == TEXT else NUMBER[value.dtype]

    def declare(self, name, value, open_dims):
        if isinstance(value, Map):
            made = helper.make_value_info(name, TypeProto())
            made.type.map_type.key_type = self.number(value.keys)
            made.type.map_type.value_type.CopyFrom(helper.make_tensor_type_proto(self.number(value.values), None))
            return made
        if isinstance(value, list):
            item = helper.make_tensor_type_proto(self.number(value[0]) if value else TensorProto.FLOAT, None)
            return helper.make_value_info(name, helper.make_sequence_type_proto(item))
        shape = value.bits.shape if isinstance(value, Raw) else value.shape
        return helper.make_tensor_value_info(name, self.number(value), [None] * len(shape) if open_dims else shape)

    @staticmethod
    def output(name):
        return helper.make_empty_tensor_value_info(name)

    def initializer(self, name, value):
        number = self.number(value)
        if number == TensorProto.STRING:
            return TensorProto(name=name, data_type=number, dims=value.shape, string_data=value.ravel().tolist())
        array = value.bits if isinstance(value, Raw) else value
        return TensorProto(name=name, data_type=number, dims=array.shape,
                           raw_data=np.ascontiguousarray(array).tobytes())

    def __str__(self):
        def show(v):
            if isinstance(v, Map):
                return f'map {show(v.keys)} {show(v.values)}'
            if v is None or isinstance(v, list):
                return str(v)
            array = v.bits if isinstance(v, Raw) else v
            return f'{v.dtype if isinstance(v, Raw) else array.dtype}{list(array.shape)} {array.ravel()[:12].tolist()}'
        attrs = {k: v if not hasattr(v, 'node') else '(graph)' for k, v in self.attrs.items()}
        return f'{self.domain} {self.op} opset {self.opset} {attrs} constants {list(self.constants)}' + ''.join(
            f'\n    input {i}: {show(v)}' for i, v in enumerate(self.inputs))


class Random:
    def __init__(self, name):
        self.g = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))

    def int(self, low, high):
        """low to high, both included."""
        return int(self.g.integers(low, high + 1))

    def chance(self, p):
        return bool(self.g.random() < p)

    def pick(self, items):
        return items[self.int(0, len(items) - 1)]

    def opset(self, low, high=21):
        """An imported opset; mostly the newest that both sides know well."""
        return high if self.chance(0.4) else self.int(low, high)

    def shape(self, low=0, high=4, dim=5, empty=0.06):
        """Ranks low to high; now and then with a dim of 0."""
        dims = [self.int(1, dim) for _ in range(self.int(low, high))]
        if dims and self.chance(empty):
            dims[self.int(0, len(dims) - 1)] = 0
        return dims

    def axis(self, rank):
        return self.int(-rank, rank - 1) if rank else 0

    def axes(self, rank, at_least=1):
        """Distinct axes, in any order, some of them negative."""
        chosen = self.g.permutation(rank)[:self.int(min(at_least, rank), rank)]
        return [int(a) - rank if self.chance(0.3) else int(a) for a in chosen]

    def array(self, shape, dtype=F32, scale=3.0, special=0.0):
        """special: the chance that a floating-point array holds NaN, infinities and zeros."""
        dtype = np.dtype(dtype)
        if dtype == TEXT:
            texts = [b'', b'a', b'abc', 'gr\u00fcn'.encode(), b'zz top', b'B']
            flat = np.array([self.pick(texts) for _ in range(int(np.prod(shape)))] + [b''], object)[:-1]
            return flat.reshape(shape)
        if dtype == BOOL:
            return self.g.random(shape) < 0.5
        if dtype.kind == 'f':
            a = np.asarray(self.g.normal(0, scale, shape)).astype(dtype)
            if self.chance(special) and a.size:
                a = a.copy()
                for v in (np.nan, np.inf, -np.inf, 0.0, -0.0):
                    a.ravel()[self.int(0, a.size - 1)] = v
            return a
        low = 0 if dtype.kind == 'u' else -10
        return np.asarray(self.g.integers(low, 11, shape)).astype(dtype)

    def wide(self, shape, dtype):
        """Integers over their whole range."""
        info = np.iinfo(dtype)
        return np.asarray(self.g.integers(info.min, info.max, shape, dtype=dtype, endpoint=True))

    def positive(self, shape, dtype=F32, low=0.1, high=4.0):
        return np.asarray(self.g.uniform(low, high, shape)).astype(dtype)

    def indices(self, shape, limit, dtype=I64, negative=0.3):
        a = np.asarray(self.g.integers(0, max(limit, 1), shape))
        return (a - limit * (self.g.random(shape) < negative)).astype(dtype)

    def broadcast_shapes(self, n=2, high=4):
        """n shapes that broadcast with each other."""
        full, shapes = self.shape(0, high), []
        for _ in range(n):
            part = full[self.int(0, len(full)):] if self.chance(0.5) else list(full)
            shapes.append([1 if self.chance(0.25) else d for d in part])
        return shapes

    def constants(self, inputs, chance=0.15):
        """Which inputs shall be initializers."""
        return [i for i, v in enumerate(inputs)
                if v is not None and not isinstance(v, (list, Map)) and self.chance(chance)]
