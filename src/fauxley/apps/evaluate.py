"""`fauxley evaluate`: how good a model is, whether it copied, and what is wrong with its sounds."""

from pathlib import Path
from typing import Annotated

import tyro

from fauxley.apps.devices import Device, choose_device, in_memory
from fauxley.apps.judging import Judge, Reference, check_out, print_summary
from fauxley.apps.progress import Stages
from fauxley.audio.sources import printable
from fauxley.evaluation.evaluator import Protocol
from fauxley.evaluation.report import write_report

_Flat = tyro.conf.arg(name="")


def evaluate(
    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL_OR_FOLDER")],
    out: Path,
    reference: Annotated[Reference, _Flat],
    protocol: Annotated[Protocol, _Flat] = Protocol(),  # noqa: B008 - frozen
    device: Device = "auto",
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Judge a model's sounds, or a folder of sounds, and write report.html and report.json.

    Example: fauxley evaluate runs/mine --data my.dataset --test held-out.dataset --out report

    Args:
        model: A run folder, a model folder, a dataset, or a folder of sounds.
        out: Folder for the report.
        reference: What to judge by.
        protocol: How.
        device: Where to compute; auto takes a GPU if there is one.
        overwrite: Replace a report that is there already.
        quiet: Say nothing.
    """
    check_out(out, overwrite)
    with Stages(quiet) as stages, in_memory("lower --count"):
        judge = Judge(reference, protocol, choose_device(device), stages, model)
        judged = judge.judge(model)
        stages.begin("writing the report", 0)
        out.mkdir(parents=True, exist_ok=True)
        write_report(out, f"Evaluation of {printable(model)}", judge.evaluator, [judged])
    if not quiet:
        print_summary(judge.evaluator, [judged])
        print(f"\nreport: {printable(out / 'report.html')}")
