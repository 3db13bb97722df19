#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench_networks.py BNRUN FOLDER|MODEL...: bnrun beside ONNX Runtime on whole networks, measured in one run.

A folder stands for the networks of the README's table that it holds as NAME.onnx; --export SCRIPT makes those
that are missing there, by `SCRIPT FOLDER NAME...`. For each model and thread count the two are measured in turn
(A B A B ...), each time in a fresh process, and the medians are compared: latency, load time (of the ONNX file,
and of the compiled one), and peak memory (of ONNX Runtime: above an empty process). Prints a Markdown table.

  --threads 1,2   thread counts (default 1,2)
  --batches 8,32  throughput at these batches, too (default none)
  --rounds N      alternations (default 5)
  --iters N       timed runs in each process (default 20)
  --shape DIMS    of the single input, where the model leaves dims open (default 1x3x224x224; inception: 299)
  --svg FILE      a bar chart: how many times faster than ONNX Runtime
  --json FILE     all medians
  --ort FILE      libonnxruntime.so.1 (default: $ORT_LIB); the npm package onnxruntime-node holds one:
                  npm install onnxruntime-node@1.30.0 --ignore-scripts
  --ncnn FOLDER   compares with ncnn, too: a folder with its benchncnn and the *.param of its benchmark/models
                  (its own variants of ten of the networks, with random weights)
Without ONNX Runtime only bnrun's own figures are shown.
"""
import argparse
import ctypes as C
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
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


def measure_ncnn(args, variant, threads):
    """The average of benchncnn's runs, ms."""
    run = subprocess.run(['./benchncnn', str(args.iters), str(threads), '0', '-1', '0', f'param={variant}.param',
                          'shape=[224,224,3]'], cwd=args.ncnn, capture_output=True, text=True)
    found = re.search(r'avg = *([0-9.]+)', run.stdout + run.stderr)
    if not found:
        sys.exit(f'benchncnn {variant}: {run.stderr}')
    return float(found[1])


# ---- what is measured -------------------------------------------------------------------------------

TABLE = ('resnet18', 'resnet50', 'vgg16_bn', 'googlenet', 'densenet121', 'mobilenet_v2', 'mobilenet_v3_large',
         'efficientnet_b0', 'shufflenet_v2_x1_0', 'squeezenet1_1', 'regnet_y_400mf', 'inception_v3',
         'convnext_tiny', 'vit_b_16')
ATTENTION = ('convnext_tiny', 'vit_b_16')  # counted apart: hardly any convolution

NCNN = {'resnet18': 'resnet18', 'resnet50': 'resnet50', 'vgg16_bn': 'vgg16', 'googlenet': 'googlenet',
        'mobilenet_v2': 'mobilenet_v2', 'mobilenet_v3_large': 'mobilenet_v3', 'efficientnet_b0': 'efficientnet_b0',
        'shufflenet_v2_x1_0': 'shufflenet_v2', 'squeezenet1_1': 'squeezenet', 'regnet_y_400mf': 'regnety_400m'}


def models_of(args):
    for path in args.models:
        if not os.path.isdir(path):
            yield path
            continue
        missing = [n for n in TABLE if not os.path.exists(f'{path}/{n}.onnx')]
        if args.export and missing:
            subprocess.run([args.export, path, *missing], check=True, stdout=sys.stderr)
        yield from (f'{path}/{n}.onnx' for n in TABLE if os.path.exists(f'{path}/{n}.onnx'))


def name_of(model):
    return os.path.basename(model).removesuffix('.onnx')


def with_shape(args, model, batch=1):
    """args for a model's own input shape."""
    copy = argparse.Namespace(**vars(args))
    if copy.shape is None:
        side = 299 if name_of(model).startswith('inception') else 224
        copy.shape = f'{batch}x3x{side}x{side}'
    else:
        copy.shape = 'x'.join([str(batch)] + copy.shape.split('x')[1:]) if batch > 1 else copy.shape
    return copy


def medians(runs):
    keys = ('median_ms', 'load_ms', 'memory_mib')
    return {k: statistics.median(r[k] for r in runs) for k in keys} if runs else dict.fromkeys(keys, math.nan)


def compare(args, model, threads, batch=1):
    """Medians of both, and of the compiled model's load, measured in turn."""
    args = with_shape(args, model, batch)
    ours, theirs, compiled = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/{name_of(model)}.bnr'
        if batch == 1:
            subprocess.run([args.bnrun, 'compile', model, '-o', path, '--threads', str(threads)], check=True,
                           capture_output=True)
        for _ in range(args.rounds):
            ours.append(measure_bnrun(args, model, threads))
            if args.ort:
                theirs.append(measure_ort(args, model, threads))
            if batch == 1:
                few = argparse.Namespace(**{**vars(args), 'iters': 1})
                compiled.append(measure_bnrun(few, path, threads))
    first = ours[0]
    packed = (first['packed_bytes'] + first['arena_bytes']) / 2 ** 20
    return {'network': name_of(model), 'threads': threads, 'batch': batch, 'bnrun': medians(ours),
            'ort': medians(theirs), 'compiled': medians(compiled), 'packed_and_arena_mib': packed}


# ---- what is shown ----------------------------------------------------------------------------------

def ratio(row, key, of='bnrun'):
    return row['ort'][key] / row[of][key]


def geometric_mean(values):
    values = [v for v in values if v > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


HEAD = '''| network | threads | bnrun ms | ONNX Runtime ms | times faster | load ms | compiled | its load ms | MiB | its MiB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'''


def line_of(row):
    a, b, c = row['bnrun'], row['ort'], row['compiled']
    return (f'| {row["network"]} | {row["threads"]} | {a["median_ms"]:.2f} | {b["median_ms"]:.2f} | '
            f'{ratio(row, "median_ms"):.2f} | {a["load_ms"]:.0f} | {c["load_ms"]:.1f} | {b["load_ms"]:.0f} | '
            f'{a["memory_mib"]:.0f} | {b["memory_mib"]:.0f} |')


def print_means(rows):
    for threads in sorted({r['threads'] for r in rows}):
        mine = [r for r in rows if r['threads'] == threads]
        for title, some in (('convolutional', [r for r in mine if r['network'] not in ATTENTION]),
                            ('attention', [r for r in mine if r['network'] in ATTENTION])):
            if not some:
                continue
            print(f'\n{title} networks, {threads} thread{"s" * (threads > 1)}, geometric means: '
                  f'{geometric_mean(ratio(r, "median_ms") for r in some):.2f} times faster, '
                  f'load {geometric_mean(ratio(r, "load_ms") for r in some):.1f} times '
                  f'(compiled {geometric_mean(ratio(r, "load_ms", "compiled") for r in some):.0f}), memory '
                  f'{100 / geometric_mean(ratio(r, "memory_mib") for r in some):.0f}% and '
                  f'{geometric_mean(r["bnrun"]["memory_mib"] / r["packed_and_arena_mib"] for r in some):.2f} '
                  f'times packed weights and arena', end='')
    print()


def print_batches(args, models):
    batches = [int(b) for b in args.batches.split(',')]
    print('\n| network | threads | batch | bnrun ms per image | ONNX Runtime ms per image | times faster |')
    print('| --- | ---: | ---: | ---: | ---: | ---: |')
    for model in models:
        for threads in map(int, args.threads.split(',')):
            for batch in batches:
                row = compare(args, model, threads, batch)
                print(f'| {row["network"]} | {threads} | {batch} | {row["bnrun"]["median_ms"] / batch:.2f} | '
                      f'{row["ort"]["median_ms"] / batch:.2f} | {ratio(row, "median_ms"):.2f} |', flush=True)


def print_ncnn(args, models):
    print('\n| network | threads | bnrun ms | ncnn ms | times faster |\n| --- | ---: | ---: | ---: | ---: |')
    for model in models:
        for threads in map(int, args.threads.split(',')):
            if name_of(model) not in NCNN:
                continue
            ours, theirs = [], []
            for _ in range(args.rounds):
                ours.append(measure_bnrun(with_shape(args, model), model, threads)['median_ms'])
                theirs.append(measure_ncnn(args, NCNN[name_of(model)], threads))
            a, b = statistics.median(ours), statistics.median(theirs)
            print(f'| {name_of(model)} | {threads} | {a:.2f} | {b:.2f} | {b / a:.2f} |', flush=True)


def svg(rows):
    """Bars of how many times faster, one for each thread count, a line where both are equal."""
    threads = sorted({r['threads'] for r in rows})
    names = list(dict.fromkeys(r['network'] for r in rows))
    colours = ('#2a6fbb', '#7fb2e5', '#c9dff4', '#e8c468')
    left, bar, gap, width, top = 150, 13, 9, 460, 46
    block = bar * len(threads) + gap
    most = max(1.2, *(ratio(r, 'median_ms') for r in rows))
    scale, height = width / most, top + block * len(names) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{height}" '
           'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="18" font-weight="bold">Times faster than ONNX Runtime</text>']
    for k, t in enumerate(threads):
        x = left + 110 * k
        out += [f'<rect x="{x}" y="27" width="11" height="11" fill="{colours[k % 4]}"/>',
                f'<text x="{x + 16}" y="37">{t} thread{"s" * (t > 1)}</text>']
    for i, name in enumerate(names):
        y = top + i * block
        out.append(f'<text x="{left - 8}" y="{y + bar * len(threads) / 2 + 4}" text-anchor="end">{name}</text>')
        for k, t in enumerate(threads):
            for r in rows:
                if r['network'] == name and r['threads'] == t:
                    v, at = ratio(r, 'median_ms'), y + k * bar
                    out += [f'<rect x="{left}" y="{at}" width="{v * scale:.1f}" height="{bar - 2}" '
                            f'fill="{colours[k % 4]}"/>',
                            f'<text x="{left + v * scale + 4:.1f}" y="{at + bar - 3}" font-size="10">{v:.2f}</text>']
    x = left + scale
    out += [f'<line x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{height - 24}" stroke="#444" '
            'stroke-dasharray="4 3"/>',
            f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" font-size="10">as fast</text>', '</svg>']
    return '\n'.join(out) + '\n'


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('bnrun')
    p.add_argument('models', nargs='+')
    p.add_argument('--threads', default='1,2')
    p.add_argument('--batches')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--iters', type=int, default=20)
    p.add_argument('--shape')
    p.add_argument('--export')
    p.add_argument('--svg')
    p.add_argument('--json')
    p.add_argument('--ort', default=os.environ.get('ORT_LIB'))
    p.add_argument('--ncnn')
    p.add_argument('--child', action='store_true')
    args = p.parse_args()
    if args.child:
        return ort_process(args)
    models = list(models_of(args))
    if not models:
        sys.exit('none of the networks is there: ' + ', '.join(TABLE))
    rows = []
    print(HEAD)
    for model in models:
        for threads in map(int, args.threads.split(',')):
            rows.append(compare(args, model, threads))
            print(line_of(rows[-1]), flush=True)
    print_means(rows)
    if args.svg and args.ort:
        with open(args.svg, 'w') as f:
            f.write(svg(rows))
    if args.json:
        with open(args.json, 'w') as f:
            json.dump(rows, f, indent=1)
    if args.batches:
        print_batches(args, models)
    if args.ncnn:
        print_ncnn(args, models)


main()
