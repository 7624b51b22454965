"""Exports networks of torchvision to ONNX: python3 export_torchvision.py FOLDER [--list | NAME...]

For each, FOLDER has NAME.onnx and NAME.values, float32: the input, then torch's output. Weights are random, and batch norms
have statistics. Prints a line of NAME, the input's size and the output's shape. Debian: python3-torch, python3-torchvision.
"""

import sys
import warnings

import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
SEGMENTATION = torchvision.models.segmentation
TRANSFORMERS = ("vit", "swin", "maxvit")


def names():
    all_models = torchvision.models.list_models(module=torchvision.models)
    networks = [name for name in all_models if not name.startswith(TRANSFORMERS)]
    return networks + ["fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"]


def made(name):
    torch.manual_seed(1)
    if hasattr(SEGMENTATION, name):
        return getattr(SEGMENTATION, name)(weights=None, weights_backbone=None)
    initialised = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **initialised)


def with_statistics(model):
    generator = torch.Generator().manual_seed(2)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            channels = layer.running_mean.shape
            layer.running_mean.copy_(torch.randn(channels, generator=generator) * 0.1)
            layer.running_var.copy_(torch.rand(channels, generator=generator) + 0.5)
            layer.weight.copy_(torch.rand(channels, generator=generator) + 0.5)
            layer.bias.copy_(torch.randn(channels, generator=generator) * 0.1)
    return model.eval()


def export(folder, name):
    size = 299 if name == "inception_v3" else 224
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        model = with_statistics(made(name))
        y = model(x)
        y = y["out"] if isinstance(y, dict) else y
        torch.onnx.export(model, x, f"{folder}/{name}.onnx", opset_version=13, dynamic_axes={"image": {0: "n"}}, input_names=["image"])
    np.concatenate([x.numpy().ravel(), y.numpy().ravel()]).tofile(f"{folder}/{name}.values")
    print(name, size, *y.shape, flush=True)


folder, *wanted = sys.argv[1:]
if wanted == ["--list"]:
    print(*names())
else:
    for each in wanted:
        export(folder, each)
