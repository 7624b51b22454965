#!/usr/bin/env python3
"""Writes Keras 3's whole models and weights of this folder, as Keras lays them out: make_keras.py (python3-h5py 3.7).

A convolution, a batch norm, a model within the model and a classifier with a name of the user's, in four files of the
same values: functional.keras (stored), deflated.keras, functional.h5 (model.save("x.h5") of Keras 3) and, of the layers'
numbers alone, auto.weights.h5 with vgg11's layers in Keras's count, one filter wide where that is possible.
"""

import io
import json
import os
import zipfile

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(3)


def path(name):
    return os.path.join(HERE, name)


def values(*shape):
    return random.standard_normal(shape).astype("<f4") / 2


def tensor(history):
    config = {"shape": [None, 8, 8, 4], "dtype": "float32", "keras_history": [history, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def layer(kind, name, reads, **config):
    args = [tensor(reads[0])] if len(reads) == 1 else [[tensor(name) for name in reads]]
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, "trainable": True, **config},
        "registered_name": None,
        "build_config": {"input_shape": [None, 8, 8, 4]},
        "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}] if reads else [],
    }


def functional(name, layers, first, last, reads=()):
    return {
        **layer("Functional", name, reads),
        "module": "keras.src.models.functional",
        "registered_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": layers,
            "input_layers": [first, 0, 0],
            "output_layers": [last, 0, 0],
        },
    }


def conv(name, reads, filters, size, **config):
    usual = {"kernel_size": [size, size], "strides": [1, 1], "padding": "same", "use_bias": True, "activation": "relu"}
    return layer("Conv2D", name, reads, filters=filters, **{**usual, **config})


INNER = functional(
    "features",
    [
        layer("InputLayer", "input_layer_1", [], batch_shape=[None, None, None, 4]),
        layer("DepthwiseConv2D", "depthwise_conv2d", ["input_layer_1"], kernel_size=[3, 3], strides=[2, 2], padding="same", depth_multiplier=1, use_bias=False, activation="linear"),
        layer("BatchNormalization", "batch_normalization_1", ["depthwise_conv2d"], axis=-1, epsilon=0.001, center=True, scale=False),
        layer("Dropout", "dropout", ["batch_normalization_1"], rate=0.2),
        conv("conv2d_1", ["dropout"], 6, 1),
    ],
    "input_layer_1",
    "conv2d_1",
    ["batch_normalization"],
)

MODEL = functional(
    "small",
    [
        layer("InputLayer", "input_layer", [], batch_shape=[None, 8, 8, 3]),
        layer("Rescaling", "rescaling", ["input_layer"], scale=1 / 255, offset=-0.5),
        conv("conv2d", ["rescaling"], 4, 3),
        layer("BatchNormalization", "batch_normalization", ["conv2d"], axis=-1, epsilon=0.001, center=True, scale=True),
        INNER,
        layer("GlobalAveragePooling2D", "global_average_pooling2d", ["features"], keepdims=False),
        layer("Dense", "my_head", ["global_average_pooling2d"], units=3, activation="softmax", use_bias=True),
    ],
    "input_layer",
    "my_head",
)

# By Keras's paths in .weights.h5, in the order of the layers.
VALUES = {
    "conv2d": [("kernel", values(3, 3, 3, 4)), ("bias", values(4))],
    "batch_normalization": [(name, abs(values(4)) + 0.5) for name in ("gamma", "beta", "moving_mean", "moving_variance")],
    "functional/layers/depthwise_conv2d": [("kernel", values(3, 3, 4, 1))],
    "functional/layers/batch_normalization": [(name, abs(values(4)) + 0.5) for name in ("beta", "moving_mean", "moving_variance")],
    "functional/layers/conv2d": [("kernel", values(1, 1, 4, 6)), ("bias", values(6))],
    "dense": [("kernel", values(6, 3)), ("bias", values(3))],
}
NAMES = {
    "functional/layers/depthwise_conv2d": "depthwise_conv2d",
    "functional/layers/batch_normalization": "batch_normalization_1",
    "functional/layers/conv2d": "conv2d_1",
    "dense": "my_head",
}


def weights():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for place, variables in VALUES.items():
            group = file.create_group(f"layers/{place}/vars")
            for i, (_, tensor) in enumerate(variables):
                group[str(i)] = tensor
        # What draws random numbers has a state, of whole numbers.
        file.create_group("layers/functional/layers/dropout/seed_generator/vars")["0"] = np.zeros(2, "<u4")
        file.create_group("optimizer/vars")["0"] = np.int64(3)
    return buffer.getvalue()


H5 = weights()
for name, method in (("functional", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile(path(f"{name}.keras"), "w", method) as archive:
        for entry, content in (
            ("metadata.json", json.dumps({"keras_version": "3.5.0", "date_saved": "2025-01-01@00:00:00"}).encode()),
            ("config.json", json.dumps(MODEL).encode()),
            ("model.weights.h5", H5),
        ):
            archive.writestr(zipfile.ZipInfo(entry, (2025, 1, 1, 0, 0, 0)), content, method)

with h5py.File(path("functional.h5"), "w") as file:
    file.attrs["keras_version"] = b"3.5.0"
    file.attrs["model_config"] = json.dumps(MODEL).encode()
    group = file.create_group("model_weights")
    outer = [each["name"] for each in MODEL["config"]["layers"]]
    group.attrs["layer_names"] = [name.encode() for name in outer]
    for place, variables in VALUES.items():
        name = NAMES.get(place, place)
        top = name if name in outer else "features"
        for variable, tensor in variables:
            group.create_dataset(f"{top}/{name}/{variable}", data=tensor)


def counted(name, layers):
    """model.save_weights("x.weights.h5") of layers that Keras named itself: (class, shapes) in order."""
    counts = {}
    with h5py.File(path(name), "w") as file:
        for kind, shapes in layers:
            number = counts.get(kind, 0)
            counts[kind] = number + 1
            own = f"{kind}_{number}" if number else kind
            group = file.create_group(f"layers/{own}/vars")
            group.attrs["name"] = own
            for i, shape in enumerate(shapes):
                group.create_dataset(str(i), shape, "<f4", chunks=shape, compression="gzip", fillvalue=0.5)


# ResNet-20 for CIFAR with projections, of which there is one only; and ResNet-50, whose tensors several have.
def stages(bias, blocks, widths, bottleneck, stem):
    layers = []
    extra = lambda n: [(n,)] if bias else []

    def block(kernels):
        for size, start, to in kernels:
            layers.append(("conv2d", [(size, size, start, to), *extra(to)]))
            layers.append(("batch_normalization", [(to,)] * 4))

    block([(stem, 3, widths[0])])
    start = widths[0]
    for count, width in zip(blocks, widths):
        out = 4 * width if bottleneck else width
        for i in range(count):
            kernels = [(1, start, width), (3, width, width), (1, width, out)] if bottleneck else [(3, start, width), (3, width, width)]
            block(kernels + ([(1, start, out)] if start != out else []))
            start = out
    layers.append(("dense", [(start, 7), (7,)]))
    return layers


counted("counted20.weights.h5", stages(True, [3, 3, 3], [16, 32, 64], False, 3))
