"""The built-in sounds: a small labelled drum kit, synthesised on the spot for the demo and the tests.

The recipes follow the analogue drum machines of the early eighties: a few oscillators and noise, each filtered and
given a decay. Every parameter that a player would adjust is drawn from a musical range, so a seed is a drum: it sounds
the same at every sample rate and for every clip length.

All recipes follow these rules:

- Sounds are made at 48 kHz, where they die away within 1.024 s, and are then resampled and cut or padded.
- Filters are applied to stationary signals, envelopes afterwards. So a filter is a gain, without phase, on the bins of
  one Fourier transform: the envelope removes what the filter smears ahead of an onset.
- A decay is given as the time T in which a sound falls by 60 dB: its envelope is 10^(-3 t/T) = e^(-6.91 t/T).
- A swept oscillator is the sine of its integrated frequency. For f(t) = f₁ + (f₀ - f₁) e^(-t/τ), in Hz, that is
  the phase φ(t) = f₁ t + (f₀ - f₁) τ (1 - e^(-t/τ)), in cycles.

Letters: t time in seconds, (T,); T the samples of a clip.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from fauxley.errors import UsageError
from fauxley.storage import atomic_file

Signal = NDArray[np.float64]
"""A signal at 48 kHz, (T,)."""

PEAK = 0.98
"""Largest absolute sample of every sound: 0.2 dB below full scale, which leaves room for 16 bits and resampling."""

_RATE = 48_000
_LENGTH = 3 << 14  # 1.024 s: a fast size for the Fourier transform, and 16384 samples at 16 kHz
_FADE_SECONDS = 0.005


def synthesize(
    instrument: str, seed: int, sample_rate: int = 16_000, duration_seconds: float = 1.024
) -> NDArray[np.float32]:
    """Synthesise one drum sound: (1, T) with T = `duration_seconds` × `sample_rate`, rounded.

    The sound is a function of the arguments. It starts at once, peaks at `PEAK` and ends in silence; shorter durations
    cut the tail with a fade of 5 ms.

    Raises:
        UsageError: the instrument is unknown, the seed negative, or the rate or duration not positive.
    """
    if instrument not in _VOICES:
        raise UsageError(f"the kit has no instrument {instrument!r}; choose from {', '.join(INSTRUMENTS)}")
    if seed < 0:
        raise UsageError(f"seed must be 0 or more; got {seed}")
    num_samples = round(duration_seconds * sample_rate)
    if sample_rate <= 0 or num_samples <= 0:
        raise UsageError(f"a sound of {duration_seconds} s at {sample_rate} Hz has no samples; both must be positive")
    rng = np.random.default_rng([*instrument.encode(), seed])
    t = np.arange(_LENGTH) / _RATE
    sound = soxr.resample(_VOICES[instrument](t, rng), _RATE, sample_rate, quality="HQ")  # (T',)
    sound = sound[:num_samples]
    fade = min(len(sound), max(1, round(_FADE_SECONDS * sample_rate)))
    sound[-fade:] *= np.linspace(1, 0, fade) ** 2
    sound *= PEAK / max(np.abs(sound).max(), np.finfo(np.float64).tiny)
    return np.pad(sound, (0, num_samples - len(sound))).astype(np.float32)[None]


def write_kit(
    folder: Path,
    *,
    per_instrument: int = 32,
    seed: int = 0,
    sample_rate: int = 16_000,
    duration_seconds: float = 1.024,
) -> list[Path]:
    """Write `folder/LABEL/LABEL-0001.wav` (16 bits) and so on, then `manifest.csv` with file, label and license.

    Writing the same kit again replaces its files by the same ones, so an interrupted call can simply be repeated. Kits
    of different seeds share no sound.

    Returns:
        The paths of the sounds, instrument by instrument.

    Raises:
        UsageError: `per_instrument` is not positive, or see `synthesize`.
    """
    if per_instrument < 1:
        raise UsageError(f"per_instrument must be 1 or more; got {per_instrument}")
    folder = Path(folder)
    written: list[Path] = []
    for label in INSTRUMENTS:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(1, per_instrument + 1):
            path = folder / label / f"{label}-{number:04d}.wav"
            audio = synthesize(label, (seed << 32) + number, sample_rate, duration_seconds)
            soundfile.write(path, audio.T, sample_rate, subtype="PCM_16")
            written.append(path)
    with atomic_file(folder / "manifest.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "label", "license"])
        rows.writerows([path.relative_to(folder).as_posix(), path.parent.name, "CC0-1.0"] for path in written)
    return written


# The instruments. Frequencies are in Hz, times in seconds.


def _kick(t: Signal, rng: np.random.Generator) -> Signal:
    """A sine whose pitch falls within tens of milliseconds, slightly overdriven, and the click of the beater."""
    pitch = rng.uniform(42, 62)
    body = _swept_sine(t, pitch * rng.uniform(2.5, 6), pitch, _log_uniform(rng, 0.005, 0.02))
    body = np.tanh(_log_uniform(rng, 1, 3) * body * _decay(t, _log_uniform(rng, 0.3, 0.9)))
    click = _noise(rng, 800, rng.uniform(2500, 6000)) * _decay(t, rng.uniform(0.008, 0.02))
    return body + rng.uniform(0.02, 0.12) * click


def _snare(t: Signal, rng: np.random.Generator) -> Signal:
    """The two lowest modes of the head, which drop a little in pitch, and the rattle of the wires."""
    pitch = rng.uniform(155, 230)
    decay = rng.uniform(0.1, 0.25)
    bend = rng.uniform(1.05, 1.5)
    head = _swept_sine(t, bend * pitch, pitch, 0.012) * _decay(t, decay)
    pitch *= rng.uniform(1.6, 1.95)  # an ideal membrane has 1.59; air and shell raise it
    head += rng.uniform(0.3, 0.7) * _swept_sine(t, bend * pitch, pitch, 0.012) * _decay(t, 0.6 * decay)
    wires = _noise(rng, rng.uniform(1200, 2500), rng.uniform(9000, 14000))
    return head + rng.uniform(0.25, 0.6) * wires * _decay(t, _log_uniform(rng, 0.15, 0.45))


def _hat_closed(t: Signal, rng: np.random.Generator) -> Signal:
    return _metal(t, rng) * _decay(t, _log_uniform(rng, 0.05, 0.18))


def _hat_open(t: Signal, rng: np.random.Generator) -> Signal:
    # Two slopes: the stick's accent, then the long sizzle.
    envelope = 0.4 * _decay(t, rng.uniform(0.05, 0.12)) + 0.6 * _decay(t, _log_uniform(rng, 0.4, 0.95))
    return _metal(t, rng) * envelope


def _clap(t: Signal, rng: np.random.Generator) -> Signal:
    """Several hands, never quite together, then the room."""
    count = int(rng.integers(3, 5))
    gaps = rng.uniform(0.008, 0.013) * rng.uniform(0.85, 1.15, count - 1)
    onsets = np.concatenate([[0], np.cumsum(gaps)])
    bursts = np.sum([rng.uniform(0.7, 1) * _decay(t, 0.02, onset) for onset in onsets], axis=0)
    room = rng.uniform(0.25, 0.6) * _decay(t, _log_uniform(rng, 0.15, 0.4), onsets[-1])
    centre = rng.uniform(1000, 1600)
    hands = _noise(rng, centre / 1.5, centre * 1.5) + 0.3 * _noise(rng, centre, 8000)
    return np.asarray(hands * (bursts + room))


def _tom(t: Signal, rng: np.random.Generator) -> Signal:
    """Like the kick, but higher, with a smaller fall in pitch, and the noise of the skin."""
    pitch = _log_uniform(rng, 75, 210)
    decay = _log_uniform(rng, 0.35, 0.95)
    body = _swept_sine(t, pitch * rng.uniform(1.3, 2), pitch, rng.uniform(0.02, 0.05)) * _decay(t, decay)
    skin = _noise(rng, 2 * pitch, rng.uniform(1500, 4000)) * _decay(t, rng.uniform(0.03, 0.1))
    return np.tanh(1.2 * body) + rng.uniform(0.05, 0.2) * skin


def _cowbell(t: Signal, rng: np.random.Generator) -> Signal:
    """Two square waves near 540 and 800 Hz, almost a fifth apart; a hard stroke, then a ring."""
    tuning = _log_uniform(rng, 0.85, 1.2)
    low, high = 540 * tuning * rng.uniform(0.98, 1.02), 800 * tuning * rng.uniform(0.98, 1.02)
    bell = _square(t, low, rng.random()) + _square(t, high, rng.random())
    bell = _band(bell, rng.uniform(450, 700), rng.uniform(1800, 4000))
    return bell * (0.6 * _decay(t, rng.uniform(0.04, 0.08)) + 0.4 * _decay(t, _log_uniform(rng, 0.25, 0.7)))


def _rim(t: Signal, rng: np.random.Generator) -> Signal:
    """A stick on metal: two short modes, overdriven, and a tick."""
    decay = _log_uniform(rng, 0.035, 0.12)
    low = np.cos(2 * np.pi * rng.uniform(400, 560) * t) * _decay(t, decay)
    high = np.cos(2 * np.pi * rng.uniform(1400, 2000) * t) * _decay(t, decay * rng.uniform(0.4, 0.9))
    tick = _noise(rng, 1500, 9000) * _decay(t, _log_uniform(rng, 0.008, 0.04))
    return np.tanh(rng.uniform(1, 2.5) * (rng.uniform(0.4, 0.8) * low + high)) + rng.uniform(0.05, 0.25) * tick


_VOICES: dict[str, Callable[[Signal, np.random.Generator], Signal]] = {
    "kick": _kick,
    "snare": _snare,
    "hat_closed": _hat_closed,
    "hat_open": _hat_open,
    "clap": _clap,
    "tom": _tom,
    "cowbell": _cowbell,
    "rim": _rim,
}

INSTRUMENTS: tuple[str, ...] = tuple(_VOICES)
"""The labels of the kit."""


# The building blocks.


def _metal(t: Signal, rng: np.random.Generator) -> Signal:
    """Six square waves in no simple ratio, high-passed to a thicket of partials, and some hiss."""
    tuning = _log_uniform(rng, 0.8, 1.35)
    frequencies = (205.3, 304.4, 369.6, 522.7, 540, 800)  # the TR-808's
    squares = np.sum([_square(t, tuning * frequency, rng.random()) for frequency in frequencies], axis=0)
    cutoff = rng.uniform(5500, 7500)
    metal = _band(squares, cutoff, 15_000, order=4)
    return metal / float(metal.std()) + rng.uniform(0.1, 0.9) * _noise(rng, cutoff, 14_000, order=4)


def _swept_sine(t: Signal, start: float, end: float, seconds: float) -> Signal:
    cycles = end * t + (start - end) * seconds * (1 - np.exp(-t / seconds))
    return np.asarray(np.sin(2 * np.pi * cycles))


def _square(t: Signal, frequency: float, phase: float) -> Signal:
    """A square wave averaged over each sample period, which reduces aliasing.

    The average is the difference of the integral, a triangle wave, at both ends of the period.
    """
    cycles = frequency * np.append(t, t[-1] + 1 / _RATE) + phase
    triangle = np.abs(2 * (cycles - np.floor(cycles)) - 1)  # a slope of ±2 a cycle
    return np.asarray(np.diff(triangle) * (_RATE / (2 * frequency)))


def _noise(rng: np.random.Generator, low: float, high: float, order: int = 2) -> Signal:
    """White noise between two frequencies, with a standard deviation of 1."""
    noise = _band(rng.standard_normal(_LENGTH), low, high, order)
    return noise / float(noise.std())


def _band(signal: Signal, low: float, high: float, order: int = 2) -> Signal:
    """A bandpass with the magnitude response of Butterworth filters of some order."""
    frequency = np.fft.rfftfreq(len(signal), 1 / _RATE)
    frequency[0] = frequency[1] / 2  # avoids a division by zero; the filter stops DC all the same
    gain = 1 / np.sqrt((1 + (low / frequency) ** (2 * order)) * (1 + (frequency / high) ** (2 * order)))
    return np.fft.irfft(gain * np.fft.rfft(signal), len(signal))


def _decay(t: Signal, seconds: float, onset: float = 0) -> Signal:
    """An envelope: silence until the onset, then a decay by 60 dB in some seconds."""
    since = np.maximum(t - onset, 0)
    return np.asarray(np.exp(-3 * np.log(10) / seconds * since) * (t >= onset))  # thrice as fast as a power of 10


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number uniform in octaves, as the ear hears pitches and durations."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
