"""The figures of a listening test: what `report.json` holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from fauxley.listening.statistics import Estimate
from fauxley.listening.study import Role

MEASURES = ("accuracy", "quality", "ease", "diversity", "judged_real")


@dataclass(frozen=True)
class SourceResult:
    """What was heard of one source.

    Attributes:
        source: its name.
        role: real, model or anchor.
        accuracy: share of labels that are right; None where nobody knows what is right.
        quality: mean opinion, 1 to 5, as the next two.
        ease: of recognition.
        diversity: of a batch.
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
        listeners: how many those are.
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
        measure: what was judged.
        level: nominal or ordinal.
        alpha: None where nothing was judged twice, or all judgements are the same.
        units: judged by two or more.
    """

    measure: str
    level: str
    alpha: float | None
    units: int


@dataclass(frozen=True)
class Figures:
    """All figures from some of the listeners."""

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
    """What a study found.

    Attributes:
        title: of the study.
        labels: of the study.
        started: listeners who answered anything.
        finished: those who answered everything.
        headphones: those who passed the headphone check, five of six or better.
        headphones_asked: those who completed it.
        excluded: the careless.
        rule: by which they are.
        kept: figures without them.
        everyone: figures with them.
        clips: of each source.
        replicates: of the bootstrap.
        seed: of bootstrap and tests.
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
