#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""folded.py BNRUN: what `bnrun fold` writes of real networks.

- Weights and biases are those that other tools folded (TFLite, onnx-simplifier), to 1e-5 relative.
- With --only-bn everything that no fold touches is as it was, byte for byte, names and order included.
- ONNX Runtime ($ORT_LIB) loads the files and gives what it gives for the unfolded ones, within 1e-5 of the output's
  magnitude (float16: 4e-3), or within twice what rounding alone does to an unfolded network that is that sensitive.

Networks: BNR_MODELS, ONNX_TEST_DATA/light. Skips, saying so, what is not there.
"""
import difflib
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools'))
from ort import OFF, Ort, OrtError  # noqa: E402

MODELS = os.environ.get('BNR_MODELS', '')
LIGHT = os.path.join(os.environ.get('ONNX_TEST_DATA', ''), 'light')
TFLITE = {'mlperftiny_resnet8_cifar10': 7, 'mlperftiny_vww_mobilenet_025': 27}
totals = [0, 0, 0]


def check(name, ok, detail=''):
    totals[0 if ok else 1] += 1
    print(f'{"pass" if ok else "FAIL"} {name} {detail}')


def skip(name, why):
    totals[2] += 1
    print(f'skip {name}: {why}')


def fold(bnrun, source, target, *options):
    run = subprocess.run([bnrun, 'fold', source, target, '--json', '--freeze-initializers', *options],
                         capture_output=True, text=True)
    if run.returncode:
        check(f'fold {source}', False, run.stderr)
        return None
    return json.loads(run.stdout)['batch_norms']


# ---- the weights of other tools ----------------------------------------------------------------------


def same(a, b):
    return a.shape == b.shape and bool(np.abs(a - b).max() <= 1e-5 * np.abs(b).max())


def weights_of(graph):
    """[W, b] of each convolution, in order."""
    tensors = {t.name: t for t in graph.initializer}
    return [[numpy_helper.to_array(tensors[i]) for i in n.input[1:3]]
            for n in graph.node if n.op_type == 'Conv']


def check_tflite(bnrun, name, count, folder):
    source, other = f'{MODELS}/{name}/model.onnx', f'{MODELS}/labelled/{name}.tflite_folded.npz'
    if not os.path.exists(source) or not os.path.exists(other):
        return skip(f'{name}: weights that TFLite folded', f'no {other}')
    bns = fold(bnrun, source, f'{folder}/{name}.onnx')
    graph = onnx.load(f'{folder}/{name}.onnx').graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    nodes = {n.name: n for n in graph.node}
    theirs, right = np.load(other), []
    for k, bn in enumerate(bns or []):
        prefix = f'batch_normalization_{k}' if k else 'batch_normalization'
        w, b = (tensors[i] for i in nodes[bn['into']].input[1:3])
        right.append(same(w, theirs[f'{prefix}_W']) and same(b, theirs[f'{prefix}_b']))
    check(f'{name}: W and b as TFLite folded them', len(right) == count and all(right),
          f'{sum(right)} of {len(right)}')


def check_simplifier(bnrun, folder):
    ours, theirs = f'{MODELS}/ultraface_rfb320_nopp/model.onnx', f'{MODELS}/ultraface_rfb320_folded_ref/model.onnx'
    if not os.path.exists(ours) or not os.path.exists(theirs):
        return skip('ultraface: weights that onnx-simplifier folded', f'no {theirs}')
    bns = fold(bnrun, ours, f'{folder}/ultraface.onnx')
    a, b = weights_of(onnx.load(f'{folder}/ultraface.onnx').graph), weights_of(onnx.load(theirs).graph)
    used, folded = set(), 0
    for pair in a:  # the same network in another order of its branches
        for k, other in enumerate(b):
            if k not in used and all(map(same, pair, other)):
                used.add(k)
                folded += 1
                break
    check('ultraface: W and b as onnx-simplifier folded them',
          len(bns or []) == 35 and folded == len(a) == len(b), f'{folded} of {len(a)} convolutions')


# ---- --only-bn ---------------------------------------------------------------------------------------


def bare(message, *fields):
    copy = type(message)()
    copy.CopyFrom(message)
    for f in fields:
        copy.ClearField(f)
    return copy.SerializeToString(deterministic=True)


def name_of(entry):
    return entry.name


def lost(before, after, key):
    """Entries of `before` that are not in `after` in the same order and with the same bytes, by key."""
    place = {key(e): k for k, e in enumerate(after)}
    missing, at = [], -1
    for e in before:
        k = place.get(key(e), -1)
        if k <= at or after[k].SerializeToString(deterministic=True) != e.SerializeToString(deterministic=True):
            missing.append(key(e))
        at = max(k, at)
    return missing


class Alignment:
    """Nodes of both graphs, in order: the same, byte for byte, or touched (another input or output), or only here."""

    def __init__(self, before, after):
        a, b = list(before.node), list(after.node)
        self.same, self.touched, self.gone, self.new = [], [], [], []
        match = difflib.SequenceMatcher(None, [n.SerializeToString(deterministic=True) for n in a],
                                        [n.SerializeToString(deterministic=True) for n in b], autojunk=False)
        for tag, i, i2, j, j2 in match.get_opcodes():
            if tag == 'equal':
                self.same += a[i:i2]
                continue
            left = list(a[i:i2])
            for n in b[j:j2]:
                k = next((k for k, m in enumerate(left) if m.op_type == n.op_type and m.name == n.name and
                          (n.op_type == 'Gemm' or bare(m, 'input', 'output') == bare(n, 'input', 'output'))), None)
                if k is None:
                    self.new.append(n)
                    continue
                self.gone += left[:k]
                self.touched.append((left[k], n))
                left = left[k + 1:]
            self.gone += left


AFFINE = ('BatchNormalization', 'Add', 'Mul', 'Sub', 'Div', 'Neg', 'Sum')


def differences(before, after, bns):
    """What --only-bn should not have changed."""
    g, h = before.graph, after.graph
    nodes, wrong = Alignment(g, h), []
    if bare(before, 'graph') != bare(after, 'graph'):
        wrong.append('fields of the model')
    parts = ('node', 'initializer', 'input', 'value_info')
    if bare(g, *parts) != bare(h, *parts):
        wrong.append('fields of the graph')
    # What was a constant before: initializers and what nodes make of constants alone.
    constant = {t.name for t in g.initializer}
    for n in g.node:
        if all(i in constant for i in n.input if i):
            constant.update(n.output)
    new = {t.name for t in h.initializer} - {t.name for t in g.initializer}
    folded = {b['name'] for b in bns if b['verdict'] == 'folded'}
    into = {b['into'] for b in bns if b['verdict'] == 'folded'} | folded
    more = sum(int(n) for b in bns for n in re.findall(r'and (\d+) more', b['reason'] or ''))
    went = {o for n in nodes.gone for o in n.output if o not in constant}  # outputs of affines that are gone
    for n, m in nodes.touched:
        absorbs = bool(set(m.input) & new) or len(m.input) > len(n.input)
        names = set(n.output) | went
        if absorbs and n.name and n.name not in into:
            more -= 1
            if more < 0:
                wrong.append(f'{n.op_type} {n.name} took something in')
        if not absorbs and not (set(n.input) ^ set(m.input) | set(n.output) ^ set(m.output)) & names:
            wrong.append(f'{n.op_type} {n.name} changed')
    for n in nodes.new:
        if n.op_type not in ('Add', 'Mul', 'BatchNormalization') or not set(n.input) & new:
            wrong.append(f'new node {n.op_type} {n.name}')
    changed = {id(n) for n, _ in nodes.touched} | {id(n) for n in nodes.gone}
    for n in nodes.gone:
        readers = [m for m in g.node if set(m.input) & set(n.output)]
        made_constant = all(o in constant for o in n.output)
        if not (made_constant and all(id(m) in changed for m in readers)) and n.op_type not in AFFINE:
            wrong.append(f'{n.op_type} {n.name} is gone')
    gone = {b.name for b in nodes.gone if b.op_type == 'BatchNormalization' and b.name}
    if not gone <= folded:
        wrong.append(f'{sorted(gone - folded)[0]} is gone, but not folded')
    read = {i for n in h.node for i in n.input}
    wrong += [f'initializer {k}' for k in lost((e for e in g.initializer if e.name in read), h.initializer, name_of)]
    values = {t.name for t in g.initializer}
    wrong += [f'input {k}' for k in lost((e for e in g.input if e.name not in values or e.name in read), h.input, name_of)]
    made = {o for n in h.node for o in n.output} | read
    wrong += [f'value_info {k}' for k in lost((e for e in g.value_info if e.name in made), h.value_info, name_of)]
    return wrong


def check_only_bn(bnrun, path, folder):
    name, target = os.path.basename(os.path.dirname(path)), f'{folder}/only_bn.onnx'
    bns = fold(bnrun, path, target, '--only-bn')
    if bns is None:
        return
    wrong = differences(onnx.load(path), onnx.load(target), bns)
    check(f'{name}: --only-bn leaves the rest alone', not wrong, '; '.join(wrong[:5]))


# ---- ONNX Runtime ------------------------------------------------------------------------------------


def inputs_of(path, model):
    constants = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    arrays = {}
    for k, i in enumerate(inputs):
        stored = f'{os.path.dirname(path)}/test_data_set_0/input_{k}.pb'
        if os.path.exists(stored):
            t = onnx.TensorProto()
            with open(stored, 'rb') as f:
                t.ParseFromString(f.read())
            arrays[i.name] = numpy_helper.to_array(t)
        else:
            shape = [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]
            dtype = onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[i.type.tensor_type.elem_type]
            arrays[i.name] = np.random.default_rng(1).uniform(-1, 1, shape).astype(dtype)
    return arrays


def own_error(bnrun, path, arrays, folder):
    """How far the unfolded network in its own precision is from double precision, relative to the magnitude."""
    files = []
    for k, (name, a) in enumerate(arrays.items()):
        np.save(f'{folder}/{k}.npy', a)
        files.append(f'{name}={folder}/{k}.npy')
    run = subprocess.run([bnrun, 'verify', '--json', '--freeze-initializers', path, *files], capture_output=True, text=True)
    report = json.loads(run.stdout)
    return max(o['unfolded_double']['max_rel'] for o in report['outputs'])


def check_ort(bnrun, ort, path, folder):
    name, target = path.removeprefix(MODELS).removeprefix(LIGHT).strip('/').removesuffix('/model.onnx'), f'{folder}/ort.onnx'
    if fold(bnrun, path, target) is None:
        return
    arrays = inputs_of(path, onnx.load(path))
    results = []
    for file in (path, target):
        try:
            ort.load(file, level=OFF)
            results.append(ort.evaluate(arrays))
        except OrtError as e:
            return check(f'{name} in ONNX Runtime', False, str(e))
    worst, limit, detail = 0, 1e-5, ''
    for a, b in zip(*results):
        error = np.abs(b.astype(np.float64) - a).max() / max(np.abs(a).max(), 1e-30)
        worst = max(worst, error if a.shape == b.shape else np.inf)
        limit = 4e-3 if a.dtype == np.float16 else limit
    if worst > limit:
        limit = 2 * own_error(bnrun, path, arrays, folder)
        detail = f', {limit:.2g} allowed'
    check(f'{name} in ONNX Runtime', worst <= limit, f'{worst:.2g} of the magnitude{detail}')


def main():
    bnrun, lib = sys.argv[1], os.environ.get('ORT_LIB')
    networks = sorted(glob.glob(f'{MODELS}/*/model.onnx')) if MODELS else []
    networks += sorted(glob.glob(f'{LIGHT}/*/model.onnx'))
    with tempfile.TemporaryDirectory() as folder:
        for name, count in TFLITE.items():
            check_tflite(bnrun, name, count, folder)
        check_simplifier(bnrun, folder)
        for path in networks:
            check_only_bn(bnrun, path, folder)
        if not networks:
            skip('--only-bn', 'no networks in BNR_MODELS or ONNX_TEST_DATA/light')
        if lib:
            ort = Ort(lib)
            for path in networks + sorted(glob.glob(f'{MODELS}/fusion_cases/*.onnx')):
                check_ort(bnrun, ort, path, folder)
        else:
            skip('folded files in ONNX Runtime', 'ORT_LIB names no libonnxruntime.so.1')
    print('%d passed, %d failed, %d skipped' % tuple(totals))
    sys.exit(1 if totals[1] else 0)


main()
