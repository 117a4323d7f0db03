"""The sounds of a kit: from a model, or from a folder of sounds that were made and chosen.

Takes of a sound are variations, sounds of latents near its own. If enough of them are darker or brighter, they become
layers, because a drum that is struck harder sounds brighter, too. If a model's variations hardly differ, there is one
layer, and the sampler makes soft notes by level alone.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.export.general_midi import drum_keys
from fauxley.export.kit import Layer, OneShot, Variations
from fauxley.latents.moves import vary
from fauxley.machine import in_memory
from fauxley.models.synthesizer import Synthesizer
from fauxley.rendering.batches import SoundRequest, require_finite
from fauxley.rendering.resuming import LISTING_FILE
from fauxley.serialization import parse_json, read_file, reading
from fauxley.sounds.catalogue import Sound, list_sounds
from fauxley.sounds.reading import AudioFileError, probe, read_audio
from fauxley.sounds.sidecars import read_sidecar

_LONGEST_SECONDS = 60.0  # of a sound on a pad
_MOST_LISTING = 1 << 30  # bytes of sounds.jsonl
_BRIGHTER = 1.1  # ratio of spectral centroids between layers; a smaller one is hardly heard

Advance = Callable[[int], object]
"""Is called with the number of sounds just made."""


def sounds_of_model(
    synthesizer: Synthesizer,
    model: str,
    requests: Iterable[SoundRequest],
    variations: Variations,
    advance: Advance = lambda _: None,
) -> list[list[Layer]]:
    """The layers of the sound of each request, the softest first.

    Args:
        model: its name, for the kit's card.
        advance: is called with the number of sounds just made.
    """
    pads = []
    for request in requests:
        head = OneShot(
            np.zeros((1, 0), np.float32),
            synthesizer.sample_rate,
            request.name,
            str(request.facts.get("label", "")) or "+".join(request.facts.get("labels", ())),
            request.latent.numpy(),
            request.labels.numpy(),
            request.facts.get("seed"),
            model,
            synthesizer.provenance.license,
        )
        pads.append(_layers(synthesizer, head, variations, advance))
    return pads


def sounds_of_folder(
    folder: Path, synthesizer: Synthesizer | None, variations: Variations, advance: Advance = lambda _: None
) -> list[list[Layer]]:
    """The layers of each sound of a folder, the softest first. A file that cannot be read is left out with a warning.

    Args:
        folder: of any sounds. Latents come from what fauxley writes beside sounds: a .json for each, or sounds.jsonl.
        synthesizer: the model that made the sounds, which makes variations; without it each sound is its only take.

    Raises:
        UsageError: there is no folder, or it has more sounds than there are keys.
        FauxleyError: no sound can be read, or the latent of a sound is unusable.
    """
    found = list_sounds(folder)
    if not found.sounds:
        raise FauxleyError(f"no sounds in {printable(folder)} can be used")
    if len(found.sounds) > 128:
        raise UsageError(
            f"{printable(folder)} holds {len(found.sounds)} sounds, and a keyboard has 128 keys; keep fewer"
        )
    listing = _listing(folder)
    pads: list[list[Layer]] = []
    for sound in found.sounds:
        facts = listing.get(sound.file) or read_sidecar(folder / sound.file)
        try:
            shot = _read(folder / sound.file, sound, facts)
        except AudioFileError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        if synthesizer is None or shot.latent is None:
            pads.append([[shot]])
            advance(1)
            continue
        if len(shot.latent) != synthesizer.architecture.latent_size:
            raise FauxleyError(f"{printable(sound.file)} was made by another model: its latent has another size")
        weights = synthesizer.label_weights(_labels(facts) if synthesizer.labels else None, 1)[0].numpy()
        pads.append(_layers(synthesizer, replace(shot, label_weights=weights), variations, advance))
    if not pads:
        raise FauxleyError(f"no sounds in {printable(folder)} can be read")
    return pads


def _read(path: Path, sound: Sound, facts: Mapping[str, Any]) -> OneShot:
    info = probe(path)
    audio = read_audio(path, longest=round(_LONGEST_SECONDS * info.sample_rate))
    if not audio.size:
        raise AudioFileError(path, "holds no samples")
    latent, seed, told = facts.get("latent"), facts.get("seed"), facts.get("label")
    return OneShot(
        audio,
        info.sample_rate,
        path.stem,
        sound.label or (told if isinstance(told, str) else "") or _label_in(path.stem),
        _latent(latent, sound.file) if latent is not None else None,
        None,
        seed if isinstance(seed, int) else None,
        Path(str(facts.get("model", ""))[:200]).name,
        sound.license or str(facts.get("license_of_training_data", ""))[:200],
    )


def _labels(facts: Mapping[str, Any]) -> str | dict[str, float]:
    """The labels of a sound, from what is written beside it.

    Raises:
        FauxleyError: they are not written there.
    """
    label, labels = facts.get("label"), facts.get("labels")
    if isinstance(label, str):
        return label
    if isinstance(labels, dict) and all(isinstance(share, (int, float)) for share in labels.values()):
        return labels
    raise FauxleyError("without a label written beside a sound this model cannot make variations of it")


def _label_in(stem: str) -> str:
    """The label in a name such as `open-hat-0007`, if it is a drum with a key of its own."""
    words = " ".join(re.findall(r"[A-Za-z]+", stem))
    return words if drum_keys(words) else ""


def _latent(value: Any, name: str) -> NDArray[np.float32]:
    with reading(f"what is written beside {printable(name)} cannot be used"):
        latent = np.asarray(value, np.float32)
        if latent.ndim != 1 or not np.isfinite(latent).all():
            raise FauxleyError("its latent is not a list of finite numbers")
        return latent


def _listing(folder: Path) -> dict[str, dict[str, Any]]:
    """The lines of sounds.jsonl, by file; damaged lines are ignored."""
    path = folder / LISTING_FILE
    if not path.is_file():
        return {}
    found = {}
    for line in read_file(path, _MOST_LISTING).splitlines():
        try:
            facts = parse_json(line)
        except FauxleyError:
            continue
        if isinstance(facts, dict) and isinstance(facts.get("file"), str):
            found[facts["file"]] = facts
    return found


def _layers(synthesizer: Synthesizer, head: OneShot, variations: Variations, advance: Advance) -> list[Layer]:
    """The layers of a sound, made of variations of `head`, which has a latent."""
    assert head.latent is not None
    latent = torch.from_numpy(head.latent)
    latents = torch.cat([latent[None], vary(latent.clamp(-1, 1), variations.sounds - 1, variations.radius)]).numpy()
    with in_memory("ask for fewer takes or layers"):
        labels = None if head.label_weights is None else np.tile(head.label_weights, (len(latents), 1))
        clips = synthesizer.generate(latents=latents, labels=labels).numpy()
    require_finite(clips)
    advance(len(clips))
    shots = [
        replace(head, audio=clip, latent=latent, seed=head.seed if place == 0 else None)
        for place, (clip, latent) in enumerate(zip(clips, latents, strict=True))
    ]
    return layered(shots, variations.takes, variations.layers)


def layered(shots: Sequence[OneShot], takes: int, layers: int) -> list[Layer]:
    """Arrange a sound and its variations in layers by brightness, the darkest first.

    Args:
        shots: the sound itself first; each layer gets `takes` of them. The sound itself comes first in the layer whose
            brightness is nearest to its own.
        layers: the most layers; there are fewer if one would not be clearly brighter than the one below it.
    """
    first, *others = shots
    home_level = _brightness(first)
    ranked = sorted(((_brightness(shot), shot) for shot in others), key=itemgetter(0))
    for number in range(layers, 1, -1):
        starts = [round(place * (len(ranked) - takes) / (number - 1)) for place in range(number)]
        parts = [ranked[start : start + takes] for start in starts]
        levels = [float(np.mean([level for level, _ in part])) for part in parts]
        if all(brighter >= _BRIGHTER * darker for darker, brighter in pairwise(levels)):
            found = [[shot for _, shot in part] for part in parts]
            home = int(np.argmin([abs(level - home_level) for level in levels]))
            found[home] = [first, *found[home][: takes - 1]]
            return list(found)
    return [[first, *others[: takes - 1]]]


def _brightness(shot: OneShot) -> float:
    """The centroid of a sound's power spectrum, in Hz."""
    power = np.square(np.abs(np.fft.rfft(shot.audio.mean(axis=0)))).astype(np.float64)
    hertz = np.fft.rfftfreq(shot.audio.shape[1], 1 / shot.sample_rate)
    return float((power * hertz).sum() / max(power.sum(), 1e-30))
