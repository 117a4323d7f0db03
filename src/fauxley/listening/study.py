"""A listening test: its sounds, where they come from, and the questions about them.

A study is a folder that is written whole and never changed after:

    study.json       this module's `Study`; holds the secret which clip comes from which source
    sounds/ID.wav    one file a clip, all alike but for the sound; the IDs are random and say nothing
    answers.sqlite   made by the first listener, see `fauxley.listening.answers`
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.serialization import from_json, read_versioned, reading, to_json

FORMAT_VERSION = 1
STUDY_FILE = "study.json"
SOUNDS_FOLDER = "sounds"
ANSWERS_FILE = "answers.sqlite"
BATCH_SIZE = 10  # clips, as in the paper

Role = Literal["real", "model", "anchor"]
Task = Literal["label", "pairs", "real-or-generated"]
TASKS: tuple[Task, ...] = get_args(Task)

CANNOT_TELL = "?"
"""The answer of a listener who recognises no label; no label can be called so."""

_CLIPS: Mapping[Task, int] = {"label": BATCH_SIZE, "pairs": 2, "real-or-generated": 1}
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Source:
    """Where clips come from: the real sounds, a model, or the anchor (real sounds drowned in noise)."""

    name: str
    role: Role
    path: str


@dataclass(frozen=True)
class Clip:
    """A sound of a study.

    Attributes:
        id: names its file.
        source: index of its source in `Study.sources`.
        label: the label that it is meant to have, or "" if nobody knows.
        origin: the file or the seed it was made from.
    """

    id: str
    source: int
    label: str
    origin: str


@dataclass(frozen=True)
class Unit:
    """The subject of a question: a batch of ten clips of one source, a pair of clips, or one clip."""

    id: str
    task: Task
    clips: tuple[str, ...]


@dataclass(frozen=True)
class Tones:
    """A question of the headphone check: three tones in one sound, of which the one at `quietest` (1–3) is softest."""

    id: str
    quietest: int


@dataclass(frozen=True)
class Design:
    """The questions that every listener gets.

    Attributes:
        seed: decides the order in which everything is asked.
        tasks: the kinds of questions, in the order in which they are asked.
        batches: number of batches to label from each source.
        pairs: number of comparisons of every two sources.
        verdicts: number of real-or-generated questions about each model, and as many about real sounds.
        headphones: whether to check for headphones first.
    """

    seed: int = 0
    tasks: tuple[Task, ...] = TASKS
    batches: int = 1
    pairs: int = 3
    verdicts: int = 3
    headphones: bool = True

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) < len(self.tasks) or not set(self.tasks) <= set(TASKS):
            raise UsageError(
                f"tasks must be some of {', '.join(TASKS)}, each once; got {' '.join(self.tasks) or 'none'}"
            )
        for name, value in (("batches", self.batches), ("pairs", self.pairs), ("verdicts", self.verdicts)):
            if not 1 <= value <= 100:
                raise UsageError(f"{name} must be from 1 to 100; got {value}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative; got {self.seed}")


@dataclass(frozen=True)
class Study:
    """`study.json`.

    Attributes:
        format_version: version of the folder's format.
        id: random; ties the answers to the study.
        title: shown to listeners, so it must not name a source.
        labels: the possible answers in the label task.
        design: the questions that every listener gets.
        sample_rate: sample rate of all sounds, in Hz.
        clip_seconds: length of every clip, without the silence around it.
        loudness_lkfs: loudness of every clip.
        sources: the real sounds first.
        clips: all sounds that are asked about.
        units: all batches, pairs and clips that a question may be about.
        tones: questions of the headphone check.
        volume: ID of the noise by which listeners set their volume.
    """

    format_version: int
    id: str
    title: str
    labels: tuple[str, ...]
    design: Design
    sample_rate: int
    clip_seconds: float
    loudness_lkfs: float
    sources: tuple[Source, ...]
    clips: tuple[Clip, ...]
    units: tuple[Unit, ...]
    tones: tuple[Tones, ...]
    volume: str

    @cached_property
    def clip(self) -> Mapping[str, Clip]:
        """Clips by ID."""
        return {clip.id: clip for clip in self.clips}

    @cached_property
    def unit(self) -> Mapping[str, Unit]:
        """Units by ID."""
        return {unit.id: unit for unit in self.units}

    def sources_of(self, unit: Unit) -> tuple[int, ...]:
        """The source of a batch or a clip, the two sources of a pair."""
        clips = unit.clips if unit.task == "pairs" else unit.clips[:1]
        return tuple(self.clip[clip].source for clip in clips)

    def reference(self, clip: str) -> str:
        """The label that a clip is meant to have, or "" if there is none among the answers."""
        label = self.clip[clip].label
        return label if label in self.labels else ""

    def places(self, *roles: Role) -> tuple[int, ...]:
        """Indices of the sources that have one of these roles."""
        return tuple(place for place, source in enumerate(self.sources) if source.role in roles)

    def sound_ids(self) -> frozenset[str]:
        """All names of files in sounds/."""
        return frozenset([*self.clip, *(tones.id for tones in self.tones), self.volume])


def write_study(study: Study, folder: Path) -> None:
    """Write study.json into a folder."""
    text = json.dumps(to_json(study), indent=1, ensure_ascii=False)
    (folder / STUDY_FILE).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_study(folder: Path) -> Study:
    """Read a study's folder, and check that its parts fit together and its sounds are there.

    Raises:
        UsageError: it is not a study.
        FauxleyError: it is of a newer format, or damaged.
    """
    folder = Path(folder)
    if not (folder / STUDY_FILE).is_file():
        raise UsageError(f"{printable(folder)} is not a listening study; make one with 'fauxley listen create'")
    data = read_versioned(folder / STUDY_FILE, "study", (FORMAT_VERSION,))
    with reading(f"{folder} is a damaged study, which has to be created again"):
        study = from_json(data, (Study, Design, Source, Clip, Unit, Tones))
        if not isinstance(study, Study):
            raise FauxleyError(f"it is a {type(study).__name__}")
        _check(study, folder)
    return study


def _check(study: Study, folder: Path) -> None:
    if not (study.sources and study.clips and study.units):
        raise FauxleyError("it has no sources, clips or units")
    for clip in study.clips:
        if not 0 <= clip.source < len(study.sources):
            raise FauxleyError(f"clip {clip.id!r:.80} has no source")
    if len(study.clip) < len(study.clips) or len(study.unit) < len(study.units):
        raise FauxleyError("an ID is there twice")
    if study.sources[0].role != "real":
        raise FauxleyError("its first source is not real")
    for unit in study.units:
        _check_unit(study, unit)
    _check_sounds(study, folder)


def _check_sounds(study: Study, folder: Path) -> None:
    for sound in study.sound_ids():  # also keeps a made-up ID from leading out of the folder
        file = folder / SOUNDS_FOLDER / f"{sound}.wav"
        if not _ID.fullmatch(sound) or not file.is_file():
            raise FauxleyError(f"the sound {sound!r:.80} is missing")
        if file.is_symlink():  # it would hand any file of this machine to listeners
            raise FauxleyError(f"the sound {sound} is a link")


def _check_unit(study: Study, unit: Unit) -> None:
    if len(unit.clips) != _CLIPS[unit.task] or not set(unit.clips) <= study.clip.keys():
        raise FauxleyError(f"unit {unit.id!r:.80} has not the clips that it needs")
    if not re.fullmatch(r"[0-9a-f]+", unit.id):
        raise FauxleyError(f"unit {unit.id!r:.80} has no proper ID")
    if unit.task == "pairs" and len(set(study.sources_of(unit))) < 2:
        raise FauxleyError(f"unit {unit.id} compares a source with itself")
