# SPDX-License-Identifier: Apache-2.0
"""Quantized operators."""
import numpy as np

from differential.cases import F16, F32, FLOAT8E4M3FN, FLOAT8E5M2, I32, I64, I8, U8, Case, Raw, cases
from differential.nn import window


def scale(r, shape=()):
    return r.positive(list(shape), F32, 0.01, 0.3)


@cases('QuantizeLinear', 'DequantizeLinear', count=60)
def linear(r, op):
    kind = r.pick([U8, I8])
    per_axis = r.chance(0.5)
    x = r.array(r.shape(1 if per_axis else 0, 4), F32, scale=6)
    axis = r.axis(x.ndim)
    shape = [x.shape[axis]] if per_axis else []
    attrs = {'axis': axis} if per_axis and (axis not in (1,) or r.chance(0.5)) else {}
    if op == 'DequantizeLinear':
        x = r.wide(list(x.shape), kind)
        if r.chance(0.2):
            x = r.array(list(x.shape), I32)
    many = [x, scale(r, shape)]
    if r.chance(0.7) and x.dtype != I32:
        many.append(r.wide(shape, kind))
    return Case(op, many, attrs, opset=r.opset(13), constants=[i for i in (1, 2) if i < len(many)])


@cases('QuantizeLinear', 'DequantizeLinear', share=0.3)
def float8(r, op):
    dtype = r.pick([FLOAT8E4M3FN, FLOAT8E5M2])
    x = r.array(r.shape(1, 3), F32, scale=6)
    if op == 'DequantizeLinear':
        x = Raw(dtype, r.indices(list(x.shape), 100, U8, 0))
    return Case(op, [x, scale(r), Raw(dtype, np.zeros([], U8))], opset=19, constants=[1, 2])


@cases('DynamicQuantizeLinear')
def dynamic(r, op):
    return Case(op, [r.array(r.shape(1, 4, empty=0), F32)], opset=r.opset(11), outputs=3, int_slack=0)


@cases('MatMulInteger', count=40)
def matmul_integer(r, op):
    m, k, n = (r.int(1, 9) for _ in range(3))
    a, b = r.wide([m, k] if r.chance(0.7) else [2, m, k], r.pick([U8, U8, I8])), r.wide([k, n], r.pick([U8, I8]))
    many = [a, b, r.wide([], a.dtype), r.wide(r.pick([[], [n]]), b.dtype)]
    return Case(op, many[:r.int(2, 4)], opset=r.opset(10), constants=[1] if r.chance(0.5) else [])


@cases('QLinearMatMul', count=40)
def qlinear_matmul(r, op):
    m, k, n = (r.int(1, 9) for _ in range(3))
    a, b = r.wide([m, k], U8), r.wide([k, n], r.pick([U8, I8]))
    many = [a, scale(r), r.wide([], U8), b, scale(r), r.wide([], b.dtype), scale(r) * 40, r.wide([], U8)]
    many = [np.asarray(v) if not isinstance(v, np.ndarray) else v for v in many]
    return Case(op, [v.astype(F32) if v.dtype.kind == 'f' else v for v in many], opset=r.opset(10),
                constants=[1, 2, 4, 5, 6, 7], int_slack=1)


@cases('ConvInteger', 'QLinearConv', count=40)
def conv(r, op):
    group = r.pick([1, 1, 2])
    m, c = group * r.int(1, 4), group * r.int(1, 4)
    dims, kernel = [r.int(4, 8), r.int(4, 8)], [r.int(1, 3), r.int(1, 3)]
    attrs = window(r, {'group': group}, kernel, dims)
    x, w = r.wide([r.int(1, 2), c, *dims], U8), r.wide([m, c // group, *kernel], U8 if op == 'ConvInteger' else
                                                       r.pick([U8, I8]))
    if op == 'ConvInteger':
        many = [x, w] + ([r.wide([], U8), r.wide([], U8)] if r.chance(0.6) else [])
        return Case(op, many, attrs, opset=r.opset(10), constants=[1] if r.chance(0.5) else [])
    many = [x, scale(r), r.wide([], U8), w, scale(r), r.wide([], w.dtype), np.asarray(scale(r) * 40, F32),
            r.wide([], U8)]
    if r.chance(0.5):
        many.append(r.array([m], I32))
    return Case(op, many, attrs, opset=r.opset(10), constants=list(range(1, len(many))), int_slack=1)
