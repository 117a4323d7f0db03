"""Formats of kits: SFZ, DecentSampler, or numbered folders with a table of keys.

- SFZ (sfzformat.com): with `seq_length` and `seq_position` takes are played in turn. (A random choice by `lorand` would
  make some players play several at once.) `hint_ram_based` loads short sounds completely, so that none ends early on a
  slow disk.
- DecentSampler (its developers' guide, "the groups element"): `seqMode`, `seqLength` and `seqPosition` do the same.
  Without `seqMode`, whose default is `always`, all takes would sound at once, so every group has it. A sample stops
  when the key is released; a long release lets it end by itself.

Everything in a kit is in one folder, with relative names, so that the folder can be moved.
"""

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fauxley.export.general_midi import key_name
from fauxley.export.kit import Kit, KitFormat, OneShot, Pad, Zone
from fauxley.export.shaping import Shaping
from fauxley.sounds.writing import write_audio
from fauxley.storage import atomic_folder

_SAMPLES = "samples"
_RELEASE_SECONDS = 60.0  # longer than any sound, so it ends before it has faded
_CEILING = 10 ** (-1 / 20)


def write_kit(kit: Kit, kind: KitFormat, out: Path) -> None:
    """Write a kit to a new folder, completely or not at all.

    Raises:
        FileExistsError: the folder is not empty.
    """
    with atomic_folder(out) as partial:
        for pad in kit.pads:
            for zone in pad.zones:
                for take, file in zip(zone.takes, zone.files, strict=True):
                    path = partial / _SAMPLES / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_audio(path, take.audio, take.sample_rate, "PCM_24", ceiling=_CEILING)
        name, content = _FORMATS[kind](kit)
        texts = {name: content, "README.md": _card(kit), "LICENSE.txt": _license(kit), "kit.json": _facts(kit)}
        for file, text in texts.items():
            (partial / file).write_text(text, encoding="utf-8", newline="\n")


def _sfz(kit: Kit) -> tuple[str, str]:
    lines = [
        f"// {_one_line(kit.name)}",
        f"<control> default_path={_SAMPLES}/ hint_ram_based=1",
        "<global> loop_mode=one_shot amp_veltrack=100",
    ]
    groups = {
        choke: number for number, choke in enumerate(dict.fromkeys(pad.choke for pad in kit.pads if pad.choke), 1)
    }
    for pad, zone in _zones(kit):
        group = groups.get(pad.choke)
        choke = f"group={group} off_by={group} off_mode=fast " if group else ""
        lines += [
            f"\n// {pad.name}",
            f"<group> key={pad.key} lovel={zone.lowest} hivel={zone.highest} {choke}seq_length={len(zone.files)}",
        ]
        lines += [f"<region> seq_position={turn} sample={file}" for turn, file in enumerate(zone.files, 1)]
    return "kit.sfz", "\n".join(lines) + "\n"


def _decentsampler(kit: Kit) -> tuple[str, str]:
    root = ET.Element("DecentSampler", minVersion="1.0.0")
    groups = ET.SubElement(root, "groups", attack="0", decay="0", sustain="1", release=f"{_RELEASE_SECONDS:g}")
    groups.set("releaseCurve", "0")
    groups.set("seqMode", "round_robin")
    for pad, zone in _zones(kit):
        group = ET.SubElement(groups, "group", name=pad.name, ampVelTrack="1", pitchKeyTrack="0")
        group.set("seqMode", "round_robin")
        group.set("seqLength", str(len(zone.files)))
        if pad.choke:
            for attribute, value in (("tags", pad.choke), ("silencedByTags", pad.choke), ("silencingMode", "fast")):
                group.set(attribute, value)
        for turn, file in enumerate(zone.files, 1):
            sample = ET.SubElement(group, "sample", path=f"{_SAMPLES}/{file}", seqPosition=str(turn))
            for attribute, number in (
                ("rootNote", pad.key),
                ("loNote", pad.key),
                ("hiNote", pad.key),
                ("loVel", zone.lowest),
                ("hiVel", zone.highest),
            ):
                sample.set(attribute, str(number))
    ET.indent(root)
    return "kit.dspreset", '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _table(kit: Kit) -> tuple[str, str]:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ("file", "key", "key_name", "lowest_velocity", "highest_velocity", "turn", "turns", "choke_group", "label")
    )
    for pad, zone in _zones(kit):
        for turn, file in enumerate(zone.files, 1):
            name = f"{_SAMPLES}/{file}"
            velocities = zone.lowest, zone.highest
            turns = turn, len(zone.files)
            table.writerow((name, pad.key, key_name(pad.key), *velocities, *turns, pad.choke, pad.label))
    return "midi-map.csv", text.getvalue()


_FORMATS: dict[KitFormat, Callable[[Kit], tuple[str, str]]] = {
    "sfz": _sfz,
    "decentsampler": _decentsampler,
    "folder": _table,
}


def _card(kit: Kit) -> str:
    rows = "\n".join(
        f"| {pad.key} | {key_name(pad.key)} | {pad.name} | {pad.label or '–'} | {len(pad.zones)} | "
        f"{'/'.join(str(len(zone.files)) for zone in pad.zones)} |"
        for pad in kit.pads
    )
    about = "\n".join(f"- {name}: {_one_line(value)}" for name, value in kit.about.items() if value)
    return f"""# {_one_line(kit.name)}

A kit of {len(kit.pads)} sounds at {kit.sample_rate} Hz, made by fauxley.

{about}

Sounds are cut, faded and equally loud as far as their peaks allow, and then shaped by the knobs of their pads:
gain, pitch, attack, decay, tone and pan are in the files. Takes of a sound are played in turn. Middle C,
key 60, is C3. `kit.json` names the latent of every file.

| key | name | sound | label | layers | takes of each |
|---|---|---|---|---|---|
{rows}
"""


def _license(kit: Kit) -> str:
    licenses = sorted({take.license for take in _takes(kit) if take.license})
    told = "; ".join(map(_one_line, licenses)) if licenses else "not stated"
    return f"""These sounds were made by a model that was trained on recordings. Licence of the recordings: {told}.

fauxley itself, under the MIT licence, claims no rights to sounds that are made with it. Whether the recordings' licence
covers sounds that a model makes is for you to judge; if it is not stated, ask whoever trained the model.
"""


def _facts(kit: Kit) -> str:
    pads: list[dict[str, Any]] = []
    for pad, zone in _zones(kit):
        for turn, (take, file) in enumerate(zip(zone.takes, zone.files, strict=True), 1):
            pads.append(
                {
                    "file": f"{_SAMPLES}/{file}",
                    "key": pad.key,
                    "velocities": [zone.lowest, zone.highest],
                    "turn": turn,
                    "label": pad.label,
                    "model": take.model,
                    "license_of_training_data": take.license,
                    "seed": take.seed,
                    "latent": None if take.latent is None else take.latent.tolist(),
                    "knobs": {} if pad.shaping == Shaping() else asdict(pad.shaping),
                }
            )
    facts = {"name": kit.name, "sample_rate": kit.sample_rate, "about": kit.about, "files": pads}
    facts |= {"left_out_as_silent": kit.left_out} if kit.left_out else {}
    return json.dumps(facts, indent=2) + "\n"


def _zones(kit: Kit) -> Iterator[tuple[Pad, Zone]]:
    for pad in kit.pads:
        for zone in pad.zones:
            yield pad, zone


def _takes(kit: Kit) -> Iterator[OneShot]:
    for _, zone in _zones(kit):
        yield from zone.takes


def _one_line(text: str) -> str:
    return " ".join(text.split())
