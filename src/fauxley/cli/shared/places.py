"""Places among a model's latents, as users name them: a seed, a file of latents, or a sound."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fauxley.cli.shared.values import read_path, read_real, read_whole
from fauxley.errors import FauxleyError, UsageError, printable

if TYPE_CHECKING:
    from torch import Tensor

    from fauxley.latents.inversion import Inversion
    from fauxley.models.synthesizer import Synthesizer
    from fauxley.rendering.batches import LabelWish
    from fauxley.terminal.progress import Stages

_LONGEST_SECONDS = 60  # of a sound whose latent is sought; clips are much shorter


@dataclass(frozen=True)
class Place:
    """A place among latents.

    Attributes:
        name: for files and messages.
        latent: (latent_size,).
        weights: of labels, (L,).
        facts: for sidecars.
        identity: what determines the place, by which an interrupted job is recognised.
        inversion: the search that found it, if it is the nearest to a sound.
    """

    name: str
    latent: "Tensor"
    weights: "Tensor"
    facts: dict[str, Any]
    identity: Any
    inversion: "Inversion | None" = None


def places(synthesizer: "Synthesizer", where: str, wish: "LabelWish | None", stages: "Stages") -> list[Place]:
    """The places for a word: that of a seed, of each row of a .npy file, or the nearest to a sound.

    Args:
        wish: the label for the places. None: for a seed or row the label that 'fauxley generate' gives it, for a sound
            the labels that the search finds.

    Raises:
        UsageError: the word is neither a seed nor a file.
        FauxleyError: the file cannot be read, or is silent.
    """
    check_place(where)
    if _is_seed(where):
        seed = read_whole(where)
        return [_own(synthesizer, synthesizer.latents([seed])[0], seed, f"seed-{seed:08d}", {"seed": seed}, wish)]
    path = read_path(where)
    if path.suffix.lower() == ".npy":
        return [
            _own(synthesizer, row, number, f"latent-{number:05d}", {"latent_of": path.name, "row": number}, wish)
            for number, row in enumerate(synthesizer.check_latents(read_latents(path)))
        ]
    return [_nearest(synthesizer, path, wish, stages)]


def check_place(where: str) -> None:
    """Check that a word is a seed or a file that exists, before anything slow is done for it.

    Raises:
        UsageError: it is not.
    """
    if not _is_seed(where) and not read_path(where).exists():
        raise UsageError(f"{printable(where)} is neither a seed, such as 7, nor a file that exists")


def _is_seed(where: str) -> bool:
    return re.fullmatch(r"[0-9][0-9_]*", where) is not None


def _own(
    synthesizer: "Synthesizer",
    latent: "Tensor",
    number: int,
    name: str,
    facts: dict[str, Any],
    wish: "LabelWish | None",
) -> Place:
    """The place of a latent; without a wish, with the label whose turn it is."""
    from fauxley.rendering.batches import SoundRequest, in_turn

    wishes = [wish] if wish is not None else in_turn(synthesizer.labels)
    request = SoundRequest(latent, name, facts)
    if wishes:
        request = wishes[number % len(wishes)].request(latent, f"{number:04d}", facts)
    identity = [hashlib.sha256(latent.numpy().tobytes()).hexdigest(), request.labels.tolist()]
    return Place(request.name, latent, request.labels, dict(request.facts), identity)


def _nearest(synthesizer: "Synthesizer", path: Path, wish: "LabelWish | None", stages: "Stages") -> Place:
    from fauxley.latents.inversion import invert
    from fauxley.sounds.reading import read_audio

    rate, channels = synthesizer.sample_rate, synthesizer.architecture.channels
    audio = read_audio(path, rate, channels, longest=_LONGEST_SECONDS * rate)
    try:
        found = invert(synthesizer, audio, labels=None if wish is None else wish.shares, progress=teller(stages))
    except UsageError as error:
        raise UsageError(f"{printable(path)}: {error}") from error
    distances = {name: round(getattr(found.yardstick, name), 3) for name in ("reach", "neighbour", "typical")}
    facts = {
        "nearest_to": path.name,
        "distance_db": round(found.distance, 3),
        "verdict": found.verdict,
        "distances_of_own_sounds_db": distances,
        **({"labels": found.labels} if found.labels else {}),
    }
    identity = [hashlib.sha256(audio.tobytes()).hexdigest(), None if wish is None else dict(wish.shares)]
    return Place(path.stem, found.latent, found.weights, facts, identity, found)


def say_nearness(place: Place) -> str:
    """Lines on how near a place is to the sound by which it was found; empty for other places."""
    if place.inversion is None:
        return ""
    labels = ", ".join(f"{label} {weight:.0%}" for label, weight in place.inversion.labels.items())
    said = printable(f"{place.facts['nearest_to']}: {f'{labels}; ' if labels else ''}{place.inversion.words}") + "\n"
    if place.inversion.verdict == "unlike":
        said += "to get a model that knows such sounds, put fifty or more of them into a folder and run: "
        said += "fauxley train --data FOLDER --run runs/NAME\n"
    return said


def teller(stages: "Stages") -> Callable[[str, int, int], None]:
    """A callback for progress that shows it in `stages`."""

    def tell(what: str, done: int, total: int) -> None:
        if done:
            stages.reach(done, total)
        else:
            stages.begin(what, total)

    return tell


def read_knobs(words: tuple[str, ...]) -> dict[str, float]:
    """Read positions of knobs such as `brighter=0.5`.

    Raises:
        UsageError: a word is not of this form, or a knob occurs twice.
    """
    positions: dict[str, float] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or name in positions or "," in word:
            raise UsageError(f"write each knob once, as in --knob brighter=0.5 longer=-0.3; got {word!r:.60}")
        positions[name] = read_real(value)
    return positions


def read_latents(path: Path) -> NDArray[np.float32]:
    """Read the latents in a .npy file, as float32.

    Raises:
        FauxleyError: it cannot be read, or is not a .npy file of numbers.
        UsageError: it does not exist, or has no rows.
    """
    try:
        # Memory-mapped, so that a header which claims terabytes is an error and not an allocation.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"{printable(path)} does not exist") from error
    except OSError as error:
        raise FauxleyError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # NumPy's parser may raise anything for a file of another kind
        raise FauxleyError(f"{path} is not a .npy file of numbers") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise FauxleyError(f"{path} is not a .npy file of numbers")
    if array.ndim == 2 and not len(array):
        raise UsageError(f"{path} holds no latents: its shape is {array.shape}")
    with np.errstate(over="ignore"):  # too large numbers become infinite, and are refused later
        return array.astype(np.float32)
