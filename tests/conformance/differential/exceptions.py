# SPDX-License-Identifier: Apache-2.0
"""Where bnrun and ONNX Runtime differ and the specification is on bnrun's side, or does not say."""
from differential.cases import TEXT


def empty(case):
    return case.inputs[0].size == 0


def text(case):
    return case.inputs[0].dtype == TEXT


def to_the_end_backwards(case):
    ends = case.inputs[2]
    return ends.size > 0 and ends.max() >= 2**31 - 1


def no_rounds(case):
    return case.inputs[0] is not None and case.inputs[0] == 0


REDUCTIONS = ('ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp '
              'ReduceSumSquare ArgMax ArgMin')

# (operators, a function of the case, what the difference says, why it is right)
KNOWN = [
    ('Sign', lambda c: True, 'is nan, expected 0', 'NaN is none of the three cases; numpy.sign keeps it, as the '
     'reference implementation does'),
    ('NonZero', lambda c: c.inputs[0].ndim == 0, 'shape (0,', '"for scalar input, NonZero produces output shape '
     '(0, N) instead of (1, N)"'),
    (REDUCTIONS, empty, 'shape', 'the reduced axes are dims of 1 (or gone) when another dim is 0, too'),
    ('ReduceMean', empty, 'is nan, expected 0', 'the mean of no elements is undefined; 0 / 0 is NaN, as in numpy'),
    ('Slice', to_the_end_backwards, 'shape', 'an end behind the last element is clamped to it; only INT_MIN means '
     '"to the start" when slicing backward'),
    ('Cast', lambda c: c.inputs[0].dtype == bool, "expected b'", 'text of a bool is not specified; True and False as '
     'in the reference implementation'),
    ('Gather', text, 'element', 'ONNX Runtime copies one string of each slice'),
    ('Loop', no_rounds, 'shape', 'what no round has computed has the shape that inference finds for the body; '
     'ONNX Runtime takes dims that nothing declares for absent ones'),
    ('TreeEnsembleRegressor', lambda c: 'base_values' in c.attrs, 'expected 0.0', 'base values are added to every '
     'target, also where no tree has voted for it'),
    ('AffineGrid', lambda c: c.attrs.get('align_corners') and 1 in c.inputs[1][2:], 'element',
     'the only point of an axis is its first, -1, in the reference implementation; ONNX Runtime has 1'),
    ('StringSplit', lambda c: not c.attrs.get('delimiter') and 'maxsplit' in c.attrs, "expected b'", 'what is left after '
     'the last split keeps its white space at the end, as in Python'),
    ('StringSplit', lambda c: c.attrs.get('delimiter') and b'' in c.inputs[0], '', 'an empty string split by a delimiter '
     'is one empty string, as in Python'),
    ('Resize', lambda c: c.attrs['coordinate_transformation_mode'] == 'align_corners' and len(c.inputs) == 3, 'element',
     "the length of the output is a fraction here (the backend test resize_downsample_scales_linear_align_corners)"),
    ('Attention', lambda c: c.attrs.get('is_causal') and len(c.inputs) == 6 and c.inputs[0].shape[-2] == 1, 'element',
     'ONNX Runtime does not mask a single query; positions behind it must not be seen'),
    ('LSTM', lambda c: 'clip' in c.attrs, 'element', 'clipping "is applied to the input of activations", and h is one; '
     'ONNX Runtime does not clip its input'),
    ('Cast', lambda c: c.attrs['to'] == 8 and c.inputs[0].dtype.kind == 'f', "expected b'", 'text of a number with a '
     'fraction of 0 is not specified; 12.0 as in the reference implementation'),
    ('MaxPool LpPool AveragePool', lambda c: 'SAME' in c.attrs.get('auto_pad', ''), 'element',
     'strides larger than the kernel need no padding; ONNX Runtime pads by a negative number and drops elements'),
    ('AveragePool', lambda c: c.attrs.get('ceil_mode') and 'auto_pad' in c.attrs, 'shape', 'with VALID the output is '
     'ceil((input - kernel + 1) / stride), whatever ceil_mode is'),
    ('ArgMax ArgMin', empty, 'has no elements', 'no index is that of an extreme where there are no elements'),
    ('MeanVarianceNormalization', lambda c: True, 'expected nan', 'the standard deviation is taken plus 1e-9'),
    ('Bernoulli', lambda c: True, 'expected', 'the input is the probability of 1; the function that ONNX Runtime runs in '
     'its place compares the other way round'),
    ('CastMap', lambda c: c.attrs['cast_to'] == 'TO_STRING', "expected b'", 'text of a number is not specified, nor what '
     'stands where the map has no key'),
    ('GridSample', lambda c: 'cubic' in c.attrs['mode'] and c.attrs['padding_mode'] == 'border', 'element',
     '"border: use border values for out-of-bound grid locations": a location out of bounds is moved to the border and '
     'has the value there, as in the reference implementation; ONNX Runtime, like PyTorch, keeps the location and moves '
     'the four pixels around it, so that pixels inside count, too'),
]


def reason(case, text):
    """Why this difference is none of ours, or None."""
    for ops, applies, words, why in KNOWN:
        if case.op in ops.split() and words in text and applies(case):
            return why
    return None
