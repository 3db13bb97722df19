#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""test_cli.py BNRUN: the program as a user meets it: results, files, errors, exit statuses.

Every error must be one line on stderr that starts with "bnrun: ", with the right exit status, and leave no
file behind. Run it on a sanitizer build too: a report there is more than one line and fails the check.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'data', 'mnist')
MODEL = f'{DATA}/model.onnx'
BNRUN = os.path.abspath(sys.argv[1])
USAGE, BAD = 2, 3
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def bnrun(*args, **kw):
    return subprocess.run([BNRUN, *map(str, args)], capture_output=True, text=True, errors='replace', timeout=300, **kw)


def check(name, ok, detail=''):
    counts['passed' if ok else 'failed'] += 1
    if not ok:
        print(f'FAIL {name}: {detail}')


def good(name, *args):
    run = bnrun(*args)
    check(name, run.returncode == 0 and 'Sanitizer' not in run.stderr, f'{run.returncode}: {run.stderr}{run.stdout[-300:]}')
    return run.stdout


def bad(name, status, words, *args, **kw):
    """The command fails with this status and one line that holds all the words."""
    run = bnrun(*args, **kw)
    line = run.stderr
    ok = (run.returncode == status and line.count('\n') == 1 and line.startswith('bnrun: ') and
          all(str(w) in line for w in words))
    check(name, ok, f'exit {run.returncode} (expected {status}), stderr {line[:600]!r}, expected words {words}')


def digit(d):
    return f'{DATA}/digit_{d}_input.bin'


def check_basics():
    for flag in ('--help', '-h'):
        check(f'bnrun {flag}', 'usage: bnrun MODEL' in good(flag, flag))
    check('--version', good('--version', '--version').startswith('bnrun 0.'))
    for verb in ('run', 'fold', 'calibrate', 'verify', 'bench', 'compile', 'test', 'inspect'):
        out = good(f'{verb} --help', verb, '--help')
        check(f'{verb} --help text', f'usage: bnrun {verb}' in out and '--help' in out)
        if verb != 'test':
            bad(f'{verb} --nonsense', USAGE, ['--nonsense'], verb, '--nonsense', MODEL)
        check(f'{verb} without arguments', bnrun(verb).returncode == USAGE)
    run = bnrun()
    check('no arguments', run.returncode == USAGE and 'usage' in run.stderr)
    bad('a verb that is none', BAD, ['nonsense'], 'nonsense')
    bad('--threads x', USAGE, ['threads', 'x'], MODEL, digit(1), '--threads', 'x')
    bad('--threads -1', USAGE, ['threads', '-1'], MODEL, digit(1), '--threads', '-1')
    bad('--cpu nonsense', USAGE, ['nonsense'], MODEL, digit(1), '--cpu', 'nonsense')
    bad('--passes nonsense', USAGE, ['nonsense'], MODEL, digit(1), '--passes', 'nonsense')
    bad('missing option value', USAGE, ['--threads'], MODEL, digit(1), '--threads')


def check_run(folder):
    for d in range(10):
        out = json.loads(good(f'digit {d}', MODEL, digit(d), '--json'))
        scores = out['outputs'][0]['values'][0]
        check(f'digit {d} recognised', int(np.argmax(scores)) == d and abs(sum(scores) - 1) < 1e-5, str(scores))
    by_name = good('NAME=FILE', 'run', MODEL, f'image={digit(3)}', '--json')
    check('NAME=FILE gives the same', by_name == good('FILE', MODEL, digit(3), '--json'))
    good('table', MODEL, digit(3))
    with open(f'{folder}/labels.txt', 'w') as f:
        f.writelines(f'digit {i}\n' for i in range(10))
    top = good('--top', MODEL, digit(7), '--top', 2, '--labels', f'{folder}/labels.txt')
    check('--top shows the label', 'digit 7' in top.splitlines()[1] and len(top.splitlines()) == 3, top)
    run = bnrun(MODEL)
    check('random input is told', run.returncode == 0 and 'random' in run.stderr and "'image'" in run.stderr)
    check('random input is reproducible', run.stdout == bnrun(MODEL).stdout)
    wide = json.loads(good('--shape', MODEL, '--shape', 'image=3x1x28x28', '--json'))
    check('--shape gives the batch', wide['outputs'][0]['shape'] == [3, 10])
    wide = json.loads(good('--shape by symbol', MODEL, '--shape', 'N=4', '--json'))
    check('--shape by symbol gives the batch', wide['outputs'][0]['shape'] == [4, 10])
    with open(f'{folder}/three.bin', 'wb') as f:
        f.writelines(open(digit(d), 'rb').read() for d in (1, 2, 3))
    batch = json.loads(good('open dim from the file size', MODEL, f'{folder}/three.bin', '--json'))
    check('open dim from the file size: result', np.argmax(batch['outputs'][0]['values'], 1).tolist() == [1, 2, 3])
    trace = f'{folder}/trace.json'
    good('--profile', MODEL, digit(1), '--profile', trace)
    check('--profile is JSON', len(json.load(open(trace))) > 3)
    for way in (['--no-fold'], ['--reference'], ['--passes', 'eliminate_identity'], ['--stop-after', 1]):
        out = json.loads(good(str(way), MODEL, digit(4), '--json', *way))
        check(f'{way} recognises', int(np.argmax(out['outputs'][0]['values'][0])) == 4)
    check('--print-after', 'Conv' in bnrun(MODEL, digit(4), '--print-after', 'all').stderr)
    env = dict(os.environ, BNRUN_THREADS='1', BNRUN_CPU='generic')
    check('BNRUN_ variables', json.loads(bnrun('bench', MODEL, '--json', '-n', 2, env=env).stdout)['cpu'] == 'generic')


def check_files(folder):
    expected = np.array(json.loads(bnrun(MODEL, digit(5), '--json').stdout)['outputs'][0]['values'], np.float32)
    for ext in ('bin', 'npy', 'pb'):
        path = f'{folder}/out.{ext}'
        good(f'-o .{ext}', MODEL, digit(5), '-o', path)
        if ext == 'bin':
            got = np.fromfile(path, np.float32).reshape(1, 10)
        elif ext == 'npy':
            got = np.load(path)
        else:
            got = numpy_helper.to_array(onnx.load_tensor(path))
        check(f'-o .{ext} content', got.dtype == np.float32 and np.array_equal(got, expected))
    good('-o folder', MODEL, digit(5), '-o', f'{folder}/outs')
    check('-o folder content', np.array_equal(np.load(f'{folder}/outs/probabilities.npy'), expected))
    good('-o folder --format', MODEL, digit(5), '-o', f'{folder}/outs', '--format', 'bin')
    check('-o folder --format content', os.path.getsize(f'{folder}/outs/probabilities.bin') == 40)
    pixels = np.fromfile(digit(5), np.float32).reshape(1, 1, 28, 28)
    np.save(f'{folder}/in.npy', pixels)
    np.savez(f'{folder}/in.npz', image=pixels)
    onnx.save_tensor(numpy_helper.from_array(pixels), f'{folder}/in.pb')
    for name in ('in.npy', 'in.npz', 'in.pb'):
        out = json.loads(good(name, MODEL, f'{folder}/{name}', '--json'))
        check(f'{name} result', np.array_equal(np.array(out['outputs'][0]['values'], np.float32), expected))


def check_bad_inputs(folder):
    with open(f'{folder}/short.bin', 'wb') as f:
        f.write(b'\0' * 3000)
    bad('.bin of a wrong size', BAD, ['short.bin', 3000, 3136, "'image'"], MODEL, f'{folder}/short.bin')
    open(f'{folder}/empty.bin', 'w').close()
    bad('empty .bin', BAD, ['empty.bin', '0 bytes'], MODEL, f'{folder}/empty.bin')
    bad('missing input file', BAD, ['nowhere.bin', 'No such file'], MODEL, f'{folder}/nowhere.bin')
    bad('a folder as input', BAD, ['folder.bin'], MODEL, os.makedirs(f'{folder}/folder.bin') or f'{folder}/folder.bin')
    bad('unknown extension', USAGE, ['.txt'], MODEL, f'{folder}/x.txt')
    bad('unknown input name', USAGE, ['picture'], MODEL, f'picture={digit(1)}')
    bad('input given twice', USAGE, ['twice'], MODEL, f'image={digit(1)}', f'image={digit(1)}')
    bad('too many inputs', USAGE, ['more input files'], MODEL, digit(1), digit(1))
    bad('--shape of a wrong rank', USAGE, ['rank'], MODEL, '--shape', 'image=28x28')
    bad('--shape against the model', USAGE, ['28', '29'], MODEL, '--shape', 'image=1x1x28x29')
    bad('--shape of an unknown name', USAGE, ['banana'], MODEL, '--shape', 'banana=3')
    bad('--shape without =', USAGE, ['--shape'], MODEL, '--shape', '3')
    bad('--shape too large', BAD, ['image'], MODEL, '--shape', 'image=9000000000000000000x1x28x28')
    np.save(f'{folder}/f64.npy', np.zeros((1, 1, 28, 28)))
    np.save(f'{folder}/rank.npy', np.zeros((28, 28), np.float32))
    np.save(f'{folder}/dims.npy', np.zeros((1, 1, 28, 27), np.float32))
    bad('.npy of a wrong dtype', BAD, ['image', 'float64', 'float32'], MODEL, f'{folder}/f64.npy')
    bad('.npy of a wrong rank', BAD, ['image', '[28,28]', '[N,1,28,28]'], MODEL, f'{folder}/rank.npy')
    bad('.npy of wrong dims', BAD, ['image', '27', '28'], MODEL, f'{folder}/dims.npy')
    whole = open(f'{folder}/rank.npy', 'rb').read()
    for n in (0, 5, 11, 60, 127, len(whole) - 1):
        with open(f'{folder}/cut.npy', 'wb') as f:
            f.write(whole[:n])
        bad(f'.npy cut to {n} bytes', BAD, ['cut.npy'], MODEL, f'{folder}/cut.npy')
    for junk in (b'(99999999999, 99999999999)', b'(-1, 28)', b'(28, 28', b'28'):
        with open(f'{folder}/junk.npy', 'wb') as f:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + junk + b', }\n'
            f.write(b'\x93NUMPY\x01\x00' + bytes([len(header), 0]) + header)
        bad(f'.npy with shape {junk}', BAD, ['junk.npy'], MODEL, f'{folder}/junk.npy')
    for name in ('junk.pb', 'junk.npz'):
        with open(f'{folder}/{name}', 'wb') as f:
            f.write(b'\xff' * 50)
        bad(name, BAD, [name], MODEL, f'{folder}/{name}')


def make_model(path, nodes, opset=13, **kw):
    x = helper.make_tensor_value_info('x', kw.get('dtype', TensorProto.FLOAT), kw.get('shape', [1, 4]))
    y = helper.make_tensor_value_info('y', TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, 'g', [x], [y], kw.get('initializers', []))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
    model.ir_version = 8
    with open(path, 'wb') as f:
        f.write(model.SerializeToString())
    return path


def external(location, **entries):
    t = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for k, v in dict(location=location, **entries).items():
        t.external_data.add(key=k, value=str(v))
    return t


# Operators, opsets and dtypes that are not there, in the main graph, in a branch and in a function: all at once.
def check_what_cannot_run(folder):
    path = f'{folder}/cannot.onnx'
    branch = helper.make_graph([helper.make_node('Bar', ['k'], ['b'], name='in branch'),
                                helper.make_node('Sqrt', ['k'], ['c'], name='wrong dtype in branch')],
                               'branch', [], [helper.make_empty_tensor_value_info('c')],
                               [helper.make_tensor('k', TensorProto.INT8, [1], [1])])
    function = helper.make_function('mine', 'F', ['a'], ['b'], [
        helper.make_node('Not', ['a'], ['t'], name='wrong dtype in function'),
        helper.make_node('Baz', ['t'], ['b'], name='in function')], [helper.make_opsetid('', 13)])
    nodes = [helper.make_node('Foo', ['x'], ['a'], name='first'),
             helper.make_node('HardSwish', ['x'], ['h'], name='newer'),
             helper.make_node('If', ['q'], ['i'], name='if', then_branch=branch, else_branch=branch),
             helper.make_node('F', ['x'], ['f'], name='call', domain='mine'),
             helper.make_node('And', ['x', 'q'], ['y'], name='wrong dtype')]
    graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [4]),
                                           helper.make_tensor_value_info('q', TensorProto.BOOL, [])],
                              [helper.make_empty_tensor_value_info('y')])
    model = helper.make_model(graph, functions=[function], opset_imports=[
        helper.make_opsetid('', 13), helper.make_opsetid('mine', 1)])
    model.ir_version = 8
    with open(path, 'wb') as f:
        f.write(model.SerializeToString())
    words = ['first', 'Foo', 'newer', 'HardSwish', 'in branch', 'Bar', 'wrong dtype in branch', 'int8', 'in function',
             'Baz', 'wrong dtype in function', 'wrong dtype', 'And', 'float32']
    bad('what cannot run is named, all of it', BAD, words, 'bench', path)
    run = bnrun('ops', '--missing', path)
    check('ops --missing', run.returncode == BAD and all(w in run.stdout for w in words) and
          run.stdout.count('\n') == 9, run.stdout)
    listed = json.loads(bnrun('ops', '--missing', path, '--json').stdout)['missing']
    check('ops --missing --json', len(listed) == 9)
    run = bnrun('ops', '--missing', MODEL)
    check('ops --missing of a model that runs', run.returncode == 0 and run.stdout == 'nothing is missing\n')


def check_ops():
    ops = {(o['domain'], o['name']): o for o in json.loads(bnrun('ops', '--json').stdout)['operators']}
    relu = ops['ai.onnx', 'Relu']
    check('ops --json', len(ops) > 200 and [v['since'] for v in relu['versions']] == [1, 6, 13, 14] and
          relu['versions'][3]['inputs'][0] and 'float32' in relu['versions'][3]['inputs'][0] and
          'string' not in relu['versions'][3]['inputs'][0])
    lines = bnrun('ops').stdout.splitlines()
    check('ops', len(lines) == len(ops) and any(line.startswith('Relu 1 6 13 14 (') for line in lines))
    bad('ops with an argument', USAGE, ['model'], 'ops', 'model')


def check_bad_models(folder):
    path = f'{folder}/bad.onnx'
    bad('missing model', BAD, ['nowhere.onnx', 'No such file'], f'{folder}/nowhere.onnx')
    bad('a folder as model', BAD, [folder], folder)
    open(path, 'w').close()
    bad('empty model', BAD, ['bad.onnx'], path)
    whole = open(MODEL, 'rb').read()
    rng = random.Random(1)
    for n in sorted(rng.sample(range(1, len(whole)), 25)):
        with open(path, 'wb') as f:
            f.write(whole[:n])
        bad(f'model cut to {n} bytes', BAD, ['bad.onnx'], path, digit(1))
    for n in (1, 100, 10000):
        with open(path, 'wb') as f:
            f.write(rng.randbytes(n))
        bad(f'{n} random bytes', BAD, ['bad.onnx'], path)
    for i in range(40):  # damaged in a few bytes: any clean result is fine
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.randrange(len(damaged) if i % 2 else 4000)] = rng.randrange(256)
        with open(path, 'wb') as f:
            f.write(damaged)
        run = bnrun(path, digit(1))
        check(f'damaged model {i}', run.returncode in (0, BAD, USAGE) and run.stderr.count('\n') <= 1 and
              'Sanitizer' not in run.stderr, f'{run.returncode} {run.stderr[:500]}')
    relu = [helper.make_node('Relu', ['x'], ['y'], name='r')]
    two = [helper.make_node('Foo', ['x'], ['a'], name='first'), helper.make_node('Bar', ['a'], ['y'], name='second')]
    bad('missing operators', BAD, ['first', 'Foo', 'second', 'Bar', '13'], make_model(path, two))
    check('inspect lists missing operators', json.loads(bnrun('inspect', '--json', path).stdout)['missing'].__len__() == 2)
    check_what_cannot_run(folder)
    other = [helper.make_node('Relu', ['x'], ['y'], name='r', domain='my.own')]
    bad('unknown domain', BAD, ['my.own'], make_model(path, other))
    bad('unknown opset', BAD, ['999'], make_model(path, relu, opset=999))
    bad('wrong dtype', BAD, ['r', 'Relu'], make_model(path, relu, dtype=TensorProto.STRING), f'{folder}/x.pb')
    bad('undefined input', BAD, ['nothing'], make_model(path, [helper.make_node('Relu', ['nothing'], ['y'], name='r')]))
    bad('cycle', BAD, ['bad.onnx'], make_model(path, [helper.make_node('Add', ['x', 'y'], ['y'], name='loop')]))
    add = [helper.make_node('Add', ['x', 'w'], ['y'], name='a')]
    for name, tensor, words in (
            ('missing external file', external('none.bin'), ['none.bin', "'w'"]),
            ('external path with ..', external('../secret.bin'), ['..', "'w'"]),
            ('absolute external path', external('/etc/passwd'), ['/etc/passwd', "'w'"]),
            ('external file too short', external('four.bin', length=16), ['four.bin', "'w'"]),
            ('external offset too large', external('four.bin', offset=10**15), ['four.bin', "'w'"]),
            ('external link out of the folder', external('link.bin'), ['link.bin', "'w'"]),
            ('external fifo', external('fifo.bin'), ['fifo.bin', "'w'"])):
        bad(name, BAD, words, make_model(path, add, initializers=[tensor]))
    huge = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[2**40, 2**40])
    bad('tensor whose dims overflow', BAD, ["'w'"], make_model(path, add, initializers=[huge]))
    lots = TensorProto(name='w', data_type=TensorProto.FLOAT, dims=[2**36])
    bad('tensor without its data', BAD, ["'w'"], make_model(path, add, initializers=[lots]))
    unfit = numpy_helper.from_array(np.zeros(5, np.float32), 'w')
    bad('dims that do not broadcast', BAD, ["'a'", '4', '5'], make_model(path, add, initializers=[unfit]))


def check_fold(folder):
    out, again = f'{folder}/folded.onnx', f'{folder}/again.onnx'
    report = json.loads(good('fold --json', 'fold', MODEL, out, '--json'))['batch_norms']
    check('fold --json report', len(report) == 7 and all(b['verdict'] == 'folded' and b['into'] for b in report), str(report))
    model = onnx.load(out)
    onnx.checker.check_model(model)
    check('folded file has no BN', not any(n.op_type == 'BatchNormalization' for n in model.graph.node))
    original = onnx.load(MODEL)
    check('folded file keeps interface and opset', [i.name for i in model.graph.input] == ['image'] and
          [o.name for o in model.graph.output] == ['probabilities'] and
          model.opset_import[0].version == original.opset_import[0].version)
    good('fold twice', 'fold', out, again)
    check('fold twice changes nothing', open(out, 'rb').read() == open(again, 'rb').read())
    explained = good('fold --explain', 'fold', MODEL, again, '--explain')
    check('fold --explain names every BN', all(b['name'] in explained for b in report))
    name = report[0]['name']
    kept = json.loads(good('fold --keep', 'fold', MODEL, again, '--keep', name, '--json'))['batch_norms']
    check('fold --keep keeps one', [b['name'] for b in kept if b['verdict'] == 'kept'] == [name], str(kept))
    check('fold --keep in the file', sum(n.op_type == 'BatchNormalization' for n in onnx.load(again).graph.node) == 1)
    good('verify', 'verify', MODEL, digit(8))
    proof = json.loads(good('verify --json', 'verify', MODEL, '--json'))
    check('verify --json passed', proof['passed'] and proof['outputs'][0]['folded_double']['max_abs'] < 1e-5)
    info = json.loads(good('inspect --json', 'inspect', MODEL, '--json'))
    check('inspect --json', info['inputs'][0]['shape'] == ['N', 1, 28, 28] and not info['missing'] and
          info['operators']['BatchNormalization'] == 7 and len(info['batch_norms']) == 7)
    for flag, word in ((None, 'folded'), ('--dot', 'digraph'), ('--text', 'BatchNormalization')):
        out = good(f'inspect {flag}', 'inspect', MODEL, *([flag] if flag else []))
        check(f'inspect {flag} text', word in out)
    figures = json.loads(good('bench --json', 'bench', MODEL, '--json', '-n', 3))
    check('bench --json', {'load_ms', 'min_ms', 'median_ms', 'p95_ms', 'peak_rss_mib', 'threads', 'cpu'} <= figures.keys())
    figures = json.loads(good('bench --steps', 'bench', MODEL, '--json', '-n', 3, '--steps', '--batch', 4, '--spin'))
    check('bench --steps lists them', len(figures['by_step']) == figures['steps'] and
          any(s['gflops'] for s in figures['by_step']) and figures['batch'] == 4, str(figures)[:300])
    bad('bench --batch 0', USAGE, ['--batch'], 'bench', MODEL, '--batch', 0)
    compiled = f'{folder}/m.bnr'
    good('compile', 'compile', MODEL, '-o', compiled)
    for options in ([], ['--no-fold'], ['--threads', '2']):
        a, b = (json.loads(good(f'run {m} {options}', 'run', m, digit(1), '--json', *options))
                for m in (MODEL, compiled))
        check(f'compiled: the same scores {options}', a['outputs'] == b['outputs'])
    good('compiled: verify', 'verify', compiled, digit(1))
    bad('compile without -o', USAGE, ['-o'], 'compile', MODEL)
    with open(compiled, 'r+b') as f:
        f.seek(200)
        f.write(b'\xff')
    bad('a damaged compiled model', BAD, ['m.bnr', 'damaged'], 'run', compiled, digit(1))


# Operators of com.microsoft: those that have a BN beside them are spelled out, so that it folds; others stay.
def check_fold_fused(folder):
    path, out = f'{folder}/fused.onnx', f'{folder}/fused_folded.onnx'
    rng = np.random.default_rng(3)

    def init(name, *dims, low=-1.):
        return numpy_helper.from_array(rng.uniform(low, 1, dims).astype(np.float32), name)

    def fused(op, x, y, *weights, **attributes):
        return helper.make_node(op, [x, *weights], [y], y, domain='com.microsoft', **attributes)

    def bn(x, y, parameters):
        return helper.make_node('BatchNormalization', [x, *(f'{parameters}{k}' for k in 'gbmv')], [y], y)
    nodes = [bn('x', 'bn1', 'p'), fused('FusedConv', 'bn1', 'conv1', 'w1', activation='Relu'),
             fused('FusedConv', 'conv1', 'conv2', 'w2', activation='LeakyRelu', activation_params=[0.1]),
             fused('FusedConv', 'conv2', 'conv3', 'w2', 'c', activation='Relu'),
             helper.make_node('Sigmoid', ['conv3'], ['s'], 's'),
             helper.make_node('Reshape', ['s', 'shape'], ['r'], 'r'),
             fused('FusedMatMul', 'r', 'product', 'w3', alpha=0.5), bn('product', 'bn2', 'q'),
             fused('FusedGemm', 'bn2', 'y', 'w4', 'c', activation='Tanh')]
    initializers = [init('w1', 4, 3, 3, 3), init('w2', 4, 4, 1, 1), init('w3', 36, 5), init('w4', 5, 4), init('c', 4),
                    numpy_helper.from_array(np.array([2, 36], np.int64), 'shape')]
    for prefix, n in (('p', 3), ('q', 5)):
        initializers += [init(f'{prefix}{k}', n, low=0.2) for k in 'gbmv']
    x, y = helper.make_tensor_value_info('x', 1, [2, 3, 5, 5]), helper.make_tensor_value_info('y', 1, [2, 4])
    graph = helper.make_graph(nodes, 'g', [x], [y], initializers)
    imports = [helper.make_opsetid('', 15), helper.make_opsetid('com.microsoft', 1)]
    with open(path, 'wb') as f:
        f.write(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())
    for options in ([], ['--only-bn']):
        doc = json.loads(good(f'fold of fused operators {options}', 'fold', path, out, '--json', *options))
        verdicts = [b['verdict'] for b in doc['batch_norms']]
        operators = [n.op_type for n in onnx.load(out).graph.node]
        check(f'BNs go into fused operators {options}', verdicts == ['folded', 'folded'] and
              [o for o in operators if o.startswith('Fused')] == ['FusedConv', 'FusedConv'], f'{verdicts} {operators}')
        results = []
        for file in (path, out):
            good(f'run {file}', file, '--reference', '-o', f'{folder}/y.npy')
            results.append(np.load(f'{folder}/y.npy'))
        check(f'the folded file gives the same {options}', np.allclose(*results, rtol=1e-4, atol=1e-5), str(results))
        good('fold again', 'fold', out, f'{folder}/again.onnx', *options)
        check(f'fold twice changes nothing {options}', open(out, 'rb').read() == open(f'{folder}/again.onnx', 'rb').read())
    good('fold --keep', 'fold', path, out, '--only-bn', '--keep', 'bn1,bn2')
    check('kept BNs spell nothing out', open(out, 'rb').read() == open(path, 'rb').read())


def check_strange_names(folder):
    """Names are any bytes in a file; tables and JSON show them all the same."""
    path, data = f'{folder}/strange.onnx', open(MODEL, 'rb').read()
    open(path, 'wb').write(data.replace(b'bn1', b'b\xff1'))
    for args in (['inspect', path], ['inspect', path, '--json'], ['fold', path, f'{folder}/f.onnx', '--explain']):
        check(f'{args[0]} of a name that is no UTF-8', 'b?1' in good(args[0], *args))
    good('verify of a name that is no UTF-8', 'verify', path, '--layers')
    good('bench of a name that is no UTF-8', 'bench', path, '--iters', 1, '--steps')


def check_proofs():
    doc = json.loads(good('verify --train', 'verify', MODEL, '--train', '--json', '--shape', 'N=8'))
    check('verify --train passes on all 7', doc['passed'] and len(doc['batch_norms']) == 7 and
          all(b['trained'] for b in doc['batch_norms']), str(doc))
    check('verify --train says it', '7 of 7' in good('verify --train', 'verify', MODEL, '--shape', 'N=8', '--train'))
    check('verify --train says why not', 'one value per channel' in good('verify --train of one', 'verify', MODEL, digit(3), '--train'))
    doc = json.loads(good('verify --layers', 'verify', MODEL, digit(3), '--layers', '--json'))
    layers = doc['batch_norms']
    check('verify --layers', doc['passed'] and doc['first_diverging'] is None and len(layers) == 7 and
          all(b['compared'] and b['output']['passed'] for b in layers), str(doc))
    check('verify --layers has bounds', all(0 < b['bound'] < 1e-3 for b in layers), str([b.get('bound') for b in layers]))
    # So strict that rounding is out of tolerance: the unfolded result is no excuse then.
    run = bnrun('verify', MODEL, digit(3), '--layers', '--tolerance', '1e-12')
    check('verify --layers finds the first', run.returncode == 1 and 'first diverging tensor: ' in run.stdout and
          'stem' in run.stdout.split('first diverging tensor: ')[-1].splitlines()[0], run.stdout[-900:])
    check('verify --train out of tolerance', bnrun('verify', MODEL, digit(3), '--train', '--tolerance', '1e-12').returncode == 1)
    run = bnrun('verify', MODEL, digit(3), '--no-fold', '--tolerance', '1e-12')
    check('verify says when both are off', run.returncode == 1 and 'NOT verified: rounding alone' in run.stdout, run.stdout)
    # With random data the program chooses a batch that lets all layers take part; in a file of one it cannot.
    check('verify --train chooses a batch', '7 of 7' in good('verify --train alone', 'verify', MODEL, '--train'))
    good('verify --random-scale', 'verify', MODEL, '--random-scale', 30)
    bad('verify --random-scale 0', USAGE, ['--random-scale'], 'verify', MODEL, '--random-scale', 0)
    bad('verify --train --layers', USAGE, ['--train', '--layers'], 'verify', MODEL, '--train', '--layers')


def write_pnm(path, pixels):
    """uint8 [H, W] or [H, W, 3] as a picture that needs no library."""
    with open(path, 'wb') as f:
        f.write(b'P%d %d %d 255\n' % (5 if pixels.ndim == 2 else 6, pixels.shape[1], pixels.shape[0]))
        f.write(pixels.tobytes())


def triangle(n, size, begin=0., span=None):
    """[size, n]: each row averages by a triangle over the old or the new pixel's width, the wider one."""
    span = span or float(n)
    ratio = span / size
    centers = begin + (np.arange(size) + .5) * ratio
    w = np.maximum(0, 1 - np.abs(np.arange(n)[None] + .5 - centers[:, None]) / max(ratio, 1))
    return w / w.sum(1, keepdims=True)


def check_pictures(folder):
    rng = np.random.default_rng(9)
    pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
    write_pnm(f'{folder}/p.ppm', pixels)

    def taken(dims, *options, dtype=TensorProto.FLOAT):
        graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'g',
                                  [helper.make_tensor_value_info('x', dtype, dims)],
                                  [helper.make_tensor_value_info('y', dtype, dims)])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), f'{folder}/id.onnx')
        good(f'picture {dims} {options}', 'run', f'{folder}/id.onnx', f'{folder}/p.ppm', '-o', f'{folder}/y.npy', *options)
        return np.load(f'{folder}/y.npy')

    plain = pixels.transpose(2, 0, 1)[None] / 255.
    mean, std = np.array([.4, .5, .6])[:, None, None], np.array([.2, .3, .4])[:, None, None]
    expected = [
        ('own size', taken(['N', 3, 'H', 'W']), plain),
        ('channels last', taken([1, 20, 30, 3]), plain.transpose(0, 2, 3, 1)),
        ('--layout', taken(['N', 'H', 'W', 'C'], '--layout', 'NHWC'), plain.transpose(0, 2, 3, 1)),
        ('rank 3', taken([3, 20, 30]), plain[0]),
        ('--bgr', taken([1, 3, 20, 30], '--bgr'), plain[:, ::-1]),
        ('--mean --std', taken([1, 3, 20, 30], '--mean', '0.4,0.5,0.6', '--std', '0.2,0.3,0.4'), (plain - mean) / std),
        ('--scale', taken([1, 3, 20, 30], '--scale', 1, '--mean', 127.5), plain * 255 - 127.5),
        ('gray', taken([1, 1, 20, 30]), np.rint(pixels @ [.299, .587, .114])[None, None] / 255),
        ('uint8', taken([1, 3, 20, 30], dtype=TensorProto.UINT8), plain * 255),
        ('smaller', taken([1, 3, 7, 11]), triangle(20, 7) @ plain @ triangle(30, 11).T),
        ('larger', taken([1, 3, 45, 64]), triangle(20, 45) @ plain @ triangle(30, 64).T),
        ('--crop', taken([1, 3, 10, 10], '--crop'), triangle(20, 10) @ plain @ triangle(30, 10, 5., 20.).T),
    ]
    for name, seen, want in expected:
        allowed = 1.01 / 255 if name == 'gray' else 2e-4 if name == '--scale' else 2e-6
        check(f'picture: {name}', seen.shape == want.shape and np.abs(seen - want).max() <= allowed,
              f'{seen.shape} {want.shape} {np.abs(seen - want).max() if seen.shape == want.shape else ""}')
    model = f'{folder}/id.onnx'
    bad('picture with 5 channels of mean', USAGE, ['--mean', 'three'], model, f'{folder}/p.ppm', '--mean', '1,2,3,4')
    bad('--std 0', USAGE, ['--std'], model, f'{folder}/p.ppm', '--std', '0')
    bad('--layout', USAGE, ['NCHW'], model, f'{folder}/p.ppm', '--layout', 'NCWH')
    with open(f'{folder}/broken.png', 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + bytes(40))
    bad('broken picture', BAD, ['broken.png'], model, f'{folder}/broken.png')
    check_picture_folder(folder)


def check_picture_folder(folder):
    """Pictures in folders give the statistics that the same numbers in a file do."""
    with np.load(f'{DATA}/digits.npz') as data:
        images = data['images'][:24]
    os.makedirs(f'{folder}/pictures/more')
    for i, image in enumerate(images):
        write_pnm(f'{folder}/pictures/{"more/" if i >= 12 else ""}{i:02d}.pgm', image)
    with open(f'{folder}/pictures/notes.txt', 'w') as f:
        f.write('no picture')
    np.save(f'{folder}/digits.npy', (images[:, None] / np.float32(255)).astype(np.float32))
    for source, out in (('pictures', 'a.onnx'), ('digits.npy', 'b.onnx')):
        doc = json.loads(good(f'calibrate on {source}', 'calibrate', MODEL, f'{folder}/{source}', '-o', f'{folder}/{out}',
                              '--batch', 8, '--json'))
        check(f'calibrate on {source} takes all', doc['samples'] == 24 and doc['batches'] == 3, str(doc))
    a, b = ({t.name: numpy_helper.to_array(t) for t in onnx.load(f'{folder}/{n}').graph.initializer} for n in ('a.onnx', 'b.onnx'))
    check('pictures calibrate like numbers', a.keys() == b.keys() and all(np.allclose(a[k], b[k], 1e-4, 1e-5) for k in a))
    os.makedirs(f'{folder}/no_pictures')
    bad('folder without pictures', BAD, ['no picture'], 'calibrate', MODEL, f'{folder}/no_pictures', '-o', f'{folder}/c.onnx')
    bad('pictures beside numbers', USAGE, ['pictures'], 'calibrate', MODEL, f'{folder}/digits.npy', f'{folder}/pictures',
        '-o', f'{folder}/c.onnx')


def big_weights_model(path):
    """Conv with weights of 36 MB that a node makes, then one with weights in the file and a BN behind; an Identity,
    a dead initializer and arithmetic that has nothing to do with the BN."""
    rng = np.random.default_rng(5)
    def init(name, *dims, low=-1.):
        return numpy_helper.from_array(rng.uniform(low, 1, dims).astype(np.float32), name)
    nodes = [
        helper.make_node('ConstantOfShape', ['wshape'], ['w1'], 'make_w1',
                         value=numpy_helper.from_array(np.full(1, 1e-3, np.float32))),
        helper.make_node('Conv', ['x', 'w1'], ['c1'], 'big'),
        helper.make_node('Identity', ['c1'], ['i1'], 'same'),
        helper.make_node('Conv', ['i1', 'w2'], ['c2'], 'small'),
        helper.make_node('BatchNormalization', ['c2', 'g', 'b', 'm', 'v'], ['n2'], 'bn'),
        helper.make_node('Conv', ['n2', 'w3'], ['c3'], 'last', pads=[1, 1, 1, 1]),
        helper.make_node('Mul', ['c3', 'two'], ['y'], 'times_two'),
    ]
    inits = [numpy_helper.from_array(np.array([3000, 3, 32, 32], np.int64), 'wshape'), init('w2', 4, 3000, 1, 1),
             init('g', 4), init('b', 4), init('m', 4), init('v', 4, low=.5), init('w3', 2, 4, 3, 3),
             init('unused', 7), numpy_helper.from_array(np.float32(2), 'two')]
    graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 33, 33])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 2, 2, 2])], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, {'owner': 'somebody'})
    onnx.save(model, path)
    return model


def check_fold_options(folder):
    path, out = f'{folder}/made.onnx', f'{folder}/made_folded.onnx'
    model = big_weights_model(path)
    good('fold leaves weights made by nodes', 'fold', path, out)
    check('fold keeps the file small', os.path.getsize(out) < 200000, f'{os.path.getsize(out)} bytes')
    folded = onnx.load(out)
    onnx.checker.check_model(folded)
    check('fold folds beside it', [n.op_type for n in folded.graph.node if n.op_type in ('BatchNormalization', 'Mul')] == [])
    good('folded again', 'fold', out, f'{folder}/made_again.onnx')
    check('fold twice with made weights', open(out, 'rb').read() == open(f'{folder}/made_again.onnx', 'rb').read())
    good('folded file verifies', 'verify', path)

    doc = json.loads(good('fold --only-bn', 'fold', path, out, '--only-bn', '--json'))
    check('fold --only-bn folds it', [(b['verdict'], b['into']) for b in doc['batch_norms']] == [('folded', 'small')], str(doc))
    check('fold --json bound', 0 < doc['batch_norms'][0]['error_bound'] < 1, str(doc))
    only = onnx.load(out)
    onnx.checker.check_model(only)
    before = {n.name: n for n in model.graph.node}
    after = {n.name: n for n in only.graph.node}
    check('fold --only-bn keeps all other nodes', list(after) == ['make_w1', 'big', 'same', 'small', 'last', 'times_two'] and
          all(after[k] == before[k] for k in ('make_w1', 'big', 'same', 'last', 'times_two')), str(list(after)))
    left = {i.name: i for i in only.graph.initializer}
    kept = {i.name: i for i in model.graph.initializer}
    check('fold --only-bn keeps other constants', all(left.get(k) == kept[k] for k in ('wshape', 'w3', 'unused', 'two')), str(list(left)))
    check('fold --only-bn drops what it replaced', not {'g', 'b', 'm', 'v', 'w2'} & set(left), str(list(left)))
    check('fold keeps metadata', [(p.key, p.value) for p in only.metadata_props] == [('owner', 'somebody')])

    good('fold --only-bn --keep', 'fold', path, out, '--only-bn', '--keep', 'bn')
    check('fold --only-bn of nothing changes no byte', open(out, 'rb').read() == open(path, 'rb').read())

    doc = json.loads(good('fold --keep-all', 'fold', path, out, '--keep-all', '--json'))
    check('fold --keep-all', [b['verdict'] for b in doc['batch_norms']] == ['kept'] and
          'BatchNormalization' in [n.op_type for n in onnx.load(out).graph.node], str(doc))

    good('fold --keep-stats', 'fold', path, out, '--keep-stats')
    props = {p.key: p.value for p in onnx.load(out).metadata_props}
    kept_bn = json.loads(props.get('bnrun.bn.0', '{}'))
    same = all(np.array_equal(np.array(kept_bn.get(key, []), np.float32), numpy_helper.to_array(kept[name]))
               for key, name in (('gamma', 'g'), ('beta', 'b'), ('mean', 'm'), ('var', 'v')))
    check('fold --keep-stats', same and kept_bn['name'] == 'bn' and kept_bn['verdict'] == 'folded' and
          abs(kept_bn['epsilon'] - 1e-5) < 1e-9 and props['owner'] == 'somebody', str(props)[:500])


def accuracy(model, images, labels, folder):
    np.save(f'{folder}/test.npy', images)
    good('run on test digits', model, f'{folder}/test.npy', '-o', f'{folder}/scores.npy')
    return 100 * float((np.load(f'{folder}/scores.npy').argmax(1) == labels).mean())


def check_calibrate(folder):
    with np.load(f'{DATA}/digits.npz') as data:
        images = data['images'].reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
        labels = data['labels']
    model = onnx.load(MODEL)
    rng = np.random.default_rng(11)
    bns = [n for n in model.graph.node if n.op_type == 'BatchNormalization']
    by_name = {i.name: i for i in model.graph.initializer}
    for n in bns:
        for index, (low, high) in ((3, (-3, 3)), (4, (.05, 20))):
            old = by_name[n.input[index]]
            values = numpy_helper.to_array(old)
            change = rng.uniform(low, high, values.shape).astype(np.float32)
            old.CopyFrom(numpy_helper.from_array(values + change if index == 3 else values * change, old.name))
    damaged, out = f'{folder}/damaged.onnx', f'{folder}/calibrated.onnx'
    onnx.save(model, damaged)
    np.save(f'{folder}/unlabelled.npy', images[:300])
    images, labels = images[300:2300], labels[300:2300]
    base = accuracy(MODEL, images, labels, folder)
    worse = accuracy(damaged, images, labels, folder)
    check('damaged statistics cost accuracy', worse < base - 20, f'{base} -> {worse}')
    for extra in ([], ['--fold'], ['--ema', '0.5', '--batch', '100']):
        name = 'calibrate ' + ' '.join(extra)
        doc = json.loads(good(name, 'calibrate', damaged, f'{folder}/unlabelled.npy', '-o', out, '--batch', '100', '--json', *extra))
        check(f'{name} report', doc['batches'] == 3 and len(doc['batch_norms']) == 7 and
              all(b['calibrated'] for b in doc['batch_norms']), str(doc))
        better = accuracy(out, images, labels, folder)
        check(f'{name} restores accuracy', better >= base - .5, f'{base} -> {worse} -> {better}')
        made = onnx.load(out)
        onnx.checker.check_model(made)
        count = sum(n.op_type == 'BatchNormalization' for n in made.graph.node)
        check(f'{name} writes', count == (0 if '--fold' in extra else 7), str(count))
        if not extra:  # nothing but means and variances has changed, and their names have not
            check(f'{name} nodes', [n.SerializeToString() for n in made.graph.node] == [n.SerializeToString() for n in model.graph.node])
            statistics = {i for n in bns for i in n.input[3:5]}
            after = {i.name: i for i in made.graph.initializer}
            check(f'{name} weights', set(after) == set(by_name) and
                  all((after[k] == by_name[k]) == (k not in statistics) for k in by_name))
    # The formula, on a layer that reads the input itself: one BN, two batches of unlike size.
    x = rng.normal(3, 2, (7, 2, 5)).astype(np.float32)
    inits = [numpy_helper.from_array(np.full(2, v, np.float32), k) for k, v in (('g', 1), ('b', 0), ('m', 9), ('v', 9))]
    graph = helper.make_graph([helper.make_node('BatchNormalization', ['x', 'g', 'b', 'm', 'v'], ['y'], 'bn')], 'g',
                              [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 2, 5])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 2, 5])], inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), f'{folder}/one.onnx')
    x.tofile(f'{folder}/x.bin')
    parts, weights = [x[:4], x[4:]], [4 / 7, 3 / 7]
    for extra, shares in ([], weights), (['--ema', '0.9'], [.9, .1]):
        good('calibrate one layer', 'calibrate', f'{folder}/one.onnx', f'{folder}/x.bin', '-o', out, '--batch', 4, *extra)
        after = {i.name: numpy_helper.to_array(i) for i in onnx.load(out).graph.initializer}
        mean = sum(s * p.mean((0, 2), dtype=np.float64) for s, p in zip(shares, parts))
        var = sum(s * p.astype(np.float64).var((0, 2), ddof=1) for s, p in zip(shares, parts))
        check(f'calibrate by the formula {extra}', np.allclose(after['m'], mean, rtol=1e-5) and np.allclose(after['v'], var, rtol=1e-5),
              f'{after} {mean} {var}')
    bad('calibrate without -o', USAGE, ['-o'], 'calibrate', MODEL, f'{folder}/unlabelled.npy')
    bad('calibrate --ema 1', USAGE, ['--ema'], 'calibrate', MODEL, f'{folder}/unlabelled.npy', '-o', out, '--ema', '1')
    bad('calibrate: missing data', BAD, ['none.npy'], 'calibrate', MODEL, f'{folder}/none.npy', '-o', out)
    np.save(f'{folder}/flat.npy', np.zeros((4, 3, 2), np.float32))
    bad('calibrate: wrong dims', BAD, ['image'], 'calibrate', MODEL, f'{folder}/flat.npy', '-o', out)
    np.save(f'{folder}/nan.npy', np.full((4, 1, 28, 28), np.nan, np.float32))
    bad('calibrate: NaN', BAD, ['channel', 'finite'], 'calibrate', MODEL, f'{folder}/nan.npy', '-o', f'{folder}/nan.onnx')
    check('calibrate leaves nothing behind', not os.path.exists(f'{folder}/nan.onnx'))


def check_outputs_that_fail(folder):
    before = sorted(os.listdir(folder))
    bad('-o on a full disk', BAD, ['/dev/full'], MODEL, digit(1), '-o', '/dev/full', '--format', 'npy')
    bad('-o .bin on a full disk', BAD, ['/dev/full'], MODEL, digit(1), '-o', '/dev/full', '--format', 'bin')
    bad('-o .pb on a full disk', BAD, ['/dev/full'], MODEL, digit(1), '-o', '/dev/full', '--format', 'pb')
    bad('fold on a full disk', BAD, ['/dev/full'], 'fold', MODEL, '/dev/full')
    bad('--profile on a full disk', BAD, ['/dev/full'], MODEL, digit(1), '--profile', '/dev/full')
    bad('-o into a missing folder', BAD, ['missing'], MODEL, digit(1), '-o', f'{folder}/missing/out.npy')
    bad('fold into a missing folder', BAD, ['missing'], 'fold', MODEL, f'{folder}/missing/out.onnx')
    bad('fold onto a folder', BAD, [folder], 'fold', MODEL, folder)
    with open('/dev/full', 'w') as full:
        for args in ([MODEL, digit(1)], [MODEL, digit(1), '--json'], ['inspect', MODEL]):
            run = subprocess.run([BNRUN, *args], stdout=full, stderr=subprocess.PIPE, text=True)
            check(f'standard output on a full disk {args[0] == "inspect"}', run.returncode == BAD and
                  run.stderr.count('\n') == 1, f'{run.returncode} {run.stderr}')
    check('nothing left behind', sorted(os.listdir(folder)) == before, str(os.listdir(folder)))


def check_test_verb(folder):
    out = good('test', 'test', DATA)
    check('test closing line', out.splitlines()[-1] == '1 passed, 0 failed, 0 skipped', out)
    shutil.copytree(DATA, f'{folder}/wrong')
    expected = onnx.load_tensor(f'{DATA}/test_data_set_0/output_0.pb')
    values = numpy_helper.to_array(expected).copy()
    values[3, 3] += .01
    onnx.save_tensor(numpy_helper.from_array(values, 'probabilities'), f'{folder}/wrong/test_data_set_0/output_0.pb')
    os.makedirs(f'{folder}/nothing')
    shutil.copy(MODEL, f'{folder}/nothing/model.onnx')
    run = bnrun('test', f'{folder}/wrong', DATA, f'{folder}/nothing', f'{folder}/absent', '-v')
    lines = run.stdout.splitlines()
    check('test exit status', run.returncode == 1, run.stdout)
    check('test verdicts', [w.split()[0] for w in lines[:4]] == ['fail', 'pass', 'skip', 'fail'] and
          lines[-1] == '1 passed, 2 failed, 1 skipped', run.stdout)
    check('test says where', '1 of 160 elements' in lines[0] and '33' in lines[0], lines[0])
    doc = json.loads(bnrun('test', '--json', f'{folder}/wrong', DATA).stdout)
    check('test --json', [r['verdict'] for r in doc['results']] == ['fail', 'pass'] and doc['failed'] == 1)


def main():
    with tempfile.TemporaryDirectory() as outer:
        folder = f'{outer}/work'
        os.makedirs(folder)
        with open(f'{outer}/secret.bin', 'wb') as f:
            f.write(b'\0' * 16)
        with open(f'{folder}/four.bin', 'wb') as f:
            f.write(b'\0' * 4)
        os.symlink('../secret.bin', f'{folder}/link.bin')
        os.mkfifo(f'{folder}/fifo.bin')
        onnx.save_tensor(numpy_helper.from_array(np.zeros((1, 4), np.float32)), f'{folder}/x.pb')
        check_basics()
        check_run(folder)
        check_files(folder)
        check_bad_inputs(folder)
        check_bad_models(folder)
        check_ops()
        check_fold(folder)
        check_fold_fused(folder)
        check_strange_names(folder)
        check_proofs()
        check_fold_options(folder)
        check_calibrate(folder)
        check_pictures(folder)
        check_test_verb(folder)
        check_outputs_that_fail(folder)
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**counts))
    sys.exit(1 if counts['failed'] else 0)


main()
