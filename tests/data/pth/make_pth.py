#!/usr/bin/env python3
"""Writes the PyTorch files of this folder: make_pth.py (with Debian's python3-torch 1.13.1).

NAME.safetensors has the values of NAME.pt and of NAME.legacy.pt (the form before PyTorch 1.6).
"""

import argparse
import collections
import functools
import json
import os
import pathlib
import struct
import zipfile
from collections import OrderedDict

import numpy
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def path(name):
    return os.path.join(HERE, name)


def safetensors(name, tensors):
    header, data = {}, b""
    for key, tensor in tensors.items():
        raw = tensor.detach().contiguous()
        raw = raw.view(torch.int16) if raw.dtype == torch.bfloat16 else raw
        part = raw.numpy().tobytes()
        header[key] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(path(name), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def save(name, value, tensors, protocol=2):
    torch.save(value, path(f"{name}.pt"), pickle_protocol=protocol)
    torch.save(value, path(f"{name}.legacy.pt"), pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    safetensors(f"{name}.safetensors", tensors)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 11)

    def forward(self, x):
        return self.linear(self.bn1(self.conv1(x)).mean((2, 3)))


def floats(state):
    return OrderedDict((k, v) for k, v in state.items() if v.is_floating_point())


torch.manual_seed(1)
model = Small()
state = model.state_dict()
save("state_dict", state, floats(state))
save("protocol4", state, floats(state), protocol=4)

# As training scripts save: DataParallel's names, counters, an optimizer that has made a step.
parallel = nn.DataParallel(model)
optimizer = torch.optim.SGD(parallel.parameters(), 0.1, momentum=0.9)
model(torch.randn(2, 3, 8, 8)).sum().backward()
optimizer.step()
checkpoint = {
    "epoch": 7,
    "arch": "small",
    "best_prec1": 91.75,
    "state_dict": parallel.state_dict(),
    "optimizer": optimizer.state_dict(),
    "nothing": None,
    "flags": (True, False, [1, 2**40, -3]),
}
save("checkpoint", checkpoint, floats(checkpoint["state_dict"]))

types = OrderedDict(
    half=torch.randn(3, 5).half(),
    brain=torch.randn(7).bfloat16(),
    double=torch.randn(2, 2).double(),
    single=torch.tensor([1.0, float("inf"), -float("inf"), float("nan"), 1e-45]),
)
save("types", types, types)

# Views of every kind; all but "plain" share storages or lie in them in another order.
flat = torch.randn(60)
views = OrderedDict(
    plain=torch.randn(6),
    transposed=torch.randn(5, 3).t(),
    channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    later=flat[30:54].view(2, 3, 4),
    earlier=flat[5:29],
    overlapping=flat[10:40],
    stepped=flat[1::7],
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 4),
    parameter=nn.Parameter(torch.randn(3)),
)
views["tied"] = views["plain"]
save("views", views, views)

# A model that holds code by reference, which no reader runs: its tensors are found by the attributes of modules.
torch.save(nn.Sequential(nn.Linear(2, 2)), path("whole_model.pt"))

# As a big-endian machine writes since PyTorch 2.1, which says so in an entry of its own.
source = zipfile.ZipFile(path("types.pt"))
with zipfile.ZipFile(path("big_endian.pt"), "w") as target:
    for entry in source.infolist():
        raw = source.read(entry)
        if "/data/" in entry.filename:
            width = {0: 2, 1: 2, 2: 8, 3: 4}[int(entry.filename.rsplit("/", 1)[1])]
            raw = b"".join(raw[i : i + width][::-1] for i in range(0, len(raw), width))
        target.writestr(zipfile.ZipInfo(entry.filename), raw)
        if entry.filename.endswith("/data.pkl"):
            target.writestr(zipfile.ZipInfo("types/byteorder"), "big")

# As no version of PyTorch writes.
with zipfile.ZipFile(path("deflated.pt"), "w", zipfile.ZIP_DEFLATED) as target:
    for entry in source.infolist():
        target.writestr(entry.filename, source.read(entry))

# What training scripts put beside a state_dict. The weights are plain numbers, so that this file can be made alone.
plain = OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.arange(2.0))
training = torch.optim.SGD([torch.ones(1)], 0.1, momentum=0.9)
beside = dict(
    namespace=argparse.Namespace(lr=0.1, net={"depth": 18}),
    numpy_scalar=numpy.float64(71.2),
    numpy_array=numpy.arange(3.0),
    numpy_text=numpy.array(["cat", "dog"]),
    device=torch.device("cpu"),
    path=pathlib.PurePosixPath("x"),
    a_set={1},
    frozen=frozenset([1, 2]),
    long_int=10**60,
    raw=b"x" * 300,
    array=bytearray(b"y" * 300),
    onecycle=torch.optim.lr_scheduler.OneCycleLR(training, 0.1, 10).state_dict(),
    optimizer=training,
    dtype=torch.float16,
    size=torch.Size([1, 2]),
    counter=collections.Counter("aab"),
    queue=collections.deque([1], 3),
    default=collections.defaultdict(list, a=[1]),
    function=functools.partial(torch.relu, torch.ones(1)),
    rng=torch.get_rng_state(),
    complex=3 + 4j,
    sparse=torch.eye(3).to_sparse(),
    quantized=torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
)
for name, protocol in ("beside", 2), ("beside5", 5):
    save(name, {"epoch": 1, "state_dict": plain, **beside}, plain, protocol)

# A module in a module, with a buffer that state_dict() leaves out, one of whole numbers, and a bias that is None. The
# form before 1.6 would have PyTorch's source in it.
inner = nn.ModuleDict({"a": nn.Linear(2, 3, bias=False), "b": nn.BatchNorm1d(3)})
inner.a.weight.data = torch.arange(6.0).view(3, 2)
inner.b.register_buffer("unsaved", torch.ones(2), persistent=False)
for protocol in 2, 5:
    whole = {"epoch": 1, "model": nn.DataParallel(inner)}
    torch.save(whole, path(f"module{protocol}.pt"), pickle_protocol=protocol)
    safetensors(f"module{protocol}.safetensors", floats(inner.state_dict()))
