"""Writing the hits of recordings as separate files, at the recording's rate, channels and level."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fauxley.dataset.cutting import Cutter, Cutting, Hit, fade_ends
from fauxley.sounds.catalogue import Sound
from fauxley.sounds.finding import Skipped
from fauxley.sounds.measurements import Levels
from fauxley.sounds.reading import AudioFileError, AudioFileInfo, Float, open_audio
from fauxley.sounds.writing import write_audio

_SUBTYPES = {
    "wav": {"PCM_24": "PCM_24", "PCM_32": "PCM_24", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"},
    "flac": {"PCM_24": "PCM_24", "PCM_32": "PCM_24", "FLOAT": "PCM_24", "DOUBLE": "PCM_24"},
}  # by the recording's sample format; otherwise 16 bits


@dataclass(frozen=True)
class HitFile:
    """A row of cuts.csv: a hit that was written, and its place in the recording.

    Attributes:
        file: its name, relative to the folder of cuts, with forward slashes.
        source: the recording's name, relative to the recordings' folder.
        label: "" if it has none.
        start_seconds: the hit's start in the recording.
        seconds: its duration.
        start_sample: its start, in samples of the recording.
        num_samples: its duration in samples, per channel.
        sample_rate: in Hz.
        channels: the number of channels.
        peak_dbfs: its largest |x| in dB relative to full scale.
        license: from the recordings' manifest.csv, or "".
    """

    file: str
    source: str
    label: str
    start_seconds: float
    seconds: float
    start_sample: int
    num_samples: int
    sample_rate: int
    channels: int
    peak_dbfs: float
    license: str


def find_hits(path: Path, cutting: Cutting) -> tuple[AudioFileInfo, list[Hit]]:
    """Find the hits of a recording; returns the recording's properties and the hits.

    Raises:
        AudioFileError: the recording cannot be used.
    """
    levels = Levels()
    with open_audio(path) as source:
        cutter = Cutter(source.info.sample_rate, cutting)
        for _ in cutter.watch(levels.watch(source)):
            pass
        info = source.info
    if defect := levels.defect():
        raise AudioFileError(path, defect)
    return info, cutter.hits()


def read_hits(path: Path, hits: Sequence[Hit], cutting: Cutting) -> Iterator[Float]:
    """Read hits of a recording, in order, each (C, T) and faded; decodes no further than the last hit.

    Raises:
        AudioFileError: the recording cannot be used.
    """
    with open_audio(path) as source:
        fade_out = round(cutting.fade_out_seconds * source.info.sample_rate)
        blocks = source.blocks()
        held = np.zeros((0, source.info.channels), np.float32)
        begin = 0  # the sample at which `held` begins
        for hit in hits:
            held, begin = held[max(hit.begin - begin, 0) :], begin + min(max(hit.begin - begin, 0), len(held))
            parts = [held]
            size = len(held)
            while begin + size < hit.end:
                block = next(blocks, None)
                if block is None:
                    break
                if begin + size + len(block) <= hit.begin:  # between two hits
                    parts, begin, size = [held[:0]], begin + size + len(block), 0
                    continue
                parts.append(block)
                size += len(block)
            held = np.concatenate(parts)
            held, begin = held[hit.begin - begin :], hit.begin
            yield fade_ends(held[: hit.num_samples].T, hit.attack - hit.begin, fade_out)


def write_hits(
    folder: Path, sound: Sound, stem: str, out: Path, ending: str, cutting: Cutting
) -> list[HitFile] | Skipped:
    """Write the hits of a recording of `folder` to `out` as STEM-0001 and so on; `ending` is .wav or .flac."""
    path = folder / sound.file
    written = []
    try:
        info, hits = find_hits(path, cutting)
        for number, (hit, audio) in enumerate(zip(hits, read_hits(path, hits, cutting), strict=True), 1):
            name = f"{stem}-{number:04d}.{ending}"
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            write_audio(out / name, audio, info.sample_rate, _SUBTYPES[ending].get(info.subtype, "PCM_16"))
            written.append(_describe(name, sound, hit, audio, info.sample_rate))
    except AudioFileError as error:
        return Skipped(sound.file, error.reason)
    return written or Skipped(sound.file, "no hits: nothing stands out from the background")


def file_stems(sounds: Sequence[Sound]) -> list[str]:
    """The path of each recording's hits, without number and ending: the recording's name below a folder of its label.

    All are different, on systems that ignore case, too.
    """
    stems: list[str] = []
    taken: set[str] = set()
    for sound in sounds:
        path = PurePosixPath(sound.file)
        folders = path.parts[:-1]
        if sound.label and sound.label not in folders:
            folders = (sound.label, *folders)
        parts = [_plain(part) for part in (*folders, path.stem)]
        stem = "/".join(parts)
        if stem.casefold() in taken:
            stem += f"-{_plain(path.suffix[1:])}"
        number = 2
        while stem.casefold() in taken:
            stem, number = f"{'/'.join(parts)}-{number}x", number + 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _plain(name: str) -> str:
    """A name that every system allows for a file or folder."""
    plain = re.sub(r"[^\w .+@()=,-]", "_", name.encode("utf-8", "replace").decode(), flags=re.UNICODE).strip(" .")
    return plain or "_"


def _describe(name: str, sound: Sound, hit: Hit, audio: Float, sample_rate: int) -> HitFile:
    peak = float(np.abs(audio).max(initial=0))
    return HitFile(
        file=name,
        source=sound.file,
        label=sound.label,
        start_seconds=round(hit.begin / sample_rate, 4),
        seconds=round(hit.num_samples / sample_rate, 4),
        start_sample=hit.begin,
        num_samples=hit.num_samples,
        sample_rate=sample_rate,
        channels=len(audio),
        peak_dbfs=round(20 * float(np.log10(max(peak, 1e-6))), 1),
        license=sound.license,
    )
