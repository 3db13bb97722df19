# SPDX-License-Identifier: Apache-2.0
"""Operators of com.microsoft."""
import numpy as np

from differential.cases import F32, I32, I64, I8, U8, Case, cases

MS = {'domain': 'com.microsoft', 'opset': 1}
LOOSE = {'tolerance': 1e-4, 'relative_to_largest': True, **MS}


def scale(r, shape=(), factor=1):
    return (r.positive(list(shape), F32, 0.01, 0.3) * factor).astype(F32)


def optional(r, value, chance=0.5):
    return value if r.chance(chance) else None


def merge_attrs(r, choices):
    """Each of the attributes with even chance."""
    return {k: v for k, v in choices.items() if r.chance(0.5)}


# ---- element-wise, normalization, products ---------------------------------------------------------

@cases('Gelu', 'QuickGelu', 'FastGelu', 'BiasGelu')
def gelu(r, op):
    x = r.array(r.shape(1, 4))
    many = [x]
    if op == 'BiasGelu' or (op == 'FastGelu' and r.chance(0.5)):
        many.append(r.array([x.shape[-1]]))
    attrs = {'alpha': 1.3} if op == 'QuickGelu' and r.chance(0.5) else {}
    return Case(op, many, attrs, tolerance=1e-4, open_dims=r.chance(0.3), **MS)


@cases('SkipLayerNormalization', 'SkipSimplifiedLayerNormalization', count=30)
def skip_norm(r, op):
    b, s, h = r.int(1, 3), r.int(1, 4), r.int(2, 9)
    skip = r.array(r.pick([[b, s, h], [b, s, h], [s, h], [1, s, h]]))
    many = [r.array([b, s, h]), skip, r.array([h])]
    if op == 'SkipLayerNormalization':
        many.append(optional(r, r.array([h])))
    many.append(optional(r, r.array([h])))
    return Case(op, many, {'epsilon': 1e-3} if r.chance(0.5) else {'epsilon': 1e-5},
                outputs=[True, False, False, True] if r.chance(0.5) else 1, open_dims=r.chance(0.3), **LOOSE)


@cases('EmbedLayerNormalization', count=30)
def embed(r, op):
    b, s, h = r.int(1, 3), r.int(1, 4), r.int(2, 6)
    segments = r.chance(0.6)
    mask = r.indices([b, s], 2, I32, 0) if r.chance(0.5) else None
    many = [r.indices([b, s], 7, I32, 0), r.indices([b, s], 2, I32, 0) if segments else None, r.array([7, h]),
            r.array([9, h]), r.array([2, h]) if segments else None, r.array([h]), r.array([h]), mask,
            r.indices([b, s], 9, I32, 0) if r.chance(0.4) else None]
    return Case(op, many, {'epsilon': 1e-5}, outputs=r.pick([2, 3]), open_dims=r.chance(0.3), **LOOSE)


@cases('FusedMatMul', count=50)
def fused_matmul(r, op):
    m, k, n, batch = r.int(1, 5), r.int(1, 5), r.int(1, 5), [r.int(1, 3) for _ in range(r.int(0, 2))]
    attrs = merge_attrs(r, {'transA': 1, 'transB': 1, 'alpha': 0.5})
    shapes = []
    for last, flag, rotate in (([m, k], 'transA', 'transBatchA'), ([k, n], 'transB', 'transBatchB')):
        if flag in attrs:
            last = last[::-1]
        full = batch + last
        if batch and r.chance(0.25):  # the first dim stands behind the batch dims
            attrs[rotate] = 1
            full = [full[-2]] + batch + [full[-1]]
        shapes.append(full)
    return Case(op, [r.array(s, scale=1) for s in shapes], attrs, open_dims=r.chance(0.3), **LOOSE)


@cases('FusedGemm', count=30)
def fused_gemm(r, op):
    m, k, n = r.int(1, 5), r.int(1, 5), r.int(1, 5)
    attrs = merge_attrs(r, {'transA': 1, 'transB': 1, 'alpha': 0.5, 'beta': 2.0})
    attrs['activation'] = r.pick(['Relu', 'LeakyRelu', 'Sigmoid', 'Tanh'])
    if attrs['activation'] == 'LeakyRelu':
        attrs['activation_alpha'] = 0.2
    a, b = [k, m] if 'transA' in attrs else [m, k], [n, k] if 'transB' in attrs else [k, n]
    many = [r.array(a, scale=1), r.array(b, scale=1), optional(r, r.array(r.pick([[n], [m, n], [1, n]]), scale=1))]
    return Case(op, many, attrs, open_dims=r.chance(0.3), **LOOSE)


@cases('FusedConv', count=40)
def fused_conv(r, op):
    group, channels, out = r.int(1, 2), r.int(1, 2), r.int(1, 2)
    h, w, kh, kw = r.int(3, 6), r.int(3, 6), r.int(1, 3), r.int(1, 3)
    attrs = {'group': group, 'kernel_shape': [kh, kw], 'pads': [r.int(0, 1) for _ in range(4)]}
    activation = r.pick([None, 'Relu', 'Tanh', 'Sigmoid', 'LeakyRelu', 'Clip', 'HardSigmoid'])
    if activation:
        attrs['activation'] = activation
    if activation in ('LeakyRelu', 'Clip', 'HardSigmoid'):
        attrs['activation_params'] = {'LeakyRelu': [0.2], 'Clip': [-0.5, 0.7], 'HardSigmoid': [0.3, 0.4]}[activation]
    many = [r.array([2, group * channels, h, w], scale=1), r.array([group * out, channels, kh, kw], scale=1),
            optional(r, r.array([group * out], scale=1), 0.7)]
    p = attrs['pads']
    if r.chance(0.3):
        many.append(r.array([2, group * out, h + p[0] + p[2] - kh + 1, w + p[1] + p[3] - kw + 1], scale=1))
    return Case(op, many, attrs, constants=[1], open_dims=r.chance(0.3), **LOOSE)


@cases('Inverse', 'CDist', 'Trilu', count=20)
def matrices(r, op):
    n = r.int(1, 5)
    if op == 'Inverse':
        a = r.array([r.int(1, 3)] * r.int(0, 1) + [n, n], scale=0.2) + 2 * np.eye(n, dtype=F32)
        return Case(op, [a.astype(F32)], open_dims=r.chance(0.3), **LOOSE)
    if op == 'CDist':
        k = r.int(1, 6)
        attrs = {'metric': r.pick(['euclidean', 'sqeuclidean'])}
        return Case(op, [r.array([r.int(1, 5), k]), r.array([r.int(1, 5), k])], attrs, open_dims=r.chance(0.3), **LOOSE)
    many = [r.array(r.shape(2, 4), r.pick([F32, I64])), np.array(r.int(-3, 3), I64)]
    return Case(op, many[:r.int(1, 2)], {'upper': r.int(0, 1)}, open_dims=r.chance(0.3), **MS)


# ---- attention -----------------------------------------------------------------------------------

def mask_of(r, batch, q_len, total):
    """Every query keeps a key."""
    kind = r.pick([None, 'lengths', '2d', '2d', '3d'])
    if kind == 'lengths':
        return np.array([r.int(1, total) for _ in range(batch)], I32)
    if kind is None:
        return None
    mask = r.indices([batch, total] if kind == '2d' else [batch, q_len, total], 2, I32, 0)
    mask[..., 0] = 1
    return mask


@cases('Attention', count=50)
def attention(r, op):
    batch, length, heads, size, hidden = r.int(1, 3), r.int(1, 4), r.int(1, 3), r.int(1, 4), r.int(1, 5)
    past = r.int(1, 3) if r.chance(0.3) else 0
    v_size = size if past or r.chance(0.6) else r.int(1, 4)
    d, dv = heads * size, heads * v_size
    attrs = {'num_heads': heads}
    if v_size != size or r.chance(0.3):
        attrs['qkv_hidden_sizes'] = [d, d, dv]
    if r.chance(0.3):
        attrs['unidirectional'] = 1
    if r.chance(0.3):
        attrs['scale'] = 0.4
    many = [r.array([batch, length, hidden], scale=1), r.array([hidden, 2 * d + dv], scale=1),
            r.array([2 * d + dv], scale=1), mask_of(r, batch, length, past + length),
            r.array([2, batch, heads, past, size], scale=1) if past else None,
            r.array([r.pick([1, batch]), heads, length, past + length], scale=1) if r.chance(0.3) else None]
    return Case(op, many, attrs, outputs=2 if past else 1, constants=[1], open_dims=r.chance(0.3), **LOOSE)


@cases('MultiHeadAttention', count=60)
def multi_head(r, op):
    batch, length, keys, heads, size = r.int(1, 3), r.int(1, 4), r.int(1, 4), r.int(1, 3), r.int(1, 4)
    v_size, past, d = size, 0, heads * size
    attrs = {'num_heads': heads}
    kind = r.pick(['plain', 'plain', 'plain', 'qkv', 'kv', 'cross'])
    if kind == 'qkv':
        keys = length
        many = [r.array([batch, length, heads, 3, size], scale=1), None, None, None]
    elif kind == 'kv':
        many = [r.array([batch, length, d], scale=1), r.array([batch, keys, heads, 2, size], scale=1), None, None]
    elif kind == 'cross':
        many = [r.array([batch, length, d], scale=1), r.array([batch, heads, keys, size], scale=1),
                r.array([batch, heads, keys, size], scale=1), None]
    else:
        v_size = size if r.chance(0.6) else r.int(1, 4)
        if r.chance(0.3):
            past, v_size, keys = r.int(1, 3), size, length
        many = [r.array([batch, length, d], scale=1), r.array([batch, keys, d], scale=1),
                r.array([batch, keys, heads * v_size], scale=1),
                optional(r, r.array([2 * d + heads * v_size], scale=1))]
    many.append(mask_of(r, batch, length, past + keys) if kind != 'qkv' or r.chance(0.5) else None)
    many.append(r.array([r.pick([1, batch]), r.pick([1, heads]), length, past + keys], scale=1)
                if r.chance(0.3) else None)
    if past:
        many += [r.array([batch, heads, past, size], scale=1), r.array([batch, heads, past, v_size], scale=1)]
    if r.chance(0.3):
        attrs['scale'] = 0.4
    if r.chance(0.2) and keys == length:
        attrs['unidirectional'] = 1
    return Case(op, many, attrs, outputs=3 if past else 1, open_dims=r.chance(0.3), **LOOSE)


@cases('QAttention', count=30)
def quantized_attention(r, op):
    batch, length, heads, size, hidden = r.int(1, 3), r.int(1, 4), r.int(1, 3), r.int(1, 4), r.int(1, 5)
    past = r.int(1, 3) if r.chance(0.3) else 0
    d = heads * size
    per_column = r.chance(0.3)
    mask = r.pick([None, np.array([r.int(1, length + past) for _ in range(batch)], I32)])
    many = [r.wide([batch, length, hidden], U8), r.wide([hidden, 3 * d], r.pick([U8, I8])), r.array([3 * d], scale=1),
            scale(r, (), 0.1), scale(r, [3 * d] if per_column else (), 0.1), mask, r.wide([], U8)]
    many.append(r.wide([3 * d] if per_column else [], many[1].dtype))
    if past:
        many.append(r.array([2, batch, heads, past, size], scale=1))
    attrs = {'num_heads': heads}
    if r.chance(0.3):
        attrs['unidirectional'] = 1
    return Case(op, many, attrs, outputs=2 if past else 1, constants=[1, 2, 3, 4, 6, 7], domain='com.microsoft',
                opset=1, tolerance=1e-3, relative_to_largest=True)


@cases('RotaryEmbedding', count=40)
def rotary(r, op):
    batch, heads, n, half = r.int(1, 2), r.int(1, 3), r.int(1, 4), r.int(1, 4)
    attrs = {'interleaved': r.int(0, 1)} if r.chance(0.6) else {}
    if r.chance(0.4):
        x = r.array([batch, heads, n, 2 * half], scale=1)
    else:
        x = r.array([batch, n, heads * 2 * half], scale=1)
    ids = r.indices([batch, n], 8, I64, 0) if r.chance(0.6) else np.array([r.int(0, 3)], I64)
    return Case(op, [x, ids, r.array([8, half], scale=1), r.array([8, half], scale=1)], attrs, tolerance=1e-4,
                open_dims=r.chance(0.3), **MS)


# ---- quantized -----------------------------------------------------------------------------------

@cases('DynamicQuantizeMatMul', 'MatMulIntegerToFloat', count=40)
def scaled_product(r, op):
    m, k, n = r.int(1, 6), r.int(1, 9), r.int(1, 6)
    batch = [r.int(1, 3)] if r.chance(0.3) else []
    b, per_column = r.wide([k, n], r.pick([U8, I8])), r.chance(0.4)
    b_scale, b_zero = scale(r, [n] if per_column else ()), r.wide([n] if per_column else [], b.dtype)
    bias = optional(r, r.array([n]))
    if op == 'DynamicQuantizeMatMul':
        many = [r.array(batch + [m, k]), b, b_scale, optional(r, b_zero), bias]
        return Case(op, many, constants=[1, 2, 3] if r.chance(0.7) else [], open_dims=r.chance(0.3), **LOOSE)
    a = r.wide(batch + [m, k], r.pick([U8, U8, I8]))
    many = [a, b, scale(r), b_scale, optional(r, r.wide([], a.dtype)), optional(r, b_zero), bias]
    return Case(op, many, constants=[1, 2, 3, 4, 5] if r.chance(0.7) else [], open_dims=r.chance(0.3), **LOOSE)


QUANTIZED = {'int_slack': 1, **MS}


@cases('QLinearAdd', 'QLinearMul', count=40)
def binary(r, op):
    kind = r.pick([U8, I8])
    a, b = r.broadcast_shapes(2, 3)
    many = [r.wide(a, kind), scale(r), r.wide([], kind), r.wide(b, kind), scale(r), r.wide([], kind),
            scale(r, (), 1 if op == 'QLinearAdd' else 20), r.wide([], kind)]
    return Case(op, many, constants=[1, 2, 4, 5, 6, 7], open_dims=r.chance(0.3), **QUANTIZED)


@cases('QLinearSigmoid', 'QLinearLeakyRelu', count=25)
def unary(r, op):
    kind = r.pick([U8, I8])
    out = scale(r, (), 0.02) if op == 'QLinearSigmoid' else scale(r)
    many = [r.wide(r.shape(1, 3), kind), scale(r), r.wide([], kind), out, r.wide([], kind)]
    attrs = {'alpha': 0.3} if op == 'QLinearLeakyRelu' and r.chance(0.5) else {}
    return Case(op, many, attrs, constants=[1, 2, 3, 4], open_dims=r.chance(0.3), **QUANTIZED)


@cases('QLinearGlobalAveragePool', 'QLinearAveragePool', count=40)
def pools(r, op):
    kind, last = r.pick([U8, I8]), r.chance(0.5)
    n, c, h, w = r.int(1, 2), r.int(1, 4), r.int(3, 6), r.int(3, 6)
    x = r.wide([n, h, w, c] if last else [n, c, h, w], kind)
    attrs = {'channels_last': int(last)}
    if op == 'QLinearAveragePool':
        attrs.update(kernel_shape=[r.int(1, 3), r.int(1, 3)], strides=[r.int(1, 2), r.int(1, 2)])
        if r.chance(0.4):
            attrs['pads'] = [r.int(0, min(1, k - 1)) for k in attrs['kernel_shape'] * 2]
            attrs['count_include_pad'] = r.int(0, 1)
    return Case(op, [x, scale(r), r.wide([], kind), scale(r), r.wide([], kind)], attrs, constants=[1, 2, 3, 4],
                open_dims=r.chance(0.3), **QUANTIZED)


@cases('QLinearConcat', count=25)
def concat(r, op):
    kind, shape = r.pick([U8, I8]), r.shape(1, 3, empty=0)
    axis, many = r.int(0, len(shape) - 1), [scale(r), r.wide([], kind)]
    for _ in range(r.int(1, 3)):
        part = list(shape)
        part[axis] = r.int(1, 3)
        many += [r.wide(part, kind), scale(r), r.wide([], kind)]
    return Case(op, many, {'axis': axis}, constants=[i for i in range(len(many)) if i < 2 or i % 3 != 2],
                open_dims=r.chance(0.3), **QUANTIZED)


@cases('QLinearSoftmax', count=25)
def softmax(r, op):
    kind, x = r.pick([U8, I8]), r.shape(1, 4, empty=0)
    many = [r.wide(x, kind), scale(r), r.wide([], kind), np.array(0.01, F32),
            np.array(0 if kind == U8 else -128, kind)]
    return Case(op, many, {'axis': r.axis(len(x)), 'opset': r.pick([11, 13])}, constants=[1, 2, 3, 4],
                open_dims=r.chance(0.3), **QUANTIZED)


@cases('NhwcMaxPool', count=25)
def nhwc_max_pool(r, op):
    x = r.wide([r.int(1, 2), r.int(3, 6), r.int(3, 6), r.int(1, 3)], r.pick([U8, I8]))
    attrs = {'kernel_shape': [r.int(1, 3), r.int(1, 3)], 'strides': [r.int(1, 2), r.int(1, 2)]}
    return Case(op, [x], attrs, open_dims=r.chance(0.3), **MS)


@cases('MatMulNBits', count=40)
def matmul_nbits(r, op):
    bits, block = r.pick([4, 4, 8, 2]), r.pick([16, 32])
    m, k, n, batch = r.int(1, 4), r.int(3, 70), r.int(1, 6), [r.int(1, 3)] if r.chance(0.3) else []
    blocks = -(-k // block)
    many = [r.array(batch + [m, k], scale=1), r.wide([n, blocks, block * bits // 8], U8), scale(r, [n * blocks])]
    zeros = r.chance(0.5)
    many.append(r.wide([n * -(-blocks * bits // 8)], U8) if zeros else None)
    if r.chance(0.3):
        many += [None, r.array([n])]
    return Case(op, many, {'K': k, 'N': n, 'bits': bits, 'block_size': block},
                constants=[i for i in (1, 2, 3, 5) if i < len(many) and many[i] is not None],
                open_dims=r.chance(0.3), **LOOSE)


@cases('GroupQueryAttention', count=120)
def group_query(r, op):
    batch, kv_heads, group, half = r.int(1, 2), r.int(1, 2), r.int(1, 3), 8
    heads, size = kv_heads * group, 2 * half
    prompt = r.chance(0.4)
    length, past = (r.int(1, 4), 0) if prompt else (1, r.int(1, 4))
    cache = r.pick([past, past, past + 3])
    total = length + past
    used = [total - 1] + [r.int(past + length - 1 if prompt else 0, total - 1) for _ in range(batch - 1)]
    attrs = {'num_heads': heads, 'kv_num_heads': kv_heads}
    packed, rotary = r.chance(0.3), r.chance(0.5)
    if packed:
        many = [r.array([batch, length, (heads + 2 * kv_heads) * size], scale=1), None, None]
    else:
        many = [r.array([batch, length, h * size], scale=1) for h in (heads, kv_heads, kv_heads)]
    if prompt and cache == 0:
        many += [None, None]
    else:
        many += [r.array([batch, kv_heads, cache, size], scale=1) for _ in range(2)]
    many += [np.array(used, I32), np.array([total], I32)]
    if rotary:
        attrs['do_rotary'] = 1
        many += [r.array([16, half], scale=1), r.array([16, half], scale=1)]
        if r.chance(0.5):
            attrs['rotary_interleaved'] = 1
    attrs.update(merge_attrs(r, {'scale': 0.3}))
    if r.chance(0.3):
        attrs['softcap'] = 2.0
    if r.chance(0.3):
        attrs['local_window_size'] = r.int(1, 3)
    if r.chance(0.2):
        attrs['smooth_softmax'] = 1
    elif r.chance(0.25):  # up to head_sink
        many += [None] * (11 - len(many)) + [r.array([heads])]
    shown = batch == 1 and r.chance(0.3)  # behind a shorter batch's keys lies what was there before
    if shown:
        attrs['qk_output'] = r.int(1, 2)
    return Case(op, many, attrs, outputs=3 + shown, open_dims=r.chance(0.3), **LOOSE)
