"""The cache of trained classifiers: each is trained once for a dataset and found by the dataset's fingerprint.

CACHE/classifiers/<fingerprint of the data>-<hash of training and test settings>/
"""

import hashlib
from pathlib import Path

from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier.classifier import FORMAT_VERSION, Classifier
from fauxley.evaluation.classifier.training import Recipe
from fauxley.user_cache import cache_folder

# With a lower accuracy, "the classifier does not know" cannot be told from "the sound is bad".
SENSIBLE_ACCURACY = 0.7


def cached_path(data: Dataset, recipe: Recipe, test: Dataset | None) -> Path:
    """The folder for the classifier of this data, recipe and test data, whether it exists yet or not."""
    # Sources decide what is held out; the format version is raised when the training changes.
    sources = [[entry.source for entry in each.entries] for each in (data, test) if each is not None]
    rest = repr((FORMAT_VERSION, recipe, None if test is None else test.fingerprint(), sources))
    return _cache() / f"{data.fingerprint()}-{hashlib.sha256(rest.encode()).hexdigest()[:8]}"


def find_cached(data: Dataset) -> Classifier | None:
    """The best classifier that was trained on this data, if one is good enough to judge by.

    The best is the most accurate with and without noise: one trained without noise may be more accurate without it.
    """
    try:
        folders = sorted(_cache().glob(f"{data.fingerprint()}-*"))
    except (FauxleyError, OSError):  # there is no home folder, or no permission
        return None
    good = []
    for folder in folders:
        try:
            classifier = Classifier.load(folder)
        except FauxleyError:  # damaged, or of another version: ignored
            continue
        if classifier.judgement.accuracy >= SENSIBLE_ACCURACY:
            good.append(classifier)
    return max(good, key=lambda one: one.judgement.accuracy + one.judgement.noisy_accuracy, default=None)


def _cache() -> Path:
    return cache_folder() / "classifiers"
