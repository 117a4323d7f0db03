"""Long work among latents: how its progress is told, how it is called off, and what is kept of it.

What has been found out about a model is kept in the user's cache under the model's checksum. A file there that cannot
be read is as good as none, and so is a cache that cannot be written.
"""

from collections.abc import Callable
from contextlib import suppress

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum
from fauxley.storage import atomic_file
from fauxley.user_cache import cache_folder, writable_folder

CACHE = "latents"
_VERSION = 1  # of all that is kept; rises with the ways in which it is computed


class CalledOffError(FauxleyError):
    """The work was called off by whoever asked for it."""


class Work:
    """Progress and its end.

    Args:
        progress: is told what is being done, and how many steps of how many are done.
        cancelled: asked again and again whether the work is no longer wanted.
    """

    def __init__(
        self,
        progress: Callable[[str, int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._progress, self._cancelled = progress, cancelled
        self._what, self._done, self._total = "", 0, 0

    def begin(self, what: str, total: int) -> None:
        """A stage of so many steps begins."""
        self._what, self._done, self._total = what, 0, total
        self.advance(0)

    def advance(self, steps: int) -> None:
        """So many more steps are done.

        Raises:
            CalledOffError: the work is no longer wanted.
        """
        self._done += steps
        if self._cancelled is not None and self._cancelled():
            raise CalledOffError(f"called off while {self._what}")
        if self._progress is not None:
            self._progress(self._what, self._done, self._total)


def recall(synthesizer: Synthesizer, name: str) -> dict[str, Tensor] | None:
    """What was found out about a model before, named tensors; None if nothing was, or it cannot be read."""
    with suppress(FauxleyError, OSError, SafetensorError):
        return load((cache_folder() / CACHE / _file(synthesizer, name)).read_bytes())
    return None


def kept(synthesizer: Synthesizer, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` finds out about a model, named tensors; from the cache, if it was found out before."""
    known = recall(synthesizer, name)
    if known is not None:
        return known
    found = {key: value.detach().cpu().contiguous() for key, value in make().items()}
    file = _file(synthesizer, name)
    with suppress(FauxleyError, OSError), atomic_file(writable_folder(CACHE) / file, durable=False) as partial:
        partial.write_bytes(save(found))
    return found


def _file(synthesizer: Synthesizer, name: str) -> str:
    return f"{checksum(synthesizer)[:16]}-{name}-{_VERSION}.safetensors"
