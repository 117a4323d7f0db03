"""Representations: conversions from audio to the features that networks work on, and back.

A representation is the pair `to_features` / `to_audio`, with statistics of the data as buffers, so that these are saved
in the same weight file as the generator. No other code depends on which representation a model has.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.signal.stft import stft


class Representation(nn.Module, ABC):
    """Converts audio (B, C, T) in [-1, 1] to features in [-1, 1] and back.

    Attributes:
        resolutions: window and hop length, in samples, of each of the `spectrograms`: fine in time, then in frequency.
    """

    resolutions: tuple[tuple[int, int], ...] = ((512, 128), (2048, 512))

    @property
    def searches_phases(self) -> bool:
        """Whether `to_audio` searches for phases, so that rounding errors of features become other samples."""
        return False

    @abstractmethod
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of batches of audio (B, C, T) that the conversion needs."""

    @abstractmethod
    def to_features(self, audio: Tensor) -> Tensor:
        """Audio (B, C, T) to features."""

    @abstractmethod
    def to_audio(self, features: Tensor) -> Tensor:
        """Features to audio (B, C, T)."""

    def spectrograms(self, audio: Tensor) -> list[Tensor]:
        """The magnitudes (B, C, F, K) of audio (B, C, T), one tensor for each of `resolutions`."""
        return [stft(audio, window, hop).abs() for window, hop in self.resolutions]

    def to_spectrograms(self, features: Tensor) -> list[Tensor]:
        """The `spectrograms` of the sound that features stand for, without estimating phases; differentiable.

        The search for a latent compares sounds by these.
        """
        return self.spectrograms(self.to_audio(features))

    def use_griffin_lim(self) -> None:
        """From now on estimate phases by Griffin-Lim, even if the model has a network for it.

        Raises:
            UsageError: the model does not estimate phases.
        """
        raise UsageError("Griffin-Lim is for models of spectrograms, such as SpecGAN; this model makes samples")


class Waveform(Representation):
    """WaveGAN's representation: the features (B, C, T) are the samples themselves."""

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Nothing to measure."""

    def to_features(self, audio: Tensor) -> Tensor:
        return audio

    def to_audio(self, features: Tensor) -> Tensor:
        return features
