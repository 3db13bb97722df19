# SPDX-License-Identifier: Apache-2.0
"""Element-wise operators: one input, several that broadcast, comparisons, bits, casts."""
import numpy as np

from differential.cases import (ANY, BOOL, F16, F32, F64, FLOATS, I8, I16, I32, I64, INTS, NUMERIC, TEXT, U8,
                                U16, U32, U64, Case, cases)


def unary(r, op, x, attrs=None, low=7, high=21, **more):
    return Case(op, [x], attrs, opset=r.opset(low, high), constants=r.constants([x]), open_dims=r.chance(0.2), **more)


@cases('Ceil', 'Cos', 'Erf', 'Exp', 'Floor', 'Reciprocal', 'Sin', 'Softplus', 'Softsign', 'Tan', 'Tanh', 'Sigmoid')
def functions(r, op):
    scale = 1.2 if op == 'Tan' else 3
    special = 0 if op in ('Softsign', 'Softplus', 'Sin', 'Cos', 'Tan') else 0.3
    low = 9 if op == 'Erf' else 7
    dtype = r.pick(FLOATS if op not in ('Erf',) else [F32])
    return unary(r, op, r.array(r.shape(), dtype, scale, special), low=low, tolerance=1e-5)


@cases('Acos', 'Asin', 'Atan', 'Cosh', 'Sinh', 'Asinh', 'Acosh', 'Atanh', 'Log', 'Sqrt', 'Round')
def functions_of_parts(r, op):
    dtype = r.pick([F32, F32, F64, F16] if op in ('Round', 'Log', 'Sqrt') else [F32])
    x = r.array(r.shape(), dtype, 0.5 if op in ('Acos', 'Asin', 'Atanh') else 2)
    if op == 'Acosh':
        x = (np.abs(x) + 1).astype(dtype)
    if op == 'Round' and r.chance(0.5):
        x = (np.round(x) / 2).astype(dtype)
    return unary(r, op, x, low=11 if op == 'Round' else 9)


@cases('Abs', 'Neg', 'Sign', 'Relu')
def signs(r, op):
    kinds = {'Abs': NUMERIC + [I16, U16, U32, U64], 'Neg': [F32, F64, F16, I8, I32, I64], 'Sign': NUMERIC,
             'Relu': [F32, F64, F16, I8, I32]}[op]
    return unary(r, op, r.array(r.shape(), r.pick(kinds), special=0.3), low=14 if op == 'Relu' else 13)


@cases('Not')
def logical_not(r, op):
    return unary(r, op, r.array(r.shape(), BOOL))


@cases('IsNaN', 'IsInf')
def is_special(r, op):
    attrs = {}
    if op == 'IsInf':
        attrs = {k: r.int(0, 1) for k in ('detect_negative', 'detect_positive') if r.chance(0.5)}
    kinds = FLOATS if op == 'IsNaN' else [F32, F64]
    return unary(r, op, r.array(r.shape(), r.pick(kinds), special=0.9), attrs, low=10)


@cases('Elu', 'Selu', 'LeakyRelu', 'HardSigmoid', 'ThresholdedRelu', 'Celu', 'HardSwish', 'Mish', 'Gelu', 'Shrink')
def activations(r, op):
    names = {'Elu': ['alpha'], 'Selu': ['alpha', 'gamma'], 'LeakyRelu': ['alpha'], 'HardSigmoid': ['alpha', 'beta'],
             'ThresholdedRelu': ['alpha'], 'Celu': ['alpha'], 'Shrink': ['lambd', 'bias']}.get(op, [])
    attrs = {k: float(np.float32(r.int(1, 12) / 4)) for k in names if r.chance(0.6)}
    low = {'ThresholdedRelu': 10, 'Celu': 12, 'HardSwish': 14, 'Mish': 18, 'Gelu': 20, 'Shrink': 9}.get(op, 7)
    if op == 'Gelu' and r.chance(0.7):
        attrs['approximate'] = r.pick(['none', 'tanh'])
    kinds = [F32, F64, F16] if op in ('Shrink', 'LeakyRelu') else [F32]
    if op == 'Shrink' and r.chance(0.3):
        kinds = [I8, I32, I64]
    return unary(r, op, r.array(r.shape(), r.pick(kinds)), attrs, low=low, tolerance=1e-4 if op == 'Gelu' else 1e-5)


@cases('PRelu')
def prelu(r, op):
    x = r.array(r.shape(1, 4), r.pick([F32, F32, F64]))
    slope = [1 if r.chance(0.4) else d for d in x.shape[r.int(0, x.ndim - 1):]]
    return Case(op, [x, r.array(slope, x.dtype)], opset=r.opset(9), constants=r.constants([0, 1]))


@cases('Clip')
def clip(r, op):
    x = r.array(r.shape(), r.pick([F32, F32, F64, I8, U8, I32, I64, U32, U64]))
    if r.chance(0.2):
        x = x.astype(F32)
        attrs = {k: float(v) for k, v in (('min', r.int(-5, 0)), ('max', r.int(0, 5))) if r.chance(0.7)}
        return Case(op, [x], attrs, opset=r.int(7, 10))
    low = r.int(0, 2) if x.dtype.kind == 'u' else r.int(-5, 1)
    limits = [np.array(v, x.dtype) if r.chance(0.7) else None for v in (low, r.int(1, 6))]
    return Case(op, [x, *limits], opset=r.opset(12), constants=r.constants([x, *limits]))


@cases('Add', 'Sub', 'Mul', 'Div', count=40)
def arithmetic(r, op):
    kind = r.pick([F32, F32, F64, I32, I64, I8, U8, F16, I16, U16, U32, U64])
    a, b = (r.array(s, kind, special=0.2) for s in r.broadcast_shapes())
    if op == 'Div' and kind not in FLOATS:
        b[b == 0] = 3
    return Case(op, [a, b], opset=r.opset(7), constants=r.constants([a, b]), open_dims=r.chance(0.2))


@cases('Mod')
def mod(r, op):
    kind = r.pick([F32, F64, F16, *INTS])
    a, b = (r.array(s, kind) for s in r.broadcast_shapes())
    b[b == 0] = 2
    fmod = 1 if kind in FLOATS or r.chance(0.4) else 0
    return Case(op, [a, b], {'fmod': fmod} if fmod or r.chance(0.5) else {}, opset=r.opset(10))


@cases('Pow')
def power(r, op):
    kinds = [F32, F64, I32, I64]
    a, b = (r.array(s, r.pick(kinds)) for s in r.broadcast_shapes())
    if b.dtype.kind == 'f':
        a = np.abs(a)
        b = (np.round(b * 2) / 2).astype(b.dtype)
    if a.dtype.kind == 'i':
        a, b = np.sign(a) * (np.abs(a) % 4), np.abs(b) % 4
        b = b.astype(b.dtype)
    if r.chance(0.3):
        b = b.astype(a.dtype)
    return Case(op, [a, b], opset=r.opset(13), tolerance=1e-4)


@cases('And', 'Or', 'Xor')
def logic(r, op):
    a, b = (r.array(s, BOOL) for s in r.broadcast_shapes())
    return Case(op, [a, b], opset=r.opset(7), constants=r.constants([a, b]))


@cases('Equal', 'Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual')
def comparisons(r, op):
    kinds = [F32, F32, F64, I32, I64] + ([BOOL, TEXT] if op == 'Equal' else [])
    kind = r.pick(kinds)
    a, b = (r.array(s, kind, special=0.3) for s in r.broadcast_shapes())
    if a.dtype.kind == 'f':
        a, b = np.round(a), np.round(b)
    low = {'Equal': 13, 'Greater': 9, 'Less': 9}.get(op, 12)
    return Case(op, [a, b], opset=21 if kind is TEXT else r.opset(low))


@cases('Max', 'Min', 'Sum', 'Mean')
def variadic(r, op):
    kinds = [F32, F32, F64] + ([I32, I64, U32, U64, F16] if op in ('Max', 'Min') else [])
    kind = r.pick(kinds if op != 'Mean' else [F32])
    many = [r.array(s, kind) for s in r.broadcast_shapes(r.int(1, 4))]
    return Case(op, many, opset=r.opset(13 if op in ('Sum', 'Mean') else 13), constants=r.constants(many))


@cases('Where')
def where(r, op):
    c, a, b = r.broadcast_shapes(3)
    kind = r.pick([F32, F64, I32, I64, U8, BOOL, TEXT, F16])
    many = [r.array(c, BOOL), r.array(a, kind), r.array(b, kind)]
    return Case(op, many, opset=r.opset(9), constants=r.constants(many))


@cases('BitShift')
def bit_shift(r, op):
    kind = r.pick([U8, U32, U64])
    a, b = r.broadcast_shapes()
    x, n = r.wide(a, kind), r.indices(b, np.dtype(kind).itemsize * 8 - 1, kind, 0)
    return Case(op, [x, n], {'direction': r.pick(['LEFT', 'RIGHT'])}, opset=r.opset(11))


@cases('BitwiseAnd', 'BitwiseOr', 'BitwiseXor')
def bits(r, op):
    kind = r.pick(INTS)
    many = [r.wide(s, kind) for s in r.broadcast_shapes()]
    return Case(op, many, opset=r.opset(18))


@cases('BitwiseNot')
def bits_not(r, op):
    return Case(op, [r.wide(r.shape(), r.pick(INTS))], opset=r.opset(18))


@cases('Cast', count=80)
def cast(r, op):
    source, to = r.pick(ANY), r.pick([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16])
    x = r.array(r.shape(), source, scale=20)
    if source is TEXT:
        to = r.pick([1, 7, 6, 11, 2, 8])
        texts = [b'1', b'-3', b'2.5', b'1e3', b'NaN', b'-INF'] if to in (1, 11) else [b'1', b'3', b'0', b'12']
        x = np.array([r.pick(texts) for _ in range(x.size)] + [b''], object)[:-1].reshape(x.shape)
    if to in (2, 4, 12, 13) and x.dtype.kind in 'fi':
        x = np.abs(x)
    if to == 8 and x.dtype.kind == 'f':
        x = np.round(x)
    return Case(op, [x], {'to': to}, opset=r.opset(13, 19), constants=r.constants([x]))


@cases('CastLike')
def cast_like(r, op):
    x, like = r.array(r.shape(), r.pick([F32, F64, I32, I64])), r.array(r.shape(), r.pick([F32, F64, I32, I64, BOOL]))
    return Case(op, [x, like], opset=r.opset(15, 19))


@cases('Identity')
def identity(r, op):
    return unary(r, op, r.array(r.shape(), r.pick(ANY)))


@cases('Dropout')
def dropout(r, op):
    x = r.array(r.shape(), r.pick([F32, F64]))
    more = [np.array(0.3, F32)] if r.chance(0.5) else []
    return Case(op, [x, *more, *([np.array(False)] if more and r.chance(0.5) else [])], opset=r.opset(12),
                outputs=r.int(1, 2))


@cases('Swish', share=0)  # from opset 24 on
def swish(r, op):
    return Case(op, [r.array(r.shape(), r.pick([F32, F64]))], {'alpha': 1.5} if r.chance(0.5) else {}, opset=24,
                tolerance=1e-4)


@cases('BitCast', share=0)  # from opset 26 on
def bit_cast(r, op):
    kind, to = r.pick([(F32, 6), (I32, 1), (U32, 6), (F64, 7), (U8, 3)])
    return Case(op, [r.array(r.shape(), kind)], {'to': to}, opset=26)
