"""`fauxley demo`: takes the whole tour with sounds that need no download."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch

from fauxley.cli.evaluate import evaluate
from fauxley.cli.shared.options import Reference
from fauxley.cli.shared.train_run import train_run
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.facts import gather_facts
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import UsageError
from fauxley.evaluation.protocol import Protocol
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.sheet import write_sheet
from fauxley.rendering.batches import from_seeds
from fauxley.rendering.folder import write_sounds
from fauxley.rendering.output import Output
from fauxley.shipped import shipped_models
from fauxley.signal.drumkit import INSTRUMENTS, write_kit
from fauxley.terminal.formatting import counted
from fauxley.training.config import TrainingConfig
from fauxley.training.recipe import recipe
from fauxley.training.run import Run

_MINUTES = 3.0
_PER_INSTRUMENT = 48
_SECONDS = 0.5
_DIM = 8  # half of the recipe's: in so few minutes, seeing twice the sounds counts for more
_OF_A_LABEL = 8  # sounds of each label
_ON_SHEET = 4  # real sounds of each label, and generated ones beside them
_PLAYED = 40  # sounds of the model that ships, at most
_JUDGED = 200


def demo(out: Path = Path("fauxley-demo"), minutes: float = _MINUTES) -> None:
    """Play the drums that ship, then train a small drum kit from scratch: everything that fauxley does, in minutes.

    Example: fauxley demo --out my-demo

    Args:
        out: Folder for everything. Run the command again to resume a demo, also with more --minutes.
        minutes: Training time.
    """
    if not 0 < minutes < 1e6:
        raise UsageError(f"--minutes must be a training time, such as 3; got {minutes:g}")
    kit, dataset, run, sounds, report = (out / name for name in ("kit", "dataset", "run", "generated", "report"))
    _play_shipped(out)

    _say(f"1/5  synthesising a drum kit: {', '.join(INSTRUMENTS)}")
    paths = write_kit(kit, per_instrument=_PER_INSTRUMENT, duration_seconds=_SECONDS)
    _say(f"     {counted(len(paths), 'sound')} in {kit}")

    config = dataclasses.replace(Run(run).begun_with() or _plan(kit, minutes), minutes=minutes)
    _say("2/5  preparing it, as 'fauxley prepare' does")
    model = config.architecture
    prepared = pack(kit, dataset, PackSettings(config.data.sample_rate, clip_length=model.clip_length, slicing="first"))
    _say(f"     {counted(prepared.num_clips(), 'clip')} in {dataset}")

    like = f"fauxley train --data {kit} --run {run} --dim {model.dim}"
    _say(f"3/5  training for {counted(minutes, 'minute')}, as '{like}' does for an hour")
    if not train_run(config, dataset, run, torch.device("cpu"), tensorboard=False, quiet=False):
        _say(f"stopped; 'fauxley demo --out {out}' goes on from there")
        return

    _say("4/5  making new drums, as 'fauxley generate' does")
    sheet, count = out / "sheet.png", _generate(run, sounds)
    _draw(Synthesizer.from_pretrained(run), prepared, sheet)

    _say("5/5  judging them, as 'fauxley evaluate' does")
    evaluate(run, report, Reference(dataset), Protocol(count=_JUDGED), device="cpu", overwrite=True, quiet=True)
    print(f"""
Look at    {sheet}   (a row for each family: real drums, then generated ones)
Listen to  {sounds}   ({count} new drums)
Read       {report / "report.html"}

Next:
  fauxley generate {run} --out more-drums --count 100 --clean        as many as you like, ready for a sampler
  fauxley generate {run} --out kicks --label {INSTRUMENTS[0]}                      of one family
  fauxley morph {run} --out morph --seeds 3 17                       from one drum to another
  fauxley demo --out {out} --minutes {2 * minutes:g}                        train on: it gets better
  fauxley scan MY-SOUNDS                                             then a model of your own:
  fauxley train --data MY-SOUNDS --run runs/mine""")


def _plan(kit: Path, minutes: float) -> TrainingConfig:
    """The default training of a smaller model."""
    config = recipe(gather_facts(kit), minutes)
    return dataclasses.replace(config, architecture=dataclasses.replace(config.architecture, dim=_DIM))


def _play_shipped(out: Path) -> None:
    """Make sounds of a model that ships, before anything that takes time."""
    known = shipped_models()
    if not known:
        return
    name = "drums" if "drums" in known else next(iter(known))
    sounds = out / name
    _say(f"0/5  playing {name!r}, a model that ships, as 'fauxley generate {name}' does")
    count = _generate(Path(name), sounds, _PLAYED)
    _say(
        f"     {counted(count, 'sound')} in {sounds}: listen while the rest goes on, and look at {sounds / 'sheet.png'}"
    )


def _generate(model: Path, out: Path, most: int | None = None) -> int:
    """Write sounds of each of a model's labels in turn, with their sheet; return how many."""
    synthesizer = Synthesizer.from_pretrained(model)
    count = _OF_A_LABEL * max(1, len(synthesizer.labels))
    count = count if most is None else min(most, count)
    output = Output(overwrite=True, quiet=True)
    write_sounds(synthesizer, model, from_seeds(synthesizer, range(count)), count, out, output)
    return count


def _draw(synthesizer: Synthesizer, data: Dataset, path: Path) -> None:
    """Draw a row for each family: real sounds on the left, generated ones on the right."""
    clips, labels = np.concatenate([*data.once(64)]).astype(np.float32) / 32768, data.clip_labels()
    rows = {}
    for label in synthesizer.labels:
        real = clips[labels == data.labels.index(label)][:_ON_SHEET]
        rows[label] = np.concatenate([real, synthesizer.generate(_ON_SHEET, labels=label).numpy()])
    captions = ["real"] * _ON_SHEET + ["generated"] * _ON_SHEET
    write_sheet(path, rows, data.sample_rate, columns=2 * _ON_SHEET, captions=dict.fromkeys(rows, captions))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
