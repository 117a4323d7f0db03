"""Presets: named, complete configurations. `fauxley train PRESET` starts from one, and options override its fields."""

from typing import Any

from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.config import AnyArchitecture, AnyObjective, AnyOptimizer, Data, TrainingConfig
from fauxley.training.objectives import (
    LeastSquares,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Wasserstein,
    WassersteinGP,
)
from fauxley.training.optimizers import Adam, RMSProp
from fauxley.training.state import Averaging

_Row = tuple[AnyArchitecture, AnyObjective, AnyOptimizer, float, int, dict[str, Any]]

# The paper's presets compute in float32, as the paper did. A WaveNet's previews take long.
_PAPER: dict[str, Any] = {"precision": "float32"}
# The small presets learn labels if there are any; the paper's models have none.
_SMALL: dict[str, Any] = {"data": Data(labels=True), "steps": 50_000, "checkpoint_every": 500, "preview_every": 500}
_TINY: dict[str, Any] = {"steps": 280, "checkpoint_every": 100, "preview_every": 100}
_SLOW: dict[str, Any] = {"preview_every": 5000, "preview_count": 4}
_SLOW_SMALL: dict[str, Any] = {"preview_every": 1000, "preview_count": 4}

_SMALL_SPECGAN = SpecGAN(dim=16, griffin_lim_momentum=0.99, compensate_windows=True)
_SMALL_WAVENET = WaveNet(dim=32, skip_dim=64, layers=20)
_SMALL_ADAM = Adam(5e-4, beta1=0.0, beta2=0.99)
_WAVENET_ADAM, _SMALL_WAVENET_ADAM = (Adam(rate, beta1=0.9, beta2=0.999) for rate in (1e-3, 3e-3))

# The half-life is that of the averaged generator, in samples; 0 for no averaging. The paper's presets use the official
# code's optimiser for each objective.
# fmt: off
_TABLE: dict[str, _Row] = {
    # name            architecture           objective            optimiser                half-life batch settings
    "wavegan":       (WaveGAN(),             WassersteinGP(),     Adam(),                       0.0,   64, _PAPER),
    "wavegan-dcgan": (WaveGAN(),             NonSaturating(),     Adam(2e-4, beta2=0.999),      0.0,   64, _PAPER),
    "wavegan-lsgan": (WaveGAN(),             LeastSquares(),      RMSProp(1e-4),                0.0,   64, _PAPER),
    "wavegan-wgan":  (WaveGAN(),             Wasserstein(),       RMSProp(5e-5),                0.0,   64, _PAPER),
    "specgan":       (SpecGAN(),             WassersteinGP(),     Adam(),                       0.0,   64, _PAPER),
    "specgan-dcgan": (SpecGAN(),             NonSaturating(),     Adam(2e-4, beta2=0.999),      0.0,   64, _PAPER),
    "specgan-lsgan": (SpecGAN(),             LeastSquares(),      RMSProp(1e-4),                0.0,   64, _PAPER),
    "specgan-wgan":  (SpecGAN(),             Wasserstein(),       RMSProp(5e-5),                0.0,   64, _PAPER),
    "wavegan-small": (WaveGAN(dim=16),       Relativistic(),      _SMALL_ADAM,               10_000,   16, _SMALL),
    "specgan-small": (_SMALL_SPECGAN,        Relativistic(),      _SMALL_ADAM,               10_000,   16, _SMALL),
    "wavenet":       (WaveNet(),             MaximumLikelihood(), _WAVENET_ADAM,               1000,    8, _SLOW),
    "wavenet-small": (_SMALL_WAVENET,        MaximumLikelihood(), _SMALL_WAVENET_ADAM,         1000,    4, _SLOW_SMALL),
    "wavegan-tiny":  (WaveGAN(8192, dim=16), WassersteinGP(2),    Adam(1e-3),                  2000,   16, _TINY),
}
# fmt: on
_PAPERS = "the paper's {}, by {}: d = 64, batch 64, 5 critic updates a step; for a GPU"
_TEXTS = {
    "wavegan": _PAPERS.format("WaveGAN, raw audio", "WGAN-GP"),
    "wavegan-dcgan": _PAPERS.format("WaveGAN, raw audio", "the non-saturating loss"),
    "wavegan-lsgan": _PAPERS.format("WaveGAN, raw audio", "least squares"),
    "wavegan-wgan": _PAPERS.format("WaveGAN, raw audio", "WGAN with weight clipping"),
    "specgan": _PAPERS.format("SpecGAN, spectrograms", "WGAN-GP"),
    "specgan-dcgan": _PAPERS.format("SpecGAN, spectrograms", "the non-saturating loss"),
    "specgan-lsgan": _PAPERS.format("SpecGAN, spectrograms", "least squares"),
    "specgan-wgan": _PAPERS.format("SpecGAN, spectrograms", "WGAN with weight clipping"),
    "wavegan-small": "a WaveGAN for CPUs: d = 16, batch 16, one critic update a step, averaged generator",
    "specgan-small": "a SpecGAN for CPUs: d = 16, batch 16, one critic update a step, averaged generator",
    "wavenet": "a WaveNet, which draws sample by sample, for comparison: d = 64, 40 layers, batch 8; for a GPU",
    "wavenet-small": "a WaveNet for CPUs, for comparison: d = 32, 20 layers, batch 4",
    "wavegan-tiny": "a WaveGAN of half-second clips for trying things out in minutes on a CPU; used by the demo",
}


def _configure(name: str) -> TrainingConfig:
    architecture, objective, optimizer, half_life, batch_size, others = _TABLE[name]
    return TrainingConfig(
        name, architecture, objective, optimizer, Averaging(half_life), batch_size=batch_size, **others
    )


PRESETS: dict[str, tuple[str, TrainingConfig]] = {name: (text, _configure(name)) for name, text in _TEXTS.items()}
"""Presets by name: the help text, and the configuration."""
