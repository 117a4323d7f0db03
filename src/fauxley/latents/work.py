"""Long work on latents: its progress, its cancellation, and a cache of its results.

Results about a model are kept in the user's cache under the model's checksum; models that ship bring the most useful of
them along, in `pretrained/NAME/latents`. A file that cannot be read, or a cache that cannot be written, counts as no
cache.
"""

from collections.abc import Callable
from contextlib import suppress

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum
from fauxley.shipped import FOLDER
from fauxley.storage import atomic_file
from fauxley.user_cache import cache_folder, writable_folder

CACHE = "latents"
_VERSION = 2  # of everything in the cache; raised when the way to compute something changes


class CalledOffError(FauxleyError):
    """The work was cancelled by its caller."""


class Work:
    """Progress and cancellation of some work.

    Args:
        progress: is called with what is being done, and the numbers of steps done and to do.
        cancelled: is called repeatedly; if it returns True, the work ends.
    """

    def __init__(
        self,
        progress: Callable[[str, int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._progress, self._cancelled = progress, cancelled
        self._what, self._done, self._total = "", 0, 0

    def begin(self, what: str, total: int) -> None:
        """Begin a stage of `total` steps."""
        self._what, self._done, self._total = what, 0, total
        self.advance(0)

    def advance(self, steps: int) -> None:
        """Report that `steps` more steps are done.

        Raises:
            CalledOffError: the work was cancelled.
        """
        self._done += steps
        if self._cancelled is not None and self._cancelled():
            raise CalledOffError(f"cancelled while {self._what}")
        if self._progress is not None:
            self._progress(self._what, self._done, self._total)


def recall(synthesizer: Synthesizer, name: str) -> dict[str, Tensor] | None:
    """Return what was computed about a model before, as named tensors; None if nothing was, or it cannot be read."""
    file = file_name(synthesizer, name)
    for path in (cache_folder() / CACHE / file, *FOLDER.glob(f"*/{CACHE}/{file}")):
        with suppress(FauxleyError, OSError, SafetensorError):
            return load(path.read_bytes())
    return None


def kept(synthesizer: Synthesizer, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return what `make` computes about a model, as named tensors; from the cache if it was computed before."""
    known = recall(synthesizer, name)
    if known is not None:
        return known
    found = {key: value.detach().cpu().contiguous() for key, value in make().items()}
    file = file_name(synthesizer, name)
    with suppress(FauxleyError, OSError), atomic_file(writable_folder(CACHE) / file, durable=False) as partial:
        partial.write_bytes(save(found))
    return found


def file_name(synthesizer: Synthesizer, name: str) -> str:
    """The name of the file with what was computed about a model under a name."""
    return f"{checksum(synthesizer)[:16]}-{name}-{_VERSION}.safetensors"
