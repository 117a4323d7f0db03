"""`fauxley train-classifier`: trains a classifier on labelled sounds, for the inception score and other figures."""

import shutil
from pathlib import Path
from typing import Annotated

from fauxley.cli.shared.options import Flat, Switch, check_there
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.evaluation.classifier.cache import SENSIBLE_ACCURACY, cached_path
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.classifier.training import NOISY_DB, Recipe
from fauxley.evaluation.classifier.training import train_classifier as fit
from fauxley.machine import Device, choose_device, in_memory
from fauxley.storage import check_folder_place, work_folder
from fauxley.terminal.progress import Stages
from fauxley.user_cache import writable_folder


def train_classifier(
    data: Path,
    out: Path | None = None,
    test: Path | None = None,
    recipe: Annotated[Recipe, Flat] = Recipe(),  # noqa: B008 - frozen
    device: Device = "auto",
    force: Switch = False,
    quiet: Switch = False,
) -> None:
    """Train a classifier on labelled sounds, with which 'fauxley evaluate' judges generated ones.

    The classifier is kept in a cache, where 'fauxley evaluate' finds it by the data. It is not trained again for the
    same data, settings and test data.

    Example: fauxley train-classifier --data words.dataset --test held-out.dataset --out words.classifier

    Args:
        data: Labelled sounds: a dataset, or a folder of sounds.
        out: Folder for a copy of the classifier; it is in the cache in any case.
        test: Labelled sounds on which to measure the accuracy, ideally of other speakers or sources; by default a share
            of the data is held out.
        recipe: How to train.
        device: Device to compute on; auto uses a GPU if there is one.
        force: Accept a classifier that is hardly better than guessing.
        quiet: Print nothing.
    """
    if out is not None:
        check_folder_place(out)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} has something in it; choose another --out")
    for path in (data, test):
        if path is not None:
            check_there(path)
    dataset, asked = open_or_prepare(data), open_or_prepare(test) if test else None
    path = cached_path(dataset, recipe, asked)
    classifier, known = _load(path), True
    if classifier is None:
        writable_folder("classifiers")
        with work_folder(path, dataset.fingerprint(), f"training a classifier on {printable(data)}"):
            classifier = _load(path)  # another process may have trained it meanwhile
            known = classifier is not None
            classifier = classifier or _train(path, dataset, recipe, asked, device, quiet)
    if not quiet:
        print(describe(classifier) + ("\n(from the cache: trained before on the same data)" if known else ""))
    measured = classifier.judgement.accuracy
    if measured < SENSIBLE_ACCURACY and not force:
        raise FauxleyError(
            f"an accuracy of {measured:.2f} is too low to judge by (at least {SENSIBLE_ACCURACY}): give more data or "
            "more --epochs, or accept it with --force"
        )
    if out is not None:
        classifier.save(out)
        if not quiet:
            print(f"saved in {out}")


def describe(classifier: Classifier) -> str:
    """The quality of a classifier, in words: accuracy, calibration, confusion matrix."""
    judgement, labels = classifier.judgement, [printable(label)[:12] for label in classifier.labels]
    width = max(4, *map(len, labels))
    asked = f"{judgement.num_clips} held-out clips ({judgement.held_out})"
    lines = [
        f"classifier {classifier.digest}: accuracy {judgement.accuracy:.3f} on {asked}",
        f"with white noise {NOISY_DB} dB below each clip: {judgement.noisy_accuracy:.3f}",
        f"calibration error {judgement.calibration_error:.3f} ({_about_temperature(classifier.temperature)})",
    ]
    if len(labels) <= 20:
        lines += ["", " " * width + "  heard as", " ".join([" " * width, *(f"{label[:5]:>5}" for label in labels)])]
        for label, row in zip(labels, judgement.confusion, strict=True):
            lines.append(" ".join([f"{label:>{width}}", *(f"{count or '·':>5}" for count in row)]))
    return "\n".join(lines)


def _about_temperature(temperature: float) -> str:
    return "no temperature: none helped on other sources" if temperature == 1 else f"temperature {temperature:.2f}"


def _load(path: Path) -> Classifier | None:
    """The classifier in a folder; None if there is none, or it is unusable."""
    try:
        return Classifier.load(path)
    except FauxleyError:
        return None


def _train(
    path: Path, dataset: Dataset, recipe: Recipe, test: Dataset | None, device: Device, quiet: bool
) -> Classifier:
    """Train a classifier, and save it in a folder, in the place of one that cannot be used."""
    with Stages(quiet) as stages, in_memory("lower --batch-size or --width"):

        def tell(done: int, total: int) -> None:
            if done == 1:
                stages.begin("training the classifier", total)
            stages.advance(1)

        stages.begin("preparing to train the classifier", 0)
        classifier = fit(dataset, recipe, test, choose_device(device), tell)
    shutil.rmtree(path, ignore_errors=True)
    classifier.save(path)
    return classifier
