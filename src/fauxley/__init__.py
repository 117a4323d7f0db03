"""fauxley learns a kind of sound from a folder of examples and then makes endless new ones.

    import fauxley

    sounds = fauxley.load("runs/kicks").generate(8, seed=0)   # (8, C, T) float32 in [-1, 1]

What needs PyTorch is imported when it is first used, so that `import fauxley` and the command's help cost nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fauxley.dataset.dataset import Dataset
    from fauxley.models.synthesizer import Synthesizer, load
    from fauxley.sounds.writing import write_audio

__version__ = "0.1.0"

__all__ = ["Dataset", "Synthesizer", "__version__", "load", "write_audio"]

_HOMES = {
    "Dataset": "fauxley.dataset.dataset",
    "Synthesizer": "fauxley.models.synthesizer",
    "load": "fauxley.models.synthesizer",
    "write_audio": "fauxley.sounds.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fauxley' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
