# SPDX-License-Identifier: Apache-2.0
"""Convolution, pooling, products, normalization, resizing, sampling, recurrent networks."""
import numpy as np

from differential.cases import BOOL, F16, F32, F64, I32, I64, I8, U32, U64, U8, Case, cases


def window(r, attrs, kernel, dims, pads=True, dilations=True):
    """strides, dilations, pads or auto_pad for a kernel over dims."""
    n = len(kernel)
    if r.chance(0.6):
        attrs['strides'] = [r.int(1, 3) for _ in kernel]
    spread = [1] * n
    if dilations and r.chance(0.4):
        spread = attrs['dilations'] = [r.int(1, 2) if (k - 1) * 2 < d else 1 for k, d in zip(kernel, dims)]
    if r.chance(0.2) and spread == [1] * n:
        attrs.pop('dilations', None)
        attrs['auto_pad'] = r.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID'])
    elif pads and r.chance(0.6):
        attrs['pads'] = [r.int(0, k - 1) for _ in (0, 1) for k in kernel]
    return attrs


@cases('Conv', count=120)
def conv(r, op):
    n, group = r.pick([1, 2, 2, 2, 3]), r.pick([1, 1, 1, 2, 3])
    m, c = group * r.int(1, 6), group * r.int(1, 6)
    if r.chance(0.2):
        m = c = group = r.int(2, 9)
    if r.chance(0.15):
        m, c = r.int(16, 33), r.int(3, 33)
        group = 1
    dims, kernel = [r.int(4, 9) for _ in range(n)], [r.int(1, 3) for _ in range(n)]
    attrs = window(r, {'group': group} if group > 1 or r.chance(0.3) else {}, kernel, dims)
    if r.chance(0.5):
        attrs['kernel_shape'] = kernel
    kind = F64 if r.chance(0.1) else F32
    many = [r.array([r.int(1, 3), c, *dims], kind), r.array([m, c // group, *kernel], kind)]
    if r.chance(0.6):
        many.append(r.array([m], kind))
    constants = [i for i in (1, 2) if i < len(many)] if r.chance(0.7) else []
    return Case(op, many, attrs, opset=r.opset(7), constants=constants, tolerance=2e-5, relative_to_largest=True)


@cases('ConvTranspose', count=60)
def conv_transpose(r, op):
    n, group = r.pick([1, 2, 2, 3]), r.pick([1, 1, 2])
    c, m = group * r.int(1, 4), r.int(1, 4)
    dims, kernel = [r.int(1, 6) for _ in range(n)], [r.int(1, 3) for _ in range(n)]
    attrs = {'group': group}
    if r.chance(0.6):
        attrs['strides'] = [r.int(1, 3) for _ in kernel]
    if r.chance(0.3):
        attrs['dilations'] = [r.int(1, 2) for _ in kernel]
    if r.chance(0.5):
        attrs['pads'] = [0 if d == 1 else r.int(0, (k - 1) // 2) for _ in (0, 1) for k, d in zip(kernel, dims)]
    if r.chance(0.4):
        steps = attrs.get('strides', [1] * n)
        attrs['output_padding'] = [r.int(0, s - 1) for s in steps]
    many = [r.array([r.int(1, 2), c, *dims]), r.array([c, m, *kernel])]
    if r.chance(0.5):
        many.append(r.array([m * group]))
    return Case(op, many, attrs, opset=r.opset(7), constants=[1] if r.chance(0.7) else [], tolerance=2e-5,
                relative_to_largest=True)


@cases('AveragePool', 'MaxPool', 'LpPool', count=60)
def pools(r, op):
    n = r.pick([1, 2, 2, 3])
    dims, kernel = [r.int(4, 9) for _ in range(n)], [r.int(1, 3) for _ in range(n)]
    opset = {'AveragePool': r.pick([7, 10, 11, 19, 19]), 'MaxPool': r.pick([8, 10, 11, 12, 12]),
             'LpPool': r.pick([7, 11, 18, 18])}[op]
    spread = {'AveragePool': 19, 'MaxPool': 10, 'LpPool': 18}[op]
    attrs = window(r, {'kernel_shape': kernel}, kernel, dims, dilations=opset >= spread)
    if opset >= max(spread, 10) and r.chance(0.3) and 'auto_pad' not in attrs:
        attrs['ceil_mode'] = 1
    elif op == 'AveragePool' and opset == 10 and r.chance(0.3):
        attrs['ceil_mode'] = 1
    if op == 'AveragePool' and r.chance(0.4):
        attrs['count_include_pad'] = r.int(0, 1)
    if op == 'LpPool':
        attrs['p'] = r.int(1, 3)
    kind = r.pick([F32, F32, F64, I8, U8] if op == 'MaxPool' and opset >= 12 else [F32])
    outputs = 2 if op == 'MaxPool' and r.chance(0.4) else 1
    if outputs == 2 and r.chance(0.3):
        attrs['storage_order'] = r.int(0, 1)
    return Case(op, [r.array([r.int(1, 2), r.int(1, 5), *dims], kind)], attrs, opset=opset, outputs=outputs,
                tolerance=2e-5, relative_to_largest=True)


@cases('GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool')
def global_pools(r, op):
    x = r.array([r.int(1, 3), r.int(1, 5), *[r.int(1, 6) for _ in range(r.int(1, 3))]], F32)
    return Case(op, [x], {'p': r.int(1, 3)} if op == 'GlobalLpPool' else {}, opset=r.opset(7), tolerance=2e-5,
                relative_to_largest=True)


@cases('MaxUnpool')
def max_unpool(r, op):
    n, c, h, w = (r.int(1, 4) for _ in range(4))
    plane = 4 * h * w
    x = r.array([n, c, h, w])
    i = np.stack([r.g.permutation(plane)[:h * w].reshape(h, w) + k * plane for k in range(n * c)]).reshape(n, c, h, w)
    return Case(op, [x, i.astype(I64)], {'kernel_shape': [2, 2], 'strides': [2, 2]}, opset=r.opset(11))


@cases('MaxRoiPool')
def max_roi_pool(r, op):
    x = r.array([r.int(1, 2), r.int(1, 3), r.int(4, 8), r.int(4, 8)])
    rois = []
    for _ in range(r.int(1, 3)):
        x1, y1 = r.int(0, x.shape[3] - 1), r.int(0, x.shape[2] - 1)
        rois.append([r.int(0, x.shape[0] - 1), x1, y1, r.int(x1, x.shape[3] - 1), r.int(y1, x.shape[2] - 1)])
    attrs = {'pooled_shape': [r.int(1, 3), r.int(1, 3)]}
    if r.chance(0.5):
        attrs['spatial_scale'] = 0.5
    return Case(op, [x, np.array(rois, F32)], attrs, opset=r.opset(7))


@cases('RoiAlign', count=40)
def roi_align(r, op):
    x = r.array([r.int(1, 2), r.int(1, 3), r.int(4, 8), r.int(4, 8)], F32)
    n = r.int(1, 3)
    corner = r.positive([n, 2], F32, -1, 6)
    rois = np.concatenate([corner, corner + r.positive([n, 2], F32, 0.2, 6)], 1).astype(F32)
    opset = r.pick([10, 16])
    attrs = {'output_height': r.int(1, 3), 'output_width': r.int(1, 3), 'sampling_ratio': r.int(0, 3),
             'spatial_scale': r.pick([1.0, 0.5])}
    if r.chance(0.5):
        attrs['mode'] = r.pick(['avg', 'max'])
    if opset == 16:
        attrs['coordinate_transformation_mode'] = r.pick(['half_pixel', 'output_half_pixel'])
    return Case(op, [x, rois, r.indices([n], x.shape[0], I64, 0)], attrs, opset=opset, tolerance=1e-4,
                relative_to_largest=True)


@cases('MatMul', count=60)
def matmul(r, op):
    m, k, n = (r.int(1, 12) for _ in range(3))
    if r.chance(0.2):
        m, k, n = (r.int(1, 70) for _ in range(3))
    if r.chance(0.05):
        m = 0
    a, b = r.broadcast_shapes(2, 2)
    a, b = a + [m, k], b + [k, n]
    if r.chance(0.15):
        a = [k]
    elif r.chance(0.15):
        b = [k]
    kind = r.pick([F32, F32, F32, F64, I32, I64, U32, U64])
    return Case(op, [r.array(a, kind), r.array(b, kind)], opset=r.opset(9), constants=[1] if r.chance(0.4) else [],
                tolerance=2e-5, relative_to_largest=True, open_dims=r.chance(0.2))


@cases('Gemm', count=60)
def gemm(r, op):
    m, k, n = (r.int(1, 20) for _ in range(3))
    attrs = {k_: v for k_, v in (('transA', r.int(0, 1)), ('transB', r.int(0, 1)), ('alpha', r.pick([0.5, 2.0, 1.0])),
                                 ('beta', r.pick([0.5, 0.0, 1.0]))) if r.chance(0.6)}
    kind = r.pick([F32, F32, F64])
    many = [r.array([k, m] if attrs.get('transA') else [m, k], kind),
            r.array([n, k] if attrs.get('transB') else [k, n], kind)]
    opset = r.opset(7)
    if opset < 11 or r.chance(0.7):
        many.append(r.array(r.pick([[m, n], [n], [1, n], [m, 1], [1], [], [1, 1]]), kind))
    return Case(op, many, attrs, opset=opset, constants=[1] if r.chance(0.5) else [], tolerance=2e-5,
                relative_to_largest=True)


@cases('BatchNormalization', count=40)
def batch_norm(r, op):
    c, kind = r.int(1, 8), r.pick([F32, F32, F64])
    x = r.array([r.int(1, 3), c, *[r.int(1, 5) for _ in range(r.int(0, 3))]], kind)
    many = [x, r.array([c], kind), r.array([c], kind), r.array([c], kind), r.positive([c], kind)]
    attrs = {'epsilon': 1e-3} if r.chance(0.5) else {}
    return Case(op, many, attrs, opset=r.opset(9), constants=[1, 2, 3, 4] if r.chance(0.6) else [], tolerance=1e-4)


@cases('InstanceNormalization')
def instance_norm(r, op):
    c = r.int(1, 4)
    x = r.array([r.int(1, 3), c, *[r.int(2, 5) for _ in range(r.int(1, 3))]])
    return Case(op, [x, r.array([c]), r.array([c])], {'epsilon': 1e-3} if r.chance(0.5) else {}, opset=r.opset(7),
                tolerance=2e-4, relative_to_largest=True)


@cases('LayerNormalization', 'RMSNormalization', share=0.3)
def layer_norm(r, op):
    x = r.array(r.shape(1, 4, empty=0), F32 if r.chance(0.8) else F64)
    axis = r.axis(x.ndim)
    many = [x, r.array(x.shape[axis:], x.dtype)]
    if op == 'LayerNormalization' and r.chance(0.6):
        many.append(r.array(x.shape[axis:], x.dtype))
    attrs = {'axis': axis} if axis != -1 or r.chance(0.5) else {}
    if r.chance(0.5):
        attrs['epsilon'] = 1e-2
    outputs = r.int(1, 3) if op == 'LayerNormalization' else 1
    return Case(op, many, attrs, opset=17 if op == 'LayerNormalization' else 23, outputs=outputs, tolerance=5e-4,
                relative_to_largest=True)


@cases('GroupNormalization')
def group_norm(r, op):
    groups = r.int(1, 3)
    c, opset = groups * r.int(1, 3), r.pick([18, 21])
    x = r.array([r.int(1, 3), c, *[r.int(4, 6) for _ in range(r.int(1, 2))]])
    n = groups if opset == 18 else c
    return Case(op, [x, r.array([n]), r.array([n])], {'num_groups': groups}, opset=opset, tolerance=5e-4,
                relative_to_largest=True)


@cases('LRN')
def lrn(r, op):
    attrs = {k: v for k, v in (('alpha', 0.02), ('beta', 0.6), ('bias', 1.5)) if r.chance(0.5)}
    x = r.array([r.int(1, 2), r.int(1, 7), r.int(1, 4), r.int(1, 4)])
    return Case(op, [x], {'size': r.pick([1, 3, 5]), **attrs}, opset=r.opset(7))


@cases('Resize', count=150)
def resize(r, op):
    mode = r.pick(['nearest', 'linear', 'linear', 'cubic'])
    rank = {'nearest': r.int(1, 4), 'linear': r.pick([2, 4, 4]), 'cubic': 4}[mode]
    x = r.array([1 if i < rank - 2 and mode != 'nearest' else r.int(1, 6) for i in range(rank)], F32)
    opset = r.pick([11, 13, 18, 19])
    attrs = {'mode': mode, 'coordinate_transformation_mode': r.pick(
        ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'])}
    if mode == 'nearest':
        attrs['nearest_mode'] = r.pick(['round_prefer_floor', 'floor', 'ceil', 'round_prefer_ceil'])
    if mode == 'cubic' and r.chance(0.5):
        attrs['cubic_coeff_a'] = -0.5
        attrs['exclude_outside'] = r.int(0, 1)
    if opset >= 18 and r.chance(0.3) and mode != 'nearest':
        attrs['antialias'] = 1
    fixed = mode != 'nearest'
    if r.chance(0.5):
        scales = [1.0 if fixed and i < rank - 2 else r.pick([0.5, 0.75, 1.0, 1.5, 2.0, 3.0]) for i in range(rank)]
        scales = [s if int(d * s) > 0 else 1.0 for s, d in zip(scales, x.shape)]
        more = [None if opset >= 13 else np.zeros(0, F32), np.array(scales, F32)]
    else:
        sizes = [d if fixed and i < rank - 2 else r.int(1, 9) for i, d in enumerate(x.shape)]
        empty = None if opset >= 13 else np.zeros(0, F32)
        more = [empty, empty, np.array(sizes, I64)]
    return Case(op, [x, *more], attrs, opset=opset, constants=[i for i in (1, 2, 3) if i <= len(more) and more[i - 1]
                is not None] if r.chance(0.8) else [], tolerance=1e-4, relative_to_largest=True)


@cases('Upsample')
def upsample(r, op):
    x = r.array([1, r.int(1, 3), r.int(1, 5), r.int(1, 5)], F32)
    scales = [1.0, 1.0, r.pick([1.0, 2.0, 3.0]), r.pick([1.0, 2.0, 1.5])]
    mode = {'mode': r.pick(['nearest', 'linear'])}
    if r.chance(0.4):
        return Case(op, [x], {**mode, 'scales': scales}, opset=r.int(7, 8), tolerance=1e-4)
    return Case(op, [x, np.array(scales, F32)], mode, opset=9, constants=[1], tolerance=1e-4)


@cases('GridSample', count=60)
def grid_sample(r, op):
    opset = r.pick([16, 20, 20])
    volume = opset == 20 and r.chance(0.3)
    modes = ['bilinear', 'nearest', 'bicubic'] if opset == 16 else ['linear', 'nearest'] + ([] if volume else ['cubic'])
    n, c, k = r.int(1, 2), r.int(1, 3), 3 if volume else 2
    x = r.array([n, c, *[r.int(2, 5) for _ in range(k)]])
    grid = r.positive([n, *[r.int(1, 4) for _ in range(k)], k], F32, -1.3, 1.3)
    attrs = {'mode': r.pick(modes), 'padding_mode': r.pick(['zeros', 'border', 'reflection']),
             'align_corners': r.int(0, 1)}
    return Case(op, [x, grid], attrs, opset=opset, tolerance=2e-4, relative_to_largest=True)


@cases('AffineGrid')
def affine_grid(r, op):
    n, volume = r.int(1, 2), r.chance(0.4)
    size = [n, r.int(1, 2), *[r.int(1, 5) for _ in range(3 if volume else 2)]]
    return Case(op, [r.array([n, len(size) - 2, len(size) - 1]), np.array(size, I64)],
                {'align_corners': r.int(0, 1)} if r.chance(0.6) else {}, opset=r.opset(20), tolerance=1e-4)


@cases('Col2Im')
def col2im(r, op):
    image, block = [r.int(3, 6), r.int(3, 6)], [r.int(1, 3), r.int(1, 3)]
    attrs, steps, pads = {}, [1, 1], [0, 0, 0, 0]
    if r.chance(0.5):
        steps = attrs['strides'] = [r.int(1, 2), r.int(1, 2)]
    if r.chance(0.4):
        pads = attrs['pads'] = [r.int(0, 1) for _ in range(4)]
    cells = [(d + pads[i] + pads[i + 2] - b) // s + 1 for i, (d, b, s) in enumerate(zip(image, block, steps))]
    x = r.array([r.int(1, 2), r.int(1, 2) * block[0] * block[1], cells[0] * cells[1]])
    return Case(op, [x, np.array(image, I64), np.array(block, I64)], attrs, opset=r.opset(18))


@cases('DeformConv')
def deform_conv(r, op):
    c, m, h, w = r.int(1, 3), r.int(1, 3), r.int(4, 6), r.int(4, 6)
    k, pads = r.int(1, 3), r.int(0, 1)
    oh, ow = h + 2 * pads - k + 1, w + 2 * pads - k + 1
    many = [r.array([1, c, h, w]), r.array([m, c, k, k]), r.array([1, 2 * k * k, oh, ow], scale=0.7)]
    many.append(r.array([m]) if r.chance(0.5) else None)
    many.append(r.array([1, k * k, oh, ow]) if r.chance(0.5) else None)
    return Case(op, many, {'pads': [pads] * 4, 'kernel_shape': [k, k]}, opset=r.opset(19), tolerance=2e-4,
                relative_to_largest=True)


@cases('NonMaxSuppression', count=40)
def nms(r, op):
    batch, classes, boxes = r.int(1, 2), r.int(1, 3), r.int(1, 8)
    center = r.chance(0.4)
    a = r.positive([batch, boxes, 4], F32, 0, 4)
    if not center:
        a[..., 2:] = a[..., :2] + r.positive([batch, boxes, 2], F32, 0.5, 3)
    many = [a, r.positive([batch, classes, boxes], F32, 0, 1), np.array([r.int(1, 5)], I64),
            np.array([0.3], F32), np.array([0.2], F32)]
    return Case(op, many[:r.int(3, 5)], {'center_point_box': 1} if center else {}, opset=r.opset(11))


@cases('RNN', 'GRU', 'LSTM', count=50)
def recurrent(r, op):
    gates = {'RNN': 1, 'GRU': 3, 'LSTM': 4}[op]
    direction = r.pick(['forward', 'reverse', 'bidirectional'])
    d, steps, batch, n, h = 1 + (direction == 'bidirectional'), r.int(1, 5), r.int(1, 3), r.int(1, 4), r.int(1, 4)
    many = [r.array([steps, batch, n], scale=1), r.array([d, gates * h, n], scale=1),
            r.array([d, gates * h, h], scale=1), r.array([d, 2 * gates * h], scale=1) if r.chance(0.6) else None,
            np.array([r.int(1, steps) for _ in range(batch)], I32) if r.chance(0.4) else None,
            r.array([d, batch, h], scale=1) if r.chance(0.5) else None]
    attrs = {'hidden_size': h, 'direction': direction}
    if op == 'GRU' and r.chance(0.5):
        attrs['linear_before_reset'] = 1
    if op == 'LSTM':
        many.append(r.array([d, batch, h], scale=1) if many[5] is not None else None)
        many.append(r.array([d, 3 * h], scale=1) if r.chance(0.3) else None)
        if r.chance(0.2):
            attrs['input_forget'] = r.int(0, 1)
    if r.chance(0.3):
        attrs['clip'] = 0.75
    if r.chance(0.4):
        count = {'RNN': 1, 'GRU': 2, 'LSTM': 3}[op] * d
        attrs['activations'] = [r.pick(['Tanh', 'Sigmoid', 'Softsign', 'HardSigmoid']) for _ in range(count)]
    wanted = [r.chance(0.7), True, *([r.chance(0.5)] if op == 'LSTM' else [])]
    return Case(op, many, attrs, opset=r.opset(7), outputs=wanted, constants=[1, 2] if r.chance(0.5) else [],
                tolerance=1e-4, relative_to_largest=True)


@cases('NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss', share=0.3)
def losses(r, op):
    n, c, rest = r.int(1, 4), r.int(2, 5), [r.int(1, 3) for _ in range(r.int(0, 2))]
    many = [r.array([n, c, *rest]), r.indices([n, *rest], c, r.pick([I32, I64]), 0)]
    if r.chance(0.5):
        many.append(r.positive([c]))
    attrs = {'reduction': r.pick(['none', 'mean', 'sum'])} if r.chance(0.8) else {}
    if r.chance(0.4):
        attrs['ignore_index'] = r.int(0, c - 1)
    return Case(op, many, attrs, opset=r.opset(13), tolerance=1e-4)
