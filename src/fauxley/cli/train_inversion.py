"""`fauxley train-inversion`: gives a SpecGAN a network that estimates phases."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from fauxley.cli.shared.options import Flat, Model, Switch
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import UsageError
from fauxley.machine import Device, choose_device, in_memory
from fauxley.models.draws import Draws, Purpose
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.phase_inversion import LearnedInversion
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import check_folder_place
from fauxley.terminal.progress import Stages
from fauxley.training.data import licenses
from fauxley.training.inversion_training import InversionTrainer, InversionTraining

_SIZES = {"inversion_dim": 96, "inversion_layers": 4, "inversion_iterations": 4}


def train_inversion(
    model: Model,
    out: Path,
    data: Path | None = None,
    other: Annotated[Path | None, tyro.conf.arg(name="from")] = None,
    dim: int | None = None,
    layers: int | None = None,
    iterations: int | None = None,
    training: Annotated[InversionTraining, Flat] = InversionTraining(),  # noqa: B008 - frozen
    device: Device = "auto",
    quiet: Switch = False,
) -> None:
    """Give a SpecGAN a network that estimates the phases of its spectrograms, instead of Griffin-Lim alone.

    The network is trained on real sounds, not on the model's, so one network serves all models of the same kind of
    sound with the same window, hop and sample rate. Ctrl-C stops early and keeps what was learned; --from continues.

    Example: fauxley train-inversion runs/mine --data my-sounds --out models/mine

    Example, for another model of these sounds: fauxley train-inversion runs/next --from models/mine --out models/next

    Args:
        model: A run folder (its newest checkpoint) or a model folder of a SpecGAN; it stays as it is.
        out: New folder for the new model.
        data: Folder of sounds, or a dataset made by 'fauxley prepare', to train on.
        other: Model whose network to start from; without --data it is taken over as it is.
        dim: Channels of a new network; by default 96.
        layers: Layers of a new network; by default 4.
        iterations: Iterations of fast Griffin-Lim after the network; by default 4, or as in the model of --from.
        training: How the network is trained.
        device: Device to compute on; auto uses a GPU if there is one.
        quiet: Print nothing.
    """
    check_folder_place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already; choose another --out")
    if data is None and other is None:
        raise UsageError("give --data, sounds to train on, or --from, a model whose network to take over")
    if other is not None and (dim is not None or layers is not None):
        raise UsageError("--dim and --layers are for a new network; that of --from keeps its sizes")
    where = choose_device(device)
    sizes = {"dim": dim, "layers": layers, "iterations": iterations}
    given = {f"inversion_{name}": size for name, size in sizes.items() if size is not None}
    source, architecture, representation = _load(model)
    licences = [source.provenance.license]
    if other is None:
        architecture = _sized(architecture, _SIZES | given)
        inversion = architecture.inversion(Draws(Purpose.INVERSION_WEIGHTS, training.seed))
    else:
        architecture, inversion, licence = _take_over(other, source, architecture, given)
        licences.append(licence)
    if inversion is None:
        raise UsageError("--dim must be at least 1; got 0")
    if data is None:
        representation.inversion = inversion
    else:
        dataset = _open(data, architecture, source.sample_rate)
        licences.append(licenses(dataset))
        with in_memory("lower --batch-size"):
            trainer = InversionTrainer(representation.to(where), dataset, training)
            before = trainer.check()
            representation.inversion = inversion.to(where)
            steps = _train(trainer, quiet)
            after = trainer.check()
    provenance = dataclasses.replace(source.provenance, license=_joined(licences))
    Synthesizer(architecture, source.generator, representation, source.sample_rate, provenance).save(out)
    if quiet:
        return
    if data is not None:
        print(f"{'finished' if steps == training.steps else 'stopped, saved'} at step {steps}: {out}")
        print(f"distance to held-out sounds: {after:.3f}; with the model as it was: {before:.3f}")
    print(f"make sounds:  fauxley generate {out} --out new-sounds --count 20")


def _load(path: Path) -> tuple[Synthesizer, SpecGAN, LogSpectrogram]:
    """Open a model of spectrograms, and return it with its parts.

    Raises:
        UsageError: it is another kind of model.
    """
    synthesizer = Synthesizer.from_pretrained(path)
    architecture, representation = synthesizer.architecture, synthesizer.representation
    if not isinstance(architecture, SpecGAN) or not isinstance(representation, LogSpectrogram):
        raise UsageError(f"{path} is a {type(architecture).__name__}, which makes samples and needs no phases")
    return synthesizer, architecture, representation


def _take_over(
    path: Path, source: Synthesizer, architecture: SpecGAN, given: dict[str, int]
) -> tuple[SpecGAN, LearnedInversion | None, str]:
    """The architecture with the sizes of another model's network, that network, and its licence.

    Raises:
        UsageError: the other model has no network, or other spectrograms.
    """
    other, theirs, representation = _load(path)
    if representation.inversion is None:
        raise UsageError(f"{path} has no network to take over; leave out --from, and give --data")
    for name, here, there in (
        ("window_length", architecture.window_length, theirs.window_length),
        ("hop_length", architecture.hop_length, theirs.hop_length),
        ("sample_rate", source.sample_rate, other.sample_rate),
    ):
        if here != there:
            raise UsageError(f"{path} is for other spectrograms: its {name} is {there}, the model's {here}")
    sizes = {name: getattr(theirs, name) for name in _SIZES} | given
    representation.inversion.iterations = sizes["inversion_iterations"]
    return _sized(architecture, sizes), representation.inversion, other.provenance.license


def _sized(architecture: SpecGAN, sizes: Mapping[str, Any]) -> SpecGAN:
    return dataclasses.replace(architecture, **sizes)


def _open(data: Path, architecture: SpecGAN, sample_rate: int) -> Dataset:
    settings = PackSettings(
        sample_rate=sample_rate, channels=architecture.channels, clip_length=architecture.clip_length
    )
    dataset = open_or_prepare(data, settings)
    if dataset.sample_rate != sample_rate:
        raise UsageError(f"{data} has {dataset.sample_rate} Hz and the model {sample_rate}; prepare the sounds again")
    return dataset


def _train(trainer: InversionTrainer, quiet: bool) -> int:
    """Train, and show the loss with the progress."""
    held_out = ""
    with Stages(quiet) as stages:

        def report(step: int, loss: float, checked: float | None) -> None:
            nonlocal held_out
            held_out = held_out if checked is None else f", {checked:.3f} on held-out sounds"
            stages.reach(step, trainer.training.steps, f"training, distance {loss:.3f}{held_out} (falling is good)")

        stages.begin("training", trainer.training.steps)
        return trainer.train(report)


def _joined(licences: list[str]) -> str:
    """The distinct licences in several lists, joined."""
    return "; ".join(sorted({part for licence in licences for part in licence.split("; ") if part}))
