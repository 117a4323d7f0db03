"""The mel scale, and the official code's matrices from Fourier bins to mel bands.

    mel(f) = 1127 ln(1 + f / 700 Hz)

Band b is a triangle, linear in mel, that rises from 0 at the centre of band b - 1 to 1 at its own centre and falls to 0
at the centre of band b + 1. The centres are evenly spaced in mel between two frequencies. Triangles are not divided by
their area, and bin 0, the constant part, belongs to no band. (librosa's default differs in all three: another mel
scale, areas of 1, and bin 0 treated like any other.)
Letters: K bins, M bands.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fauxley.errors import UsageError


def mel_matrix(
    num_bins: int, sample_rate: float, num_bands: int = 128, low: float = 40.0, high: float = 7800.0
) -> NDArray[np.float64]:
    """The weight of each bin in each band, between 0 and 1: (K, M).

    Args:
        num_bins: K = N/2 + 1 of a transform of N samples; the last bin is half the sample rate.
        sample_rate: in Hz.
        num_bands: M.
        low, high: frequencies in Hz where the first triangle begins and the last one ends.

    Raises:
        UsageError: the frequencies are not 0 <= low < high <= sample_rate / 2.
    """
    if not 0 <= low < high <= sample_rate / 2:
        raise UsageError(
            f"mel bands must lie between 0 and half the sample rate, {sample_rate / 2:g} Hz; got {low:g} to {high:g}"
        )
    edges = np.linspace(hertz_to_mel(low), hertz_to_mel(high), num_bands + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    mel = hertz_to_mel(np.linspace(0, sample_rate / 2, num_bins))[:, None]
    rise, fall = (mel - lower) / (centre - lower), (upper - mel) / (upper - centre)
    matrix = np.maximum(0, np.minimum(rise, fall))
    matrix[0] = 0
    return matrix


def hertz_to_mel(frequency: ArrayLike) -> NDArray[np.float64]:
    """Convert frequencies in Hz to mel, in the same shape."""
    return np.asarray(1127 * np.log1p(np.asarray(frequency, np.float64) / 700))


def mel_to_hertz(mel: ArrayLike) -> NDArray[np.float64]:
    """Convert mel to frequencies in Hz; the inverse of `hertz_to_mel`."""
    return np.asarray(700 * np.expm1(np.asarray(mel, np.float64) / 1127))
