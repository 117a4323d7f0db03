"""Companding by the μ-law (ITU-T G.711; van den Oord et al. 2016, section 2.2): few levels, dense where sound is quiet.

With 256 levels, neighbours differ by 1.7e-4 at silence and by 0.043 at full scale. No level is exactly zero: silence is
half a step above it, at -81 dB.
"""

import math

import torch
from torch import Tensor


def compress(audio: Tensor, levels: int) -> Tensor:
    """Quantise samples in [-1, 1] to levels 0 ... levels - 1, int64 of the same shape; others are clipped first."""
    mu = levels - 1
    audio = audio.clamp(-1, 1)
    bent = audio.sign() * torch.log1p(mu * audio.abs()) / math.log1p(mu)
    return ((bent + 1) / 2 * mu + 0.5).floor().long()


def expand(level: Tensor, levels: int) -> Tensor:
    """Convert levels to the samples in [-1, 1] that they stand for, float32."""
    mu = levels - 1
    bent = 2 * level.double() / mu - 1
    return (bent.sign() * torch.expm1(bent.abs() * math.log1p(mu)) / mu).float()
