# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements, and those about shapes."""
import numpy as np
from onnx import TensorProto, helper

from differential.cases import ANY, BOOL, F16, F32, F64, I32, I64, I8, TEXT, U8, Case, cases


@cases('Reshape', count=40)
def reshape(r, op):
    x = r.array(r.shape(0, 4), r.pick(ANY))
    dims, left = [], x.size
    for _ in range(r.int(0, 3)):
        d = r.pick([k for k in range(1, max(left, 1) + 1) if left % k == 0]) if left else r.int(1, 3)
        dims.append(d)
        left = left // d if left else 0
    dims.append(left)
    if r.chance(0.4) and x.size:
        dims[r.int(0, len(dims) - 1)] = -1
    attrs = {}
    for i, d in enumerate(dims):
        if x.size and d > 0 and i < x.ndim and x.shape[i] == d and r.chance(0.5):
            dims[i] = 0
    opset = r.opset(7)
    if x.size == 0:
        opset, attrs = max(opset, 14), {'allowzero': 1}
    return Case(op, [x, np.array(dims, I64)], attrs, opset=opset, constants=[1] if r.chance(0.6) else [])


@cases('Flatten')
def flatten(r, op):
    x = r.array(r.shape(1, 4), r.pick(ANY))
    return Case(op, [x], {'axis': r.int(-x.ndim, x.ndim)} if r.chance(0.7) else {}, opset=r.opset(13))


@cases('Transpose')
def transpose(r, op):
    x = r.array(r.shape(0, 5), r.pick(ANY))
    attrs = {'perm': [int(a) for a in r.g.permutation(x.ndim)]} if x.ndim and r.chance(0.8) else {}
    return Case(op, [x], attrs, opset=r.opset(7), constants=r.constants([x]), open_dims=r.chance(0.3))


@cases('Squeeze', 'Unsqueeze')
def squeeze(r, op):
    shape = r.shape(0, 4)
    if op == 'Squeeze':
        ones = [int(i) for i in range(len(shape)) if r.chance(0.5)]
        shape = [1 if i in ones else d for i, d in enumerate(shape)]
        ones = [i - len(shape) if r.chance(0.3) else i for i in ones]
    else:
        rank = len(shape) + r.int(1, 2)
        ones = r.axes(rank)[:rank - len(shape)]
        while len(ones) < rank - len(shape):
            shape.append(2)
        ones = ones[:rank - len(shape)] if len(shape) < rank else ones[:1]
    x = r.array(shape, r.pick(ANY))
    opset = r.opset(11)
    if op == 'Squeeze' and (not ones or r.chance(0.2)):
        return Case(op, [x], opset=opset)
    if opset < 13:
        return Case(op, [x], {'axes': ones}, opset=opset)
    return Case(op, [x, np.array(ones, I64)], opset=opset, constants=[1] if r.chance(0.6) else [])


@cases('Concat')
def concat(r, op):
    shape, kind = r.shape(1, 4), r.pick(ANY)
    axis = r.axis(len(shape))
    many = []
    for _ in range(r.int(1, 4)):
        s = list(shape)
        s[axis] = r.int(0, 3)
        many.append(r.array(s, kind))
    return Case(op, many, {'axis': axis}, opset=r.opset(13), constants=r.constants(many))


@cases('Split')
def split(r, op):
    shape = r.shape(1, 4)
    axis, parts = r.axis(len(shape)), r.int(1, 4)
    sizes = [r.int(0, 3) for _ in range(parts)]
    opset = r.opset(11, 20)
    even = r.chance(0.3)
    if even:
        sizes = [max(sizes[0], 1)] * parts
        if opset >= 18:
            sizes[-1] = r.int(1, sizes[0])
    shape[axis] = sum(sizes)
    x, attrs, inputs = r.array(shape, r.pick([F32, I32, I64, U8, TEXT, F16, BOOL])), {}, []
    if axis or r.chance(0.5):
        attrs['axis'] = axis
    if even and opset >= 18:
        if -(-shape[axis] // parts) * (parts - 1) >= shape[axis] and parts > 1:
            shape[axis] = parts
            x = r.array(shape, F32)
        attrs['num_outputs'] = parts
    elif not even and opset < 13:
        attrs['split'] = sizes
    elif not even:
        inputs = [np.array(sizes, I64)]
    return Case(op, [x, *inputs], attrs, opset=opset, outputs=parts, constants=[1] if inputs and r.chance(0.6) else [])


@cases('Slice', count=80)
def slices(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F64, F16, I32, I64, U8, BOOL, TEXT]))
    axes = r.axes(x.ndim)
    starts = [r.int(-7, 7) for _ in axes]
    ends = [r.pick([r.int(-7, 7), 2**31 - 1, -2**31, 2**63 - 1, -2**63, 1000]) for _ in axes]
    steps = [r.pick([1, 1, 2, 3, -1, -2]) for _ in axes]
    kind = r.pick([I32, I64])
    if kind is I32:
        ends = [max(-2**31, min(2**31 - 1, e)) for e in ends]
    inputs = [x, *(np.array(v, kind) for v in (starts, ends, axes, steps))]
    inputs = inputs[:r.pick([5, 5, 4])]
    if len(inputs) == 5 and sorted(axes) == list(range(x.ndim)) and axes == sorted(axes) and r.chance(0.5):
        inputs[3] = None
    opset = r.opset(10)
    return Case(op, inputs, opset=opset, constants=[1, 2] + [i for i in (3, 4) if i < len(inputs) and
                inputs[i] is not None] if r.chance(0.6) else [])


@cases('Pad', count=60)
def pad(r, op):
    kind = r.pick([F32, F32, F64, I32, I64, U8, BOOL])
    mode = r.pick(['constant', 'constant', 'reflect', 'edge', 'wrap'])
    x = r.array(r.shape(1, 4, empty=0.06 if mode == 'constant' else 0), kind)
    limit = [max(d - 1, 0) if mode == 'reflect' else 3 for d in x.shape]
    axes = r.axes(x.ndim) if r.chance(0.3) else None
    order = [a % x.ndim for a in axes] if axes else range(x.ndim)
    if mode in ('reflect', 'wrap'):
        pads = [r.int(0, min(limit[a], x.shape[a] - 1)) for a in order] + [
            r.int(0, min(limit[a], x.shape[a] - 1)) for a in order]
    else:
        pads = [r.int(-1 if x.shape[a] > 2 and mode == 'constant' else 0, 3) for _ in (0, 1) for a in order]
    opset = 19 if mode == 'wrap' or kind is BOOL else 18 if axes else r.opset(13)
    inputs = [x, np.array(pads, I64), np.array(r.int(0, 1), kind) if r.chance(0.4) else None]
    if axes:
        inputs.append(np.array(axes, r.pick([I32, I64])))
    return Case(op, inputs, {'mode': mode} if mode != 'constant' or r.chance(0.5) else {}, opset=opset,
                constants=[1] if r.chance(0.5) else [])


@cases('Tile')
def tile(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F64, I32, I64, U8, BOOL, TEXT]))
    return Case(op, [x, np.array([r.int(0, 3) for _ in x.shape], I64)], opset=r.opset(7),
                constants=[1] if r.chance(0.5) else [])


@cases('Expand')
def expand(r, op):
    a, b = r.broadcast_shapes()
    return Case(op, [r.array(a, r.pick(ANY)), np.array(b, I64)], opset=r.opset(8),
                constants=[1] if r.chance(0.5) else [])


@cases('Shape', 'Size')
def shape_of(r, op):
    x = r.array(r.shape(), r.pick(ANY))
    attrs = {k: r.int(-6, 6) for k in ('start', 'end') if op == 'Shape' and r.chance(0.5)}
    return Case(op, [x], attrs, opset=15 if attrs else r.opset(13), open_dims=r.chance(0.5))


@cases('ConstantOfShape')
def constant_of_shape(r, op):
    kind = r.pick([F32, F64, I32, I64, U8, BOOL, F16])
    value = {'value': helper.make_tensor('v', Case.number(np.empty(0, kind)), [1],
                                         r.array([1], kind).astype(kind).tobytes(), raw=True)}
    return Case(op, [np.array(r.shape(), I64)], value if r.chance(0.8) else {}, opset=r.opset(9),
                constants=[0] if r.chance(0.4) else [])


@cases('EyeLike')
def eye_like(r, op):
    attrs = {'k': r.int(-3, 3)} if r.chance(0.6) else {}
    if r.chance(0.5):
        attrs['dtype'] = r.pick([1, 6, 7, 11])
    return Case(op, [r.array(r.shape(2, 2), r.pick([F32, F64, I32, I64]))], attrs, opset=r.opset(9))


@cases('DepthToSpace', 'SpaceToDepth')
def depth(r, op):
    b, (n, c, h, w) = r.int(1, 3), (r.int(1, 3) for _ in range(4))
    down = op == 'DepthToSpace'
    x = r.array([n, c * b * b, h, w] if down else [n, c, h * b, w * b], r.pick([F32, F64]))
    attrs = {'blocksize': b}
    if down and r.chance(0.7):
        attrs['mode'] = r.pick(['DCR', 'CRD'])
    return Case(op, [x], attrs, opset=r.opset(13))


@cases('Trilu')
def trilu(r, op):
    x = r.array(r.shape(2, 4), r.pick([F32, F64, I64, BOOL]))
    k = [np.array(r.int(-4, 4), I64)] if r.chance(0.7) else []
    return Case(op, [x, *k], {'upper': r.int(0, 1)} if r.chance(0.7) else {}, opset=r.opset(14))


@cases('Range')
def ranges(r, op):
    kind = r.pick([F32, F64, I32, I64])
    start, limit, step = r.int(-8, 8), r.int(-8, 8), r.pick([1, 2, 3, -1, -2, 5])
    scale = 0.5 if kind in (F32, F64) else 1
    many = [np.array(v * scale, kind) for v in (start, limit, step)]
    return Case(op, many, opset=r.opset(11), constants=r.constants(many, 0.4))


@cases('CenterCropPad')
def center_crop_pad(r, op):
    x = r.array(r.shape(1, 4, empty=0), r.pick([F32, I64]))
    axes = r.axes(x.ndim) if r.chance(0.5) else None
    target = np.array([r.int(1, 7) for _ in (axes or x.shape)], I64)
    return Case(op, [x, target], {'axes': axes} if axes else {}, opset=r.opset(18),
                constants=[1] if r.chance(0.5) else [])


@cases('ReverseSequence')
def reverse_sequence(r, op):
    x = r.array(r.shape(2, 4, empty=0), r.pick([F32, F64, I32, TEXT]))
    batch = r.int(0, 1)
    lengths = np.array([r.int(1, x.shape[1 - batch]) for _ in range(x.shape[batch])], I64)
    return Case(op, [x, lengths], {'batch_axis': batch, 'time_axis': 1 - batch}, opset=r.opset(10))
