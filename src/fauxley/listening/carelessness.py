"""Listeners who did not listen: found by a rule that is the same for everybody and printed with the figures."""

from collections.abc import Sequence
from statistics import median

from fauxley.listening.questions import Rating
from fauxley.listening.study import Study

_FEWEST_REAL, _FEWEST_ANCHORS, _FEWEST_REPEATS = 5, 2, 5
_HASTY_SHARE = 0.5

RULE = (
    "Set aside is who labels fewer than half of the real sounds right, or gives half of all answers in less than half "
    "the time that the sounds last, or fails two of these (one, where only one applies): to find drowned sounds worse "
    "in at least half of their comparisons; to give a drowned batch less sound quality than a real one; to answer a "
    "third of the repeated questions alike, if there were five or more."
)


def find_careless(study: Study, ratings: Sequence[Rating]) -> dict[int, tuple[str, ...]]:
    """The listeners to be set aside by `RULE`, and why."""
    excluded = {}
    for listener in sorted({rating.listener for rating in ratings}):
        own = [rating for rating in ratings if rating.listener == listener]
        decisive = [reason for reason in (_real_labels(study, own), _haste(study, own)) if reason]
        others = [
            reason for reason in (_anchors(study, own), _qualities(study, own), _repeats(own)) if reason is not None
        ]
        failed = [reason for reason in others if reason]
        if decisive or len(failed) >= min(2, max(1, len(others))):
            excluded[listener] = (*decisive, *failed)
    return excluded


def answered_alike(ratings: Sequence[Rating]) -> list[bool]:
    """For each question that was asked again, whether it was answered alike."""
    first = {
        (rating.listener, rating.kind, frozenset(rating.clips)): rating
        for rating in ratings
        if rating.purpose == "rated"
    }
    found = []
    for rating in ratings:
        before = first.get((rating.listener, rating.kind, frozenset(rating.clips)))
        if rating.purpose == "repeat" and before is not None:
            found.append(_given_answer(rating) == _given_answer(before))
    return found


def _given_answer(rating: Rating) -> str | None:
    """The answer, whatever the order in which the sounds were heard."""
    return rating.preferred if rating.kind == "pair" else rating.choice


# Each check: None where it does not apply, "" if passed, else what was found.


def _real_labels(study: Study, own: Sequence[Rating]) -> str | None:
    right = [
        rating.choice == study.reference(rating.clips[0])
        for rating in own
        if rating.kind == "label" and rating.purpose == "rated"
        and study.sources[study.clip[rating.clips[0]].source].role == "real"
        and study.reference(rating.clips[0])
    ]  # fmt: skip
    if len(right) < _FEWEST_REAL:
        return None
    return f"{sum(right)} of {len(right)} real sounds labelled right" if 2 * sum(right) < len(right) else ""


def _anchors(study: Study, own: Sequence[Rating]) -> str | None:
    pairs = [rating for rating in own if rating.kind == "pair" and rating.purpose == "anchor"]
    if len(pairs) < _FEWEST_ANCHORS:
        return None
    clean = [rating.preferred and study.sources[study.clip[rating.preferred].source].role == "real" for rating in pairs]
    wrong = len(pairs) - sum(map(bool, clean))
    return f"drowned sound not found worse {wrong} of {len(pairs)} times" if 2 * wrong > len(pairs) else ""


def _qualities(study: Study, own: Sequence[Rating]) -> str | None:
    given: dict[str, list[int]] = {"real": [], "anchor": []}
    for rating in own:
        role = study.sources[study.clip[rating.clips[0]].source].role if rating.opinion else ""
        if rating.opinion and role in given:
            given[role].append(rating.opinion.quality)
    if not all(given.values()):
        return None
    real, anchor = (sum(values) / len(values) for values in given.values())
    return f"sound quality {anchor:g} for drowned sounds, {real:g} for real ones" if anchor >= real else ""


def _repeats(own: Sequence[Rating]) -> str | None:
    found = answered_alike(own)
    if len(found) < _FEWEST_REPEATS:
        return None
    return f"{sum(found)} of {len(found)} repeated questions answered alike" if 3 * sum(found) < len(found) else ""


def _haste(study: Study, own: Sequence[Rating]) -> str | None:
    shares = [
        rating.seconds / (len(rating.clips) * study.clip_seconds)
        for rating in own
        if rating.kind in ("label", "pair", "verdict")
    ]
    if not shares:
        return None
    return (
        f"half of the answers within {median(shares):.0%} of the sounds' length"
        if median(shares) < _HASTY_SHARE
        else ""
    )
