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

# Indices into the table of functions of ONNX Runtime's C API, version 1.
CREATE_ENV, CREATE_SESSION, RUN, CREATE_OPTIONS, SET_INTRA, SET_INTER = 3, 7, 9, 10, 24, 25
INPUT_COUNT, OUTPUT_COUNT, INPUT_NAME, OUTPUT_NAME = 30, 31, 36, 37
CREATE_TENSOR, CREATE_CPU_MEMORY, DEFAULT_ALLOCATOR, RELEASE_STATUS, RELEASE_VALUE, ERROR_MESSAGE = 49, 69, 78, 93, 96, 2
FLOAT = 1


class Ort:
    """Just enough of ONNX Runtime's C API to time a network with one float input."""

    def __init__(self, path):
        lib = C.CDLL(path)
        lib.OrtGetApiBase.restype = C.POINTER(C.c_void_p)
        get_api = C.CFUNCTYPE(C.c_void_p, C.c_uint32)(lib.OrtGetApiBase()[0])
        self.table = C.cast(get_api(1), C.POINTER(C.c_void_p))
        self.env, self.memory, self.allocator = C.c_void_p(), C.c_void_p(), C.c_void_p()
        self.call(CREATE_ENV, C.c_int(4), C.c_char_p(b'bench'), C.byref(self.env))
        self.call(CREATE_CPU_MEMORY, C.c_int(1), C.c_int(0), C.byref(self.memory))
        self.call(DEFAULT_ALLOCATOR, C.byref(self.allocator))

    def function(self, index, result, *args):
        return C.CFUNCTYPE(result, *args)(self.table[index])

    def call(self, index, *args):
        types = [C.c_void_p if hasattr(a, '_obj') else type(a) for a in args]
        args = [C.cast(a, C.c_void_p) if hasattr(a, '_obj') else a for a in args]
        status = self.function(index, C.c_void_p, *types)(*args)
        if status:
            message = self.function(ERROR_MESSAGE, C.c_char_p, C.c_void_p)(status)
            sys.exit(f'ONNX Runtime: {message.decode(errors="replace")}')

    def load(self, model, threads):
        options, self.session = C.c_void_p(), C.c_void_p()
        self.call(CREATE_OPTIONS, C.byref(options))
        self.call(SET_INTRA, options, C.c_int(threads))
        self.call(SET_INTER, options, C.c_int(1))
        self.call(CREATE_SESSION, self.env, C.c_char_p(model.encode()), options, C.byref(self.session))

    def names(self, count, name):
        n = C.c_size_t()
        self.call(count, self.session, C.byref(n))
        found = [C.c_char_p() for _ in range(n.value)]
        for i, p in enumerate(found):
            self.call(name, self.session, C.c_size_t(i), self.allocator, C.byref(p))
        return (C.c_char_p * n.value)(*[p.value for p in found])

    def bind(self, data, dims):
        self.inputs, self.outputs = self.names(INPUT_COUNT, INPUT_NAME), self.names(OUTPUT_COUNT, OUTPUT_NAME)
        array = (C.c_int64 * len(dims))(*dims)
        self.value = C.c_void_p()
        self.call(CREATE_TENSOR, self.memory, C.cast(data, C.c_void_p), C.c_size_t(C.sizeof(data)),
                  C.cast(array, C.c_void_p), C.c_size_t(len(dims)), C.c_int(FLOAT), C.byref(self.value))

    def run(self):
        out = (C.c_void_p * len(self.outputs))()
        self.call(RUN, self.session, C.c_void_p(), C.cast(self.inputs, C.c_void_p),
                  C.cast(C.byref(self.value), C.c_void_p), C.c_size_t(1), C.cast(self.outputs, C.c_void_p),
                  C.c_size_t(len(self.outputs)), C.cast(out, C.c_void_p))
        release = self.function(RELEASE_VALUE, None, C.c_void_p)
        for v in out:
            release(v)


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
        return ort_process(args)
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
