"""`fauxley demo`: the whole tour on sounds that need no download."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch

from fauxley.cli.train import train_run
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.sheet import write_sheet
from fauxley.rendering.batches import from_seeds
from fauxley.rendering.folder import write_sounds
from fauxley.rendering.output import Output
from fauxley.signal.drumkit import INSTRUMENTS, write_kit
from fauxley.training.presets import PRESETS

_, _PRESET = PRESETS["wavegan-tiny"]
_PER_INSTRUMENT = 48
_GENERATED = 32


def demo(out: Path = Path("fauxley-demo"), steps: int = _PRESET.steps) -> None:
    """Synthesise a drum kit, learn it and make new drums: all that fauxley does, in a few minutes on a laptop.

    Example: fauxley demo --out my-demo

    Args:
        out: Folder for everything. Run again to go on with an interrupted demo, or with more --steps.
        steps: How long to train.
    """
    kit, dataset, run, sounds = (out / name for name in ("kit", "dataset", "run", "generated"))
    config = dataclasses.replace(_PRESET, steps=steps)
    model = config.architecture

    _say(f"1/4  synthesising a drum kit: {', '.join(INSTRUMENTS)}")
    paths = write_kit(kit, per_instrument=_PER_INSTRUMENT)
    _say(f"     {len(paths)} sounds in {kit}")

    _say("2/4  preparing it, as 'fauxley prepare' does")
    prepared = pack(kit, dataset, PackSettings(clip_length=model.clip_length, slicing="first"))
    _say(f"     {prepared.num_clips()} clips in {dataset}")

    _say(f"3/4  training '{config.preset}' for {steps} steps")
    if not train_run(config, dataset, run, torch.device("cpu"), tensorboard=False, quiet=False):
        _say(f"stopped; 'fauxley demo --out {out}' goes on from there")
        return

    _say("4/4  making new drums, as 'fauxley generate' does")
    synthesizer = Synthesizer.from_pretrained(run)
    requests = from_seeds(synthesizer, range(_GENERATED))
    write_sounds(synthesizer, run, requests, _GENERATED, sounds, Output(sheet=False, overwrite=True, quiet=True))
    generated = synthesizer.generate(_GENERATED).numpy()
    real = prepared.batch(0, _GENERATED, seed=0).astype(np.float32) / 32768
    sheet = out / "sheet.png"
    write_sheet(sheet, {"real": real, "generated": generated}, prepared.sample_rate)
    print(f"""
Look at    {sheet}   (real drums above, generated below)
Listen to  {sounds}   ({_GENERATED} new drums)

Next:
  fauxley generate {run} --out more-drums --count 100 --clean        as many as you like, ready for a sampler
  fauxley morph {run} --out morph --seeds 3 17                       from one drum to another
  fauxley demo --out {out} --steps {2 * steps}                       train on: it gets better
  fauxley scan MY-SOUNDS                                             then a model of your own:
  fauxley train --data MY-SOUNDS --run runs/mine""")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
