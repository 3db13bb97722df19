#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench_networks.py BNRUN MODEL...: bnrun beside ONNX Runtime on whole networks, measured in one run.

For each model and thread count the two are measured in turn (A B A B ...), each time in a fresh process, and
the medians are compared: latency, load time, and peak memory above an empty process. Prints a Markdown table.

  --threads 1,2   thread counts (default 1)
  --rounds N      alternations (default 5)
  --iters N       timed runs in each process (default 20)
  --shape DIMS    of the single input, where the model leaves dims open (default 1x3x224x224)
  --ort FILE      libonnxruntime.so.1 (default: $ORT_LIB); the npm package onnxruntime-node holds one:
                  npm install onnxruntime-node@1.30.0 --ignore-scripts
Without ONNX Runtime only bnrun's own figures are shown.
"""
import argparse
import ctypes as C
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from ort import Ort, OrtError


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ort_process(args):
    """Runs in a child: one measurement of ONNX Runtime, printed as JSON like `bnrun bench --json`."""
    dims = [int(d) for d in args.shape.split('x')]
    count = 1
    for d in dims:
        count *= d
    data = (C.c_float * count)(*[((i * 2654435761) % 2001 - 1000) / 600 for i in range(count)])
    base = peak_mib()
    ort = Ort(args.ort)
    start = time.perf_counter()
    ort.load(args.models[0], int(args.threads))
    load = time.perf_counter() - start
    ort.bind(data, dims)
    for _ in range(2):
        ort.run()
    times = []
    for _ in range(args.iters):
        start = time.perf_counter()
        ort.run()
        times.append(time.perf_counter() - start)
    print(json.dumps({'load_ms': load * 1e3, 'median_ms': statistics.median(times) * 1e3,
                      'memory_mib': peak_mib() - base}))


def measure_ort(args, model, threads):
    run = subprocess.run([sys.executable, __file__, args.bnrun, model, '--child', '--threads', str(threads),
                          '--iters', str(args.iters), '--shape', args.shape, '--ort', args.ort],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return json.loads(run.stdout)


def measure_bnrun(args, model, threads):
    name = json.loads(subprocess.run([args.bnrun, 'inspect', '--json', model], capture_output=True,
                                     check=True).stdout)['inputs'][0]['name']
    run = subprocess.run([args.bnrun, 'bench', model, '--json', '--threads', str(threads), '-n',
                          str(args.iters), '--shape', f'{name}={args.shape}'], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    result = json.loads(run.stdout)
    result['memory_mib'] = result['peak_rss_mib']
    return result


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('bnrun')
    p.add_argument('models', nargs='+')
    p.add_argument('--threads', default='1')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--iters', type=int, default=20)
    p.add_argument('--shape', default='1x3x224x224')
    p.add_argument('--ort', default=os.environ.get('ORT_LIB'))
    p.add_argument('--child', action='store_true')
    args = p.parse_args()
    if args.child:
        try:
            return ort_process(args)
        except OrtError as e:
            sys.exit(f'ONNX Runtime: {e}')
    print('| network | threads | bnrun ms | ONNX Runtime ms | times faster | load ms | its load ms | MiB | its MiB |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    for model in args.models:
        for threads in map(int, args.threads.split(',')):
            ours, theirs = [], []
            for _ in range(args.rounds):
                ours.append(measure_bnrun(args, model, threads))
                if args.ort:
                    theirs.append(measure_ort(args, model, threads))
            def median(runs, key):
                return statistics.median(r[key] for r in runs) if runs else float('nan')
            a, b = median(ours, 'median_ms'), median(theirs, 'median_ms')
            name = os.path.basename(model).removesuffix('.onnx')
            print(f'| {name} | {threads} | {a:.2f} | {b:.2f} | {b / a:.2f} | {median(ours, "load_ms"):.0f} | '
                  f'{median(theirs, "load_ms"):.0f} | {median(ours, "memory_mib"):.0f} | '
                  f'{median(theirs, "memory_mib"):.0f} |', flush=True)


main()
