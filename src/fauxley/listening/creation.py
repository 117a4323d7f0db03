"""Creating a study: clips are drawn from all sources, made alike, named at random, and written whole into a folder.

Where a model's sounds have no labels, a classifier may say what they are; listeners' accuracy is measured against that.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import torch

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.clips import ClipSource, OriginalClip
from fauxley.listening.stimuli import Leveller, drown, headphone_tones, noise_like
from fauxley.listening.study import (
    BATCH_SIZE,
    CANNOT_TELL,
    FORMAT_VERSION,
    SOUNDS_FOLDER,
    Clip,
    Design,
    Source,
    Study,
    Task,
    Tones,
    Unit,
    write_study,
)
from fauxley.sounds.reading import Float
from fauxley.sounds.writing import write_audio
from fauxley.storage import atomic_folder

ANCHOR_NAME = "anchor"
_LONGEST_SECONDS = 30.0
_VOLUME_CLIPS = 3


@dataclass(frozen=True)
class StimulusSettings:
    """Settings by which the sounds of a study are chosen and made alike.

    Attributes:
        title: title of the study, shown to listeners.
        labels: possible answers of the label task; empty: the labels of the real sounds.
        clips: number of clips of each source; only whole batches of ten are used.
        seconds: length of every clip; None: the length of the real ones.
        loudness_lkfs: loudness of every clip.
        anchors: whether to add real sounds drowned in noise, which show who listens and where the scale ends.
        seed: decides which sounds are chosen.
    """

    title: str = "Listening test"
    labels: tuple[str, ...] = ()
    clips: int = 50
    seconds: float | None = None
    loudness_lkfs: float = -30.0
    anchors: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not BATCH_SIZE <= self.clips <= 10_000:
            raise UsageError(f"clips must be from {BATCH_SIZE} to 10000; got {self.clips}")
        if self.seconds is not None and not 0.05 <= self.seconds <= _LONGEST_SECONDS:
            raise UsageError(f"seconds must be from 0.05 to {_LONGEST_SECONDS:g}; got {self.seconds}")
        if not -50 <= self.loudness_lkfs <= -10:
            raise UsageError(f"loudness must be from -50 to -10 LKFS; got {self.loudness_lkfs}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative; got {self.seed}")


@dataclass(frozen=True)
class Assembled:
    """A study that was written.

    Attributes:
        study: the study.
        softer: number of clips that stay softer than the rest, because they would peak too high.
        worst_db: by how much the worst of them is softer.
    """

    study: Study
    softer: int
    worst_db: float


def assemble(
    folder: Path,
    real: tuple[str, ClipSource],
    models: Mapping[str, ClipSource],
    design: Design,
    settings: StimulusSettings,
    progress: Callable[[str, int], None] = lambda name, done: None,
    recognise: Callable[[Float, int], str] | None = None,
) -> Assembled:
    """Write a study.

    Args:
        folder: must not exist.
        real: name and clips of the real sounds.
        models: clips of the models that are to be judged, by name.
        design: the questions that every listener gets.
        settings: settings of the sounds.
        progress: called with the source's name and the number of clips so far.
        recognise: names a clip (C, T) of this rate, for models whose sounds have no labels; listeners' accuracy is
            then measured against it, as the paper does with its classifier. None leaves them without.

    Raises:
        UsageError: `folder` exists, or the sources do not suit the tasks.
    """
    labels = _labels(settings, real[1], design)
    _check_names([real[0], *models], settings)
    seconds = min(settings.seconds or real[1].clip_length / real[1].sample_rate, _LONGEST_SECONDS)
    leveller = Leveller(real[1].sample_rate, real[1].channels, seconds, settings.loudness_lkfs)
    try:
        with atomic_folder(folder) as partial:
            writer = _Writer(partial / SOUNDS_FOLDER, leveller, progress)
            pool = _draw(real, models, settings, leveller, recognise)
            clips = [writer.add(place, name, drawn) for place, (name, drawn) in pool]
            tones = writer.add_tones() if design.headphones else ()
            sources = _sources(real, models, settings)
            units = tuple(make_units(clips, sources, design, np.random.default_rng([settings.seed, 1])))
            study = Study(
                FORMAT_VERSION, secrets.token_hex(16), settings.title, labels, design, leveller.sample_rate, seconds,
                settings.loudness_lkfs, sources, tuple(clips), units, tones, writer.add_volume(),
            )  # fmt: skip
            write_study(study, partial)
    except FileExistsError as error:
        raise UsageError(f"{printable(folder)} exists already; choose another name, or remove it") from error
    return Assembled(study, writer.softer, writer.worst_db)


def _labels(settings: StimulusSettings, real: ClipSource, design: Design) -> tuple[str, ...]:
    labels = settings.labels or real.labels
    if "label" not in design.tasks:
        return labels
    if len(labels) < 2:
        raise UsageError("the label task needs at least two labels: give some, or leave the task 'label' out")
    if len(labels) > 60:
        raise UsageError(f"{len(labels)} labels are too many to choose from; give at most 60")
    for label in labels:
        if label == CANNOT_TELL or not label.strip() or not label.isprintable() or len(label) > 40:
            raise UsageError(f"a label must be printable, at most 40 characters and not {CANNOT_TELL!r}; got {label!r}")
    if len({label.casefold() for label in labels}) < len(labels):
        raise UsageError("two labels differ in nothing but case, or not at all")
    return tuple(labels)


def _check_names(names: Sequence[str], settings: StimulusSettings) -> None:
    if len(names) < 2:
        raise UsageError("give at least one model to judge")
    for name in names:
        if not name or not name.isprintable() or len(name) > 60 or (settings.anchors and name == ANCHOR_NAME):
            raise UsageError(f"a source cannot be called {name!r}; write NAME=PATH to give it another name")
        if len(name) >= 3 and name.casefold() in settings.title.casefold():
            raise UsageError(f"the title is shown to listeners and must not name a source; it names {name!r}")
    if len({name.casefold() for name in names}) < len(names):
        raise UsageError("two sources have the same name; write NAME=PATH to tell them apart")


def _sources(
    real: tuple[str, ClipSource], models: Mapping[str, ClipSource], settings: StimulusSettings
) -> tuple[Source, ...]:
    anchors = (Source(ANCHOR_NAME, "anchor", ""),) if settings.anchors else ()
    judged = (Source(name, "model", str(clips.path or "")) for name, clips in models.items())
    return (Source(real[0], "real", str(real[1].path or "")), *judged, *anchors)


def _draw(
    real: tuple[str, ClipSource],
    models: Mapping[str, ClipSource],
    settings: StimulusSettings,
    leveller: Leveller,
    recognise: Callable[[Float, int], str] | None,
) -> Iterable[tuple[int, tuple[str, OriginalClip]]]:
    """Fitted clips of all sources, in the order of the sources: (index of the source, (its name, clip))."""
    recordings: list[OriginalClip] = []
    for place, (name, source) in enumerate([real, *models.items()]):
        count = 0
        for drawn in islice(source.originals(), settings.clips):
            fitted = drawn._replace(audio=leveller.fit(_finite(drawn.audio), drawn.sample_rate))
            if recognise and place > 0 and not drawn.label:
                fitted = fitted._replace(label=recognise(drawn.audio, drawn.sample_rate))
            recordings += [fitted] if place == 0 and settings.anchors else []
            count += 1
            yield place, (name, fitted)
        if count < BATCH_SIZE:
            raise UsageError(f"{name} has only {count} clips; at least {BATCH_SIZE} are needed")
    rng = np.random.default_rng([settings.seed, 2])
    for drawn in recordings:
        yield 1 + len(models), (ANCHOR_NAME, drawn._replace(audio=drown(drawn.audio, rng)))


def _finite(audio: Float) -> Float:
    if not np.isfinite(audio).all():
        raise FauxleyError("a clip holds NaN or infinity; 'fauxley scan' finds such files")
    return audio


class _Writer:
    """Writes sounds under random names."""

    def __init__(self, folder: Path, leveller: Leveller, progress: Callable[[str, int], None]) -> None:
        self._folder, self._leveller, self._progress = folder, leveller, progress
        self._dither = np.random.default_rng()  # noise that nobody needs again
        self._loudest: list[Float] = []
        self.softer, self.worst_db, self._done = 0, 0.0, 0
        folder.mkdir()

    def add(self, source: int, name: str, drawn: OriginalClip) -> Clip:
        levelled = self._leveller.level(drawn.audio)
        shortfall = self._leveller.shortfall_db(levelled)
        self.softer += shortfall > 0.5
        self.worst_db = max(self.worst_db, shortfall)
        if source == 0 and len(self._loudest) < _VOLUME_CLIPS:
            self._loudest.append(levelled)
        clip = Clip(self._write(levelled), source, drawn.label, drawn.origin)
        self._done += 1
        self._progress(name, self._done)
        return clip

    def add_tones(self) -> tuple[Tones, ...]:
        rate = self._leveller.sample_rate
        places = [(quiet, anti) for quiet in (1, 2, 3) for anti in (1, 2, 3) if quiet != anti]
        return tuple(Tones(self._write(headphone_tones(quiet, anti, rate)), quiet) for quiet, anti in places)

    def add_volume(self) -> str:
        """Noise as loud as the clips and of their colour."""
        noise = noise_like(np.concatenate(self._loudest, axis=1), np.random.default_rng(0))
        return self._write(self._leveller.level(noise))

    def _write(self, audio: Float) -> str:
        name = secrets.token_hex(16)
        write_audio(self._folder / f"{name}.wav", audio, self._leveller.sample_rate, dither=self._dither)
        return name


def make_units(
    clips: Sequence[Clip], sources: Sequence[Source], design: Design, rng: np.random.Generator
) -> Iterable[Unit]:
    """All that can be asked about: whole batches, pairs of clips of two sources, single clips."""
    pools = [[clip.id for clip in clips if clip.source == place] for place in range(len(sources))]
    judged = [pool for pool, source in zip(pools, sources, strict=True) if source.role != "anchor"]
    anchors = [pool for pool, source in zip(pools, sources, strict=True) if source.role == "anchor"]
    if "label" in design.tasks:
        yield from (_unit("label", *batch) for pool in pools for batch in _batches(pool, rng))
    # Only so many pairs and single clips that each is asked about as often as a batch.
    if "pairs" in design.tasks:
        for first, second in combinations(judged, 2):
            count = max(design.pairs, min(len(first), len(second)) * design.pairs // BATCH_SIZE)
            shuffled = (rng.permutation(first).tolist()[:count], rng.permutation(second).tolist()[:count])
            yield from (_unit("pairs", *pair) for pair in zip(*shuffled, strict=False))
        for pool in anchors:  # made from the real clips one by one: the same sound, clean and drowned
            yield from (_unit("pairs", *pair) for pair in zip(pools[0], pool, strict=True))
    if "real-or-generated" in design.tasks:
        for place, pool in enumerate(judged):
            asked = design.verdicts * (len(judged) - 1 if place == 0 else 1)  # real ones as often as all others
            count = max(asked, len(pool) * asked // BATCH_SIZE)
            yield from (_unit("real-or-generated", clip) for clip in rng.permutation(pool).tolist()[:count])


def _unit(task: Task, *clips: str) -> Unit:
    return Unit(secrets.token_hex(8), task, clips)


def _batches(pool: Sequence[str], rng: np.random.Generator) -> Iterable[Sequence[str]]:
    order = rng.permutation(pool).tolist()
    return (order[start : start + BATCH_SIZE] for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE))


def recogniser(classifier: Classifier, labels: Sequence[str]) -> Callable[[Float, int], str]:
    """A function that names a clip (C, T) of any rate by the classifier's likeliest label.

    Args:
        classifier: mono, of one rate and clip length, to which clips are brought.
        labels: labels that listeners choose from.

    Raises:
        UsageError: the classifier knows a label that listeners cannot choose.
    """
    if unknown := sorted(set(classifier.labels) - set(labels)):
        raise UsageError(
            f"the classifier's label {unknown[0]!r} is none of the study's; give the study the labels as it has them"
        )
    rate, length = classifier.settings.sample_rate, classifier.settings.clip_length
    leveller = Leveller(rate, 1, length / rate, -30.0)  # its loudness is not used

    def recognise(audio: Float, sample_rate: int) -> str:
        _, probabilities = classifier.judge(torch.from_numpy(leveller.fit(audio, sample_rate)))
        return classifier.labels[int(probabilities[0].argmax())]

    return recognise
