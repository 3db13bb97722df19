#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check_includes.py: includes go downwards only, are rooted, and public headers stand alone.

The layers, lowest first; a file may include its own layer and those it lists.
"""
import os
import re
import sys

ALLOWED = {
    'public': set(),                                          # runtime/bnrun.h
    'base': {'public'},                                       # runtime/base
    'kernels': {'base', 'public'},                            # runtime/kernels
    'graph': {'base', 'public'},                              # graph
    'ops': {'graph', 'kernels', 'base', 'public'},            # runtime/ops
    'passes': {'graph', 'base', 'public'},                    # passes
    'proto': {'graph', 'base', 'public'},                     # proto
    'runtime': {'passes', 'proto', 'ops', 'kernels', 'graph', 'base', 'public'},  # runtime/*.c
    'tools': {'public', 'base'},                              # tools: only header-only helpers of base
}
BASE_FOR_TOOLS = {'runtime/base/checked.h', 'runtime/base/compiler.h'}
# The decoder of pictures knows nothing of operators: the program reads picture files with it.
OPS_FOR_TOOLS = {'runtime/ops/lib/image.h'}


def layer(path):
    if path == 'runtime/bnrun.h':
        return 'public'
    for prefix, name in (('runtime/base/', 'base'), ('runtime/kernels/', 'kernels'), ('runtime/ops/', 'ops'),
                         ('runtime/', 'runtime'), ('graph/', 'graph'), ('passes/', 'passes'),
                         ('proto/', 'proto'), ('tools/', 'tools')):
        if path.startswith(prefix):
            return name
    return None


def check(root, path):
    bad = []
    own = layer(path)
    with open(os.path.join(root, path), encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not m:
                continue
            target = m.group(1)
            if target == 'proto/onnx.pb-c.h' or target == 'proto/onnx_data.pb-c.h':
                their = 'proto'
            elif not os.path.exists(os.path.join(root, target)):
                bad.append(f'{path}:{number}: "{target}" is not a path from the top of the tree')
                continue
            else:
                their = layer(target)
            if own == 'tools' and target in OPS_FOR_TOOLS:
                continue
            if their != own and their not in ALLOWED[own]:
                bad.append(f'{path}:{number}: {own} must not include {their} ("{target}")')
            if own == 'tools' and their == 'base' and target not in BASE_FOR_TOOLS:
                bad.append(f'{path}:{number}: tools use bnrun.h, not "{target}"')
    return bad


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    files, bad = 0, []
    for top in ('proto', 'graph', 'passes', 'runtime', 'tools'):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(('.c', '.h', '.inc')):
                    files += 1
                    bad += check(root, os.path.relpath(os.path.join(folder, name), root))
    print('\n'.join(bad) or f'{files} files include downwards only')
    sys.exit(1 if bad or not files else 0)


main()
