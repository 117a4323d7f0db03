"""`fauxley models`: lists the models that ship, and shows their cards."""

import shutil
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from fauxley.cli.shared.options import check_new
from fauxley.errors import UsageError, printable
from fauxley.machine import format_bytes
from fauxley.shipped import PAGE_FILE, read_card, shipped_folder, shipped_models
from fauxley.storage import atomic_folder
from fauxley.terminal.formatting import output_console

_LISTED = 6  # labels


def models(
    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None,
    out: Path | None = None,
) -> None:
    """List the models that ship with fauxley, show the card of one, or copy it.

    Their names can be given wherever a command takes a MODEL. No network is needed.

    For example:

      fauxley models

      fauxley models drums

      fauxley models drums --out my-drums

      fauxley generate drums --label kick --out kicks

    Args:
        name: Model whose card to show: what it was trained on, under which licences, and its figures.
        out: Copy the model and its card into this new folder.
    """
    if name is None:
        if out is not None:
            raise UsageError("--out copies one model; name it, as in: fauxley models drums --out my-drums")
        _list()
        return
    folder = shipped_folder(name)
    if out is None:
        print((folder / PAGE_FILE).read_text(encoding="utf-8").rstrip())
        return
    check_new(out)
    with atomic_folder(out) as partial:
        shutil.copytree(folder, partial, dirs_exist_ok=True, copy_function=shutil.copyfile)
    print(f"{name} is in {printable(out)}, with its card: {printable(out / PAGE_FILE)}")


def _list() -> None:
    known = shipped_models()
    if not known:
        print("no models ship with this installation; 'fauxley train' makes one of your sounds")
        return
    console = output_console()
    table = Table(box=None, pad_edge=False)
    for title in ("model", "labels", "rate", "seconds", "size", "licence", "figure"):
        table.add_column(title, justify="right" if title in ("rate", "seconds", "size") else "left")
    for name, folder in known.items():
        card = read_card(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        table.add_row(
            *(name, _shortened(card.labels), f"{card.sample_rate} Hz", f"{card.seconds:.2f}"),
            *(format_bytes(size), card.license, card.headline),
        )
    console.print(table)
    first = next(iter(known))
    print(f"\n'fauxley models {first}' shows a card; 'fauxley generate {first} --out new-sounds' makes sounds")


def _shortened(labels: tuple[str, ...]) -> str:
    more = len(labels) - _LISTED
    return ", ".join(labels[:_LISTED]) + (f" and {more} more" if more > 0 else "") or "none"
