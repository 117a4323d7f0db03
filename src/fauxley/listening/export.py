"""A listening test's answers as a table, one row a question, with all that is known about it."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from fauxley.listening.carelessness import careless
from fauxley.listening.questions import Rating
from fauxley.listening.study import Study

COLUMNS = (
    "listener", "careless", "kind", "purpose", "unit", "batch", "source", "other_source", "clip", "other_clip",
    "label", "answer", "correct", "quality", "ease", "diversity", "plays", "seconds", "answered_at", "origin",
)  # fmt: skip


def write_ratings(study: Study, ratings: Sequence[Rating], file: TextIO) -> int:
    """Write all answers as CSV and return how many there were; of a batch's opinion, `clip` is the first heard."""
    excluded = careless(study, ratings)
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    rows = [_row(study, rating, rating.listener in excluded) for rating in ratings]
    writer.writerows(rows)
    return len(rows)


def _row(study: Study, rating: Rating, is_careless: bool) -> dict[str, Any]:
    clips = [study.clip[clip] for clip in rating.clips if clip in study.clip]
    sources = [study.sources[clip.source].name for clip in clips]
    label = study.reference(clips[0].id) if rating.kind == "label" else ""
    opinion = rating.opinion
    return {
        "listener": rating.listener,
        "careless": int(is_careless),
        "kind": rating.kind,
        "purpose": rating.purpose,
        "unit": rating.unit,
        "batch": rating.batch if rating.batch >= 0 else "",
        "source": _nth(sources, 0),
        "other_source": _nth(sources, 1) if rating.kind == "pair" else "",
        "clip": _nth([clip.id for clip in clips], 0),
        "other_clip": _nth([clip.id for clip in clips], 1) if rating.kind == "pair" else "",
        "label": label,
        "answer": rating.choice or "",
        "correct": int(rating.choice == label) if label else "",
        "quality": opinion.quality if opinion else "",
        "ease": opinion.ease if opinion else "",
        "diversity": opinion.diversity if opinion else "",
        "plays": rating.plays,
        "seconds": f"{rating.seconds:.2f}",
        "answered_at": datetime.fromtimestamp(rating.answered_at, UTC).isoformat(timespec="seconds"),
        "origin": _nth([clip.origin for clip in clips], 0),
    }


def _nth(values: Iterable[str], place: int) -> str:
    return dict(enumerate(values)).get(place, "")
