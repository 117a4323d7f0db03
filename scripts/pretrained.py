"""Models that ship: one made from its data, or the card of one that is trained already.

    python scripts/pretrained.py train drums --minutes 240
    python scripts/pretrained.py card drums --model MODEL --training "240 minutes on ..."

Both choose the sounds of a data pack whose licences allow it without share-alike, those for training and those held
out apart; both end in `src/fauxley/pretrained/NAME`, where a wheel takes it from. The data packs lie in
FAUXLEY_DATA_DIR. What is made on the way (datasets, the run, the report) stays in build/pretrained/NAME, so that the
same command goes on where it stopped.
"""

import argparse
import csv
import dataclasses
import json
import os
import platform
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import fauxley
from fauxley.cli.main import main as run_fauxley
from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.card_check import make_check
from fauxley.evaluation.clips import DatasetClips
from fauxley.evaluation.figures import describe
from fauxley.evaluation.metrics.signal_measures import MEASURES
from fauxley.latents.directions import Directions
from fauxley.latents.inversion import invert
from fauxley.latents.player import Player
from fauxley.latents.work import CACHE, file_name
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.sheet import write_sheet
from fauxley.serialization import to_json
from fauxley.shipped import CARD_FILE, CARD_VERSION, FOLDER, PAGE_FILE, Card, CardFigure, SoundSource
from fauxley.storage import atomic_folder
from fauxley.training.run import Run
from fauxley.user_cache import cache_folder

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "pretrained"
SHEET_FILE = "sheet.png"
_ON_SHEET = 6  # sounds of a label
_SHEET_SCALE = 0.5
_CHECKED = 4  # sounds of a label, at most
_MOST_CHECKED = 60
# On a card, in this order, where the evaluation has them; of those of embeddings, each embedding's.
_SCORES = (
    *("agreement", "inception_share", "kernel", "frechet", "precision", "recall", "coverage"),
    *("copies", "suspicious", "repeated", "variety"),
)
_SIGNALS = ("artefact_db", "level_db", "onset_s", "rise_ms", "duration_s", "centroid_hz")
_BY_LABEL = ("agreement", "inception_share")  # of the classifier, as figures in its embedding are
_CLASSIFIER = "classifier"


class Pack(NamedTuple):
    """What a model that ships learns from; how, the default recipe decides."""

    folder: str
    about: str


PACKS = {
    "drums": Pack("drums", "one-shots of drums and percussion"),
    "words": Pack("commands", "ten spoken words, by many speakers"),
    "foley": Pack("foley", "one-shots for film: footsteps, doors, impacts, water"),
}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "card"))
    parser.add_argument("name", help=f"of the model: {', '.join(PACKS)}")
    parser.add_argument("--minutes", type=float, default=240, help="of training")
    parser.add_argument("--model", type=Path, help="a model or run that is trained already")
    parser.add_argument("--training", default="", help="how it was trained, in a sentence or two, for its card")
    parser.add_argument("--classifier", type=Path, help="that judges labels; by default one is trained")
    parser.add_argument("--count", type=int, default=1000, help="sounds that are judged")
    parser.add_argument("--data", type=Path, default=_data_folder(), help="folder of the data packs")
    parser.add_argument("--out", type=Path, help="folder for the model; by default where models ship from")
    given = parser.parse_args()
    try:
        if given.name not in PACKS:
            raise UsageError(f"no recipe for {given.name!r}; there are {', '.join(PACKS)}")
        pack = PACKS[given.name]
        build = BUILD / given.name
        sources = select(given.data / pack.folder, build / "train", "train")
        select(given.data / pack.folder, build / "test", "test")
        model, training = given.model, given.training
        if given.what == "train":
            model = build / "run"
            _fauxley("train", "--data", build / "train", "--run", model, "--minutes", given.minutes)
            training = training or describe_training(model)
        if model is None:
            raise UsageError("give --model, the model or run whose card is to be written")
        make_card(given.name, pack, model, sources, training, build, given.classifier, given.count,
                  given.out or FOLDER / given.name)  # fmt: skip
    except FauxleyError as error:
        sys.exit(f"pretrained: {error}")


def _data_folder() -> Path:
    return Path(os.environ.get("FAUXLEY_DATA_DIR") or ROOT.parent / "shared" / "data")


def is_free(terms: str) -> bool:
    """Whether a licence allows a model of the sounds that is shared without share-alike: CC0, CC BY, MIT, ...

    What is not known is not allowed.
    """
    word = re.sub(r"[\s_]+", "-", terms.strip().lower())
    return bool(
        re.fullmatch(r"(cc0|unlicense|mit|public-domain)([^a-z].*)?", word)
        or re.fullmatch(r"cc-by(-\d+(\.\d+)?(-(?!sa|nc|nd)[a-z]{2})?)?", word)
    )


def select(pack: Path, out: Path, split: str) -> list[SoundSource]:
    """Copy the sounds of a split whose licences are free into a folder with a manifest; say whose they are."""
    manifest = pack / "manifest.csv"
    if not manifest.is_file():
        raise UsageError(f"{manifest} does not exist; give the folder of the data packs by --data or FAUXLEY_DATA_DIR")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and is_free(row["license"])]
    if not rows:
        raise UsageError(f"{manifest} has no sounds of split {split} under a free licence")
    for row in rows:
        target = out / row["file"]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pack / row["file"], target)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    whose = Counter((_attribution(row), row["license"]) for row in rows)
    return [SoundSource(who, terms, clips) for (who, terms), clips in sorted(whose.items())]


def _attribution(row: dict[str, str]) -> str:
    """Whom to name; a collection of many speakers, `speech_commands:022cd682`, by its name."""
    named = row.get("attribution", "").strip()
    return named or _COLLECTIONS.get(source := row["speaker_or_source"].partition(":")[0], source)


_COLLECTIONS = {
    "speech_commands": "Speech Commands Data Set v0.02, Pete Warden, Google (arXiv:1804.03209)",
}


def prepare(sounds: Path, sample_rate: int, clip_length: int) -> Path:
    """The dataset of a folder of chosen sounds, as a model has them."""
    folder = sounds.with_name(f"{sounds.name}-{sample_rate}-{clip_length}.dataset")
    if not folder.exists():
        _fauxley("prepare", sounds, folder, "--sample-rate", sample_rate, "--clip-length", clip_length)
    return folder


def make_card(
    name: str,
    pack: Pack,
    model: Path,
    sources: Sequence[SoundSource],
    training: str,
    build: Path,
    classifier: Path | None,
    count: int,
    out: Path,
) -> None:
    """Evaluate a model and write it with its card."""
    synthesizer = Synthesizer.from_pretrained(model)
    rate, length = synthesizer.sample_rate, synthesizer.architecture.clip_length
    train, test = (prepare(build / split, rate, length) for split in ("train", "test"))
    judge = classifier or build / "classifier"
    if synthesizer.labels and not judge.exists():
        _fauxley("train-classifier", "--data", train, "--test", test, "--out", judge, "--force")
    licenses = "; ".join(dict.fromkeys(source.license for source in sources))
    provenance = dataclasses.replace(
        synthesizer.provenance,
        license=licenses,
        fauxley_version=fauxley.__version__,
        dataset=f"{pack.folder}, split train",  # no path: it goes out into the world
    )
    staged = build / "model"
    shutil.rmtree(staged, ignore_errors=True)
    synthesizer.provenance = provenance
    synthesizer.save(staged, stored="float16")
    report = build / "report"
    by_label = ("--classifier", judge) if synthesizer.labels else ()
    _fauxley("evaluate", staged, "--data", train, "--test", test, "--out", report, "--overwrite", "--count", count,
             "--precision", "float32", *by_label)  # fmt: skip
    judged = json.loads((report / "report.json").read_text(encoding="utf-8"))
    synthesizer = Synthesizer.from_pretrained(staged)  # as it is stored
    held_out = DatasetClips(Dataset.open(test), "held out", None, 0, length)
    checked = min(_MOST_CHECKED, _CHECKED * max(1, len(synthesizer.labels)))
    attributed = any(source.license.lower().startswith("cc-by") for source in sources)
    card = Card(
        name=name,
        about=pack.about,
        license="CC-BY-4.0" if attributed else "CC0-1.0",
        labels=synthesizer.labels,
        sample_rate=rate,
        seconds=round(length / rate, 3),
        data=f"{sum(source.clips for source in sources)} clips of the data pack {pack.folder!r}, split train",
        sources=tuple(sources),
        training=training or f"step {provenance.step}",
        figures=tuple(figures(judged)),
        check=make_check(synthesizer, held_out, checked),
    )
    if out.exists():
        shutil.rmtree(out)
    with atomic_folder(out) as partial:
        shutil.copytree(staged, partial, dirs_exist_ok=True)
        content = {"format_version": CARD_VERSION, "card": to_json(card)}
        (partial / CARD_FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (partial / PAGE_FILE).write_text(page(card, judged), encoding="utf-8")
        draw(synthesizer, partial / SHEET_FILE)
        explore(synthesizer, partial / CACHE)
    print(f"{out}: {_megabytes(out):.2f} MB; all that ship: {_megabytes(FOLDER):.2f} of at most 12 MB")


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def figures(report: dict[str, Any]) -> list[CardFigure]:
    """The figures for a card, of what `fauxley evaluate` has written."""
    generated, real = report["generated"][0], report["real"][-1]
    found = []
    for wanted in _SCORES:
        for name, score in generated["scores"].items():
            if name.partition("/")[0] == wanted and score["value"] is not None:
                metric, embedding = describe(name)
                judge = embedding or (_CLASSIFIER if wanted in _BY_LABEL else "")
                title = f"{metric.title}, {judge}" if judge else metric.title
                found.append(CardFigure(title, score["value"], real["scores"].get(name, {}).get("value")))
    for name in _SIGNALS:
        if name in generated["signals"] and name in MEASURES:
            title = f"{MEASURES[name].title}, median, {MEASURES[name].unit}"
            found.append(CardFigure(title, generated["signals"][name]["median"], real["signals"][name]["median"]))
    return found


def page(card: Card, report: dict[str, Any]) -> str:
    """The card as a page of Markdown."""
    by_license: Counter[str] = Counter()
    for source in card.sources:
        by_license[source.license] += source.clips
    licenses = "\n".join(f"| {terms} | {clips} |" for terms, clips in by_license.most_common())
    sources = "\n".join(f"| {each.attribution} | {each.license} | {each.clips} |" for each in card.sources)
    rows = "\n".join(
        f"| {each.title} | {each.generated:.4g} | {'–' if each.real is None else format(each.real, '.4g')} |"
        for each in card.figures
    )
    settings = report["protocol"]
    remarks = "\n".join(f"- {remark}" for remark in (*report["generated"][0]["remarks"], *report["warnings"]))
    accuracy = settings.get("classifier_accuracy")
    judge = (
        f'Those marked "{_CLASSIFIER}" are by a classifier of fauxley\'s own, which names {accuracy:.2f} of held-out '
        "real clips rightly. Judges from outside: docs/quality.md."
        if accuracy
        else ""
    )
    return f"""# {card.name}

A model of {card.about}: {card.seconds:g} s at {card.sample_rate} Hz. Labels: {", ".join(card.labels) or "none"}.

```
fauxley generate {card.name} --out new-sounds --count 20{f" --label {card.labels[0]}" if card.labels else ""}
```

![Sounds of the model]({SHEET_FILE})

## Licence

The weights are under {card.license}; name fauxley and the sources below when you pass them on. No claim is made on
the sounds that the model makes.

## Data

{card.data}. Sounds whose licence asks for share-alike, or is not known to be free, were left out.

| licence | clips |
|---|---|
{licenses}

Whose sounds it learnt from (they were mixed to one channel, scaled to a peak of 1, and cut or padded to one length):

| attribution | licence | clips |
|---|---|---|
{sources}

Texts of the licences: creativecommons.org/publicdomain/zero/1.0, creativecommons.org/licenses/by/2.0, by/3.0, by/4.0;
opensource.org/license/mit, unlicense.org.

## Training

{card.training}

## Figures

By `fauxley evaluate`, {settings["clips_each_side"]} sounds against {settings["training_clips"]} training clips; beside
them {settings["held_out_clips"]} real clips that the model did not learn from. No sound was rejected.
{judge}

| figure | {card.name} | real, held out |
|---|---|---|
{rows}

What the evaluation remarks:

{remarks}

Check: {card.check.count} sounds of the seeds from 0 on lie {card.check.distance:.4g} from held-out sounds in log-mel
(Fréchet distance, each dimension a Gaussian of its own), which the project's tests measure again.
"""


def draw(synthesizer: Synthesizer, path: Path) -> None:
    """Draw a sheet of sounds of each label, small and in few colours, for it ships with the weights."""
    names = synthesizer.labels or ("sounds",)
    rows = {
        name: synthesizer.generate(_ON_SHEET, seed=0, labels=name if synthesizer.labels else None).numpy()
        for name in names
    }
    write_sheet(path, rows, synthesizer.sample_rate, columns=_ON_SHEET)
    with Image.open(path) as picture:
        size = [round(_SHEET_SCALE * side) for side in picture.size]
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(32)
    small.save(path, optimize=True)


def explore(synthesizer: Synthesizer, folder: Path) -> None:
    """Write down what takes the first user of a model a minute to find: its knobs, and distances between its sounds."""
    Directions.fit(synthesizer)
    invert(synthesizer, synthesizer.generate(1, seed=0)[0], starts=1, steps=1)
    folder.mkdir()
    for what in ("knobs", "yardstick"):
        file = file_name(synthesizer, Player(synthesizer).keyword(what, None))
        shutil.copyfile(cache_folder() / CACHE / file, folder / file)


def describe_training(run: Path) -> str:
    """How a run was trained, from what it has recorded."""
    config, step = Run(run).read()[0], Synthesizer.from_pretrained(run).provenance.step
    seen = step * config.batch_size * config.objective.num_batches
    begun = f"from {config.origin.model}" if config.origin.model else "from scratch"
    return (
        f"{config.minutes:g} minutes on {_processor()}, {begun}, by the recipe {config.preset!r}: {step:,} steps of "
        f"{config.batch_size} clips, {seen:,} clips seen."
    )


def _processor() -> str:
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = re.search(r"model name\s*:\s*(.+)", about)
    except OSError:
        name = None
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return f"{name[1] if name else platform.processor() or platform.machine()}, {threads} core(s)"


def _fauxley(*arguments: object) -> None:
    words = [str(argument) for argument in arguments]
    print("fauxley", *words, flush=True)
    if code := run_fauxley(words):
        raise FauxleyError(f"'fauxley {words[0]}' ended with exit code {code}")


if __name__ == "__main__":
    main()
