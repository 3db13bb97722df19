#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""calibrate.py BNRUN: `bnrun calibrate` brings damaged networks back.

The running statistics of trained networks are damaged until their accuracy has fallen, and estimated anew
from a few hundred images without labels, none of them among those that accuracy is measured on: it must be
back to within 0.5 points of what it was, or above (1 point with moving averages). Our own network on digits, and
cifar10_resnet20 of BNR_MODELS (default: ../shared/models beside the source tree) where it is.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIGITS = os.path.join(SOURCE, 'tests', 'data', 'mnist')
MODELS = os.environ.get('BNR_MODELS', os.path.join(os.path.dirname(SOURCE), 'shared', 'models'))
BNRUN = sys.argv[1]
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def check(name, ok, detail=''):
    counts['passed' if ok else 'failed'] += 1
    print(f'{"pass" if ok else "FAIL"} {name} {detail}')


def bnrun(*args):
    run = subprocess.run([BNRUN, *args], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f'{" ".join(args)}: exit status {run.returncode}: {run.stderr}')
    return run.stdout


def accuracy(model, pixels, labels, folder):
    """In points of a hundred."""
    np.save(f'{folder}/in.npy', pixels)
    bnrun(model, f'{folder}/in.npy', '-o', f'{folder}/out.npy')
    return 100 * float((np.load(f'{folder}/out.npy').argmax(1) == labels).mean())


def damage(path, out):
    """Other means and variances for every BN, up to a factor of 8."""
    rng = np.random.default_rng(7)
    model = onnx.load(path)
    names = {n.input[i]: i for n in model.graph.node if n.op_type == 'BatchNormalization' for i in (3, 4)}
    made = {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == 'Identity'}
    for tensor in model.graph.initializer:
        index = names.get(tensor.name, names.get(made.get(tensor.name)))
        if index is None:
            continue
        v = numpy_helper.to_array(tensor)
        spread = np.sqrt(np.abs(v).mean())
        v = v * 8 ** rng.uniform(-1, 1, v.shape) if index == 4 else v + spread * rng.standard_normal(v.shape)
        tensor.CopyFrom(numpy_helper.from_array(v.astype(np.float32), tensor.name))
    onnx.save(model, out)


def restore(name, path, pixels, labels, unlabelled, folder, ways):
    damaged, restored = f'{folder}/damaged.onnx', f'{folder}/restored.onnx'
    before = accuracy(path, pixels, labels, folder)
    damage(path, damaged)
    broken = accuracy(damaged, pixels, labels, folder)
    check(f'{name}: damaged', broken < before - 10, f'{before:.2f} -> {broken:.2f}')
    np.save(f'{folder}/data.npy', unlabelled)
    for options, points in ways:
        told = json.loads(bnrun('calibrate', damaged, f'{folder}/data.npy', '-o', restored, '--batch', '100',
                                '--json', *options))
        after = accuracy(restored, pixels, labels, folder)
        check(f'{name}: restored {" ".join(options)}',
              after >= before - points and all(b['calibrated'] for b in told['batch_norms']),
              f'{before:.2f} -> {broken:.2f} -> {after:.2f} by {len(unlabelled)} samples without labels')


def digits(folder):
    with np.load(f'{DIGITS}/digits.npz') as data:
        images, labels = data['images'], data['labels']
    pixels = images.reshape(images.shape[0], 1, 28, 28).astype(np.float32) / np.float32(255)
    shape = onnx.load(f'{DIGITS}/model.onnx').graph.input[0].type.tensor_type.shape.dim
    pixels = pixels.reshape(-1, *[d.dim_value for d in shape][1:])
    restore('mnist', f'{DIGITS}/model.onnx', pixels[500:4500], labels[500:4500], pixels[:400], folder,
            [([], 0.5), (['--fold'], 0.5), (['--ema', '0.7'], 1)])


def crops(images, times):
    """As the network was trained: flipped or not, moved by up to 4 pixels over black. Its statistics are of
    such images; without the black borders, estimated ones cost it 1.8 points."""
    rng = np.random.default_rng(3)
    wide = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    made = []
    for i in list(range(len(images))) * times:
        y, x = rng.integers(0, 9, 2)
        made.append(wide[i, :, y:y + 32, x:x + 32][:, :, ::rng.choice((-1, 1))])
    return np.stack(made)


def cifar(folder):
    model, data = f'{MODELS}/cifar10_resnet20/model.onnx', f'{MODELS}/labelled/cifar10_test_2000.bin'
    if not os.path.exists(model) or not os.path.exists(data):
        counts['skipped'] += 1
        print(f'skip cifar10_resnet20: {MODELS} has no model or images (BNR_MODELS)')
        return
    records = np.fromfile(data, np.uint8).reshape(-1, 3073)
    mean, std = np.float32([.485, .456, .406]), np.float32([.229, .224, .225])
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)
    normal = lambda v: ((v - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)).astype(np.float32)
    restore('cifar10_resnet20', model, normal(images[500:]), records[500:, 0], normal(crops(images[:500], 2)), folder,
            [([], 0.5)])


def main():
    with tempfile.TemporaryDirectory() as folder:
        digits(folder)
        cifar(folder)
    print(f'{counts["passed"]} passed, {counts["failed"]} failed, {counts["skipped"]} skipped')
    return 1 if counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
