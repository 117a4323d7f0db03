"""`fauxley cache`: shows or empties the caches on this machine."""

import os
from typing import Literal

from fauxley.cli.shared.options import Switch
from fauxley.errors import FauxleyError, printable
from fauxley.machine import format_bytes
from fauxley.user_cache import CACHE_KINDS, cache_folder


def cache(
    clear: Switch = False,
    only: tuple[Literal["datasets", "classifiers", "shards", "measures", "latents"], ...] = (),
) -> None:
    """Show what the caches on this machine hold, where they are, and how large they are; --clear empties them.

    Emptying costs only time: what is needed again is prepared, trained or fetched again. What another process is just
    making is kept, and a training that is reading a dataset from the cache continues.

    For example:

      fauxley cache

      fauxley cache --clear

      fauxley cache --clear --only datasets shards

    Args:
        clear: Empty the caches.
        only: Caches to show or empty; by default all.
    """
    print(printable(cache_folder()) + _origin())
    in_use = []
    for kind in CACHE_KINDS:
        if only and kind.name not in only:
            continue
        count, taken = len(list(kind.entries())), format_bytes(kind.num_bytes())
        print(f"  {kind.name:<12} {count:>6} {taken:>10}   {kind.purpose}")
        if clear:
            in_use += kind.clear()
    if in_use:
        names = ", ".join(printable(entry.name) for entry in in_use[:5])
        raise FauxleyError(f"not removed, {len(in_use)} in use or not ours to remove: {names}")
    print("emptied" if clear else "'fauxley cache --clear' empties it; FAUXLEY_CACHE_DIR moves it")


def _origin() -> str:
    return "  (by FAUXLEY_CACHE_DIR)" if os.environ.get("FAUXLEY_CACHE_DIR") else ""
