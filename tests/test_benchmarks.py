"""Benchmarks must run when they are needed: on a machine lent for minutes, and after interfaces have changed."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.evaluation.classifier.classifier import Classifier, Judgement
from fauxley.evaluation.classifier.network import ClassifierNetwork, ClassifierSettings, LogMel
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.signal.drumkit import write_kit
from fauxley.training.config import TrainingConfig
from fauxley.training.log import Log
from fauxley.training.objectives import WassersteinGP
from fauxley.training.run import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="several read what only POSIX tells of a process"),
]

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
_TENSORFLOW = os.environ.get("FAUXLEY_TENSORFLOW_PYTHON", "")
# Benchmark with its options → what it prints. Words in capitals are files of `inputs`.
_QUICK = {
    "classifier_robustness.py CLASSIFIER DATASET": "pink noise alone",
    "compare.py BASELINE": "float32",
    "convolution.py --quick": "ratio",
    "cost.py --quick --models WaveGAN": "data in shards",
    "curves.py a=RUN b=RUN --out PICTURE": "within one",
    "data_loading.py --quick": "specgan-small, ResidentReader",
    "data_parallel.py --quick": "exchange",
    "default_step.py --quick": "plain / fast",
    "evaluation.py --quick --threads 1": "all features",
    "exports.py --quick": "int8",
    "fooling.py PACK --count 20": "copies 100 ms later",
    "fuzz_audio.py --count 10": "10 damaged files",
    "fuzz_files.py --kinds state --count 3": "| state | 3 |",
    "generate_many.py --quick --dim 1": "memory of generate",
    "generation.py --quick": "plain",
    "inversion.py --data DATASET --models INVERSION --quick": "INVERSION",
    "large_dataset.py --quick": "pairs that meet again",
    "likelihood.py WAVENET DATASET --quick": "DATASET, 8,",
    "listening_load.py --listeners 2 --kills 0": "answers",
    "outside_judges.py sounds KIT --data KIT --test KIT --count 2 --quick": "| generated, 16 |",
    "outside_judges.py words KIT --data KIT --test KIT --count 2 --quick": "inception score",
    "onsets.py --seconds 4 --data PACKS": "cymbals",
    "percussive.py KIT KIT": "KIT",
    "recipe_trials.py DATASET --out WORK --minutes 0.005 --dim 1 --count 10": "| drifting | 0.005 |",
    "round_trip.py --data DATASET --count 4 --threads 1 --repeats 1": "momentum 0.99",
    "scaling_on_paper.py": "WGAN-GP, 5 + 1 updates | 512",
    "small_folders.py PACK --work WORK --seconds 0.3 --quick": "| 8, from drums | 1 |",
    "studio.py INVERSION --clients 2 --seconds 1": "requests",
    "startup.py --quick --dim 1 --only generate": "| module | own ms |",
    "train_step.py --quick": "plain / bfloat16",
    "train_step.py --quick --model specgan --objective relativistic": "plain / bfloat16",
    "train_step.py --quick --objective hinge": "plain / bfloat16",
    "tensorflow_step.py --quick --python TENSORFLOW": "tensorflow / fast",
}
_OTHERS = {
    "device.py",  # has a test of its own, below
    "data_size.py",  # a part of cost.py
    "recipe_networks.py",  # a part of recipe_trials.py
    "outside_networks.py",  # a part of outside_judges.py
    "tensorflow_wavegan.py",  # a part of tensorflow_step.py
}


def test_every_benchmark_has_a_quick_run():
    assert {line.partition(" ")[0] for line in _QUICK} | _OTHERS == {path.name for path in _BENCHMARKS.glob("*.py")}


@pytest.mark.parametrize("line", _QUICK)
def test_benchmarks_run(line, inputs):
    if "TENSORFLOW" in line and not _TENSORFLOW:
        pytest.skip("needs a Python with tensorflow-cpu 2.15; set FAUXLEY_TENSORFLOW_PYTHON")
    script, *words = line.split()
    ran = run(script, *(_place(word, inputs) for word in words))
    assert _QUICK[line] in ran.stdout


def test_the_benchmark_of_devices_runs_on_a_cpu(tmp_path):
    run("device.py", "--quick", "--device", "cpu", "--out", str(tmp_path))
    report = json.loads((tmp_path / "report.json").read_text())
    tables = {name: rows for name, rows in report.items() if name != "machine"}
    assert len(tables) == 5
    for rows in tables.values():
        assert not any("failed" in row for row in rows)
    assert all(row["gradients, relative"] == 0 for row in tables["Against the CPU, float32"])
    assert {row["graphs"] for row in tables["The paper's step"]} == {"no", "yes"}
    assert all(f"## {name}" in (tmp_path / "report.md").read_text() for name in tables)


def run(script, *options):
    command = [sys.executable, str(_BENCHMARKS / script), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


def _place(word, inputs):
    label, equals, name = word.rpartition("=")
    return f"{label}{equals}{inputs[name]}" if name in inputs else word


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Small models, sounds and runs for benchmarks that ask for such, by the words in the table."""
    folder = tmp_path_factory.mktemp("benchmarks")
    names = ("KIT", "DATASET", "WAVENET", "INVERSION", "CLASSIFIER", "RUN", "PACK", "PACKS", "PICTURE", "WORK")
    places = {name: folder / name for name in names}
    write_kit(places["KIT"], per_instrument=3, duration_seconds=0.3)
    pack(places["KIT"], places["DATASET"], PackSettings(clip_length=4096), n_jobs=1)

    wavenet = WaveNet(4096, dim=2, skip_dim=2, layers=2, cycle=2)
    inverting = SpecGAN(4096, dim=1, inversion_dim=2, inversion_layers=1, inversion_iterations=1)
    for name, architecture in (("WAVENET", wavenet), ("INVERSION", inverting)):
        generator = architecture.generator(Draws(0))
        Synthesizer(architecture, generator, architecture.representation(), 16000).save(places[name])

    labels = tuple(sorted(path.name for path in places["KIT"].iterdir() if path.is_dir()))
    settings = ClassifierSettings.suiting(16000, 4096, labels, 4)
    judgement = Judgement(0.0, 0.0, 0.0, 0, "", ((0,) * len(labels),) * len(labels))
    network = ClassifierNetwork(settings).eval()
    Classifier(settings, LogMel(settings), network, 1.0, judgement, "").save(places["CLASSIFIER"])

    training = Run(places["RUN"])
    training.begin(TrainingConfig("a run", WaveGAN(4096, dim=1), WassersteinGP()), "data")
    log = Log(training, 0, False)
    for step in range(1, 21):
        log.numbers(step, dict.fromkeys(("critic_loss", "generator_loss", "gradient_penalty", "separation"), 1 / step))
    log.close()

    write_kit(places["PACK"], per_instrument=8, duration_seconds=0.3)
    _split(places["PACK"])
    for number, name in enumerate(("drums", "foley")):
        _write_one_shots(places["PACKS"] / name, number)
    return {name: str(place) for name, place in places.items()} | {
        "BASELINE": str(_BENCHMARKS / "baseline.json"),
        "TENSORFLOW": _TENSORFLOW,
    }


def _split(folder):
    """Half of a pack's sounds are to learn from, and there are many of one label."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0], "split"], lineterminator="\n")
        table.writeheader()
        for number, row in enumerate(rows):
            table.writerow(row | {"label": "drum", "split": ("train", "test")[number % 2]})


def _write_one_shots(folder, seed):
    """A sound of every label that `onsets.py` asks for."""
    drums = ("kick", "snare", "tom", "rim", "hat_closed", "perc", "clap", "cymbal", "hat_open", "cowbell")
    foley = ("footstep", *(f"impact_{what}" for what in ("metal", "soft", "stone", "wood")))
    labels = (*drums, *foley, "click", "door", "coin_keys", "glass")
    write_kit(folder, per_instrument=1, sample_rate=44100, duration_seconds=0.3, seed=seed)
    sounds = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))
    rows = [f"{sounds[number % len(sounds)]},{label}" for number, label in enumerate(labels)]
    (folder / "manifest.csv").write_text("\n".join(["file,label", *rows]) + "\n", encoding="utf-8")
