"""Clips to judge: real recordings where there are some, else the built-in kit; and what can be wrong with them."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier.training import Recipe, train_classifier
from fauxley.evaluation.clips import ClipSource
from fauxley.signal.drumkit import INSTRUMENTS, synthesize, write_kit
from fauxley.sounds.reading import read_audio

_DATA = Path(os.environ.get("FAUXLEY_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
_COUNT = 160
_LENGTH = 16384
SMALL_RECIPE = Recipe(epochs=60, least_steps=0, batch_size=16, width=8)


class ArrayClips(ClipSource):
    """Clips from an array, (N, T)."""

    def __init__(self, clips, title="array", sample_rate=16000):
        self.title = title
        self.sample_rate = sample_rate
        self.clip_length = clips.shape[1]
        self.clips = clips.astype(np.float32)

    def __len__(self):
        return len(self.clips)

    def read(self, indices):
        return self.clips[np.asarray(indices)]

    def name(self, index):
        return f"clip {index}"


def _recordings():
    """The first labelled pack with enough readable sounds, in random order; None if there is none."""
    for listing in sorted(_DATA.glob("*/manifest.csv")) if _DATA.is_dir() else ():
        with listing.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        if len(rows) < 2 * _COUNT or not rows[0].get("label"):
            continue
        clips = []
        for row in np.random.default_rng(0).permutation(len(rows)):
            try:
                audio = read_audio(listing.parent / rows[row]["file"], 16000, 1)[0, :_LENGTH]
            except FauxleyError:
                continue
            clips.append(np.pad(audio, (0, _LENGTH - len(audio))) / max(np.abs(audio).max(initial=0), 1e-3))
            if len(clips) == _COUNT:
                return np.stack(clips).astype(np.float32)
    return None


def _kit():
    names = [INSTRUMENTS[index % len(INSTRUMENTS)] for index in range(_COUNT)]
    clips = [synthesize(name, seed, 16000, 1.024)[0] for seed, name in enumerate(names)]
    return np.stack(clips)[np.random.default_rng(0).permutation(_COUNT)]


@pytest.fixture(scope="session")
def halves():
    """Two halves of the same real clips, (N, T) each: what models learn from, and new real clips."""
    recorded = _recordings()
    clips = _kit() if recorded is None else recorded
    return clips[: _COUNT // 2], clips[_COUNT // 2 :]


def noisy(clips):
    """White noise 10 dB below each clip."""
    level = np.sqrt(np.square(clips).mean(1, keepdims=True)) * 10 ** (-10 / 20)
    return np.clip(clips + level * np.random.default_rng(1).standard_normal(clips.shape), -1, 1)


def scrambled(clips):
    """Sixteenths of each clip in another order: the same sound at every moment, no course of events."""
    parts = clips.reshape(len(clips), 16, -1)
    rng = np.random.default_rng(2)
    return np.stack([part[rng.permutation(16)] for part in parts]).reshape(clips.shape)


def memorised(clips):
    """Training clips, a little quieter and with noise of one step of 16 bits."""
    return 0.98 * clips + 3e-5 * np.random.default_rng(3).standard_normal(clips.shape)


def collapsed(clips):
    """Six clips again and again, hardly altered."""
    chosen = clips[np.arange(len(clips)) % 6]
    return chosen + 3e-5 * np.random.default_rng(4).standard_normal(clips.shape)


def _packed_kit(folder, seed):
    write_kit(folder / "kit", per_instrument=12, seed=seed, sample_rate=8000, duration_seconds=0.5)
    settings = PackSettings(sample_rate=8000, clip_length=4096)
    return pack(folder / "kit", folder / "dataset", settings, n_jobs=1)


@pytest.fixture(scope="session")
def learnt_kit(tmp_path_factory):
    """96 drums of 8 labels at 8 kHz, for a model to learn from."""
    return _packed_kit(tmp_path_factory.mktemp("learnt"), 0)


@pytest.fixture(scope="session")
def new_kit(tmp_path_factory):
    """96 other drums of the same labels."""
    return _packed_kit(tmp_path_factory.mktemp("new"), 1)


@pytest.fixture(scope="session")
def classifier(learnt_kit, new_kit):
    """A small classifier of the drums."""
    return train_classifier(learnt_kit, SMALL_RECIPE, new_kit)
