"""Makes the ONNX models of this folder, and what torch makes of their inputs.

Debian 12: apt-get install python3-torch python3-onnx; python3 make_onnx.py. NAME.values holds float32: the input, then each
output, one after the other.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F


def norm(channels):
    layer = nn.BatchNorm2d(channels)
    layer.weight.data.uniform_(0.5, 1.5)
    layer.bias.data.normal_(0, 0.2)
    layer.running_mean.normal_(0, 0.2)
    layer.running_var.uniform_(0.5, 1.5)
    return layer


class Gated(nn.Module):
    """A stem, an inverted residual with squeeze-and-excitation, hard swish and SiLU, and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), norm(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), norm(16), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), norm(16), nn.ReLU6())
        self.reduce, self.gate = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), norm(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        s = F.hardsigmoid(self.gate(F.relu(self.reduce(F.adaptive_avg_pool2d(y, 1)))))
        x = x + self.project(y * s)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Shuffled(nn.Module):
    """Split, channel shuffle, padding, layer norm over channels, GELU, and a map in its input's size beside the classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.left = nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        self.norm = nn.LayerNorm(8)
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)
        self.map, self.fc = nn.Conv2d(8, 2, 1), nn.Linear(8 * 4 * 4, 3)

    def forward(self, x):
        size = x.shape[-2:]
        x = F.max_pool2d(F.relu(self.stem(F.pad(x, (1, 2, 1, 2)))), 3, 2, ceil_mode=True)
        a, b = x.chunk(2, 1)
        x = torch.cat([self.left(a), b], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.narrow(F.gelu(self.wide(self.norm(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        x = x + y
        small = F.avg_pool2d(x, 2)
        return self.fc(small.flatten(1)), F.interpolate(self.map(x), size=size, mode="bilinear", align_corners=False)


def save(name, x, outputs):
    arrays = [x, *outputs]
    np.concatenate([np.asarray(a, np.float32).ravel() for a in arrays]).tofile(f"{name}.values")


def export(name, model, size, opset, outputs, **options):
    torch.manual_seed(len(name))
    model = model().eval()
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        made = model(x)
    torch.onnx.export(
        model, x, f"{name}.onnx", opset_version=opset, input_names=["image"], output_names=outputs, **options
    )
    save(name, x, made if isinstance(made, tuple) else [made])


def quantised():
    """A convolution and a matrix as quantize_dynamic writes them, with uint8 weights, and one of QLinearConv between."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(1, 3, 8, 8)).astype(np.float32)
    tensors, nodes = {}, []

    def quantise(values, axis=None):
        low, high = min(values.min(), 0), max(values.max(), 0)
        scale = np.float32((high - low) / 255)
        zero = np.uint8(np.clip(round(-low / scale), 0, 255))
        q = np.clip(np.round(values / scale) + zero, 0, 255).astype(np.uint8)
        return q, scale, zero, (q.astype(np.float32) - zero) * scale

    w, ws, wz, w_real = quantise(generator.normal(size=(4, 3, 3, 3)).astype(np.float32) / 5)
    m, ms, mz, m_real = quantise(generator.normal(size=(4, 6)).astype(np.float32) / 2)
    bias = generator.normal(size=4).astype(np.float32) / 4
    tensors.update(w=w, ws=ws, wz=wz, m=m, ms=ms, mz=mz, bias=bias.reshape(1, 4, 1, 1))
    nodes += [
        helper.make_node("DynamicQuantizeLinear", ["image"], ["xq", "xs", "xz"]),
        helper.make_node("ConvInteger", ["xq", "w", "xz", "wz"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["c"], ["cf"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["xs", "ws"], ["s"]),
        helper.make_node("Mul", ["cf", "s"], ["cs"]),
        helper.make_node("Add", ["cs", "bias"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("DynamicQuantizeLinear", ["flat"], ["fq", "fs", "fz"]),
        helper.make_node("MatMulInteger", ["fq", "m", "fz", "mz"], ["g"]),
        helper.make_node("Cast", ["g"], ["gf"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["fs", "ms"], ["t"]),
        helper.make_node("Mul", ["gf", "t"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 6])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="by hand")
    onnx.checker.check_model(model)
    onnx.save(model, "quantised.onnx")
    # With the same weights in float32: what is left is the rounding of activations to 8 bits.
    y = F.conv2d(torch.from_numpy(x), torch.from_numpy(w_real), torch.from_numpy(bias), padding=1).relu().mean((2, 3))
    save("quantised", x, [y.numpy() @ m_real])


export("gated", Gated, 16, 14, ["logits"], dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}, "logits": {0: "n"}})
export("shuffled", Shuffled, 16, 11, ["logits", "map"])
onnx.save_model(
    onnx.load("shuffled.onnx"), "apart.onnx", save_as_external_data=True, location="apart.onnx.data", size_threshold=0
)
quantised()
