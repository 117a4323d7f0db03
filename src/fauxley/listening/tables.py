"""A listening test as tables: its figures in the terminal, and all its answers as CSV."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fauxley.listening.carelessness import find_careless
from fauxley.listening.questions import Rating
from fauxley.listening.results import Figures, Results
from fauxley.listening.statistics import Estimate
from fauxley.listening.study import Study
from fauxley.terminal.formatting import counted
from fauxley.terminal.outputs import on_one_line

MEASURE_TITLES = {
    "accuracy": "accuracy",
    "quality": "sound quality",
    "ease": "ease of recognition",
    "diversity": "diversity",
    "judged_real": "taken for real",
}
_SHORT_TITLES = {
    "accuracy": "accuracy",
    "quality": "quality",
    "ease": "ease",
    "diversity": "diversity",
    "judged_real": "“real”",
}


def print_results(results: Results, console: Console) -> None:
    """The figures without the careless; with them only where that makes a difference."""
    console.print(f"{_shown(results.title)}: {summary(results)}")
    for excluded in results.excluded:
        console.print(f"  listener {excluded.listener} is set aside: {_shown('; '.join(excluded.reasons))}")
    _print_figures(results.kept, console, "without those set aside" if results.excluded else "")
    if results.excluded:
        console.print(sources_table(results.everyone, "with everybody"))


def summary(results: Results) -> str:
    """One line that says how many took part."""
    parts = [counted(results.started, "listener"), f"{results.finished} finished"]
    if results.headphones_asked:
        parts.append(f"{results.headphones} of {results.headphones_asked} passed the headphone check")
    parts.append(f"{counted(results.kept.answers, 'answer')} {'counts' if results.kept.answers == 1 else 'count'}")
    return ", ".join(parts)


def sources_table(figures: Figures, title: str = "") -> Table:
    """The paper's table: a row for each source."""
    shown = {name: head for name, head in _SHORT_TITLES.items() if any(getattr(s, name) for s in figures.sources)}
    rows = [[_shown(source.source), *(interval(getattr(source, name)) for name in shown)] for source in figures.sources]
    return _table(["source", *shown.values()], rows, title)


def interval(value: Estimate | None) -> str:
    """Mean, and half the width of its 95 % interval where more than one listener answered; or a dash."""
    if value is None:
        return "–"
    return f"{value.mean:.2f} ±{(value.high - value.low) / 2:.2f}" if value.listeners > 1 else f"{value.mean:.2f}"


def p_value(p: float | None) -> str:
    """A p-value as it is printed."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _print_figures(figures: Figures, console: Console, title: str) -> None:
    console.print(sources_table(figures, title))
    if figures.pairs:
        rows = [
            [
                f"{_shown(pair.first)} or {_shown(pair.second)}",
                f"{pair.wins} : {pair.losses}",
                str(pair.ties),
                interval(pair.preference),
                p_value(pair.p_answers),
                p_value(pair.p_listeners),
            ]
            for pair in figures.pairs
        ]
        console.print(_table(["better", "wins", "ties", "preference", "p (answers)", "p (listeners)"], rows))
    if figures.differences:
        rows = [
            [
                MEASURE_TITLES[each.measure],
                f"{_shown(each.first)} – {_shown(each.second)}",
                f"{each.difference:+.2f}",
                str(each.listeners),
                p_value(each.p_holm),
            ]
            for each in figures.differences
        ]
        console.print(_table(["measure", "difference", "mean", "listeners", "p (Holm)"], rows))
    agreement = [f"{each.measure} {'–' if each.alpha is None else f'{each.alpha:.2f}'}" for each in figures.agreement]
    if agreement:
        console.print(f"agreement (Krippendorff's alpha): {', '.join(agreement)}")
    if figures.repeats:
        console.print(f"asked again, answered alike: {figures.repeats_alike} of {figures.repeats}")


def _shown(text: str) -> str:
    """A text from the study, as itself: neither our markup nor the terminal's."""
    return escape(on_one_line(text))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


CSV_COLUMNS = (
    "listener", "careless", "kind", "purpose", "unit", "batch", "source", "other_source", "clip", "other_clip",
    "label", "answer", "correct", "quality", "ease", "diversity", "plays", "seconds", "answered_at", "origin",
)  # fmt: skip


def write_ratings(study: Study, ratings: Sequence[Rating], file: TextIO) -> int:
    """Write all answers as CSV and return how many there were; of a batch's opinion, `clip` is the first heard."""
    excluded = find_careless(study, ratings)
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
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
