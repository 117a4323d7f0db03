"""Pitches against sines, whose samples at any pitch are known, and against another resampler."""

import math

import numpy as np
import pytest
import soxr
import torch

from fauxley.signal.pitch import MOST_SEMITONES, at_pitch, fast_lengths


def burst(length: int, frequency: float, ratio: float = 1.0, channels: int = 1) -> torch.Tensor:
    """A sine under a bell that is over before the clip is, at a time that runs `ratio` times as fast: (1, C, T)."""
    t = torch.arange(length, dtype=torch.float64) * ratio / length
    bell = torch.exp(-(((t - 0.3) / 0.07) ** 2))
    wave = [bell * torch.sin(2 * math.pi * frequency * length * t + channel) for channel in range(channels)]
    return torch.stack(wave)[None].float()


@pytest.mark.parametrize("length", [1000, 4096, 64768, 65536])
@pytest.mark.parametrize("semitones", [-MOST_SEMITONES, -1, -0.5, 0.25, 0.5, 3.7, MOST_SEMITONES])
def test_a_sine_is_so_many_semitones_higher_or_lower(length: int, semitones: float) -> None:
    before, after = fast_lengths(length, 2 ** (semitones / 12))
    assert before >= length
    assert 12 * math.log2(before / after) == pytest.approx(semitones, abs=0.03)
    moved = at_pitch(burst(length, 0.11), semitones)
    assert moved.shape == (1, 1, length)
    if semitones >= -1:  # else much of it lies beyond the end
        wanted = burst(length, 0.11, before / after)
        torch.testing.assert_close(moved, wanted * (moved.abs().max() / wanted.abs().max()), atol=2e-4, rtol=0)
    spectrum = torch.fft.rfft(moved[0, 0] * torch.hann_window(length), n=8 * length).abs()
    assert 12 * math.log2(spectrum.argmax() / (8 * length) / 0.11) == pytest.approx(semitones, abs=0.04)


def test_noise_is_what_another_resampler_makes_of_it() -> None:
    noise = np.random.default_rng(0).standard_normal(8192).astype(np.float32) * np.hanning(8192).astype(np.float32)
    before, after = fast_lengths(8192, 2 ** (0.5 / 12))
    other = soxr.resample(noise, before, after, quality="VHQ")[:8192]
    mine = at_pitch(torch.from_numpy(noise)[None, None], 0.5)[0, 0].numpy()[: len(other)]
    mine, other = (np.fft.rfft(x, 8192)[: int(0.85 * 4096)] for x in (mine, other))  # soxr rolls off above
    gain = np.vdot(mine, other).real / np.vdot(mine, mine).real
    assert np.linalg.norm(gain * mine - other) < 0.01 * np.linalg.norm(other)


def test_every_channel_moves_alike_and_levels_stay() -> None:
    stereo = torch.cat([0.7 * burst(4096, 0.05, channels=2), torch.zeros(1, 2, 4096)])
    for semitones in (-0.5, 0.5):
        moved = at_pitch(stereo, semitones)
        torch.testing.assert_close(moved.abs().amax((1, 2)), stereo.abs().amax((1, 2)))
        assert not moved[1].any()
        for channel in range(2):
            alone = at_pitch(stereo[:1, channel : channel + 1], semitones)[0, 0]
            alone = alone * (moved[0, channel].abs().max() / alone.abs().max())
            torch.testing.assert_close(moved[0, channel], alone, atol=1e-5, rtol=0)


def test_what_is_higher_ends_in_silence_without_a_click() -> None:
    steady = torch.sin(0.3 * torch.arange(8192.0))[None, None]
    moved = at_pitch(steady, 1)[0, 0]
    end = math.ceil(8192 * 2 ** (-1 / 12))
    assert moved[end + 20 :].abs().max() < 1e-3
    assert moved[end // 2 : end - 200].abs().max() > 0.9
    assert moved.diff().abs()[end - 100 :].max() < 0.32  # no steeper than the sine itself
