# SPDX-License-Identifier: Apache-2.0
"""Fourier transforms and windows."""
import numpy as np

from differential.cases import F32, F64, I32, I64, Case, cases


@cases('DFT', count=40)
def dft(r, op):
    x = r.array([r.int(1, 2), *[r.int(1, 9) for _ in range(r.int(1, 2))], r.int(1, 2)], r.pick([F32, F64]))
    opset, attrs, axis = r.pick([17, 20]), {}, r.int(1, x.ndim - 2)
    if r.chance(0.5):
        attrs['inverse'] = r.int(0, 1)
    if not attrs.get('inverse') and x.shape[-1] == 1 and r.chance(0.5):
        attrs['onesided'] = 1
    many = [x, np.array(r.int(1, 12), I64) if r.chance(0.4) else None]
    if opset == 17:
        attrs['axis'] = axis
    else:
        many.append(np.array(axis, I64))
    return Case(op, many, attrs, opset=opset, tolerance=1e-4, relative_to_largest=True)


@cases('STFT')
def stft(r, op):
    length, frame = r.int(12, 24), r.int(4, 8)
    many = [r.array([r.int(1, 2), length, 1], F32), np.array(r.int(1, 5), I64), r.positive([frame], F32),
            np.array(frame, I64)]
    return Case(op, many, {'onesided': r.int(0, 1)} if r.chance(0.6) else {}, opset=17, tolerance=1e-4,
                relative_to_largest=True)


@cases('HannWindow', 'HammingWindow', 'BlackmanWindow')
def windows(r, op):
    attrs = {'periodic': r.int(0, 1)} if r.chance(0.6) else {}
    if r.chance(0.3):
        attrs['output_datatype'] = r.pick([1, 11])
    return Case(op, [np.array(r.int(2, 20), r.pick([I32, I64]))], attrs, opset=17, tolerance=1e-4)


@cases('MelWeightMatrix')
def mel(r, op):
    many = [np.array(r.int(2, 8), I64), np.array(r.pick([16, 32]), I64), np.array(8000, I64),
            np.array(r.int(0, 200), F32), np.array(r.int(2000, 4000), F32)]
    return Case(op, many, opset=17, tolerance=1e-4)
