#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""networks.py BNRUN: real networks as ONNX test directories, in every way that bnrun can run them.

The folder that BNR_MODELS names holds them; ONNX_TEST_DATA/light the ONNX project's. Also counts right
answers on labelled data where the folder has it. Skips, saying so, what is not there.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

MODELS = os.environ.get('BNR_MODELS', '')
LIGHT = os.path.join(os.environ.get('ONNX_TEST_DATA', ''), 'light')
WAYS = ([], ['--no-fold'], ['--reference'], ['--threads', '2'], ['--cpu', 'generic'], ['--cpu', 'avx2'])
# Where every batch normalization must be gone (folded) after folding.
ALL_FOLDED = ('cifar10_resnet20', 'cifar10_resnet56', 'mlperftiny_ad_autoencoder', 'mlperftiny_kws_dscnn',
              'mlperftiny_resnet8_cifar10', 'mlperftiny_streaming_wakeword', 'mlperftiny_vww_mobilenet_025',
              'nsfwjs_mobilenet_v2_224', 'fastestdet_coco', 'ppocr_v2_cls', 'test_bvlc_alexnet',
              'test_inception_v1', 'test_resnet50', 'test_shufflenet', 'test_squeezenet', 'test_vgg19',
              'test_zfnet512')
totals = [0, 0, 0]


def count(passed, failed, skipped):
    for i, n in enumerate((passed, failed, skipped)):
        totals[i] += n


def check(name, ok, detail=''):
    count(ok, not ok, 0)
    print(f'{"pass" if ok else "FAIL"} {name} {detail}')


def run_ways(bnrun, dirs):
    for options in WAYS:
        run = subprocess.run([bnrun, 'test', *options, *dirs], capture_output=True, text=True)
        last = re.search(r'(\d+) passed, (\d+) failed, (\d+) skipped\s*$', run.stdout)
        if last is None:
            check(' '.join(options), False, f'no closing line: {run.stderr[-500:]}')
            continue
        print(run.stdout.rstrip() if int(last[2]) else last[0].rstrip(), ' '.join(options))
        count(*map(int, last.groups()))


def check_folds(bnrun, dirs):
    for d in dirs:
        name = os.path.basename(d)
        if name not in ALL_FOLDED:
            continue
        run = subprocess.run([bnrun, 'inspect', '--json', f'{d}/model.onnx'], capture_output=True, text=True)
        bns = json.loads(run.stdout)['batch_norms'] if run.returncode == 0 else None
        kept = [b['name'] for b in bns or [] if b['verdict'] != 'folded']
        check(f'{name}: every BN folded', bns is not None and not kept, f'{len(bns or [])} BNs {kept[:3]}')


def outputs_of(bnrun, model, folder):
    run = subprocess.run([bnrun, 'run', model, '-o', folder], capture_output=True, text=True)
    if run.returncode:
        return run.stderr
    return {f: open(f'{folder}/{f}', 'rb').read() for f in sorted(os.listdir(folder))}


def check_compiled(bnrun, dirs):
    """A compiled network gives the same bits as the one it was made of."""
    for d in dirs:
        with tempfile.TemporaryDirectory() as temp:
            compiled = f'{temp}/m.bnr'
            os.mkdir(f'{temp}/a'), os.mkdir(f'{temp}/b')
            a = outputs_of(bnrun, f'{d}/model.onnx', f'{temp}/a')
            if isinstance(a, str):
                continue  # open dims cannot all be 1
            run = subprocess.run([bnrun, 'compile', f'{d}/model.onnx', '-o', compiled], capture_output=True, text=True)
            detail = run.stderr
            if run.returncode == 0:
                b = outputs_of(bnrun, compiled, f'{temp}/b')
                detail = '' if a == b else f'other bits: {str(b)[:200]}'
            check(f'{os.path.basename(d)}: compiled', run.returncode == 0 and not detail, detail)


def accuracy(bnrun, name, batch, labels, expected):
    with tempfile.TemporaryDirectory() as folder:
        batch.tofile(f'{folder}/in.bin')
        for options in ([], ['--no-fold']):
            run = subprocess.run([bnrun, f'{MODELS}/{name}/model.onnx', f'{folder}/in.bin', '-o',
                                  f'{folder}/out.npy', *options], capture_output=True, text=True)
            if run.returncode:
                check(f'{name} accuracy', False, run.stderr)
                continue
            scores = np.load(f'{folder}/out.npy')
            right = int((scores.reshape(len(labels), -1).argmax(1) == labels).sum())
            check(f'{name} accuracy {" ".join(options)}', abs(right - expected) <= 1,
                  f'{right} of {len(labels)} right, expected {expected}')


def check_accuracy(bnrun):
    path = f'{MODELS}/labelled/cifar10_test_2000.bin'
    if os.path.exists(path):
        raw = np.fromfile(path, np.uint8).reshape(-1, 3073)
        labels, pixels = raw[:, 0], raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
        mean = np.array([.485, .456, .406], np.float32).reshape(1, 3, 1, 1)
        std = np.array([.229, .224, .225], np.float32).reshape(1, 3, 1, 1)
        normalized = ((pixels / np.float32(255) - mean) / std).astype(np.float32)
        accuracy(bnrun, 'cifar10_resnet20', normalized, labels, 1627)
        accuracy(bnrun, 'cifar10_resnet56', normalized, labels, 1663)
        accuracy(bnrun, 'mlperftiny_resnet8_cifar10', pixels, labels, 1528)
    path = f'{MODELS}/labelled/kws_1000.bin'
    if os.path.exists(path):
        raw = np.fromfile(path, np.uint8).reshape(-1, 491)
        mfcc = (raw[:, 1:].view(np.int8).astype(np.float32) - np.float32(83)) * np.float32(0.5847029)
        accuracy(bnrun, 'mlperftiny_kws_dscnn', mfcc, raw[:, 0], 915)


def main():
    bnrun = sys.argv[1]
    for title, pattern in (('BNR_MODELS', f'{MODELS}/*/'), ('ONNX_TEST_DATA/light', f'{LIGHT}/*/')):
        dirs = sorted(d.rstrip('/') for d in glob.glob(pattern) if glob.glob(f'{d}/test_data_set_*/output_0.pb'))
        if not dirs:
            print(f'skip {title}: no networks at "{os.path.dirname(os.path.dirname(pattern))}"')
            count(0, 0, 1)
            continue
        run_ways(bnrun, dirs)
        check_folds(bnrun, dirs)
        check_compiled(bnrun, dirs)
    check_accuracy(bnrun)
    print('%d passed, %d failed, %d skipped' % tuple(totals))
    sys.exit(1 if totals[1] else 0)


main()
