"""Named, complete configurations; `fauxley train PRESET` starts from one and flags override its fields."""

from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.config import AnyArchitecture, AnyObjective, AnyOptimizer, TrainingConfig
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

# The official code's objectives, each with the optimiser it comes with there. What the paper did is computed as it was,
# in float32, whatever would be faster.
_OFFICIAL: dict[str, tuple[str, AnyObjective, AnyOptimizer]] = {
    "": ("WGAN-GP", WassersteinGP(), Adam()),
    "-dcgan": ("the non-saturating loss", NonSaturating(), Adam(learning_rate=2e-4, beta2=0.999)),
    "-lsgan": ("least squares", LeastSquares(), RMSProp(learning_rate=1e-4)),
    "-wgan": ("WGAN with weight clipping", Wasserstein(), RMSProp(learning_rate=5e-5)),
}
_MODELS: dict[str, tuple[str, AnyArchitecture]] = {
    "wavegan": ("WaveGAN, raw audio", WaveGAN()),
    "specgan": ("SpecGAN, spectrograms", SpecGAN()),
}


def _official(model: str, loss: str) -> tuple[str, TrainingConfig]:
    (title, architecture), (words, objective, optimizer) = _MODELS[model], _OFFICIAL[loss]
    text = f"the paper's {title}, by {words}: d = 64, batch 64, 5 critic updates a step; for a GPU"
    return text, TrainingConfig(model + loss, architecture, objective, optimizer, precision="float32")


def _small(name: str, architecture: AnyArchitecture) -> TrainingConfig:
    return TrainingConfig(
        name,
        architecture,
        Relativistic(),
        Adam(learning_rate=5e-4, beta1=0.0, beta2=0.99),
        Averaging(half_life=10_000),
        steps=50_000,
        batch_size=16,
        checkpoint_every=500,
        preview_every=500,
    )


def _autoregressive(
    name: str, architecture: AnyArchitecture, batch_size: int, learning_rate: float, previews: int
) -> TrainingConfig:
    """Previews are few and rare, for they are made sample by sample."""
    return TrainingConfig(
        name,
        architecture,
        MaximumLikelihood(),
        Adam(learning_rate, beta1=0.9, beta2=0.999),
        Averaging(half_life=1000),
        batch_size=batch_size,
        preview_every=previews,
        preview_count=4,
    )


# What each is for, then the value. The text is the help.
PRESETS: dict[str, tuple[str, TrainingConfig]] = {
    **{model + loss: _official(model, loss) for model in _MODELS for loss in _OFFICIAL},
    "wavegan-small": (
        "a WaveGAN for CPUs: d = 16, batch 16, one critic update a step, averaged generator",
        _small("wavegan-small", WaveGAN(dim=16)),
    ),
    "specgan-small": (
        "a SpecGAN for CPUs: d = 16, batch 16, one critic update a step, averaged generator",
        _small("specgan-small", SpecGAN(dim=16, griffin_lim_momentum=0.99, compensate_windows=True)),
    ),
    "wavenet": (
        "a WaveNet, sample by sample, to compare with: d = 64, 40 layers, batch 8; for a GPU",
        _autoregressive("wavenet", WaveNet(), 8, 1e-3, previews=5000),
    ),
    "wavenet-small": (
        "a WaveNet for CPUs, to compare with: d = 32, 20 layers, batch 4",
        _autoregressive("wavenet-small", WaveNet(dim=32, skip_dim=64, layers=20), 4, 3e-3, previews=1000),
    ),
    "wavegan-tiny": (
        "a WaveGAN of half-second clips to try things out in minutes on a CPU; the demo's",
        TrainingConfig(
            "wavegan-tiny",
            WaveGAN(clip_length=8192, dim=16),
            WassersteinGP(critic_steps=2),
            Adam(learning_rate=1e-3),
            Averaging(half_life=2000),
            steps=280,
            batch_size=16,
            checkpoint_every=100,
            preview_every=100,
        ),
    ),
}
