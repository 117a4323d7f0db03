"""A kit and a model small enough to be made for the tests of the command line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fauxley.cli.main import main


@pytest.fixture(scope="session")
def kit(make_kit: Callable[..., Path]) -> Path:
    """A folder with two sounds of each drum, as long and of the rate that commands take by default."""
    return make_kit()


@pytest.fixture(scope="session")
def dataset(kit: Path) -> Path:
    folder = kit.parent / "dataset"
    assert main(["prepare", str(kit), str(folder), "--clip-length", "4096", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="session")
def run(dataset: Path) -> Path:
    """A run of three steps."""
    folder = dataset.parent / "run"
    assert main(train_arguments(dataset, folder)) == 0
    return folder


@pytest.fixture(scope="session")
def listening_study(dataset: Path, run: Path) -> Path:
    """A listening test of a model and of a folder of sounds, small enough to be taken in a test."""
    folder = dataset.parent / "study"
    sources = ["--models", f"zebra={run}", f"ibex={dataset.parent / 'kit'}", "--real", f"walrus={dataset}"]
    few = ["--clips", "10", "--pairs", "1", "--verdicts", "1", "--quiet"]
    assert main(["listen", "create", str(folder), *sources, *few]) == 0
    return folder


@pytest.fixture
def folder(listening_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(listening_study, tmp_path / "study"))


def train_arguments(data: Path | str, run: Path, *more: str) -> list[str]:
    """A training that takes a second or two."""
    small = [
        "--clip-length",
        "4096",
        "--dim",
        "1",
        "--batch-size",
        "4",
        "--steps",
        "3",
        "--preview-count",
        "2",
        "--critic-steps",
        "1",
    ]
    options = ["--tensorboard", "off", "--quiet", "--device", "cpu"]
    return ["train", "wavegan-tiny", "--data", str(data), "--run", str(run), *small, *options, *more]
