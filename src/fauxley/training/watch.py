"""Warnings when training goes wrong: what is probably the matter, and what to try.

Users of these models lose days to runs that silently produce silence, one tone or noise. Each alarm compares a preview
with real clips, or recent numbers with normal ones. Alarms are separate from the loop so that they can be tested on
made-up sounds. An untrained generator fails all of them, so an alarm must hold at two previews in a row, and is given
once until it has cleared.

Letters: N clips, C channels, T samples.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Clips = NDArray[np.float32]

_SILENT_DB = -60.0
_QUIETER_DB = 12.0
_LOUDER_DB = 6.0
_OVER_DB = 0.5  # peaks above full scale, or above the data's peaks if those are higher
_FLAT = 0.999  # of full scale; above it tanh and 16 bits flatten a waveform
_FLATTENED = 0.001  # share of samples above that level
_DC = 0.05  # of full scale
_ALIKE = 0.2  # of the data's variety
_CRITIC_FAR_AHEAD = 8.0  # standard deviations between scores
_EVEN = 0.5
_LINES_AHEAD = 20  # lines of the log before that is an alarm


class Watch:
    """Watches one run: compares its previews and numbers with normal ones.

    Args:
        real: clips of the data (N, C, T); the check of variety needs two or more.
    """

    def __init__(self, real: Clips) -> None:
        self._real = real
        self._previous: set[str] = set()
        self._given: set[str] = set()
        self._separations: deque[float] = deque(maxlen=_LINES_AHEAD)

    def numbers(self, separation: float) -> list[str]:
        """The warnings for a line of the log.

        Args:
            separation: between the critic's scores of real and generated clips, in standard deviations.
        """
        self._separations.append(separation)
        won = len(self._separations) == _LINES_AHEAD and min(self._separations) > _CRITIC_FAR_AHEAD
        return self._new({"critic"} if won else set(), {"critic"})

    def preview(self, fake: Clips) -> list[str]:
        """The warnings for a preview (N, C, T)."""
        now = {name for name, alarm in _ALARMS.items() if alarm(self._real, fake)}
        if "silence" in now:  # the other alarms follow from it
            now = {"silence"}
        lasting, self._previous = now & self._previous, now
        return self._new(lasting, set(_ALARMS))

    def _new(self, alarms: set[str], kind: set[str]) -> list[str]:
        new = alarms - self._given
        self._given = (self._given - kind) | alarms
        return [_WORDS[name] for name in sorted(new)]


def standing(separation: float) -> str:
    """How the two networks compare, in words.

    Args:
        separation: see `Watch.numbers`; best the mean of several lines, because single values are noisy.
    """
    if separation > _CRITIC_FAR_AHEAD:
        return "critic far ahead: if that stays, the generator learns little"
    if separation > _EVEN:
        return "critic ahead, healthy"
    if separation > -_EVEN:
        return "even: the critic hardly tells real from generated; good late in training, too early to tell before"
    return "critic mistaken: normal for some steps, not for long"


def level_db(clips: Clips) -> float:
    """Root mean square of a clip, or of clips together, in dB of full scale; -120 for digital silence."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(clips, dtype=np.float64))) + 1e-6))


def peak_db(clips: Clips) -> float:
    """The median over clips of the highest sample, in dB of full scale; -120 for digital silence."""
    peaks = np.abs(clips).reshape(len(clips), -1).max(axis=1)
    return float(20 * np.log10(np.median(peaks) + 1e-6))


def _flattened(clips: Clips) -> float:
    return float((np.abs(clips) >= _FLAT).mean())


def dc(clips: Clips) -> float:
    """The constant part (DC offset): the mean of its absolute values over clips and channels."""
    return float(np.abs(clips.mean(axis=2, dtype=np.float64)).mean())


def variety(clips: Clips) -> float:
    """The mean distance between the clips' spectrograms, in dB: root mean square over cells, mean over pairs.

    Levels are limited to 60 dB below the loudest cell of all, so that inaudible differences do not count.
    """
    frames = clips.shape[2] // 256
    cells = clips[:, :, : frames * 256].reshape(len(clips), clips.shape[1] * frames, 256) * np.hanning(256)
    power = np.square(np.abs(np.fft.rfft(cells, axis=2))).reshape(len(clips), -1)
    decibels = 10 * np.log10(np.maximum(power, max(power.max(), 1e-12) * 1e-6))
    distances = [np.sqrt(np.square(a - b).mean()) for i, a in enumerate(decibels) for b in decibels[:i]]
    return float(np.mean(distances)) if distances else 0.0


def _silent(real: Clips, fake: Clips) -> bool:
    return level_db(fake) < _SILENT_DB < level_db(real)


def _quiet(real: Clips, fake: Clips) -> bool:
    return level_db(fake) < level_db(real) - _QUIETER_DB


def _loud(real: Clips, fake: Clips) -> bool:
    """Whether sounds are much louder than the data, or reach full scale, where 16 bits clip them."""
    real, fake = (clips - clips.mean(axis=2, keepdims=True) for clips in (real, fake))  # an offset has its own alarm
    over = peak_db(fake) > max(peak_db(real), 0.0) + _OVER_DB
    flat = _flattened(fake) > _flattened(real) + _FLATTENED
    return over or flat or level_db(fake) > level_db(real) + _LOUDER_DB


def _off_centre(real: Clips, fake: Clips) -> bool:
    return dc(fake) > _DC + 2 * dc(real)


def _collapsed(real: Clips, fake: Clips) -> bool:
    return variety(fake) < _ALIKE * variety(real)


_ALARMS: dict[str, Callable[[Clips, Clips], bool]] = {
    "silence": _silent,
    "quiet": _quiet,
    "loud": _loud,
    "dc": _off_centre,
    "collapse": _collapsed,
}
_WORDS = {
    "silence": "the generator makes silence: it is in a dead end; "
    "begin again with another seed or a lower learning rate",
    "quiet": "generated sounds are more than 12 dB quieter than the data; "
    "if this lasts, prepare the data normalised (normalize), or lower the learning rate",
    "loud": "generated sounds are louder than the data and reach full scale, where files clip them; "
    "lower the learning rate, or go back to an earlier checkpoint",
    "dc": "generated waveforms are not centred on zero: usually the data has a DC offset or the learning rate is too "
    "high; run 'fauxley scan' on the data, or lower the learning rate",
    "collapse": "generated sounds are nearly all alike (mode collapse): use more data or a larger batch, "
    "or go back to an earlier checkpoint",
    "critic": "the critic tells real from generated without effort, so the generator learns nothing from it: "
    "lower the learning rate, take fewer critic steps, or more data (the critic may have memorised yours)",
}
