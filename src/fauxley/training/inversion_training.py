"""Training of the network that estimates phases (`fauxley.models.phase_inversion`), by how its audio sounds.

The phases of the real sound are not the target, because others are as good: audio times -1 has the same spectrogram.
Instead the audio's spectrograms should equal the real sound's for windows of several lengths, most of which the network
is not given (Yamamoto, Song and Kim 2020, equations 4 to 6):

    loss = mean over windows of  |A - R| / |R|  +  mean |ln A - ln R|,     A, R magnitudes of audio and real sound

Crops are drawn anywhere in the files and pass through the representation, including its clipping, as generated features
will.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.order import Shuffled
from fauxley.dataset.slicing import Slicing
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.signal.stft import stft
from fauxley.stopping import stop_signals
from fauxley.training.data import to_float
from fauxley.training.optimizers import Adam, RepeatableOptimizer

_WINDOWS = (128, 256, 512, 1024)  # samples; hops are a quarter
_FLOOR = 1e-4  # of magnitudes: 80 dB below a sine at full scale
_HELD_OUT = 10  # one file in ten is held out of training ...
_CHECKED = 64  # ... and this many clips of those serve for checks
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class InversionTraining:
    """Settings for training the network that estimates phases."""

    steps: int = 10_000
    """Number of updates."""
    batch_size: int = 16
    """Crops in a batch."""
    frames: int = 48
    """Frames in a crop."""
    optimizer: Adam = field(default_factory=lambda: Adam(1e-3, decay="linear", warmup=100, beta1=0.8, beta2=0.99))
    seed: int = 0
    """Determines the initial weights and the order of the data."""
    check_every: int = 250
    """Steps between checks on held-out sounds."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "frames", "check_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative; got {self.seed}")


class InversionTrainer:
    """Trains a representation's network, in place.

    Args:
        representation: fitted, and on the device to compute on.
        dataset: real sounds; a tenth of the files is held out, but a single file serves for both.
        training: the settings.
    """

    def __init__(self, representation: LogSpectrogram, dataset: Dataset, training: InversionTraining) -> None:
        self.representation = representation
        self.training = training
        files = dataset.info.num_files
        order = Shuffled(np.arange(files), training.seed).draw(np.arange(files)).clip.tolist()
        held_out = -(-files // _HELD_OUT)
        self._sounds = dataset.only(order[held_out:] or order)
        clips = Slicing("all", representation.clip_length)
        self._check = self._to_audio(next(dataset.only(order[:held_out]).once(_CHECKED, clips)))
        crop_length = min(training.frames * representation.hop_length, representation.clip_length)
        self._crops = Slicing("random", crop_length)

    def train(self, report: Callable[[int, float, float | None], None]) -> int:
        """Train until the last step, or until a signal asks to stop; return the number of steps taken.

        Args:
            report: called after each step with its number, its loss and, where it was measured, the result of `check`.

        Raises:
            FauxleyError: training diverged.
        """
        training = self.training
        optimizer = training.optimizer.build(self.representation.parameters())
        with stop_signals() as stop:
            for step in range(training.steps):
                if stop:
                    return step
                loss = self._step(step, optimizer)
                due = (step + 1) % training.check_every == 0
                report(step + 1, loss, self.check() if due else None)
        return training.steps

    @torch.no_grad()
    def check(self) -> float:
        """The loss on held-out sounds."""
        return float(self._loss(self._check))

    def _step(self, step: int, optimizer: RepeatableOptimizer) -> float:
        training = self.training
        optimizer.learning_rate = training.optimizer.rate(step, step / training.steps)
        integers = self._sounds.batch(step, training.batch_size, training.seed, slicing=self._crops)
        loss = self._loss(self._to_audio(integers))
        if not math.isfinite(value := float(loss.detach())):
            raise FauxleyError(f"training diverged at step {step}; try a lower learning rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.representation.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        return value

    def _loss(self, real: Tensor) -> Tensor:
        found = self.representation.to_audio(self.representation.to_features(real))
        return spectral_loss(found[..., : real.shape[-1]], real)

    def _to_audio(self, integers: np.ndarray) -> Tensor:
        return to_float(torch.from_numpy(integers).to(self.representation.mean.device))


def spectral_loss(audio: Tensor, reference: Tensor) -> Tensor:
    """The loss (see the module's docstring) of audio (..., T) against a reference of the same shape: ()."""
    losses = []
    for window in _WINDOWS:
        mine, real = (_magnitude(signal, window) for signal in (audio, reference))
        error, norm = (torch.linalg.vector_norm(m, dim=(-2, -1)) for m in (mine - real, real))
        # The norm of silence is zero.
        convergence = error / norm.clamp(min=_FLOOR * real.shape[-1] ** 0.5)
        losses.append(convergence.mean() + (mine.log() - real.log()).abs().mean())
    return torch.stack(losses).mean()


def _magnitude(audio: Tensor, window: int) -> Tensor:
    """Magnitudes (..., F, K), scaled so that a sine at full scale has 1, and at least the floor."""
    spectrum = torch.view_as_real(stft(audio, window, window // 4))
    # A Hann window sums to half its length, and a sine shares its level with its mirror image.
    return spectrum.square().sum(-1).mul((4 / window) ** 2).clamp(min=_FLOOR**2).sqrt()
