"""Folders of shared sounds and numbers, which live outside the project."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

_SHARED = Path(__file__).parents[2].parent / "shared"


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable) or _SHARED / default)
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable}")
    return folder


@pytest.fixture
def parity_dir() -> Path:
    return _folder("FAUXLEY_PARITY_DIR", "parity")


@pytest.fixture
def data_dir() -> Path:
    return _folder("FAUXLEY_DATA_DIR", "data")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder of 30 short files with three labels, of different lengths, levels and formats."""
    folder = tmp_path / "sounds"
    random = np.random.default_rng(0)
    for index in range(30):
        label = ("kick", "snare", "hat")[index % 3]
        (folder / label).mkdir(parents=True, exist_ok=True)
        audio = 0.1 * random.standard_normal((400 + 37 * index, 1 + index % 2))
        suffix = ("wav", "flac")[index % 2]
        soundfile.write(folder / label / f"{index:02d}.{suffix}", np.clip(audio, -1, 1), 16000)
    return folder
