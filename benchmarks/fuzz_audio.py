"""Damages audio files of all formats and reads them: none may stop a folder, hang, crash or eat memory.

    python benchmarks/fuzz_audio.py [--count 600] [--seed 0] [--keep FOLDER]

Seeds are short tones in every format that libsndfile and, where they are installed, FFmpeg can write. Each is damaged
by a few of: flipped bits, bytes set to extremes, 32-bit fields overwritten with sizes that lie, a cut, a stretch
removed, doubled or spliced in from another file, a second file joined. The folder is scanned and prepared as a user
would; printed are the outcomes, the reasons, the slowest file and the memory that was needed.
"""

import argparse
import io
import re
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fauxley.dataset.folder_report import FileReport, measure, scan_folder
from fauxley.dataset.packing import pack

_SNDFILE = [
    *[("wav", "WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE")],
    *[("wav", "WAV", s) for s in ("ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")],
    *[("wav", f, "PCM_16") for f in ("WAVEX", "RF64")],
    *[("w64", "W64", s) for s in ("PCM_16", "IMA_ADPCM")],
    *[("aiff", "AIFF", s) for s in ("PCM_16", "FLOAT", "DWVW_16", "IMA_ADPCM")],
    *[("au", "AU", s) for s in ("PCM_16", "ULAW", "G721_32")],
    *[("caf", "CAF", s) for s in ("PCM_16", "ALAC_16")],
    *[("flac", "FLAC", s) for s in ("PCM_16", "PCM_24")],
    *[("ogg", "OGG", s) for s in ("VORBIS", "OPUS")],
    ("mp3", "MP3", "MPEG_LAYER_III"),
]  # fmt: skip
# Written by FFmpeg: ending → codec.
_FFMPEG = [
    ("m4a", "aac"), ("m4a", "alac"), ("aac", "aac"), ("mp4", "aac"), ("webm", "libopus"), ("mka", "pcm_s16le"),
    ("ac3", "ac3"), ("wma", "wmav2"), ("wv", "wavpack"), ("mov", "pcm_s16be"), ("mp3", "libmp3lame"),
]  # fmt: skip
_LIES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF, 0x10000, 0x00FFFFFF)


def seeds(random: np.random.Generator) -> list[tuple[str, bytes]]:
    """Whole files, ending and content, of tones in noise."""
    files = []
    for suffix, container, subtype in _SNDFILE:
        rate = 48000 if subtype == "OPUS" else 16000
        channels = 1 if subtype in ("G721_32", "GSM610", "IMA_ADPCM", "DWVW_16") else int(random.integers(1, 3))
        encoded = io.BytesIO()
        soundfile.write(encoded, tone(random, rate, channels), rate, format=container, subtype=subtype)
        files.append((suffix, encoded.getvalue()))
    try:
        import av
    except ImportError:
        return files
    for suffix, codec in _FFMPEG:
        try:
            files.append((suffix, encode(av, suffix, codec, tone(random, 48000, 1)[:, 0])))
        except Exception as error:  # this build of FFmpeg does not write it
            print(f"no seed for {codec} in .{suffix}: {error}", file=sys.stderr)
    return files


def tone(random: np.random.Generator, rate: int, channels: int) -> np.ndarray:
    time = np.arange(int(0.4 * rate))[:, None] / rate
    sound = 0.4 * np.sin(2 * np.pi * random.uniform(100, 2000, channels) * time) + 0.02 * random.standard_normal(
        (len(time), channels)
    )
    return np.clip(sound, -1, 1).astype(np.float32)


def encode(av: Any, suffix: str, codec: str, sound: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed.{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=48000, layout="mono")
            frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            frame.sample_rate = 48000
            stream.bit_rate = 64_000
            size = stream.frame_size or 960
            queue = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=size)
            for part in [*queue.resample(frame), *queue.resample(None), None]:
                for packet in stream.encode(part):
                    container.mux(packet)
        return path.read_bytes()


def damage(content: bytes, others: list[bytes], random: np.random.Generator) -> bytes:
    """`content` after one to four injuries."""
    data = bytearray(content)
    for _ in range(random.integers(1, 5)):
        size = len(data)
        # Half of the injuries hit the header, where they do most.
        place = int(random.integers(min(size, 256)) if random.random() < 0.5 else random.integers(size))
        other = others[random.integers(len(others))]
        begin, stretch = int(random.integers(len(other))), int(random.integers(1, max(size // 4, 2)))
        lie = int(random.choice(_LIES)).to_bytes(4, "little" if random.random() < 0.7 else "big")
        injuries = [
            (place, place + 4, lie),
            (place, place + 4, bytes([int(random.choice([0, 0x7F, 0x80, 0xFF]))]) * 4),
            (max(place, 4), size, b""),  # a cut
            (place, place + stretch, b""),
            (place, place, bytes(data[place : place + stretch])),
            (place, place + stretch, other[begin : begin + stretch]),
            (size, size, other),  # a second file
        ]
        kind = int(random.integers(len(injuries) + 1))
        if kind == len(injuries):
            for bit in random.integers(8 * size, size=random.integers(1, 20)).tolist():
                data[bit // 8] ^= 1 << bit % 8
        else:
            first, last, instead = injuries[kind]
            data[first:last] = instead
        if len(data) < 4:
            data = bytearray(content[:16])
    return bytes(data)


def write_victims(folder: Path, count: int, seed: int) -> None:
    """Write `count` damaged files and ten whole ones to `folder`."""
    random = np.random.default_rng(seed)
    whole = seeds(random)
    contents = [content for _, content in whole]
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(10):
        suffix, content = whole[index]
        (folder / f"good-{index}.{suffix}").write_bytes(content)
    for index in range(count):
        suffix, content = whole[index % len(whole)]
        (folder / f"{index:05d}.{suffix}").write_bytes(damage(content, contents, random))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the files there and leave them")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary) / "victims"
        write_victims(folder, arguments.count, arguments.seed)
        slowest = 0.0, ""
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        odd: Counter[str] = Counter()
        for path in sorted(folder.iterdir()):
            begin = time.perf_counter()
            report = measure(folder, path.name)
            slowest = max(slowest, (time.perf_counter() - begin, path.name))
            if isinstance(report, FileReport):
                outcomes["used with a warning" if report.problems else "used"] += 1
                odd.update(kind_of(problem) for problem in report.problems)
            else:
                outcomes["named and passed over"] += 1
                reasons[kind_of(report.reason)] += 1
        begin = time.perf_counter()
        scan = scan_folder(folder, n_jobs=2)
        scanned = time.perf_counter() - begin
        dataset = pack(folder, Path(temporary) / "dataset", n_jobs=2)
        assert {file.file for file in scan.files} == {entry.file for entry in dataset.entries}
        assert sum(file.file.startswith("good-") for file in scan.files) == 10
    usages = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{arguments.count} damaged files, seed {arguments.seed}, and 10 whole ones among them")
    for title, counts in (("outcomes", outcomes), ("reasons", reasons), ("warnings", odd)):
        print(f"{title}:")
        for what, count in counts.most_common(25):
            print(f"  {count:5d}  {what}")
    print(f"slowest: {slowest[0]:.1f} s ({slowest[1]}); scan with 2 workers {scanned:.1f} s")
    print(f"at most {max(usages) / 1024:.0f} MB a process")


def kind_of(text: str) -> str:
    """A message without what differs from file to file."""
    return re.sub(r"0x[0-9A-F]+|[0-9.]+(e[+-]?[0-9]+)?", "N", text.split(";")[0])[:70]


if __name__ == "__main__":
    main()
