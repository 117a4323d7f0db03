"""Weight files: safetensors, which hold numbers and no code, and are read only if they match a model exactly.

A file must hold exactly the tensors of the model's modules, by name and shape. All numbers are float32, or all are
float16, which halves the file; `config.json` says which. They must be finite, and are converted to float32 when they
are read. Integer counters, such as those of batch normalisation, keep their type. Nothing else is accepted.

The header is checked before any weight is read, so that nothing is allocated because a header says so.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fauxley.errors import FauxleyError
from fauxley.serialization import parse_json, reading

Stored = Literal["float32", "float16"]
_STORED: dict[str, torch.dtype] = {"float32": torch.float32, "float16": torch.float16}
_CODES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
_HEADER = 4096  # bytes that a header may have,
_ENTRY = 300  # and more bytes for each tensor


def write_weights(path: Path, modules: Mapping[str, nn.Module], stored: Stored = "float32") -> str:
    """Write the weights and buffers of modules to a new file, and return its SHA-256.

    Args:
        path: of the file.
        modules: the modules by name; the name precedes the names of the module's tensors.
        stored: the precision in the file.

    Raises:
        FauxleyError: a number is too large for float16.
    """
    content = pack_weights(modules, stored)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def pack_weights(modules: Mapping[str, nn.Module], stored: Stored = "float32") -> bytes:
    """The bytes that `write_weights` writes.

    Raises:
        FauxleyError: a number is too large for float16.
    """
    tensors = {name: _narrow(value.detach().cpu(), _STORED[stored]) for name, value in _named(modules).items()}
    for name, value in tensors.items():
        if stored == "float16" and not torch.isfinite(value).all():
            raise FauxleyError(f"{name} holds numbers that are too large for float16; store float32")
    return save(tensors)  # not `save_file`, which raises no OSError when the disk is full


def read_weights(path: Path, modules: Mapping[str, nn.Module], sha256: str, stored: str = "float32") -> None:
    """Load weights from a file into modules on the "meta" device, which have no storage yet.

    Raises:
        FauxleyError: the file is damaged, does not match the modules exactly, or has another SHA-256.
    """
    if stored not in _STORED:
        raise FauxleyError(f"weights are float32 or float16; got {stored!r:.60}")
    expected = {name: _narrow(value, _STORED[stored]) for name, value in _named(modules).items()}
    with reading(path.name):
        _check(path, expected)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise FauxleyError("it is damaged: its checksum is not the one in config.json")
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise FauxleyError(f"it is damaged: {error}") from error
        for name, value in tensors.items():
            if not (torch.isfinite(value).all() if value.is_floating_point() else (value >= 0).all()):
                raise FauxleyError(f"{name} holds numbers that are not finite, or negative counters")
        for prefix, module in modules.items():
            start = prefix + "."
            mine = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            widened = {name: value.float() if value.is_floating_point() else value for name, value in mine.items()}
            module.load_state_dict(widened, assign=True)


def _check(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Compare a file's size and header with the tensors that it should hold."""
    if not path.is_file():
        raise FauxleyError("it is not a file")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _HEADER + sum(_ENTRY + 6 * len(name) for name in expected)):
            raise FauxleyError("it is damaged: its header cannot be that of these weights")
        header: Any = parse_json(file.read(length))
    if not isinstance(header, dict):
        raise FauxleyError("it is damaged: its header is not a JSON object")
    header.pop("__metadata__", None)
    for name in (*expected.keys() - header.keys(), *header.keys() - expected.keys()):
        raise FauxleyError(f"it {'lacks' if name in expected else 'should not hold'} {name!r:.80}")
    for name, value in expected.items():
        about = header[name] if isinstance(header[name], dict) else {}
        kind, shape = about.get("dtype"), about.get("shape")
        if (kind, shape) != (_CODES[value.dtype], list(value.shape)):
            raise FauxleyError(f"{name} is {kind!r:.20} {shape!r:.60}, not {_CODES[value.dtype]} {list(value.shape)}")
    if size != 8 + length + sum(math.prod(value.shape) * value.itemsize for value in expected.values()):
        raise FauxleyError("it is damaged: its size is not that of these weights")


def _named(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for prefix, each in modules.items() for name, value in each.state_dict().items()}


def _narrow(value: Tensor, dtype: torch.dtype) -> Tensor:
    return (value.to(dtype) if value.is_floating_point() else value).contiguous()
