#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""mnist.py BNRUN: our own network on all 10,000 test digits, by the program alone.

At least 99.0% right, and the same answers folded, unfolded and by reference code, at every CPU level that
the machine has and with 1 and 2 threads; what `bnrun fold` writes gives the same answers again.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'data', 'mnist')
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def check(name, ok, detail=''):
    counts['passed' if ok else 'failed'] += 1
    print(f'{"pass" if ok else "FAIL"} {name} {detail}')


def scores(bnrun, model, pixels, *options):
    """The [10000, 10] probabilities, or None where the machine lacks the CPU level."""
    with tempfile.TemporaryDirectory() as folder:
        pixels.tofile(f'{folder}/in.bin')
        run = subprocess.run([bnrun, model, f'{folder}/in.bin', '-o', f'{folder}/out.npy', *options],
                             capture_output=True, text=True)
        if run.returncode == 2 and '--cpu' in options:
            return None
        if run.returncode:
            sys.exit(f'{" ".join(options)}: exit status {run.returncode}: {run.stderr}')
        return np.load(f'{folder}/out.npy')


def main():
    bnrun = sys.argv[1]
    model = f'{DATA}/model.onnx'
    with np.load(f'{DATA}/digits.npz') as data:
        images, labels = data['images'], data['labels']
    pixels = images.astype(np.float32) / np.float32(255)
    base = scores(bnrun, model, pixels)
    right = int((base.argmax(1) == labels).sum())
    check('accuracy', base.shape == (10000, 10) and right >= 9900, f'{right} of 10000 right')
    with tempfile.TemporaryDirectory() as folder:
        folded = f'{folder}/folded.onnx'
        subprocess.run([bnrun, 'fold', model, folded], check=True, capture_output=True)
        ways = [(model, ['--no-fold']), (model, ['--threads', '1']), (model, ['--threads', '2']),
                (folded, []), (folded, ['--no-fold'])]
        ways += [(model, ['--cpu', level]) for level in ('generic', 'avx2', 'avx512', 'neon')]
        for path, options in ways:
            other = scores(bnrun, path, pixels, *options)
            name = ('folded file ' if path == folded else '') + ' '.join(options)
            if other is None:
                counts['skipped'] += 1
                print(f'skip {name}: this machine has no such CPU level')
                continue
            same = int((other.argmax(1) == base.argmax(1)).sum())
            error = float(np.abs(other - base).max())
            check(f'same answers {name}', same >= 9999 and error < 1e-4, f'{same} of 10000, error {error:.2g}')
        part = scores(bnrun, model, pixels[:500], '--reference')
        check('same answers --reference', (part.argmax(1) == base[:500].argmax(1)).all())
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**counts))
    sys.exit(1 if counts['failed'] else 0)


main()
