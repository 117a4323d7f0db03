"""Keys for drums: General MIDI's percussion key map (level 1, table 3), looked up by the words of a label.

Labels are free text, such as `hat_closed`, `ClosedHH`, `Bass Drum 2`. Their words are compared in any order, case or
number.
"""

import re
from collections.abc import Iterable, Sequence

from fauxley.errors import UsageError

LOWEST_PAD = 36
"""The first key of the pads of drum machines and samplers: C1, where middle C is C3."""
HATS = "hats"
_KEYS = 128

# A row matches a label that contains all its words; the first match counts. Keys are in the order in which to use them.
_ROWS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("hat", "pedal"), (44,)),
    (("hat", "foot"), (44,)),
    (("hat", "open"), (46,)),
    (("hat",), (42,)),
    (("kick",), (36, 35)),
    (("bass", "drum"), (36, 35)),
    (("rim",), (37,)),
    (("stick",), (37,)),
    (("snare",), (38, 40)),
    (("clap",), (39,)),
    (("tom", "floor"), (41, 43)),
    (("tom", "low"), (41, 43, 45)),
    (("tom", "mid"), (47, 48, 45)),
    (("tom", "high"), (50, 48)),
    (("tom",), (45, 47, 48, 50, 43, 41)),
    (("ride", "bell"), (53,)),
    (("ride",), (51, 59)),
    (("crash",), (49, 57)),
    (("china",), (52,)),
    (("splash",), (55,)),
    (("cymbal",), (49, 57)),
    (("tambourine",), (54,)),
    (("cowbell",), (56,)),
    (("bongo",), (60, 61)),
    (("conga",), (62, 63, 64)),
    (("timbale",), (65, 66)),
    (("agogo",), (67, 68)),
    (("cabasa",), (69,)),
    (("maraca",), (70,)),
    (("shaker",), (70,)),
    (("whistle",), (71, 72)),
    (("guiro",), (73, 74)),
    (("clave",), (75,)),
    (("block",), (76, 77)),
    (("cuica",), (78, 79)),
    (("triangle",), (81, 80)),
)
_SAME = {
    "hihat": "hat",
    "hh": "hat",
    "chh": "hat",
    "closedhat": "hat",
    "ohh": "open hat",
    "openhat": "open hat",
    "bd": "kick",
    "kickdrum": "kick",
    "bassdrum": "kick",
    "sd": "snare",
    "snaredrum": "snare",
    "rimshot": "rim",
    "hi": "high",
    "lo": "low",
    "middle": "mid",
}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def drum_keys(label: str) -> tuple[int, ...]:
    """General MIDI's keys for a label, the best first; empty if it has no such drum."""
    words = _words(label)
    return next((keys for row, keys in _ROWS if words.issuperset(row)), ())


def is_hat(label: str) -> bool:
    """Whether a label is that of a hi-hat. A drummer has only one, so each of its sounds ends the others."""
    return "hat" in _words(label)


def assign_keys(labels: Sequence[str]) -> list[int]:
    """Assign a different key to each of the sounds with these labels.

    Drums come first, on their own keys as long as those are free. The others get the lowest free keys from C1 up, then
    keys below C1.

    Raises:
        UsageError: there are more sounds than keys.
    """
    if len(labels) > _KEYS:
        raise UsageError(f"a keyboard has {_KEYS} keys; {len(labels)} sounds are too many for one kit")
    keys: dict[int, int] = {}
    taken: set[int] = set()
    for place, label in enumerate(labels):
        if (key := _first_free(drum_keys(label), taken)) is not None:
            keys[place] = key
            taken.add(key)
    others = (*range(LOWEST_PAD, _KEYS), *reversed(range(LOWEST_PAD)))
    for place in range(len(labels)):
        if place not in keys and (key := _first_free(others, taken)) is not None:
            keys[place] = key
            taken.add(key)
    return [keys[place] for place in range(len(labels))]


def key_name(key: int) -> str:
    """The name of a key, such as `F#1`; middle C, key 60, is C3, as in most samplers."""
    return f"{_NAMES[key % 12]}{key // 12 - 2}"


def _first_free(keys: Iterable[int], taken: set[int]) -> int | None:
    return next((key for key in keys if key not in taken), None)


def _words(label: str) -> frozenset[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower().replace("hi-hat", "hat").replace("hi hat", "hat")
    words = (re.sub(r"(?<=[a-z]{2})(?<!s)s$", "", word) for word in re.findall(r"[a-z]+", spaced))
    return frozenset(part for word in words for part in _SAME.get(word, word).split())
