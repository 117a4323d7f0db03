"""`fauxley export`: writes sampler kits, and models for other programs."""

import warnings
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import tyro

from fauxley.cli.shared.options import Flat, Switch, check_new, check_sounds
from fauxley.cli.shared.places import teller
from fauxley.errors import UsageError, printable
from fauxley.export.kit import KitFormat, Variations
from fauxley.machine import format_bytes, importing, keep_freed_memory
from fauxley.storage import check_file_place
from fauxley.terminal.formatting import counted
from fauxley.terminal.progress import Stages

if TYPE_CHECKING:
    from fauxley.export.kit import Kit
    from fauxley.models.synthesizer import Synthesizer

_ENDINGS = {"onnx": ".onnx", "torchscript": ".ts"}


def export(
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL_OR_FOLDER")],
    to: Literal["sfz", "decentsampler", "folder", "onnx", "torchscript", "browser"],
    out: Path,
    count: int | None = None,
    seed: int | None = None,
    label: tuple[str, ...] = (),
    model: Path | None = None,
    variations: Annotated[Variations, Flat] = Variations(),  # noqa: B008 - frozen
    weights: Literal["float32", "float16", "int8"] | None = None,
    quiet: Switch = False,
) -> None:
    """Export sounds as a sampler kit, or a model for other programs.

    Kits have variations of each sound that take turns, hats that choke each other, and drums on General MIDI's keys if
    their labels tell which they are. Formats: sfz (for sfizz, sforzando and many others), decentsampler (for
    DecentSampler), folder (numbered files with a table of keys, for any other sampler).

    Models become one graph from latents to audio: onnx (for ONNX Runtime in any language), torchscript (for audio hosts
    that embed PyTorch). browser writes the studio's page, which makes sounds in the visitor's browser, as a folder for
    any web host.

    Example, 16 sounds of a model: fauxley export runs/mine --to sfz --out kit

    Example, chosen sounds with variations: fauxley export chosen --model runs/mine --to sfz --out kit

    Example, a model in a quarter of the size: fauxley export runs/mine --to onnx --weights int8 --out mine.onnx

    Args:
        source: A run folder or a model folder; for kits also a folder of sounds, each of which becomes a key.
        to: Format to write.
        out: New folder for a kit or a page, or new file whose name ends in .onnx or .ts.
        count: Kits of a model: number of sounds; by default 16.
        seed: Kits of a model: seed of the first sound, by default 0; the next ones have the next seeds.
        label: Kits of a model with labels: one label, several that take turns, or mixtures such as kick=0.7,snare=0.3;
            by default all.
        model: Kits of a folder of sounds: the model that made them, which makes their variations.
        variations: How the takes of a kit's sounds are made.
        weights: onnx and browser: precision of the weights in the file; by default float32. float16 halves the file and
            int8 quarters it, for nearly the same sounds.
        quiet: Print nothing.
    """
    _check_options(to, label, count, seed, model, variations, weights)
    _check_out(to, out)
    keep_freed_memory()
    if to == "sfz" or to == "decentsampler" or to == "folder":
        first = seed or 0
        seeds = range(first, first + (count or 16))
        _export_kit(source, to, out, model, seeds, label, variations, quiet)
    else:
        _export_model(source, to, out, weights or "float32", quiet)


def _check_options(
    to: str,
    label: tuple[str, ...],
    count: int | None,
    seed: int | None,
    model: Path | None,
    variations: Variations,
    weights: str | None,
) -> None:
    if to not in get_args(KitFormat):
        of_kits = {"count": count, "seed": seed, "label": label or None, "model": model}
        given = [f"--{name}" for name, value in of_kits.items() if value is not None]
        given += [] if variations == Variations() else ["--takes, --layers or --radius"]
        if given:
            raise UsageError(f"{given[0]} is for kits; leave it out with --to {to}")
    if weights is not None and to not in ("onnx", "browser"):
        raise UsageError(f"--weights is for onnx and browser; leave it out with --to {to}")
    if count is not None and not 1 <= count <= 128:
        raise UsageError(f"--count must be from 1 to 128, the keys of a keyboard; got {count}")
    if seed is not None and seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")


def _check_out(to: str, out: Path) -> None:
    """Check that the result can be written there without replacing anything."""
    ending = _ENDINGS.get(to)
    if ending is None:
        check_new(out)
        return
    if out.suffix != ending:
        raise UsageError(f"--out must be a file whose name ends in {ending}; got {printable(out.name)}")
    for file in (out, out.with_suffix(".json")):
        check_file_place(file)
        if file.exists():
            raise UsageError(f"{printable(file)} exists already; choose another --out")


def _export_kit(
    source: Path,
    to: KitFormat,
    out: Path,
    model: Path | None,
    seeds: range,
    label: tuple[str, ...],
    variations: Variations,
    quiet: bool,
) -> None:
    with importing():
        from fauxley.export.kit_formats import write_kit

    kit = _kit(source, model, seeds, label, variations, out.name, quiet)
    write_kit(kit, to, out)
    for sound in kit.left_out:
        warnings.warn(f"left out: {sound} is silent", stacklevel=2)
    if not quiet:
        takes = sum(len(zone.files) for pad in kit.pads for zone in pad.zones)
        print(f"{counted(len(kit.pads), 'sound')} on keys, {counted(takes, 'file')}, in {out}")


def _kit(
    source: Path,
    model: Path | None,
    seeds: range,
    label: tuple[str, ...],
    variations: Variations,
    name: str,
    quiet: bool,
) -> "Kit":
    with importing():
        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.export.kit import make_kit
        from fauxley.export.kit_sources import sounds_of_folder, sounds_of_model
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import from_seeds
        from fauxley.runs import holds_model

    check_sounds([source])
    with Stages(quiet) as stages:
        if not source.is_dir() or holds_model(source):
            if model is not None:
                raise UsageError("--model is for a folder of sounds; this is a model itself")
            synthesizer = Synthesizer.from_pretrained(source)
            requests = from_seeds(synthesizer, seeds, read_wishes(label, synthesizer.labels))
            stages.begin("making sounds", len(seeds) * variations.sounds)
            sounds = sounds_of_model(synthesizer, source.resolve().name, requests, variations, stages.advance)
            return make_kit(name, sounds, _about(synthesizer, source))
        if label:
            raise UsageError("--label is for kits of a model; this is a folder of sounds")
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


def _export_model(
    source: Path, to: str, out: Path, weights: Literal["float32", "float16", "int8"], quiet: bool
) -> None:
    with importing():
        from fauxley.export.browser import write_page
        from fauxley.export.onnx_model import write_onnx
        from fauxley.export.torchscript import write_torchscript
        from fauxley.models.synthesizer import Synthesizer

    synthesizer = Synthesizer.from_pretrained(source)
    with Stages(quiet) as stages:
        stages.begin("exporting", 0)
        if to == "browser":
            page = files("fauxley.studio") / "web"
            agreement = write_page(synthesizer, out, source.resolve().name, page, weights, teller(stages))
        elif to == "onnx":
            agreement = write_onnx(synthesizer, out, weights).agreement
        else:
            agreement = write_torchscript(synthesizer, out)
    if not quiet:
        size = format_bytes(sum(file.stat().st_size for file in (out, *out.rglob("*")) if file.is_file()))
        print(f"{out}, {size}; {agreement.signal_to_error_db:.0f} dB from its sounds to its difference from PyTorch's")
        if to == "browser":
            print(f"try it: python -m http.server --directory {out} 8000, then open http://localhost:8000/")
