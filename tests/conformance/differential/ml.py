# SPDX-License-Identifier: Apache-2.0
"""Operators of ai.onnx.ml."""
import numpy as np
from onnx import TensorProto, helper

from differential.cases import F32, F64, I32, I64, TEXT, Case, cases
from libbnrun import Map

ML = 'ai.onnx.ml'


@cases('Binarizer', 'Scaler', 'Normalizer', 'Imputer', 'ArrayFeatureExtractor')
def numbers(r, op):
    # Normalizer MAX is by the text, max(X), where ONNX's reference implementation takes magnitudes.
    x = r.array([r.int(1, 4), r.int(1, 5)], F32)
    c = x.shape[1]
    more = []
    attrs = {'Binarizer': lambda: {'threshold': 0.5},
             'Scaler': lambda: {'offset': r.array([c]).tolist(), 'scale': r.array([c]).tolist()},
             'Normalizer': lambda: {'norm': r.pick(['MAX', 'L1', 'L2'])},
             'Imputer': lambda: {'imputed_value_floats': r.array([r.pick([1, c])]).tolist(),
                                 'replaced_value_float': float('nan')},
             'ArrayFeatureExtractor': lambda: {}}[op]()
    if op == 'Imputer':
        x = np.where(r.array(x.shape, np.bool_), np.float32('nan'), x)
    if op == 'ArrayFeatureExtractor':
        more = [r.indices([r.int(1, 4)], c, I64, 0)]
    return Case(op, [x, *more], attrs, opset=1, domain=ML)


@cases('LabelEncoder')
def label_encoder(r, op):
    kind = r.pick(['strings', 'int64s', 'floats'])
    keys = {'strings': ['a', 'abc', 'B'], 'int64s': [1, 2, 3], 'floats': [1.0, 2.0, 3.0]}[kind]
    to = r.pick(['strings', 'int64s', 'floats'])
    values = {'strings': ['x', 'y', 'z'], 'int64s': [7, 8, 9], 'floats': [0.5, 1.5, 2.5]}[to]
    x = r.array(r.shape(1, 2), {'strings': TEXT, 'int64s': I64, 'floats': F32}[kind])
    return Case(op, [np.round(x) if kind == 'floats' else x], {f'keys_{kind}': keys, f'values_{to}': values},
                opset=r.pick([2, 3, 4]), domain=ML)


@cases('OneHotEncoder')
def one_hot_encoder(r, op):
    if r.chance(0.5):
        x, attrs = r.array(r.shape(1, 2), TEXT), {'cats_strings': ['a', 'abc', 'B', 'zz top', '', 'gr\u00fcn']}
    else:
        x, attrs = r.indices(r.shape(1, 2), 4, I64, 0), {'cats_int64s': [0, 1, 2, 3]}
    return Case(op, [x], {**attrs, 'zeros': 1}, opset=1, domain=ML)


@cases('LinearRegressor', 'LinearClassifier', count=40)
def linear(r, op):
    n, c, k = r.int(1, 4), r.int(1, 5), r.int(1, 4)
    x = r.array([n, c])
    if op == 'LinearRegressor':
        attrs = {'coefficients': r.array([k * c]).tolist(), 'intercepts': r.array([k]).tolist(), 'targets': k}
        return Case(op, [x], attrs, opset=1, domain=ML, tolerance=1e-4, relative_to_largest=True)
    k = max(k, 2)
    attrs = {'coefficients': r.array([k * c], scale=0.3).tolist(), 'intercepts': r.array([k]).tolist(), 'multi_class': 0,
             'post_transform': r.pick(['NONE', 'SOFTMAX', 'LOGISTIC'])}
    attrs.update({'classlabels_ints': list(range(k))} if r.chance(0.5) else
                 {'classlabels_strings': [f'c{i}' for i in range(k)]})
    return Case(op, [x], attrs, opset=1, domain=ML, outputs=2, tolerance=1e-4, relative_to_largest=True)


def trees(r, features, targets, count, every):
    """Attributes of a forest of full binary trees of depth 2; every: leaves vote for all targets."""
    nodes = {k: [] for k in ('treeids', 'nodeids', 'featureids', 'values', 'modes', 'truenodeids', 'falsenodeids',
                             'missing_value_tracks_true')}
    leaves = {k: [] for k in ('treeids', 'nodeids', 'ids', 'weights')}
    mode = r.pick(['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GT', 'BRANCH_GTE'])
    for t in range(count):
        for n in range(7):
            leaf = n >= 3
            for k, v in (('treeids', t), ('nodeids', n), ('featureids', 0 if leaf else r.int(0, features - 1)),
                         ('values', 0.0 if leaf else float(r.int(-3, 3))), ('modes', 'LEAF' if leaf else mode),
                         ('truenodeids', 0 if leaf else 2 * n + 1), ('falsenodeids', 0 if leaf else 2 * n + 2),
                         ('missing_value_tracks_true', 0 if leaf else r.int(0, 1))):
                nodes[k].append(v)
            if leaf:
                # ONNX Runtime never chooses a class that no leaf has voted for.
                for target in range(targets) if every else [r.int(0, targets - 1)]:
                    for k, v in (('treeids', t), ('nodeids', n), ('ids', target), ('weights', float(r.array([])))):
                        leaves[k].append(v)
    return {f'nodes_{k}': v for k, v in nodes.items()}, leaves


@cases('TreeEnsembleRegressor', 'TreeEnsembleClassifier', count=40)
def forest(r, op):
    n, c, k = r.int(1, 5), r.int(1, 4), r.int(2, 4)
    classifier = op == 'TreeEnsembleClassifier'
    k = max(k, 3) if classifier else k
    nodes, leaves = trees(r, c, k, r.int(1, 4), classifier)
    x = np.round(r.array([n, c]))
    if not classifier:
        attrs = {**nodes, **{f'target_{a}': v for a, v in leaves.items()}, 'n_targets': k,
                 'aggregate_function': r.pick(['SUM', 'AVERAGE', 'MIN', 'MAX'])}
        if r.chance(0.5):
            attrs['base_values'] = r.array([k]).tolist()
        return Case(op, [x], attrs, opset=r.pick([1, 3]), domain=ML, tolerance=1e-4)
    attrs = {**nodes, **{f'class_{a}': v for a, v in leaves.items()},
             'post_transform': r.pick(['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO'])}
    attrs.update({'classlabels_int64s': list(range(k))} if r.chance(0.5) else
                 {'classlabels_strings': [f'c{i}' for i in range(k)]})
    return Case(op, [x], attrs, opset=r.pick([1, 3]), domain=ML, outputs=2, tolerance=1e-4)


@cases('SVMRegressor')
def svm(r, op):
    n, c, k = r.int(1, 4), r.int(1, 4), r.int(1, 4)
    attrs = {'kernel_type': r.pick(['LINEAR', 'POLY', 'RBF', 'SIGMOID']), 'kernel_params': [0.5, 1.0, 2.0],
             'support_vectors': r.array([k * c], scale=1).tolist(), 'coefficients': r.array([k]).tolist(),
             'n_supports': k, 'rho': [0.25]}
    return Case(op, [r.array([n, c], scale=1)], attrs, opset=1, domain=ML, tolerance=1e-4, relative_to_largest=True)


@cases('SVMClassifier', count=40)
def svm_classifier(r, op):
    n, c, k = r.int(1, 4), r.int(1, 4), r.int(2, 4)
    per_class = [r.int(1, 3) for _ in range(k)]
    total, pairs = sum(per_class), k * (k - 1) // 2
    attrs = {'kernel_type': r.pick(['LINEAR', 'POLY', 'RBF', 'SIGMOID']), 'kernel_params': [0.5, 1.0, 2.0],
             'support_vectors': r.array([total * c], scale=1).tolist(),
             'coefficients': r.array([(k - 1) * total]).tolist(), 'vectors_per_class': per_class,
             'rho': r.array([pairs]).tolist()}
    if r.chance(0.4):
        attrs.update(prob_a=(-np.abs(r.array([pairs])) - 0.1).tolist(), prob_b=r.array([pairs]).tolist())
    attrs.update({'classlabels_ints': list(range(k))} if r.chance(0.5) else
                 {'classlabels_strings': [f'c{i}' for i in range(k)]})
    return Case(op, [r.array([n, c], scale=1)], attrs, opset=1, domain=ML, outputs=2, tolerance=1e-4,
                relative_to_largest=True)


@cases('TreeEnsemble', count=40)
def tree_ensemble(r, op):
    kind, c, k, count = r.pick([F32, F64]), r.int(1, 4), r.int(1, 3), r.int(1, 3)
    number = {F32: TensorProto.FLOAT, F64: TensorProto.DOUBLE}[kind]
    # Each tree is a root with two nodes below it, and four leaves.
    nodes = {'featureids': [], 'truenodeids': [], 'trueleafs': [], 'falsenodeids': [], 'falseleafs': []}
    for t in range(count):
        nodes['featureids'] += [r.int(0, c - 1) for _ in range(3)]
        nodes['truenodeids'] += [3 * t + 1, 4 * t, 4 * t + 2]
        nodes['falsenodeids'] += [3 * t + 2, 4 * t + 1, 4 * t + 3]
        nodes['trueleafs'] += [0, 1, 1]
        nodes['falseleafs'] += [0, 1, 1]

    def tensor(name, number, values):
        return helper.make_tensor(name, number, [len(values)], values)
    attrs = {f'nodes_{name}': v for name, v in nodes.items()}
    attrs.update(nodes_modes=tensor('m', TensorProto.UINT8, [r.pick([0, 1, 2, 3])] * (3 * count)),
                 nodes_splits=tensor('s', number, [float(r.int(-3, 3)) for _ in range(3 * count)]),
                 tree_roots=[3 * t for t in range(count)], n_targets=k,
                 leaf_targetids=[r.int(0, k - 1) for _ in range(4 * count)],
                 leaf_weights=tensor('w', number, r.array([4 * count]).tolist()),
                 aggregate_function=r.pick([0, 1, 2, 3]), post_transform=0)
    return Case(op, [np.round(r.array([r.int(1, 5), c], kind))], attrs, opset=5, domain=ML, tolerance=1e-4)


@cases('CategoryMapper')
def category_mapper(r, op):
    texts = ['a', 'abc', 'B', 'zz top']
    attrs = {'cats_strings': texts, 'cats_int64s': [3, 1, 7, 5], 'default_string': 'none', 'default_int64': -9}
    return Case(op, [r.array(r.shape(1, 3), TEXT) if r.chance(0.5) else r.indices(r.shape(1, 3), 9, I64, 0)], attrs,
                opset=1, domain=ML)


@cases('FeatureVectorizer')
def feature_vectorizer(r, op):
    rows, kind = r.int(1, 3), r.pick([F32, F64, I32, I64])
    many = [r.array([rows, r.int(1, 3)], kind) for _ in range(r.int(1, 3))]
    return Case(op, many, {'inputdimensions': [x.shape[1] for x in many]}, opset=1, domain=ML)


@cases('ZipMap')
def zip_map(r, op):
    c = r.int(1, 4)
    attrs = {'classlabels_int64s': [7 * i for i in range(c)]} if r.chance(0.5) else {
        'classlabels_strings': [f'c{i}' for i in range(c)]}
    return Case(op, [r.array([c] if r.chance(0.2) else [r.int(1, 3), c])], attrs, opset=1, domain=ML)


def some_texts(r, most):
    return np.array([b'a', b'abc', b'B', b'zz top', b''][:r.int(1, most)], object)


@cases('DictVectorizer')
def dict_vectorizer(r, op):
    if r.chance(0.5):
        keys, attrs = some_texts(r, 5), {'string_vocabulary': ['zz top', 'a', 'c', 'B']}
    else:
        keys, attrs = np.arange(r.int(1, 5)), {'int64_vocabulary': [3, 1, 9, 0]}
    kinds = [I64, F32, F64] if keys.dtype == TEXT else [F32, F64, TEXT]
    return Case(op, [Map(keys, r.array([len(keys)], r.pick(kinds)))], attrs, opset=1, domain=ML)


@cases('CastMap')
def cast_map(r, op):
    keys = np.cumsum([r.int(1, 2) for _ in range(r.int(1, 4))])
    to = r.pick(['TO_FLOAT', 'TO_INT64', 'TO_STRING'])
    values = r.array([len(keys)], F32) if r.chance(0.6) else np.array([b'1', b'-2', b'30', b'4'][:len(keys)], object)
    if to == 'TO_STRING' and values.dtype == F32:
        values = values.round()
    attrs = {'cast_to': to}
    if r.chance(0.5):
        attrs.update(map_form='SPARSE', max_map=int(keys[-1]) + r.int(1, 3))
    return Case(op, [Map(keys, values)], attrs, opset=1, domain=ML)
