"""Audio files → float32 at the wanted rate and channels, streaming, so that ten hours need no more memory than a hit.

The way of a block: decode → channel rule → resample (soxr HQ: 1900 times real time, aliasing at −140 dB).

Shapes: n, t samples; C channels. Blocks from a decoder are `(n, C)`; all else is `(C, t)`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr

from fauxley.sounds.sources import AudioFileError, Float, SourceInfo, open_source


def convert_blocks(
    blocks: Iterable[Float], info: SourceInfo, sample_rate: int | None, channels: int | None
) -> Iterator[Float]:
    """Bring blocks `(n, C)` of the file that `info` describes to `(channels, t)` at `sample_rate`; None keeps."""
    converted = (change_channels(block.T, channels) for block in blocks)
    if sample_rate is None or sample_rate == info.sample_rate:
        yield from converted
        return
    count = channels or info.channels
    resampler = soxr.ResampleStream(info.sample_rate, sample_rate, count, dtype="float32", quality="HQ")
    for block in converted:
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).T
    yield resampler.resample_chunk(np.zeros((0, count), np.float32), last=True).T


def read_audio(
    path: Path, sample_rate: int | None = None, channels: int | None = None, longest: int | None = None
) -> Float:
    """Decode a whole file to `(C, T)` float32, full scale at ±1; integers are divided by 2^(bits-1).

    Args:
        path: any format that libsndfile knows; with the extra `ffmpeg`, any that FFmpeg knows.
        sample_rate: in Hz; None keeps the file's (`probe` tells it).
        channels: to one by mean, from one by copying, None keeps the file's.
        longest: keep no more than so many samples from the beginning, whatever the length of the file; None keeps all.

    Raises:
        AudioFileError: not audio, broken, or of another channel count.
    """
    with open_source(path) as source:
        check_channels(Path(path), source.info, channels)
        blocks, num_samples = [np.zeros((channels or source.info.channels, 0), np.float32)], 0
        for block in convert_blocks(source.blocks(), source.info, sample_rate, channels):
            if longest is None or num_samples < longest:  # to the end all the same, for it may be broken there
                blocks.append(block)
                num_samples += block.shape[1]
        return np.concatenate(blocks, axis=1)[:, :longest]


def change_channels(audio: Float, channels: int | None) -> Float:
    """`(C, T)` → `(channels, T)`: to one by mean (5.1 too), from one by copying.

    Raises:
        ValueError: any other change; there is no rule for it that would not be a guess.
    """
    if channels is None or channels == audio.shape[0]:
        return audio
    if channels == 1:
        mean: Float = audio.mean(axis=0, keepdims=True, dtype=np.float32)
        return mean
    if audio.shape[0] == 1:
        return np.repeat(audio, channels, axis=0)
    raise ValueError(f"cannot turn {audio.shape[0]} channels into {channels}")


def check_channels(path: Path, info: SourceInfo, channels: int | None) -> None:
    """Raise `AudioFileError` if `change_channels` would have no rule."""
    if channels not in (None, 1, info.channels) and info.channels != 1:
        raise AudioFileError(
            path, f"has {info.channels} channels where {channels} are wanted; use 1 (their mean) or {info.channels}"
        )
