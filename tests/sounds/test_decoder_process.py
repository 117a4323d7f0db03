"""Decoders that hang, crash or take all memory are stopped; the file is named and the next one is read."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset.folder_report import scan_folder
from fauxley.dataset.packing import pack
from fauxley.sounds import decoder_process
from fauxley.sounds.reading import AudioFileError, open_audio, probe, read_audio

pytestmark = pytest.mark.slow

# Stands in for decoders with bugs: what a file begins with is what it does to them.
_HAUNTED = """
import ctypes, fauxley.sounds.decoders as decoders, numpy, os, time
real, count = decoders.decode, 0
def decode(file, header_only, outlet):
    global count
    count += 1
    head = file.read(4)
    if head == b"HANG":
        ctypes.PyDLL(None).sleep(600)  # C code that never returns and keeps the interpreter to itself
    if head == b"SPIN":
        time.sleep(600)
    if head == b"FALL":
        os.abort()
    if head == b"2ND!" and count > 1:
        os.abort()
    if head == b"FATT":
        numpy.ones(1 << 33, numpy.uint8)
    if head == b"TYPE":
        raise TypeError("of the decoder")
    if head in (b"TRIC", b"2ND!"):
        info = b'{"format": "X", "subtype": "Y", "sample_rate": 16000, "channels": 1, "num_samples": 0}'
        outlet.send(decoders.INFO, info)
        for _ in range(1000 if head == b"TRIC" else 2):
            outlet.send(decoders.BLOCK, numpy.zeros(1600, "f4").data.cast("B"))
            outlet.flush()
            time.sleep(0.5 if head == b"TRIC" else 0)
        return outlet.send(decoders.DONE, b"[]")
    real(file, header_only, outlet)
decoders.decode = decode
decoders.serve()
"""


@pytest.fixture
def haunted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with a good sound; what is read from it is read by decoders with bugs."""
    decoder_process.close_idle()
    start = decoder_process._START.partition("from fauxley.sounds.decoders")[0]
    monkeypatch.setattr(decoder_process, "_START", start + f"exec({_HAUNTED!r})")
    monkeypatch.setattr(decoder_process, "PATIENCE_SECONDS", 1.0)
    folder = tmp_path / "haunted"
    folder.mkdir()
    soundfile.write(folder / "good.wav", 0.1 * np.random.default_rng(0).standard_normal(1600), 16000)
    yield folder
    decoder_process.close_idle()


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"SPIN", "came to no end"),
        (b"TRIC", "came to no end"),  # a block now and then, slower than the sound itself
        (b"FALL", "crashed"),
        (b"TYPE", "its decoder failed"),
        pytest.param(b"HANG", "came to no end", marks=pytest.mark.skipif(os.name != "posix", reason="needs sleep(3)")),
        pytest.param(
            b"FATT", "too much memory", marks=pytest.mark.skipif(sys.platform != "linux", reason="no such limit")
        ),
    ],
)
def test_a_file_that_is_too_much_for_a_decoder_is_named(haunted: Path, head: bytes, reason: str) -> None:
    (haunted / "bad.wav").write_bytes(head + bytes(100))
    with pytest.raises(AudioFileError, match=reason) as raised:
        read_audio(haunted / "bad.wav")
    assert "bad.wav" in str(raised.value)
    assert read_audio(haunted / "good.wav").shape == (1, 1600)


def test_scan_and_prepare_go_on(haunted: Path) -> None:
    for number, head in enumerate((b"FALL", b"SPIN", b"FALL", b"TYPE")):
        (haunted / f"{number}.wav").write_bytes(head + bytes(100))
    report = scan_folder(haunted, n_jobs=1)
    dataset = pack(haunted, haunted.parent / "dataset", n_jobs=1)
    assert [file.file for file in report.files] == [entry.file for entry in dataset.entries] == ["good.wav"]
    assert [skip.reason for skip in report.skipped] == [skip.reason for skip in dataset.skipped()]
    assert len(report.skipped) == 4


def test_who_finds_a_damaged_process_is_not_blamed(haunted: Path) -> None:
    """Memory that one file spoilt may make another fall: that is tried again in a fresh process."""
    (haunted / "victim.wav").write_bytes(b"2ND!" + bytes(100))
    assert read_audio(haunted / "good.wav").shape == (1, 1600)
    assert read_audio(haunted / "victim.wav").shape == (1, 3200)


def test_giving_up_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(1 << 20), 16000)
    soundfile.write(tmp_path / "short.wav", np.full(100, 0.5), 16000)
    with open_audio(tmp_path / "long.wav") as source:
        assert len(next(source.blocks())) < 1 << 20
    assert read_audio(tmp_path / "short.wav")[0, 0] == 0.5
    assert probe(tmp_path / "long.wav").num_samples == 1 << 20
    assert read_audio(tmp_path / "short.wav")[0, 0] == 0.5


def test_another_working_folder_and_names_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_audio_of = tmp_path / "one"
    read_audio_of.mkdir()
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 16000)
    read_audio(tmp_path / "a.wav")  # a process is running from now on
    (tmp_path / "a.wav").rename(read_audio_of / "b\udcff\n.wav")
    monkeypatch.chdir(read_audio_of)
    assert read_audio(Path("b\udcff\n.wav")).shape == (1, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("head", ["SPIN", "good"])
def test_a_decoder_ends_with_its_parent(haunted: Path, head: str) -> None:
    (haunted / "bad.wav").write_bytes(head.encode() + bytes(100))
    code = (
        f"from fauxley.sounds import decoder_process as d; from fauxley.sounds.reading import read_audio\n"
        f"from pathlib import Path; d._START = {decoder_process._START!r}; folder = Path({str(haunted)!r})\n"
        "read_audio(folder / 'good.wav'); print(d._idle[0]._process.pid, flush=True)\n"
        "read_audio(folder / 'bad.wav')\nimport time; time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the decoder process outlived its parent")
