"""Importing much at once, quickly."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Keep the garbage collector away from modules: while they are imported, from then on, and when the process ends.

    PyTorch makes a quarter of a million objects that stay. The collector would go through them every time their number
    has grown by a quarter, and twice at the end, and find nothing: a third of the time that importing PyTorch takes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
