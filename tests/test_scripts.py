"""The scripts that make what ships: which sounds a model may learn from, its card, and the gallery."""

import csv
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.shipped import CARD_FILE, PAGE_FILE, read_card

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(name):
    spec = spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "terms",
    [
        *("CC0-1.0", "cc0", "Public Domain (as stated upstream)", "public domain", "MIT", "MIT License"),
        *("Unlicense (public domain dedication)", "CC-BY-4.0", "CC BY 3.0", "cc_by_2.5", "CC-BY-3.0-US", "CC-BY"),
    ],
)
def test_free_licences_are_taken(terms):
    assert script("pretrained").is_free(terms)


@pytest.mark.parametrize(
    "terms",
    [
        *("CC-BY-SA-3.0", "CC-BY-SA-3.0-US", "CC BY-NC 4.0", "CC-BY-ND-4.0", "CC-BY-NC-SA-4.0", "GPL-3.0", "LGPL"),
        *(
            "",
            "unknown",
            "all rights reserved",
            "CC-BY-4.0-SA",
            "mitigated",
            "cc",
            "CC-BY-4.0 or GPL",
            "Sampling Plus 1.0",
        ),
    ],
)
def test_whatever_asks_for_more_or_is_unknown_is_left(terms):
    assert not script("pretrained").is_free(terms)


@pytest.fixture
def pack(tmp_path):
    """A data pack of short noises under several licences."""
    folder, rng = tmp_path / "data" / "bursts", np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = []
    for number in range(132):
        terms = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0")[number % 3]
        name, split = f"{number:02d}.wav", "test" if number % 4 == 0 else "train"
        noise = rng.uniform(-1, 1, 2000) * np.exp(-np.arange(2000) / rng.uniform(50, 500))
        soundfile.write(folder / name, 0.5 * noise, 8000)
        who = {"CC-BY-4.0": "A. Burst, of Bursts & Sons"}.get(terms, "")
        rows.append((name, "", f"noises:{number}", split, terms, who))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "speaker_or_source", "split", "license", "attribution"])
        writer.writerows(rows)
    return folder


def files(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return {row["file"] for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_card_names_whose_sounds_were_learnt_and_only_those(pack, tmp_path, monkeypatch):
    pretrained = script("pretrained")
    monkeypatch.setattr(pretrained, "PACKS", {"bursts": pretrained.Pack("bursts", "bursts of noise")})
    monkeypatch.setattr(pretrained, "BUILD", tmp_path / "build")
    architecture = WaveGAN(clip_length=4096, dim=1, latent_size=4)
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)
    model, out = synthesizer.save(tmp_path / "model"), tmp_path / "shipped" / "bursts"
    for _ in range(2):  # another card replaces the one before
        words = ["card", "bursts", "--model", model, "--training", "A minute.", "--count", 20, "--out", out]
        monkeypatch.setattr(sys, "argv", ["pretrained", *map(str, words), "--data", str(tmp_path / "data")])
        pretrained.main()
    card, page = read_card(out), (out / PAGE_FILE).read_text()
    assert {(each.attribution, each.license, each.clips) for each in card.sources} == {
        ("A. Burst, of Bursts & Sons", "CC-BY-4.0", 33),
        ("noises", "CC0-1.0", 33),
    }
    assert card.license == "CC-BY-4.0"
    for told in ("A. Burst, of Bursts & Sons", "| CC0-1.0 | 33 |", "A minute.", "Copies", "sheet.png"):
        assert told in page
    assert "SA-4.0" not in page + (out / CARD_FILE).read_text()
    learnt, held_out = (files(tmp_path / "build" / "bursts" / split) for split in ("train", "test"))
    assert len(learnt) == 66
    assert not learnt & held_out
    written = json.loads((out / "config.json").read_text())
    assert written["weights"] == "float16"
    assert set(written["provenance"]["license"].split("; ")) == {"CC0-1.0", "CC-BY-4.0"}
    assert written["provenance"]["dataset"] == "bursts, split train"
    assert (out / "sheet.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_gallery_has_a_player_for_each_sound_and_a_picture_for_each_label(pack, tmp_path, monkeypatch):
    gallery = script("gallery")
    architecture = WaveGAN(clip_length=4096, dim=1, latent_size=4, labels=("a|b", "no label"))
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000)
    model, out = synthesizer.save(tmp_path / "model"), tmp_path / "docs"
    out.mkdir()
    sources = [f"Real={pack}", f"default, 60 minutes={model}"]
    monkeypatch.setattr(sys, "argv", ["gallery", *sources, "--title", "Bursts", "--count", "3", "--out", str(out)])
    gallery.main()
    page = (out / "gallery.md").read_text()
    sounds = sorted(file.name for file in (out / "gallery").glob("*.ogg"))
    assert len(sounds) == 3 + 2 * 3
    assert all(page.count(f'"gallery/{name}"') == 1 for name in sounds)
    assert "| Real | default, 60 minutes |" in page
    assert len(list((out / "gallery").glob("*.png"))) == 2
    assert soundfile.info(out / "gallery" / "no-label-1-0.ogg").samplerate == 8000
    monkeypatch.setattr(sys, "argv", ["gallery", f"Real={tmp_path / 'nothing'}", "--out", str(out)])
    with pytest.raises(SystemExit, match="gallery: "):
        gallery.main()
