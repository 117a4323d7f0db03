"""How a pad of the studio plays its sound: level, pitch, envelope, filter, place between left and right.

What is written into a kit's files is what the page plays (`studio/web/mixer.js`, in terms of the Web Audio API), so
that every sampler plays it alike: their own envelopes, filters and panning laws differ from one another.

- Pitch is speed: a sound an octave up is half as long.
- The filter is the Web Audio API's biquad, whose Q is in dB; it is applied as its response on the padded spectrum.
- Attack is a straight line up, decay an exponential that is 60 dB down where the sound ends.
- A mono sound is panned at equal power, by the API's law for mono, and is left as it is in the middle.

Letters: C channels, T samples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

_DECAYED = 1e-3  # of the amplitude: 60 dB down
_SHORTEST_DECAY, _SHORTEST_SOUND = 0.02, 0.03  # seconds
_LOW_PASS_HZ, _HIGH_PASS_HZ = (18_000.0, 90.0), (20.0, 9000.0)  # with the knob in the middle, and at its end
_HIGHEST = 0.49  # of the sample rate
_Q_DB = 0.9
_RING_SECONDS = 0.25  # the filter rings for less than that

Audio = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Shaping:
    """The knobs of a pad; as they are by default, they change nothing.

    Args:
        gain: dB.
        pitch: semitones.
        attack: seconds.
        decay: share of the sound, on a logarithmic scale; 1 lets it ring.
        tone: from -1 to 0 it takes highs away, from 0 to 1 lows.
        pan: from -1, left, to 1, right.
        choke: the number of a group in which each sound ends the one before; 0 for none.
    """

    gain: float = 0.0
    pitch: float = 0.0
    attack: float = 0.0
    decay: float = 1.0
    tone: float = 0.0
    pan: float = 0.0
    choke: int = 0

    def apply(self, audio: Audio, sample_rate: int) -> NDArray[np.float32]:
        """A sound (C, T) as the pad plays it: (C', T'), where C' is 2 if it is panned."""
        x = np.asarray(audio, np.float64)
        if self.pitch:
            x = _faster(x, sample_rate, 2 ** (self.pitch / 12))
        if self.tone:
            x = _filtered(x, sample_rate, self.tone)
        x = self._enveloped(x, sample_rate)
        if self.pan:
            x = _panned(x, self.pan)
        return (10 ** (self.gain / 20) * x).astype(np.float32)

    def _enveloped(self, x: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
        whole = x.shape[1] / sample_rate
        time = np.arange(x.shape[1]) / sample_rate
        if self.decay < 1:
            ring = _SHORTEST_DECAY * (max(whole, _SHORTEST_SOUND) / _SHORTEST_DECAY) ** self.decay
            end = min(whole, self.attack + ring)
            x = x[:, : max(1, round(end * sample_rate))]
            time = time[: x.shape[1]]
            x = x * _DECAYED ** np.clip((time - self.attack) / max(end - self.attack, 1e-9), 0, 1)
        return x * np.clip(time / self.attack, 0, 1) if self.attack else x


def _faster(x: NDArray[np.float64], sample_rate: int, speed: float) -> NDArray[np.float64]:
    return np.ascontiguousarray(soxr.resample(x.T, sample_rate * speed, sample_rate, quality="HQ").T)


def _filtered(x: NDArray[np.float64], sample_rate: int, tone: float) -> NDArray[np.float64]:
    """Through a low-pass, or a high-pass if `tone` is above 0: R. Bristow-Johnson's, as the Web Audio API has it."""
    start, end = _LOW_PASS_HZ if tone < 0 else _HIGH_PASS_HZ
    cutoff = min(start * (end / start) ** abs(tone), _HIGHEST * sample_rate)
    angle = 2 * np.pi * cutoff / sample_rate
    cosine, alpha = np.cos(angle), np.sin(angle) / (2 * 10 ** (_Q_DB / 20))
    side = (1 - cosine) / 2 if tone < 0 else (1 + cosine) / 2
    middle = 2 * side if tone < 0 else -2 * side
    padded = x.shape[1] + round(_RING_SECONDS * sample_rate)
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(padded))  # z⁻¹
    response = (side + (middle + side * delay) * delay) / (1 + alpha + (-2 * cosine + (1 - alpha) * delay) * delay)
    return np.asarray(np.fft.irfft(np.fft.rfft(x, padded) * response, padded)[:, : x.shape[1]])


def _panned(x: NDArray[np.float64], pan: float) -> NDArray[np.float64]:
    if len(x) == 1:
        angle = (pan + 1) * np.pi / 4
        return np.concatenate([np.cos(angle) * x, np.sin(angle) * x]) * 2**0.5
    left, right = x[0], x[1]
    if pan <= 0:  # what the right one loses goes to the left one
        angle = (pan + 1) * np.pi / 2
        return np.stack([left + np.cos(angle) * right, np.sin(angle) * right])
    angle = pan * np.pi / 2
    return np.stack([np.cos(angle) * left, right + np.sin(angle) * left])
