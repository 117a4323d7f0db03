"""Finds copies of training clips, even if they were shifted in time, made louder or softer, inverted, or made noisy.

The search has two stages, because aligning every clip with every training clip would take hours:

1. Fingerprints. The spectrogram of a clip in 32 mel bands, without each band's steady part (noise), is transformed by a
   Fourier transform of each band over time, whose magnitudes do not change when the clip is shifted. The 16 nearest
   training clips go to the next stage if they are as near as copies are.
2. Alignment. The normalised cross-correlation of the waveforms,

       ρ(l) = Σ x[t + l] y[t] / √(Σ x²[t + l] · Σ y²[t]),    both sums over the samples where the clips overlap,

   is computed by FFT for all lags at which half of each clip's energy overlaps. Its largest absolute value is the
   `similarity`: 1 for an exact copy of any gain, polarity and place, 0.984 with noise at 15 dB, 0.95 at 10 dB. From 0.9
   on, where four fifths of the energy are the training clip's, a clip counts as a copy; from 0.97 on it surely is one.
   Between the two lie filtered copies, but also drums that happen to be the same sine with the same decay.

docs/evaluation.md has measurements: how near other real clips come, and which copies are found. Copies that were
stretched, transposed, reversed, mixed with others or strongly filtered are not found, because their waveform is
another. Silence is not a copy of anything.

Letters: N clips, Q queries, T samples, K candidates, F frames, M bands.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fauxley.evaluation.metrics.neighbours import nearest
from fauxley.signal.mel import mel_matrix

Array = NDArray[Any]
Progress = Callable[[int], None]

COPY = 0.9  # similarity
SURE = 0.97
_FASTEST = 16000  # Hz
_LONGEST = 32768  # samples to align; longer clips are aligned at a lower rate
_CANDIDATES = 16
_ALIKE = math.sqrt(2 - 2 * 0.94)  # distance of fingerprints; those of copies are smaller
_OVERLAP = 0.5  # of each clip's energy
_SILENT = 2.0**-10
_FRAMES = 64
_BANDS = 32
_STEADY = 0.2  # quantile over time of a band that counts as steady
_POWER = 0.7
_RATES = 32  # rates of change over time in a fingerprint


class Alignments(NamedTuple):
    """For each clip the most similar training clip, (Q,) each.

    Attributes:
        similarity: largest |ρ|, from 0 to 1; 0 where no training clip is near enough to be the original.
        indices: index of that training clip, or -1.
        lags: samples of the waveforms by which the clip is later than the training clip.
        gains: factor between the training clip and the clip; negative if it is inverted.
    """

    similarity: NDArray[np.float64]
    indices: NDArray[np.int64]
    lags: NDArray[np.int64]
    gains: NDArray[np.float64]

    @property
    def copied(self) -> NDArray[np.bool_]:
        """Which clips are copies."""
        return self.similarity >= COPY


class Copy(NamedTuple):
    """A clip that repeats a training clip: the names of both, and their indices in their sources."""

    clip: str
    training_clip: str
    place: int
    training_place: int
    similarity: float
    later_seconds: float
    gain_db: float


def find_copies(
    features: Mapping[str, Array],
    training: Mapping[str, Array],
    *,
    own: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done: None,
) -> Alignments:
    """Find the training clip that is most similar to each clip.

    Args:
        features, training: `fingerprints` and `waveforms` of both.
        own: whether the clips are themselves the first training clips; none is then a copy of itself.
        device: on which to search for candidates.
        progress: called with the number of clips just done.

    Raises:
        UsageError: see `nearest`.
    """
    prints, count = features["fingerprints"], len(features["fingerprints"])
    num_candidates = min(_CANDIDATES, len(training["fingerprints"]) - own)
    found = Alignments(np.zeros(count), np.full(count, -1), np.zeros(count, np.int64), np.ones(count))
    if not num_candidates:
        return found
    distances, near = nearest(prints, training["fingerprints"], num_candidates, same=own, device=device)
    for query in range(count):
        candidates = near[query][distances[query] <= _ALIKE]
        clip = torch.from_numpy(features["waveforms"][query].astype(np.float32) / 32768)
        if len(candidates) and float(clip.abs().max()) >= _SILENT:
            others = torch.from_numpy(training["waveforms"][candidates].astype(np.float32) / 32768)
            similarity, lags, gains = align(clip, others)
            best = int(similarity.argmax())
            for column, value in zip(found, (similarity, torch.from_numpy(candidates), lags, gains), strict=True):
                column[query] = value[best].item()
        progress(1)
    found.indices[found.similarity == 0] = -1
    return found


def align(clip: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The largest |ρ| of a clip (T,) with each of `others` (K, T), its lag, and the gain there: (K,) each.

    Silence has a similarity of 0 with everything.
    """
    length = len(clip)
    product = torch.fft.rfft(clip, 2 * length) * torch.fft.rfft(others, 2 * length).conj()
    correlation = torch.fft.irfft(product, 2 * length)  # (K, 2 T), at the lags 0, 1, ..., T - 1, -T, ..., -1
    lags = torch.cat([torch.arange(length), torch.arange(-length, 0)])
    mine, theirs = _energy_up_to(clip[None]), _energy_up_to(others)
    overlap = mine[:, (length + lags).clamp(max=length)] - mine[:, lags.clamp(min=0)]
    overlap_theirs = theirs[:, (length - lags).clamp(max=length)] - theirs[:, (-lags).clamp(min=0)]
    enough = (overlap >= _OVERLAP * mine[:, -1:]) & (overlap_theirs >= _OVERLAP * theirs[:, -1:])
    enough &= (overlap > 0) & (theirs[:, -1:] >= _SILENT**2)
    similarity = correlation.abs() / (overlap * overlap_theirs).clamp(min=1e-12).sqrt()
    best, place = torch.where(enough, similarity, 0.0).max(1)
    gains = correlation.gather(1, place[:, None]) / overlap_theirs.gather(1, place[:, None]).clamp(min=1e-12)
    return best.clamp(max=1), lags[place], gains[:, 0]


def aligning_rate(sample_rate: int, clip_length: int) -> int:
    """The rate in Hz at which clips are aligned: 16 kHz or their own, or less if they are long."""
    rate = min(sample_rate, _FASTEST)
    while clip_length * rate > _LONGEST * sample_rate:
        rate //= 2
    return rate


def fingerprints(audio: Tensor, rate: int) -> Tensor:
    """Convert clips (B, T) at `rate` Hz to fingerprints (B, 32 rates × 32 bands) of norm 1; those of silence are 0."""
    hop = max(32, audio.shape[1] // _FRAMES)
    window = 4 * hop
    matrix = torch.from_numpy(mel_matrix(window // 2 + 1, rate, _BANDS, high=0.4875 * rate)).float()
    padded = F.pad(audio, (window, window + hop))  # so that every part of the clip is in the middle of some window
    spectrum = torch.fft.rfft(padded.unfold(1, window, hop) * torch.hann_window(window)).abs()
    bands = (spectrum @ matrix).pow(_POWER)  # (B, F, M)
    changing = (bands - bands.quantile(_STEADY, dim=1, keepdim=True)).clamp(min=0)
    sizes = torch.fft.rfft(changing, 4 * _FRAMES, dim=1).abs()[:, :_RATES].flatten(1)
    return F.normalize(sizes, eps=1e-6)


def _energy_up_to(clips: Tensor) -> Tensor:
    """The sum of squares of the samples before each place: (K, T) to (K, T + 1)."""
    return F.pad(clips.double().square().cumsum(1), (1, 0)).float()
