"""A model as another process loads it: from the same folder, and of the same numbers."""

import hashlib
from functools import lru_cache
from pathlib import Path

from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer


def checksum(synthesizer: Synthesizer) -> str:
    """SHA-256 of all numbers of a model, in whatever folder it is."""
    digest = hashlib.sha256(repr((synthesizer.architecture, synthesizer.sample_rate)).encode())
    for module in (synthesizer.generator, synthesizer.representation):
        for name, value in module.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def load_verified(model: Path, sha256: str) -> Synthesizer:
    """The model in a folder, read once in each process.

    Raises:
        FauxleyError: its checksum is another.
    """
    synthesizer = Synthesizer.from_pretrained(model)
    if checksum(synthesizer) != sha256:
        raise FauxleyError(
            f"{model} is another model on a worker, or has changed; give a checkpoint's or model's folder"
        )
    return synthesizer
