"""A model as the latent tools use it: frozen, in float32, a function of latents and weights of labels."""

import copy
import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.models.network import AutoregressiveGenerator, Network
from fauxley.models.synthesizer import Synthesizer

Wanted = str | Mapping[str, float] | None
"""A label, or the shares of a mixture, for all sounds; None for all labels in turn."""

_AT_ONCE = 16  # sounds
_WORTH_NAMING = 0.005


class Player:
    """Plays a model by latents (B, Z) and weights of labels (B, L).

    Raises:
        UsageError: the model draws one sample after another, so its latents are noise without a meaning.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        if isinstance(synthesizer.generator, AutoregressiveGenerator):
            raise UsageError(
                "this model draws one sample after another, so its latents are noise: no latent is nearest to a sound, "
                "and no direction has a meaning; use a model such as a WaveGAN or a SpecGAN"
            )
        self.synthesizer = synthesizer
        # A copy, because gradients flow through it to latents, and because another thread may be playing the model.
        self._generator = copy.deepcopy(synthesizer.generator).requires_grad_(False).eval()
        if isinstance(self._generator, Network):
            self._generator.precision = torch.float32

    @property
    def generator(self) -> torch.nn.Module:
        return self._generator

    @property
    def device(self) -> torch.device:
        return self.synthesizer.device

    @property
    def labels(self) -> tuple[str, ...]:
        return self.synthesizer.labels

    def weights(self, wanted: Wanted, count: int, first: int = 0) -> Tensor:
        """Convert labels to weights (count, L); `first` is the seed of the first sound.

        Raises:
            UsageError: the model does not have a label.
        """
        return self.synthesizer.label_weights(wanted, count, first)

    def features(self, latents: Tensor, weights: Tensor) -> Tensor:
        """The features of latents (B, Z) and weights (B, L); differentiable."""
        made: Tensor = self._generator(latents, weights) if self.labels else self._generator(latents)
        return made

    def render(self, latents: Tensor, weights: Tensor) -> Tensor:
        """The sounds of latents (N, Z) and weights (N, L): (N, C, T), as `Synthesizer.generate` makes them."""
        return self.synthesizer.generate(latents=latents, labels=weights)

    def batches(self, latents: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Split latents and weights into small batches, on the model's device."""
        for start in range(0, len(latents), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            yield latents[part].to(self.device), weights[part].to(self.device)

    def keyword(self, what: str, wanted: Wanted) -> str:
        """The name of a cache file for something about sounds of these labels."""
        if wanted is None:
            return what
        weights = self.weights(wanted, 1).numpy().tobytes()
        return f"{what}-{hashlib.sha256(weights).hexdigest()[:8]}"

    def words(self, weights: Tensor) -> dict[str, float]:
        """The labels with a weight (L,) that is not negligible."""
        named = zip(self.labels, weights.tolist(), strict=True)
        return {label: round(weight, 4) for label, weight in named if weight >= _WORTH_NAMING}
