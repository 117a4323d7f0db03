"""`fauxley train-classifier`, `evaluate` and `compare` from the command line, and evaluation during training."""

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.dataset.dataset import Dataset
from fauxley.runs import read_best
from fauxley.signal.drumkit import write_kit
from fauxley.storage import work_folder

from .conftest import train_arguments

pytestmark = pytest.mark.slow

SMALL = ["--count", "30", "--neighbours", "20", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 short drums, prepared."""
    folder = tmp_path_factory.mktemp("data")
    write_kit(folder / "kit", per_instrument=5, duration_seconds=0.25)
    prepare = ["prepare", str(folder / "kit"), str(folder / "dataset"), "--clip-length", "4096", "--quiet"]
    assert main(prepare) == 0
    return folder / "dataset"


@pytest.fixture(scope="module")
def trained(data: Path) -> Path:
    """A run with three checkpoints."""
    folder = data.parent / "run"
    assert main(train_arguments(data, folder, "--checkpoint-every", "1", "--keep-checkpoints", "3")) == 0
    return folder


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *SMALL, *map(str, arguments)])


def test_from_data_to_report(data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "train-classifier",
        "--data",
        str(data),
        "--epochs",
        "2",
        "--least-steps",
        "0",
        "--width",
        "4",
        "--device",
        "cpu",
    ]
    code = main([*command, "--out", str(tmp_path / "c"), "--force"])
    first = capsys.readouterr().out
    assert code == 0
    assert "accuracy" in first
    assert "heard as" in first
    assert (tmp_path / "c" / "classifier.safetensors").is_file()
    assert main([*command, "--force"]) == 0
    assert "from the cache" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "c")]) == 2  # something is there
    capsys.readouterr()
    assert main([*command, "--quiet"]) == 1
    assert "--force" in capsys.readouterr().err
    assert evaluate(trained, "--data", data, "--out", tmp_path / "report", "--classifier", tmp_path / "c") == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["generated"][0]["count"] == 30
    assert report["generated"][0]["scores"]["inception_score"]["value"] >= 1
    assert "<html" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("default:another process")
def test_a_classifier_that_another_process_trains_is_waited_for(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    command = [
        "train-classifier",
        "--data",
        str(data),
        "--epochs",
        "1",
        "--least-steps",
        "0",
        "--width",
        "4",
        "--force",
    ]
    assert main(command) == 0
    (place,) = (tmp_path / "cache" / "classifiers").iterdir()
    place.rename(tmp_path / "finished")
    capsys.readouterr()
    with ExitStack() as other:
        other.enter_context(work_folder(place, Dataset.open(data).fingerprint(), "it"))

        def finish(seconds: float) -> None:
            (tmp_path / "finished").rename(place)
            other.close()

        monkeypatch.setattr("fauxley.storage.time.sleep", finish)
        assert main(command) == 0
    out, err = capsys.readouterr()
    assert err == f"warning: another process is training a classifier on {data}; waiting until it is done\n"
    assert "from the cache" in out
    assert list(place.parent.iterdir()) == [place]


def test_a_report_is_not_replaced_unasked(data: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    assert evaluate(trained, "--data", data, "--out", tmp_path) == 2
    assert (tmp_path / "report.json").read_text() == "mine"
    assert evaluate(trained, "--data", data, "--out", tmp_path, "--overwrite") == 0
    assert (tmp_path / "report.json").read_text() != "mine"


def test_all_checkpoints_are_judged_and_the_best_is_what_the_run_means(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (trained, "--data", data, "--out", tmp_path / "r", "--all-checkpoints", "--best-by")
    assert evaluate(*arguments, "frechet/log-mel") == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    values = {entry["step"]: entry["scores"]["frechet/log-mel"]["value"] for entry in report["history"]}
    assert len(values) == 3
    best = read_best(trained)
    assert best is not None
    assert best.checkpoint.name == f"step-{min(values, key=lambda step: values[step]):08d}"
    assert best.value == pytest.approx(min(values.values()))
    assert evaluate(*arguments, "self_distance", "--overwrite") == 2
    assert "frechet/log-mel" in capsys.readouterr().err


def test_compare_puts_models_and_folders_side_by_side(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(25):
        audio = 0.1 * np.random.default_rng(index).standard_normal(4096)
        (tmp_path / "noise").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "noise" / f"{index}.wav", audio, 16000)
    arguments = ["compare", str(trained), str(tmp_path / "noise"), "--data", str(data), *SMALL[:-1]]
    assert main([*arguments, "--out", str(tmp_path / "r")]) == 0
    table = capsys.readouterr().out
    assert "Kernel distance" in table
    assert "noise" in table
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert [entry["count"] for entry in report["generated"]] == [30, 25]


def test_evaluation_during_training_is_logged_and_remembers_the_best(data: Path, tmp_path: Path) -> None:
    options = ["--evaluate-every", "2", "--evaluate-count", "24", "--checkpoint-every", "1"]
    assert main(train_arguments(data, tmp_path / "run", *options)) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    judged = {line["step"]: line for line in lines if "kernel/log-mel" in line}
    assert sorted(judged) == [2, 3]
    best = read_best(tmp_path / "run")
    assert best is not None
    assert best.value == pytest.approx(min(line["kernel/log-mel"] for line in judged.values()))
    assert main(train_arguments(data, tmp_path / "unwatched")) == 0
    watched, unwatched = (
        (tmp_path / name / "checkpoints" / "step-00000003" / "model.safetensors").read_bytes()
        for name in ("run", "unwatched")
    )
    assert watched == unwatched  # being judged changes nothing


def test_the_best_checkpoint_is_not_dropped(data: Path, tmp_path: Path) -> None:
    from fauxley.runs import Best, record_best

    options = ["--checkpoint-every", "1", "--keep-checkpoints", "1"]
    assert main(train_arguments(data, tmp_path / "run", *options)) == 0
    kept = tmp_path / "run" / "checkpoints" / "step-00000003"
    record_best(tmp_path / "run", Best(kept, "kernel/log-mel", 1.0))
    assert main(train_arguments(data, tmp_path / "run", *options, "--steps", "6")) == 0
    assert kept.is_dir()
    assert sorted(path.name for path in kept.parent.iterdir()) == ["step-00000003", "step-00000006"]


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["nowhere", "--data", "{data}"], 2, "does not exist; it must be sounds or a model"),
        (["{empty}", "--data", "{data}"], 1, "no sounds"),
        (["{run}", "--data", "nowhere"], 2, "does not exist"),
        (["{run}", "--data", "{data}", "--classifier", "nowhere"], 2, "train-classifier"),
        (["{rate}", "--data", "{data}"], 2, "write the sounds at 16000 Hz"),
        (["{run}", "--data", "{data}", "--count", "3"], 2, "at least 20"),
        (["{run}", "--data", "{data}", "--seed", "-1"], 2, "not be negative"),
        (["{empty}", "--data", "{data}", "--all-checkpoints"], 2, "no checkpoints"),
        (["{other}", "--data", "{data}"], 2, "--clip-length 4096 and --sample-rate 8000"),
        (["{few}", "--data", "{data}"], 1, "at least 20 are needed"),
    ],
)
def test_bad_input_is_one_line(
    data: Path,
    trained: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    hint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] == "{other}":
        prepare = ["prepare", str(data.parent / "kit"), str(tmp_path / "other"), "--clip-length", "4096"]
        assert main([*prepare, "--sample-rate", "8000", "--quiet"]) == 0
    for name, rate in (("rate", 8000), ("few", 16000)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", np.zeros(100), rate)
    (tmp_path / "empty").mkdir()
    places = {name: tmp_path / name for name in ("empty", "rate", "few", "other")} | {"data": data, "run": trained}
    assert evaluate(*(argument.format(**places) for argument in arguments), "--out", tmp_path / "r") == code
    printed = capsys.readouterr().err.strip()
    assert hint in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_classifier_of_data_without_labels_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(3):
        soundfile.write(tmp_path / f"{index}.wav", np.zeros(100), 16000)
    assert main(["train-classifier", "--data", str(tmp_path), "--quiet"]) == 1
    assert "labels" in capsys.readouterr().err


def test_a_record_of_before_and_hostile_ones_are_read_or_passed_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-00000005").mkdir(parents=True)
    record = tmp_path / "best.json"
    record.write_text('{"checkpoint": "step-00000005", "metric": "kernel/log-mel", "value": 1.5}')
    best = read_best(tmp_path)
    assert best is not None
    assert (best.value, best.faults) == (1.5, ())
    for content in (
        '{"checkpoint": "step-00000005", "metric": "x", "value": 1' + 400 * "0" + "}",
        '{"checkpoint": "step-00000005", "metric": "x", "value": 1, "faults": 3}',
        "[1, 2]",
        "[" * 100_000,
        '{"checkpoint": "../elsewhere", "metric": "x", "value": 1}',
        "\x00\xff",
    ):
        record.write_text(content, encoding="utf-8")
        with pytest.warns(UserWarning, match=r"passing over .*best\.json"):
            assert read_best(tmp_path) is None
