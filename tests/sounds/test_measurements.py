"""Upsampled files are noticed by the cliff in their spectrum; dark and quiet ones are not taken for such."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from fauxley.dataset.folder_report import FileReport, advise, measure
from fauxley.sounds.measurements import Bandwidth


def _verdict(audio: np.ndarray, rate: int) -> int:
    bandwidth = Bandwidth()
    for start in range(0, len(audio), 50_000):
        bandwidth.add(np.asarray(audio[start : start + 50_000, None], np.float32))
    return bandwidth.upsampled_from(rate)


def _hits(rate: int, seconds: float = 1.0) -> np.ndarray:
    """Decaying noise: all frequencies, fading."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    return 0.3 * noise * np.exp(-8 * (time % 0.5))


@pytest.mark.parametrize(
    ("low", "high"), [(8000, 16000), (16000, 44100), (22050, 44100), (32000, 48000), (44100, 96000)]
)
@pytest.mark.parametrize("quality", ["HQ", "MQ"])
def test_upsampled_sound(low: int, high: int, quality: str) -> None:
    raised = soxr.resample(_hits(low), low, high, quality=quality)
    assert _verdict(raised, high) == low
    assert _verdict(np.rint(raised * 32768) / 32768, high) == low  # rounding noise is above the cliff


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
def test_sounds_that_are_what_they_say(rate: int) -> None:
    time = np.arange(rate) / rate
    random = np.random.default_rng(1)
    kick = 0.9 * np.sin(2 * np.pi * 60 * time) * np.exp(-5 * time)
    brown = np.cumsum(random.standard_normal(rate))
    for sound in (
        _hits(rate),
        kick,
        0.5 * np.sin(2 * np.pi * 440 * time),
        0.5 * brown / np.abs(brown).max(),
        1e-4 * random.standard_normal(rate),
        np.zeros(rate),
        np.full(rate, 0.5),
        _hits(rate)[:100],
    ):
        assert _verdict(np.rint(sound * 32768) / 32768, rate) == 0
        assert _verdict(sound, rate) == 0


def test_scan_says_so_and_advises_the_rate_of_the_content(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", soxr.resample(_hits(22050), 22050, 48000, quality="HQ"), 48000)
    report = measure(tmp_path, "a.wav")
    assert isinstance(report, FileReport)
    assert report.upsampled_from == 22050
    assert any("nothing above 11025 Hz" in problem for problem in report.problems)
    assert advise([report]).sample_rate == 22050


def test_the_rate_is_that_of_most_of_the_time_not_of_most_samples(tmp_path: Path) -> None:
    """Three seconds at 16 kHz are fewer samples than two at 44.1 kHz."""
    for number, rate in enumerate((16000, 44100, 16000, 44100, 16000)):
        soundfile.write(tmp_path / f"{number}.wav", _hits(rate), rate)
    reports = [measure(tmp_path, f"{number}.wav") for number in range(5)]
    assert advise([report for report in reports if isinstance(report, FileReport)]).sample_rate == 16000
