"""Audio from magnitudes alone: Griffin-Lim and its accelerated form.

A magnitude spectrogram M lacks the phase. Starting from some phase, each iteration makes audio of it, takes that
audio's spectrogram, and keeps its phase but M's magnitude (Griffin and Lim 1984, section III). Carrying on a share of
the last change gets further in as many iterations (Perraudin, Balazs and Søndergaard 2013, "fast Griffin-Lim").

Letters: K bins, F frames, N window length, H hop length.
"""

import math

import torch
from torch import Tensor

from fauxley.signal.stft import evening_gain, istft, stft

_AT_ONCE = 2**17  # cells of spectrograms: what is worked on again and again then stays in a processor's cache


def griffin_lim(
    magnitude: Tensor,
    window_length: int,
    hop_length: int,
    iterations: int = 16,
    *,
    momentum: float = 0.0,
    compensate: bool = False,
    phase: Tensor | None = None,
    silent: int = 0,
) -> Tensor:
    """Audio (..., (F - 1) H + N) whose spectrogram is near `magnitude` (..., F, K); differentiable.

    Args:
        iterations: 0 makes audio of the first phase as it is.
        momentum: share of the last change carried on; 0 is the original algorithm, 0.99 the authors' advice.
        compensate: see `istft`.
        phase: to start from, in radians, that can be expanded to magnitude's shape; None starts from zero, as the
            official code.
        silent: samples at the beginning that are known to be silent. Each iteration makes them so, which drives an
            attack behind them to where it belongs.
    """
    *lead, frames, bins = magnitude.shape
    sizes, count = (window_length, hop_length), math.prod(lead)
    gain = magnitude.new_ones((frames - 1) * hop_length + window_length)
    if compensate:
        gain = evening_gain(frames, *sizes, magnitude)
    gain[:silent] = 0
    if phase is None:
        first = torch.complex(magnitude, torch.zeros_like(magnitude))
    else:
        first = torch.polar(magnitude, phase.expand_as(magnitude))
    together = max(1, count if magnitude.is_cuda else _AT_ONCE // (frames * bins))
    magnitudes, spectra = (torch.split(each.reshape(count, frames, bins), together) for each in (magnitude, first))
    parts = [
        _iterate(wanted, spectrum, sizes, gain, iterations, momentum)
        for wanted, spectrum in zip(magnitudes, spectra, strict=True)
    ]
    return torch.cat(parts).view(*lead, len(gain))


def _iterate(
    magnitude: Tensor, spectrum: Tensor, sizes: tuple[int, int], gain: Tensor, iterations: int, momentum: float
) -> Tensor:
    """Audio (B, T) of magnitudes (B, F, K), from a first spectrum on; each inverse is multiplied by a gain (T,)."""
    previous = torch.zeros_like(torch.view_as_real(spectrum))
    keep = spectrum.requires_grad  # what derivatives need; else memory is used again, while it is in the cache
    for _ in range(iterations):
        audio = istft(spectrum, *sizes).mul_(gain)
        consistent = torch.view_as_real(stft(audio, *sizes, frames=magnitude.shape[1]))
        ahead = torch.lerp(previous, consistent, 1 + momentum, out=None if keep else previous)
        # X / max(|X|, 1e-8), without the complex absolute value and division, which take most of the time.
        real, imaginary = ahead.square().unbind(-1)
        scale = magnitude * (real + imaginary).clamp_(min=1e-16).rsqrt_()
        turned = torch.view_as_complex(ahead)
        spectrum = torch.mul(turned, scale, out=None if keep else turned)
        previous = consistent
    return istft(spectrum, *sizes).mul_(gain)


def spectral_convergence(magnitude: Tensor, reference: Tensor) -> Tensor:
    """|M - R| / |R|, Frobenius norms over all frames and bins (..., F, K): (...). 0 is perfect, 1 as bad as silence."""
    error, norm = (torch.linalg.vector_norm(values, dim=(-2, -1)) for values in (magnitude - reference, reference))
    convergence: Tensor = error / norm
    return convergence
