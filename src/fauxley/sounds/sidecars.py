"""Sidecars: the JSON file beside a sound that says how it was made, which `fauxley generate` and others write."""

from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError, printable
from fauxley.serialization import parse_json, read_file, reading

_MOST_BYTES = 1 << 20


def read_sidecar(sound: Path) -> dict[str, Any]:
    """Read the facts beside a sound, in a JSON file of its name; empty if there is none.

    Raises:
        FauxleyError: the file cannot be read.
    """
    file = sound.with_suffix(".json")
    if not file.is_file():
        return {}
    with reading(f"{printable(file)} cannot be read"):
        facts = parse_json(read_file(file, _MOST_BYTES))
    return facts if isinstance(facts, dict) else {}


def facts_beside(sound: Path) -> dict[str, Any]:
    """Read the facts beside a sound; empty if there are none that can be read."""
    try:
        return read_sidecar(sound)
    except (FauxleyError, OSError):
        return {}
