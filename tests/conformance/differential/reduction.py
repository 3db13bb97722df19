# SPDX-License-Identifier: Apache-2.0
"""Reductions, arguments of extremes, running sums, softmax, sorting."""
import numpy as np

from differential.cases import BOOL, F16, F32, F64, I32, I64, I8, U8, Case, cases

IN_ATTRIBUTE_BELOW = {'ReduceSum': 13}


@cases('ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceL1', 'ReduceL2', 'ReduceLogSum',
       'ReduceLogSumExp', 'ReduceSumSquare', count=40)
def reduce(r, op):
    kinds = [F32, F32, F32, F64, *([I32] if op != 'ReduceLogSumExp' else [])]
    if op in ('ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare'):
        kinds += [I64]
    if op in ('ReduceMax', 'ReduceMin'):
        kinds += [U8, I8]
    kind = r.pick(kinds)
    shape = r.shape(0, 4, empty=0.1)
    x = r.array(shape, kind, scale=1.5)
    if op == 'ReduceLogSum' or (op in ('ReduceLogSumExp', 'ReduceL2', 'ReduceMean') and x.dtype.kind == 'i'):
        x = np.abs(x) + np.ones((), kind)
    if op == 'ReduceProd':
        x = np.sign(x) if x.dtype.kind == 'i' else x / 2
    attrs, inputs, opset = {}, [x.astype(kind)], r.opset(13, 20)
    if r.chance(0.7):
        attrs['keepdims'] = r.int(0, 1)
    axes = r.axes(len(shape)) if r.chance(0.75) else None
    if opset >= IN_ATTRIBUTE_BELOW.get(op, 18):
        if axes is not None:
            inputs.append(np.array(axes if r.chance(0.9) else [], I64))
        if r.chance(0.3):
            attrs['noop_with_empty_axes'] = r.int(0, 1)
    elif axes:
        attrs['axes'] = axes
    constants = [1] if len(inputs) == 2 and r.chance(0.5) else []
    return Case(op, inputs, attrs, opset=opset, constants=constants, tolerance=2e-5, relative_to_largest=True)


@cases('ArgMax', 'ArgMin')
def arg(r, op):
    x = np.round(r.array(r.shape(1, 4), r.pick([F32, F32, F64, I32, I8, U8])))
    attrs = {k: v for k, v in (('axis', r.axis(x.ndim)), ('keepdims', r.int(0, 1)),
                               ('select_last_index', r.int(0, 1))) if r.chance(0.7)}
    return Case(op, [x], attrs, opset=r.opset(13))


@cases('CumSum')
def cumulative(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F64, I32, I64]))
    axis = np.array(r.axis(x.ndim), r.pick([I32, I64]))
    attrs = {k: r.int(0, 1) for k in ('exclusive', 'reverse') if r.chance(0.6)}
    return Case(op, [x, axis], attrs, opset=r.opset(11), constants=[1] if r.chance(0.5) else [])


@cases('Softmax', 'LogSoftmax', 'Hardmax', count=30)
def softmax(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F32, F64] if op != 'Hardmax' else [F32]))
    if op == 'Hardmax':
        x = np.round(x)
    attrs = {'axis': r.axis(x.ndim)} if r.chance(0.7) else {}
    return Case(op, [x], attrs, opset=r.opset(11))


@cases('TopK', count=40)
def top_k(r, op):
    x = r.array(r.shape(1, 4, empty=0),  # ONNX Runtime divides by zero
                 r.pick([F32, F32, F64, I64, I32]))
    if x.dtype.kind == 'f' and r.chance(0.4):
        x = np.round(x)
    axis = r.axis(x.ndim)
    attrs = {'axis': axis} if axis != -1 or r.chance(0.5) else {}
    attrs.update({k: v for k, v in (('largest', r.int(0, 1)), ('sorted', 1)) if r.chance(0.6)})
    k = np.array([r.int(1 if x.size else 0, x.shape[axis])], I64)
    return Case(op, [x, k], attrs, opset=r.opset(11), outputs=2, constants=[1] if r.chance(0.5) else [])


@cases('Unique')
def unique(r, op):
    x = np.round(r.array(r.shape(1, 3, empty=0), r.pick([F32, F64, I64, I8])))
    attrs = {'axis': r.axis(x.ndim)} if r.chance(0.6) else {}
    if r.chance(0.7):
        attrs['sorted'] = r.int(0, 1)
    return Case(op, [x], attrs, opset=r.opset(11), outputs=r.pick([1, 2, 4, [True, False, True]]))


@cases('LpNormalization', share=0.4)
def lp_normalization(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F64]))
    attrs = {k: v for k, v in (('axis', r.axis(x.ndim)), ('p', r.int(1, 2))) if r.chance(0.7)}
    return Case(op, [x], attrs, opset=r.opset(7))


@cases('MeanVarianceNormalization')
def mvn(r, op):
    x = r.array(r.shape(4, 4, empty=0), F32)
    return Case(op, [x], {'axes': sorted({a % 4 for a in r.axes(4)})} if r.chance(0.6) else {}, opset=r.opset(9),
                tolerance=1e-4)


@cases('Einsum', count=40)
def einsum(r, op):
    equation = r.pick(['ij,jk->ik', 'ij->ji', 'ii->i', 'ij->', 'bij,bjk->bik', 'i,j->ij', 'ij,ij->i', '...ij->...ji',
                       'ij,jk', 'bhid,bhjd->bhij', 'ijk->kj', 'ij,jk,kl->il', '...i,...i->...', 'ii', 'ij , kj -> ik'])
    dims = {c: r.int(1, 4) for c in 'bdhijkl'}
    kind = r.pick([F32, F32, F64, I32, I64])
    many = []
    batch = r.shape(0, 2)
    for term in equation.replace(' ', '').split('->')[0].split(','):
        ellipsis = term.startswith('...')
        many.append(r.array((batch if ellipsis else []) + [dims[c] for c in term.replace('...', '')], kind))
    return Case(op, many, {'equation': equation}, opset=r.opset(12), tolerance=1e-4, relative_to_largest=True)


@cases('Det')
def det(r, op):
    n = r.int(1, 5)
    return Case(op, [r.array(r.shape(0, 2) + [n, n], F32)], opset=r.opset(11), tolerance=1e-3,
                relative_to_largest=True)


@cases('CumProd', share=0)  # from opset 26 on
def cumulative_product(r, op):
    x = r.array(r.shape(1, 3), r.pick([F32, F64]), scale=1)
    attrs = {k: r.int(0, 1) for k in ('exclusive', 'reverse') if r.chance(0.5)}
    return Case(op, [x, np.array(r.axis(x.ndim), I64)], attrs, opset=26)
