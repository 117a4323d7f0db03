"""Reading: the official decoder's numbers, every format, the sound of a resampled tone, and files that lie."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.sounds.reading import AudioFileError, open_audio, probe, read_audio


def test_parity_decode_audio(parity_dir: Path) -> None:
    fixture = np.load(parity_dir / "loader" / "decode_audio.npz", allow_pickle=False)
    for key in fixture.files:
        name, channels, norm = key.rsplit("_", 3)[0], int(key.rsplit("_", 3)[1][3:]), key.rsplit("_", 3)[2]
        audio = read_audio(parity_dir / "loader" / "wavs" / f"{name}.wav", channels=channels)
        peak = np.abs(audio).max()
        if norm == "norm1" and peak > 0:
            audio = audio / peak
        expected = fixture[key][:, 0, :].T
        tolerance = 1e-7 * max(1, np.abs(expected).max()) if channels == 1 else 0
        np.testing.assert_allclose(audio, expected, rtol=0, atol=tolerance, err_msg=key)


def test_parity_decode_errors(parity_dir: Path) -> None:
    cases = json.loads((parity_dir / "manifest.json").read_text())["cases"]
    results = next(case["cfg"]["results"] for case in cases if case["file"] == "loader/decode_audio.npz")
    refused = [key for key, outcome in results.items() if "Number of audio channels" in outcome]
    assert refused
    for key in refused:
        name, channels = key.rsplit("_", 3)[0], int(key.rsplit("_", 3)[1][3:])
        with pytest.raises(AudioFileError, match="has 4 channels where 2 are wanted"):
            read_audio(parity_dir / "loader" / "wavs" / f"{name}.wav", channels=channels)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 96000])
def test_a_tone_keeps_pitch_level_and_length_when_resampled(tmp_path: Path, rate: int) -> None:
    time = np.arange(rate) / rate
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * time), rate, subtype="FLOAT")
    audio = read_audio(tmp_path / "tone.wav", 16000)[0]
    assert len(audio) == 16000
    middle = audio[1000:-1000]
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1000, 15000) / 16000)
    np.testing.assert_allclose(middle, expected, atol=1e-4)


def test_no_more_is_kept_than_is_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ramp.wav", np.arange(-16000, 16000) / 32768, 16000)
    audio = read_audio(tmp_path / "ramp.wav", longest=100)
    np.testing.assert_array_equal(audio[0] * 32768, np.arange(-16000, -15900))
    assert read_audio(tmp_path / "ramp.wav", longest=10**9).shape == (1, 32000)


def test_what_is_above_the_new_nyquist_frequency_is_gone(tmp_path: Path) -> None:
    tone = 0.9 * np.sin(2 * np.pi * 9000 * np.arange(44100) / 44100)
    soundfile.write(tmp_path / "tone.wav", tone, 44100, subtype="FLOAT")
    audio = read_audio(tmp_path / "tone.wav", 16000)[0]
    assert np.abs(audio[500:-500]).max() < 1e-5  # −100 dB


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        *[("WAV", subtype, 2**-7) for subtype in ("PCM_U8",)],
        *[("WAV", subtype, 2**-14) for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
        *[("WAV", subtype, 0.03) for subtype in ("ULAW", "ALAW", "IMA_ADPCM")],
        *[(container, "PCM_16", 2**-14) for container in ("RF64", "W64", "FLAC", "AIFF", "AU", "CAF", "WAVEX")],
        *[(container, subtype, 0.1) for container, subtype in (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))],
    ],
)
def test_formats(tmp_path: Path, container: str, subtype: str, tolerance: float) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    path = tmp_path / "tone.bin"  # the name must not matter
    soundfile.write(path, tone, 16000, format=container, subtype=subtype)
    audio = read_audio(path)
    assert probe(path).sample_rate == 16000
    error = audio[0, 200:7800] - tone[200:7800]
    assert np.sqrt(np.mean(error**2)) < tolerance


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("aac", "aac"), ("webm", "libopus"), ("mka", "aac")])
def test_formats_that_need_ffmpeg(tmp_path: Path, suffix: str, codec: str) -> None:
    av = pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    path = tmp_path / f"tone.{suffix}"
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate = 48000
        fifo = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=stream.frame_size or 960)
        for part in [*fifo.resample(frame), *fifo.resample(None), None]:
            for packet in stream.encode(part):
                container.mux(packet)
    audio = read_audio(path, 16000)[0]
    spectrum = np.abs(np.fft.rfft(audio[1000:15000]))
    assert abs(np.argmax(spectrum) * 16000 / 14000 - 440) < 2
    assert abs(len(audio) - 16000) < 1500  # an encoder pads to whole frames


def test_without_av_the_reason_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioFileError, match=r'pip install "fauxley\[ffmpeg\]"'):
        read_audio(tmp_path / "a.m4a")


def _wav(rate: int = 16000, channels: int = 1, promised: int = 4, data: bytes = b"\1\2\3\4") -> bytes:
    layout = struct.pack("<HHIIHH", 1, channels, rate, (rate * channels * 2) & 0xFFFFFFFF, channels * 2 & 0xFFFF, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt \x10\0\0\0"
        + layout
        + b"data"
        + struct.pack("<I", promised)
        + data
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_wav(rate=1), "1 Hz is not plausible"),
        (_wav(rate=4_000_000_000), "plausible|recognised|broken|Error|rate"),
        (_wav(channels=0), "."),
        (_wav(channels=60000), "."),
        (b"RIFF\xff\xff\xff\xffWAVE", "."),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "not recognised"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "not recognised"),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(50), "."),
    ],
)
def test_files_that_lie_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "liar.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=reason):
        read_audio(path)


def test_a_header_that_promises_gigabytes_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "liar.wav"
    path.write_bytes(_wav(promised=0x7FFFFF00))
    assert read_audio(path).shape == (1, 2)


def test_cut_and_damaged_files_never_crash(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tone = 0.5 * np.sin(np.arange(4000) / 10)
    for number, container in enumerate(("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF")):
        path = tmp_path / f"whole.{number}"
        soundfile.write(path, tone, 16000, format=container)
        content = np.frombuffer(path.read_bytes(), np.uint8)
        for trial in range(15):
            damaged = content[: random.integers(1, len(content))].copy() if trial % 2 else content.copy()
            damaged[random.integers(0, len(damaged), 8)] = random.integers(0, 256, 8)
            victim = tmp_path / "victim.wav"
            victim.write_bytes(damaged.tobytes())
            try:
                audio = read_audio(victim, 16000, 1)
            except AudioFileError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert audio.dtype == np.float32


def test_decoders_keep_quiet(tmp_path: Path) -> None:
    """mpg123 inside libsndfile prints notes about damaged MP3 files on stderr."""
    path = tmp_path / "damaged.mp3"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(40000), 16000, format="MP3")
    content = bytearray(path.read_bytes())
    content[600:3000] = bytes(2400)
    path.write_bytes(content)
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(1).bytes(4000))
    code = (
        "import sys, pathlib; from fauxley.sounds.reading import read_audio; from fauxley.errors import FauxleyError\n"
        "for name in sys.argv[1:]:\n"
        "  try: read_audio(pathlib.Path(name))\n"
        "  except FauxleyError: pass\n"
        "print('still here', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "noise.mp3"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "still here\n"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioFileError, match="regular file"):
        read_audio(tmp_path / "pipe.wav")
    with pytest.raises(AudioFileError, match="cannot be opened"):
        read_audio(tmp_path / "nothing.wav")


def test_nothing_is_opened_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with a colon would be URLs to FFmpeg."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:x.m4a").write_bytes(b"junk" * 100)
    with pytest.raises(AudioFileError, match="not recognised"), open_audio(Path("http:x.m4a")):
        pass
