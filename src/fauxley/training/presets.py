"""Named, complete configurations; `fauxley train PRESET` starts from one and flags override its fields."""

from fauxley.models.wavegan import WaveGAN
from fauxley.training.average import Averaging
from fauxley.training.config import TrainingConfig
from fauxley.training.objectives import Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam

# What each is for, then the value. The text is the help.
PRESETS: dict[str, tuple[str, TrainingConfig]] = {
    "wavegan": (
        "the paper's WaveGAN: WGAN-GP, 5 critic updates, batch 64, d = 64, phase shuffle 2; for a GPU",
        TrainingConfig("wavegan", WaveGAN(), WassersteinGP(), Adam()),
    ),
    "wavegan-small": (
        "a WaveGAN for CPUs: d = 16, batch 16, one critic update a step, averaged generator",
        TrainingConfig(
            "wavegan-small",
            WaveGAN(dim=16),
            Relativistic(),
            Adam(learning_rate=5e-4, beta1=0.0, beta2=0.99),
            Averaging(half_life=10_000),
            steps=50_000,
            batch_size=16,
            checkpoint_every=500,
            preview_every=500,
        ),
    ),
    "wavegan-tiny": (
        "a WaveGAN of half-second clips to try things out in minutes on a CPU; the demo's",
        TrainingConfig(
            "wavegan-tiny",
            WaveGAN(clip_length=8192, dim=16),
            WassersteinGP(critic_steps=2),
            Adam(learning_rate=1e-3),
            Averaging(half_life=2000),
            steps=400,
            batch_size=16,
            checkpoint_every=100,
            preview_every=100,
        ),
    ),
}
