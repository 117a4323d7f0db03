"""A learned way from magnitudes back to audio, in the manner of Vocos (Siuzdak 2023).

The network works on frames, not on samples: log-magnitudes go through ConvNeXt blocks along time (Liu et al. 2022), a
head gives every cell a phase, and the inverse STFT makes all samples at once. Magnitudes stay as they are given, for
the phase is what a spectrogram lacks.

The same input gives the same output wherever it stands, and so the same phase in every frame of a steady tone. But the
phase of a tone in the middle of bin k turns by 2πkH/N from frame to frame, and it is that of the frame's centre, at
N/2, which says where in the frame something happens. The head's phase counts from there:

    phase[n, k] = angle of the head's vector + 2πk (n H / N - 1/2)

Letters: B batch, C channels, F frames, K = N/2 + 1 bins, N window length, H hop length, d width of the network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.audio.griffin_lim import griffin_lim
from fauxley.models.draws import Draws

_FLOOR = 1e-4  # 80 dB below the clip's root mean square, where phases hardly matter
_SPREAD = 3.0  # of log-magnitudes, roughly
_TAPS = 7  # frames that a block sees
_EXPANSION = 3


class LearnedInversion(nn.Module):
    """Magnitudes (B, C, F, K) to audio (B, C, (F - 1) H + N), channel by channel.

    Twice the magnitudes give twice the audio, for the network sees levels relative to the clip's own.

    Args:
        window_length, hop_length: of the spectrogram.
        dim: d, channels of the network.
        layers: number of blocks; each widens what a phase is found from by 3 frames on either side.
        iterations: of accelerated Griffin-Lim that follow, beginning from the network's phases.
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
        """The phase of every cell, in radians: (B, C, F, K) to the same."""
        level = magnitude.square().mean((-2, -1), keepdim=True).clamp(min=1e-12).sqrt()
        x = torch.log(magnitude / level + _FLOOR) / _SPREAD + 1
        x = self.embed(x.flatten(0, 1).transpose(1, 2)).transpose(1, 2)  # (B·C, F, d)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        x, y = self.head(self.last_norm(x)).chunk(2, dim=-1)  # (B·C, F, K) each
        return torch.atan2(y, x).view_as(magnitude) + self._advance(magnitude)

    def invert(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """Audio of magnitudes and phases: the inverse STFT, or as many iterations of Griffin-Lim as there are."""
        return griffin_lim(
            magnitude,
            self.window_length,
            self.hop_length,
            self.iterations,
            momentum=0.99,
            compensate=True,
            phase=phase,
        )

    def _advance(self, like: Tensor) -> Tensor:
        """2πk (n H / N - 1/2) in radians, less whole turns: (F, K)."""
        frames, bins = (torch.arange(size, device=like.device) for size in like.shape[-2:])
        n = self.window_length
        # Whole numbers, for float32 has no digits left for the fraction of many turns.
        turns: Tensor = bins * (frames.unsqueeze(1) * self.hop_length - n // 2) % n
        return turns.to(like) * (2 * torch.pi / n)


class ConvNeXtBlock(nn.Module):
    """Each channel filtered along frames, then each frame's channels mixed, added to the input: (B, F, d) to the same.

    Args:
        scale: of what is added, at first; it is learnt for each channel.
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
        return x + self.scale * self.narrow(F.gelu(self.widen(self.norm(y))))


def initialize_inversion(inversion: LearnedInversion, draws: Draws | None) -> LearnedInversion:
    """Set weights as ConvNeXt does, with a standard deviation of 0.02, biases zero.

    `architecture.initialize` does not suit: Glorot's rule reads a filter along frames as if it connected all channels.
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
