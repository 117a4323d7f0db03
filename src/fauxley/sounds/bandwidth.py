"""Notices files that were made at a lower rate than they say: upsampled, they hold nothing above the old half rate.

What gives them away is a cliff in the spectrum just there, with nothing but rounding noise beyond. A dark sound has no
cliff: it fades. Spectra are taken at the loudest place of a block, where highs are if there are any, and at a few more.
"""

import numpy as np

from fauxley.sounds.sources import Float

# Rates from which files are brought to a higher one; half of them is where the cliff would be.
_LOWER_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
_LOUDEST = 1e6  # damaged floats may be anything; their squares must not overflow
_WINDOW = 4096
_PLACES = 2  # windows of a block, besides the loudest
_HANN = np.hanning(_WINDOW).astype(np.float32) / (_WINDOW / 4)
_CLIFF = 10 ** (30 / 10)  # power
_LEAST = 1e-9  # power of a bin, of full scale 1: below it there is too little sound to tell


class Bandwidth:
    """Takes blocks `(n, C)` and says whether they were upsampled."""

    def __init__(self) -> None:
        self._power = np.zeros(_WINDOW // 2 + 1)

    def add(self, block: Float) -> None:
        """Take the loudest of a few spectra of `block`, bin by bin, into account."""
        channel = np.clip(block[:, 0], -_LOUDEST, _LOUDEST)
        loudest = int(np.argmax(np.abs(channel)))
        last = max(len(block) - _WINDOW, 0)
        starts = {min(max(loudest - _WINDOW // 8, 0), last), *(last * place // _PLACES for place in range(_PLACES))}
        for start in starts:
            window = channel[start : start + _WINDOW]
            spectrum = np.fft.rfft(window * _HANN[: len(window)], _WINDOW)
            np.maximum(self._power, np.square(np.abs(spectrum)), out=self._power)

    def upsampled_from(self, sample_rate: int) -> int:
        """The lower rate at which the sound was made, in Hz; 0 if there is no sign of one."""
        sums = np.concatenate([[0.0], np.cumsum(self._power)])
        most_above = np.maximum.accumulate(self._power[::-1])[::-1]
        for rate in _LOWER_RATES:
            # Room for the slope of a resampling filter on both sides.
            nyquist = rate / sample_rate * _WINDOW / 2
            first, last, above = int(0.7 * nyquist), int(0.9 * nyquist), int(1.1 * nyquist) + 1
            if rate > 0.85 * sample_rate or last - first < 8 or above > _WINDOW // 2 - 8:
                continue
            below = (sums[last] - sums[first]) / (last - first)
            if below > max(_LEAST / _WINDOW, _CLIFF * most_above[above]):
                return rate
        return 0
