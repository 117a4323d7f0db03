"""The network of a classifier: a log-mel spectrogram and a small residual network, with their settings.

Letters: B batch, T samples, M mel bands, F frames, E embedding size, K labels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.signal.mel import mel_matrix
from fauxley.signal.stft import stft

# For a full-scale clip, whose magnitudes are about 30, this floor is at about -70 dB.
_FLOOR = 1e-2
_QUIETEST_PEAK = 1e-4


@dataclass(frozen=True)
class ClassifierSettings:
    """The settings of a classifier: the clips that it takes, its spectrogram, its size.

    Attributes:
        sample_rate: of the clips, in Hz.
        clip_length: samples in the clips that it was trained on; others are possible.
        labels: of its K outputs.
        window_length: samples in a frame.
        hop_length: samples from one frame to the next.
        num_bands: M.
        low, high: the range of the mel bands, in Hz.
        width: channels of the first stage; the last stage has four times as many, E.
    """

    sample_rate: int
    clip_length: int
    labels: tuple[str, ...]
    window_length: int = 512
    hop_length: int = 160
    num_bands: int = 64
    low: float = 40.0
    high: float = 7800.0
    width: int = 32

    def __post_init__(self) -> None:
        # A stranger's file may ask for these, so they must not exhaust memory.
        limits = {
            "sample_rate": (1000, 768_000),
            "clip_length": (1, 1 << 22),
            "window_length": (16, 1 << 16),
            "hop_length": (1, 1 << 16),
            "num_bands": (8, 512),
            "width": (1, 1024),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} must be from {least} to {most}; got {getattr(self, name)}")
        if not 2 <= len(self.labels) <= 10_000 or len(set(self.labels)) < len(self.labels):
            raise UsageError(f"a classifier needs at least two labels, all different; got {len(self.labels)}")
        if not 0 <= self.low < self.high <= self.sample_rate / 2:
            raise UsageError(f"mel bands must lie between 0 and {self.sample_rate / 2:g} Hz")

    @classmethod
    def suiting(cls, sample_rate: int, clip_length: int, labels: tuple[str, ...], width: int) -> "ClassifierSettings":
        """Settings for a sample rate: frames of 32 ms every 10 ms, bands up to nearly half the rate, as for speech."""
        # Multiples of 64: a transform of 1411 = 17 · 83 samples (44.1 kHz) takes several times as long as one of 1408.
        window, hop = max(64, 64 * round(0.0005 * sample_rate)), round(0.010 * sample_rate)
        # At most about 1000 frames for clips of any length.
        hop = max(hop, -(-clip_length // 1024))
        high = 0.4875 * sample_rate
        return cls(sample_rate, clip_length, labels, max(window, hop), hop, high=high, width=width)


class LogMel(nn.Module):
    """Converts audio (B, T) to a standardised log-mel spectrogram (B, 1, M, F)."""

    mean: Tensor
    std: Tensor

    def __init__(self, settings: ClassifierSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.zeros(settings.num_bands))
        self.register_buffer("std", torch.ones(settings.num_bands))
        # Built on first use, because a stranger's file is opened without storage.
        self._matrix: Tensor | None = None

    def forward(self, audio: Tensor) -> Tensor:
        return self.standardise(self.raw(audio))

    def raw(self, audio: Tensor) -> Tensor:
        """Convert audio (B, T) to (B, 1, M, F), not standardised."""
        settings = self.settings
        peak = audio.abs().amax(-1, keepdim=True).clamp(min=_QUIETEST_PEAK)
        if self._matrix is None or self._matrix.device != audio.device:
            bins = settings.window_length // 2 + 1
            matrix = mel_matrix(bins, settings.sample_rate, settings.num_bands, settings.low, settings.high)
            self._matrix = torch.from_numpy(matrix).to(audio)
        few = 4 if audio.device.type == "cpu" else len(audio)  # clips whose windows fit in a processor's cache
        parts = []
        for part in torch.split(audio / peak, few):
            magnitude = stft(part, settings.window_length, settings.hop_length).abs()  # (B, F, bins)
            parts.append(torch.log(magnitude @ self._matrix + _FLOOR))
        return torch.cat(parts).transpose(1, 2).unsqueeze(1)

    def fit_scale(self, audio: Tensor) -> None:
        """Fit the mean and deviation of each band on clips (N, T)."""
        raw = self.raw(audio)
        self.mean.copy_(raw.mean((0, 1, 3)))
        self.std.copy_(raw.std((0, 1, 3)).clamp(min=1e-3))

    def standardise(self, raw: Tensor) -> Tensor:
        return (raw - self.mean[:, None]) / self.std[:, None]


class _Residual(nn.Module):
    """Two 3 × 3 convolutions with a shortcut; a `stride` of 2 halves both axes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 1, bias=False) if inputs != outputs else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        pooled = F.avg_pool2d(x, 2, ceil_mode=True) if self.stride == 2 else x
        return F.relu(y + self.shortcut(pooled))


class ClassifierNetwork(nn.Module):
    """Maps spectrograms (B, 1, M, F) to logits (B, K)."""

    def __init__(self, settings: ClassifierSettings) -> None:
        super().__init__()
        d = settings.width
        self.embedding_size = 4 * d
        self.stem = nn.Conv2d(1, d, 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(d)
        self.stages = nn.Sequential(
            _Residual(d, d, 2), _Residual(d, 2 * d, 2), _Residual(2 * d, 4 * d, 2), _Residual(4 * d, 4 * d, 1)
        )
        self.output = nn.Linear(4 * d, len(settings.labels))

    def embed(self, spectrogram: Tensor) -> Tensor:
        """Map spectrograms (B, 1, M, F) to embeddings (B, E)."""
        x = F.relu(self.stem_norm(self.stem(spectrogram)))
        features: Tensor = self.stages(x)
        return features.mean((2, 3))

    def forward(self, spectrogram: Tensor) -> Tensor:
        logits: Tensor = self.output(self.embed(spectrogram))
        return logits
