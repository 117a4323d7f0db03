"""A model's card: what it is, what it learnt from, and how good it was found to be."""

from dataclasses import dataclass, field
from pathlib import Path

from fauxley.errors import FauxleyError, printable
from fauxley.evaluation.figures import METRICS
from fauxley.models.synthesizer import Synthesizer
from fauxley.serialization import parse_json, read_file, reading

_MOST_REPORT = 64 << 20  # bytes
_LONGEST = 300  # characters of a remark


@dataclass(frozen=True)
class Judgement:
    """What an evaluation has found: figures by the names of `METRICS`, and remarks in words."""

    figures: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_judgement(report: Path) -> Judgement:
    """The judgement of the one model that the report of `fauxley evaluate` in a folder is about.

    Raises:
        FauxleyError: there is no such report, or it is about several models.
    """
    file = report / "report.json"
    with reading(f"{printable(file)} cannot be used"):
        sets = parse_json(read_file(file, _MOST_REPORT))["generated"]
        if len(sets) != 1:
            raise FauxleyError(f"it is about {len(sets)} models; give the report of this one")
        figures = {str(name): float(score["value"]) for name, score in sets[0]["scores"].items()}
        return Judgement(figures, tuple(_one_line(str(remark)) for remark in sets[0].get("remarks", ())))


def model_card(synthesizer: Synthesizer, name: str, judgement: Judgement = Judgement()) -> str:
    """The card of a model, as README.md of a repository named `name`."""
    architecture, about = synthesizer.architecture, synthesizer.provenance
    seconds = architecture.clip_length / synthesizer.sample_rate
    return f"""---
library_name: fauxley
tags: [audio, audio-generation, gan, fauxley]
---

# {name.rpartition("/")[2]}

A {type(architecture).__name__} that makes sounds of {seconds:.2f} s at {synthesizer.sample_rate} Hz, \
{architecture.channels} channel{"s" * (architecture.channels > 1)}.

```
pip install "fauxley[hub]"
fauxley pull {name} --out model
fauxley generate model --out sounds --count 20
```

## What it learnt from

- Training data: {_one_line(about.dataset) or "not stated"}
- Licence of the training data: {_one_line(about.license) or "not stated"}

No licence of the model itself is stated here; whoever shares it says so, in keeping with that of the data.

## How

- Preset: {_one_line(about.preset) or "none"}, {about.step:,} steps
- fauxley {_one_line(about.fauxley_version) or "of unknown version"}

## How good it is

{_judged(judgement)}
"""


def _judged(judgement: Judgement) -> str:
    if not judgement.figures and not judgement.remarks:
        return "It was not judged; `fauxley evaluate` does that, and finds copies of training sounds, too."
    rows = []
    for name, value in judgement.figures.items():
        metric, _, embedding = name.partition("/")
        if metric in METRICS:
            title = METRICS[metric].title + (f" ({_one_line(embedding)})" if embedding else "")
            rows.append(f"| {title} | {value:.4g} | {METRICS[metric].meaning} |")
    table = "\n".join(["| figure | value | what it tells |", "|---|---|---|", *rows]) if rows else ""
    remarks = "\n".join(f"- {remark}" for remark in judgement.remarks)
    return "\n\n".join(part for part in (table, remarks) if part)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
