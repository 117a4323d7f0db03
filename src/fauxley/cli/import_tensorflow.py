"""`fauxley import-tensorflow`: converts a checkpoint of the official TensorFlow code to a model folder."""

from pathlib import Path
from typing import Annotated

import tyro

from fauxley import __version__
from fauxley.cli.shared.options import Switch
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.interop.moments import read_moments
from fauxley.interop.official import OfficialModel, Upsampling, load_generator, load_representation, recognize
from fauxley.interop.tensorflow_checkpoint import Checkpoint, open_checkpoint
from fauxley.models.representations import Representation
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.storage import check_folder_place


def import_tensorflow(
    checkpoint: Annotated[Path, tyro.conf.Positional],
    out: Path,
    moments: Path | None = None,
    clip_length: int | None = None,
    upsampling: Upsampling | None = None,
    sample_rate: int | None = None,
    quiet: Switch = False,
) -> None:
    """Convert a checkpoint of the official WaveGAN or SpecGAN code to a model. TensorFlow is not needed.

    The kind and sizes of the model are read from the checkpoint's variables, and from the training's args.txt if it is
    beside them.

    Example: fauxley import-tensorflow train/model.ckpt-58301 --out models/mine

    Example, a SpecGAN: fauxley import-tensorflow train --moments moments.pkl --out models/mine

    Args:
        checkpoint: A folder (its current checkpoint), a prefix such as model.ckpt-58301, one of its files, or a folder
            of raw weights with a manifest.json.
        out: New folder for the model.
        moments: A SpecGAN's file of moments; by default moments.pkl beside the checkpoint.
        clip_length: Samples in a clip; needed for a WaveGAN of 32768 or 65536 without args.txt.
        upsampling: How a SpecGAN enlarges images; needed without args.txt if it has no transposed convolutions.
        sample_rate: Sample rate in Hz; by default what args.txt says, or 16000.
        quiet: Print nothing.
    """
    check_folder_place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already; choose another --out")
    if sample_rate is not None and not 1000 <= sample_rate <= 384_000:
        raise UsageError(f"--sample-rate must be from 1000 to 384000 Hz; got {sample_rate}")
    source = open_checkpoint(checkpoint)
    try:
        model = recognize(source, clip_length, upsampling)
        generator = load_generator(model.architecture, source)
    except UsageError:
        raise
    except FauxleyError as error:
        raise FauxleyError(f"cannot import {source.path}: {error}") from error
    model.sample_rate = sample_rate or model.sample_rate
    kind = type(model.architecture).__name__
    synthesizer = Synthesizer(
        model.architecture,
        generator,
        _representation(model, source, moments),
        model.sample_rate,
        Provenance(preset=f"official-{kind.lower()}", step=source.step, fauxley_version=__version__),
    )
    synthesizer.save(out)
    if not quiet:
        print(_describe(model, source))
        print(f"make sounds:  fauxley generate {out} --out new-sounds --count 20")


def _representation(model: OfficialModel, source: Checkpoint, moments: Path | None) -> Representation:
    architecture = model.architecture
    if not isinstance(architecture, SpecGAN):
        if moments is not None:
            raise UsageError("--moments is for SpecGANs; this is a WaveGAN, which needs none")
        return architecture.representation()
    path = (source.path if source.path.is_dir() else source.path.parent) / "moments.pkl" if moments is None else moments
    if not path.exists():
        raise UsageError(
            f"{printable(path)} does not exist; a SpecGAN needs the file that the official 'moments' command wrote: "
            "give --moments"
        )
    return load_representation(architecture, *read_moments(path, architecture.window_length // 2 + 1))


def _describe(model: OfficialModel, source: Checkpoint) -> str:
    found = model.architecture
    options = [f"d = {found.dim}", f"kernel {found.kernel_length}", f"latent {found.latent_size}"]
    options += [f"upsampling {found.upsampling}"] + ["batch norm"] * found.batch_norm
    if isinstance(found, WaveGAN) and found.post_filter_length:
        options.append(f"post filter {found.post_filter_length}")
    channels = "mono" if found.channels == 1 else f"{found.channels} channels"
    checked = "checksums verified" if source.verified else "no checksums there to verify"
    lines = [
        f"{type(found).__name__} of step {source.step} from {source.path} ({checked})",
        f"  clips of {found.clip_length} samples, {channels}, {model.sample_rate} Hz",
        f"  {', '.join(options)}",
        *(f"  note: {note}" for note in model.notes),
    ]
    return "\n".join(lines)
