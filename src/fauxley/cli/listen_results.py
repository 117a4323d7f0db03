"""`fauxley listen report` and `export`: from answers to figures and tables."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.listening.questions import Rating
from fauxley.listening.study import ANSWERS_FILE, Study, read_study
from fauxley.rendering.places import check_file_place, check_folder_place
from fauxley.storage import atomic_file
from fauxley.terminal.console import output_console
from fauxley.terminal.words import counted

Name = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NAME")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


def report(
    name: Name,
    /,
    out: Path | None = None,
    seed: int = 0,
    overwrite: Flag = False,
    quiet: Flag = False,
) -> None:
    """Count the answers: accuracy, opinions, comparisons, agreement and significance, as tables and as a page.

    Can be called while the study goes on. Careless listeners are found by a stated rule and set aside; what they
    change is shown.

    For example:

      fauxley listen report my-study

      fauxley listen report my-study --out my-report

    Args:
        name: The study's folder.
        out: Folder for report.html, which needs no network, and report.json.
        seed: Decides the bootstrap intervals and permutation tests; the same seed gives the same figures.
        overwrite: Replace a report that is there already.
        quiet: Print nothing.
    """
    from fauxley.listening.report import HTML_FILE, JSON_FILE, write_report
    from fauxley.listening.results import evaluate
    from fauxley.listening.tables import print_results

    if seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")
    if out is not None:
        check_folder_place(out)
    if out is not None and not overwrite and any((out / file).exists() for file in (HTML_FILE, JSON_FILE)):
        raise UsageError(f"{printable(out)} holds a report; choose another --out, or give --overwrite")
    study, ratings, finished = _answered(name)
    results = evaluate(study, ratings, finished, seed)
    if not quiet:
        print_results(results, output_console())
    if out is not None:
        write_report(results, out)
        if not quiet:
            print(f"report: {printable(out / HTML_FILE)}")


def export(name: Name, /, out: Path | None = None, overwrite: Flag = False) -> None:
    """Write every answer as a row of a CSV table, with the source that the listener did not know.

    For example:

      fauxley listen export my-study --out ratings.csv

    Args:
        name: The study's folder.
        out: The file; by default it is printed.
        overwrite: Replace a file that is there already.
    """
    from fauxley.listening.tables import write_ratings

    if out is not None:
        check_file_place(out)
    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{printable(out)} exists already; choose another --out, or give --overwrite")
    study, ratings, _ = _answered(name)
    if out is None:
        write_ratings(study, ratings, sys.stdout)
        return
    with (
        atomic_file(out) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        count = write_ratings(study, ratings, file)
    print(f"{counted(count, 'answer')} in {printable(out)}")


def _answered(name: Path) -> tuple[Study, list[Rating], dict[int, bool]]:
    """A study with its answers.

    Raises:
        FauxleyError: there are none yet.
    """
    from fauxley.listening.answers import Answers

    study = read_study(name)
    if not (name / ANSWERS_FILE).is_file():
        raise FauxleyError(
            f"{printable(name)} has no answers yet; 'fauxley listen serve {printable(name)}' collects them"
        )
    answers = Answers(name, study)
    try:
        ratings, finished = answers.ratings(), answers.finished()
    finally:
        answers.close()
    if not ratings:
        raise FauxleyError(f"{printable(name)} has no answers yet")
    return study, ratings, finished
