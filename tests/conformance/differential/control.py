# SPDX-License-Identifier: Apache-2.0
"""Subgraphs and sequences."""
import numpy as np
from onnx import TensorProto, helper

from differential.cases import BOOL, F32, I64, Case, cases


def body(nodes, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, 'body', inputs, [helper.make_empty_tensor_value_info(o) for o in outputs],
                             list(initializers))


def value(name, number=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, number, shape)


@cases('If')
def branches(r, op):
    k = helper.make_tensor('k', TensorProto.FLOAT, [1], [float(r.int(1, 5))])
    names = ('then_branch', 'else_branch')
    attrs = {n: body([helper.make_node('Identity', ['k'], ['z'])], [], ['z'], [k]) for n in names}
    attrs['else_branch'] = body([helper.make_node(r.pick(['Neg', 'Abs']), ['k'], ['z'])], [], ['z'], [k])
    return Case(op, [np.array(r.chance(0.5), BOOL)], attrs, opset=r.opset(13))


@cases('Loop')
def loop(r, op):
    nodes = [helper.make_node(r.pick(['Add', 'Mul', 'Sub']), ['s', 's0'], ['s_out']),
             helper.make_node('Identity', ['c'], ['c_out']), helper.make_node('Identity', ['s_out'], ['scan'])]
    inputs = [value('i', TensorProto.INT64, []), value('c', TensorProto.BOOL, []), value('s')]
    state = r.array(r.shape(1, 2))
    seed = helper.make_tensor('s0', TensorProto.FLOAT, [], [1.5])
    trips = np.array(r.int(0 if r.chance(0.2) else 1, 4), I64) if r.chance(0.8) else np.array(2, I64)
    condition = np.array(True) if r.chance(0.5) else None
    return Case(op, [trips, condition, state],
                {'body': body(nodes, inputs, ['c_out', 's_out', 'scan'], [seed])}, opset=r.opset(13),
                outputs=r.pick([2, [True, True]]))


@cases('Scan')
def scan(r, op):
    nodes = [helper.make_node('Add', ['s', 'x'], ['s_out']), helper.make_node('Mul', ['s_out', 'x'], ['y'])]
    inputs = [value('s'), value('x')]
    n, m = r.int(1, 3), r.int(1, 4)
    attrs = {'body': body(nodes, inputs, ['s_out', 'y']), 'num_scan_inputs': 1}
    axis = r.int(0, 1)
    x = r.array([m, n] if axis == 0 else [n, m])
    if axis or r.chance(0.5):
        attrs['scan_input_axes'] = [axis - 2 if r.chance(0.3) else axis]
    if r.chance(0.4):
        attrs['scan_input_directions'] = [r.int(0, 1)]
    if r.chance(0.4):
        attrs['scan_output_directions'] = [r.int(0, 1)]
    if r.chance(0.4):
        attrs['scan_output_axes'] = [r.int(-2, 1)]
    return Case(op, [r.array([n]), x], attrs, opset=r.opset(11), outputs=2)


@cases('SequenceConstruct')
def construct(r, op):
    return Case(op, [r.array(r.shape(), F32) for _ in range(r.int(1, 4))], opset=r.opset(11))


@cases('SequenceAt', 'SequenceErase', 'SequenceInsert', 'SequenceLength')
def sequences(r, op):
    items = [r.array(r.shape()) for _ in range(r.int(1, 4))]
    n = len(items)
    if op == 'SequenceLength':
        return Case(op, [items], opset=r.opset(11))
    more = [r.array(r.shape())] if op == 'SequenceInsert' else []
    where = [np.array(r.int(-n, n - 1), I64)] if op == 'SequenceAt' or r.chance(0.7) else []
    return Case(op, [items, *more, *where], opset=r.opset(11))


@cases('SplitToSequence', 'ConcatFromSequence')
def split(r, op):
    shape = r.shape(1, 3, empty=0)
    axis = r.axis(len(shape))
    if op == 'ConcatFromSequence':
        items = []
        for _ in range(r.int(1, 4)):
            shape[axis] = r.int(1, 3)
            items.append(r.array(shape))
        new = r.chance(0.3)
        if new:
            items = [items[0]] * 2
        return Case(op, [items], {'axis': axis, **({'new_axis': 1} if new else {})}, opset=r.opset(11))
    attrs, more = {'axis': axis}, []
    if r.chance(0.4):
        sizes = [r.int(1, 3) for _ in range(r.int(1, 3))]
        shape[axis] = sum(sizes)
        more = [np.array(sizes, I64)]
    elif r.chance(0.5):
        more = [np.array(r.int(1, 3), I64)]
    elif r.chance(0.5):
        attrs['keepdims'] = r.int(0, 1)
    return Case(op, [r.array(shape), *more], attrs, opset=r.opset(11))


@cases('SequenceEmpty')
def empty(r, op):
    return Case(op, [], {'dtype': r.pick([1, 7, 11])} if r.chance(0.7) else {}, opset=r.opset(11))


@cases('SequenceMap')
def sequence_map(r, op):
    items = [r.array(r.shape()) for _ in range(r.int(1, 3))]
    many = [items]
    if r.chance(0.6):
        many.append(items if r.chance(0.5) else r.array([]))  # a sequence, or what every round sees
    names = [f'e{i}' for i in range(len(many))]
    nodes = [helper.make_node(r.pick(['Add', 'Mul', 'Sub']), [names[0], names[-1]], ['z'])]
    graph = helper.make_graph(nodes, 'body', [value(n) for n in names], [value('z')])
    return Case(op, many, {'body': graph}, opset=17)


@cases('OptionalHasElement', 'OptionalGetElement')
def optionals(r, op):
    x = r.array(r.shape()) if r.chance(0.5) else [r.array(r.shape()) for _ in range(r.int(1, 3))]
    return Case(op, [] if op == 'OptionalHasElement' and r.chance(0.3) else [x], opset=18)


@cases('Optional')
def optional(r, op):
    return Case(op, [r.array(r.shape())], opset=r.opset(15))
