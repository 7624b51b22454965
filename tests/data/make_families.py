#!/usr/bin/python3
"""Writes logits/*.json of networks that torchvision does not have, computed by PyTorch in float64.

Weights are functions of their names (bindings/weights/uniform.ts and random.ts have the rule), so that no file of weights is
needed. The modules are written from the papers, with the names of timm and insightface. Needs PyTorch and numpy (Debian's
python3-torch; made with PyTorch 1.13).

usage: make_families.py [NAME ...]
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch
from torch import nn


def uniform(name, shape, low, high):
    """float32 values between low and high: Mulberry32, seeded by the FNV-1a hash of the name."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        state = np.uint32(seed) + np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x6D2B79F5)
        t = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
        t = (t + (t ^ (t >> np.uint32(7))) * (t | np.uint32(61))) ^ t
        u = (t ^ (t >> np.uint32(14))).astype(np.float64) / 4294967296.0
    return torch.from_numpy((low + (high - low) * u).astype(np.float32).reshape(shape))


def fill(model, branch_end):
    """Gives every tensor the values of its name. The norm whose value is added to a shortcut has a small scale."""
    norms = {name for name, module in model.named_modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))}
    ranges = {"bias": (-0.1, 0.1), "running_mean": (-0.1, 0.1), "running_var": (0.5, 1.5)}
    for key, tensor in model.state_dict().items():
        owner, _, leaf = key.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        if owner in norms:
            is_end = branch_end and owner.endswith("." + branch_end)
            low, high = ranges.get(leaf, (0.1, 0.3) if is_end else (0.6, 1.0))
        elif leaf == "bias":
            low, high = -0.05, 0.05
        elif tensor.dim() == 1:
            low, high = 0.1, 0.3
        else:
            high = math.sqrt(6 / int(np.prod(tensor.shape[1:])))
            low = -high
        tensor.copy_(uniform(key, tuple(tensor.shape), low, high))


def conv(cin, cout, kernel, stride=1, groups=1):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)


class Excitation(nn.Module):
    def __init__(self, c, ratio):
        super().__init__()
        inner = max(8, int(c * ratio + 4) // 8 * 8)
        self.fc1 = nn.Conv2d(c, inner, 1)
        self.fc2 = nn.Conv2d(inner, c, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Block(nn.Module):
    def __init__(self, cin, width, stride, v):
        super().__init__()
        kind, groups, per_group = v["block"]
        self.is_basic = kind == "basic"
        cout = width if self.is_basic else width * 4
        if self.is_basic:
            layers = [(cin, width, 3, stride, 1), (width, width, 3, 1, 1)]
        else:
            inner = width * per_group // 64 * groups
            layers = [(cin, inner, 1, 1, 1), (inner, inner, 3, stride, groups), (inner, cout, 1, 1, 1)]
        self.count = len(layers)
        for i, layer in enumerate(layers, 1):
            setattr(self, f"conv{i}", conv(*layer))
            setattr(self, f"bn{i}", nn.BatchNorm2d(layer[1]))
        self.se = Excitation(cout, v["se"]) if v.get("se") else nn.Identity()
        self.downsample = None
        if stride > 1 or cin != cout:
            if v.get("average"):
                pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
                self.downsample = nn.Sequential(pool, conv(cin, cout, 1), nn.BatchNorm2d(cout))
            else:
                self.downsample = nn.Sequential(conv(cin, cout, 1, stride), nn.BatchNorm2d(cout))
        self.cout = cout

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = y.relu()
        return (self.se(y) + (self.downsample(x) if self.downsample else x)).relu()


class ResNet(nn.Module):
    def __init__(self, v):
        super().__init__()
        width = 64
        if v["stem"] == "deep":
            a, b = v["widths"]
            self.conv1 = nn.Sequential(conv(3, a, 3, 2), nn.BatchNorm2d(a), nn.ReLU(), conv(a, b, 3), nn.BatchNorm2d(b), nn.ReLU(),
                                       conv(b, width, 3))
        else:
            self.conv1 = conv(3, width, *v["stem"])
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        if v.get("pool") == "conv":
            self.maxpool = nn.Sequential(conv(width, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU())
        elif v.get("pool", "max") == "max":
            self.maxpool = nn.MaxPool2d(3, 2, 1)
        cin = width
        for stage, count in enumerate(v["counts"]):
            blocks = []
            for i in range(count):
                blocks.append(Block(cin, width * 2**stage, 2 if i == 0 and stage > 0 else 1, v))
                cin = blocks[-1].cout
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(cin, v.get("classes", 1000))

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        if hasattr(self, "maxpool"):
            x = self.maxpool(x)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


class FaceBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = conv(cin, cout, 3)
        self.bn2 = nn.BatchNorm2d(cout)
        self.prelu = nn.PReLU(cout)
        self.conv2 = conv(cout, cout, 3, stride)
        self.bn3 = nn.BatchNorm2d(cout)
        has_projection = stride > 1 or cin != cout
        self.downsample = nn.Sequential(conv(cin, cout, 1, stride), nn.BatchNorm2d(cout)) if has_projection else None

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (self.downsample(x) if self.downsample else x)


class FaceNet(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.conv1 = conv(3, 64, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        cin = 64
        for stage, count in enumerate(v["counts"]):
            width = 64 * 2**stage
            blocks = [FaceBlock(cin if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            cin = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


BASIC = ("basic", 1, 64)
BOTTLENECK = ("bottleneck", 1, 64)
COUNTS = {10: [1] * 4, 14: [1] * 4, 18: [2] * 4, 26: [2] * 4, 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3],
          152: [3, 8, 36, 3], 200: [3, 24, 36, 3], 270: [4, 29, 53, 4], 350: [4, 36, 72, 4], 420: [4, 44, 87, 4]}


def architectures():
    out = {}

    def add(name, depth, size=224, build=ResNet, **variant):
        block = variant.setdefault("block", BASIC if depth in (10, 18, 34) else BOTTLENECK)
        variant.setdefault("stem", (7, 2))
        variant.setdefault("counts", COUNTS.get(depth))
        end = "bn2" if block[0] == "basic" else "bn3"
        out[name] = (lambda: build(variant), end, size)

    deep = {"stem": "deep", "widths": (32, 32), "average": True}
    for depth in (10, 14, 26):
        add(f"resnet{depth}t", depth, **{**deep, "widths": (24, 32)})
    add("resnet26", 26)
    for depth in (18, 26, 34, 50, 101, 152, 200):
        add(f"resnet{depth}d", depth, **deep)
    for depth in (18, 34, 50, 101, 152):
        add(f"seresnet{depth}", depth, se=1 / 16)
    add("seresnext50_32x4d", 50, se=1 / 16, block=("bottleneck", 32, 4))
    add("seresnext101_32x4d", 101, se=1 / 16, block=("bottleneck", 32, 4))
    add("seresnext101_32x8d", 101, se=1 / 16, block=("bottleneck", 32, 8))
    for depth, size in ((50, 160), (101, 192), (152, 256), (200, 256), (270, 256), (350, 288), (420, 320)):
        add(f"resnetrs{depth}", depth, size, se=1 / 4, pool="conv", **deep)
    for depth in (18, 34, 50):
        add(f"resnet{depth}_cifar", depth, 32, stem=(3, 1), pool=None, classes=10)
    faces = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 14, 3], 100: [3, 13, 30, 3], 200: [6, 26, 60, 6]}
    for depth, counts in faces.items():
        add(f"iresnet{depth}", depth, 112, FaceNet, counts=counts, block=BOTTLENECK)
    return out


def main():
    for name, (build, branch_end, size) in architectures().items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        with torch.no_grad():
            model = build().eval()
            fill(model, branch_end)
            x = uniform("input", (1, 3, size, size), -2.0, 2.0)
            stages = {}
            for child, module in model.named_children():
                module.register_forward_hook(lambda _m, _i, y, c=child: stages.__setitem__(c, {"shape": list(y.shape)}))
            y = model.double()(x.double())
        record = {
            "architecture": name,
            "input": list(x.shape),
            "parameters": sum(p.numel() for p in model.parameters()),
            "stages": stages,
            "output": [float(f"{v:.9g}") for v in y.flatten().tolist()],
        }
        (pathlib.Path(__file__).parent / "logits" / f"{name}.json").write_text(json.dumps(record) + "\n")
        print(f"{name:24s} parameters {record['parameters']:>11,}, largest {y.abs().max():.4g}", flush=True)


if __name__ == "__main__":
    main()
