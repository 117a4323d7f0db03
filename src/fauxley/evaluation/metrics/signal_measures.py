"""Measures of the signal: levels, silence, clipping, colour, upsampling artefacts, onset, duration.

Each measure is a number for each clip. A set is compared with real clips by the whole distribution: the
Kolmogorov-Smirnov statistic is the largest gap between the two cumulative distributions, 0 if they are alike and 1 if
they do not overlap.

Upsampling by strides of 4 leaves tones at multiples of rate/4, rate/16, rate/64 and so on. `artefact_db` is how far the
spectrum at the multiples of rate/64 (250 Hz at 16 kHz) rises above its neighbourhood, on average. A voice or a drum has
no reason to prefer these frequencies. For a generator with other strides it means nothing.

Letters: N clips, T samples, F frames, K bins.
"""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fauxley.evaluation.metrics.validation import check_values

Float = NDArray[np.floating[Any]]
Audio = NDArray[np.float32]

_SILENCE_DB = -60.0  # relative to full scale, for a frame
_QUIET_DB = -40.0  # relative to the loudest frame; quieter frames are outside of the sound
_FRAME_SECONDS = 0.01
_ATTACK_SECONDS = 0.0007  # over which the level of an attack is taken
_PERIOD = 64  # samples: the third power of the stride
_FLOOR = 1e-10


class Measure(NamedTuple):
    """A measure of a clip: its title, unit and meaning."""

    title: str
    unit: str
    meaning: str
    decimals: int

    def show(self, value: float) -> str:
        """Format a value with a sensible number of decimals."""
        return f"{round(value, self.decimals) + 0.0:.{self.decimals}f}"  # + 0.0 avoids -0.0


MEASURES: Mapping[str, Measure] = {
    "peak_db": Measure("Peak", "dB", "highest sample relative to full scale", 1),
    "level_db": Measure("Level", "dB", "RMS of the whole clip", 1),
    "silence": Measure("Silence", "share", f"frames of 10 ms below {_SILENCE_DB:.0f} dB", 2),
    "clipping": Measure("Clipping", "share", "samples at full scale that follow another one, as in flat tops", 4),
    "dc": Measure("Offset (DC)", "", "absolute mean of the samples; 0 is centred", 5),
    "centroid_hz": Measure("Brightness (centroid)", "Hz", "centre of the power spectrum: dull or bright", 0),
    "tilt_db": Measure("Fall towards the highs (tilt)", "dB/octave", "slope of the spectrum over pitch", 1),
    "artefact_db": Measure(
        "Buzzing (stride artefacts)",
        "dB",
        "tones left by upsampling: spectrum at multiples of rate/64 over its neighbourhood; a few dB are inaudible",
        1,
    ),
    "onset_s": Measure(
        "Time to the attack (onset)", "s", "until the level first comes within 20 dB of the loudest frame", 2
    ),
    "rise_ms": Measure(
        "Attack (rise time)",
        "ms",
        f"from a tenth to nine tenths of the highest level, taken over {1000 * _ATTACK_SECONDS:g} ms",
        1,
    ),
    "duration_s": Measure(
        "Duration", "s", f"from the first to the last frame within {-_QUIET_DB:.0f} dB of the loudest", 2
    ),
}


def measure(clips: Audio, sample_rate: int) -> dict[str, NDArray[np.float64]]:
    """All measures of clips (N, T), each (N,)."""
    x = np.asarray(clips, np.float64)
    loud = np.abs(x) >= 32767 / 32768
    frame = max(1, round(_FRAME_SECONDS * sample_rate))
    count = max(1, x.shape[1] // frame)
    framed = np.pad(x, ((0, 0), (0, max(0, count * frame - x.shape[1]))))[:, : count * frame]
    levels = _db(np.square(framed.reshape(len(x), count, frame)).mean(2))  # (N, F)
    loudest = levels.max(1, keepdims=True)
    inside = levels > loudest + _QUIET_DB
    first, last = inside.argmax(1), count - 1 - inside[:, ::-1].argmax(1)
    power = np.square(np.abs(np.fft.rfft(x * np.hanning(x.shape[1]))))  # (N, K)
    frequency = np.fft.rfftfreq(x.shape[1], 1 / sample_rate)
    return {
        "peak_db": _db(np.square(x).max(1)),
        "level_db": _db(np.square(x).mean(1)),
        "silence": (levels < _SILENCE_DB).mean(1),
        "clipping": (loud[:, 1:] & loud[:, :-1]).mean(1),
        "dc": np.abs(x.mean(1)),
        "centroid_hz": power @ frequency / np.maximum(power.sum(1), _FLOOR),
        "tilt_db": _tilt(power, frequency),
        "artefact_db": _artefacts(power, x.shape[1]),
        "onset_s": (levels > loudest - 20).argmax(1) * frame / sample_rate,
        "rise_ms": 1000 * _rise(x, max(1, round(_ATTACK_SECONDS * sample_rate))) / sample_rate,
        "duration_s": (last - first + 1) * frame / sample_rate,
    }


def mean_spectrum(clips: Audio, bins: int = 512) -> NDArray[np.float64]:
    """The mean power spectrum of clips (N, T) in `bins` even steps up to half the sample rate, summed: (bins,).

    Each clip is first scaled to the same energy.
    """
    x = np.asarray(clips, np.float64)
    x = x / np.maximum(np.sqrt(np.square(x).sum(1, keepdims=True)), 1e-6)
    length = 2 * bins
    frames = np.pad(x, ((0, 0), (0, -x.shape[1] % length))).reshape(len(x), -1, length) * np.hanning(length)
    power = np.square(np.abs(np.fft.rfft(frames))).sum(1)  # (N, bins + 1)
    return np.asarray(power.sum(0)[:bins])


def kolmogorov_smirnov(first: Float, second: Float) -> float:
    """The largest gap between the cumulative distributions of two samples (N,) and (M,).

    Raises:
        UsageError: a side has fewer than two, or numbers are not finite.
    """
    check_values(2, first=first, second=second)
    a, b = np.sort(first), np.sort(second)
    both = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, both, "right") / len(a) - np.searchsorted(b, both, "right") / len(b)).max())


def _rise(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Samples from the last moment below a tenth of the highest level to the first at nine tenths of it: (N,)."""
    energy = np.cumsum(np.pad(np.square(x), ((0, 0), (width, 0))), 1)
    level = np.sqrt(np.maximum(energy[:, width:] - energy[:, :-width], 0))  # (N, T), of the last `width` samples
    highest = level.max(1, keepdims=True)
    top = (level >= 0.9 * highest).argmax(1)
    place = np.arange(x.shape[1])
    low = (level < 0.1 * highest) & (place < top[:, None])
    last_low = np.where(low.any(1), x.shape[1] - 1 - low[:, ::-1].argmax(1), -1)
    return np.asarray(top - last_low, np.float64)


def _tilt(power: NDArray[np.float64], frequency: Float) -> NDArray[np.float64]:
    """The slope, in dB an octave, of the level of third-octave bands, by least squares: (N,)."""
    top = frequency[-1]
    edges = top * 2.0 ** (-np.arange(0, 19)[::-1] / 3)  # six octaves
    bands = np.stack(
        [power[:, (frequency > low) & (frequency <= high)].sum(1) for low, high in itertools.pairwise(edges)],
        1,
    )
    octaves = np.arange(bands.shape[1]) / 3
    octaves -= octaves.mean()
    # Power density, not power, because higher bands are wider.
    density = _db(bands) - 10 * np.log10(np.diff(edges))
    return np.asarray((density @ octaves) / np.square(octaves).sum())


def _artefacts(power: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The mean, over multiples of rate/64, of the level in their bin above the median level of the bins around."""
    spacing = length / _PERIOD
    if spacing < 32:  # the clip is too short to tell a tone from its neighbourhood
        return np.zeros(len(power))
    centres = np.round(np.arange(1, _PERIOD // 2) * spacing).astype(np.int64)
    reach = min(12, int(spacing // 3))
    around = np.concatenate([np.arange(-reach, -2), np.arange(3, reach + 1)])
    line = power[:, centres[:, None] + np.arange(-1, 2)].max(2)  # (N, multiples)
    ground = np.median(power[:, centres[:, None] + around], axis=2)
    return np.asarray((_db(line) - _db(ground)).mean(1))


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10 * np.log10(power + _FLOOR))
