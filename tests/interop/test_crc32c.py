import random

import pytest

from fauxley.interop.crc32c import crc32c


def bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_checksum_is_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    data = random.Random(0).randbytes(9000)
    for length in (0, 1, 511, 2047, 2048, 2049, 4096, 9000):
        assert crc32c(data[:length]) == bit_by_bit(data[:length])


def test_the_checksum_goes_on_from_piece_to_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(20_000)
    whole = crc32c(data)
    monkeypatch.setattr("fauxley.interop.crc32c._PIECE", 4096)
    assert crc32c(data) == whole
