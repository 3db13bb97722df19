#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py BNRUN [--update] [OPTION...]: ONNX's backend test data against the checked-in expectations.

Two sets: Debian's libonnx-testdata (debian.txt), and newer data in the folder that ONNX_TEST_DATA names
(newer.txt). Each list names the directories that must pass; every other directory must not, so that an
unexpected pass fails too and the list stays true. OPTIONs go to `bnrun test` (for example --no-fold).
--update writes the lists anew from what passes now.
"""
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DEBIAN = '/usr/share/libonnx-testdata/data'
# Why some directories cannot pass, for the lists.
REASONS = {
    'node/test_bernoulli': 'random: what another generator drew (tests/unit/test_bernoulli.c is the test)',
    'node/test_adam_multiple': 'the data were made with an epsilon of 0.01, which the model does not have',
    'node/test_dft_inverse': 'made in double; newer data of the same operator have the noise of single precision',
    'node/test_cast_FLOAT_to_BFLOAT16': 'made by cutting bits off; newer data round to nearest',
    'node/test_castlike_BFLOAT16_to_FLOAT': 'the stored `like` has other dims than the model declares',
    'node/test_castlike_FLOAT_to_BFLOAT16': 'the stored `like` has other dims than the model declares',
    'real/': 'the weights are not part of the package',
}


def verdicts(bnrun, root, options):
    dirs = sorted(d for d in glob.glob(f'{root}/*/*') if os.path.exists(f'{d}/model.onnx'))
    if not dirs:
        return {}
    run = subprocess.run([bnrun, 'test', '--json', *options, *dirs], capture_output=True, text=True)
    try:
        results = json.loads(run.stdout)['results']
    except (ValueError, KeyError):
        sys.exit(f'bnrun test printed no verdicts (exit status {run.returncode}): {run.stderr[-2000:]}')
    assert len(results) == len(dirs)
    return {os.path.relpath(r['directory'], root): r for r in results}


def read_list(path):
    with open(path) as f:
        return {line.strip() for line in f if line.strip() and not line.startswith('#')}


def write_list(path, results):
    names = [n for n, r in results.items() if r['verdict'] == 'pass']
    with open(path, 'w') as f:
        f.write('# Directories that must pass; every other one must not. Written by run.py --update.\n')
        for start, reason in REASONS.items():
            others = sorted(n for n in results if n.startswith(start) and n not in names)
            f.writelines(f'# not {n}: {reason}\n' for n in others)
        f.writelines(f'{n}\n' for n in sorted(names))


def compare(results, expected):
    passed = failed = skipped = 0
    for name, r in results.items():
        wanted = name in expected
        got = r['verdict'] == 'pass'
        if r['verdict'] == 'skip':
            skipped += 1
            print(f'skip {name}: {r.get("why", "")}')
        elif got == wanted:
            passed += 1
        else:
            failed += 1
            print(f'FAIL {name}: ' + (r.get('why', '') if wanted else 'passes, but is not in the list'))
    for name in sorted(expected - results.keys()):
        failed += 1
        print(f'FAIL {name}: in the list, but not in the data')
    return passed, failed, skipped


def main():
    bnrun, *options = sys.argv[1:]
    update = '--update' in options
    options = [o for o in options if o != '--update']
    totals = [0, 0, 0]
    for title, root, name in (('libonnx-testdata', DEBIAN, 'debian.txt'),
                              ('ONNX_TEST_DATA', os.environ.get('ONNX_TEST_DATA', ''), 'newer.txt')):
        results = verdicts(bnrun, root, options) if root else {}
        path = f'{HERE}/{name}'
        if not results:
            print(f'skip {title}: no data at "{root}"')
            totals[2] += 1
            continue
        if update:
            write_list(path, results)
        counts = compare(results, read_list(path))
        ran = sum(r['verdict'] == 'pass' for r in results.values())
        print(f'{title}: {ran} of {len(results)} directories pass')
        totals = [a + b for a, b in zip(totals, counts)]
    print('%d passed, %d failed, %d skipped' % tuple(totals))
    sys.exit(1 if totals[1] else 0)


main()
