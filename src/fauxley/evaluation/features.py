"""Features of clips for the metrics: extractors, and running them over a whole source.

An extractor turns each clip of a batch into a row. `extract` sends every clip of a source through several extractors at
once, so that a model makes each sound only once; on a cluster, the workers make it. Features that do not fit in memory
are kept in a nameless temporary file that is mapped into memory.

Letters: B batch, N clips, T samples, D dimensions, K bins, M bands, F frames.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.clips import Audio, ClipSource, Reader
from fauxley.evaluation.metrics import signal_measures
from fauxley.evaluation.metrics.copies import aligning_rate, fingerprints
from fauxley.parallel import in_order
from fauxley.signal.mel import mel_matrix
from fauxley.signal.stft import stft

Float32 = NDArray[np.float32]
Progress = Callable[[int], None]

BATCH_SIZE = 64
_IN_MEMORY = 1 << 28  # bytes
_FLOOR_DB = -50  # of features that are not the official code's
_SPECTRUM_BINS = 512


class Extractor(ABC):
    """Computes features of clips.

    Attributes:
        title: the features' name for people.
        limit: the most clips of a source to extract, the first ones; None for all.
        totals: names of features that are summed over all clips instead of kept.
    """

    title: str
    limit: int | None = None
    totals: tuple[str, ...] = ()

    @abstractmethod
    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, NDArray[Any]]:
        """Compute features of clips (B, T) in [-1, 1] at `sample_rate`: (B, D) by name; of totals their sum (D,)."""


class LogMelNeighbours(Extractor):
    """Log-mel spectrograms, 128 frames × 128 bands, in three forms.

    `neighbours`: the features of the official similarity script, flattened: magnitudes of a transform of 2048 samples
    of the raw 16-bit values, frames not centred; bands from 40 to 7800 Hz at 16 kHz; ln(· + 1e-6). Clips of other
    lengths keep 128 frames, with another hop.

    `copies`: clips scaled to a peak of 1, with a floor at -50 dB, pooled to 32 × 32. In the official features digital
    silence is as far from inaudible noise as a vowel is from a hiss, so they do not find a copy with a little noise.

    `log-mel`: clips not scaled, with the same floor below full scale, pooled to 16 × 16, which is small enough for a
    covariance: an embedding that needs no training.
    """

    title = "log-mel"
    sample_rate = 16000
    frames = 128
    bands = 128

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._matrix = torch.from_numpy(mel_matrix(1025, self.sample_rate, self.bands)).float().to(device)

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, Float32]:
        audio = torch.from_numpy(resample(clips, sample_rate, self.sample_rate)).to(self._device) * 32768
        features = self.transform(audio)  # (B, F, M)
        magnitude = features.exp()
        peak = audio.abs().amax(1).clamp(min=1)[:, None, None]
        # A sine at full scale has the magnitude 512: half the sum of the window.
        floor = 512 * 10 ** (_FLOOR_DB / 20)
        return {
            "neighbours": features.flatten(1).cpu().numpy(),
            "copies": _pooled(torch.log(magnitude / peak + floor), 4),
            "log-mel": _pooled(torch.log(magnitude / 32768 + floor), 8),
        }

    def transform(self, audio: torch.Tensor) -> torch.Tensor:
        """Convert raw 16-bit values (B, T) to (B, 128 frames, 128 bands)."""
        hop = -(-audio.shape[1] // self.frames)
        few = 2 if audio.device.type == "cpu" else len(audio)  # clips whose windows fit in a processor's cache
        parts = []
        for part in torch.split(audio, few):
            spectrum = torch.view_as_real(stft(part, 2048, hop, self.frames))
            magnitude = spectrum.square().sum(-1).sqrt()  # twice as fast as `abs` of complex numbers
            parts.append(torch.log(magnitude @ self._matrix + 1e-6))
        return torch.cat(parts)


def _pooled(spectrograms: torch.Tensor, size: int) -> Float32:
    """Average spectrograms (B, F, M) over squares, and flatten them."""
    means: Float32 = F.avg_pool2d(spectrograms[:, None], size).flatten(1).cpu().numpy()
    return means


class ClassifierFeatures(Extractor):
    """A trained classifier's embedding and probabilities."""

    title = "classifier"

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, Float32]:
        audio = resample(clips, sample_rate, self.classifier.settings.sample_rate)
        embedding, probabilities = self.classifier.judge(torch.from_numpy(audio))
        return {"classifier": embedding.numpy(), "probabilities": probabilities.numpy()}


class Fingerprints(Extractor):
    """Features for finding copies: `fingerprints` (B, 1024); `waveforms` (B, T), 16 bits at a moderate rate."""

    title = "fingerprints"

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, NDArray[Any]]:
        rate = aligning_rate(sample_rate, clips.shape[1])
        audio = resample(clips, sample_rate, rate)
        audio = audio - audio.mean(1, keepdims=True)
        waveforms = np.clip(np.round(audio * 32767), -32768, 32767).astype(np.int16)
        return {"fingerprints": fingerprints(torch.from_numpy(audio), rate).numpy(), "waveforms": waveforms}


class SignalFeatures(Extractor):
    """Signal measures, one column for each of `MEASURES`, and the sum of the clips' spectra."""

    title = "signals"
    totals = ("spectrum",)

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, NDArray[Any]]:
        measures = signal_measures.measure(clips, sample_rate)
        return {
            "signals": np.stack(list(measures.values()), 1),
            "spectrum": signal_measures.mean_spectrum(clips, _SPECTRUM_BINS),
        }


def resample(clips: Audio, sample_rate: int, wanted: int) -> Audio:
    """Resample clips (B, T)."""
    if sample_rate == wanted:
        return clips
    resampled: Audio = soxr.resample(clips.T, sample_rate, wanted, quality="HQ").T
    return np.ascontiguousarray(resampled)


class FeatureStore:
    """An array (N, D) that is filled batch by batch; if it is large, in a nameless temporary file."""

    def __init__(self, count: int, like: NDArray[Any]) -> None:
        shape = (count, like.shape[1])
        if count * like.shape[1] * like.itemsize <= _IN_MEMORY:
            self.array = np.empty(shape, like.dtype)
        else:
            # The file vanishes with the last reference to it, even if the process is killed.
            with tempfile.TemporaryFile(prefix="fauxley-") as file:
                self.array = np.memmap(file, like.dtype, "w+", shape=shape)
        self._filled = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows; those beyond N are dropped."""
        room = rows[: len(self.array) - self._filled]
        self.array[self._filled : self._filled + len(room)] = room
        self._filled += len(room)


def extract(
    source: ClipSource,
    extractors: Mapping[str, Extractor],
    keep: Mapping[str, int],
    progress: Progress = lambda done: None,
    n_jobs: int | None = 1,
) -> dict[str, NDArray[Any]]:
    """Compute features of all clips of a source, (N, D) by name; for names in `keep`, of only so many first clips.

    Args:
        n_jobs: processes, as in joblib: 1 is this process, None whatever is configured, such as a cluster. Batches, and
            therefore the numbers, are the same in any case.
    """
    stores: dict[str, FeatureStore] = {}
    totals: dict[str, NDArray[Any]] = {}
    starts = range(0, len(source), BATCH_SIZE)
    asked = [[each for each in extractors.values() if each.limit is None or start < each.limit] for start in starts]
    tasks = (
        (
            _reader(source, start, n_jobs),
            source.sample_rate,
            chosen,
            {name: most - start for name, most in keep.items()},
        )
        for start, chosen in zip(starts, asked, strict=True)
    )
    for start, chosen, found in zip(starts, asked, in_order(_extract, tasks, n_jobs), strict=True):
        for extractor, features in zip(chosen, found, strict=True):
            for name, rows in features.items():
                if name in extractor.totals:
                    totals[name] = totals[name] + rows if name in totals else rows
                    continue
                if name not in stores:
                    most = (len(source), keep.get(name), extractor.limit)
                    stores[name] = FeatureStore(min(count for count in most if count is not None), rows)
                stores[name].append(rows)
        progress(min(BATCH_SIZE, len(source) - start))
    return {name: store.array for name, store in stores.items()} | totals


def _reader(source: ClipSource, start: int, n_jobs: int | None) -> Reader:
    indices = range(start, min(start + BATCH_SIZE, len(source)))
    return partial(source.read, indices) if n_jobs == 1 else source.portable_reader(indices)


def _extract(
    read: Reader, sample_rate: int, extractors: Sequence[Extractor], keep: Mapping[str, int]
) -> list[dict[str, NDArray[Any]]]:
    """Features of a batch by each extractor; for names in `keep`, only so many rows, so that no others are sent."""
    clips = read()
    return [
        {
            name: rows[: max(0, keep.get(name, len(rows)))]
            for name, rows in extractor.extract(clips, sample_rate).items()
        }
        for extractor in extractors
    ]
