"""Evaluates sets of clips under one protocol, together with real clips under the same protocol.

The real side is measured once; then any number of models, checkpoints or folders can be judged against it. The protocol
is part of the result, because figures of different protocols cannot be compared.

Letters: N clips, D dimensions, K labels, Q clips whose neighbours are sought.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.clips import ClipSource, DatasetClips
from fauxley.evaluation.features import (
    ClassifierFeatures,
    Extractor,
    Fingerprints,
    LogMelNeighbours,
    SignalFeatures,
    extract,
)
from fauxley.evaluation.figures import Evaluation, Score
from fauxley.evaluation.metrics import signal_measures
from fauxley.evaluation.metrics.copies import Alignments, Copy, aligning_rate
from fauxley.evaluation.metrics.inception_score import inception_score
from fauxley.evaluation.metrics.label_agreement import agreement
from fauxley.evaluation.pretrained import SpeechQuality
from fauxley.evaluation.protocol import LEAST_CLIPS, ProgressTracker, Protocol
from fauxley.evaluation.scoring import (
    STEPS,
    Yardsticks,
    mean_and_spread,
    score_agreement,
    score_copies,
    score_distances,
    score_each_label,
    score_labels,
    score_memorisation,
    score_neighbours,
)

Array = NDArray[Any]

_SEARCHED = ("neighbours", "copies")  # features kept for as many clips as the protocol says
_ALIGNED = ("fingerprints", "waveforms")  # features kept for all clips


class Judged(NamedTuple):
    """A set of clips with its figures."""

    source: ClipSource
    figures: Evaluation


class Evaluator:
    """Evaluates sets of clips against a dataset.

    Args:
        train: the clips that models were trained on.
        test: real clips that they were not trained on. Without them, the check of memorisation compares with the
            distances between training clips.
        classifier: None leaves out all figures that need labels.
        embeddings: further extractors, by the name of their features.
        quality: a network that rates how good clips sound.
        protocol: settings that the figures depend on.
        device: to compute features on.
        progress: is told how far the work has come.
        clip_length: samples to which real clips are cut; None for the data's own.
        n_jobs: processes that read or make clips and compute their features; see `features.extract`.

    Raises:
        FauxleyError: there are too few real clips, or test data does not match the training data.
    """

    def __init__(
        self,
        train: Dataset,
        test: Dataset | None = None,
        classifier: Classifier | None = None,
        embeddings: Mapping[str, Extractor] | None = None,
        quality: SpeechQuality | None = None,
        protocol: Protocol = Protocol(),  # noqa: B008 - frozen
        device: torch.device | str = "cpu",
        progress: ProgressTracker | None = None,
        clip_length: int | None = None,
        n_jobs: int | None = 1,
    ) -> None:
        self.protocol = protocol
        self.classifier = classifier
        self._progress = progress or ProgressTracker()
        self._device = device
        self._n_jobs = n_jobs
        self._extractors: dict[str, Extractor] = {
            "log-mel": LogMelNeighbours(device),
            "fingerprints": Fingerprints(),
            **(embeddings or {}),
        }
        self.embeddings = (*(embeddings or {}), "log-mel")
        if quality is not None:
            self._extractors["quality"] = quality
        if classifier is not None:
            self._extractors["classifier"] = ClassifierFeatures(classifier.to(device))
            self.embeddings = ("classifier", *self.embeddings)
        self.fingerprint = train.fingerprint()
        self.train = DatasetClips(train, "real, training data", None, protocol.seed, clip_length)
        self.count = min(protocol.count, len(self.train))
        self.test = None
        if test is not None:
            self.test = DatasetClips(test, "real, held out", self.count, protocol.seed, self.train.clip_length)
        for source in (self.train, *([self.test] if self.test else [])):
            self.check(source)
        self.training_shares = self._training_shares()
        self._real: list[Evaluation] = []

    @property
    def real(self) -> list[Evaluation]:
        """Figures of the training data, and of held-out clips if there are any; measured when first needed."""
        if not self._real:
            self._judge_real()
        return self._real

    def check(self, source: ClipSource) -> None:
        """Check that a set of clips can be judged here.

        Raises:
            UsageError: it has another sample rate or clip length.
            FauxleyError: it has too few clips.
        """
        if source.sample_rate != self.train.sample_rate or source.clip_length != self.train.clip_length:
            raise UsageError(
                f"{source.title} has clips of {source.clip_length} samples at {source.sample_rate} Hz, but the data "
                f"has clips of {self.train.clip_length} at {self.train.sample_rate} Hz; prepare the data with "
                f"clip_length {source.clip_length} and sample_rate {source.sample_rate}"
            )
        if len(source) < LEAST_CLIPS:
            raise FauxleyError(f"{source.title} has too few clips, {len(source)}; at least {LEAST_CLIPS} are needed")

    def evaluate(self, source: ClipSource) -> Evaluation:
        """All figures of a set of clips.

        Raises:
            FauxleyError: see `check`.
        """
        self.check(source)
        _ = self.real  # measure it first
        return self._evaluate(source)[0]

    def _evaluate(self, source: ClipSource) -> tuple[Evaluation, dict[str, Array]]:
        figures = Evaluation(source.title, len(source))
        features = self._features(source, figures)
        if self.classifier is not None:
            score_labels(figures, features["probabilities"], self.training_shares, self.protocol.splits)
            figures.scores["inception_share"] = self._share(features["probabilities"])
        self._score_asked(figures, source, features)
        with self._timed(figures, "neighbours", len(features["neighbours"])):
            tell = self._progress.advance
            score_neighbours(figures, features, self._searched, own=False, device=self._device, progress=tell)
            score_memorisation(figures, self.baseline_distances)
        self._score_copies(figures, source, features, own=False)
        with self._timed(figures, "distances", STEPS * len(self.embeddings)):
            for name in self.embeddings:
                reference, yardsticks = self._reference[name], self._yardsticks[name]
                score_distances(
                    figures, name, reference, features[name], self.protocol.seed, yardsticks, self._progress.advance
                )
        real = self._real[0].measures
        figures.gaps = {
            name: signal_measures.kolmogorov_smirnov(values, real[name]) for name, values in figures.measures.items()
        }
        return figures, features

    def _judge_real(self) -> None:
        """Measure the rows of real clips: the training data by itself, and held-out clips like any others."""
        train = Evaluation(self.train.title, self.count)
        everything = self._features(self.train, train)
        self._searched = {name: everything[name] for name in (*_SEARCHED, *_ALIGNED)}
        self._reference = {name: everything[name] for name in self.embeddings}
        self._yardsticks = {name: Yardsticks.of(values) for name, values in self._reference.items()}
        features = {name: values[: self.count] for name, values in everything.items()}
        train.measures = {name: values[: self.count] for name, values in train.measures.items()}
        self._real_probabilities = features.get("probabilities", np.zeros((0, 0)))
        self._real = [train]
        self._baseline = train
        if self.classifier is not None:
            score_labels(train, features["probabilities"], self.training_shares, self.protocol.splits)
            score_agreement(
                train, self._asked(self.train, self.classifier.labels)[: self.count], features["probabilities"]
            )
        with self._timed(train, "neighbours", 0):
            queries = {name: features[name][: self.protocol.neighbours] for name in _SEARCHED}
            score_neighbours(train, queries, self._searched, own=True, device=self._device)
        queries = {name: features[name][: self.protocol.neighbours] for name in _ALIGNED}
        self._score_copies(train, self.train, queries, own=True)
        with self._timed(train, "distances", STEPS * len(self.embeddings)):
            half = self.count // 2
            for name, yardsticks in self._yardsticks.items():
                halves = features[name][:half], features[name][half:]
                score_distances(train, name, *halves, self.protocol.seed, yardsticks, self._progress.advance)
        if self.test is not None:
            held_out, features = self._evaluate(self.test)
            for name in ("inception_share", "agreement_share"):
                held_out.scores.pop(name, None)
            self._real.append(held_out)
            self._baseline = held_out
            self._real_probabilities = features.get("probabilities", self._real_probabilities)

    def _score_asked(self, figures: Evaluation, source: ClipSource, features: Mapping[str, Array]) -> None:
        """Measure the figures of each label, for clips with labels."""
        names = self.train.labels
        asked = self._asked(source, names)
        if not (asked >= 0).any():
            return
        if self.classifier is not None:
            score_agreement(figures, self._asked(source, self.classifier.labels), features["probabilities"])
            if figures.confusion is not None:
                real = self._accuracy_on(figures.confusion.sum(1) > 0)
                figures.scores["agreement_share"] = Score(figures.scores["agreement"].value / real)
        first = self.embeddings[0]
        training = self._reference[first], self.train.label_numbers
        scale = self._yardsticks[first].scale
        score_each_label(figures, names, (features[first], asked), training, self.protocol.seed, scale)

    def _asked(self, source: ClipSource, names: Sequence[str]) -> Array:
        """The index in `names` of each clip's label, or -1: (N,)."""
        places = {name: place for place, name in enumerate(names)}
        return np.array([places.get(source.label(index), -1) for index in range(len(source))], np.int64)

    def _accuracy_on(self, labels: Array) -> float:
        """The classifier's agreement on real clips of these labels (K,) bool; held-out ones if there are any."""
        assert self.classifier is not None
        held_out = [one.confusion for one in self._real[1:] if one.confusion is not None]
        own = np.array(self.classifier.judgement.confusion)
        return next((found for each in (*held_out, own) if (found := agreement(each, labels)) > 0), float("nan"))

    def _score_copies(
        self, figures: Evaluation, source: ClipSource, features: Mapping[str, Array], *, own: bool
    ) -> None:
        """Search all clips with these features for copies, and name them."""
        count, most = len(features["fingerprints"]), self.protocol.neighbours
        with self._timed(figures, "copies", count + min(count, most)):
            found = score_copies(
                figures, features, self._searched, most, own=own, device=self._device, progress=self._progress.advance
            )
            figures.copies = self._named(source, found)

    def _named(self, source: ClipSource, found: Alignments) -> list[Copy]:
        rate = aligning_rate(source.sample_rate, source.clip_length)
        copied = np.flatnonzero(found.copied)
        return [
            Copy(
                source.name(int(clip)),
                self.train.name(int(found.indices[clip])),
                int(clip),
                int(found.indices[clip]),
                float(found.similarity[clip]),
                float(found.lags[clip] / rate),
                float(20 * np.log10(max(abs(found.gains[clip]), 1e-9))),
            )
            for clip in copied[np.argsort(-found.similarity[copied], kind="stable")]
        ]

    @property
    def bandwidths(self) -> dict[str, float]:
        """KAD's bandwidth in each embedding: the median distance between training clips."""
        _ = self.real  # measure it first
        return {name: yardsticks.bandwidth for name, yardsticks in self._yardsticks.items()}

    @property
    def baseline_distances(self) -> Array:
        """Distances of real clips to the training data, with which those of generated clips are compared: (M,)."""
        assert self._baseline.nearest is not None
        return self._baseline.nearest.distances

    def _features(self, source: ClipSource, figures: Evaluation) -> dict[str, Array]:
        """Features by name; signal measures and the spectrum are written to `figures` directly."""
        extractors = {**self._extractors, "signals": SignalFeatures()}
        with self._timed(figures, "features", len(source)):
            keep = {} if source is self.train else dict.fromkeys(_SEARCHED, self.protocol.neighbours)
            features = extract(source, extractors, keep, self._progress.advance, self._n_jobs)
        measured, spectrum = features.pop("signals"), features.pop("spectrum")
        figures.measures = {name: measured[:, column] for column, name in enumerate(signal_measures.MEASURES)}
        figures.spectrum = spectrum / max(float(spectrum.sum()), 1e-30)
        if "speech_quality" in features:
            figures.scores["speech_quality"] = mean_and_spread(features.pop("speech_quality"))
        return features

    def _share(self, probabilities: Array) -> Score:
        """The inception score relative to that of as many real clips: scores of other group sizes do not compare."""
        count = min(len(probabilities), len(self._real_probabilities))
        splits = min(self.protocol.splits, count)
        mine, real = (inception_score(p[:count], splits)[0] for p in (probabilities, self._real_probabilities))
        return Score(mine / real)

    def _training_shares(self) -> Array:
        """The shares of the classifier's labels among training clips with a label: (K,)."""
        if self.classifier is None:
            return np.zeros(0)
        names = [self.train.dataset.labels[label] for label in self.train.label_numbers if label >= 0]
        unknown = set(names) - set(self.classifier.labels)
        if unknown or not names:
            raise FauxleyError(
                f"the classifier does not know the label {min(unknown)!r} of the data; train one on this data"
                if unknown
                else "the data has no labels, so a classifier cannot judge it; leave out the classifier"
            )
        counts = np.array([names.count(label) for label in self.classifier.labels], np.float64)
        return np.asarray(counts / counts.sum())

    @contextmanager
    def _timed(self, figures: Evaluation, stage: str, total: int) -> Iterator[None]:
        self._progress.begin(f"{figures.title}: {stage}", total)
        start = time.perf_counter()
        yield
        figures.seconds[stage] = time.perf_counter() - start
