"""The cache of trained classifiers: each is trained once for a dataset and found again by its fingerprint.

CACHE/classifiers/<fingerprint of the data>-<hash of how it is taught and tested>/
"""

import hashlib
from pathlib import Path

from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier.classifier import FORMAT_VERSION, Classifier
from fauxley.evaluation.classifier.training import Recipe
from fauxley.user_cache import cache_folder

# Below this, "the classifier does not know" and "the sound is bad" look the same.
SENSIBLE_ACCURACY = 0.7


def cached_path(data: Dataset, recipe: Recipe, test: Dataset | None) -> Path:
    """The folder in which the classifier of this data, recipe and test data is kept, whether it is there yet or not."""
    # Sources decide what is held out; the format rises with the way of teaching.
    sources = [[entry.source for entry in each.entries] for each in (data, test) if each is not None]
    rest = repr((FORMAT_VERSION, recipe, None if test is None else test.fingerprint(), sources))
    return _cache() / f"{data.fingerprint()}-{hashlib.sha256(rest.encode()).hexdigest()[:8]}"


def find_cached(data: Dataset) -> Classifier | None:
    """The best classifier that was trained on this data, if one is good enough to judge by.

    It is the most accurate, with and without noise: one that was taught without noise may be better without.
    """
    try:
        folders = sorted(_cache().glob(f"{data.fingerprint()}-*"))
    except (FauxleyError, OSError):  # a user without a home, or without a right to it
        return None
    good = []
    for folder in folders:
        try:
            classifier = Classifier.load(folder)
        except FauxleyError:  # damaged, or of another version: as if it were not there
            continue
        if classifier.judgement.accuracy >= SENSIBLE_ACCURACY:
            good.append(classifier)
    return max(good, key=lambda one: one.judgement.accuracy + one.judgement.noisy_accuracy, default=None)


def _cache() -> Path:
    return cache_folder() / "classifiers"
