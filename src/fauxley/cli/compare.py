"""`fauxley compare`: judges several models, checkpoints or folders of sounds by one protocol, in one table."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from fauxley.cli.shared.options import ClusterAddress, Flat, Reference, Switch, check_out, check_sounds
from fauxley.errors import UsageError, printable
from fauxley.evaluation.protocol import Protocol
from fauxley.machine import Device, choose_device, importing, in_memory
from fauxley.parallel import cluster_backend
from fauxley.terminal.progress import Stages


def compare(
    models: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL_OR_FOLDER")],
    reference: Annotated[Reference, Flat],
    out: Path | None = None,
    protocol: Annotated[Protocol, Flat] = Protocol(),  # noqa: B008 - frozen
    device: Device = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    cluster: ClusterAddress = None,
    overwrite: Switch = False,
    quiet: Switch = False,
) -> None:
    """Judge several models, checkpoints or folders of sounds by the same protocol and put their figures side by side.

    Example: fauxley compare runs/a runs/b old-sounds --data my.dataset --test held-out.dataset --out comparison

    Args:
        models: Run folders, model folders, datasets or folders of sounds.
        reference: Real sounds and other things to judge by.
        out: Folder for report.html and report.json; without it only the table is printed.
        protocol: How to judge.
        device: Device to compute on; auto uses a GPU if there is one.
        precision: Precision of models; auto uses bfloat16 where it is fast, and the table then says so. Choose one
            explicitly to compare figures from different machines.
        cluster: Generate, read and analyse clips on dask://HOST:PORT or ray://HOST:PORT, whose machines all see the
            models, folders and datasets; they compute on their CPUs.
        overwrite: Replace an existing report.
        quiet: Print no progress and no table.
    """
    if not models:
        raise UsageError("give one model or more to compare")
    if out is not None:
        check_out(out, overwrite)
    check_sounds(models)
    reference.check()
    with importing():
        from fauxley.cli.shared.judging import Judge, print_summary
        from fauxley.evaluation.report.report import write_report

    with cluster_backend(cluster), Stages(quiet) as stages, in_memory("lower --count"):
        where = choose_device("cpu" if cluster else device)
        judge = Judge(reference, protocol, where, stages, models[0], cluster is not None, precision)
        sources = [judge.open(model) for model in models]
        judged = [judge.judge(source) for source in sources]
        if out is not None:
            stages.begin("writing the report", 0)
            out.mkdir(parents=True, exist_ok=True)
            title = "Comparison of " + ", ".join(printable(model) for model in models)
            write_report(out, title, judge.evaluator, judged)
    if not quiet:
        print_summary(judge.evaluator, judged)
        if out is not None:
            print(f"\nreport: {printable(out / 'report.html')}")
