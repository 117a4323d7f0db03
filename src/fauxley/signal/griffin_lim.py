"""Audio from magnitudes alone: Griffin-Lim and its accelerated form.

A magnitude spectrogram M lacks the phase. Starting from some phase, each iteration makes audio of it, takes that
audio's spectrogram, and keeps its phase but M's magnitude (Griffin and Lim 1984, section III). Carrying on a share of
the last change gets further in as many iterations (Perraudin, Balazs and Søndergaard 2013, "fast Griffin-Lim").

Letters: K bins, F frames, N window length, H hop length.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.signal.stft import istft, stft


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
    spectrum = magnitude.to(torch.complex64) if phase is None else torch.polar(magnitude, phase.expand_as(magnitude))
    previous = torch.zeros_like(spectrum)

    def invert() -> Tensor:
        audio = istft(spectrum, window_length, hop_length, compensate=compensate)
        return F.pad(audio[..., silent:], (silent, 0)) if silent else audio

    for _ in range(iterations):
        consistent = stft(invert(), window_length, hop_length, frames=magnitude.shape[-2])
        ahead = torch.view_as_real(consistent + momentum * (consistent - previous) if momentum else consistent)
        # X / max(|X|, 1e-8), without the complex absolute value and division, which take most of the time.
        real, imaginary = ahead.unbind(-1)
        scale = magnitude * torch.addcmul(real * real, imaginary, imaginary).clamp(min=1e-16).rsqrt()
        spectrum = torch.view_as_complex(ahead * scale.unsqueeze(-1))
        previous = consistent
    return invert()


def spectral_convergence(magnitude: Tensor, reference: Tensor) -> Tensor:
    """|M - R| / |R|, Frobenius norms over all frames and bins (..., F, K): (...). 0 is perfect, 1 as bad as silence."""
    error, norm = (torch.linalg.vector_norm(values, dim=(-2, -1)) for values in (magnitude - reference, reference))
    convergence: Tensor = error / norm
    return convergence
