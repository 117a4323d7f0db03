"""`fauxley export`: sounds and models for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fauxley.cli.shared.options import Flat, Switch
from fauxley.errors import UsageError, printable
from fauxley.export.kit import Variations
from fauxley.machine import importing, keep_freed_memory
from fauxley.storage import check_folder_place
from fauxley.terminal.formatting import counted
from fauxley.terminal.progress import Stages

if TYPE_CHECKING:
    from fauxley.export.kit import Kit
    from fauxley.models.synthesizer import Synthesizer

_KITS = ("sfz", "decentsampler", "folder")


def export(
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL_OR_FOLDER")],
    out: Path,
    to: Literal["sfz", "decentsampler", "folder"],
    count: int = 16,
    seed: int = 0,
    model: Path | None = None,
    variations: Annotated[Variations, Flat] = Variations(),  # noqa: B008 - frozen
    quiet: Switch = False,
) -> None:
    """Write sounds or a model in the form that other programs take.

    A kit to play, with variations of each sound that take turns, hats that choke each other, and drums on General
    MIDI's keys where labels tell which they are:

    sfz: for sfizz, sforzando, Renoise, Bitwig and others.

    decentsampler: for DecentSampler.

    folder: numbered files with a table of keys, for any other sampler.

    Example, 16 sounds of a model: fauxley export runs/mine --to sfz --out kit

    Example, the sounds that one has chosen, with variations: fauxley export chosen --model runs/mine --to sfz --out kit

    Args:
        source: A run folder or a model folder; for kits also a folder of sounds, each of which becomes a key.
        out: The new folder.
        to: What to write.
        count: Kits: how many sounds of a model.
        seed: Kits: seed of the first sound; the next ones have the next seeds.
        model: Kits of a folder of sounds: the model that made them, to make their variations.
        variations: How the takes of a sound are made.
        quiet: Say nothing.
    """
    check_folder_place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{printable(out)} has something in it; choose another --out")
    if not 1 <= count <= 128:
        raise UsageError(f"--count must be from 1 to 128, the keys of a keyboard; got {count}")
    if seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")
    keep_freed_memory()
    with importing():
        from fauxley.export.kit_formats import write_kit

    kit = _kit(source, model, range(seed, seed + count), variations, out.name, quiet)
    write_kit(kit, to, out)
    if not quiet:
        takes = sum(len(zone.files) for pad in kit.pads for zone in pad.zones)
        print(f"{counted(len(kit.pads), 'sound')} on keys, {counted(takes, 'file')}, in {out}")


def _kit(source: Path, model: Path | None, seeds: range, variations: Variations, name: str, quiet: bool) -> "Kit":
    with importing():
        from fauxley.export.kit import make_kit
        from fauxley.export.kit_sources import sounds_of_folder, sounds_of_model
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.runs import holds_model

    with Stages(quiet) as stages:
        if not source.is_dir() or holds_model(source):
            if model is not None:
                raise UsageError("--model is for a folder of sounds; this is a model itself")
            synthesizer = Synthesizer.from_pretrained(source)
            stages.begin("making sounds", len(seeds) * variations.sounds)
            sounds = sounds_of_model(synthesizer, source.resolve().name, seeds, variations, stages.advance)
            return make_kit(name, sounds, _about(synthesizer, source))
        made_by = None if model is None else Synthesizer.from_pretrained(model)
        stages.begin("reading sounds" if made_by is None else "making variations", 0)
        sounds = sounds_of_folder(source, made_by, variations, stages.advance)
        about = {"sounds": source.resolve().name} if made_by is None or model is None else _about(made_by, model)
        return make_kit(name, sounds, about)


def _about(synthesizer: "Synthesizer", model: Path) -> dict[str, str]:
    source = synthesizer.provenance
    return {
        "model": model.resolve().name,
        "preset": source.preset,
        "steps of training": f"{source.step:,}",
        "training data": source.dataset,
        "licence of the training data": source.license,
        "fauxley": source.fauxley_version,
    }
