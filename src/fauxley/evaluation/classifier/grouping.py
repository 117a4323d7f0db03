"""Groups of clips from one source (a speaker, a drum machine, a take), and splits of data that respect them.

Held-out clips must not share a source with training clips, or the accuracy would test memory. Sources are those in the
data's manifest.csv (columns `source`, `speaker` or `speaker_or_source`). Without these, file names often tell them, as
in `<speaker>_nohash_0.wav`.

Letters: N labelled clips, G groups.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import DatasetEntry

Int = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LEAST_BY_NAME = 20  # beginnings of file names that are needed to take them for sources


@dataclass(frozen=True)
class Groups:
    """Labelled clips by their source.

    Attributes:
        names: names of the groups, (G,), all different.
        of_clip: the group of each labelled clip, (N,).
        kind: what a group is, in words.
        known: whether groups are sources rather than single files.
    """

    names: tuple[str, ...]
    of_clip: Int
    kind: str
    known: bool

    def sizes(self) -> Int:
        """The number of clips in each group: (G,)."""
        return np.bincount(self.of_clip, minlength=len(self.names))


def find_groups(dataset: Dataset) -> Groups:
    """The groups of a dataset's labelled clips: listed sources, or else sources in file names, or else single files.

    Copies of one file are one group. Listed sources are used if most labels have two or more; if each label is one
    source, none could be held out. Beginnings of file names, up to the first "_" or "-", are taken for sources if there
    are twenty or more and most of them have files of several labels, as speakers do.
    """
    keys, kind, known = _keys(dataset.entries)
    labelled = dataset.clip_labels() >= 0
    # Without a padded copy of the names for each clip.
    names, of_file = np.unique(np.array(keys, object), return_inverse=True)
    used, of_clip = np.unique(of_file[dataset.clips().file[labelled]], return_inverse=True)
    return Groups(tuple(names[used].tolist()), of_clip.astype(np.int64), kind, known)


def held_out(groups: Groups, share: float) -> Mask:
    """A mask (N,) of about this share of the clips, made of whole groups.

    A group's side depends on its name, so adding data does not reshuffle it. But a group with more than a third of all
    clips is held out only if all groups are so large.
    """
    sizes = groups.sizes()
    small = [group for group in range(len(sizes)) if sizes[group] <= len(groups.of_clip) / 3]
    order = sorted(small or range(len(sizes)), key=lambda group: _hash(groups.names[group]))
    held: list[int] = []
    for group in order:  # this share of the groups, or more if those have few clips
        if len(held) >= round(share * len(order)) and sizes[held].sum() >= 0.8 * share * len(groups.of_clip):
            break
        held.append(group)
    return np.isin(groups.of_clip, held)


def grouped_folds(of_clip: NDArray[np.integer[Any]], count: int) -> list[Mask]:
    """Divide clips into `count` folds of about the same size, fewer if there are fewer groups: masks (N,).

    No group is in two folds, and every clip is in one. Groups are assigned from the largest to the smallest, each to
    the smallest fold so far.
    """
    groups, inverse, sizes = np.unique(of_clip, return_inverse=True, return_counts=True)
    count = min(count, len(groups))
    filled = np.zeros(count, np.int64)
    fold_of = np.zeros(len(groups), np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return [fold_of[inverse] == fold for fold in range(count)]


def _keys(entries: tuple[DatasetEntry, ...]) -> tuple[list[str], str, bool]:
    """The name of each file's group, what such a group is, and whether it is a source."""
    sources_of: dict[str, set[str]] = {}
    for entry in entries:
        if entry.label and entry.source:
            sources_of.setdefault(entry.label, set()).add(entry.source)
    if sum(len(sources) > 1 for sources in sources_of.values()) > len(sources_of) / 2:
        return [entry.source or entry.sha256 for entry in entries], "sources", True
    beginnings = [re.split("[_-]", entry.file.rsplit("/", 1)[-1])[0] for entry in entries]
    labels_of: dict[str, set[str]] = {}
    for beginning, entry in zip(beginnings, entries, strict=True):
        labels_of.setdefault(beginning, set()).add(entry.label)
    mixed = sum(len(labels) > 1 for labels in labels_of.values())
    if len(labels_of) >= _LEAST_BY_NAME and mixed > len(labels_of) / 2:
        return beginnings, "sources, by how file names begin", True
    return [entry.sha256 for entry in entries], "files of unknown sources", False


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()
