"""The mel scale, and bands that are even on it: the official code's matrices from Fourier bins to mel bands.

    mel(f) = 1127 ln(1 + f / 700 Hz)

Band b is a triangle, linear in mel, that rises from the centre of band b - 1 to 1 at its own and falls to the centre of
band b + 1; the centres are evenly spaced between two frequencies. Triangles are not divided by their area, and bin 0,
the constant part, goes to no band. (librosa's default differs in all three: another scale, areas of 1, bin 0 as any
other.)

Letters: K bins, M bands.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fauxley.errors import UsageError


def mel_matrix(
    num_bins: int, sample_rate: float, num_bands: int = 128, low: float = 40.0, high: float = 7800.0
) -> NDArray[np.float64]:
    """The share of each bin that goes to each band, (K, M), between 0 and 1.

    Args:
        num_bins: K = N/2 + 1 of a transform of N samples; the last bin is half the sample rate.
        sample_rate: in Hz.
        num_bands: M.
        low, high: Hz, where the first triangle begins and the last one ends.

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
    """Frequencies in Hz on the mel scale, of the same shape."""
    return np.asarray(1127 * np.log1p(np.asarray(frequency, np.float64) / 700))


def mel_to_hertz(mel: ArrayLike) -> NDArray[np.float64]:
    """Frequencies in Hz from the mel scale; the inverse of `hertz_to_mel`."""
    return np.asarray(700 * np.expm1(np.asarray(mel, np.float64) / 1127))
