# SPDX-License-Identifier: Apache-2.0
"""Experimental operators of opset 1, which ONNX Runtime has kept, and its SimplifiedLayerNormalization."""
import numpy as np

from differential.cases import F32, I64, Case, cases


@cases('Affine', 'ParametricSoftplus', 'ScaledTanh')
def scaled(r, op):
    attrs = {k: float(np.float32(r.int(1, 8) / 4)) for k in ('alpha', 'beta')}
    return Case(op, [r.array(r.shape())], attrs, opset=r.int(7, 9), open_dims=r.chance(0.3))


@cases('Crop', 'ImageScaler')
def images(r, op):
    x = r.array([r.int(1, 2), r.int(1, 4), r.int(3, 6), r.int(3, 6)])
    if op == 'ImageScaler':
        attrs = {'scale': 0.5, 'bias': r.array([x.shape[1]]).tolist()}
    else:
        attrs = {'border': [r.int(0, 1) for _ in range(4)]}
        if r.chance(0.4):
            attrs['scale'] = [r.int(1, x.shape[2] - attrs['border'][1]), r.int(1, x.shape[3] - attrs['border'][0])]
    return Case(op, [x], attrs, opset=r.int(7, 9), open_dims=r.chance(0.3))


@cases('DynamicSlice')
def dynamic_slice(r, op):
    x = r.array(r.shape(1, 4), F32)
    axes = r.axes(x.ndim)
    ends = [r.int(-7, 7) for _ in axes]
    many = [x, np.array([r.int(-7, 7) for _ in axes], I64), np.array(ends, I64)]
    if r.chance(0.7) or axes != list(range(len(axes))):
        many.append(np.array(axes, I64))
    return Case(op, many, opset=r.int(7, 9))


@cases('SimplifiedLayerNormalization')
def simplified_layer_norm(r, op):
    x = r.array(r.shape(1, 4, empty=0))
    axis = r.axis(x.ndim)
    return Case(op, [x, r.array(x.shape[axis:])], {'axis': axis, 'epsilon': 1e-3}, opset=r.opset(7), tolerance=1e-4)
