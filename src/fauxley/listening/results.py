"""The figures of a listening test, which `report.json` holds: once for everybody, once without careless listeners.

Accuracy needs to know what a clip is meant to be: real sounds have their labels, and so have folders with a manifest.
What an unconditional model meant nobody knows; there the table says which labels were given, and how far listeners
agree on them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from fauxley.listening.assignment import Kind
from fauxley.listening.carelessness import RULE, answered_alike, find_careless
from fauxley.listening.questions import Rating
from fauxley.listening.statistics import (
    REPLICATES,
    Estimate,
    Level,
    estimate,
    holm,
    krippendorff_alpha,
    sign_flip_test,
    sign_test,
)
from fauxley.listening.study import CANNOT_TELL, Role, Study

MEASURES = ("accuracy", "quality", "ease", "diversity", "judged_real")


@dataclass(frozen=True)
class SourceResult:
    """The figures of one source.

    Attributes:
        source: its name.
        role: real, model or anchor.
        accuracy: share of labels that are right; None where nobody knows what is right.
        quality: mean opinion of the sound quality, 1 to 5.
        ease: mean opinion of how easily sounds are recognised, 1 to 5.
        diversity: mean opinion of the diversity within a batch, 1 to 5.
        judged_real: share of clips taken for real.
        cannot_tell: share of clips that were not recognised.
        given: how often each label was given, in the study's order, then "can't tell".
        confusion: a row for each right label: how often each was given; None where nobody knows what is right.
    """

    source: str
    role: Role
    accuracy: Estimate | None
    quality: Estimate | None
    ease: Estimate | None
    diversity: Estimate | None
    judged_real: Estimate | None
    cannot_tell: Estimate | None
    given: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class PairResult:
    """Two sources compared.

    Attributes:
        first: name of a source.
        second: name of the other.
        wins: how often a clip of `first` was better.
        losses: how often a clip of `second` was.
        ties: how often there was no difference.
        preference: mean of 1 for a win, 0.5 for a tie and 0 for a loss.
        p_answers: exact sign test over answers, ties left out; takes answers for independent.
        p_listeners: sign-flip test over the means of listeners, which does not.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    preference: Estimate
    p_answers: float | None
    p_listeners: float | None


@dataclass(frozen=True)
class Difference:
    """Two sources in one measure, listener by listener.

    Attributes:
        measure: one of `MEASURES`.
        first: name of a source.
        second: name of the other.
        difference: first less second, mean over the listeners who rated both.
        listeners: number of those listeners.
        p: sign-flip test.
        p_holm: corrected for all differences in this measure.
    """

    measure: str
    first: str
    second: str
    difference: float
    listeners: int
    p: float
    p_holm: float


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha.

    Attributes:
        measure: the judgement that raters may agree on.
        level: nominal or ordinal.
        alpha: None where nothing was judged twice, or all judgements are the same.
        units: number of things that two or more listeners judged.
    """

    measure: str
    level: str
    alpha: float | None
    units: int


@dataclass(frozen=True)
class Figures:
    """All figures, counted from the answers of all listeners or of those that are kept."""

    listeners: int
    answers: int
    sources: tuple[SourceResult, ...]
    pairs: tuple[PairResult, ...]
    differences: tuple[Difference, ...]
    agreement: tuple[Agreement, ...]
    repeats: int
    repeats_alike: int


@dataclass(frozen=True)
class Excluded:
    """A listener that the rule sets aside, and why."""

    listener: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """Everything that a study found.

    Attributes:
        title: title of the study.
        labels: labels of the study.
        started: number of listeners who answered anything.
        finished: number of listeners who answered everything.
        headphones: number of listeners who passed the headphone check: five of six right, or better.
        headphones_asked: number of listeners who completed that check.
        excluded: listeners who are set aside as careless.
        rule: the rule by which they are.
        kept: figures without them.
        everyone: figures with them.
        clips: number of clips of each source.
        replicates: number of bootstrap replicates.
        seed: seed of bootstrap and permutation tests.
    """

    title: str
    labels: tuple[str, ...]
    started: int
    finished: int
    headphones: int
    headphones_asked: int
    excluded: tuple[Excluded, ...]
    rule: str
    kept: Figures
    everyone: Figures
    clips: Mapping[str, int]
    replicates: int
    seed: int


_HEADPHONES_RIGHT = 5  # of 6, as in Woods et al. 2017


def evaluate(study: Study, ratings: Sequence[Rating], finished: Mapping[int, bool], seed: int = 0) -> Results:
    """Count everything that a study found.

    Args:
        study: the listening test.
        ratings: all answers.
        finished: whether each listener answered everything.
        seed: seed of bootstrap and random permutations; the same seed gives the same figures.
    """
    answered = {rating.listener for rating in ratings}
    excluded = find_careless(study, ratings)
    kept = [rating for rating in ratings if rating.listener not in excluded]
    passed = _headphones(study, ratings)
    return Results(
        title=study.title,
        labels=study.labels,
        started=len(answered),
        finished=sum(done for listener, done in finished.items() if listener in answered),
        headphones=sum(right >= _HEADPHONES_RIGHT for right in passed.values()),
        headphones_asked=len(passed),
        excluded=tuple(Excluded(listener, reasons) for listener, reasons in excluded.items()),
        rule=RULE,
        kept=_figures(study, kept, seed),
        everyone=_figures(study, ratings, seed),
        clips=dict(Counter(study.sources[clip.source].name for clip in study.clips)),
        replicates=REPLICATES,
        seed=seed,
    )


@dataclass(frozen=True)
class _Value:
    """One number that one listener gave to one item of one source."""

    listener: int
    source: int
    item: str
    value: float


def _figures(study: Study, ratings: Sequence[Rating], seed: int) -> Figures:
    rated = [rating for rating in ratings if rating.purpose == "rated"]
    values = {measure: list(read(study, rated)) for measure, read in _READERS.items()}
    again = answered_alike(ratings)
    return Figures(
        listeners=len({rating.listener for rating in ratings}),
        answers=sum(rating.purpose != "setup" for rating in ratings),
        sources=tuple(_source(study, place, rated, values, seed) for place in range(len(study.sources))),
        pairs=tuple(_pairs(study, rated, seed)),
        differences=tuple(each for measure in MEASURES for each in _differences(study, measure, values[measure], seed)),
        agreement=tuple(_agreement(study, rated)),
        repeats=len(again),
        repeats_alike=sum(again),
    )


def _source_of(study: Study, rating: Rating) -> int:
    return study.clip[rating.clips[0]].source


def _accuracy(study: Study, rated: Iterable[Rating]) -> Iterable[_Value]:
    for rating in rated:
        if rating.kind == "label" and (reference := study.reference(rating.clips[0])):
            yield _Value(rating.listener, _source_of(study, rating), rating.clips[0], rating.choice == reference)


def _cannot_tell(study: Study, rated: Iterable[Rating]) -> Iterable[_Value]:
    for rating in rated:
        if rating.kind == "label":
            yield _Value(rating.listener, _source_of(study, rating), rating.clips[0], rating.choice == CANNOT_TELL)


def _judged_real(study: Study, rated: Iterable[Rating]) -> Iterable[_Value]:
    for rating in rated:
        if rating.kind == "verdict":
            yield _Value(rating.listener, _source_of(study, rating), rating.clips[0], rating.choice == "real")


def _opinion(name: str) -> Callable[[Study, Iterable[Rating]], Iterable[_Value]]:
    def read(study: Study, rated: Iterable[Rating]) -> Iterable[_Value]:
        for rating in rated:
            if rating.opinion:
                yield _Value(rating.listener, _source_of(study, rating), rating.unit, getattr(rating.opinion, name))

    return read


_READERS: Mapping[str, Callable[[Study, Iterable[Rating]], Iterable[_Value]]] = {
    "accuracy": _accuracy,
    "quality": _opinion("quality"),
    "ease": _opinion("ease"),
    "diversity": _opinion("diversity"),
    "judged_real": _judged_real,
    "cannot_tell": _cannot_tell,
}


def _estimate(values: Sequence[_Value], seed: int) -> Estimate | None:
    return estimate([v.value for v in values], [v.listener for v in values], [v.item for v in values], seed)


def _source(
    study: Study, place: int, rated: Sequence[Rating], values: Mapping[str, Sequence[_Value]], seed: int
) -> SourceResult:
    columns = [*study.labels, CANNOT_TELL]
    labelled = [rating for rating in rated if rating.kind == "label" and _source_of(study, rating) == place]
    given = Counter(rating.choice for rating in labelled)
    cells = Counter((study.reference(rating.clips[0]), rating.choice) for rating in labelled)
    known = any(row for row, _ in cells)
    measured = {name: _estimate([v for v in found if v.source == place], seed) for name, found in values.items()}
    return SourceResult(
        source=study.sources[place].name,
        role=study.sources[place].role,
        **measured,
        given=tuple(given[column] for column in columns),
        confusion=tuple(tuple(cells[row, column] for column in columns) for row in study.labels) if known else None,
    )


def _pairs(study: Study, rated: Sequence[Rating], seed: int) -> Iterable[PairResult]:
    scores: dict[tuple[int, int], list[_Value]] = defaultdict(list)
    for rating in rated:
        if rating.kind == "pair":
            first, second = study.sources_of(study.unit[rating.unit])
            score = {first: 1.0, second: 0.0}[study.clip[rating.preferred].source] if rating.preferred else 0.5
            scores[first, second].append(_Value(rating.listener, first, rating.unit, score))
    for (first, second), values in sorted(scores.items()):
        counts = Counter(value.value for value in values)
        means = _by_listener(values)
        preference = _estimate(values, seed)
        assert preference is not None  # a pair is here because someone has rated it
        yield PairResult(
            first=study.sources[first].name,
            second=study.sources[second].name,
            wins=counts[1.0],
            losses=counts[0.0],
            ties=counts[0.5],
            preference=preference,
            p_answers=sign_test(counts[1.0], counts[0.0]),
            p_listeners=sign_flip_test([mean - 0.5 for mean in means.values()], seed),
        )


def _differences(study: Study, measure: str, values: Sequence[_Value], seed: int) -> Iterable[Difference]:
    judged = study.places("real", "model")
    means = {place: _by_listener([v for v in values if v.source == place]) for place in judged}
    found = []
    for first, second in combinations(judged, 2):
        both = sorted(means[first].keys() & means[second].keys())
        differences = [means[first][listener] - means[second][listener] for listener in both]
        p = sign_flip_test(differences, seed)
        if p is not None:
            found.append((first, second, sum(differences) / len(both), len(both), p))
    corrected = holm([p for *_, p in found])
    for (first, second, difference, listeners, p), p_holm in zip(found, corrected, strict=True):
        names = study.sources[first].name, study.sources[second].name
        yield Difference(measure, *names, difference, listeners, p, p_holm)


def _by_listener(values: Iterable[_Value]) -> dict[int, float]:
    grouped = defaultdict(list)
    for value in values:
        grouped[value.listener].append(value.value)
    return {listener: sum(own) / len(own) for listener, own in grouped.items()}


def _agreement(study: Study, rated: Sequence[Rating]) -> Iterable[Agreement]:
    labels = {label: place for place, label in enumerate([*study.labels, CANNOT_TELL])}
    yield from _alpha("labels", "nominal", len(labels), _by_item(rated, "label", lambda r: labels[str(r.choice)]))
    for name in ("quality", "ease", "diversity"):
        yield from _alpha(name, "ordinal", 5, _by_item(rated, "opinion", partial(_level, name)))
    yield from _alpha("comparisons", "ordinal", 3, _by_item(rated, "pair", lambda r: _side(study, r)))
    yield from _alpha("real or generated", "nominal", 2, _by_item(rated, "verdict", lambda r: int(r.choice == "real")))


def _by_item(rated: Sequence[Rating], kind: Kind, read: Callable[[Rating], int]) -> dict[str, list[int]]:
    """The answers to questions of a kind, as numbers, for each clip, batch or pair."""
    items = defaultdict(list)
    for rating in rated:
        if rating.kind == kind:
            items[rating.clips[0] if kind == "label" else rating.unit].append(read(rating))
    return items


def _level(name: str, rating: Rating) -> int:
    return int(getattr(rating.opinion, name)) - 1


def _side(study: Study, rating: Rating) -> int:
    """0 and 2 for the first and the second clip of the pair, whichever was heard first; 1 for neither."""
    return {study.unit[rating.unit].clips[0]: 0, "": 1}.get(rating.preferred, 2)


def _alpha(measure: str, level: Level, num_values: int, items: Mapping[str, Sequence[int]]) -> Iterable[Agreement]:
    if items:
        alpha = krippendorff_alpha(items.values(), num_values, level)
        yield Agreement(measure, level, alpha, sum(len(item) > 1 for item in items.values()))


def _headphones(study: Study, ratings: Iterable[Rating]) -> dict[int, int]:
    """Right answers of each listener who completed the headphone check."""
    quietest = {tones.id: str(tones.quietest) for tones in study.tones}
    answers = defaultdict(list)
    for rating in ratings:
        if rating.kind == "headphones":
            answers[rating.listener].append(rating.choice == quietest[rating.unit])
    return {listener: sum(own) for listener, own in answers.items() if len(own) == len(quietest)}
