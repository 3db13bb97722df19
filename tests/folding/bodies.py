#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bodies.py BNRUN: pattern 24, batch norms in bodies of If, Loop and Scan, nested, and in model-local functions.

For each small model: the verdicts, `bnrun verify`, and the file that `bnrun fold` writes, which must be valid ONNX
and give what the unfolded model gives.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

C = 4
REPEATED = ('loop', 'nested', 'scan')  # each round has statistics of its own
totals = [0, 0, 0]
rng = np.random.default_rng(1)


def check(name, ok, detail=''):
    totals[0 if ok else 1] += 1
    print(f'{"pass" if ok else "FAIL"} {name} {detail}')


def tensor(name, dims, low=-1.0, high=1.0):
    return helper.make_tensor(name, TensorProto.FLOAT, dims, rng.uniform(low, high, dims).astype(np.float32).ravel())


def value(name, dims, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, dims)


def constants(prefix):
    """Weights and BN parameters."""
    return [tensor(f'{prefix}w', [C, C, 3, 3]), tensor(f'{prefix}scale', [C]), tensor(f'{prefix}b', [C]),
            tensor(f'{prefix}mean', [C]), tensor(f'{prefix}var', [C], 0.2, 2)]


def conv_bn(x, y, prefix, name):
    return [helper.make_node('Conv', [x, f'{prefix}w'], [f'{name}_c'], f'{name}_conv', pads=[1, 1, 1, 1]),
            helper.make_node('BatchNormalization', [f'{name}_c', *(prefix + p for p in ('scale', 'b', 'mean', 'var'))],
                             [y], f'{name}_bn')]


X, Y = value('x', [2, C, 5, 5]), value('y', [2, C, 5, 5])


def model(nodes, initializers, inputs=(X,), outputs=(Y,), **more):
    graph = helper.make_graph(nodes, 'g', list(inputs), list(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 15), helper.make_opsetid('local', 1)],
                             ir_version=8, **more)


def if_node(x, y, condition, name, then_nodes, else_nodes):
    bodies = [helper.make_graph(nodes, f'{name}_{i}', [], [value(nodes[-1].output[0], None)])
              for i, nodes in enumerate((then_nodes, else_nodes))]
    return helper.make_node('If', [condition], [y], name, then_branch=bodies[0], else_branch=bodies[1])


def case_if():
    """Weights and x captured; another BN in each branch."""
    n = if_node('x', 'y', 'cond', 'if', conv_bn('x', 't', 'p_', 'then'), conv_bn('x', 'e', 'q_', 'else'))
    return model([n], constants('p_') + constants('q_'), (X, value('cond', [], TensorProto.BOOL))), {}


def case_capture():
    """The branch's BN reads what a convolution outside makes, which has another reader: both stay."""
    conv = helper.make_node('Conv', ['x', 'p_w'], ['c'], 'conv', pads=[1, 1, 1, 1])
    bn = helper.make_node('BatchNormalization', ['c', 'p_scale', 'p_b', 'p_mean', 'p_var'], ['t'], 'inner_bn')
    n = if_node('x', 'z', 'cond', 'if', [bn], [helper.make_node('Relu', ['c'], ['e'])])
    return (model([conv, n, helper.make_node('Add', ['z', 'c'], ['y'])], constants('p_'),
                  (X, value('cond', [], TensorProto.BOOL))), {'inner_bn': 'other use'})


def loop(inner, name='loop'):
    body = helper.make_graph(
        [helper.make_node('Identity', ['go'], ['again']), *inner], f'{name}_body',
        [value('i', [], TensorProto.INT64), value('go', [], TensorProto.BOOL), value('v', None)],
        [value('again', [], TensorProto.BOOL), value('next', None)])
    return helper.make_node('Loop', ['count', '', 'x'], ['y'], name, body=body)


def count(n):
    return helper.make_tensor('count', TensorProto.INT64, [], [n])


def case_loop():
    """The state goes through the same convolution three times."""
    return model([loop(conv_bn('v', 'next', 'p_', 'in'))], [count(3), *constants('p_')]), {}


def case_nested():
    inner = if_node('v', 'next', 'go', 'if', conv_bn('v', 't', 'p_', 'then'), [helper.make_node('Abs', ['v'], ['e'])])
    return model([loop([inner])], [count(2), *constants('p_')]), {}


def case_scan():
    """Over the batch: each slice is one image."""
    nodes = conv_bn('slice', 'made', 'p_', 'in')
    body = helper.make_graph(nodes, 'body', [value('slice', [1, C, 5, 5])], [value('made', [1, C, 5, 5])])
    n = helper.make_node('Scan', ['s'], ['y'], 'scan', body=body, num_scan_inputs=1)
    return model([n], constants('p_'), (value('s', [3, 1, C, 5, 5]),), (value('y', [3, 1, C, 5, 5]),)), {}


def case_function():
    """Called twice with other weights, epsilon by a reference to an attribute."""
    conv = helper.make_node('Conv', ['a', 'w'], ['c'], 'conv', pads=[1, 1, 1, 1])
    bn = helper.make_node('BatchNormalization', ['c', 's', 'b', 'm', 'v'], ['r'], 'bn')
    bn.attribute.append(onnx.AttributeProto(name='epsilon', type=onnx.AttributeProto.FLOAT, ref_attr_name='eps'))
    function = helper.make_function('local', 'ConvBN', ['a', 'w', 's', 'b', 'm', 'v'], ['r'], [conv, bn],
                                    [helper.make_opsetid('', 15)], ['eps'])
    calls = [helper.make_node('ConvBN', [x, *(p + n for n in ('w', 'scale', 'b', 'mean', 'var'))], [y], name,
                              domain='local', eps=e)
             for x, y, p, name, e in (('x', 'h', 'p_', 'one', 1e-3), ('h', 'y', 'q_', 'two', 0.5))]
    return model(calls, constants('p_') + constants('q_'), functions=[function]), {}


def run(bnrun, *args):
    return subprocess.run([bnrun, *args], capture_output=True, text=True)


def data_for(m, folder):
    files = []
    for i in m.graph.input:
        t = i.type.tensor_type
        dims = [d.dim_value for d in t.shape.dim]
        a = np.array(len(files) % 2 == 1) if t.elem_type == TensorProto.BOOL else rng.uniform(-1, 1, dims).astype(np.float32)
        np.save(f'{folder}/{i.name}.npy', a)
        files.append(f'{i.name}={folder}/{i.name}.npy')
    return files


def check_case(bnrun, case, folder):
    m, kept = case()
    name, source, target = case.__name__.removeprefix('case_'), f'{folder}/m.onnx', f'{folder}/folded.onnx'
    onnx.save(m, source)
    inputs = data_for(m, folder)
    fold = run(bnrun, 'fold', source, target, '--json')
    if fold.returncode:
        return check(f'{name}: fold', False, fold.stderr)
    bns = json.loads(fold.stdout)['batch_norms']
    wrong = [b for b in bns if (b['verdict'] == 'folded') == (b['name'] in kept) or
             b['name'] in kept and kept[b['name']] not in b['reason']]
    check(f'{name}: verdicts', bns and not wrong, f'{len(bns)} batch norms {wrong[:1]}')
    verify = run(bnrun, 'verify', source, *inputs)
    check(f'{name}: verify', verify.returncode == 0, '' if verify.returncode == 0 else verify.stdout + verify.stderr)
    verify = run(bnrun, 'verify', source, *inputs, '--train')
    right = 'it ran several times' in verify.stdout if name in REPEATED else verify.returncode == 0
    check(f'{name}: verify --train', right, '' if right else verify.stdout + verify.stderr)
    onnx.checker.check_model(target)
    results = []
    for file, options in ((source, ['--reference']), (target, ['--reference']), (target, [])):
        r = run(bnrun, file, *inputs, '-o', f'{folder}/y.npy', *options)
        results.append(np.load(f'{folder}/y.npy') if r.returncode == 0 else np.full(1, np.nan))
    error = max(np.abs(r - results[0]).max() for r in results) / np.abs(results[0]).max()
    check(f'{name}: the folded file', bool(error < 1e-5), f'{error:.2g}')
    again = run(bnrun, 'fold', target, f'{folder}/again.onnx')
    same = again.returncode == 0 and open(target, 'rb').read() == open(f'{folder}/again.onnx', 'rb').read()
    check(f'{name}: folded twice', same)
    os.remove(target)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for case in (case_if, case_capture, case_loop, case_nested, case_scan, case_function):
            check_case(sys.argv[1], case, folder)
    print('%d passed, %d failed, %d skipped' % tuple(totals))
    sys.exit(1 if totals[1] else 0)


main()
