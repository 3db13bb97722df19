# SPDX-License-Identifier: Apache-2.0
"""Random operators: what they give is not compared, only of which dtype and shape it is."""
import numpy as np

from differential.cases import F32, F64, I32, I64, Case, cases


@cases('RandomNormal', 'RandomUniform')
def fresh(r, op):
    attrs = {'shape': r.shape(1, 3), 'dtype': r.pick([1, 11]), 'seed': 1.0}
    return Case(op, [], attrs, opset=r.opset(7), values=False)


@cases('RandomNormalLike', 'RandomUniformLike')
def like(r, op):
    attrs = {'dtype': r.pick([1, 11])} if r.chance(0.6) else {}
    return Case(op, [r.array(r.shape(), r.pick([F32, F64]))], attrs, opset=r.opset(7), values=False,
                open_dims=r.chance(0.3))


@cases('Multinomial')
def multinomial(r, op):
    attrs = {'sample_size': r.int(1, 4)} if r.chance(0.7) else {}
    if r.chance(0.5):
        attrs['dtype'] = r.pick([6, 7])
    return Case(op, [r.array([r.int(1, 3), r.int(1, 4)])], attrs, opset=r.opset(7), values=False)


@cases('Bernoulli')
def bernoulli(r, op):
    attrs = {'dtype': r.pick([1, 6, 7, 9, 11])} if r.chance(0.6) else {}
    # Probabilities of 0 and 1 leave nothing to chance.
    return Case(op, [r.array(r.shape(), np.bool_).astype(r.pick([F32, F64]))], attrs, opset=r.opset(15))


@cases('Constant')
def constant(r, op):
    name, value = r.pick([('value_float', 1.5), ('value_floats', [1.0, 2.5]), ('value_int', -3), ('value_ints', [4, 5]),
                          ('value_string', 'abc'), ('value_strings', ['a', 'b'])])
    return Case(op, [], {name: value}, opset=r.opset(12))
