"""Labels on the command line: asked for when sounds are made, learnt when a model is trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import fauxley
from fauxley.cli.main import main
from fauxley.models.synthesizer import Synthesizer

from .conftest import train_arguments


@pytest.fixture(scope="module")
def model(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt the kit's labels a little."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    assert main(train_arguments(dataset, folder, "--labels")) == 0
    # So little training tells nothing apart; labels that are far apart do.
    synthesizer = Synthesizer.from_pretrained(folder)
    synthesizer.generator.embed.weight.data.normal_(0, 30)  # type: ignore[union-attr]
    return synthesizer.save(folder.parent / "model")


def test_previews_have_some_of_every_label(model: Path) -> None:
    (preview,) = (model.parent / "run" / "samples").iterdir()
    assert (preview / "sheet.png").stat().st_size > 1000
    names = sorted(path.stem for path in preview.glob("*.wav"))
    assert [name.rpartition("-")[0] for name in names] == list(fauxley.load(model).labels)


def made(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.wav"))


def generate(model: Path, out: Path, *more: str) -> int:
    return main(["generate", str(model), "--out", str(out), "--quiet", "--no-sheet", "--device", "cpu", *more])


def test_a_model_makes_all_of_its_labels_equally_often_unless_it_is_asked(model: Path, tmp_path: Path) -> None:
    known = fauxley.load(model).labels
    assert generate(model, tmp_path / "unasked", "--count", "16") == 0
    assert generate(model, tmp_path / "all", "--count", "16", "--label", "all") == 0
    names = made(tmp_path / "unasked")
    assert names == made(tmp_path / "all")
    assert sorted({name.rpartition("-")[0] for name in names}) == sorted(known)
    assert len(names) == 16 == 2 * len(known)


def test_a_label_is_in_names_and_sidecars_and_is_what_python_makes(model: Path, tmp_path: Path) -> None:
    assert generate(model, tmp_path / "out", "--count", "3", "--seed", "7", "--label", "snare") == 0
    assert made(tmp_path / "out") == ["snare-0007", "snare-0008", "snare-0009"]
    facts = json.loads((tmp_path / "out" / "snare-0008.json").read_text())
    assert (facts["label"], facts["seed"]) == ("snare", 8)
    sounds = fauxley.load(model, precision="float32").generate(3, 7, labels="snare").numpy()
    for name, sound in zip(made(tmp_path / "out"), sounds, strict=True):
        audio, _ = soundfile.read(tmp_path / "out" / f"{name}.wav", dtype="float32", always_2d=True)
        assert np.abs(audio.T - np.clip(sound, -1, 1)).max() < 1e-3
    other = fauxley.load(model, precision="float32").generate(3, 7, labels="kick").numpy()
    assert np.abs(sounds - other).max() > 0.1


def test_several_labels_take_turns_and_mixtures_are_named_by_their_parts(model: Path, tmp_path: Path) -> None:
    assert generate(model, tmp_path / "out", "--count", "4", "--label", "tom", "kick=0.7,snare=2.1") == 0
    assert made(tmp_path / "out") == ["kick+snare-0001", "kick+snare-0003", "tom-0000", "tom-0002"]
    facts = json.loads((tmp_path / "out" / "kick+snare-0001.json").read_text())
    assert facts["labels"] == {"kick": 0.25, "snare": 0.75}


def test_what_was_interrupted_goes_on_and_another_label_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert generate(model, out, "--count", "3", "--label", "tom") == 0
    whole = {name: (out / f"{name}.wav").read_bytes() for name in made(out)}
    (out / "tom-0001.wav").unlink()
    assert generate(model, out, "--count", "3", "--label", "tom") == 0
    assert {name: (out / f"{name}.wav").read_bytes() for name in made(out)} == whole
    assert generate(model, out, "--count", "3", "--label", "kick") == 2
    assert "another label" in capsys.readouterr().err
    assert made(out) == ["tom-0000", "tom-0001", "tom-0002"]


def test_latents_of_a_folder_make_its_sounds_again(model: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert generate(model, first, "--count", "8") == 0
    assert generate(model, second, "--latents", str(first / "latents.npy")) == 0
    for one, other in zip(made(first), made(second), strict=True):
        assert one.partition("-")[0] == other.partition("-")[0]
        assert (first / f"{one}.wav").read_bytes() == (second / f"{other}.wav").read_bytes()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("snar", "did you mean 'snare'? there are clap, "),
        ("kick=1,snar=2", "did you mean 'snare'"),
        ("kick=1,kick=2", "twice"),
        ("kick=x", "'x' is not a number"),
        ("kick=-1", "positive"),
        ("kick=0,snare=1", "positive"),
        ("=1", "not a mixture"),
        ("kick=", "is not a number"),
        ("kick=0.7", "write mixtures without spaces, as in kick=0.7,snare=0.3, or kick alone"),
    ],
)
def test_a_label_that_is_none_is_said_in_one_line(
    model: Path, tmp_path: Path, word: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["generate"], ["morph", "--seeds", "0", "1"]):
        head, *tail = command
        assert main([head, str(model), "--out", str(tmp_path / "out"), *tail, f"--label={word}"]) == 2
        error = capsys.readouterr().err.strip()
        assert says in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_a_model_without_labels_says_that_it_has_none(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fauxley.load(run).labels == ()
    assert generate(run, tmp_path / "out", "--label", "kick") == 2
    assert "no labels" in capsys.readouterr().err
    assert main(["morph", str(run), "--out", str(tmp_path / "out"), "--seeds", "0", "1", "--label", "kick"]) == 2
    assert "no labels" in capsys.readouterr().err


def test_a_morph_goes_from_label_to_label(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["morph", str(model), "--seeds", "3", "17", "--count", "3", "--quiet", "--precision", "float32"]
    assert main([*arguments, "--out", str(out), "--label", "kick", "snare"]) == 0
    synthesizer = fauxley.load(model, precision="float32")
    latents = synthesizer.latents([3, 17])
    mixed = {"kick": 0.5, "snare": 0.5}
    for name, latent, labels in (
        ("morph-0000", latents[:1], "kick"),
        ("morph-0001", latents.mean(0, keepdim=True), mixed),
        ("morph-0002", latents[1:], "snare"),
    ):
        (expected,) = synthesizer.generate(latents=latent, labels=labels).numpy()
        audio, _ = soundfile.read(out / f"{name}.wav", dtype="float32", always_2d=True)
        assert np.abs(audio.T - np.clip(expected, -1, 1)).max() < 1e-3
    assert main([*arguments, "--out", str(tmp_path / "two"), "--label", "kick", "snare", "tom"]) == 2


def test_a_row_of_the_sheet_for_each_label(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}

    def draw(path, rows, *arguments, **options):  # type: ignore[no-untyped-def]
        drawn.update({title: len(clips) for title, clips in rows.items()})

    monkeypatch.setattr("fauxley.rendering.folder.write_sheet", draw)
    assert main(["generate", str(model), "--out", str(tmp_path / "out"), "--quiet", "--count", "17"]) == 0
    labels = fauxley.load(model).labels
    assert drawn == {label: 3 if label == labels[0] else 2 for label in labels}


def test_training_says_what_it_learns_and_how_to_leave_it(
    dataset: Path, kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = [word for word in train_arguments(dataset, tmp_path / "run") if word not in ("--quiet",)]
    small[1] = "specgan-small"
    small[small.index("--preview-count") + 1] = "0"
    assert main([*small, "--labels"]) == 0
    said = capsys.readouterr()
    assert "learns 8 labels" in said.err + said.out
    assert "--no-labels" in said.err + said.out
    assert main([*small, "--no-labels"]) == 2
    assert "begun with labels" in capsys.readouterr().err
    small[small.index("--steps") + 1] = "4"
    assert main(small) == 0, "a run keeps its labels"
    assert len(fauxley.load(tmp_path / "run").labels) == 8
    for data in (dataset, kit):
        arguments = [str(data) if word == str(dataset) else word for word in small]
        arguments[arguments.index(str(tmp_path / "run"))] = str(tmp_path / "other")
        assert main([*arguments, "--dry-run"]) == 0
        assert "learns 8 labels" in capsys.readouterr().out
        assert main([*arguments, "--dry-run", "--no-labels"]) == 0
        assert "not learned; --labels" in capsys.readouterr().out


def test_a_scan_says_what_would_be_learnt(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(kit), "--quiet"]) == 0
    assert "8 labels" in capsys.readouterr().out
