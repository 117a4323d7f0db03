"""`fauxley generate`: new sounds as files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fauxley.cli.shared.options import ClusterAddress, Flat, Model
from fauxley.errors import FauxleyError, UsageError
from fauxley.machine import Device, choose_device, importing, keep_freed_memory
from fauxley.rendering.output import Output


def generate(
    model: Model,
    out: Path,
    count: int | None = None,
    seed: int = 0,
    latents: Path | None = None,
    label: tuple[str, ...] = (),
    inversion: Literal["auto", "griffin-lim"] = "auto",
    device: Device = "auto",
    cluster: ClusterAddress = None,
    output: Annotated[Output, Flat] = Output(),  # noqa: B008 - frozen
) -> None:
    """Make new sounds. The same seed is the same sound, however many are asked for.

    (The same to rounding: when other sounds are computed beside it, or on another machine, a sound may differ by one
    step of 16 bits. With the same count, batch size and machine, files are the same byte for byte.)

    What was interrupted goes on where it stopped when the same command is run again.

    Example: fauxley generate runs/mine --out new-sounds --count 40 --clean

    Example, only snares, and sounds between kick and snare:
    fauxley generate runs/mine --out snares --label snare kick=0.7,snare=0.3

    Example, very many: fauxley generate runs/mine --out many --count 50000 --listing --no-sheet

    Example, in about half the time on a recent CPU, nearly the same sounds:
    fauxley generate runs/mine --out quick --precision bfloat16

    Example, the very same sounds again: fauxley generate runs/mine --out again --latents new-sounds/latents.npy

    Args:
        model: A run folder (its best checkpoint if one is recorded, else its newest) or a model folder.
        out: Folder for the sounds, their latents.npy and sheet.png.
        count: How many sounds to make; 20 if nothing else is said.
        seed: Seed of the first sound; the next ones have the next seeds.
        latents: A .npy file of shape (N, latent size): N sounds from these latents, in order.
        label: For a model that has learnt labels: which to make. One or several, which take turns, mixtures such as
            kick=0.7,snare=0.3, or all: every label equally often, as without --label. Files have the labels' names.
        inversion: How a SpecGAN finds phases; auto: by its network, if it has one (see 'fauxley train-inversion').
        device: Where to compute; auto takes a GPU if there is one.
        cluster: Spread the work over dask://HOST:PORT or ray://HOST:PORT, whose machines all see MODEL and OUT; they
            compute on their CPUs.
        output: How the files are written.
    """
    if latents is not None and count is not None:
        raise UsageError("give --count or --latents, not both")
    count = 20 if count is None else count
    if count < 1:
        raise UsageError(f"--count must be at least 1; got {count}")
    if seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")
    if inversion == "griffin-lim" and cluster:
        raise UsageError("--inversion griffin-lim is not for --cluster, whose machines take the model as it is")
    keep_freed_memory()
    with importing():
        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.rendering.batches import SoundRequest, from_seeds
        from fauxley.rendering.folder import write_sounds

    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    if inversion == "griffin-lim":
        synthesizer.representation.use_griffin_lim()
    wishes = read_wishes(label, synthesizer.labels)
    requests: Iterator[SoundRequest]
    made_from: dict[str, Any]
    if latents is None:
        requests, made_from = from_seeds(synthesizer, range(seed, seed + count), wishes), {"first_seed": seed}
    else:
        rows = synthesizer.check_latents(_read_latents(latents))
        requests = (
            wishes[number % len(wishes)].request(row, f"latent-{number:05d}", {})
            if wishes
            else SoundRequest(row, f"latent-{number:05d}", {})
            for number, row in enumerate(rows)
        )
        count, made_from = len(rows), {"latents": hashlib.sha256(rows.numpy().tobytes()).hexdigest()}
    if wishes:
        made_from["label"] = [dict(each.shares) for each in wishes]
    write_sounds(synthesizer, model, requests, count, out, output, made_from=made_from, cluster=cluster)


def _read_latents(path: Path) -> NDArray[np.float32]:
    try:
        # Memory-mapped, so that a header which promises terabytes is an error and not an allocation.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise FauxleyError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # on what is no .npy file, NumPy's parser may raise anything
        raise FauxleyError(f"{path} is not a .npy file of numbers") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise FauxleyError(f"{path} is not a .npy file of numbers")
    if array.ndim == 2 and not len(array):
        raise UsageError(f"{path} holds no latents: its shape is {array.shape}")
    with np.errstate(over="ignore"):  # becomes infinite, which is refused later
        return array.astype(np.float32)
