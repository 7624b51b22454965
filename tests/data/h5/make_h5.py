#!/usr/bin/env python3
"""Writes the HDF5 files of this folder, as Keras lays them out: make_h5.py (with Debian's python3-h5py 3.7, HDF5 1.10).

Every NAME.h5 has its NAME.safetensors: the same values in PyTorch's order, under torchvision's names.
"""

import json
import os
import struct

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"<f4": "F32", "<f2": "F16", "<f8": "F64"}
random = np.random.default_rng(1)


def path(name):
    return os.path.join(HERE, name)


def safetensors(name, tensors):
    header, data = {}, b""
    for key, values in tensors.items():
        values = np.asarray(values, order="C")
        part = values.tobytes()
        header[key] = {
            "dtype": TYPES[values.dtype.newbyteorder("<").str],
            "shape": values.shape,
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(path(name), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def values(*shape):
    return random.standard_normal(shape, dtype=np.float32)


def conv(name, size, inputs, outputs, bias=True):
    variables = {"kernel:0": values(size, size, inputs, outputs)}
    if bias:
        variables["bias:0"] = values(outputs)
    return name, variables


def norm(name, channels):
    return name, {f"{variable}:0": values(channels) for variable in ("gamma", "beta", "moving_mean", "moving_variance")}


def layers_of(conv1, bn1, block, block_bn, fc, bias=True):
    return [
        ("input_1", {}),
        conv(conv1, 3, 3, 4, bias),
        norm(bn1, 4),
        ("activation", {}),
        conv(block(1), 1, 4, 2, bias),
        norm(block_bn(1), 2),
        conv(block(2), 3, 2, 2, bias),
        norm(block_bn(2), 2),
        conv(block(3), 1, 2, 8, bias),
        norm(block_bn(3), 8),
        conv(block(0), 1, 4, 8, bias),
        norm(block_bn(0), 8),
        ("add", {}),
        (fc, {"kernel:0": values(8, 3), "bias:0": values(3)}),
    ]


ROLES = {
    "kernel:0": "weight",
    "bias:0": "bias",
    "gamma:0": "weight",
    "beta:0": "bias",
    "moving_mean:0": "running_mean",
    "moving_variance:0": "running_var",
}


def torch_values(variable, tensor):
    if variable != "kernel:0":
        return tensor
    return tensor.transpose(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T


def write(group, layers):
    """As keras.saving.hdf5_format.save_weights_to_hdf5_group."""
    group.attrs["layer_names"] = [name.encode() for name, _ in layers]
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.12.0"
    for name, variables in layers:
        layer = group.create_group(name)
        layer.attrs["weight_names"] = [f"{name}/{variable}".encode() for variable in variables]
        for variable, tensor in variables.items():
            layer.create_dataset(f"{name}/{variable}", tensor.shape, dtype=tensor.dtype)[...] = tensor


def expected(layers, modules):
    return {
        f"{modules[name]}.{ROLES[variable]}": torch_values(variable, tensor)
        for name, variables in layers
        for variable, tensor in variables.items()
    }


NEW = lambda kind: lambda unit: f"conv2_block1_{unit}_{kind}"
OLD = lambda kind: lambda unit: f"{kind}2a_branch{'1' if unit == 0 else '2' + 'abc'[unit - 1]}"
BLOCK = {0: "layer1.0.downsample.0", 1: "layer1.0.conv1", 2: "layer1.0.conv2", 3: "layer1.0.conv3"}
BLOCK_BN = {0: "layer1.0.downsample.1", 1: "layer1.0.bn1", 2: "layer1.0.bn2", 3: "layer1.0.bn3"}


def modules(conv1, bn1, block, block_bn, fc):
    names = {conv1: "conv1", bn1: "bn1", fc: "fc"}
    names.update({block(unit): module for unit, module in BLOCK.items()})
    names.update({block_bn(unit): module for unit, module in BLOCK_BN.items()})
    return names


def config(layers, epsilon):
    """A topology, as far as it tells of the network."""

    def layer(name, variables):
        if "gamma:0" in variables:
            return {"class_name": "BatchNormalization", "config": {"name": name, "epsilon": epsilon}}
        if "kernel:0" in variables and variables["kernel:0"].ndim == 4:
            return {
                "class_name": "Conv2D",
                "config": {"name": name, "strides": [1, 1], "use_bias": "bias:0" in variables},
            }
        return {"class_name": "Dense" if variables else "Activation", "config": {"name": name}}

    return json.dumps({"class_name": "Functional", "config": {"name": "model", "layers": [layer(*l) for l in layers]}})


new = ("conv1_conv", "conv1_bn", NEW("conv"), NEW("bn"), "predictions")
old = ("conv1", "bn_conv1", OLD("res"), OLD("bn"), "fc1000")

# model.save_weights("weights.h5")
layers = new_layers = layers_of(*new)
with h5py.File(path("weights.h5"), "w") as file:
    write(file, layers)
safetensors("weights.safetensors", expected(layers, modules(*new)))

# model.save("model.h5"): the topology is an attribute, the optimizer has tensors of its own.
layers = layers_of(*old, bias=False)
with h5py.File(path("model.h5"), "w") as file:
    file.attrs["keras_version"] = "2.12.0"
    file.attrs["backend"] = "tensorflow"
    file.attrs["model_config"] = config(layers, 2e-5)
    write(file.create_group("model_weights"), layers)
    file.create_group("optimizer_weights").create_dataset("iterations:0", data=np.int64(3))
safetensors("model.safetensors", expected(layers, modules(*old)))

# Tensors by the names of a state_dict, in groups or not, of every type.
plain = {
    "conv1.weight": values(4, 3, 2, 2),
    "bn1.bias": values(4).astype("<f2"),
    "bn1.weight": values(4).astype(">f8"),
    "fc.weight": values(3, 4).astype(">f4"),
    "fc.bias": np.array(values(1)[0]),
}
with h5py.File(path("plain.h5"), "w") as file:
    for name, tensor in plain.items():
        file.create_dataset(name.replace(".", "/", 1) if name.startswith("bn1") else name, data=tensor)
little = {name: tensor.astype(tensor.dtype.newbyteorder("<")) for name, tensor in plain.items()}
safetensors("plain.safetensors", little)

# The newest form of everything, and values that lie in the header of their tensor.
with h5py.File(path("latest.h5"), "w", libver="latest") as file:
    for name, tensor in plain.items():
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT if name == "fc.bias" else h5py.h5d.CONTIGUOUS)
        kind = h5py.h5t.py_create(tensor.dtype)
        space = h5py.h5s.create_simple(tensor.shape) if tensor.shape else h5py.h5s.create(h5py.h5s.SCALAR)
        dataset = h5py.h5d.create(file.id, name.encode(), kind, space, compact)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(tensor))

# A group of so many members that its table is a tree of two levels.
with h5py.File(path("many.h5"), "w") as file:
    shared = file.create_group("g000")
    for i in range(1, 700):
        file[f"g{i:03}"] = shared
    file.create_dataset("weight", data=np.arange(3, dtype="<f4"))
safetensors("many.safetensors", {"weight": np.arange(3, dtype="<f4")})

# Chunks that are packed, and a group whose links lie in a fractal heap.
chunked = values(8, 8)
with h5py.File(path("chunked.h5"), "w") as file:
    file.create_dataset("weight", data=chunked, chunks=(4, 4), compression="gzip")
safetensors("chunked.safetensors", {"weight": chunked})
with h5py.File(path("dense.h5"), "w", libver="latest") as file:
    for i in range(20):
        file.create_dataset(f"tensor{i:02}", data=np.float32(i))
safetensors("dense.safetensors", {f"tensor{i:02}": np.float32(i) for i in range(20)})

# Chunks of seven rows, more than are read at once: value i is i % 251.
with h5py.File(path("rows.h5"), "w") as file:
    data = (np.arange(600 * 1000) % 251).astype("<f4").reshape(600, 1000)
    file.create_dataset("weight", data=data, chunks=(7, 1000), compression="gzip", compression_opts=9, shuffle=True)

# What is refused.
with h5py.File(path("whole_numbers.h5"), "w") as file:
    file.create_dataset("weight", data=np.arange(4, dtype="<i4"))
with h5py.File(path("keras3.h5"), "w") as file:
    file.create_group("layers/conv2d/vars").create_dataset("0", data=values(3, 3))
with h5py.File(path("lzf.h5"), "w") as file:
    file.create_dataset("weight", data=np.zeros((8, 8), "<f4"), compression="lzf")
with h5py.File(path("view.h5"), "w") as file:
    layout = h5py.VirtualLayout((4,), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "weight", (4,))
    file.create_virtual_dataset("weight", layout)
with h5py.File(path("external.h5"), "w") as file:
    file.create_dataset("weight", (4,), "<f4", external=[("/etc/passwd", 0, 16)])

# model.save_weights("named.weights.h5") of Keras 3, of its versions that name the layers.
with h5py.File(path("keras3_named.h5"), "w") as file:
    counts = {}
    for name, variables in new_layers:
        if not variables:
            continue
        is_norm, is_dense = "gamma:0" in variables, name == "predictions"
        kind = "batch_normalization" if is_norm else "dense" if is_dense else "conv2d"
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        group = file.create_group(f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars")
        group.attrs["name"] = name
        for i, tensor in enumerate(variables.values()):
            group[str(i)] = tensor
    file.create_group("optimizer/vars")["0"] = np.int64(3)
