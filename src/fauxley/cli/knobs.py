"""`fauxley knobs`: lists a model's knobs and how far they reach."""

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
    """List the knobs of a model (brighter, boomier, longer, noisier, harder, louder) and how far each reaches.

    Knobs are found once, from a few hundred of the model's sounds, and remembered. 'fauxley generate' and
    'fauxley vary' turn them, as in --knob brighter=0.5 longer=-0.3.

    The principal directions have no words: along them the model varies most, in whatever way.

    Example: fauxley knobs runs/mine

    Args:
        model: A run folder (its best checkpoint if one is recorded, otherwise its newest) or a model folder.
        label: For a model with labels: find the knobs for sounds of this label.
        json_file: Write the same, and the directions, to this JSON file.
        device: Device to compute on; auto uses a GPU if there is one.
        quiet: Print no progress.
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
    print("medians of some test sounds; 'works in': share of them that change in the right direction from -1 to 1")
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
