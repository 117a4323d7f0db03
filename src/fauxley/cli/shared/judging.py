"""What commands that judge sounds share: from paths to figures, their table, and choosing a run's best checkpoint."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.table import Table

from fauxley.cli.shared.options import Reference, name_flags
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import INFO_FILE
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.evaluation.classifier.cache import find_cached
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.clips import ClipSource, DatasetClips, ModelClips
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.figures import METRICS, Evaluation, describe
from fauxley.evaluation.folder_clips import FolderClips
from fauxley.evaluation.metrics.kernel import KAD_FACTOR
from fauxley.evaluation.pretrained import SpeechQuality, open_embeddings
from fauxley.evaluation.protocol import ProgressTracker, Protocol
from fauxley.evaluation.report.report import warnings_for
from fauxley.evaluation.verdict import faults, remarks
from fauxley.models.precision import Precision
from fauxley.models.synthesizer import Synthesizer
from fauxley.runs import Best, checkpoint_folder, checkpoints, names_model, read_best, record_best, step_of
from fauxley.terminal.formatting import output_console


class Judge:
    """Opens paths as sources of clips, and judges them by one evaluator.

    Args:
        reference: real sounds and classifier.
        protocol: how to judge.
        device: to compute on.
        progress: is told how far the work has come.
        like: a model whose sample rate and clip length the real sounds get; if it is not a model, they keep their own.
        spread: whether a cluster computes features; see `fauxley.parallel`.
        precision: of models; their titles mention any but float32.

    Raises:
        UsageError: a cluster's workers would not find the real sounds.
    """

    def __init__(
        self,
        reference: Reference,
        protocol: Protocol,
        device: torch.device,
        progress: ProgressTracker,
        like: Path,
        spread: bool = False,
        precision: Precision = "float32",
    ) -> None:
        if spread:
            reference.check_prepared()
        self._device = device
        self._precision = precision
        self._progress = progress
        self._protocol = protocol
        rate, length = PackSettings.sample_rate, None
        if names_model(like):
            model = Synthesizer.from_pretrained(like)
            rate, length = model.sample_rate, model.architecture.clip_length
        settings = PackSettings(sample_rate=rate, clip_length=length or PackSettings.clip_length)
        classifier = None if reference.classifier is None else Classifier.load(reference.classifier)
        embeddings = open_embeddings(reference.embedding)
        quality = SpeechQuality(reference.speech_quality) if reference.speech_quality else None
        progress.begin("reading the real sounds", 0)
        train = open_or_prepare(reference.data, settings)
        test = open_or_prepare(reference.test, settings) if reference.test else None
        if classifier is None and train.labels:
            classifier = find_cached(train)
        n_jobs = None if spread else 1
        self.evaluator = Evaluator(
            train, test, classifier, embeddings, quality, protocol, device, progress, length, n_jobs
        )

    def open(self, path: Path, title: str | None = None) -> ClipSource:
        """Open the clips of a run or model, of a dataset, or of a folder of sounds.

        Raises:
            FauxleyError: the path is none of these, or its clips cannot be judged here.
        """
        source = self._open(path, title)
        try:
            self.evaluator.check(source)
        except UsageError as error:  # which says how to prepare the data, by another command
            raise UsageError(name_flags(str(error), ("--clip-length", "--sample-rate"))) from error
        return source

    def _open(self, path: Path, title: str | None) -> ClipSource:
        title = title or printable(path.resolve().name)
        count, seed = self.evaluator.count, self._protocol.seed
        if names_model(path):
            model = Synthesizer.from_pretrained(path, self._device, self._precision)
            step = f", step {model.provenance.step}" * (model.provenance.step > 0 and "step" not in title)
            computed = ", bfloat16" * (model.precision == "bfloat16")
            return ModelClips(model, title + step + computed, count, seed, path)
        length, rate = self.evaluator.train.clip_length, self.evaluator.train.sample_rate
        if (path / INFO_FILE).is_file():
            return DatasetClips(Dataset.open(path), title, count, seed, length)
        self._progress.begin(f"{title}: examining the files", 0)
        return FolderClips(path, title, rate, length, count, seed, self._progress.advance)

    def judge(self, source: ClipSource) -> Judged:
        """Judge a source; see `Evaluator.evaluate`."""
        return Judged(source, self.evaluator.evaluate(source))


def judge_all(judge: Judge, run: Path) -> dict[int, Judged]:
    """Judge all checkpoints of a run, by step."""
    found = checkpoints(run)
    return {step_of(folder): judge.judge(judge.open(folder, f"step {step_of(folder)}")) for folder in found}


def check_metric(name: str | None) -> None:
    """Check that a figure exists, before anything is measured.

    Raises:
        UsageError: it does not.
    """
    if name is not None and name.partition("/")[0] not in METRICS:
        raise UsageError(f"--best-by cannot be {name!r}; there are {', '.join(METRICS)}")


def choose_best(judged: Mapping[int, Evaluation], metric: str | None, real: Evaluation) -> tuple[int, str]:
    """The best step, and the metric that was decisive: the kernel distance in the first embedding unless one is given.

    The metric is compared among the checkpoints with the fewest faults (see `fauxley.evaluation.verdict`), because
    distances alone ignore level and clipping.

    Args:
        real: figures of real clips.

    Raises:
        UsageError: there is no such figure, or neither higher nor lower values of it are better.
    """
    scores = next(iter(judged.values())).scores
    sortable = [name for name in scores if describe(name)[0].better != "real"]
    name = metric or next(name for name in scores if name.startswith("kernel/"))
    if name not in sortable:
        raise UsageError(f"--best-by cannot be {name!r}; there are {', '.join(sortable)}")
    sign = 1 if describe(name)[0].better == "lower" else -1

    def badness(step: int) -> tuple[int, float, int]:
        value = sign * judged[step].scores[name].value
        return len(faults(judged[step], real)), value if math.isfinite(value) else math.inf, step

    return min(judged, key=badness), name


def explain_best(judged: Mapping[int, Evaluation], step: int, metric: str, real: Evaluation) -> str:
    """A sentence on the checkpoint that was chosen, and on those that were excluded because of faults."""
    wrong = {other: found for other, one in judged.items() if (found := faults(one, real))}
    text = f"Best of {len(judged)} checkpoints by {metric}: step {step}."
    if step in wrong:
        return f"{text} It has faults ({', '.join(wrong[step])}), but so have all others."
    named = "; ".join(f"step {other}: {', '.join(found)}" for other, found in wrong.items())
    return f"{text} Excluded because of faults: {named}." if wrong else text


def record_step(run: Path, step: int, metric: str, figures: Evaluation, real: Evaluation) -> None:
    """Record that the checkpoint of a step is the run's best."""
    record_best(
        run, Best(checkpoint_folder(run, step), metric, figures.scores[metric].value, tuple(faults(figures, real)))
    )


def assessor(
    run: Path, dataset: Dataset, clip_length: int, count: int, device: torch.device, say: Callable[[str], None]
) -> Callable[[int, Synthesizer], dict[str, float]]:
    """What judges a model while it is trained: all figures by name, and the best checkpoint so far recorded.

    The real side is looked at before the first. Labels count if a classifier of this data is in the cache.

    Raises:
        FauxleyError: too few real clips.
    """
    classifier = find_cached(dataset) if dataset.labels else None
    protocol = Protocol(count=max(count, 20), neighbours=max(2, min(count, 500)))
    judge = Evaluator(dataset, None, classifier, protocol=protocol, device=device, clip_length=clip_length)

    def assess(step: int, synthesizer: Synthesizer) -> dict[str, float]:
        try:
            figures = judge.evaluate(ModelClips(synthesizer, f"step {step}", judge.count))
        except FauxleyError as error:  # training goes on: sounds that cannot be judged now may be better later
            say(f"step {step}: not evaluated: {error}")
            return {}
        real = judge.real[-1]
        _, metric = choose_best({step: figures}, None, real)
        value, wrong = figures.scores[metric].value, faults(figures, real)
        before = read_best(run)
        better = (
            before is None
            or before.metric != metric
            or (len(wrong), value) < (len(before.faults), before.value)  # distances alone are deaf to level
        )
        if better and checkpoint_folder(run, step).is_dir():
            record_step(run, step, metric, figures, real)
        text = f"step {step}: {METRICS['kernel'].title.lower()} {figures.scores[metric]}"
        text += f", but for {', '.join(wrong)}" if wrong else ""
        say(f"{text}{', the best so far' * better}")
        return {name: score.value for name, score in figures.scores.items()}

    return assess


def print_summary(evaluator: Evaluator, judged: Sequence[Judged]) -> None:
    """Print the table of figures, remarks and warnings."""
    console = output_console()
    console.print(_table(evaluator, judged))
    widths = ", ".join(f"{width:.4g} in {name}" for name, width in evaluator.bandwidths.items())
    console.print(f"KAD: × {KAD_FACTOR}, a Gaussian kernel of bandwidth {widths}", markup=False)
    for text in warnings_for(evaluator, judged):
        console.print(f"note: {text}", style="yellow", markup=False)
    for one in judged:
        console.print(f"\n{one.figures.title}", markup=False, style="bold")
        for remark in remarks(one.figures, evaluator.real[-1]):
            console.print(f"  {remark.verdict:<4}  {remark.text}", markup=False)


def _table(evaluator: Evaluator, judged: Sequence[Judged]) -> Table:
    sets = [*evaluator.real, *(one.figures for one in judged)]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for figures in sets:
        table.add_column(f"{figures.title}\n{figures.count} clips", justify="right", overflow="fold")
    order = list(METRICS)
    names = dict.fromkeys(name for figures in reversed(sets) for name in figures.scores)
    for name in sorted(names, key=lambda name: order.index(name.partition("/")[0])):
        metric, embedding = describe(name)
        title = f"{metric.title}, {embedding}" if embedding else metric.title
        table.add_row(title, *(str(f.scores[name]) if name in f.scores else "–" for f in sets))
    return table
