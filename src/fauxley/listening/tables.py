"""A listening test's figures in the terminal: the paper's table, then what it rests on."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fauxley.listening.results import Figures, Results
from fauxley.listening.statistics import Estimate
from fauxley.terminal.words import counted

COLUMNS = {
    "accuracy": "accuracy",
    "quality": "sound quality",
    "ease": "ease of recognition",
    "diversity": "diversity",
    "judged_real": "taken for real",
}
_SHORT = {
    "accuracy": "accuracy",
    "quality": "quality",
    "ease": "ease",
    "diversity": "diversity",
    "judged_real": "“real”",
}


def print_results(results: Results, console: Console) -> None:
    """The figures without the careless; with them only where that makes a difference."""
    console.print(f"{escape(results.title)}: {summary(results)}")
    for excluded in results.excluded:
        console.print(f"  listener {excluded.listener} is set aside: {escape('; '.join(excluded.reasons))}")
    _print_figures(results.kept, console, "without those set aside" if results.excluded else "")
    if results.excluded:
        console.print(sources_table(results.everyone, "with everybody"))


def summary(results: Results) -> str:
    """Who took part, in one line."""
    parts = [counted(results.started, "listener"), f"{results.finished} finished"]
    if results.headphones_asked:
        parts.append(f"{results.headphones} of {results.headphones_asked} passed the headphone check")
    parts.append(f"{counted(results.kept.answers, 'answer')} {'counts' if results.kept.answers == 1 else 'count'}")
    return ", ".join(parts)


def sources_table(figures: Figures, title: str = "") -> Table:
    """The paper's table: a row for each source."""
    shown = {name: head for name, head in _SHORT.items() if any(getattr(s, name) for s in figures.sources)}
    rows = [[escape(source.source), *(interval(getattr(source, name)) for name in shown)] for source in figures.sources]
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
                f"{escape(pair.first)} or {escape(pair.second)}",
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
                COLUMNS[each.measure],
                f"{escape(each.first)} – {escape(each.second)}",
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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
