"""What a classifier makes of real clips that were spoilt, and of clips that are none at all.

    fauxley train-classifier --data train.dataset --test test.dataset --out classifier
    python benchmarks/classifier_robustness.py classifier test.dataset

Each row: accuracy, inception score (official formula, 10 groups), mean confidence. A good judge's score falls gently
with noise, and is lowest for what means nothing. The last line says whether reversed clips and mere noise are below
every noisy set, as they should be.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fauxley.dataset.dataset import Dataset
from fauxley.evaluation.classifier.augmentation import (
    Float32,
    add_noise,
    apply_filter,
    band_response,
    noise,
    overdrive,
    room_response,
    shift_and_speed,
)
from fauxley.evaluation.classifier.calibration import accuracy, calibration_error
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.clips import DatasetClips
from fauxley.evaluation.metrics.inception_score import inception_score

Spoil = Callable[[Float32, np.random.Generator, int], Float32]

_NOISY = {f"white noise at {snr} dB": snr for snr in (30, 20, 10, 0)}
_SPOILT: dict[str, Spoil] = {
    "as they are": lambda clip, rng, rate: clip,
    **{
        name: lambda clip, rng, rate, snr=snr: add_noise(clip, noise(len(clip), 0, rng), snr)  # type: ignore[misc]
        for name, snr in _NOISY.items()
    },
    "pink noise at 10 dB": lambda clip, rng, rate: add_noise(clip, noise(len(clip), 1, rng), 10),
    "pink noise at 0 dB": lambda clip, rng, rate: add_noise(clip, noise(len(clip), 1, rng), 0),
    "in a room, 0.5 s, direct 3 dB": lambda clip, rng, rate: apply_filter(
        clip, np.fft.rfft(room_response(len(clip), rate, 0.5, 3, rng), 2 * len(clip))
    ),
    "below a quarter of the band": lambda clip, rng, rate: apply_filter(
        clip, band_response(len(clip), rate, 0, rate / 8)
    ),
    "from 300 Hz up": lambda clip, rng, rate: apply_filter(clip, band_response(len(clip), rate, 300, rate)),
    "12 dB overdriven": lambda clip, rng, rate: overdrive(clip, 12),
    "50 ms late": lambda clip, rng, rate: shift_and_speed(clip, 0.05 * rate, 1),
    "5 % faster": lambda clip, rng, rate: shift_and_speed(clip, 0, 1.05),
    "40 dB quieter": lambda clip, rng, rate: np.float32(0.01) * clip,
    "backwards": lambda clip, rng, rate: clip[::-1].copy(),
    "upside down in frequency": lambda clip, rng, rate: clip * (-1) ** np.arange(len(clip), dtype=np.float32),
    "white noise alone": lambda clip, rng, rate: np.float32(0.2) * noise(len(clip), 0, rng),
    "pink noise alone": lambda clip, rng, rate: noise(len(clip), 1, rng),
    "brown noise alone": lambda clip, rng, rate: noise(len(clip), 2, rng),
    "silence": lambda clip, rng, rate: 0 * clip,
}
_MEANINGLESS = [
    name for name in _SPOILT if "alone" in name or name in ("backwards", "upside down in frequency", "silence")
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("clips", type=Path, help="a dataset of labelled clips that it has not learnt from")
    options = parser.parse_args()
    classifier, source = Classifier.load(options.classifier), DatasetClips(Dataset.open(options.clips), "test")
    names = source.dataset.labels
    labels = np.array([classifier.labels.index(names[label]) for label in source.label_numbers])
    clips = source.read(range(len(source)))
    print(f"{len(clips)} clips, classifier {classifier.digest}, temperature {classifier.temperature:.2f}\n")
    print("| clips | accuracy | inception score | confidence | calibration error |\n|---|---|---|---|---|")
    scores = {}
    for name, spoil in _SPOILT.items():
        spoilt = np.stack([spoil(clip, np.random.default_rng(n), source.sample_rate) for n, clip in enumerate(clips)])
        p = torch.cat([classifier.judge(part)[1] for part in torch.split(torch.from_numpy(spoilt), 64)]).numpy()
        scores[name], spread = inception_score(p)
        right = "– | " if name in _MEANINGLESS else f"{accuracy(p, labels):.3f} | "
        error = " –" if name in _MEANINGLESS else f" {calibration_error(p, labels):.3f}"
        print(f"| {name} | {right}{scores[name]:.2f} ± {spread:.2f} | {p.max(1).mean():.2f} |{error} |", flush=True)
    worst = min(scores[name] for name in _NOISY)
    above = [name for name in _MEANINGLESS if scores[name] >= worst]
    print(f"\nnot below the noisiest clips: {', '.join(above)}" if above else "\nall that means nothing is lowest")


if __name__ == "__main__":
    main()
