"""Everything that decides how a run goes, as one frozen value.

A preset is a complete value of this type; flags override fields. A field's docstring is its help text.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from fauxley.errors import UsageError
from fauxley.models.architecture import AutoregressiveArchitecture
from fauxley.models.precision import DTYPES, Precision, choose_precision
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.signal.pitch import MOST_SEMITONES
from fauxley.training.objectives import (
    Hinge,
    LeastSquares,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Wasserstein,
    WassersteinGP,
)
from fauxley.training.optimizers import Adam, RMSProp
from fauxley.training.state import Averaging

AnyArchitecture = WaveGAN | SpecGAN | WaveNet
AnyOptimizer = Adam | RMSProp
AnyObjective = NonSaturating | LeastSquares | Wasserstein | WassersteinGP | Relativistic | Hinge | MaximumLikelihood


@dataclass(frozen=True)
class Data:
    """How a folder of sounds becomes batches."""

    sample_rate: int = 16000
    """Sample rate in Hz that a folder of sounds is prepared at."""
    normalize: bool = True
    """Scale each file to a peak of 1 when a folder of sounds is prepared."""
    slicing: Literal["auto", "first", "all", "random", "onsets"] = "auto"
    """Clips of a file to use: the first, all of them, all from a random start, one for each hit (onsets: for long
    recordings of footsteps, claps, drums); auto: as the dataset was prepared."""
    overlap: float = 0.0
    """Share of a clip that the next clip of the file repeats."""
    labels: bool = False
    """Learn the labels of the data, so that sounds of each can be asked for: names of sub-folders, or those in
    manifest.csv. Where there are none, or too few clips of one, the model goes without and says so."""
    balance_labels: bool = False
    """Draw every label equally often; a model that learns the labels always does."""
    pitch: float = 0.0
    """Show each clip at one of five pitches, evenly spaced from so many semitones lower to as many higher; 0: as it is.
    Of few sounds that makes more; not for notes that are to stay in tune."""

    def __post_init__(self) -> None:
        if not 0 <= self.pitch <= MOST_SEMITONES:
            raise UsageError(f"pitch must be between 0 and {MOST_SEMITONES} semitones; got {self.pitch:g}")

    @property
    def pitches(self) -> tuple[float, ...]:
        """The pitches at which clips are shown, in semitones from their own."""
        return tuple(self.pitch * share for share in (-1, -0.5, 0, 0.5, 1)) if self.pitch else (0.0,)


@dataclass(frozen=True)
class Origin:
    """The model whose weights a run began with instead of random ones; see `fauxley.training.beginning`."""

    model: str = ""
    """As it was named; "": none."""
    sha256: str = ""
    """Of its numbers."""
    license: str = ""
    """Of the sounds that it had learnt from."""
    critic_first: int = 100
    """Steps at most in which only the critic learns, which begins anew: it has first to find its feet."""


@dataclass(frozen=True)
class TrainingConfig:
    """A model, how it is trained, and what is recorded on the way."""

    preset: str
    architecture: AnyArchitecture = field(default_factory=WaveGAN)
    objective: AnyObjective = field(default_factory=WassersteinGP)
    optimizer: AnyOptimizer = field(default_factory=Adam)
    averaging: Averaging = field(default_factory=Averaging)
    data: Data = field(default_factory=Data)
    origin: Origin = field(default_factory=Origin)
    steps: int = 200_000
    """Generator updates in all. A finished run goes on when this is raised."""
    minutes: float = 0.0
    """Train for so many minutes instead of so many steps, pauses between sessions not counted; 0: go by the steps.
    What changes until the end, such as the learning rate, then follows the clock."""
    batch_size: int = 64
    """Clips in a batch."""
    accumulate: int = 1
    """Compute each batch in so many parts, which saves memory."""
    precision: Precision = "auto"
    """Precision of the signals between the layers. bfloat16 is about twice as fast where the hardware has it (recent
    processors), and much slower elsewhere; auto takes it only where it is fast, else float32, and a run keeps what it
    was begun with. Weights, losses and what is saved stay in float32, a WaveNet altogether."""
    seed: int = 0
    """Decides the initial weights, the order of the data, and every random number."""
    log_every: int = 20
    """Steps between lines in log.jsonl."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    preview_every: int = 1000
    """Steps between previews: sounds and a sheet from fixed latents."""
    save_minutes: float = 0.0
    """Minutes from one checkpoint and preview to the next, instead of steps, where training goes by the clock; 0: go
    by the steps."""
    preview_count: int = 16
    """Sounds in a preview."""
    evaluate_every: int = 0
    """Steps between evaluations against the data, whose figures go into log.jsonl; 0: none."""
    evaluate_count: int = 500
    """Sounds in an evaluation."""
    keep_checkpoints: int = 3
    """How many of the newest checkpoints to keep."""
    milestone_every: int = 20_000
    """Keep checkpoints whose step is a multiple of this for good; 0: none."""

    def settle(self, device: torch.device) -> tuple["TrainingConfig", str]:
        """Replace precision `auto` by what it means on a device; also give a warning if the precision is slow there."""
        if isinstance(self.architecture, AutoregressiveArchitecture) and self.precision == "auto":
            return replace(self, precision="float32"), ""
        choice = choose_precision(self.precision, device)
        return replace(self, precision=choice.precision), choice.warning

    @property
    def dtype(self) -> torch.dtype:
        """The precision as PyTorch names it.

        Raises:
            UsageError: it is still `auto`; see `settle`.
        """
        if self.precision == "auto":
            raise UsageError("precision is auto still; settle it first")
        return DTYPES[self.precision]

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "log_every", "checkpoint_every", "preview_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("minutes", "save_minutes"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be finite and not negative; got {getattr(self, name)}")
        for name in ("seed", "milestone_every", "preview_count", "evaluate_every"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative; got {getattr(self, name)}")
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"batch_size must be a multiple of accumulate; got {self.batch_size} and {self.accumulate}"
            )
        if not self.objective.suits(self.architecture):
            raise UsageError(f"{type(self.objective).__name__} cannot train a {type(self.architecture).__name__}")
        if self.keep_checkpoints < 1:
            raise UsageError(f"keep_checkpoints must be at least 1; got {self.keep_checkpoints}")


# The classes that a run's config.json may name.
CLASSES = (
    *(TrainingConfig, WaveGAN, SpecGAN, WaveNet, Averaging, Data, Origin, Adam, RMSProp),
    *(NonSaturating, LeastSquares, Wasserstein, WassersteinGP, Relativistic, Hinge, MaximumLikelihood),
)
