"""How well hits are found in recordings whose hits are known.

One-shots of the packs in FAUXLEY_DATA_DIR are laid at random times, gaps of 0.15 to 2 s, so that tails overlap, at
random levels within 12 dB, over pink noise that lies so far below the median power of the hits' first 50 ms. A one-shot
counts as one hit, whatever rattles in it. Printed for each kind of sound and noise: precision, recall and F within
±25 ms, and how far the starts that were found are off.

    python benchmarks/onsets.py [--seconds 120]
"""

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import soundfile

from fauxley.signal.onsets import OnsetDetector

RATE = 44100
KINDS = {
    "steps": ("foley", ("footstep",)),
    "claps": ("drums", ("clap",)),
    "drums": ("drums", ("kick", "snare", "tom", "rim", "hat_closed", "perc", "clap")),
    "cymbals": ("drums", ("cymbal", "hat_open", "cowbell")),
    "impacts": ("foley", ("impact_metal", "impact_soft", "impact_stone", "impact_wood")),
    "clicks, doors, keys": ("foley", ("click", "door", "coin_keys", "glass")),
}
TOLERANCE = 0.025
LONGEST = 0.9  # seconds of a step; those above are several


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FAUXLEY_DATA_DIR") or "../shared/data"))
    parser.add_argument("--sensitivity", type=float, default=1.0)
    arguments = parser.parse_args()
    print(f"{'':22}{'noise':>8}{'hits':>6}{'found':>7}{'precision':>11}{'recall':>8}{'F':>7}{'error':>9}{'90 %':>9}")
    for name, (pack, labels) in KINDS.items():
        sounds = one_shots(arguments.data / pack, labels)
        for noise_db in (None, 40, 30, 20):
            audio, truth = lay_out(sounds, arguments.seconds, noise_db, seed=1)
            begun = time.perf_counter()
            found = detect(audio, RATE, arguments.sensitivity)
            taken = time.perf_counter() - begun
            hits, errors = match(truth, found, TOLERANCE)
            precision, recall = hits / max(len(found), 1), hits / len(truth)
            score = 2 * hits / max(len(found) + len(truth), 1)
            noise = "none" if noise_db is None else f"-{noise_db} dB"
            middle, most = np.percentile(1000 * np.abs(errors), (50, 90)) if len(errors) else (np.nan, np.nan)
            print(
                f"{name:22}{noise:>8}{len(truth):6}{len(found):7}{precision:11.3f}{recall:8.3f}{score:7.3f}"
                f"{middle:6.1f} ms{most:6.1f} ms   {arguments.seconds / taken:.0f} times real time"
            )


def one_shots(folder: Path, labels: tuple[str, ...]) -> list[np.ndarray]:
    """Sounds of these labels, each cut to begin where it first exceeds a thirtieth of its peak."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["label"] in labels]
    sounds = []

    for name in names:
        sound, rate = soundfile.read(folder / name, dtype="float32", always_2d=True)
        sound = sound.mean(axis=1)
        if rate != RATE or not np.abs(sound).max() > 0 or (len(sound) > LONGEST * rate and labels == ("footstep",)):
            continue
        sounds.append(sound[np.flatnonzero(np.abs(sound) > np.abs(sound).max() / 30)[0] :])
    return sounds


def lay_out(
    sounds: list[np.ndarray], seconds: float, noise_db: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A recording, (T,), and the times of its hits in seconds."""
    random = np.random.default_rng(seed)
    audio = np.zeros(round(seconds * RATE), np.float32)
    now, times, powers = 0.5, [], []
    while now < seconds - 2:
        sound = sounds[random.integers(len(sounds))]
        sound = sound / np.abs(sound).max() * 10 ** (random.uniform(-12, 0) / 20)
        start = round(now * RATE)
        audio[start : start + len(sound)] += sound[: len(audio) - start]
        times.append(start / RATE)
        powers.append(np.square(sound[: RATE // 20]).mean())
        now += random.uniform(0.15, 2)
    if noise_db is not None:
        noise = pink(len(audio), random)
        audio += noise * np.sqrt(np.median(powers) * 10 ** (-noise_db / 10) / np.square(noise).mean())
    return 0.5 * audio / np.abs(audio).max(), np.array(times)


def pink(length: int, random: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(random.standard_normal(length))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), length).astype(np.float32)


def detect(audio: np.ndarray, rate: int, sensitivity: float = 1.0) -> np.ndarray:
    detector = OnsetDetector(rate, sensitivity=sensitivity)
    for begin in range(0, len(audio), 1 << 16):
        detector.add(audio[begin : begin + (1 << 16), None])
    return detector.finish().start / rate


def match(truth: np.ndarray, found: np.ndarray, tolerance: float) -> tuple[int, np.ndarray]:
    """How many pair up, each with one, within the tolerance; and by how much those are late."""
    errors, used = [], 0
    for time_ in truth:
        while used < len(found) and found[used] < time_ - tolerance:
            used += 1
        if used < len(found) and found[used] <= time_ + tolerance:
            errors.append(found[used] - time_)
            used += 1
    return len(errors), np.array(errors)


if __name__ == "__main__":
    main()
