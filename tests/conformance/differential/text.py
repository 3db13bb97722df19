# SPDX-License-Identifier: Apache-2.0
"""Operators on strings."""
import numpy as np

from differential.cases import I32, I64, TEXT, Case, cases


@cases('StringConcat')
def concat(r, op):
    a, b = r.broadcast_shapes()
    return Case(op, [r.array(a, TEXT), r.array(b, TEXT)], opset=20)


@cases('StringSplit')
def split(r, op):
    words = [b'a b c', b'', b'  x  y ', b'a,b,,c', b'hello', b',', b'gr\xc3\xbcn tee']
    x = np.array([r.pick(words) for _ in range(r.int(1, 4))], object)
    attrs = {}
    if r.chance(0.6):
        attrs['delimiter'] = r.pick([',', ' ', 'b', ''])
    if r.chance(0.4):
        attrs['maxsplit'] = r.int(1, 3)
    return Case(op, [x], attrs, opset=20, outputs=2)


@cases('StringNormalizer', share=0)  # ONNX Runtime wants a locale for most of them
def normalizer(r, op):
    n = r.int(1, 5)
    x = r.array([n] if r.chance(0.6) else [1, n], TEXT)
    attrs = {'case_change_action': r.pick(['LOWER', 'UPPER', 'NONE'])}
    if r.chance(0.5):
        attrs['stopwords'] = ['a', 'abc']
        attrs['is_case_sensitive'] = r.int(0, 1)
    return Case(op, [x], attrs, opset=10)


@cases('TfIdfVectorizer')
def tfidf(r, op):
    x = r.array(r.pick([[r.int(3, 9)], [r.int(1, 3), r.int(3, 8)]]), r.pick([I32, I64]))
    pool = [2, 3, 5, 4, 5, 6, 7, 8, 6, 7]
    low = r.int(1, 2)
    attrs = {'mode': r.pick(['TF', 'IDF', 'TFIDF']), 'min_gram_length': low, 'max_gram_length': r.int(low, 2),
             'max_skip_count': r.int(0, 3), 'ngram_counts': [0, 4], 'ngram_indexes': [0, 1, 2, 3, 4, 5, 6],
             'pool_int64s': pool, 'weights': [0.5, 1.0, 2.0, 1.5, 3.0, 0.25, 1.0]}
    return Case(op, [np.abs(x)], attrs, opset=9)


@cases('RegexFullMatch')
def regex(r, op):
    words = [b'', b'a', b'abc', b'aab', b'gr\xc3\xbcn', b'2024-05', b'x_1', b'A\nB']
    pattern = r.pick(['a+b?', '[a-z]*', r'\\d{4}-\\d\\d', '(abc|x_1)', '.*', 'gr.n', r'\\w+', '', '[^a]+', '(?i)ABC'])
    x = np.array([r.pick(words) for _ in range(r.int(1, 5))], object)
    return Case(op, [x], {'pattern': pattern}, opset=20)
