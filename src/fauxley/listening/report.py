"""A listening test's figures as one HTML page that needs nothing else, and as JSON.

Names, labels and titles come from folders and may be anything, so all text is escaped, and the page forbids itself
scripts and every request.
"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from fauxley.listening.results import Figures, Results, SourceResult
from fauxley.listening.statistics import Estimate
from fauxley.listening.tables import MEASURE_TITLES, interval, p_value, summary
from fauxley.pictures.svg import Interval, intervals
from fauxley.serialization import to_json
from fauxley.storage import atomic_file
from fauxley.terminal.formatting import counted

HTML_FILE, JSON_FILE = "report.html", "report.json"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_RANGES = {"accuracy": (0, 1), "quality": (1, 5), "ease": (1, 5), "diversity": (1, 5), "judged_real": (0, 1)}


def write_report(results: Results, folder: Path) -> None:
    """Write report.html and report.json into a folder, making it."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / JSON_FILE) as partial:
        partial.write_text(json.dumps(to_json(results), indent=1) + "\n", encoding="ascii")
    with atomic_file(folder / HTML_FILE) as partial:
        partial.write_text(page(results), encoding="utf-8", errors="backslashreplace")


def page(results: Results) -> str:
    """The whole page."""
    style = resources.files("fauxley.listening").joinpath("web", "report.css").read_text("utf-8")
    parts = [
        f"<h1>{escape(results.title)}</h1><p class=lead>{escape(summary(results))}</p>",
        _figures(results.kept, results.labels),
        _excluded(results),
        _protocol(results),
    ]
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f'<meta name=viewport content="width=device-width, initial-scale=1"><title>{escape(results.title)}</title>'
        f"<style>{style}</style><main>{''.join(parts)}</main></html>\n"
    )


def _figures(figures: Figures, labels: Sequence[str]) -> str:
    return "".join(
        [
            "<h2>What was heard</h2>",
            _sources(figures),
            f"<div class=plots>{''.join(_plots(figures))}</div>",
            _pairs(figures),
            _differences(figures),
            _agreement(figures),
            "".join(_labels_given(source, labels) for source in figures.sources if sum(source.given)),
        ]
    )


def _sources(figures: Figures) -> str:
    shown = [name for name in MEASURE_TITLES if any(getattr(source, name) for source in figures.sources)]
    rows = (
        [f"<b>{escape(source.source)}</b> <i>{source.role}</i>", *(_cell(getattr(source, name)) for name in shown)]
        for source in figures.sources
    )
    note = "Means with 95 % intervals, bootstrapped over listeners and clips (for opinions: batches)."
    return _table(["source", *(MEASURE_TITLES[name] for name in shown)], rows) + f"<p class=note>{note}</p>"


def _cell(value: Estimate | None) -> str:
    if value is None:
        return "–"
    detail = f"{counted(value.answers, 'answer')} of {counted(value.listeners, 'listener')}"
    shown = f"{value.low:.2f}–{value.high:.2f}" if value.listeners > 1 else "one listener"
    return f'<b>{value.mean:.2f}</b> <span title="{detail}">{shown}</span>'


def _plots(figures: Figures) -> Iterable[str]:
    for name, title in MEASURE_TITLES.items():
        rows = [
            Interval(
                source.source, source.role, f"{source.source}: {interval(value)}", value.mean, value.low, value.high
            )
            for source in figures.sources
            if (value := getattr(source, name)) is not None
        ]
        if rows:
            yield f"<figure>{intervals(rows, *_RANGES[name])}<figcaption>{escape(title)}</figcaption></figure>"


def _pairs(figures: Figures) -> str:
    if not figures.pairs:
        return ""
    rows = (
        [
            f"<b>{escape(pair.first)}</b> or <b>{escape(pair.second)}</b>",
            f"{pair.wins} : {pair.losses}",
            str(pair.ties),
            _cell(pair.preference),
            p_value(pair.p_answers),
            p_value(pair.p_listeners),
        ]
        for pair in figures.pairs
    )
    note = (
        "Preference: 1 if the first was always better, 0.5 for no difference. p, answers: exact sign test without "
        "ties, which takes answers for independent; p, listeners: sign-flip test over listeners, which does not."
    )
    head = ["which is better", "wins", "ties", "preference", "p, answers", "p, listeners"]
    return f"<h2>Comparisons</h2>{_table(head, rows)}<p class=note>{note}</p>"


def _differences(figures: Figures) -> str:
    if not figures.differences:
        return ""
    rows = (
        [
            MEASURE_TITLES[each.measure],
            f"{escape(each.first)} – {escape(each.second)}",
            f"{each.difference:+.2f}",
            str(each.listeners),
            p_value(each.p),
            p_value(each.p_holm),
        ]
        for each in figures.differences
    )
    note = "Differences within each listener who judged both; sign-flip test; Holm's correction within a measure."
    head = ["measure", "difference", "mean", "listeners", "p", "p, corrected"]
    return f"<h2>Differences</h2>{_table(head, rows)}<p class=note>{note}</p>"


def _agreement(figures: Figures) -> str:
    rows = (
        [each.measure, each.level, "–" if each.alpha is None else f"{each.alpha:.2f}", str(each.units)]
        for each in figures.agreement
    )
    again = f"Of {figures.repeats} questions that were asked again, {figures.repeats_alike} were answered alike."
    table = _table(["judged", "scale", "alpha", "judged by two or more"], rows)
    return f"<h2>Agreement</h2>{table}<p class=note>Krippendorff’s alpha: 1 is perfect, 0 is chance. {again}</p>"


def _labels_given(source: SourceResult, labels: Sequence[str]) -> str:
    """The confusion matrix, or how often each label was given where nobody knows which is right."""
    head = ["", *labels, "can’t tell"]
    lines = list(zip(labels, source.confusion, strict=True)) if source.confusion else [("given", source.given)]
    rows = (
        f"<tr><th scope=row>{escape(name)}</th>{''.join(_shade(count, sum(counts)) for count in counts)}</tr>"
        for name, counts in lines
    )
    title = "Confusion: rows are right, columns were given" if source.confusion else "Labels given"
    heads = "".join(f"<th scope=col>{escape(text)}</th>" for text in head)
    return (
        f"<h3>{title}, {escape(source.source)}</h3><div class=wide><table class=matrix>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shade(count: int, total: int) -> str:
    share = count / total if total else 0
    return f'<td style="--share:{share:.2f}"{" class=much" if share > 0.5 else ""}>{count or ""}</td>'


def _excluded(results: Results) -> str:
    if not results.excluded:
        return f"<h2>Careless listeners</h2><p>None. {escape(results.rule)}</p>"
    reasons = "".join(
        f"<li>Listener {each.listener}: {escape('; '.join(each.reasons))}</li>" for each in results.excluded
    )
    return (
        f"<h2>Careless listeners</h2><p>{escape(results.rule)}</p><p>All above is without them:</p><ul>{reasons}</ul>"
        f"<h3>The same with everybody</h3>{_sources(results.everyone)}"
    )


def _protocol(results: Results) -> str:
    clips = ", ".join(f"{escape(name)} {count}" for name, count in results.clips.items())
    return (
        f"<h2>Protocol</h2><p>Clips: {clips}. Bootstrap: {results.replicates} replicates. Seed {results.seed}. "
        "Clips of one loudness and length, sources hidden, order balanced; batches of ten from one source.</p>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    heads = "".join(f"<th scope=col>{escape(text)}</th>" for text in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
