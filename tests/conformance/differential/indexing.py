# SPDX-License-Identifier: Apache-2.0
"""Gathering and scattering."""
import numpy as np

from differential.cases import BOOL, F16, F32, F64, I32, I64, I8, TEXT, U8, Case, cases

KINDS = [F32, F32, F64, F16, I32, I64, U8, BOOL, TEXT]


@cases('Gather', count=40)
def gather(r, op):
    x = r.array(r.shape(1, 4, empty=0.03), r.pick(KINDS))
    axis = r.axis(x.ndim)
    shape = r.shape(0, 3) if x.shape[axis] else [0]
    i = r.indices(shape, x.shape[axis], r.pick([I32, I64]))
    return Case(op, [x, i], {'axis': axis} if axis or r.chance(0.5) else {}, opset=r.opset(11),
                constants=[1] if r.chance(0.3) else [])


@cases('GatherElements', 'ScatterElements', count=40)
def elements(r, op):
    x = r.array(r.shape(1, 4, empty=0), r.pick(KINDS))
    axis = r.axis(x.ndim)
    shape = [r.int(1, d) for d in x.shape]
    scatter = op == 'ScatterElements'
    if not scatter:
        shape[axis] = r.int(1, 6)
    i = r.indices(shape, x.shape[axis], r.pick([I32, I64]))
    attrs = {'axis': axis} if axis or r.chance(0.5) else {}
    opset = r.opset(11)
    if not scatter:
        return Case(op, [x, i], attrs, opset=opset)
    if opset >= 16 and r.chance(0.6) and x.dtype.kind in 'f' and x.dtype != F16:
        attrs['reduction'] = r.pick(['add', 'mul', 'none'] + (['max', 'min'] if opset >= 18 else []))
    if attrs.get('reduction', 'none') == 'none':  # the order of duplicates is not defined
        line = r.g.permutation(x.shape[axis])[:shape[axis]]
        along = [1] * x.ndim
        along[axis] = len(line)
        i = np.broadcast_to(line.reshape(along), shape).astype(i.dtype)
    return Case(op, [x, i, r.array(shape, x.dtype)], attrs, opset=opset)


@cases('Scatter')
def scatter(r, op):
    x = r.array(r.shape(1, 3, empty=0), r.pick([F32, I64]))
    i = np.arange(x.shape[0]).reshape([-1] + [1] * (x.ndim - 1))
    i = np.broadcast_to(i, x.shape).astype(I64)
    return Case(op, [x, i, r.array(x.shape, x.dtype)], {'axis': 0}, opset=r.int(9, 10))


@cases('GatherND', 'ScatterND', count=40)
def nd(r, op):
    x = r.array(r.shape(1, 4, empty=0), r.pick(KINDS))
    scatter = op == 'ScatterND'
    batch = r.int(0, x.ndim - 1) if not scatter and r.chance(0.4) else 0
    depth = r.int(1, x.ndim - batch)
    lead = list(x.shape[:batch]) + r.shape(0 if batch else 1, 2, empty=0)
    i = np.stack([r.indices(lead, x.shape[batch + k]) for k in range(depth)], -1)
    if not scatter:
        return Case(op, [x, i], {'batch_dims': batch} if batch or r.chance(0.3) else {}, opset=r.opset(12))
    opset, attrs = r.opset(11), {}
    if opset >= 16 and r.chance(0.6) and x.dtype in (F32, F64, I64):
        attrs['reduction'] = r.pick(['add', 'mul'] + (['max', 'min'] if opset >= 18 else []))
    else:
        i = i.reshape(-1, depth)[:1]
        lead = [1]
    updates = r.array(lead + list(x.shape[depth:]), x.dtype)
    return Case(op, [x, i.astype(I64), updates], attrs, opset=opset)


@cases('OneHot')
def one_hot(r, op):
    depth = r.int(1, 6)
    kind, value, count = r.pick([(I64, F32, I64), (I64, I64, I64), (I32, F32, I32), (F32, F32, F32), (I64, I32, F32),
                                 (I64, TEXT, I64), (F32, F32, I64)])
    i = r.indices(r.shape(1, 3), depth + (2 if r.chance(0.3) else 0), kind)
    attrs = {'axis': r.int(-i.ndim - 1, i.ndim)} if r.chance(0.7) else {}
    return Case(op, [i, np.full(r.pick([[], [1]]), depth, count), r.array([2], value)], attrs, opset=r.opset(11),
                constants=[1] if r.chance(0.5) else [])


@cases('Compress')
def compress(r, op):
    x = r.array(r.shape(1, 4, empty=0), r.pick(KINDS))
    axis = r.axis(x.ndim) if r.chance(0.6) else None
    limit = x.size if axis is None else x.shape[axis]
    return Case(op, [x, r.array([r.int(1, limit)], BOOL)], {} if axis is None else {'axis': axis}, opset=r.opset(11))


@cases('NonZero')
def non_zero(r, op):
    return Case(op, [np.round(r.array(r.shape(0, 4), r.pick([F32, I64, I32, BOOL, U8]), scale=1))], opset=r.opset(9))


@cases('TensorScatter', share=0)
def tensor_scatter(r, op):
    x = r.array([r.int(1, 3), r.int(4, 6), r.int(1, 3)])
    update = r.array([x.shape[0], r.int(1, 3), x.shape[2]])
    return Case(op, [x, update, r.indices([x.shape[0]], x.shape[1] - update.shape[1] + 1, I64, 0)], {'axis': 1},
                opset=24)
