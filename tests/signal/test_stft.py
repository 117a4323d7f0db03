"""The transform against its definition and librosa's conventions, and what Griffin-Lim must improve."""

import numpy as np
import pytest
import torch

from fauxley.signal.griffin_lim import griffin_lim, spectral_convergence
from fauxley.signal.stft import istft, stft

RATE = 16000


def tone(frequency: float, num_samples: int = 4096) -> torch.Tensor:
    return torch.sin(2 * torch.pi * frequency / RATE * torch.arange(num_samples, dtype=torch.float64))


def test_a_tone_peaks_in_its_bin() -> None:
    spectrum = stft(tone(RATE * 10 / 256), 256, 128).abs()
    assert spectrum.shape == (32, 129)
    assert (spectrum[:-1].argmax(1) == 10).all()
    # A sine of amplitude 1 under the window's mean of 1/2: N/4.
    assert spectrum[5, 10] == pytest.approx(64, rel=1e-6)


@pytest.mark.parametrize(("window_length", "hop_length"), [(256, 128), (256, 64), (250, 100), (64, 64)])
def test_frames_are_windowed_transforms_of_what_begins_at_each_hop(window_length: int, hop_length: int) -> None:
    audio = torch.randn(2, 3, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = stft(audio, window_length, hop_length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_length) / window_length)
    padded = np.pad(audio.numpy(), ((0, 0), (0, 0), (0, window_length)))
    assert spectrum.shape[-2] == -(-1000 // hop_length)
    for frame in range(spectrum.shape[-2]):
        cut = padded[..., frame * hop_length : frame * hop_length + window_length]
        np.testing.assert_allclose(spectrum[..., frame, :], np.fft.rfft(cut * window), atol=1e-9)


def test_the_round_trip_ripples_as_the_official_one_does_and_not_when_compensated() -> None:
    audio = tone(440)
    spectrum = stft(audio, 256, 128)
    inside = slice(256, 3584)
    angle = torch.pi * torch.arange(4096, dtype=torch.float64) / 256
    ripple = angle.sin() ** 4 + angle.cos() ** 4
    torch.testing.assert_close(istft(spectrum, 256, 128)[inside], (audio * ripple)[inside])
    torch.testing.assert_close(istft(spectrum, 256, 128, compensate=True)[inside], audio[inside])


def test_each_iteration_brings_the_spectrogram_nearer_and_momentum_nearer_still() -> None:
    torch.manual_seed(0)
    audio = (tone(300) + 0.5 * tone(1234.5) + 0.1 * torch.randn(4096)).float()
    magnitude = stft(audio, 256, 128).abs()

    def distance(iterations: int, momentum: float = 0.0) -> float:
        back = griffin_lim(magnitude, 256, 128, iterations, momentum=momentum, compensate=True)
        return float(spectral_convergence(stft(back, 256, 128, frames=32).abs(), magnitude))

    distances = [distance(iterations) for iterations in (0, 1, 4, 16, 64)]
    assert distances == sorted(distances, reverse=True)
    assert distance(64, momentum=0.99) < distances[-1]


def test_the_true_phase_is_a_fixed_point() -> None:
    audio = tone(440).float()
    spectrum = stft(audio, 256, 128)
    back = griffin_lim(spectrum.abs(), 256, 128, 3, compensate=True, phase=spectrum.angle())
    torch.testing.assert_close(back[256:3584], audio[256:3584], atol=1e-3, rtol=0)


def test_gradients_flow_through_griffin_lim_and_silence_is_no_trap() -> None:
    magnitude = torch.rand(8, 33, requires_grad=True)
    with torch.no_grad():
        magnitude[3] = 0
    griffin_lim(magnitude, 64, 32, 3, momentum=0.5).square().sum().backward()  # type: ignore[no-untyped-call]
    assert magnitude.grad is not None
    assert torch.isfinite(magnitude.grad).all()
    assert magnitude.grad.any()
    assert not griffin_lim(torch.zeros(8, 33), 64, 32, 3).any()
