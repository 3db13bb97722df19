#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bn_table.py BNRUN [MODEL...]: what becomes of each network's batch normalizations, as a Markdown table.

Counts the verdicts of `bnrun inspect --json --freeze-initializers`, and the BatchNormalization nodes that ONNX
Runtime leaves at its basic optimization level (model saved to a file and counted). Without MODEL: the networks in
$BNR_MODELS and $ONNX_TEST_DATA/light that have any (default: ../shared of this source tree).

  --ort FILE   libonnxruntime.so.1 (default: $ORT_LIB); without it that column stays empty
"""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile

import onnx

from ort import BASIC, Ort, OrtError

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'shared')
VERDICTS = ('folded', 'fused', 'kept')


def networks():
    models = os.environ.get('BNR_MODELS', f'{SHARED}/models')
    light = os.environ.get('ONNX_TEST_DATA', f'{SHARED}/onnx-testdata') + '/light'
    return sorted(glob.glob(f'{models}/*/model.onnx')) + sorted(glob.glob(f'{light}/*/model.onnx'))


def title(path):
    folder, name = os.path.split(path)
    return os.path.basename(folder) if name == 'model.onnx' else name.removesuffix('.onnx')


def verdicts(bnrun, path):
    run = subprocess.run([bnrun, 'inspect', '--json', '--freeze-initializers', path], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr.rstrip())
    return collections.Counter(b['verdict'] for b in json.loads(run.stdout)['batch_norms'])


def count_nodes(graph):
    count = 0
    for n in graph.node:
        count += n.op_type == 'BatchNormalization'
        count += sum(count_nodes(a.g) for a in n.attribute if a.type == onnx.AttributeProto.GRAPH)
    return count


def left_by_ort(ort, path):
    with tempfile.TemporaryDirectory() as folder:
        model = onnx.load(path)
        constants = {t.name for t in model.graph.initializer}
        inputs = [i for i in model.graph.input if i.name not in constants]
        if len(inputs) < len(model.graph.input):  # frozen, as for bnrun
            del model.graph.input[:]
            model.graph.input.extend(inputs)
            model.ir_version = max(model.ir_version, 4)
            path = f'{folder}/frozen.onnx'
            onnx.save(model, path)
        del model
        try:
            ort.load(path, level=BASIC, save=f'{folder}/saved.onnx')
            ort.close()
        except OrtError as e:
            print(f'{path}: ONNX Runtime: {e}', file=sys.stderr)
            return None
        return count_nodes(onnx.load(f'{folder}/saved.onnx').graph)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('bnrun')
    p.add_argument('models', nargs='*')
    p.add_argument('--ort', default=os.environ.get('ORT_LIB'))
    args = p.parse_args()
    ort = Ort(args.ort) if args.ort else None
    total = collections.Counter()
    print('| network | batch norms | folded | fused | kept | left by ONNX Runtime |\n| --- | --- | --- | --- | --- | --- |')
    for path in args.models or networks():
        row = verdicts(args.bnrun, path)
        if not row and not args.models:
            continue
        row['ort'] = left_by_ort(ort, path) if ort else None
        cells = [sum(row[v] for v in VERDICTS), *(row[v] for v in VERDICTS), row['ort']]
        print('| ' + ' | '.join([title(path), *('' if c is None else str(c) for c in cells)]) + ' |', flush=True)
        total.update({i: c or 0 for i, c in enumerate(cells)})
    print('| all | ' + ' | '.join(str(total[i]) if ort or i < 4 else '' for i in range(5)) + ' |')


main()
