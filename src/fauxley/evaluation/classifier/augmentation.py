"""Labelled spectrograms as if they had been recorded anew.

Letters: B batch, M mel bands, F frames, K labels.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def augment(spectrograms: Tensor, target: Tensor, rng: np.random.Generator, mixup: float) -> tuple[Tensor, Tensor]:
    """Spectrograms (B, 1, M, F) and targets (B, K) as if recorded anew: warped, partly hidden, blended."""
    count, _, bands, frames = spectrograms.shape
    # Where each output place lies in the input, axes from -1 to 1: stretched and shifted in time, warped in frequency.
    theta = np.zeros((count, 2, 3))
    theta[:, 0, 0] = np.exp(rng.uniform(-0.2, 0.2, count))
    theta[:, 0, 2] = rng.uniform(-0.2, 0.2, count)
    theta[:, 1, 1] = np.exp(rng.uniform(-0.1, 0.1, count))
    theta[:, 1, 2] = rng.uniform(-0.05, 0.05, count)
    grid = F.affine_grid(torch.from_numpy(theta).to(spectrograms), [*spectrograms.shape], align_corners=False)
    warped = F.grid_sample(spectrograms, grid, padding_mode="border", align_corners=False)
    keep = np.ones((count, bands, frames), bool)
    for row in keep:
        for axis, most in ((0, bands // 6), (0, bands // 6), (1, frames // 6), (1, frames // 6)):
            width = rng.integers(0, most + 1)
            start = rng.integers(0, row.shape[axis] - width + 1)
            row[
                (slice(start, start + width), slice(None)) if axis == 0 else (slice(None), slice(start, start + width))
            ] = False
    hidden = warped * torch.from_numpy(keep).to(warped.device)[:, None]
    # A change of colour: rooms and microphones.
    tilt = torch.from_numpy(rng.uniform(-0.4, 0.4, (count, 1, 1, 1)) * np.linspace(-1, 1, bands)[:, None])
    hidden = hidden + tilt.to(hidden)
    if not mixup:
        return hidden, target
    share = torch.from_numpy(rng.beta(mixup, mixup, (count, 1))).to(target)
    share = torch.maximum(share, 1 - share)
    partner = torch.from_numpy(rng.permutation(count)).to(target.device)
    blended = share[..., None, None] * hidden + (1 - share[..., None, None]) * hidden[partner]
    return blended, share * target + (1 - share) * target[partner]
