#!/usr/bin/env python3
"""Converts a PyTorch checkpoint to safetensors, with nothing but Python:

    convert-checkpoint.py IN.pth OUT.safetensors [OLD=NEW …]     (linear=fc: "linear.bias" becomes "fc.bias")

Reads what torch.save writes, as a ZIP archive (since 1.6) or as a row of pickles (before), of a state_dict or of a
dictionary that holds one under "state_dict"; "module." (of DataParallel) is cut off names. No code of the checkpoint
runs: of all globals that a pickle may name, only those of tensors are known, any other is an error.
"""

import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from typing import NamedTuple

# torch's storages: the dtype's name in safetensors, and bytes of a value.
STORAGES = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
}


class Storage(NamedTuple):
    dtype: str
    width: int
    key: str


class Tensor(NamedTuple):
    storage: Storage
    offset: int
    shape: tuple
    stride: tuple


def rebuild_tensor(storage, offset, shape, stride, *_):
    return Tensor(storage, offset, tuple(shape), tuple(stride))


def rebuild_parameter(tensor, *_):
    return tensor


GLOBALS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) in GLOBALS:
            return GLOBALS[module, name]
        raise ValueError(f"checkpoint: expected tensors in dictionaries, got {module}.{name}.")

    def persistent_load(self, pid):
        _, (dtype, width), key = pid[:3]
        return Storage(dtype, width, key)


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl"))[: -len("data.pkl")]
        with archive.open(root + "data.pkl") as file:
            value = Unpickler(file).load()
        files = set(archive.namelist())
        storages = {name[len(root + "data/") :]: archive.read(name) for name in files if name.startswith(root + "data/")}
    return value, storages


def read_legacy(path):
    with open(path, "rb") as file:
        for _ in ("magic number", "protocol", "sizes of types"):
            Unpickler(file).load()
        widths = {}

        class Sized(Unpickler):
            def persistent_load(self, pid):
                storage = super().persistent_load(pid)
                widths[storage.key] = storage.width
                return storage

        value = Sized(file).load()
        storages = {}
        for key in Unpickler(file).load():
            (count,) = struct.unpack("<q", file.read(8))
            storages[key] = file.read(count * widths[key])
    return value, storages


def values(tensor, storages):
    """The tensor's bytes, row-major."""
    data, width = storages[tensor.storage.key], tensor.storage.width
    places = [tensor.offset]
    for size, stride in zip(tensor.shape, tensor.stride):
        places = [place + i * stride for place in places for i in range(size)]
    if places == list(range(tensor.offset, tensor.offset + len(places))):
        return data[tensor.offset * width : (tensor.offset + len(places)) * width]
    return b"".join(data[place * width : (place + 1) * width] for place in places)


def renamed(name, renames):
    name = name.removeprefix("module.")
    for old, new in renames:
        if name.startswith(old + "."):
            name = new + name[len(old) :]
    return name


def main(source, target, *pairs):
    renames = [pair.split("=", 1) for pair in pairs]
    checkpoint, storages = (read_zip if zipfile.is_zipfile(source) else read_legacy)(source)
    state = checkpoint.get("state_dict", checkpoint)
    header, parts, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            continue
        parts.append(values(tensor, storages))
        begin, end = end, end + len(parts[-1])
        header[renamed(name, renames)] = {
            "dtype": tensor.storage.dtype,
            "shape": tensor.shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)
    print(f"{target}: {len(parts)} tensors, {end} bytes.")


if __name__ == "__main__":
    if len(sys.argv) < 3 or not all("=" in pair for pair in sys.argv[3:]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
