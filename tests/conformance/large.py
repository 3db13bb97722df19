#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""large.py LIBBNRUN [NAME...]: operators on tensors that are large enough for all of their code, against numpy.

Conformance data is small: it fits one strip, one piece for a thread, one block of a sum. Here each operator sees
at least ten thousand elements, in lengths that end within a strip. It runs optimized and by its reference code,
with one thread and with two, which must give the same bits, and its results must be what numpy computes (in double
where rounding matters). Ends with "N passed, N failed, N skipped".
"""
import os
import sys
import warnings

import numpy as np
from onnx import TensorProto, helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f'{HERE}/../lib')
import libbnrun

RNG = np.random.default_rng(5)
TYPES = {np.dtype(v): k for k, v in libbnrun.NUMPY.items()}
CASES = []


def case(op, inputs, want, opset=17, tolerance=0.0, domain='', **attributes):
    """want: the expected outputs. tolerance: relative to the largest magnitude of an output; 0: equal."""
    CASES.append((op, inputs, want, opset, tolerance, domain, attributes))


def f(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


def indices(n, *dims):
    return RNG.integers(-n, n, dims).astype(np.int64)


def special(*dims):
    """Random numbers with zeros, infinities, NaN and subnormals strewn in."""
    x = f(*dims)
    flat = x.reshape(-1)
    for value in (0, -0.0, np.inf, -np.inf, np.nan, 1e-42, 3e38):
        flat[RNG.integers(0, flat.size, flat.size // 500 + 1)] = value
    return x


def elements():
    for shape, axis in (((37, 1029), 1), ((1029, 37), 0), ((7, 300, 11), 1), ((5, 301, 1), 1), ((13, 5, 513), 0)):
        picked = list(shape)
        picked[axis] += 3
        x, k = f(*shape), indices(shape[axis], *picked)
        case('GatherElements', [x, k], [np.take_along_axis(x, k, axis)], axis=axis)
        case('GatherElements', [x.astype(np.float64), k.astype(np.int32)],
             [np.take_along_axis(x.astype(np.float64), k, axis)], axis=axis)
        case('GatherElements', [(x > 0), k], [np.take_along_axis(x > 0, k, axis)], axis=axis)
        # With repeated indices the later one wins: numpy writes in this order, too.
        u = f(*picked)
        for reduction in ('none', 'add', 'mul', 'max', 'min'):
            y = x.copy()
            for at in np.ndindex(*picked):
                to = list(at)
                to[axis] = k[at]
                to = tuple(to)
                old, new = y[to], u[at]
                y[to] = {'none': new, 'add': old + new, 'mul': old * new, 'max': max(old, new),
                         'min': min(old, new)}[reduction]
            case('ScatterElements', [x, k, u], [y], opset=18, axis=axis, reduction=reduction)
            if u.size > 12000:
                break


def tuples():
    x = f(61, 17, 33)
    for k in (1, 2, 3):
        index = np.stack([indices(n, 9000 // 33 ** (3 - k) + 40) for n in x.shape[:k]], 1)
        at = tuple(index.T)
        case('GatherND', [x, index], [x[at]])
        u = f(len(index), *x.shape[k:])
        y = x.copy()
        for i, t in enumerate(index):
            y[tuple(t)] = u[i]
        case('ScatterND', [x, index, u], [y], opset=18)
        y = x.copy()
        for i, t in enumerate(index):
            y[tuple(t)] += u[i]
        case('ScatterND', [x, index, u], [y], opset=18, reduction='add')
    rows, wide = indices(50, 40, 1), f(50, 2100)
    case('GatherND', [wide, rows], [wide[rows[:, 0]]])
    u = f(40, 2100)
    y = wide.copy()
    for i, t in enumerate(rows[:, 0]):
        y[t] = np.maximum(y[t], u[i])
    case('ScatterND', [wide, rows, u], [y], opset=18, reduction='max')
    batched = f(6, 50, 40)
    index = np.stack([indices(50, 6, 300), indices(40, 6, 300)], 2)
    case('GatherND', [batched, index], [np.stack([b[tuple(i.T)] for b, i in zip(batched, index)])], batch_dims=1)


def ordered():
    for shape, axis, k in (((19, 1500), 1, 7), ((19, 1500), 1, 800), ((1500, 19), 0, 5), ((1500, 19), 0, 1500),
                           ((20011,), 0, 20011), ((20011,), 0, 300), ((4, 300, 9), 1, 299)):
        for x in (f(*shape), np.round(f(*shape) * 3).astype(np.float32), indices(40, *shape)):
            order = np.argsort(-x, axis, kind='stable').take(range(k), axis)
            case('TopK', [x, np.array([k])], [np.take_along_axis(x, order, axis), order], axis=axis)
            order = np.argsort(x, axis, kind='stable').take(range(k), axis)
            case('TopK', [x, np.array([k])], [np.take_along_axis(x, order, axis), order], axis=axis, largest=0)
    for x in (indices(5000, 21000), np.round(f(21000) * 1000).astype(np.float32), f(300, 70)):
        values, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
        case('Unique', [x], [values, first, inverse.reshape(-1), counts])
        rank = np.argsort(first)
        place = np.argsort(rank)
        case('Unique', [x], [values[rank], first[rank], place[inverse.reshape(-1)], counts[rank]], sorted=0)


def picked():
    for x in (np.round(f(57, 11, 61)).astype(np.float32), indices(2, 40001), f(3, 20000) > 0,
              np.zeros((2, 17000), np.float32), special(7, 5003)):
        case('NonZero', [x], [np.array(np.nonzero(x))])
    x, keep = f(30011), f(30011) > 0.3
    case('Compress', [x, keep], [x[keep]])
    x = f(301, 7, 11)
    case('Compress', [x, keep[:301]], [x[keep[:301]]], axis=0)
    for start, limit, delta in ((0.5, 20000.25, 1.5), (100, -30000, -2)):
        case('Range', [np.float32(start), np.float32(limit), np.float32(delta)],
             [(np.float32(start) + np.arange(np.ceil((limit - start) / delta), dtype=np.float32) * np.float32(delta))])
    case('Range', [np.int64(7), np.int64(70001), np.int64(3)], [np.arange(7, 70001, 3)])


def running():
    for shape, axis in (((31, 1025), 1), ((1025, 31), 0), ((3, 77, 301), 1), ((15000,), 0)):
        for x in (f(*shape), indices(1000, *shape)):
            wide = x.astype(np.float64) if x.dtype == np.float32 else x
            for exclusive in (0, 1):
                for reverse in (0, 1):
                    v = np.flip(wide, axis) if reverse else wide
                    y = np.cumsum(v, axis) - (v if exclusive else 0)
                    y = np.flip(y, axis) if reverse else y
                    case('CumSum', [x, np.int64(axis)], [y.astype(x.dtype)], tolerance=1e-7,
                         exclusive=exclusive, reverse=reverse)
    x = (1 + f(21, 600) / 100).astype(np.float32)
    case('CumProd', [x, np.int64(1)], [np.cumprod(x.astype(np.float64), 1).astype(np.float32)], opset=26,
         tolerance=1e-7)


def padded():
    x = f(3, 41, 307)
    for mode, name in (('reflect', 'reflect'), ('edge', 'edge'), ('wrap', 'wrap'), ('constant', 'constant')):
        for before, after in (((0, 2, 3), (1, 0, 5)), ((0, 0, 0), (0, 40, 0)), ((0, 0, 306), (0, 0, 306))):
            pads = np.array(before + after, np.int64)
            case('Pad', [x, pads], [np.pad(x, list(zip(before, after)), mode=name)], opset=19, mode=mode)


def functions():
    def expm1_below(x, alpha, gamma):
        return np.where(x < 0, gamma * alpha * np.expm1(np.minimum(x, 0)), gamma * x)

    def softplus(x):
        return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
    for op, function, attributes in (
            ('Floor', np.floor, {}), ('Ceil', np.ceil, {}), ('Round', np.rint, {}), ('Sin', np.sin, {}),
            ('Cos', np.cos, {}), ('Asin', np.arcsin, {}), ('Acos', np.arccos, {}), ('Atan', np.arctan, {}),
            ('Elu', lambda x: expm1_below(x, 1.5, 1), {'alpha': 1.5}),
            ('Selu', lambda x: expm1_below(x, np.float32(1.67326319), np.float32(1.05070102)), {}),
            ('Celu', lambda x: np.where(x < 0, 2 * np.expm1(np.minimum(x, 0) / 2), x), {'alpha': 2.0}),
            ('Softplus', softplus, {}), ('Mish', lambda x: x * np.tanh(softplus(x)), {})):
        for scale in (1, 40):
            x = special(61, 1033) * np.float32(scale)
            y = function(x.astype(np.float64))
            case(op, [x], [(y.astype(np.float32), np.abs(y) * 4e-7 + 1e-42)], opset=18, **attributes)


def chosen():
    for shape, axis in (((31, 1025), 1), ((1025, 31), 0), ((3, 77, 301), 1), ((15000,), 0)):
        for x in (f(*shape), np.round(f(*shape)).astype(np.float32), special(*shape), indices(30, *shape)):
            for op, function in (('ArgMax', np.argmax), ('ArgMin', np.argmin)):
                y = np.expand_dims(function(x, axis), axis)
                case(op, [x], [y], axis=axis)
                last = shape[axis] - 1 - np.expand_dims(function(np.flip(x, axis), axis), axis)
                case(op, [x], [last], axis=axis, select_last_index=1)
            if x.dtype == np.float32:
                y = np.zeros_like(x)
                np.put_along_axis(y, np.expand_dims(np.argmax(x, axis), axis), 1, axis)
                case('Hardmax', [x], [y], axis=axis)
        x = f(*shape)
        wide = x.astype(np.float64) - np.max(x, axis, keepdims=True)
        y = np.exp(wide) / np.sum(np.exp(wide), axis, keepdims=True)
        case('Softmax', [x], [y.astype(np.float32)], tolerance=2e-6, axis=axis)
        case('LogSoftmax', [x], [np.log(y).astype(np.float32)], tolerance=1e-6, axis=axis)
    x, y, c = f(301, 77), f(301, 77), f(301, 77) > 0
    for kind in (np.float32, np.float64, np.int8, np.float16):
        case('Where', [c, x.astype(kind), y.astype(kind)], [np.where(c, x.astype(kind), y.astype(kind))])
    column = f(301, 1)
    case('Expand', [column, np.array([301, 77])], [np.repeat(column, 77, 1)])


def quantized():
    for kind, number in ((np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8)):
        limits = np.iinfo(kind)
        for shape, axis, scale, zero in (((40000,), 0, np.float32(0.03), kind(7)),
                                         ((5, 17, 301), 1, np.abs(f(17)) / 9 + np.float32(.01), None),
                                         ((5, 300, 7), 2, np.abs(f(7)) / 9 + np.float32(.01),
                                          indices(60, 7).astype(kind))):
            x = special(*shape) * 4
            lined = [1] * len(shape)
            if np.ndim(scale):
                lined[axis] = -1
            s, z = np.reshape(scale, lined), np.reshape(0 if zero is None else zero, lined if np.ndim(zero) else ())
            with np.errstate(all='ignore'):
                q = np.nan_to_num(np.rint((x / s).astype(np.float64)), nan=0.0) + z.astype(np.float64)
            q = np.clip(q, limits.min, limits.max).astype(kind)
            zeros = np.zeros(np.shape(scale), kind) if zero is None else zero
            case('QuantizeLinear', [x, scale, zeros], [q], axis=axis)
            y = (q.astype(np.float32) - z.astype(np.float32)) * s
            case('DequantizeLinear', [q, scale, zeros], [y.astype(np.float32)], axis=axis)
    x = f(40001) * 3 + 1
    low, high = min(x.min(), 0), max(x.max(), 0)
    scale = np.float32(np.float32(high - low) / np.float32(255))
    zero = np.uint8(np.rint(-low / scale))
    y = np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8)
    case('DynamicQuantizeLinear', [x], [y, scale, zero])
    x = special(301, 101) * 300
    for kind, number in ((np.float16, TensorProto.FLOAT16), (np.int32, TensorProto.INT32),
                         (np.uint8, TensorProto.UINT8), (np.int16, TensorProto.INT16)):
        with np.errstate(all='ignore'):
            y = x.astype(np.float64)
            if kind != np.float16:
                limits = np.iinfo(kind)
                y = np.clip(np.trunc(np.nan_to_num(y, nan=0)), limits.min, limits.max)
            case('Cast', [x], [y.astype(kind)], to=number)


def resized():
    x = f(2, 5, 61, 47)
    for out in ((2, 5, 90, 101), (2, 5, 30, 47), (2, 5, 61, 20), (2, 7, 61, 47)):
        y = x.astype(np.float64)
        for axis in range(4):
            at = np.linspace(0, x.shape[axis] - 1, out[axis])
            y = np.apply_along_axis(lambda v: np.interp(at, np.arange(len(v)), v), axis, y)
        empty = np.zeros(0, np.float32)
        case('Resize', [x, empty, empty, np.array(out)], [y.astype(np.float32)], tolerance=1e-6, mode='linear',
             coordinate_transformation_mode='align_corners')
        grid = np.ix_(*[np.floor(np.arange(o) / (o / n)).astype(int) for o, n in zip(out, x.shape)])
        case('Resize', [x, empty, empty, np.array(out)], [x[grid]], mode='nearest',
             coordinate_transformation_mode='asymmetric', nearest_mode='floor')


SHAPES = (((5, 7, 11, 301), [3]), ((5, 7, 11, 301), [0]), ((5, 7, 1201, 11), [2]), ((3, 40, 13, 17), [0, 2, 3]),
          ((3, 5, 701, 7), [1, 3]), ((17000,), [0]), ((70001, 3), [0]), ((2, 130000), [0, 1]), ((1 << 18, 1), [0]))


def reductions():
    def log_sum_exp(x, axes):
        m = np.max(x, axes, keepdims=True)
        m = np.where(np.isinf(m), 0, m)
        return np.log(np.sum(np.exp(x - m), axes, keepdims=True)) + m
    functions = {
        'ReduceSum': lambda x, axes: np.sum(x, axes, keepdims=True),
        'ReduceMean': lambda x, axes: np.mean(x, axes, keepdims=True),
        'ReduceMax': lambda x, axes: np.max(x, axes, keepdims=True),
        'ReduceMin': lambda x, axes: np.min(x, axes, keepdims=True),
        'ReduceProd': lambda x, axes: np.prod(x, axes, keepdims=True),
        'ReduceL1': lambda x, axes: np.sum(abs(x), axes, keepdims=True),
        'ReduceL2': lambda x, axes: np.sqrt(np.sum(x * x, axes, keepdims=True)),
        'ReduceSumSquare': lambda x, axes: np.sum(x * x, axes, keepdims=True),
        'ReduceLogSum': lambda x, axes: np.log(np.sum(x, axes, keepdims=True)),
        'ReduceLogSumExp': log_sum_exp,
    }
    for op, function in functions.items():
        for shape, axes in SHAPES:
            for x in (f(*shape), special(*shape)):
                if op in ('ReduceProd', 'ReduceLogSum'):
                    x = (1 + np.abs(x) * 1e-5).astype(np.float32)
                if op in ('ReduceSum', 'ReduceMean', 'ReduceL1', 'ReduceLogSum') and not np.all(np.isfinite(x)):
                    x = np.where(np.abs(x) > 1e30, np.float32(np.inf), x)  # no sums that leave the range
                y = function(x.astype(np.float64), tuple(axes)).astype(np.float32)
                # What the largest partial sums lose is small beside the sum of magnitudes.
                if op in ('ReduceSum', 'ReduceMean'):
                    magnitude = function(np.abs(x.astype(np.float64)), tuple(axes))
                    case(op, [x, np.array(axes)] if op == 'ReduceSum' else [x], [(y, magnitude * 1e-6)], opset=17,
                         **({} if op == 'ReduceSum' else {'axes': axes}))
                else:
                    case(op, [x], [y], tolerance=0 if op in ('ReduceMax', 'ReduceMin') else 2e-6, axes=axes)


def scaled():
    for shape, axes in SHAPES:
        x = f(*shape)
        wide = x.astype(np.float64)
        d = wide - wide.mean(tuple(axes), keepdims=True)
        y = d / (np.sqrt((d * d).mean(tuple(axes), keepdims=True)) + 1e-9)
        case('MeanVarianceNormalization', [x], [y.astype(np.float32)], tolerance=1e-5, axes=axes)
        if len(axes) == 1:
            x = x.copy()
            x.reshape(-1)[:shape[axes[0]]] = 0
            wide = x.astype(np.float64)
            for p, norm in ((1, np.sum(abs(wide), axes[0], keepdims=True)),
                            (2, np.sqrt(np.sum(wide * wide, axes[0], keepdims=True)))):
                case('LpNormalization', [x], [(wide / np.where(norm == 0, 1, norm)).astype(np.float32)],
                     tolerance=1e-5, axis=axes[0], p=p)
    for axis in (1, 2, -1):
        x = f(13, 5, 7, 300)
        s, b = f(*x.shape[axis:]), f(*x.shape[axis:])
        wide, axes = x.astype(np.float64), tuple(range(axis % 4, 4))
        d = wide - wide.mean(axes, keepdims=True)
        y = d / np.sqrt((d * d).mean(axes, keepdims=True) + 1e-5) * s + b
        case('LayerNormalization', [x, s, b], [y.astype(np.float32)], tolerance=1e-5, axis=axis)


def suppressed():
    def kept(boxes, scores, most, limit, least):
        at = []
        for k in sorted(np.flatnonzero(scores > least), key=lambda k: (-scores[k], k)):
            low, high = np.maximum(boxes[k, :2], boxes[at, :2]), np.minimum(boxes[k, 2:], boxes[at, 2:])
            common = np.prod(np.maximum(high - low, 0), 1)
            area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
            if len(at) < most and not np.any(common / (area[k] + area[at] - common) > limit):
                at.append(k)
        return at
    for spread in (2, 30, 1000):  # most overlap, some, hardly any
        corner = RNG.random((2, 700, 2)) * spread
        boxes = np.concatenate([corner, corner + 0.5 + RNG.random((2, 700, 2)) * 4], 2).astype(np.float32)
        scores = np.round(RNG.random((2, 3, 700)), 2).astype(np.float32)
        for most, limit, least in ((700, 0.3, 0.1), (50, 0.5, -1.0), (33, 0.0, 0.5)):
            rows = [(b, c, k) for b in range(2) for c in range(3)
                    for k in kept(boxes[b].astype(np.float64), scores[b, c], most, limit, np.float32(least))]
            case('NonMaxSuppression', [boxes, scores, np.int64(most), np.float32(limit), np.float32(least)],
                 [np.array(rows, np.int64).reshape(-1, 3)])


def model_of(op, inputs, outputs, opset, domain, attributes):
    names = [f'x{i}' for i in range(len(inputs))]
    node = helper.make_node(op, names, [f'y{i}' for i in range(outputs)], domain=domain, **attributes)
    declared = [helper.make_tensor_value_info(n, TYPES[np.asarray(a).dtype], np.shape(a))
                for n, a in zip(names, inputs)]
    results = [helper.make_empty_tensor_value_info(f'y{i}') for i in range(outputs)]
    imports = [helper.make_opsetid('', opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph([node], 'g', declared, results)
    return helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString()


def difference(got, want, tolerance):
    """want: the values, or a pair of them and how far off each may be."""
    bound = 0
    if isinstance(want, tuple):
        (want, bound), tolerance = want, 1
    elif tolerance and want.dtype.kind == 'f':
        finite = want[np.isfinite(want)].astype(np.float64)
        bound = tolerance * (np.max(np.abs(finite)) if finite.size else 0)
    want = np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return f'{got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}'
    if tolerance == 0 or want.dtype.kind not in 'f':
        same = (got == want) | ((got != got) & (want != want)) if want.dtype.kind == 'f' else got == want
    else:
        with np.errstate(invalid='ignore', over='ignore'):
            same = (np.abs(got.astype(np.float64) - want) <= bound) | (got == want) | ((got != got) & (want != want))
    if np.all(same):
        return None
    at = np.argwhere(~same)[0]
    return f'{np.count_nonzero(~same)} of {same.size} elements differ, first at {list(at)}: {got[tuple(at)]!r}, ' \
           f'expected {want[tuple(at)]!r}'


def check(lib, op, inputs, want, opset, tolerance, domain, attributes):
    model = model_of(op, inputs, len(want), opset, domain, attributes)
    for flags, way in ((0, 'optimized'), (libbnrun.REFERENCE, 'reference')):
        one = lib.run(model, [np.asarray(x) for x in inputs], flags, 1)
        two = lib.run(model, [np.asarray(x) for x in inputs], flags, 2)
        for i, (a, b, w) in enumerate(zip(one, two, want)):
            if a.tobytes() != b.tobytes():
                return f'{way}: output {i} differs between one thread and two'
            text = difference(a, w, tolerance)
            if text:
                return f'{way}: output {i}: {text}'
    return None


def main():
    warnings.simplefilter('ignore')
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    lib = libbnrun.Library(sys.argv[1])
    for make in (functions, chosen, quantized, resized, elements, tuples, ordered, picked, running, padded, reductions, scaled,
                 suppressed):
        make()
    passed = failed = 0
    for op, inputs, want, opset, tolerance, domain, attributes in CASES:
        if sys.argv[2:] and op not in sys.argv[2:]:
            continue
        try:
            text = check(lib, op, inputs, want, opset, tolerance, domain, attributes)
        except libbnrun.Error as e:
            text = str(e)
        passed, failed = passed + (text is None), failed + (text is not None)
        if text:
            print(f'fail {op} {[list(np.shape(x)) for x in inputs]} {attributes}: {text}')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
