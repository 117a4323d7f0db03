"""Kits for samplers out of the sounds on pads: each with variations that sound in turn, as an archive of its folder."""

import tempfile
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from fauxley.export.kit import KitFormat, Layer, OneShot, Variations, make_kit
from fauxley.export.kit_formats import write_kit
from fauxley.export.kit_sources import layered
from fauxley.export.shaping import Shaping
from fauxley.studio.instruments import Float
from fauxley.studio.wire import SoundFacts


def takes_of(name: str, clips: Float, sample_rate: int, facts: SoundFacts, variations: Variations) -> list[Layer]:
    """The layers of a sound, the softest first, of itself and variations of it, (N, C, T)."""
    shots = [
        OneShot(
            clip,
            sample_rate,
            name or "sound",
            max(facts.labels, key=facts.labels.__getitem__, default=""),
            np.array(facts.latent, np.float32) if facts.latent and not place else None,
            None,
            None if place else facts.seed,
            facts.model_name,
            facts.license,
        )
        for place, clip in enumerate(clips)
    ]
    return layered(shots, variations.takes, variations.layers) if len(shots) > 1 else [shots]


def kit_archive(
    name: str, kind: KitFormat, pads: Sequence[Sequence[Layer]], shapings: Sequence[Shaping], about: dict[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a zip file of a kit, and the names of sounds that are silent and not in it.

    Raises:
        UsageError: the sounds are of several sample rates.
        FauxleyError: all of them are silent.
    """
    kit = make_kit(name, pads, about, shapings)
    encoded = BytesIO()
    with tempfile.TemporaryDirectory(prefix="fauxley-") as folder:
        whole = Path(folder) / "kit"
        write_kit(kit, kind, whole)
        with zipfile.ZipFile(encoded, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(whole.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(whole).as_posix())
    return encoded.getvalue(), kit.left_out
