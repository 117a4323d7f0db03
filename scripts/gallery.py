"""The gallery of the documentation: sounds of several sources side by side, a row for each label, to look at and play.

    python scripts/gallery.py "Real=build/pretrained/drums/test" "wavegan, 60 minutes=runs/wavegan" \
        "default, 60 minutes=runs/default" --title "Drums, 44.1 kHz"

A source is a title and, behind an equals sign, a run, a model, one that ships, or a folder of real sounds with labels.
Writes docs/gallery.md and docs/gallery/, small enough for a repository: Ogg Vorbis, pictures in few colours; and
docs/images/gallery.png, a row for each source, for the readme.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from PIL import Image

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.sheet import write_sheet
from fauxley.runs import names_model
from fauxley.sounds.catalogue import list_sounds
from fauxley.sounds.reading import probe, read_audio
from fauxley.sounds.writing import write_audio

DOCS = Path(__file__).parents[1] / "docs"
_LABELLESS = "no label"
_MOST_BYTES = 1_500_000  # of all its files
_LONGEST = 2.0  # seconds of a real sound


class Example(NamedTuple):
    """A sound (C, T)."""

    audio: NDArray[np.float32]
    sample_rate: int


class Source(NamedTuple):
    """What stands in a column: a title, and sounds by label."""

    title: str
    sounds: Mapping[str, Sequence[Example]]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="TITLE=PATH")
    parser.add_argument("--title", default="Gallery", help="of the page")
    parser.add_argument(
        "--words", default="", help="a paragraph below the title: how long each was trained, and on what"
    )
    parser.add_argument("--count", type=int, default=2, help="sounds of each label and source")
    parser.add_argument("--labels", nargs="*", default=[], help="only these")
    parser.add_argument("--seed", type=int, default=0, help="of the first sound")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for gallery.md and gallery/")
    given = parser.parse_args()
    try:
        sources = [open_source(text, given.count, given.seed) for text in given.sources]
        size = write_gallery(given.out, given.title, given.words, sources, given.labels)
    except FauxleyError as error:
        sys.exit(f"gallery: {error}")
    print(f"{given.out / 'gallery.md'}: {size / 1e6:.2f} MB with its sounds and pictures")
    if size > _MOST_BYTES:
        sys.exit(f"gallery: that is more than {_MOST_BYTES / 1e6:g} MB; give a lower --count or fewer --labels")


def open_source(text: str, count: int, seed: int) -> Source:
    """The sounds of `TITLE=PATH`: generated, or of a folder the first ones of each label."""
    title, equals, place = text.partition("=")
    if not equals or not title or not place:
        raise UsageError(f"{text!r} is no source; write one as in 'default, 60 minutes=runs/default'")
    path = Path(place)
    return Source(title, generated(path, count, seed) if names_model(path) else real(path, count))


def generated(model: Path, count: int, seed: int) -> dict[str, list[Example]]:
    """Sounds of a model, `count` of each label that it knows, as they come: nothing is chosen."""
    synthesizer = Synthesizer.from_pretrained(model)
    found = {}
    for label in synthesizer.labels or (_LABELLESS,):
        sounds = synthesizer.generate(count, seed, labels=label if synthesizer.labels else None).numpy()
        found[label] = [Example(audio, synthesizer.sample_rate) for audio in sounds]
    return found


def real(folder: Path, count: int) -> dict[str, list[Example]]:
    """The first sounds of each label in a folder, scaled to a peak of 1, as those that a model learns are."""
    found: dict[str, list[Example]] = {}
    for sound in list_sounds(folder).sounds:
        row = found.setdefault(sound.label or _LABELLESS, [])
        if len(row) < count:
            rate = probe(folder / sound.file).sample_rate
            audio = read_audio(folder / sound.file, longest=round(_LONGEST * rate))
            row.append(Example((audio / max(float(np.abs(audio).max()), 1e-9)).astype(np.float32), rate))
    return found


def write_gallery(out: Path, title: str, words: str, sources: Sequence[Source], labels: Sequence[str]) -> int:
    """Write the page with its sounds and pictures; return how many bytes they have.

    Raises:
        UsageError: no source has a sound.
    """
    known = labels or sorted({label for source in sources for label in source.sounds})
    rows = {label: [each.sounds.get(label, ()) for each in sources] for label in known}
    rows = {label: row for label, row in rows.items() if any(row)}
    if not rows:
        raise UsageError("there are no sounds to be shown")
    folder = out / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.ogg"), *folder.glob("*.png")):
        old.unlink()
    sections = [_section(folder, label, row, sources) for label, row in rows.items()]
    _overview(out / "images" / "gallery.png", rows, sources)
    page = "\n\n".join([f"# {title}", *([words] if words else []), _HOW, *sections]) + "\n"
    (out / "gallery.md").write_text(page, encoding="utf-8")
    return len(page.encode()) + sum(file.stat().st_size for file in folder.iterdir())


_HOW = "Sounds of models are those of the first seeds, as they come: none was chosen. `make gallery` writes this page."


def _section(folder: Path, label: str, row: Sequence[Sequence[Example]], sources: Sequence[Source]) -> str:
    """A label's table: players above one another, and a picture of all in the same order."""
    word = re.sub(r"\W+", "-", label).strip("-") or "sounds"
    shown = [(source.title, sounds) for source, sounds in zip(sources, row, strict=True) if sounds]
    cells = []
    for column, (_, sounds) in enumerate(shown):
        players = []
        for number, sound in enumerate(sounds):
            file = folder / f"{word}-{column}-{number}.ogg"
            write_audio(file, sound.audio, sound.sample_rate, "VORBIS")
            players.append(f'<audio controls preload="none" src="gallery/{file.name}"></audio>')
        cells.append("<br>".join(players))
    _draw(folder / f"{word}.png", dict(shown))
    return f"""## {label}

| {" | ".join(escape(title) for title, _ in shown)} |
|{"---|" * len(shown)}
| {" | ".join(cells)} |

![{label}: spectrograms of these sounds, in this order](gallery/{word}.png)"""


def _overview(path: Path, rows: Mapping[str, Sequence[Sequence[Example]]], sources: Sequence[Source]) -> None:
    """The picture for the readme: a row for each source, its first sound of each label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = [label for label, row in rows.items() if all(row)]
    firsts = {source.title: [rows[label][place][0] for label in labels] for place, source in enumerate(sources)}
    if labels:
        _draw(path, firsts, len(labels), dict.fromkeys(firsts, labels))


def _draw(
    path: Path,
    rows: Mapping[str, Sequence[Example]],
    columns: int = 4,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """One picture of all sounds, as long as the longest and at the rate of the first."""
    rate = next(iter(rows.values()))[0].sample_rate
    mono = {title: [_mono(sound, rate) for sound in sounds] for title, sounds in rows.items()}
    longest = max(len(audio) for sounds in mono.values() for audio in sounds)
    clips = {
        title: np.stack([np.pad(audio, (0, longest - len(audio)))[None] for audio in sounds])
        for title, sounds in mono.items()
    }
    write_sheet(path, clips, rate, columns=columns, captions=captions)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(24)
    small.save(path, optimize=True)


def _mono(sound: Example, sample_rate: int) -> NDArray[np.float32]:
    audio = sound.audio.mean(0)
    if sound.sample_rate != sample_rate:
        audio = soxr.resample(audio, sound.sample_rate, sample_rate)
    return np.asarray(audio, np.float32)


if __name__ == "__main__":
    main()
