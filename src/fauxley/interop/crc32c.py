"""CRC-32C (Castagnoli), the checksum of TensorFlow's files, fast enough in numpy for hundreds of megabytes.

A CRC is a loop over bytes, which Python is slow at, but it is linear: the CRC of a whole is the exclusive or of its
parts' CRCs, each moved on by as many zero bytes as follow it. So the data is cut into lanes of equal length, all lanes
go through the loop side by side, two bytes at a time, and are then merged in pairs.
"""

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # bits reversed
_LANE_BITS = 9
_LANE = 1 << _LANE_BITS  # bytes
_PIECE = 1 << 22  # bytes looked at together: bounds memory
_SHORT = 2048  # bytes below which a plain loop is faster


def crc32c(data: bytes | np.ndarray) -> int:
    """The checksum of bytes, or of an array (N,) of uint8: 0xE3069283 for b"123456789"."""
    values = np.frombuffer(data, np.uint8)
    crc = 0xFFFFFFFF
    for start in range(0, len(values), _PIECE):
        piece = values[start : start + _PIECE]
        crc = _loop(crc, piece) if len(piece) < _SHORT else _lanes(crc, piece)
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """The checksum as TensorFlow stores it: rotated and shifted, lest a checksum of checksums be a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _loop(crc: int, piece: np.ndarray) -> int:
    table = _bytes_table()
    for byte in piece.tobytes():
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def _lanes(crc: int, piece: np.ndarray) -> int:
    count = 1 << (-(-len(piece) // _LANE) - 1).bit_length()
    padded = np.zeros(count * _LANE, np.uint8)  # zeros in front change nothing: the lanes start from 0
    used = padded[len(padded) - len(piece) :]
    used[:] = piece
    used[:4] ^= np.frombuffer(crc.to_bytes(4, "little"), np.uint8)  # as good as starting from `crc`
    table = _table(16)
    state = np.zeros(count, np.uint32)
    for words in np.ascontiguousarray(padded.view("<u2").reshape(count, -1).T):
        state ^= words
        state = table[state & 0xFFFF] ^ state >> 16
    bits = _LANE_BITS
    while len(state) > 1:
        state = _apply(_zeros(bits), state[0::2]) ^ state[1::2]
        bits += 1
    return int(state[0])


@cache
def _table(bits: int) -> np.ndarray:
    """What is left of each remainder below 2^bits after that many more zero bits."""
    table: np.ndarray = np.arange(1 << bits, dtype=np.uint32)
    for _ in range(bits):
        table = table >> 1 ^ (table & 1) * np.uint32(_POLYNOMIAL)
    return table


@cache
def _bytes_table() -> list[int]:
    return [int(value) for value in _table(8)]


@cache
def _zeros(bits: int) -> np.ndarray:
    """What 2^bits zero bytes make of a remainder: the images (32,) of its single bits."""
    if bits == 0:
        single = np.uint32(1) << np.arange(32, dtype=np.uint32)
        images: np.ndarray = _table(8)[single & 0xFF] ^ single >> 8
        return images
    half = _zeros(bits - 1)
    return _apply(half, half)


def _apply(images: np.ndarray, values: np.ndarray) -> np.ndarray:
    result = np.zeros_like(values)
    for bit, image in enumerate(images):
        result ^= (values >> np.uint32(bit) & 1) * image
    return result
