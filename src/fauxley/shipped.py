"""Models that ship with fauxley: folders inside the package, found by name, each with a card.

pretrained/NAME/config.json, model.safetensors    the model, as `fauxley.models.synthesizer` describes it
pretrained/NAME/card.json                         what is known of it: data, training, figures, a check
pretrained/NAME/README.md, sheet.png              the same for people, with pictures of sounds
pretrained/NAME/latents                           knobs, distances between its sounds: see `fauxley.latents.work`
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.serialization import from_json, read_versioned, reading

FOLDER = Path(__file__).parent / "pretrained"
CARD_FILE = "card.json"
PAGE_FILE = "README.md"
CARD_VERSION = 1
_MOST_CARD = 1 << 20  # bytes


@dataclass(frozen=True)
class SoundSource:
    """Whose sounds a model learnt from, under which licence, and how many clips of them."""

    attribution: str
    license: str
    clips: int


@dataclass(frozen=True)
class CardFigure:
    """A figure of an evaluation: of the model's sounds, and of real ones that it did not learn from."""

    title: str
    generated: float
    real: float | None


@dataclass(frozen=True)
class CardCheck:
    """A figure that takes seconds to measure again, and the real sounds that it compares with.

    It is the Fréchet distance of mean log-mel spectra, each band taken for a Gaussian of its own.
    """

    count: int
    """Sounds that are made, of the seeds from 0 on, their labels in turn."""
    distance: float
    mean: tuple[float, ...]
    """Of each band, over real sounds that the model did not learn from."""
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class Card:
    """What is known of a model that ships."""

    name: str
    about: str
    license: str
    labels: tuple[str, ...]
    sample_rate: int
    seconds: float
    data: str
    sources: tuple[SoundSource, ...]
    training: str
    figures: tuple[CardFigure, ...]
    """The most telling first."""
    check: CardCheck

    @property
    def headline(self) -> str:
        """The first figure in words."""
        if not self.figures:
            return ""
        first = self.figures[0]
        return f"{first.title} {first.generated:.3g}" + ("" if first.real is None else f" (real {first.real:.3g})")


def shipped_models() -> dict[str, Path]:
    """The folders of the models that ship, by name."""
    found = FOLDER.iterdir() if FOLDER.is_dir() else ()
    return {folder.name: folder for folder in sorted(found) if (folder / CARD_FILE).is_file()}


def find_shipped(path: Path) -> Path | None:
    """The folder of the model that a path names, if it is the bare name of one that ships."""
    return shipped_models().get(str(path))


def hint_at_shipped(path: Path) -> str:
    """What to say to somebody who named a model that is not there: the nearest that ships, and all of them."""
    known = shipped_models()
    if not known:
        return "MODEL is a run folder or a model folder"
    near = difflib.get_close_matches(path.name.lower()[:60], known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}MODEL is a run folder, a model folder, or one that ships: {', '.join(known)}"


def shipped_folder(name: str) -> Path:
    """The folder of a model that ships.

    Raises:
        UsageError: none of this name ships.
    """
    known = shipped_models()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower()[:60], known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"no model {printable(name)[:60]!r} ships; {meant}there are {', '.join(known) or 'none'}")


def read_card(folder: Path) -> Card:
    """The card of a model.

    Raises:
        FauxleyError: it is damaged, or of another version.
    """
    file = folder / CARD_FILE
    content = read_versioned(file, "card", (CARD_VERSION,), _MOST_CARD)
    with reading(f"{file} is not a model's card"):
        card = from_json(content["card"], (Card, SoundSource, CardFigure, CardCheck))
        if not isinstance(card, Card):
            raise FauxleyError(f"it holds a {type(card).__name__}")
        return card
