#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""differential.py LIBBNRUN [OPTION...]: random one-node models, bnrun against ONNX Runtime.

The cases come from the functions in differential/*.py: shapes, attributes, dtypes, broadcasting, negative axes,
empty dims, each with its own fixed seed. bnrun runs them optimized and by its reference code. Where
ONNX Runtime gives a result, bnrun must give the same: dtype, shape, and values within the case's tolerance;
where it refuses a case (or bnrun was built
without the component that it needs), nothing is compared, but every function must have a share of cases that are.
differential/exceptions.py lists where the two differ and the specification is on our side.

  --ort FILE    libonnxruntime.so.1 (default: $ORT_LIB); the npm package onnxruntime-node holds one:
                npm install onnxruntime-node@1.30.0 --ignore-scripts
  --op NAME     only this operator (repeatable); --case N: only its N-th case, shown in full
  --cases N     per operator (default: what differential/*.py say, about 25)
  --seed N      other cases
  -v            one line per operator: cases, compared, why ONNX Runtime refused the others
Ends with "N passed, N failed, N skipped", counted in cases.
"""
import argparse
import collections
import faulthandler
import os
import pickle
import signal
import sys
import warnings

import numpy as np
from onnx import helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f'{HERE}/../lib']
import libbnrun
import ort
from differential import attention, control, elementwise, exceptions, indexing, ml, nn, quantization  # noqa: F401
from differential import microsoft, old, randoms, reduction, shape, signal_ops, text  # noqa: F401
from differential.cases import FUNCTIONS, Random

TIME_LIMIT = 20  # seconds a case


def model_of(case):
    """The serialized model, and the names and values of what are inputs of its graph."""
    names = [f'x{i}' if v is not None else '' for i, v in enumerate(case.inputs)]
    while names and not names[-1]:
        names.pop()
    outputs = [f'y{i}' if wanted else '' for i, wanted in enumerate(case.outputs)]
    node = helper.make_node(case.op, names, outputs, domain=case.domain, name=case.op.lower())
    node.attribute.extend(case.attributes())
    constant, graph_inputs, initializers = set(case.constants), [], []
    for i, (name, value) in enumerate(zip(names, case.inputs)):
        if not name:
            continue
        if i in constant:
            initializers.append(case.initializer(name, value))
        else:
            graph_inputs.append((name, value))
    graph = helper.make_graph(
        [node], 'g', [case.declare(name, value, open_dims=case.open_dims) for name, value in graph_inputs],
        [case.output(name) for name in outputs if name], initializers)
    imports = [helper.make_opsetid('', case.opset if not case.domain else 17)]
    if case.domain:
        imports.append(helper.make_opsetid(case.domain, case.opset))
    model = helper.make_model(graph, opset_imports=imports, ir_version=case.ir_version)
    return (model.SerializeToString(), [n for n, _ in graph_inputs], [v for _, v in graph_inputs],
            [n for n in outputs if n])


def number_of(v):
    return v.dtype if isinstance(v, libbnrun.Raw) else str(v.dtype)


def difference(got, want, case):
    """What differs, in words, or None."""
    if isinstance(want, list) or isinstance(got, list):
        if not isinstance(got, list) or not isinstance(want, list) or len(got) != len(want):
            return 'sequences of different lengths'
        return next((d for g, w in zip(got, want) if (d := difference(g, w, case))), None)
    if isinstance(want, libbnrun.Map) and isinstance(got, libbnrun.Map):
        got, want = got.sorted(), want.sorted()  # a map has no order
        return difference(got.keys, want.keys, case) or difference(got.values, want.values, case)
    if want is None or got is None:
        return None if want is got else 'one is absent'
    if number_of(got) != number_of(want):
        return f'dtype {number_of(got)}, expected {number_of(want)}'
    g, w = (v.bits if isinstance(v, libbnrun.Raw) else v for v in (got, want))
    if g.shape != w.shape:
        return f'shape {g.shape}, expected {w.shape}'
    if not case.values:
        return None
    if g.dtype.kind not in 'fc':
        same = g == w if not case.int_slack else np.abs(g.astype(np.int64) - w.astype(np.int64)) <= case.int_slack
        if np.all(same):
            return None
        at = tuple(int(k[0]) for k in np.nonzero(~np.atleast_1d(same)))
        return f'element {at} is {np.atleast_1d(g)[at]!r}, expected {np.atleast_1d(w)[at]!r}'
    rtol = case.tolerance * {2: 200, 4: 1, 8: 1}[g.dtype.itemsize if g.dtype.kind == 'f' else 4]
    wide = np.complex128 if g.dtype.kind == 'c' else np.float64
    g, w = np.atleast_1d(g).astype(wide), np.atleast_1d(w).astype(wide)
    finite = np.abs(w[np.isfinite(w)])
    atol = rtol * (finite.max() if finite.size and case.relative_to_largest else 1e-2)
    with np.errstate(all='ignore'):
        near = (g == w) | (np.isnan(g) & np.isnan(w)) | (np.abs(g - w) <= atol + rtol * np.abs(w))
    if near.all():
        return None
    at = tuple(int(k[0]) for k in np.nonzero(~near))
    return f'element {at} is {g[at]!r}, expected {w[at]!r} ({(~near).sum()} of {near.size} differ)'


def run_case(case, ours, theirs):
    """('same' | 'refused' | 'differs' | 'excepted', words)."""
    model, names, values, outputs = model_of(case)
    try:
        want = theirs.run(model, names, values, outputs)
    except ort.Error as e:
        return 'refused', str(e)
    for label, flags in (('', 0), (' (reference)', libbnrun.REFERENCE)):
        try:
            got = ours.run(model, values, flags)
            found = next((d for g, w in zip(got, want) if (d := difference(g, w, case))), None)
            text = found and f'{found}{label}'
        except libbnrun.Error as e:
            if 'built without' in str(e):
                return 'refused', f'bnrun: {e}'
            text = f'refused{label}: {e}'
        if text:
            reason = exceptions.reason(case, text)
            return ('excepted', reason) if reason else ('differs', text)
    return 'same', ''


def make_case(function, op, seed, index):
    name = f'{op}/{seed}/{index}'
    case = function(Random(name), op)
    case.label = f'{op} case {index}'
    return case


def child(function, op, args, ours, theirs, pipe):
    faulthandler.enable()  # says which of the two libraries crashed
    wanted = [args.case] if args.case is not None else range(args.cases or function.cases)
    for index in wanted:
        pipe.write(pickle.dumps(('begin', index)))
        pipe.flush()
        signal.alarm(TIME_LIMIT)
        case = make_case(function, op, args.seed, index)
        verdict, text = run_case(case, ours, theirs)
        if args.case is not None or (verdict == 'differs' and args.v):
            text += f'\n  {case}'
        pipe.write(pickle.dumps((verdict, index, text)))
        pipe.flush()


# Each function runs in a process of its own, so that a crash of either side costs one function and is
# named with its case.
def start(function, op, args, ours, theirs):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        code = 1
        try:
            with os.fdopen(write, 'wb') as pipe:
                child(function, op, args, ours, theirs, pipe)
            code = 0
        except BaseException:  # a bug in the test itself: shown, and counted as a failure
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(write)
    return pid, os.fdopen(read, 'rb'), function, op


def collect(job, args):
    pid, pipe, function, op = job
    counts, reasons, running = collections.Counter(), collections.Counter(), None
    while True:
        try:
            record = pickle.load(pipe)
        except EOFError:
            break
        if record[0] == 'begin':
            running = record[1]
            continue
        verdict, index, text = record
        running = None
        counts[verdict] += 1
        if verdict == 'differs':
            print(f'FAIL {op} case {index}: {text}')
        elif args.case is not None:
            print(f'{verdict} {op} case {index}: {text}')
        elif verdict in ('refused', 'excepted'):
            reasons[f'{verdict}: {text.splitlines()[0][:150]}'] += 1
    pipe.close()
    _, status = os.waitpid(pid, 0)
    if status:
        counts['differs'] += 1
        what = signal.Signals(status & 127).name if status & 127 else 'an exception'
        print(f'FAIL {op} case {running}: ended by {what}')
    total = sum(counts.values())
    compared = total - counts['refused']
    if args.case is None and compared < total * function.share:
        counts['differs'] += 1
        print(f'FAIL {op}: only {compared} of {total} cases are accepted by ONNX Runtime')
        args.v = args.v or 1
    if args.v:
        print(f'{op}: {total} cases, {compared} compared')
        for text, n in reasons.most_common(8):
            print(f'    {n} {text}')
    return counts


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('library')
    p.add_argument('--ort', default=ort.find())
    p.add_argument('--op', action='append')
    p.add_argument('--case', type=int)
    p.add_argument('--cases', type=int)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('-v', action='count')
    args = p.parse_args()
    if not args.ort:
        print('skip differential: ONNX Runtime is not installed (ORT_LIB names no file)')
        print('0 passed, 0 failed, 1 skipped')
        return
    warnings.simplefilter('ignore')
    ours, theirs = libbnrun.Library(args.library), ort.Library(args.ort)
    todo = [(f, op) for op, f in FUNCTIONS if not args.op or op in args.op]
    totals, jobs = collections.Counter(), []
    while todo or jobs:
        while todo and len(jobs) < 2:
            function, op = todo.pop(0)
            sys.stdout.flush()
            jobs.append(start(function, op, args, ours, theirs))
        totals += collect(jobs.pop(0), args)
    sys.stdout.flush()
    compared = totals['same'] + totals['differs'] + totals['excepted']
    print(f'{len(FUNCTIONS)} operators, {compared} cases compared, {totals["excepted"]} of them in the list of '
          f'exceptions; {totals["refused"]} cases that ONNX Runtime refuses')
    print(f'{totals["same"] + totals["excepted"]} passed, {totals["differs"]} failed, 0 skipped')
    sys.exit(1 if totals['differs'] else 0)


main()
