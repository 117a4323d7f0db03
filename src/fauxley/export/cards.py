"""A model's card: its kind, its training data, and its measured quality."""

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
    """The result of an evaluation: figures by the names of `METRICS`, and remarks in words."""

    figures: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_judgement(report: Path) -> Judgement:
    """Read the judgement of a model from the folder of its report by `fauxley evaluate`.

    Raises:
        FauxleyError: there is no report, or it is about several models.
    """
    file = report / "report.json"
    with reading(f"{printable(file)} cannot be used"):
        sets = parse_json(read_file(file, _MOST_REPORT))["generated"]
        if len(sets) != 1:
            raise FauxleyError(f"it is about {len(sets)} models; give the report of this one")
        figures = {str(name): float(score["value"]) for name, score in sets[0]["scores"].items()}
        return Judgement(figures, tuple(_one_line(str(remark)) for remark in sets[0].get("remarks", ())))


def model_card(synthesizer: Synthesizer, name: str, judgement: Judgement = Judgement()) -> str:
    """The card of a model, for README.md of a repository named `name`."""
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

## Training data

- Training data: {_one_line(about.dataset) or "not stated"}
- Licence of the training data: {_one_line(about.license) or "not stated"}

No licence of the model itself is stated here. Whoever shares it should add one that the licence of the data allows.

## Training

- Preset: {_one_line(about.preset) or "none"}, {about.step:,} steps
- fauxley {_one_line(about.fauxley_version) or "of unknown version"}

## Quality

{_judged(judgement)}
"""


def _judged(judgement: Judgement) -> str:
    if not judgement.figures and not judgement.remarks:
        return "It was not evaluated; `fauxley evaluate` does that, and finds copies of training sounds, too."
    rows = []
    for name, value in judgement.figures.items():
        metric, _, embedding = name.partition("/")
        if metric in METRICS:
            title = METRICS[metric].title + (f" ({_one_line(embedding)})" if embedding else "")
            rows.append(f"| {title} | {value:.4g} | {METRICS[metric].meaning} |")
    table = "\n".join(["| figure | value | meaning |", "|---|---|---|", *rows]) if rows else ""
    remarks = "\n".join(f"- {remark}" for remark in judgement.remarks)
    return "\n\n".join(part for part in (table, remarks) if part)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
