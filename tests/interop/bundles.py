"""Writes the official code's variables and checkpoint files, so that tests can have any they like, good or bad."""

import struct
from pathlib import Path

import numpy as np
from torch import Tensor

from fauxley.interop.crc32c import masked_crc32c
from fauxley.interop.tensorflow_checkpoint import open_checkpoint

CODES = {"<f4": 1, "<f8": 2, "<i4": 3, "<i8": 9, "<f2": 19}
VARIABLES = {
    "G/a/kernel": np.arange(300, dtype="<f4").reshape(2, 150),
    "G/a/bias": np.zeros((0, 3), "<f4"),
    "G/b/kernel": np.linspace(-1, 1, 5).astype("<f8"),
    "global_step": np.array(1234567, "<i8"),
}


def to_tensorflow(value: Tensor, variable: str) -> np.ndarray:
    """One of our tensors as the official variable: the inverse of `fauxley.interop.variables.from_tensorflow`."""
    array = value.detach().cpu().numpy()
    if variable.endswith("conv2d_transpose/kernel") and array.ndim == 3:
        return array.swapaxes(1, 2)[None]
    return array if variable.endswith("conv1d/kernel") else array.T


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def entry(dtype: int, shape: tuple[int, ...], offset: int, size: int, crc: int, shard: int = 0) -> bytes:
    dims = b"".join(field(2, field(1, length)) for length in shape)
    head = field(1, dtype) + field(2, dims) + field(3, shard) + field(4, offset) + field(5, size)
    return head + varint(6 << 3 | 5) + struct.pack("<I", crc)


def header(shards: int = 1, endianness: int = 0) -> bytes:
    return field(1, shards) + field(2, endianness) + field(3, field(1, 1))


def block(pairs: list[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """A block with its trailer; each key stores what differs from the one before."""
    out, previous = b"", b""
    for key, value in pairs:
        shared = next(
            (place for place, (a, b) in enumerate(zip(key, previous, strict=False)) if a != b),
            min(len(key), len(previous)),
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    return seal(out + struct.pack("<II", 0, 1), compression)


def seal(contents: bytes, compression: int = 0) -> bytes:
    checked = contents + bytes([compression])
    return checked + struct.pack("<I", masked_crc32c(checked))


def table(*blocks: bytes, keys: list[bytes] | None = None) -> bytes:
    """A sorted table of blocks."""
    out, handles = b"", []
    for number, contents in enumerate(blocks):
        key = keys[number] if keys else b"%04d" % number
        handles.append((key, varint(len(out)) + varint(len(contents) - 5)))
        out += contents
    meta = block([])
    meta_handle = varint(len(out)) + varint(len(meta) - 5)
    out += meta
    index = block(handles)
    footer = meta_handle + varint(len(out)) + varint(len(index) - 5)
    return out + index + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(prefix: Path, variables: dict[str, np.ndarray], shards: int = 1, per_block: int = 7) -> None:
    """A whole checkpoint, its variables dealt out over data files."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    data = [b""] * shards
    pairs = [(b"", header(shards))]
    for number, (name, value) in enumerate(sorted(variables.items())):
        shard, raw = number % shards, value.tobytes()
        code = CODES[value.dtype.str]
        pairs.append((name.encode(), entry(code, value.shape, len(data[shard]), len(raw), masked_crc32c(raw), shard)))
        data[shard] += raw
    for shard, raw in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(raw)
    blocks = [block(pairs[start : start + per_block]) for start in range(0, len(pairs), per_block)]
    prefix.with_name(prefix.name + ".index").write_bytes(table(*blocks))


def write_raw(folder: Path) -> dict[str, dict[str, object]]:
    """A folder of raw weights as behind the official web page, without its manifest."""
    manifest: dict[str, dict[str, object]] = {}
    for name, value in VARIABLES.items():
        filename = name.replace("/", "_")
        value.astype(value.dtype if name == "global_step" else "<f4").tofile(folder / filename)
        manifest[name] = {"filename": filename, "shape": list(value.shape)}
    return manifest


def read_all(path: Path) -> dict[str, np.ndarray]:
    checkpoint = open_checkpoint(path)
    return {name: checkpoint.read(name) for name in checkpoint.shapes}
