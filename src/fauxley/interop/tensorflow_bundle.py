"""Tensors of a TensorFlow "V2" checkpoint, read without TensorFlow and without trusting the file.

`PREFIX.index` is a sorted table of LevelDB's kind: blocks of key-value pairs, each key storing only what differs from
the one before; a block of handles to those blocks; a footer. Its values are protocol buffers that say where in
`PREFIX.data-XXXXX-of-YYYYY` a tensor lies, of which type and shape. The empty key holds the header.

A file may come from anywhere, so nothing in it is believed: sizes and shapes are compared with the files' sizes before
anything is allocated, keys must grow, and every loop uses up input. The checksum of every block of the index is
verified on opening; that of a tensor whenever it is read.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.interop.crc32c import masked_crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes behind a block: its compression and its checksum
_MAX_INDEX = 1 << 20  # bytes; real ones have a few thousand
_MAX_ENTRIES = 10_000  # real ones have a few hundred
_MAX_KEY = 1024  # bytes
_MAX_FILES = 99_999
_MAX_RANK = 8
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # DataType of types.proto


_Fields = dict[int, list[int | bytes]]  # of a protocol buffer: number → values


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies: `dtype` is None for a type that no model has."""

    dtype: np.dtype | None
    shape: tuple[int, ...]
    file: Path
    offset: int
    size: int
    crc: int


def read_index(prefix: Path) -> dict[str, Entry]:
    """Every tensor of the checkpoint `PREFIX.index`, checked against the sizes of its data files.

    Raises:
        FauxleyError: files are missing, damaged, compressed, or not what they should be.
    """
    path = prefix.with_name(prefix.name + ".index")
    try:
        return _read_index(prefix, path)
    except (FauxleyError, struct.error) as error:
        raise FauxleyError(f"{path} is not a usable checkpoint index: {error}") from error


def read_tensor(name: str, entry: Entry) -> np.ndarray:
    """The values of a tensor, its checksum verified.

    Raises:
        FauxleyError: it is damaged, or of a type that is not read.
    """
    if entry.dtype is None:
        raise FauxleyError(f"variable {name} has a type that no official model has")
    values = np.fromfile(entry.file, np.uint8, entry.size, offset=entry.offset)
    if len(values) != entry.size or masked_crc32c(values) != entry.crc:
        raise FauxleyError(f"{entry.file} is damaged: the checksum of {name} does not match; copy the file again")
    return values.view(entry.dtype).reshape(entry.shape)


def _read_index(prefix: Path, path: Path) -> dict[str, Entry]:
    if not path.is_file():
        raise FauxleyError("there is no such file")
    if path.stat().st_size > _MAX_INDEX:
        raise FauxleyError(f"it is larger than {_MAX_INDEX >> 20} MiB")
    table = _pairs(path.read_bytes())
    key, value = next(table, (None, b""))
    if key != b"":
        raise FauxleyError("it has no header")
    files = _Files(prefix, _message(value))
    entries: dict[str, Entry] = {}
    for key, value in table:
        if len(entries) == _MAX_ENTRIES:
            raise FauxleyError(f"it has more than {_MAX_ENTRIES} variables")
        name = key.decode("utf-8", "replace")
        try:
            fields = _message(value)
            entries[name] = _entry(fields, *files.find(_integer(fields, 3)))
        except FauxleyError as error:
            raise FauxleyError(f"variable {name!r} {error}") from error
    return entries


class _Files:
    """The data files that the header counts, each looked at when a variable lies in it."""

    def __init__(self, prefix: Path, header: _Fields) -> None:
        self._prefix = prefix
        self._count = _integer(header, 1)
        if _integer(header, 2) != 0:
            raise FauxleyError("it was written on a big-endian machine")
        if not 1 <= self._count <= _MAX_FILES:
            raise FauxleyError(f"it claims {self._count} data files")
        self._found: dict[int, tuple[Path, int]] = {}

    def find(self, number: int) -> tuple[Path, int]:
        """A data file and its size in bytes."""
        if number >= self._count:
            raise FauxleyError(f"is to be in data file {number} of {self._count}")
        if number not in self._found:
            file = self._prefix.with_name(f"{self._prefix.name}.data-{number:05d}-of-{self._count:05d}")
            if not file.is_file():
                raise FauxleyError(f"is to be in {file.name}, which is missing")
            self._found[number] = file, file.stat().st_size
        return self._found[number]


def _entry(fields: _Fields, file: Path, file_size: int) -> Entry:
    code = _DTYPES.get(_integer(fields, 1))
    dtype = None if code is None else np.dtype(code)
    shape = _shape(fields)
    offset, size = _integer(fields, 4), _integer(fields, 5)
    if 7 in fields:
        raise FauxleyError("is stored in slices, which official checkpoints are not")
    if offset + size > file_size:
        raise FauxleyError(f"ends behind the end of {file.name}, which has {file_size} bytes")
    if dtype is not None and math.prod(shape) * dtype.itemsize != size:
        raise FauxleyError(f"has {size} bytes, which shape {shape} does not fit")
    return Entry(dtype, shape, file, offset, size, _integer(fields, 6))


def _shape(fields: _Fields) -> tuple[int, ...]:
    """TensorShapeProto: `dim` is field 2 and a dimension's size its field 1."""
    (message,) = fields.get(2, [b""])[-1:]
    if not isinstance(message, bytes):
        raise FauxleyError("has no proper shape")
    dims = _message(message).get(2, [])
    if len(dims) > _MAX_RANK:
        raise FauxleyError(f"has {len(dims)} dimensions")
    shape = tuple(_integer(_message(dim), 1) if isinstance(dim, bytes) else -1 for dim in dims)
    if any(not 0 <= size < 1 << 40 for size in shape):
        raise FauxleyError("has no proper shape")
    return shape


def _pairs(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a sorted table, in order."""
    footer = table[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise FauxleyError("its end is not that of a checkpoint index (cut short?)")
    _, place = _handle(footer, 0)
    handle, _ = _handle(footer, place)
    previous: bytes | None = None
    for _, value in _block_pairs(_block(table, *handle)):
        block, _ = _handle(value, 0)
        for key, item in _block_pairs(_block(table, *block)):
            if previous is not None and key <= previous:  # as well as wrong, without an end: blocks may be named twice
                raise FauxleyError("its keys are out of order")
            yield key, item
            previous = key


def _block(table: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER > len(table) - _FOOTER:
        raise FauxleyError("a block lies outside of it")
    compression, crc = struct.unpack("<BI", table[end : end + _TRAILER])
    if masked_crc32c(table[offset : end + 1]) != crc:
        raise FauxleyError("it is damaged: a checksum does not match")
    if compression:
        kind = "snappy" if compression == 1 else f"method {compression}"
        raise FauxleyError(f"it is compressed ({kind}); only uncompressed ones, as TensorFlow writes them, are read")
    return table[offset:end]


def _block_pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts  # where the list of restarts begins, which only searching needs
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        fresh, place = _varint(block, place)
        length, place = _varint(block, place)
        if shared > len(key) or shared + fresh > _MAX_KEY or place + fresh + length > end:
            raise FauxleyError("a block's entries do not fit into it")
        key = key[:shared] + block[place : place + fresh]
        place += fresh + length
        yield key, block[place - length : place]


def _handle(data: bytes, place: int) -> tuple[tuple[int, int], int]:
    offset, place = _varint(data, place)
    size, place = _varint(data, place)
    return (offset, size), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, and the place behind it."""
    number = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            raise FauxleyError("a number is cut short")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, place
    raise FauxleyError("a number is too long")


def _message(data: bytes) -> _Fields:
    """The fields of a protocol buffer: number → values."""
    fields: _Fields = {}
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        value: int | bytes
        match tag & 7:
            case 0:
                value, place = _varint(data, place)
            case 1 | 5 as kind:
                value, place = _bytes(data, place, 8 if kind == 1 else 4)
                value = int.from_bytes(value, "little")
            case 2:
                length, place = _varint(data, place)
                value, place = _bytes(data, place, length)
            case _:
                raise FauxleyError("has a damaged description")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _bytes(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    if place + length > len(data):
        raise FauxleyError("has a description cut short")
    return data[place : place + length], place + length


def _integer(fields: _Fields, number: int) -> int:
    """A field's last value, 0 if it is not there."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise FauxleyError("has a damaged description")
    return value
