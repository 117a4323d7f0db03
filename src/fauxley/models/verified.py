"""Loading a model in another process, with a check that it is the same model."""

import hashlib
from functools import lru_cache
from pathlib import Path

from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer


def checksum(synthesizer: Synthesizer) -> str:
    """The SHA-256 of a model's sizes and weights, independent of its folder."""
    digest = hashlib.sha256(repr((synthesizer.architecture, synthesizer.sample_rate)).encode())
    for module in (synthesizer.generator, synthesizer.representation):
        for name, value in module.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def load_verified(model: Path, sha256: str) -> Synthesizer:
    """Load the model in a folder, once in each process.

    Raises:
        FauxleyError: its checksum is not `sha256`.
    """
    synthesizer = Synthesizer.from_pretrained(model)
    if checksum(synthesizer) != sha256:
        raise FauxleyError(
            f"{model} has changed, or is another model on a worker; give the folder of a checkpoint or of a model"
        )
    return synthesizer
