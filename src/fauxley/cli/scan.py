"""`fauxley scan`: reports on a folder of sounds, as tables or as JSON."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from shlex import quote

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fauxley.cli.shared.options import Folder, Switch
from fauxley.dataset.folder_report import FolderReport, scan_folder
from fauxley.dataset.parts import complain
from fauxley.errors import UsageError, printable
from fauxley.machine import importing
from fauxley.storage import atomic_file, check_file_place
from fauxley.terminal.formatting import counted, duration, output_console, shorten
from fauxley.terminal.progress import file_progress


def scan(
    folder: Folder,
    /,
    where: tuple[str, ...] = (),
    json: Path | None = None,
    show: int = 20,
    jobs: int = -1,
    quiet: Switch = False,
) -> None:
    """Report what is in a folder of sounds, what is broken, and which settings suit it.

    Nothing is changed. Labels come from a manifest.csv in the folder (columns file, label, license, ...), otherwise
    from the names of sub-folders. Names that begin with a dot are ignored.

    For example:

      fauxley scan my-sounds

      fauxley scan speech --where split=train --json report.json

    Args:
        folder: Folder of sounds; sub-folders are searched, too.
        where: Only files with these labels, such as label=snare, or with these values in columns of manifest.csv, such
            as split=train.
        json: File for the full report as JSON; "-" prints it instead of the tables.
        show: Number of files with problems to list.
        jobs: Number of parallel workers; -1 for one on each core.
        quiet: Print no progress.
    """
    if show < 0:
        raise UsageError(f"--show must not be negative; got {show}")
    if json is not None and json != Path("-"):
        check_file_place(json)
    with file_progress("scanning", quiet) as progress:
        report = scan_folder(folder, where, n_jobs=jobs, progress=progress)
    if json is not None:
        _write_json(report, json)
    if json != Path("-"):
        console = output_console()
        _print_contents(console, report)
        _print_problems(console, report, show)
        _print_advice(console, report)
    if not report.files:
        complain(report.skipped)


def _write_json(report: FolderReport, path: Path) -> None:
    about = {"seconds": report.duration_seconds, "labels": report.labels}
    text = json.dumps(asdict(report) | about, indent=2, default=str) + "\n"
    if path == Path("-"):
        sys.stdout.write(text)
        return
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="ascii")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column in ("Hz", "channels", "files", "duration")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _print_contents(console: Console, report: FolderReport) -> None:
    console.print(
        f"[bold]{escape(printable(report.folder))}[/]: {counted(len(report.files), 'usable file')}, "
        f"{duration(report.duration_seconds)}, {len(report.skipped):,} not usable"
        + (f", {len(report.unlisted)} left out: not listed in manifest.csv" if report.unlisted else "")
    )
    if not report.files:
        return
    kinds = Counter((file.format, file.sample_rate, file.channels) for file in report.files)
    table = _table("format", "Hz", "channels", "files")
    for (kind, rate, channels), count in kinds.most_common():
        table.add_row(kind, str(rate), str(channels), str(count))
    console.print(table)
    if report.labels:
        table = _table("label", "files", "duration")
        for label, count in report.labels.items():
            seconds = sum(file.duration_seconds for file in report.files if file.label == label)
            table.add_row(escape(shorten(printable(label), console)), str(count), duration(seconds))
        console.print(table)
    shortest, median, most, longest = np.percentile([file.duration_seconds for file in report.files], [0, 50, 90, 100])
    console.print(
        f"durations: shortest {duration(shortest)}, median {duration(median)}, "
        f"90 % up to {duration(most)}, longest {duration(longest)}\n"
    )


def _print_problems(console: Console, report: FolderReport, show: int) -> None:
    problems = [(skip.file, f"[red]not usable[/]: {escape(printable(skip.reason))}") for skip in report.skipped]
    problems += [(file.file, escape("; ".join(file.problems))) for file in report.files if file.problems]
    problems += [
        (other, escape(f"same content as {shorten(printable(first), console)}"))
        for first, *rest in report.duplicates
        for other in rest
    ]
    if not problems:
        console.print("no problems found\n")
        return
    table = _table("file", "problem")
    for name, problem in problems[:show]:
        table.add_row(escape(shorten(printable(name), console)), problem)
    if show:
        console.print(table)
    if len(problems) > show:
        kinds = Counter(text.split(":")[0] for file in report.files for text in file.problems)
        kinds["not usable"] = len(report.skipped)
        kinds["same content as another"] = sum(len(group) - 1 for group in report.duplicates)
        summary = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common() if count)
        console.print(
            f"... {counted(len(problems), 'problem')} in all ({summary}); --show {len(problems)} or --json lists them\n"
        )


def _print_advice(console: Console, report: FolderReport) -> None:
    advice = report.advice
    if advice is None:
        return
    folder = quote(printable(report.folder))
    with importing():
        from fauxley.cli.shared.plan import rough_plan
        from fauxley.training.labels import choose_labels

    counts = report.labels | {"": sum(not file.label for file in report.files)}
    console.print("[bold]learn it[/]")
    console.print(f"  fauxley train --data {escape(folder)} --run RUN", soft_wrap=True)
    for line in rough_plan(advice, counts):
        console.print(f"  - {escape(line)}", soft_wrap=True)
    on_labels = choose_labels(counts).words
    for remark in (*([f"this model {on_labels}"] if on_labels else []), *advice.remarks):
        console.print(f"  - {escape(remark)}", soft_wrap=True)
    console.print("[bold]or prepare it first, and look at what is used[/]")
    if advice.slicing == "onsets":
        console.print(f"  fauxley cut {escape(folder)} --out HITS", soft_wrap=True)
    console.print(
        f"  fauxley prepare {escape(folder)} DATASET --sample-rate {advice.sample_rate} --channels {advice.channels} "
        f"--clip-length {advice.clip_length} --slicing {advice.slicing}",
        soft_wrap=True,
    )
    console.print("  fauxley train --data DATASET --run RUN", soft_wrap=True)
