"""Sounds at other pitches, as a tape that runs slower or faster makes them: lower and longer, or higher and shorter.

    y(t) = x(r t),    r = 2^(semitones / 12)

by band-limited interpolation: the spectrum of N samples, cut or filled with zeros, gives N / r samples.
Both lengths are products of small primes, for which the fast Fourier transform is fast.

Letters: B batch, C channels, T samples.
"""

import itertools
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_SEMITONES = 12
_SPARE = 1.25  # the transform may be so much longer than the sound, for lengths that fit better
_FADE = 0.01  # share of a clip
_SILENCE = 1e-9


def at_pitch(audio: Tensor, semitones: float) -> Tensor:
    """Clips (B, C, T) so many semitones higher, or lower if negative, each with the peak and the length it had.

    What is lower, and so longer, is cut at the clip's end. What is higher, and so shorter, is followed by silence, into
    which a sound that would break off is faded.

    Args:
        semitones: at most `MOST_SEMITONES` up or down; met to within three hundredths.
    """
    length = audio.shape[-1]
    peak = audio.abs().amax((1, 2), keepdim=True)
    if semitones > 0:
        until_end = torch.arange(length, 0, -1, device=audio.device, dtype=audio.dtype)
        audio = audio * (until_end / (_FADE * length)).clamp(max=1)
    before, after = fast_lengths(length, 2 ** (semitones / 12))
    spectrum = torch.fft.rfft(audio, n=before)  # (B, C, before / 2 + 1)
    moved = torch.fft.irfft(spectrum, n=after)[..., :length]  # which cuts the spectrum, or fills it with zeros
    moved = F.pad(moved, (0, length - moved.shape[-1]))
    return moved * (peak / moved.abs().amax((1, 2), keepdim=True).clamp(min=_SILENCE))


@cache
def fast_lengths(least: int, ratio: float) -> tuple[int, int]:
    """Two even products of small primes with about this quotient, the first `least` or a little more."""
    powers = itertools.product(range(1, 24), range(14), range(10), range(8))
    products = sorted(2**a * 3**b * 5**c * 7**d for a, b, c, d in powers)
    most = _SPARE * least + 8
    return min(
        itertools.product(
            [length for length in products if least <= length <= most],
            [length for length in products if least <= length * ratio * 1.01 and length * ratio * 0.99 <= most],
        ),
        key=lambda pair: abs(pair[0] / pair[1] / ratio - 1),
    )
