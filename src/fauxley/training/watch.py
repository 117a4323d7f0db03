"""Notices when training goes wrong, and says what is probably the matter and what to try.

Users of these models lose days to runs that put out silence, one tone or noise without a word. Each alarm here is a
comparison of a preview with real clips, or of recent numbers with what is normal, kept apart from the loop so that
it can be tried on sounds made for the purpose. An untrained generator fails them all, so an alarm must hold at two
previews in a row, and is given once until it has cleared.

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
_OVER_DB = 0.5  # peaks beyond full scale
_FLAT = 0.999  # of full scale: where tanh and 16 bits flatten a waveform
_FLATTENED = 0.001  # share of samples
_DC = 0.05  # of full scale
_ALIKE = 0.2  # of the data's variety
_CRITIC_FAR_AHEAD = 8.0  # standard deviations between scores
_EVEN = 0.5
_LINES_AHEAD = 20  # of the log, before that is an alarm


class Watch:
    """Watches one run: compares its previews and numbers with what is normal.

    Args:
        real: clips of the data (N, C, T), N of 2 or more for the check on variety.
    """

    def __init__(self, real: Clips) -> None:
        self._real = real
        self._previous: set[str] = set()
        self._given: set[str] = set()
        self._separations: deque[float] = deque(maxlen=_LINES_AHEAD)

    def numbers(self, separation: float) -> list[str]:
        """Give the warnings that a line of the log calls for.

        Args:
            separation: between the critic's scores of real and generated clips, in standard deviations.
        """
        self._separations.append(separation)
        won = len(self._separations) == _LINES_AHEAD and min(self._separations) > _CRITIC_FAR_AHEAD
        return self._new({"critic"} if won else set(), {"critic"})

    def preview(self, fake: Clips) -> list[str]:
        """Give the warnings that a preview (N, C, T) calls for."""
        now = {name for name, alarm in _ALARMS.items() if alarm(self._real, fake)}
        if "silence" in now:  # then the rest follows
            now = {"silence"}
        lasting, self._previous = now & self._previous, now
        return self._new(lasting, set(_ALARMS))

    def _new(self, alarms: set[str], kind: set[str]) -> list[str]:
        new = alarms - self._given
        self._given = (self._given - kind) | alarms
        return [_WORDS[name] for name in sorted(new)]


def standing(separation: float) -> str:
    """How the two networks stand, in words.

    Args:
        separation: as for `Watch.numbers`; best the mean of several lines, for single values are noisy.
    """
    if separation > _CRITIC_FAR_AHEAD:
        return "critic far ahead: if that stays, the generator learns little"
    if separation > _EVEN:
        return "critic ahead, healthy"
    if separation > -_EVEN:
        return "even: the critic hardly tells real from generated; good late, early it has yet to learn"
    return "critic mistaken: normal for some steps, not for long"


def level_db(clips: Clips) -> float:
    """Root mean square of a clip, or of clips together, in dB of full scale; -120 for digital silence."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(clips, dtype=np.float64))) + 1e-6))


def peak_db(clips: Clips) -> float:
    """Median over clips of their highest sample, in dB of full scale; -120 for digital silence."""
    peaks = np.abs(clips).reshape(len(clips), -1).max(axis=1)
    return float(20 * np.log10(np.median(peaks) + 1e-6))


def _flattened(clips: Clips) -> float:
    return float((np.abs(clips) >= _FLAT).mean())


def dc(clips: Clips) -> float:
    """The constant part (DC offset) of each clip and channel: mean of their absolute values."""
    return float(np.abs(clips.mean(axis=2, dtype=np.float64)).mean())


def variety(clips: Clips) -> float:
    """Mean distance between the clips' spectra over time, in dB: root mean square over cells, mean over pairs.

    Levels are cut off 60 dB below the loudest cell of all, so that differences nobody hears do not count.
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
    """Whether sounds are much louder than the data, or reach full scale, where 16 bits cut them off."""
    real, fake = (
        clips - clips.mean(axis=2, keepdims=True) for clips in (real, fake)
    )  # what is off centre is said apart
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
    "silence": "the generator puts out silence: it found a dead end; "
    "begin again with another seed or a lower learning_rate",
    "quiet": "generated sounds are more than 12 dB quieter than the data; "
    "if this lasts, prepare the data normalised (normalize), or lower learning_rate",
    "loud": "generated sounds are louder than the data and reach full scale, where files cut them off; "
    "lower learning_rate, or go back to an earlier checkpoint",
    "dc": "generated waveforms are not centred on zero: usually the data's own DC offset or a learning rate too high; "
    "run 'fauxley scan' on the data, or lower learning_rate",
    "collapse": "generated sounds are nearly all alike (mode collapse): give it more data or a larger batch_size, "
    "or go back to an earlier checkpoint",
    "critic": "the critic tells real from generated without effort, so the generator learns nothing from it: "
    "lower learning_rate, use fewer critic_steps, or give it more data (the critic may know yours by heart)",
}
