"""A network that estimates the phases of a magnitude spectrogram, in the manner of Vocos (Siuzdak 2023).

The network works on frames, not on samples: log-magnitudes pass through ConvNeXt blocks along time (Liu et al. 2022), a
head estimates the phase of every cell, and the inverse STFT makes all samples at once. The magnitudes are kept as
given.

Phases count from a frame's centre, N/2 samples after its start, so that zero phase in all bins is a click where the
window is largest:

    phase[n, k] = angle of the head's vector - πk

A limit: equal input gives equal phases at any time, but the phase of a perfectly steady tone advances from frame to
frame. A few iterations of Griffin-Lim after the network mend that. Real tones are rarely so steady.

Letters: B batch, C channels, F frames, K = N/2 + 1 bins, N window length, H hop length, d width of the network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.models.cost import Cost
from fauxley.models.draws import Draws
from fauxley.signal.griffin_lim import griffin_lim

_FLOOR = 1e-4  # 80 dB below the clip's root mean square; phases hardly matter there
_SPREAD = 3.0  # rough standard deviation of log-magnitudes
_TAPS = 7  # frames that a block's filter spans
_EXPANSION = 3


class LearnedInversion(nn.Module):
    """Converts magnitudes (B, C, F, K) to audio (B, C, (F - 1) H + N), channel by channel.

    Doubled magnitudes give doubled audio, because the network sees levels relative to the clip's own.

    Args:
        window_length, hop_length: of the spectrogram.
        dim: d, channels of the network.
        layers: number of blocks; each widens the receptive field by 3 frames on either side.
        iterations: of fast Griffin-Lim after the network, starting from its phases.
    """

    def __init__(self, window_length: int, hop_length: int, dim: int, layers: int, iterations: int = 0) -> None:
        super().__init__()
        self.window_length = window_length
        self.hop_length = hop_length
        self.iterations = iterations
        bins = window_length // 2 + 1
        self.embed = nn.Conv1d(bins, dim, _TAPS, padding="same")
        self.first_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, scale=1 / layers) for _ in range(layers))
        self.last_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 2 * bins)

    def forward(self, magnitude: Tensor) -> Tensor:
        return self.invert(magnitude, self.phase(magnitude))

    def phase(self, magnitude: Tensor) -> Tensor:
        """Estimate the phase of every cell, in radians, from magnitudes (B, C, F, K): the same shape."""
        vectors = self.vectors(magnitude)
        return torch.atan2(vectors[..., 1, :], vectors[..., 0, :])

    def vectors(self, magnitude: Tensor) -> Tensor:
        """Estimate for every cell a vector in the complex plane whose angle is its phase: (B, C, F, 2, K)."""
        level = magnitude.square().mean((-2, -1), keepdim=True).clamp(min=1e-12).sqrt()
        x = torch.log(magnitude / level + _FLOOR) / _SPREAD + 1
        x = self.embed(x.flatten(0, 1).transpose(1, 2)).transpose(1, 2)  # (B·C, F, d)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        vectors = self.head(self.last_norm(x)).unflatten(-1, (2, -1))  # (B·C, F, 2, K)
        turned: Tensor = vectors * (1 - 2 * (torch.arange(magnitude.shape[-1], device=vectors.device) % 2))  # by πk
        return turned.view(*magnitude.shape[:-1], *turned.shape[-2:])

    def invert(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """Convert magnitudes and phases to audio: the inverse STFT, then the iterations of Griffin-Lim."""
        return griffin_lim(
            magnitude,
            self.window_length,
            self.hop_length,
            self.iterations,
            momentum=0.99,
            compensate=True,
            phase=phase,
        )


class ConvNeXtBlock(nn.Module):
    """Filters each channel along frames, mixes the channels of each frame, and adds the result to its input (B, F, d).

    Args:
        dim: d.
        scale: initial scale of the added part; it is learned for each channel.
    """

    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.filter = nn.Conv1d(dim, dim, _TAPS, padding="same", groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, _EXPANSION * dim)
        self.narrow = nn.Linear(_EXPANSION * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.filter(x.transpose(1, 2)).transpose(1, 2)
        change: Tensor = self.narrow(F.gelu(self.widen(self.norm(y))))
        return x + self.scale * change


def initialize_inversion(inversion: LearnedInversion, draws: Draws | None) -> LearnedInversion:
    """Initialise weights as ConvNeXt does: standard deviation 0.02, biases zero.

    `network.initialize` would not do: Glorot's rule would treat a filter of one channel as if it connected all
    channels.
    """
    if draws is None:
        return inversion
    with torch.no_grad():
        for name, parameter in inversion.named_parameters():
            if parameter.dim() > 1:
                parameter.copy_(draws.uniform(parameter.shape, 0.02 * 3**0.5))
            elif name.endswith("bias"):
                parameter.zero_()
    return inversion


def learned_inversion_cost(
    clip_length: int, channels: int, window_length: int, hop_length: int, dim: int, layers: int
) -> Cost:
    """The cost of estimating the phases of one clip with a network of these sizes."""
    bins, positions = window_length // 2 + 1, channels * (clip_length // hop_length)
    block = _TAPS * dim + 2 * _EXPANSION * dim**2 + _EXPANSION * dim + 5 * dim
    weights = _TAPS * bins * dim + 5 * dim + layers * block + 2 * bins * (dim + 1)
    return Cost(weights, positions * weights, numbers=positions * (2 * window_length + 8 * dim))
