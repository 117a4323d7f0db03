"""Models that ship, on the command line: listed, shown, copied, played, judged and begun from."""

import dataclasses
import json
from pathlib import Path

import pytest
import soundfile

from fauxley import shipped
from fauxley.cli.main import main
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.serialization import to_json
from fauxley.shipped import CARD_FILE, PAGE_FILE, Card, CardCheck, CardFigure

LABELS = ("clap", "kick", "snare")


@pytest.fixture
def drums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one model of an installation, and an empty working directory."""
    sizes = {"dim": 2, "latent_size": 5, "window_length": 512, "hop_length": 128}
    architecture = SpecGAN(clip_length=3712, spectrogram="bands", labels=LABELS, **sizes)
    generator, representation = architecture.generator(Draws(0)), architecture.representation()
    provenance = Provenance("default", 7, license="CC-BY-4.0")
    folder = Synthesizer(architecture, generator, representation, 16000, provenance).save(
        tmp_path / "installed" / "drums", stored="float16"
    )
    figures = (CardFigure("Label heard as asked", 0.5, 0.75),)
    check = CardCheck(4, 1.0, (0.0,), (1.0,))
    card = Card("drums", "hits", "CC-BY-4.0", LABELS, 16000, 0.232, "", (), "", figures, check)
    (folder / CARD_FILE).write_text(json.dumps({"format_version": shipped.CARD_VERSION, "card": to_json(card)}))
    (folder / PAGE_FILE).write_text("# drums\n\nA card.\n")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "installed")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_models_are_listed_shown_and_copied(drums: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("drums"))
    for told in ("clap, kick, snare", "16000 Hz", "0.23", "CC-BY-4.0", "Label heard as asked 0.5 (real 0.75)"):
        assert told in row
    assert main(["models", "drums"]) == 0
    assert capsys.readouterr().out == "# drums\n\nA card.\n"
    assert main(["models", "drums", "--out", "copy"]) == 0
    assert sorted(file.name for file in Path("copy").iterdir()) == sorted(file.name for file in drums.iterdir())
    capsys.readouterr()
    for wrong, said in ((["drum"], "did you mean 'drums'?"), (["--out", "x"], "name it")):
        assert main(["models", *wrong]) == 2
        assert said in capsys.readouterr().err
    assert (
        main(["models", "drums", "--out", "copy"]) == 2
    )  # nothing is replaced, and no flag is named that is not there
    assert "overwrite" not in capsys.readouterr().err


def test_a_model_that_ships_is_played_by_its_name_again_and_again(drums: Path) -> None:
    command = ["generate", "drums", "--out", "drums", "--count", "2", "--label", "kick", "--quiet"]
    assert main(command) == 0
    assert main(command) == 0  # though there is a folder of that name now
    assert sorted(file.name for file in Path("drums").glob("*.wav")) == ["kick-0000.wav", "kick-0001.wav"]
    facts = json.loads(Path("drums", "kick-0000.json").read_text())
    assert facts["model"] == "drums"
    assert facts["license_of_training_data"] == "CC-BY-4.0"
    assert soundfile.info("drums/kick-0000.wav").samplerate == 16000


def test_a_model_that_ships_is_judged_by_its_name(drums: Path, make_kit: object) -> None:
    kit = make_kit(per_instrument=4, duration_seconds=0.25)  # type: ignore[operator]
    assert main(["evaluate", "drums", "--data", str(kit), "--out", "report", "--count", "20", "--quiet"]) == 0
    report = json.loads(Path("report", "report.json").read_text())
    assert report["generated"][0]["title"].startswith("drums")
    assert report["protocol"]["sample_rate"] == 16000


def test_a_training_begins_from_a_model_and_goes_on_without_it(
    drums: Path, make_kit: object, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = make_kit(per_instrument=4, duration_seconds=0.25)  # type: ignore[operator]
    common = ["train", "--data", str(kit), "--run", "mine", "--tensorboard", "off", "--quiet", "--device", "cpu"]
    for wrong, said in (
        (["--from", "drms"], "did you mean 'drums'?"),
        (["--from", "drums", "--dim", "4"], "dim = 2, and this would have 4"),
        (["--from", "drums", "--sample-rate", "44100"], "16000; leave it out"),
    ):
        assert main([*common, *wrong]) in (1, 2)
        assert said in capsys.readouterr().err
    short = ["--minutes", "1e-3", "--batch-size", "4"]
    assert main([*common, *short, "--from", "drums"]) == 0
    newest = Synthesizer.from_pretrained("mine")
    assert newest.architecture.latent_size == 5
    assert newest.provenance.begun_from == "drums"
    assert newest.provenance.license.split("; ") == ["CC0-1.0", "CC-BY-4.0"]
    assert set(newest.labels) > {"clap", "kick"}
    longer = ["--minutes", "2e-3", "--batch-size", "4"]
    assert main([*common, *longer]) == 0
    further = Synthesizer.from_pretrained("mine").provenance
    assert dataclasses.replace(further, step=newest.provenance.step) == newest.provenance
    assert main([*common, *longer, "--from", "words"]) == 2
    assert "was begun from drums, not from words" in capsys.readouterr().err
