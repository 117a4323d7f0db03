"""What the networks see of audio, and the way back.

A representation is the pair `to_features` / `to_audio` together with whatever it had to fit on the data, kept as
buffers so that it travels in the same weight file as the generator. Nothing else asks which representation it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.signal.stft import stft


class Representation(nn.Module, ABC):
    """Audio (B, C, T) in [-1, 1] to features in [-1, 1] and back.

    Attributes:
        resolutions: of `spectrograms`, window and hop length in samples: fine in time, then fine in frequency.
    """

    resolutions: tuple[tuple[int, int], ...] = ((512, 128), (2048, 512))

    @abstractmethod
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Measure what is needed on batches of audio (B, C, T)."""

    @abstractmethod
    def to_features(self, audio: Tensor) -> Tensor:
        """Audio (B, C, T) to features."""

    @abstractmethod
    def to_audio(self, features: Tensor) -> Tensor:
        """Features to audio (B, C, T)."""

    def spectrograms(self, audio: Tensor) -> list[Tensor]:
        """Magnitudes (B, C, F, K) of audio (B, C, T), one tensor for each of `resolutions`."""
        return [stft(audio, window, hop).abs() for window, hop in self.resolutions]

    def to_spectrograms(self, features: Tensor) -> list[Tensor]:
        """What `spectrograms` gives for the sound of features; differentiable.

        Sounds are compared by it while a latent is sought, so no phases are to be found on the way.
        """
        return self.spectrograms(self.to_audio(features))

    def use_griffin_lim(self) -> None:
        """From now on find phases by Griffin-Lim, with or without a network for it.

        Raises:
            UsageError: there are no phases to find.
        """
        raise UsageError("Griffin-Lim is for models of spectrograms, such as SpecGAN; this model makes samples")


class Waveform(Representation):
    """The samples themselves: WaveGAN's features (B, C, T)."""

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Nothing to measure."""

    def to_features(self, audio: Tensor) -> Tensor:
        return audio

    def to_audio(self, features: Tensor) -> Tensor:
        return features
