# SPDX-License-Identifier: Apache-2.0
"""Attention and rotary embeddings of ai.onnx 23 and later."""
import numpy as np

from differential.cases import BOOL, F32, I64, Case, cases


@cases('Attention', count=80, share=0.3)
def attention(r, op):
    batch, heads, group, q_len, kv_len, d, dv = (r.int(1, 2), r.int(1, 2), r.int(1, 2), r.int(1, 4), r.int(1, 5),
                                                 r.int(1, 4), r.int(1, 4))
    q_heads, attrs, past = heads * group, {}, r.int(1, 3) if r.chance(0.3) else 0
    if r.chance(0.5):
        q, k, v = (r.array([batch, h, n, w], scale=1) for h, n, w in
                   ((q_heads, q_len, d), (heads, kv_len, d), (heads, kv_len, dv)))
    else:
        q, k, v = (r.array([batch, n, h * w], scale=1) for h, n, w in
                   ((q_heads, q_len, d), (heads, kv_len, d), (heads, kv_len, dv)))
        attrs.update(q_num_heads=q_heads, kv_num_heads=heads)
    mask = None
    if r.chance(0.5):
        shape = r.pick([[q_len, kv_len + past], [1, 1, q_len, kv_len + past], [batch, q_heads, q_len, kv_len + past]])
        mask = r.array(shape, scale=1) if r.chance(0.6) else np.maximum(r.array(shape, BOOL), np.eye(
            q_len, kv_len + past, dtype=bool))
    many = [q, k, v, mask]
    if past:
        many += [r.array([batch, heads, past, d], scale=1), r.array([batch, heads, past, dv], scale=1)]
    if r.chance(0.3):
        attrs['is_causal'] = 1
    if r.chance(0.3):
        attrs['scale'] = 0.5
    if r.chance(0.3):
        attrs['softcap'] = 2.0
    return Case(op, many, attrs, opset=23, outputs=3 if past else 1, tolerance=1e-4, relative_to_largest=True)


@cases('RotaryEmbedding', count=40, share=0.3)
def rotary(r, op):
    batch, heads, n, half = r.int(1, 2), r.int(1, 3), r.int(1, 4), r.int(1, 3)
    attrs = {'interleaved': r.int(0, 1)} if r.chance(0.6) else {}
    if r.chance(0.5):
        x = r.array([batch, heads, n, 2 * half])
    else:
        x = r.array([batch, n, heads * 2 * half])
        attrs['num_heads'] = heads
    if r.chance(0.5):
        many = [x, r.array([8, half]), r.array([8, half]), r.indices([batch, n], 8, I64, 0)]
    else:
        many = [x, r.array([batch, n, half]), r.array([batch, n, half])]
    return Case(op, many, attrs, opset=23, tolerance=1e-4)
