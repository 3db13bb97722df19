#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schemas.py BNRUN: what bnrun implements, against the operator schemas that Debian's python3-onnx knows.

Every operator of ai.onnx, ai.onnx.ml and ai.onnx.preview.training in every version must be there, take as many
inputs and outputs, and every dtype that the schema allows for each input, with the exceptions below, which are
exact: one that is not needed any more fails. Also: runtime/ops/OPERATORS.md is what `bnrun ops --markdown` prints.
"""
import json
import os
import subprocess
import sys

from onnx import defs

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = f'{HERE}/../../runtime/ops/OPERATORS.md'

# (operator, version): why it is not implemented.
NOT_IMPLEMENTED = {}
NO_NUMBERS = ['bool', 'complex128', 'complex64', 'int16', 'int32', 'int64', 'int8', 'string', 'uint16', 'uint32', 'uint64',
              'uint8']
# (operator, version, input): dtypes that the schema allows and bnrun refuses.
REFUSED_TYPES = {
    # Nothing is to be derived by these.
    ('Gradient', 1, 0): NO_NUMBERS,
    # There is nothing between two strings, or between two grid points given by bools or integers.
    ('GridSample', 16, 0): ['complex128', 'complex64', 'string'],
    ('GridSample', 16, 1): NO_NUMBERS,
    # With the default of fmod, 0, inputs must be integers.
    **{('Mod', v, i): ['float16', 'float32', 'float64'] + ['bfloat16'] * (v == 13) for v in (10, 13) for i in (0, 1)},
    # Complex numbers have no order.
    ('Unique', 11, 0): ['complex128', 'complex64'],
}

NAMES = {'float': 'float32', 'double': 'float64'}


def dtypes(parameter):
    """The dtypes of a formal parameter that may be a tensor; sequences, maps and optionals are not looked at."""
    names = {t[len('tensor('):-1] for t in parameter.types if t.startswith('tensor(')}
    return {NAMES.get(n, n) for n in names}


def inputs_of(schema, ours):
    """(index, dtypes) of the schema's inputs; one of any number stands for all of its kind."""
    for i, parameter in enumerate(schema.inputs):
        if i < len(ours):
            yield i, dtypes(parameter)


def compare(schema, op, failures, seen):
    key = (schema.name, schema.since_version)
    version = next((v for v in op['versions'] if v['since'] == schema.since_version), None) if op else None
    if version is None:
        if key in NOT_IMPLEMENTED:
            seen.add(key)
        else:
            failures.append(f'{schema.domain or "ai.onnx"} {schema.name} of version {schema.since_version} is not '
                            'implemented')
        return
    if op['max_inputs'] is not None and op['max_inputs'] < schema.max_input:
        failures.append(f'{key}: takes {op["max_inputs"]} inputs, the schema up to {schema.max_input}')
    if op['max_outputs'] is not None and op['max_outputs'] < schema.max_output:
        failures.append(f'{key}: has {op["max_outputs"]} outputs, the schema up to {schema.max_output}')
    if op['min_inputs'] > schema.min_input:
        failures.append(f'{key}: needs {op["min_inputs"]} inputs, the schema {schema.min_input}')
    for i, wanted in inputs_of(schema, version['inputs']):
        refused = wanted - set(version['inputs'][i])
        expected = set(REFUSED_TYPES.get((*key, i), ()))
        if refused != expected:
            failures.append(f'{key} input {i}: refuses {sorted(refused)}, expected {sorted(expected)}')
        elif expected:
            seen.add((*key, i))


def main():
    bnrun = sys.argv[1]
    ops = json.loads(subprocess.run([bnrun, 'ops', '--json'], capture_output=True, check=True).stdout)['operators']
    ours = {(o['domain'], o['name']): o for o in ops}
    passed, failures, seen = 0, [], set()
    for schema in defs.get_all_schemas_with_history():
        if schema.support_level == defs.OpSchema.SupportType.EXPERIMENTAL:
            continue
        before = len(failures)
        compare(schema, ours.get((schema.domain or 'ai.onnx', schema.name)), failures, seen)
        passed += len(failures) == before
    for key in sorted({*NOT_IMPLEMENTED, *REFUSED_TYPES} - seen, key=str):
        failures.append(f'{key}: an exception that is not needed')
    table = subprocess.run([bnrun, 'ops', '--markdown'], capture_output=True, text=True, check=True).stdout
    with open(TABLE) as f:
        if f.read() == table:
            passed += 1
        else:
            failures.append('runtime/ops/OPERATORS.md is not what `bnrun ops --markdown` prints')
    for text in failures:
        print('FAIL', text)
    print(f'{passed} passed, {len(failures)} failed, 0 skipped')
    sys.exit(1 if failures else 0)


main()
