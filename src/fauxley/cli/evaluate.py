"""`fauxley evaluate`: judges a model's sounds, finds copies of training sounds, and writes a report."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from fauxley.cli.shared.options import ClusterAddress, Flat, Reference, Switch, check_out, check_sounds
from fauxley.errors import UsageError, printable
from fauxley.evaluation.protocol import Protocol
from fauxley.machine import Device, choose_device, importing, in_memory
from fauxley.parallel import cluster_backend
from fauxley.terminal.progress import Stages


def evaluate(
    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL_OR_FOLDER")],
    out: Path,
    reference: Annotated[Reference, Flat],
    protocol: Annotated[Protocol, Flat] = Protocol(),  # noqa: B008 - frozen
    all_checkpoints: Switch = False,
    best_by: str | None = None,
    device: Device = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    cluster: ClusterAddress = None,
    overwrite: Switch = False,
    quiet: Switch = False,
) -> None:
    """Judge a model's sounds, or a folder of sounds, and write report.html and report.json.

    Example: fauxley evaluate runs/mine --data my.dataset --test held-out.dataset --out report

    Example: fauxley evaluate runs/mine --data my.dataset --out checkpoints --all-checkpoints --count 1000

    Args:
        model: A run folder, a model folder, a dataset, or a folder of sounds.
        out: Folder for the report.
        reference: Real sounds and other things to judge by.
        protocol: How to judge.
        all_checkpoints: Judge every checkpoint of a run, draw the figures over training, and record the best checkpoint
            in RUN/best.json; from then on, RUN as a model is that checkpoint.
        best_by: The figure that chooses among checkpoints without faults in level, clipping, silence or repetition, by
            its name in report.json, such as frechet/log-mel; by default the kernel distance in the classifier's
            embedding, or in log-mel without a classifier.
        device: Device to compute on; auto uses a GPU if there is one.
        precision: Precision of models; auto uses bfloat16 where it is fast, and the table then says so. Choose one
            explicitly to compare figures from different machines.
        cluster: Generate, read and analyse clips on dask://HOST:PORT or ray://HOST:PORT, whose machines all see
            MODEL_OR_FOLDER and the datasets; they compute on their CPUs.
        overwrite: Replace an existing report.
        quiet: Print nothing.
    """
    check_out(out, overwrite)
    with importing():
        from fauxley.cli.shared.judging import (
            Judge,
            check_metric,
            choose_best,
            explain_best,
            judge_all,
            print_summary,
            record_step,
        )
        from fauxley.evaluation.evaluator import Judged
        from fauxley.evaluation.report.report import write_report
        from fauxley.runs import checkpoints

    check_sounds([model])
    reference.check()
    check_metric(best_by)
    if all_checkpoints and not checkpoints(model):
        raise UsageError(f"{printable(model)} has no checkpoints; --all-checkpoints needs a run folder")
    with cluster_backend(cluster), Stages(quiet) as stages, in_memory("lower --count"):
        where = choose_device("cpu" if cluster else device)
        judge = Judge(reference, protocol, where, stages, model, cluster is not None, precision)
        history: dict[int, Judged] = {}
        best = ""
        if all_checkpoints:
            history = judge_all(judge, model)
            figures, real = {step: one.figures for step, one in history.items()}, judge.evaluator.real[-1]
            step, metric = choose_best(figures, best_by, real)
            judged = history[step]
            record_step(model, step, metric, judged.figures, real)
            best = f"{explain_best(figures, step, metric, real)} {printable(model)} now means it."
        else:
            judged = judge.judge(judge.open(model))
        stages.begin("writing the report", 0)
        out.mkdir(parents=True, exist_ok=True)
        title = f"Evaluation of {printable(model)}"
        write_report(out, title, judge.evaluator, [judged], {step: one.figures for step, one in history.items()}, best)
    if not quiet:
        print_summary(judge.evaluator, [judged])
        if best:
            print(f"\n{best}")
        print(f"\nreport: {printable(out / 'report.html')}")
