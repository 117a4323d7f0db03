"""Headers that lie: sizes never filled in, totals unknown or wrong, recordings joined end to end, lengths estimated."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset.folder_report import FileReport, measure
from fauxley.sounds.reading import AudioFileError, probe, read_audio

RATE = 16000
TONE = (0.3 * np.sin(np.arange(3200) / 10)).astype(np.float32)


def _encode(container: str, subtype: str = "PCM_16", audio: np.ndarray = TONE, rate: int = RATE, **more) -> bytearray:
    encoded = io.BytesIO()
    soundfile.write(encoded, audio, rate, format=container, subtype=subtype, **more)
    return bytearray(encoded.getvalue())


def _measure(folder: Path, content: bytes) -> FileReport:
    (folder / "sound.wav").write_bytes(content)
    report = measure(folder, "sound.wav")
    assert isinstance(report, FileReport), report
    return report


def _fields(container: str, subtype: str, *changes: tuple[bytes, int, str, int]) -> bytearray:
    """A file in which numbers are overwritten: after which mark, at what distance, in which format, with what."""
    content = _encode(container, subtype)
    for mark, distance, form, value in changes:
        struct.pack_into(form, content, content.index(mark) + distance, value)
    return content


_UNFILLED = {
    **{
        f"WAV {subtype}, RIFF {riff:#x}": ("WAV", subtype, (b"RIFF", 4, "<I", riff), (b"data", 4, "<I", 0))
        for subtype in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM")
        for riff in (0, 36, 44, 4088, 0xFFFFFFFF)
    },
    "WAV, data 8": ("WAV", "PCM_16", (b"data", 4, "<I", 8)),
    "WAVEX": ("WAVEX", "PCM_16", (b"data", 4, "<I", 0)),
    "RF64, zeros": ("RF64", "PCM_16", (b"ds64", 8, "<Q", 0), (b"ds64", 16, "<Q", 0), (b"ds64", 24, "<Q", 0)),
    "RF64, ones": ("RF64", "PCM_16", (b"ds64", 8, "<Q", 2**64 - 1), (b"ds64", 16, "<Q", 2**64 - 1)),
    "W64, zeros": ("W64", "PCM_16", (b"riff", 16, "<Q", 0), (b"data\xf3", 16, "<Q", 0)),
    "W64, an empty chunk": ("W64", "PCM_16", (b"data\xf3", 16, "<Q", 24)),
    "W64, ones": ("W64", "PCM_16", (b"riff", 16, "<Q", 2**63 - 1), (b"data\xf3", 16, "<Q", 2**63 - 1)),
    "AU": ("AU", "PCM_16", (b".snd", 8, ">I", 0)),
    "AU mu-law": ("AU", "ULAW", (b".snd", 8, ">I", 0)),
    "AIFF, nothing": ("AIFF", "PCM_16", (b"FORM", 4, ">I", 0), (b"COMM", 10, ">I", 0), (b"SSND", 4, ">I", 0)),
    "AIFF, no frames": ("AIFF", "PCM_24", (b"COMM", 10, ">I", 0)),
    "AIFF, empty": ("AIFF", "PCM_16", (b"FORM", 4, ">I", 46), (b"COMM", 10, ">I", 0), (b"SSND", 4, ">I", 8)),
    "AIFF DWVW": ("AIFF", "DWVW_16", (b"COMM", 10, ">I", 0)),
    "CAF": ("CAF", "PCM_16", (b"data", 4, ">q", 0)),
    "CAF, edit count alone": ("CAF", "PCM_16", (b"data", 4, ">q", 4)),
}


@pytest.mark.parametrize("name", _UNFILLED)
def test_sizes_that_were_never_filled_in(tmp_path: Path, name: str, with_ffmpeg: bool) -> None:
    report = _measure(tmp_path, _fields(*_UNFILLED[name]))
    whole = _measure(tmp_path, _encode(*_UNFILLED[name][:2]))
    # Nothing is lost; behind blocks of ADPCM a byte or a PEAK chunk may be taken for sound.
    assert 0 <= report.num_samples - whole.num_samples <= 16
    assert report.num_samples >= 3200
    assert any("never filled in" in problem for problem in report.problems)
    assert abs(report.peak - whole.peak) < 1e-6


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AU", "AIFF", "CAF"])
def test_an_empty_file_stays_empty_and_a_cut_one_says_so(tmp_path: Path, container: str, with_ffmpeg: bool) -> None:
    (tmp_path / "empty.wav").write_bytes(_encode(container, audio=np.zeros((0, 1))))
    report = measure(tmp_path, "empty.wav")
    assert not isinstance(report, FileReport)
    assert "no samples" in report.reason
    cut = _measure(tmp_path, _encode(container)[:-2000])
    assert cut.num_samples == 2200
    assert [problem.split(":")[0] for problem in cut.problems] == ["truncated"]


def test_chunks_behind_the_samples_are_no_samples(tmp_path: Path, with_ffmpeg: bool) -> None:
    text = b"INFOISFT\x0e\0\0\0Lavf58.76.100\0"
    for audio, expected in ((TONE, 3200), (np.zeros((0, 1)), None)):
        content = bytes(_encode("WAV", audio=audio)) + b"LIST" + struct.pack("<I", len(text)) + text
        (tmp_path / "tagged.wav").write_bytes(content)
        report = measure(tmp_path, "tagged.wav")
        assert getattr(report, "num_samples", None) == expected


@pytest.mark.parametrize("total", [0, 100, 2**36 - 1])
def test_totals_of_flac_are_not_believed(tmp_path: Path, total: int, with_ffmpeg: bool) -> None:
    content = _encode("FLAC")
    fields = int.from_bytes(content[18:26], "big")
    content[18:26] = (fields >> 36 << 36 | total).to_bytes(8, "big")
    assert _measure(tmp_path, content).num_samples == 3200


@pytest.mark.parametrize("frames", [0xFFFFFFFF, 99_999, 3201])
def test_totals_of_compressed_aiff_are_not_believed(tmp_path: Path, frames: int, with_ffmpeg: bool) -> None:
    report = _measure(tmp_path, _fields("AIFF", "DWVW_16", (b"COMM", 10, ">I", frames)))
    assert 3200 <= report.num_samples <= 3208  # the last bits of a byte may be taken for sound


def _tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return np.repeat(0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)[:, None], channels, axis=1)


def _pitches(path: Path) -> list[float]:
    """The loudest frequency of each quarter of a second, in Hz."""
    audio, rate = read_audio(path, channels=1)[0], probe(path).sample_rate
    pieces = [audio[start : start + rate // 4] for start in range(0, len(audio) - rate // 4, rate // 4)]
    return [float(np.argmax(np.abs(np.fft.rfft(piece * np.hanning(len(piece))))) * 4) for piece in pieces]


@pytest.mark.parametrize(
    ("container", "subtype", "rate"),
    [
        ("OGG", "VORBIS", 48000),
        ("OGG", "OPUS", 48000),
        ("FLAC", "PCM_16", 44100),
        ("MP3", "MPEG_LAYER_III", 44100),
        ("MP3", "MPEG_LAYER_III", 16000),
        ("WAV", "PCM_16", 44100),
        ("AIFF", "PCM_16", 44100),
    ],
)
def test_joined_recordings_are_read_to_the_end(
    tmp_path: Path, container: str, subtype: str, rate: int, with_ffmpeg: bool
) -> None:
    one = bytes(_encode(container, subtype, _tone(0.7, rate), rate))
    half_rate = rate if subtype == "OPUS" else rate // 2
    other = bytes(_encode(container, subtype, _tone(0.5, half_rate, 2), half_rate))
    for content, seconds in ((one, 0.7), (one + one + one, 2.1), (one + other, 1.2), (other + one, 1.2)):
        report = _measure(tmp_path, content)
        assert report.duration_seconds == pytest.approx(seconds, abs=0.01)
        assert not any("truncated" in problem for problem in report.problems)
        assert _pitches(tmp_path / "sound.wav") == pytest.approx([440] * len(_pitches(tmp_path / "sound.wav")), abs=8)


def _without_first_frame(mp3: bytes) -> bytes:
    """An MP3 file without the frame that tells its length."""
    second = mp3.index(mp3[:2], 4)
    while mp3[second + 1] & 0xE0 != 0xE0 or second < 100:
        second = mp3.index(mp3[:2], second + 1)
    assert b"Xing" in mp3[:second] or b"Info" in mp3[:second]
    return mp3[second:]


def test_variable_bit_rate_without_a_length(tmp_path: Path, with_ffmpeg: bool) -> None:
    """The length is estimated from the first frames, which are of silence and small."""
    audio = 0.1 * np.random.default_rng(0).standard_normal((3 * 44100, 1))
    audio[-44100:] = 0
    audio = audio[::-1]
    whole = bytes(_encode("MP3", "MPEG_LAYER_III", audio, 44100, bitrate_mode="VARIABLE", compression_level=0.3))
    loud_first = bytes(_encode("MP3", "MPEG_LAYER_III", audio[::-1], 44100, bitrate_mode="VARIABLE"))
    for content in (whole, loud_first):
        report = _measure(tmp_path, _without_first_frame(content))
        short = report.duration_seconds < 2.95
        assert not (short and with_ffmpeg)
        assert short == any("less was read than is there" in problem for problem in report.problems)
        assert report.duration_seconds < 3.1
        assert not any("truncated" in problem for problem in report.problems)


@pytest.mark.parametrize("tag", [0x0003, 0x0028, 0x0092, 0x0131, 0x674F, 0x704F, 0x1234])
def test_a_wav_of_another_codec_is_named(tmp_path: Path, tag: int, with_ffmpeg: bool) -> None:
    (tmp_path / "a.wav").write_bytes(_fields("WAV", "PCM_16", (b"fmt ", 8, "<H", tag)))
    with pytest.raises(AudioFileError, match=f"no decoder for its codec .*0x{tag:04X}"):
        probe(tmp_path / "a.wav")


@pytest.mark.parametrize("channels", [65, 255, 1024])
def test_more_channels_than_anyone_has_loudspeakers(tmp_path: Path, channels: int, with_ffmpeg: bool) -> None:
    (tmp_path / "a.wav").write_bytes(_encode("WAV", audio=np.zeros((10, channels))))
    with pytest.raises(AudioFileError, match=f"has {channels} channels"):
        probe(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("head", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s31390--f50d7ac.wav\n", "git annex get"),
        (b"bplist00\xd4\x01\x02", "iCloud"),
        (b"CAT \0\0\x10\0REX2HEAD", "REX"),
        (b"\x12\x90\xa8\x7f\0\0\0\1", "Kontakt"),
        (b"PK\3\4\x14\0", "ZIP"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        ("hello, these are some notes. ".encode("utf-16") * 1 + "they go on".encode("utf-16-le") * 40, ""),
        (b"\xff\xfb" * 600, ""),
        (b"\0" * 5000, ""),
        (b"just some notes", ""),
    ],
)
def test_what_is_no_audio_is_called_what_it_is(tmp_path: Path, head: bytes, hint: str, with_ffmpeg: bool) -> None:
    for suffix in ("wav", "mp3", "flac"):
        (tmp_path / f"a.{suffix}").write_bytes(head)
        with pytest.raises(AudioFileError, match="not recognised as audio") as raised:
            probe(tmp_path / f"a.{suffix}")
        assert hint in raised.value.reason


def test_hours_of_nothing_are_too_long(tmp_path: Path) -> None:
    with (tmp_path / "sparse.wav").open("wb") as file:
        file.write(_fields("WAV", "PCM_U8", (b"fmt ", 12, "<I", 8000), (b"data", 4, "<I", 3_900_000_000))[:44])
        file.truncate(3_900_000_044)
    with pytest.raises(AudioFileError, match="longer than 24 hours"):
        probe(tmp_path / "sparse.wav")


def test_entries_larger_than_the_file_are_not_given_to_decoders(tmp_path: Path, with_ffmpeg: bool) -> None:
    for size in (0xFFFFFFF8, 0x80000000, 0x7FFFFFFF):
        text = b"INFOIXYZ" + struct.pack("<I", size) + b"abc\0"
        for place in (12, 36):
            content = _encode("WAV")
            content[place:place] = b"LIST" + struct.pack("<I", len(text)) + text
            (tmp_path / "a.wav").write_bytes(content)
            with pytest.raises(AudioFileError, match="larger than the file"):
                probe(tmp_path / "a.wav")


@pytest.mark.parametrize("tag", [b"apac", b"ac-4", b"mhm1", b"xyz1"])
def test_the_first_track_that_can_be_decoded_is_taken(tmp_path: Path, tag: bytes) -> None:
    av = pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    path = tmp_path / "tracks.m4a"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=rate, layout="mono") for rate in (44100, 48000)]
        for stream, rate in zip(streams, (44100, 48000), strict=True):
            frame = av.AudioFrame.from_ndarray(_tone(1, rate).T.astype(np.float32).copy(), format="fltp", layout="mono")
            frame.sample_rate = rate
            for part in [*av.AudioResampler("fltp", "mono", rate, frame_size=1024).resample(frame), None]:
                for packet in stream.encode(part):
                    container.mux(packet)
    content = path.read_bytes()
    assert content.count(b"mp4a") == 2
    path.write_bytes(content.replace(b"mp4a", tag, 1).replace(b"esds", b"xxxx", 1))
    assert probe(path).sample_rate == 48000
    assert abs(read_audio(path).shape[1] - 48000) < 2500
    path.write_bytes(content.replace(b"mp4a", tag).replace(b"esds", b"xxxx"))
    with pytest.raises(AudioFileError, match="no decoder for its codec"):
        probe(path)
