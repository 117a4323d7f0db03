"""Models that ship: which path means one, what their cards say, and that those here are as theirs say."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import fauxley
from fauxley import shipped
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.card_check import make_check, repeat_check
from fauxley.evaluation.clips import ModelClips
from fauxley.latents.directions import Directions
from fauxley.latents.player import Player
from fauxley.latents.work import recall
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.runs import model_folders, names_model
from fauxley.serialization import to_json
from fauxley.shipped import CARD_FILE, FOLDER, PAGE_FILE, Card, CardCheck, CardFigure, SoundSource, read_card

ARCHITECTURE = SpecGAN(
    clip_length=4000,
    dim=2,
    latent_size=5,
    spectrogram="bands",
    window_length=128,
    hop_length=32,
    labels=("hat", "kick"),
)
MOST_MEGABYTES = 12
SHIPPING = sorted(file.parent for file in FOLDER.glob(f"*/{CARD_FILE}"))


def model(seed=0):
    generator = ARCHITECTURE.generator(Draws(seed))
    return Synthesizer(ARCHITECTURE, generator, ARCHITECTURE.representation(), 8000)


def card(name, check=CardCheck(4, 1.0, (0.0,), (1.0,))):  # noqa: B008 - frozen
    sources = (SoundSource("A. Drummer", "CC-BY-4.0", 7), SoundSource("Somebody", "CC0-1.0", 3))
    figures = (CardFigure("Label heard as asked", 0.5, 0.75), CardFigure("Copies", 0.0, None))
    return Card(name, "hits", "CC-BY-4.0", ("hat", "kick"), 8000, 0.5, "10 clips", sources, "a minute", figures, check)


def ship(folder, name, seed=0):
    place = model(seed).save(folder / name, stored="float16")
    content = {"format_version": shipped.CARD_VERSION, "card": to_json(card(name))}
    (place / CARD_FILE).write_text(json.dumps(content))
    (place / PAGE_FILE).write_text(f"# {name}\n")
    return place


@pytest.fixture
def drums(tmp_path, monkeypatch):
    """An installation with two models, and an empty working directory."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "installed")
    ship(tmp_path / "installed", "words", seed=1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return ship(tmp_path / "installed", "drums")


def test_a_name_is_a_model_that_ships(drums):
    assert model_folders(Path("drums")) == [drums]
    sounds = fauxley.load("drums", precision="float32").generate(4, labels="kick")
    assert torch.equal(sounds, Synthesizer.from_pretrained(drums).generate(4, labels="kick"))


def test_a_model_of_that_name_comes_first_and_sounds_of_that_name_do_not_stand_in_the_way(drums):
    assert names_model(Path("drums"))
    Path("drums").mkdir()
    assert not names_model(Path("drums"))  # for whom sounds would do as well
    assert model_folders(Path("drums")) == [drums]  # for whom they would not
    Path("drums", "config.json").write_text("{}")
    with pytest.raises(FauxleyError, match="drums holds no model"):
        model_folders(Path("drums"))
    mine = model(seed=2).save("words")
    assert model_folders(Path("words")) == [mine]


@pytest.mark.parametrize("name", ["runs/drums", "./runs/../drums", "/drums", "drums/", "Drums", "", "..", "drums/.."])
def test_nothing_but_a_bare_name_means_one(drums, name):
    found = shipped.find_shipped(Path(name))
    assert found == (drums if str(Path(name)) == "drums" else None)


def test_a_name_that_is_none_is_answered_with_those_there_are(drums):
    with pytest.raises(FauxleyError, match=r"drms does not exist; did you mean 'drums'\? .* ships: drums, words"):
        model_folders(Path("drms"))
    with pytest.raises(FauxleyError, match=r"runs/Drum does not exist; did you mean 'drums'\?"):
        model_folders(Path("runs/Drum"))
    with pytest.raises(UsageError, match=r"no model 'zebra' ships; there are drums, words"):
        shipped.shipped_folder("zebra")


def test_an_installation_without_models_says_nothing_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "none")
    assert shipped.shipped_models() == {}
    with pytest.raises(FauxleyError, match=r"does not exist; MODEL is a run folder or a model folder$"):
        model_folders(tmp_path / "drums")


def test_a_card_comes_back_as_it_was_written(drums):
    found = read_card(drums)
    assert found == card("drums")
    assert found.headline == "Label heard as asked 0.5 (real 0.75)"
    assert dataclasses.replace(found, figures=found.figures[1:]).headline == "Copies 0"
    assert dataclasses.replace(found, figures=()).headline == ""


@pytest.mark.parametrize("content", ["{", '{"format_version": 2}', '{"format_version": 1, "card": {"type": "Card"}}'])
def test_a_damaged_card_is_one_line(drums, content):
    (drums / CARD_FILE).write_text(content)
    with pytest.raises(FauxleyError) as caught:
        read_card(drums)
    assert "\n" not in str(caught.value)


def test_the_check_of_a_card_is_the_distance_of_gaussians_and_comes_out_alike():
    mine, other = model(), ModelClips(model(seed=5), "another", 30)
    check = make_check(mine, other, 10)
    assert repeat_check(mine, check) == pytest.approx(check.distance, rel=1e-6)
    assert repeat_check(model(seed=5), dataclasses.replace(check, count=30)) == pytest.approx(0, abs=1e-4)
    mean, deviation = np.array(check.mean), np.array(check.deviation)
    shifted = dataclasses.replace(check, count=30, mean=tuple(mean + 0.1), deviation=tuple(deviation + 0.2))
    expected = len(mean) * (0.1**2 + 0.2**2)
    assert repeat_check(model(seed=5), shifted) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(UsageError, match="dimensions here, but 1 on the card"):
        repeat_check(mine, dataclasses.replace(check, mean=(0.0,), deviation=(1.0,)))


@pytest.mark.slow
@pytest.mark.parametrize("folder", SHIPPING or [None], ids=lambda folder: folder.name if folder else "none")
def test_a_model_that_ships_is_as_its_card_says(folder):
    if folder is None:
        pytest.skip(f"no models ship yet: there are none in {FOLDER}")
    found, synthesizer = read_card(folder), Synthesizer.from_pretrained(folder)
    assert found.name == folder.name
    assert found.labels == synthesizer.labels
    assert found.sample_rate == synthesizer.sample_rate
    assert found.seconds == pytest.approx(synthesizer.architecture.clip_length / found.sample_rate, abs=1e-3)
    assert repeat_check(synthesizer, found.check) == pytest.approx(found.check.distance, rel=0.02)
    assert not {"/", "\\"} & set(synthesizer.provenance.dataset), "a path of the machine that it was made on"
    page = (folder / PAGE_FILE).read_text(encoding="utf-8")
    for source in found.sources:
        assert source.attribution in page
        assert not {"sa", "nc", "nd"} & set(source.license.lower().replace(" ", "-").split("-"))
    for figure in found.figures:
        assert f"{figure.generated:.4g}" in page


@pytest.mark.parametrize("folder", SHIPPING or [None], ids=lambda folder: folder.name if folder else "none")
def test_the_knobs_of_a_model_that_ships_come_with_it(folder, tmp_path, monkeypatch):
    if folder is None:
        pytest.skip(f"no models ship yet: there are none in {FOLDER}")
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path))  # where nothing has been found yet
    synthesizer = Synthesizer.from_pretrained(folder)
    knobs = Directions.recall(synthesizer)
    assert knobs is not None
    assert {each["name"] for each in knobs.facts()} >= {"brighter", "longer"}
    yardstick = recall(synthesizer, Player(synthesizer).keyword("yardstick", None))
    assert yardstick is not None
    reach, neighbour, typical = yardstick["yardstick"].tolist()
    assert 0 < reach < neighbour < typical


def test_what_ships_is_small():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) <= MOST_MEGABYTES * 1e6
