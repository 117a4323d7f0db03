"""How percussive are the sounds in a folder? Onset, rise, decay and brightness in numbers, real beside generated.

python benchmarks/percussive.py fauxley-demo/kit fauxley-demo/generated
"""

import sys
from pathlib import Path

import numpy as np

from fauxley.evaluation.metrics.signal_measures import measure
from fauxley.sounds.finding import find_audio
from fauxley.sounds.reading import probe, read_audio

_RATE, _LENGTH, _BLOCK = 16000, 8192, 80  # Hz, samples, samples of 5 ms


def main() -> None:
    print(f"{'':32} {'onset ≤ 50 ms':>13} {'rise, ms':>8} {'decay, dB':>9} {'centroid, Hz (10, 50, 90 %)':>28}")
    for folder in sys.argv[1:]:
        files = find_audio(Path(folder)).files
        rise = np.median(
            [measure(read_audio(path, channels=1), probe(path).sample_rate)["rise_ms"][0] for path in files]
        )
        clips = [read_audio(path, _RATE, 1)[0, :_LENGTH] for path in files]
        clips = [np.pad(clip, (0, _LENGTH - len(clip))) for clip in clips]
        early = np.mean([onset_seconds(clip) <= 0.05 for clip in clips])
        decay = np.median([decay_db(clip) for clip in clips])
        low, middle, high = np.percentile([centroid(clip) for clip in clips], (10, 50, 90))
        print(f"{folder:32} {early:13.2f} {rise:8.2f} {decay:9.1f} {low:10.0f} {middle:8.0f} {high:8.0f}")


def onset_seconds(clip: np.ndarray) -> float:
    """When the level first comes within 10 dB of its highest."""
    level = np.sqrt(np.square(clip[: len(clip) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)).mean(1))
    return float(np.argmax(level > level.max() * 10**-0.5) * _BLOCK / _RATE)


def decay_db(clip: np.ndarray) -> float:
    """Level of the last quarter relative to the first quarter; noise that does not decay has 0."""
    quarter = len(clip) // 4
    first, last = (np.square(part).mean() + 1e-12 for part in (clip[:quarter], clip[-quarter:]))
    return float(10 * np.log10(last / first))


def centroid(clip: np.ndarray) -> float:
    """Mean frequency, weighted by power."""
    power = np.square(np.abs(np.fft.rfft(clip)))
    return float((power * np.fft.rfftfreq(len(clip), 1 / _RATE)).sum() / (power.sum() + 1e-12))


if __name__ == "__main__":
    main()
