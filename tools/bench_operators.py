#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench_operators.py LIBBNRUN [NAME...]: single operators on large float32 tensors beside ONNX Runtime.

Each case is a model of one node on one to four million elements; the time is the shortest of many runs in this
process, both libraries in turn. Prints one line a case: milliseconds of bnrun with one and with two threads, of
ONNX Runtime likewise, and how many times ONNX Runtime's time ours is. NAME: only cases whose name contains it.

  --ort FILE    libonnxruntime.so.1 (default: $ORT_LIB). Without it only bnrun's own figures are shown
  --seconds S   spent on each figure (default 0.15)
  --slow R      only cases that take more than R times as long, or gain nothing from the second thread
"""
import argparse
import ctypes as C
import os
import sys
import time

import numpy as np
from onnx import TensorProto, helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f'{HERE}/../tests/lib')
import libbnrun
import ort as ort_api

RNG = np.random.default_rng(1)
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int32): TensorProto.INT32, np.dtype(np.bool_): TensorProto.BOOL,
         np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int8): TensorProto.INT8}


def f(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


def positive(*dims):
    return (RNG.random(dims) + 0.5).astype(np.float32)


def ints(high, *dims):
    return RNG.integers(0, high, dims).astype(np.int64)


def v(*values):
    return np.array(values, np.int64)


IMAGE = (4, 64, 96, 96)    # 2.4 million
MATRIX = (1024, 2048)      # 2 million
CUBE = (64, 256, 128)      # 2 million


def cases():
    """name, operator, inputs (constant ones in a list of their own), attributes, number of outputs, opset; of
    com.microsoft where the operator is written so"""
    def case(name, op, inputs, constants=(), outputs=1, opset=17, **attributes):
        return name, op, inputs, list(constants), attributes, outputs, opset

    for op in ('Abs', 'Acos', 'Acosh', 'Asin', 'Asinh', 'Atan', 'Ceil', 'Cos', 'Cosh', 'Elu', 'Erf', 'Exp', 'Floor',
               'HardSigmoid', 'HardSwish', 'LeakyRelu', 'Neg', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Sigmoid',
               'Sign', 'Sin', 'Sinh', 'Softplus', 'Softsign', 'Tan', 'Tanh', 'ThresholdedRelu', 'Celu', 'IsNaN',
               'IsInf', 'Identity', 'Shrink'):
        yield case(op, op, [f(*MATRIX)])
    for op in ('Log', 'Sqrt'):
        yield case(op, op, [positive(*MATRIX)])
    yield case('Gelu', 'Gelu', [f(*MATRIX)], opset=20)
    yield case('Mish', 'Mish', [f(*MATRIX)], opset=18)
    yield case('Clip', 'Clip', [f(*MATRIX)], [np.float32(-1), np.float32(1)])
    yield case('PRelu channels', 'PRelu', [f(*IMAGE)], [f(64, 1, 1)])
    yield case('Cast to int', 'Cast', [f(*MATRIX)], to=TensorProto.INT32)
    yield case('Cast to uint8', 'Cast', [positive(*MATRIX)], to=TensorProto.UINT8)
    yield case('Cast from int64', 'Cast', [ints(99, *MATRIX)], to=TensorProto.FLOAT)
    yield case('Cast to half', 'Cast', [f(*MATRIX)], to=TensorProto.FLOAT16)
    for op in ('Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Greater', 'Less', 'Equal', 'Mean', 'Sum'):
        yield case(op, op, [f(*MATRIX), f(*MATRIX)])
    yield case('Pow', 'Pow', [positive(*MATRIX), f(*MATRIX)])
    yield case('Pow square', 'Pow', [positive(*MATRIX)], [np.float32(2)])
    yield case('Mod', 'Mod', [f(*MATRIX), positive(*MATRIX)], fmod=1)
    yield case('Add row', 'Add', [f(*MATRIX), f(2048)])
    yield case('Add column', 'Add', [f(*MATRIX), f(1024, 1)])
    yield case('Mul channels', 'Mul', [f(*IMAGE), f(64, 1, 1)])
    yield case('Mul scalar', 'Mul', [f(*MATRIX), f(1)])
    yield case('Add middle', 'Add', [f(*CUBE), f(64, 1, 128)])
    yield case('Where', 'Where', [ints(2, *MATRIX).astype(bool), f(*MATRIX), f(*MATRIX)])
    yield case('Where row', 'Where', [ints(2, 2048).astype(bool), f(*MATRIX), f(1)])
    yield case('And', 'And', [ints(2, *MATRIX).astype(bool), ints(2, *MATRIX).astype(bool)])
    yield case('Not', 'Not', [ints(2, *MATRIX).astype(bool)])
    yield case('Add int64', 'Add', [ints(9, *MATRIX), ints(9, *MATRIX)])
    for op in ('ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceL1', 'ReduceL2',
               'ReduceSumSquare', 'ReduceLogSum', 'ReduceLogSumExp'):
        x = positive if op in ('ReduceLogSum', 'ReduceProd') else f
        for name, shape, axes in (('last', MATRIX, [1]), ('first', MATRIX, [0]), ('middle', CUBE, [1]),
                                  ('all', MATRIX, [0, 1]), ('outer', CUBE, [0, 2]),
                                  ('spatial', IMAGE, [2, 3]), ('batch', IMAGE, [0, 2, 3])):
            if op == 'ReduceSum':
                yield case(f'{op} {name}', op, [x(*shape)], [v(*axes)])
            else:
                yield case(f'{op} {name}', op, [x(*shape)], axes=axes)
    for op in ('Softmax', 'LogSoftmax', 'Hardmax'):
        yield case(f'{op} last', op, [f(*MATRIX)], axis=-1)
        yield case(f'{op} middle', op, [f(*CUBE)], axis=1)
        yield case(f'{op} first', op, [f(*MATRIX)], axis=0)
    for op in ('ArgMax', 'ArgMin'):
        yield case(f'{op} last', op, [f(*MATRIX)], axis=-1)
        yield case(f'{op} middle', op, [f(*CUBE)], axis=1)
        yield case(f'{op} first', op, [f(*MATRIX)], axis=0)
    yield case('LayerNormalization', 'LayerNormalization', [f(*MATRIX), f(2048), f(2048)])
    yield case('LayerNormalization axis 1', 'LayerNormalization', [f(*CUBE), f(256, 128), f(256, 128)], axis=1)
    yield case('InstanceNormalization', 'InstanceNormalization', [f(*IMAGE), f(64), f(64)])
    yield case('BatchNormalization', 'BatchNormalization', [f(*IMAGE)], [f(64), f(64), f(64), positive(64)])
    yield case('LRN', 'LRN', [f(*IMAGE)], size=5)
    yield case('MeanVarianceNormalization', 'MeanVarianceNormalization', [f(*IMAGE)])
    yield case('MeanVarianceNormalization image', 'MeanVarianceNormalization', [f(*IMAGE)], axes=[2, 3])
    yield case('LpNormalization last', 'LpNormalization', [f(*MATRIX)])
    yield case('LpNormalization first', 'LpNormalization', [f(*MATRIX)], axis=0)
    yield case('LpNormalization L1', 'LpNormalization', [f(*MATRIX)], p=1)
    yield case('CumSum last', 'CumSum', [f(*MATRIX)], [np.int64(1)])
    yield case('CumSum first', 'CumSum', [f(*MATRIX)], [np.int64(0)])
    yield case('Transpose matrix', 'Transpose', [f(*MATRIX)], perm=[1, 0])
    yield case('Transpose nhwc', 'Transpose', [f(*IMAGE)], perm=[0, 2, 3, 1])
    yield case('Transpose heads', 'Transpose', [f(8, 256, 16, 64)], perm=[0, 2, 1, 3])
    yield case('Transpose 0213 short', 'Transpose', [f(64, 256, 32, 4)], perm=[0, 2, 1, 3])
    yield case('Gather rows', 'Gather', [f(*MATRIX), ints(1024, 1024)])
    yield case('Gather columns', 'Gather', [f(*MATRIX), ints(2048, 2048)], axis=1)
    yield case('Gather short rows', 'Gather', [f(1 << 18, 4), ints(1 << 18, 1 << 19)])
    yield case('GatherElements last', 'GatherElements', [f(*MATRIX), ints(2048, *MATRIX)], axis=1)
    yield case('GatherElements first', 'GatherElements', [f(*MATRIX), ints(1024, *MATRIX)], axis=0)
    yield case('GatherND elements', 'GatherND',
               [f(*MATRIX), np.stack([ints(1024, 1 << 20), ints(2048, 1 << 20)], 1)])
    yield case('GatherND rows', 'GatherND', [f(*MATRIX), ints(1024, 1024, 1)])
    yield case('ScatterElements', 'ScatterElements', [f(*MATRIX), ints(2048, *MATRIX), f(*MATRIX)], axis=1)
    yield case('ScatterElements add', 'ScatterElements', [f(*MATRIX), ints(1024, *MATRIX), f(*MATRIX)], axis=0,
               reduction='add')
    yield case('ScatterND rows', 'ScatterND', [f(*MATRIX), RNG.permutation(1024).reshape(-1, 1), f(*MATRIX)])
    yield case('ScatterND elements', 'ScatterND',
               [f(*MATRIX), np.stack([ints(1024, 1 << 20), ints(2048, 1 << 20)], 1), f(1 << 20)])
    yield case('ScatterND add', 'ScatterND', [f(*MATRIX), ints(1024, 1024, 1), f(*MATRIX)], reduction='add')
    yield case('TopK 10', 'TopK', [f(*MATRIX)], [v(10)], outputs=2)
    yield case('TopK 1000', 'TopK', [f(*MATRIX)], [v(1000)], outputs=2)
    yield case('TopK all of one', 'TopK', [f(1 << 20)], [v(1 << 20)], outputs=2, axis=0)
    yield case('TopK 300 of one', 'TopK', [f(1 << 20)], [v(300)], outputs=2, axis=0)
    yield case('TopK first', 'TopK', [f(*MATRIX)], [v(10)], outputs=2, axis=0)
    yield case('Concat last', 'Concat', [f(*MATRIX), f(*MATRIX)], axis=1)
    yield case('Concat first', 'Concat', [f(*MATRIX), f(*MATRIX)], axis=0)
    yield case('Split last', 'Split', [f(*MATRIX)], outputs=4, axis=1)
    yield case('Slice', 'Slice', [f(*IMAGE)], [v(1, 1), v(95, 95), v(2, 3)])
    yield case('Slice steps', 'Slice', [f(*MATRIX)], [v(0, 2047), v(1024, -(1 << 40)), v(0, 1), v(2, -2)])
    yield case('Pad constant', 'Pad', [f(*IMAGE)], [v(0, 0, 3, 3, 0, 0, 3, 3)])
    yield case('Pad reflect', 'Pad', [f(*IMAGE)], [v(0, 0, 3, 3, 0, 0, 3, 3)], mode='reflect')
    yield case('Pad edge', 'Pad', [f(*IMAGE)], [v(0, 0, 3, 3, 0, 0, 3, 3)], mode='edge')
    yield case('Tile', 'Tile', [f(256, 2048)], [v(2, 4)])
    yield case('Expand row', 'Expand', [f(2048)], [v(1024, 2048)])
    yield case('Expand column', 'Expand', [f(1024, 1)], [v(1024, 2048)])
    yield case('OneHot', 'OneHot', [ints(1000, 2048), np.int64(1000), np.array([0, 1], np.float32)])
    yield case('OneHot first', 'OneHot', [ints(1000, 2048), np.int64(1000), np.array([0, 1], np.float32)], axis=0)
    yield case('Compress', 'Compress', [f(1 << 21), ints(2, 1 << 21).astype(bool)])
    yield case('Compress rows', 'Compress', [f(*MATRIX), ints(2, 1024).astype(bool)], axis=0)
    yield case('NonZero', 'NonZero', [ints(2, *MATRIX).astype(np.float32)])
    yield case('Unique', 'Unique', [ints(1 << 19, 1 << 20)], outputs=4)
    yield case('Unique unsorted', 'Unique', [ints(1 << 19, 1 << 20)], outputs=4, sorted=0)
    yield case('Unique rows', 'Unique', [ints(4, 1 << 16, 8)], outputs=4, axis=0)
    yield case('Trilu', 'Trilu', [f(64, 256, 256)])
    yield case('EyeLike', 'EyeLike', [f(*MATRIX)])
    yield case('Range', 'Range', [np.float32(0), np.float32(1 << 21), np.float32(1)])
    yield case('ConstantOfShape', 'ConstantOfShape', [v(*MATRIX)])
    yield case('ReverseSequence', 'ReverseSequence', [f(256, 64, 128), ints(256, 64) + 1])
    yield case('DepthToSpace', 'DepthToSpace', [f(*IMAGE)], blocksize=2)
    yield case('DepthToSpace CRD', 'DepthToSpace', [f(*IMAGE)], blocksize=2, mode='CRD')
    yield case('SpaceToDepth', 'SpaceToDepth', [f(*IMAGE)], blocksize=2)
    for mode in ('nearest', 'linear', 'cubic'):
        for kind in ('half_pixel', 'align_corners'):
            for name, scale in (('x2', 2), ('x1.5', 1.5), ('x0.5', .5)):
                yield case(f'Resize {mode} {kind} {name}', 'Resize',
                           [f(1, 32, 128, 128)], [np.zeros(0, np.float32), np.array([1, 1, scale, scale], np.float32)],
                           mode=mode, coordinate_transformation_mode=kind)
    yield case('Resize linear antialias', 'Resize',
               [f(1, 32, 128, 128)], [np.zeros(0, np.float32), np.array([1, 1, .5, .5], np.float32)],
               mode='linear', antialias=1, opset=18)
    yield case('Upsample nearest', 'Upsample', [f(1, 32, 128, 128), np.array([1, 1, 2, 2], np.float32)], opset=9)
    yield case('Upsample linear', 'Upsample', [f(1, 32, 128, 128), np.array([1, 1, 2, 2], np.float32)], opset=9,
               mode='linear')
    yield case('GridSample', 'GridSample', [f(1, 32, 128, 128), (f(1, 128, 128, 2) / 2).astype(np.float32)])
    yield case('GridSample cubic', 'GridSample', [f(1, 32, 128, 128), (f(1, 128, 128, 2) / 2).astype(np.float32)],
               mode='bicubic')
    yield case('RoiAlign', 'RoiAlign', [f(1, 64, 64, 64), np.sort(positive(64, 4) * 40, 1), np.zeros(64, np.int64)],
               output_height=7, output_width=7, sampling_ratio=2)
    yield case('MaxRoiPool', 'MaxRoiPool',
               [f(1, 64, 64, 64), np.concatenate([np.zeros((64, 1), np.float32), np.sort(positive(64, 4) * 40, 1)], 1)],
               pooled_shape=[7, 7])
    boxes = np.sort(positive(1, 2000, 4) * 100, 2)
    yield case('NonMaxSuppression', 'NonMaxSuppression',
               [boxes, positive(1, 8, 2000), v(2000), np.float32([0.5]), np.float32([0.6])])
    yield case('Einsum matmul', 'Einsum', [f(256, 256), f(256, 256)], equation='ij,jk->ik')
    yield case('Einsum heads', 'Einsum', [f(4, 128, 8, 64), f(4, 128, 8, 64)], equation='bqhd,bkhd->bhqk')
    yield case('Einsum sum', 'Einsum', [f(*CUBE)], equation='ijk->ik')
    yield case('Einsum diagonal', 'Einsum', [f(1024, 1024)], equation='ii->i')
    yield case('Einsum outer', 'Einsum', [f(1024), f(2048)], equation='i,j->ij')
    yield case('MaxPool', 'MaxPool', [f(*IMAGE)], kernel_shape=[3, 3], strides=[2, 2])
    yield case('MaxPool indices', 'MaxPool', [f(*IMAGE)], kernel_shape=[3, 3], strides=[2, 2], outputs=2)
    yield case('AveragePool', 'AveragePool', [f(*IMAGE)], kernel_shape=[3, 3], strides=[2, 2])
    yield case('LpPool', 'LpPool', [f(*IMAGE)], kernel_shape=[3, 3], strides=[2, 2])
    yield case('GlobalLpPool', 'GlobalLpPool', [f(*IMAGE)])
    yield case('MaxPool 1d', 'MaxPool', [f(4, 64, 9216)], kernel_shape=[3], strides=[2])
    yield case('MaxPool 3d', 'MaxPool', [f(1, 32, 32, 48, 48)], kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    yield case('AveragePool 3d', 'AveragePool', [f(1, 32, 32, 48, 48)], kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    yield case('Conv 3d', 'Conv', [f(1, 16, 16, 32, 32)], [f(16, 16, 3, 3, 3)])
    yield case('Conv 1d', 'Conv', [f(1, 64, 4096)], [f(64, 64, 3)])
    yield case('ConvTranspose', 'ConvTranspose', [f(1, 32, 64, 64)], [f(32, 16, 4, 4)], strides=[2, 2],
               pads=[1, 1, 1, 1])
    yield case('ConvTranspose groups', 'ConvTranspose', [f(1, 32, 64, 64)], [f(32, 1, 4, 4)], strides=[2, 2],
               pads=[1, 1, 1, 1], group=32)
    yield case('DeformConv', 'DeformConv', [f(1, 16, 32, 32), f(16, 16, 3, 3), f(1, 18, 30, 30)], opset=19)
    yield case('GRU', 'GRU', [f(32, 8, 64)], [f(1, 192, 64), f(1, 192, 64), f(1, 384)], hidden_size=64)
    yield case('LSTM', 'LSTM', [f(32, 8, 64)], [f(1, 256, 64), f(1, 256, 64), f(1, 512)], hidden_size=64)
    yield case('LSTM 1', 'LSTM', [f(64, 1, 256)], [f(1, 1024, 256), f(1, 1024, 256), f(1, 2048)], hidden_size=256)
    yield case('LSTM both', 'LSTM', [f(32, 16, 256)], [f(2, 2048, 256), f(2, 2048, 512), f(2, 4096)], hidden_size=512,
               direction='bidirectional')
    yield case('RNN', 'RNN', [f(32, 8, 64)], [f(1, 64, 64), f(1, 64, 64), f(1, 128)], hidden_size=64)
    yield case('QuantizeLinear', 'QuantizeLinear', [f(*MATRIX)], [np.float32(0.02), np.uint8(128)])
    yield case('QuantizeLinear channels', 'QuantizeLinear', [f(*IMAGE)], [positive(64), np.zeros(64, np.uint8)], axis=1)
    yield case('DequantizeLinear', 'DequantizeLinear', [ints(256, *MATRIX).astype(np.uint8)],
               [np.float32(0.02), np.uint8(128)])
    yield case('DynamicQuantizeLinear', 'DynamicQuantizeLinear', [f(*MATRIX)], outputs=3)
    yield case('Dropout', 'Dropout', [f(*MATRIX)])
    yield case('RandomNormalLike', 'RandomNormalLike', [f(*MATRIX)], seed=1.0)
    yield case('RandomUniformLike', 'RandomUniformLike', [f(*MATRIX)], seed=1.0)
    yield case('Bernoulli', 'Bernoulli', [RNG.random(MATRIX).astype(np.float32)], seed=1.0)
    yield case('DFT', 'DFT', [f(64, 1024, 1)], axis=1)
    yield case('DFT odd', 'DFT', [f(64, 1000, 1)], axis=1)
    yield case('STFT', 'STFT', [f(4, 65536, 1), np.int64(256), np.ones(512, np.float32), np.int64(512)])
    yield case('Det', 'Det', [f(64, 32, 32)])
    yield case('BitShift', 'BitShift', [ints(99, *MATRIX).astype(np.uint8), ints(8, *MATRIX).astype(np.uint8)],
               direction='LEFT')
    yield case('SoftmaxCrossEntropyLoss', 'SoftmaxCrossEntropyLoss', [f(*MATRIX), ints(2048, 1024)])
    yield case('SoftmaxCrossEntropyLoss image', 'SoftmaxCrossEntropyLoss', [f(*IMAGE), ints(64, 4, 96, 96)])
    yield case('NegativeLogLikelihoodLoss', 'NegativeLogLikelihoodLoss', [f(*MATRIX), ints(2048, 1024)])
    yield case('Col2Im', 'Col2Im', [f(1, 64 * 9, 94 * 94), v(96, 96), v(3, 3)], opset=18)
    yield case('CenterCropPad', 'CenterCropPad', [f(*IMAGE), v(90, 100)], axes=[2, 3], opset=18)
    yield case('GroupNormalization', 'GroupNormalization', [f(*IMAGE), f(64), f(64)], num_groups=8, opset=21)
    yield case('RMSNormalization', 'RMSNormalization', [f(*MATRIX), f(2048)], opset=23)
    yield case('RotaryEmbedding', 'RotaryEmbedding', [f(2, 16, 512, 64), f(512, 32), f(512, 32), ints(512, 2, 512)],
               opset=23)
    yield from attention_cases(case)
    yield from integer_cases(case)


def integer_cases(case):
    def u8(*dims):
        return ints(256, *dims).astype(np.uint8)

    def i8(*dims):
        return (ints(256, *dims) - 128).astype(np.int8)
    scale, zero = np.float32(0.02), np.uint8(128)
    yield case('MatMulInteger', 'MatMulInteger', [u8(256, 256), u8(256, 256)])
    yield case('MatMulInteger constant', 'MatMulInteger', [u8(197, 768)], [i8(768, 3072), zero, np.int8(0)])
    yield case('MatMulInteger one row', 'MatMulInteger', [u8(1, 768)], [i8(768, 3072), zero, np.int8(0)])
    yield case('QLinearMatMul', 'QLinearMatMul', [u8(197, 768)],
               [scale, zero, i8(768, 768), scale, np.int8(0), np.float32(2), zero])
    yield case('DynamicQuantizeMatMul', 'com.microsoft.DynamicQuantizeMatMul', [f(197, 768)],
               [i8(768, 768), scale, np.int8(0)])
    yield case('MatMulIntegerToFloat', 'com.microsoft.MatMulIntegerToFloat', [u8(197, 768)],
               [i8(768, 768), scale, scale, zero, np.int8(0)])
    yield case('QLinearAdd', 'com.microsoft.QLinearAdd', [u8(1, 256, 56, 56)],
               [scale, zero, u8(1, 256, 56, 56), scale, zero, scale, zero])
    yield case('QLinearGlobalAveragePool', 'com.microsoft.QLinearGlobalAveragePool', [u8(4, 512, 7, 7)],
               [scale, zero, scale, zero], channels_last=0)
    yield case('MaxPool uint8', 'MaxPool', [u8(1, 64, 112, 112)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for name, x, w, attributes in (
            ('3x3', (1, 64, 56, 56), (64, 64, 3, 3), dict(pads=[1, 1, 1, 1])),
            ('3x3 deep', (1, 512, 7, 7), (512, 512, 3, 3), dict(pads=[1, 1, 1, 1])),
            ('1x1', (1, 256, 14, 14), (1024, 256, 1, 1), {}),
            ('1x1 wide', (1, 32, 112, 112), (64, 32, 1, 1), {}),
            ('first', (1, 3, 224, 224), (32, 3, 3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
            ('depthwise', (1, 96, 56, 56), (96, 1, 3, 3), dict(group=96, pads=[1, 1, 1, 1]))):
        yield case(f'QLinearConv {name}', 'QLinearConv', [u8(*x)],
                   [scale, zero, i8(*w), scale, np.int8(0), np.float32(2), zero,
                    ints(1000, w[0]).astype(np.int32)], **attributes)
        yield case(f'ConvInteger {name}', 'ConvInteger', [u8(*x)], [u8(*w), zero, zero], **attributes)
        yield case(f'Conv {name}', 'Conv', [f(*x)], [f(*w)], **attributes)


def attention_cases(case):
    yield case('Attention', 'Attention', [f(1, 8, 256, 64), f(1, 8, 256, 64), f(1, 8, 256, 64)], opset=23)
    yield case('Attention causal', 'Attention', [f(1, 8, 1024, 64), f(1, 8, 1024, 64), f(1, 8, 1024, 64)], opset=23,
               is_causal=1)
    yield case('Attention mask', 'Attention', [f(1, 512, 768), f(1, 512, 768), f(1, 512, 768), f(512, 512)], opset=23,
               q_num_heads=12, kv_num_heads=12)
    yield case('Attention cap', 'Attention', [f(1, 8, 512, 64), f(1, 2, 512, 64), f(1, 2, 512, 64)], opset=23,
               softcap=5.0)
    cache = [f(1, 8, 2047, 64), f(1, 8, 2047, 64)]
    yield case('Attention decode', 'Attention',
               [f(1, 8, 1, 64), f(1, 8, 1, 64), f(1, 8, 1, 64), np.zeros((1, 2048), np.float32), *cache], opset=23,
               outputs=3)
    yield case('Attention decode groups', 'Attention',
               [f(1, 32, 1, 64), f(1, 8, 1, 64), f(1, 8, 1, 64), np.zeros((1, 2048), np.float32), *cache], opset=23,
               outputs=3)
    yield case('MultiHeadAttention', 'com.microsoft.MultiHeadAttention', [f(1, 512, 768), f(1, 512, 768), f(1, 512, 768)],
               num_heads=12)
    for name, n, past in (('prefill', 512, 0), ('decode', 1, 2047)):
        yield case(f'GroupQueryAttention {name}', 'com.microsoft.GroupQueryAttention',
                   [f(1, n, 2048), f(1, n, 512), f(1, n, 512), f(1, 8, past, 64), f(1, 8, past, 64),
                    np.int32([n + past - 1])], [np.int32(n + past), f(4096, 32), f(4096, 32)], outputs=3,
                   num_heads=32, kv_num_heads=8, do_rotary=1)


def model_of(op, inputs, constants, attributes, outputs, opset):
    names = [f'x{i}' for i in range(len(inputs) + len(constants))]
    domain, _, op = op.rpartition('.')
    node = helper.make_node(op, names, [f'y{i}' for i in range(outputs)], domain=domain, **attributes)
    declared = [helper.make_tensor_value_info(n, TYPES[a.dtype], a.shape) for n, a in zip(names, map(np.asarray, inputs))]
    initializers = [helper.make_tensor(n, TYPES[a.dtype], a.shape, a.tobytes(), raw=True)
                    for n, a in zip(names[len(inputs):], map(np.asarray, constants))]
    results = [helper.make_empty_tensor_value_info(f'y{i}') for i in range(outputs)]
    graph = helper.make_graph([node], 'g', declared, results, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset), helper.make_opsetid('com.microsoft', 1)],
                             ir_version=8 if opset < 21 else 10).SerializeToString()


def shortest(run, seconds):
    run()
    best, start = float('inf'), time.perf_counter()
    while time.perf_counter() - start < seconds or best == float('inf'):
        t = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - t)
    return best * 1e3


def ours(lib, model, inputs, outputs, threads, seconds):
    # Outputs are written where those of the run before lie, as ONNX Runtime's come from its arena.
    handle, session, keep, made, outs = C.c_void_p(), C.c_void_p(), [], [], (C.c_void_p * outputs)()
    lib.check(lib.lib.bnr_model_load, C.byref(handle), model, C.c_size_t(len(model)), None)
    try:
        options = libbnrun._Options()
        lib.lib.bnr_options_init(C.byref(options))
        options.threads = threads
        lib.check(lib.lib.bnr_session_create, C.byref(session), handle, C.byref(options))
        made = [lib.make(np.asarray(x), keep).value for x in inputs]
        array = (C.c_void_p * max(1, len(made)))(*made)

        def run():
            lib.check(lib.lib.bnr_run, session, array, C.c_size_t(len(made)), outs, C.c_size_t(outputs))
        return shortest(run, seconds)
    finally:
        for t in [*outs, *made]:
            lib.lib.bnr_tensor_release(C.c_void_p(t))
        lib.lib.bnr_session_free(session)
        lib.lib.bnr_model_free(handle)


def theirs(api, model, inputs, outputs, threads, seconds):
    options, session, keep = C.c_void_p(), C.c_void_p(), []
    api.call(ort_api.CREATE_OPTIONS, C.byref(options))
    api.call(ort_api.SET_INTRA, options, C.c_int(threads))
    api.call(ort_api.SET_INTER, options, C.c_int(1))
    api.call(ort_api.SET_LOG_LEVEL, options, C.c_int(4))
    try:
        api.call(ort_api.CREATE_SESSION_FROM_ARRAY, api.env, C.c_char_p(model), C.c_size_t(len(model)), options,
                 C.byref(session))
    finally:
        api.release(ort_api.RELEASE_OPTIONS, options)
    made = [api.make(np.asarray(x), keep).value for x in inputs]
    names = (C.c_char_p * max(1, len(made)))(*[f'x{i}'.encode() for i in range(len(made))])
    wanted = (C.c_char_p * outputs)(*[f'y{i}'.encode() for i in range(outputs)])
    array = (C.c_void_p * max(1, len(made)))(*made)

    def run():
        results = (C.c_void_p * outputs)()
        api.call(ort_api.RUN, session, C.c_void_p(), C.cast(names, C.c_void_p), C.cast(array, C.c_void_p),
                 C.c_size_t(len(made)), C.cast(wanted, C.c_void_p), C.c_size_t(outputs), C.cast(results, C.c_void_p))
        for value in results:
            api.release(ort_api.RELEASE_VALUE, value)
    try:
        return shortest(run, seconds)
    finally:
        for value in made:
            api.release(ort_api.RELEASE_VALUE, value)
        api.release(ort_api.RELEASE_SESSION, session)


def figure(fn, *args):
    try:
        return fn(*args), ''
    except (libbnrun.Error, ort_api.Error) as e:
        return float('nan'), str(e).split('\n')[0][:60]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('library')
    parser.add_argument('names', nargs='*')
    parser.add_argument('--ort', default=ort_api.find())
    parser.add_argument('--seconds', type=float, default=0.15)
    parser.add_argument('--slow', type=float)
    args = parser.parse_intermixed_args()
    lib = libbnrun.Library(args.library)
    api = ort_api.Library(args.ort) if args.ort else None
    print(f'{"case":38} {"ours 1":>9} {"ours 2":>9} {"ORT 1":>9} {"ORT 2":>9}   ratio 1  ratio 2  scaling')
    for name, op, inputs, constants, attributes, outputs, opset in cases():
        if args.names and not any(n in name for n in args.names):
            continue
        model = model_of(op, inputs, constants, attributes, outputs, opset)
        t, notes = [], []
        for threads in (1, 2):
            ms, note = figure(ours, lib, model, inputs, outputs, threads, args.seconds)
            other, other_note = figure(theirs, api, model, inputs, outputs, threads, args.seconds) if api else (
                float('nan'), '')
            t.append((ms, other))
            notes += [n for n in (note, other_note) if n and n not in notes]
        (a1, b1), (a2, b2) = t
        if args.slow and not (a1 > args.slow * b1 or a2 > args.slow * b2 or a2 > 0.85 * a1):
            continue
        print(f'{name:38} {a1:9.3f} {a2:9.3f} {b1:9.3f} {b2:9.3f}  {a1 / b1:7.2f}  {a2 / b2:7.2f}  {a1 / a2:7.2f}  '
              + '; '.join(notes), flush=True)


if __name__ == '__main__':
    main()
