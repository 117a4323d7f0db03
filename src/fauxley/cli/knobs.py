"""`fauxley knobs`: what a model's sounds can be turned to, in a player's words, and how far."""

import json
from pathlib import Path

from fauxley.cli.shared.options import Model, Switch
from fauxley.cli.shared.places import teller
from fauxley.machine import Device, choose_device, importing, keep_freed_memory


def knobs(
    model: Model,
    label: str | None = None,
    json_file: Path | None = None,
    device: Device = "auto",
    quiet: Switch = False,
) -> None:
    """Tell the knobs of a model: brighter, boomier, longer, noisier, harder, louder, and what each can reach.

    They are found once, by listening to a few hundred of the model's sounds, and remembered. Then
    'fauxley generate' and 'fauxley vary' take them, as in --knob brighter=0.5 longer=-0.3.

    The principal directions after them have no words: they are what the model itself varies most, and may be anything.

    Example: fauxley knobs runs/mine

    Args:
        model: A run folder (its best checkpoint if one is recorded, else its newest) or a model folder.
        label: For a model that has learnt labels: knobs of such sounds alone.
        json_file: Write the same as JSON, directions included.
        device: Where to compute; auto takes a GPU if there is one.
        quiet: No progress.
    """
    keep_freed_memory()
    with importing():
        from rich.table import Table

        from fauxley.cli.shared.wishes import read_wishes
        from fauxley.latents.directions import Directions
        from fauxley.models.synthesizer import Synthesizer
        from fauxley.storage import atomic_file, check_file_place
        from fauxley.terminal.formatting import output_console
        from fauxley.terminal.progress import Stages

    if json_file is not None:
        check_file_place(json_file)
    synthesizer = Synthesizer.from_pretrained(model, choose_device(device))
    wishes = read_wishes([label], synthesizer.labels) if label is not None else ()
    with Stages(quiet) as stages:
        shares = wishes[0].shares if len(wishes) == 1 else None
        found = Directions.fit(synthesizer, shares, progress=teller(stages)).knobs
    table = Table(box=None, pad_edge=False)
    for title in ("knob", "changes", "at -1", "at 0", "at 1", "works in"):
        table.add_column(title, justify="left" if title in ("knob", "changes") else "right")
    for knob in found.values():
        if knob.changes is None:
            table.add_row(knob.name, f"{knob.variance:.0%} of what varies early in the model", "", "", "", "")
        else:
            what, show = _SHOWN[knob.changes]
            table.add_row(knob.name, what, *map(show, (knob.low, knob.middle, knob.high)), f"{knob.works:.0%}")
    output_console().print(table)
    print("medians of some fresh sounds; 'works in': share of them that the knob turns the right way from -1 to 1")
    if json_file is not None:
        content = {
            knob.name: {
                **({} if knob.changes is None else {"property": knob.changes, "works": knob.works}),
                **({} if knob.changes is None else {"low": knob.low, "middle": knob.middle, "high": knob.high}),
                **({"variance": knob.variance} if knob.changes is None else {}),
                "direction": knob.direction.tolist(),
            }
            for knob in found.values()
        }
        with atomic_file(json_file) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_SHOWN = {
    "brightness": ("centre of the spectrum", lambda value: f"{value:,.0f} Hz"),
    "lowness": ("energy below 150 Hz", lambda value: f"{value:.0%}"),
    "length": ("length, to -40 dB", lambda value: f"{1000 * value:,.0f} ms"),
    "noisiness": ("noise (1) or tone (0)", lambda value: f"{value:.2f}"),
    "attack": ("rise of the attack", lambda value: f"{1000 * value:,.1f} ms"),
    "loudness": ("loudness", lambda value: f"{value:.1f} LKFS"),
}
