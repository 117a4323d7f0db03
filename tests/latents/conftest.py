"""A model whose latents are known: a tone, of which each number of the latent is one thing a player would turn."""

import math

import pytest
import torch
from torch import Tensor, nn

from fauxley.models.network import Generator
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN

RATE, LENGTH = 8000, 4096
GAIN, DECAY, PITCH, NOISE, ATTACK = range(5)


class Tones(Generator):
    """Latents (B, 6) to decaying tones with noise (B, 1, T). Number 5 of the latent does nothing."""

    def __init__(self, latent_size: int = 6) -> None:
        super().__init__(latent_size)
        noise = torch.rand(LENGTH, generator=torch.Generator().manual_seed(0)) * 2 - 1
        self.noise = nn.Parameter(noise)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        t = torch.arange(LENGTH, device=z.device) / RATE
        gain = 0.2 * torch.exp(z[:, GAIN, None])
        seconds = 0.03 * torch.exp(z[:, DECAY, None])
        hertz = 400 * torch.exp(z[:, PITCH, None])
        rise = 0.01 * torch.exp(z[:, ATTACK, None])
        share = 0.05 * torch.exp(2 * z[:, NOISE, None])
        body = torch.sin(2 * math.pi * hertz * t) + share * self.noise
        return (gain * (1 - torch.exp(-t / rise)) * torch.exp(-t / seconds) * body)[:, None]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, so that no test finds what another has found out."""
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tones():
    architecture = WaveGAN(LENGTH, dim=1, latent_size=6)
    return Synthesizer(architecture, Tones(), architecture.representation(), RATE)


class LabelledTones(Tones):
    """Tones that are low or high by their label (B, 2)."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        lift = torch.eye(self.latent_size, device=z.device)[PITCH]
        return super().forward(0.5 * z + (labels @ torch.tensor([-1.5, 1.5], device=z.device))[:, None] * lift)


@pytest.fixture
def labelled():
    """A model of tones with the labels low and high."""
    architecture = WaveGAN(LENGTH, dim=1, latent_size=6, labels=("low", "high"))
    return Synthesizer(architecture, LabelledTones(), architecture.representation(), RATE)
