"""Variations, morphs, knobs and choices from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.signal.cleaning import loudness
from fauxley.storage import hold_folder

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache-of-latents"))


def command(name: str, run: Path, *more: object) -> int:
    return main([name, str(run), *map(str, more), "--device", "cpu", "--quiet"])


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, always_2d=True)[0].T


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def a_recording(path: Path, rate: int = 22050) -> Path:
    t = np.arange(rate) / rate
    soundfile.write(path, np.pad(0.3 * np.exp(-t / 0.05) * np.sin(2 * np.pi * 300 * t), (5000, 0)), rate)
    return path


def test_variations_of_a_seed_are_near_it_and_equally_loud(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("vary", run, 7, "--out", out, "--count", 4, "--radius", 0.05, "--seed", 2) == 0
    names = ["seed-00000007", *(f"variation-000{number}" for number in range(1, 5))]
    assert {path.stem for path in out.glob("*.wav")} == set(names)
    assert (out / "sheet.png").is_file()
    latents = np.load(out / "latents.npy")
    assert 0 < np.abs(latents[1:] - latents[0]).max() <= 0.1 + 1e-6
    levels = [loudness(read(out / f"{name}.wav"), 16000) for name in names]
    assert max(levels) - min(levels) < 0.1
    assert max(np.abs(read(out / f"{name}.wav")).max() for name in names) <= 10 ** (-1 / 20) + 1e-3
    facts = json.loads((out / "variation-0003.json").read_text())
    assert facts["variation_of"] == {"seed": 7}
    assert (facts["radius"], facts["variation"], facts["variation_seed"]) == (0.05, 3, 2)
    assert facts["loudness_lkfs"] == pytest.approx(levels[0], abs=0.1)


def test_levels_can_be_left_as_the_model_makes_them(run: Path, tmp_path: Path) -> None:
    assert command("vary", run, 7, "--out", tmp_path / "out", "--count", 1, "--no-equal-loudness") == 0
    assert command("generate", run, "--out", tmp_path / "same", "--seed", 7, "--count", 1) == 0
    ours, single = (read(tmp_path / name / "seed-00000007.wav") for name in ("out", "same"))
    assert np.abs(ours - single).max() <= 1.1 / 32768


def test_a_recording_comes_with_its_resynthesis_and_variations_and_honest_words(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, out = a_recording(tmp_path / "my tom.wav"), tmp_path / "out"
    arguments = ["vary", str(run), str(sound), "--out", str(out), "--count", "2", "--device", "cpu"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "my tom.wav: " in said
    assert "fauxley train" in said  # a model of three steps knows no toms
    assert {path.stem for path in out.glob("*.wav")} == {"original", "resynthesis", "variation-0001", "variation-0002"}
    facts = json.loads((out / "resynthesis.json").read_text())
    assert facts["verdict"] == "unlike"
    assert facts["distance_db"] > facts["distances_of_own_sounds_db"]["neighbour"] > 0
    assert facts["nearest_to"] == "my tom.wav"
    assert np.allclose(facts["latent"], np.load(out / "latents.npy")[0])
    original = read(out / "original.wav")
    assert original.shape == (1, 4096)
    assert loudness(original, 16000) == pytest.approx(loudness(read(out / "resynthesis.wav"), 16000), abs=0.1)
    before = contents(out)
    (out / "variation-0002.wav").unlink()
    assert main([*arguments, "--quiet"]) == 0
    assert contents(out) == before
    assert main([*arguments, "--quiet", "--radius", "0.2"]) == 2
    assert "radius" in capsys.readouterr().err


def test_one_of_its_own_sounds_is_recognised(run: Path, tmp_path: Path) -> None:
    assert command("generate", run, "--out", tmp_path / "own", "--seed", 5, "--count", 1) == 0
    sound = tmp_path / "own" / "seed-00000005.wav"
    assert command("vary", run, sound, "--out", tmp_path / "out", "--count", 1) == 0
    facts = json.loads((tmp_path / "out" / "resynthesis.json").read_text())
    assert facts["verdict"] in ("same", "near")


def test_knobs_are_told_and_turned(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("knobs", run, "--json-file", tmp_path / "knobs.json") == 0
    said = capsys.readouterr().out
    knobs = json.loads((tmp_path / "knobs.json").read_text())
    for word in ("brighter", "boomier", "longer", "noisier", "harder", "principal-1"):
        assert word in said
        if word not in ("harder", "longer"):  # untrained, this model makes sounds that are all alike in these
            assert np.linalg.norm(knobs[word]["direction"]) == pytest.approx(1, abs=1e-4)
    assert command("generate", run, "--out", tmp_path / "g", "--count", 2, "--knob", "brighter=0.5", "longer=-0.2") == 0
    assert command("generate", run, "--out", tmp_path / "plain", "--count", 2) == 0
    moved, plain = (np.load(tmp_path / name / "latents.npy") for name in ("g", "plain"))
    step = 3**0.5 * (0.5 * np.array(knobs["brighter"]["direction"]) - 0.2 * np.array(knobs["longer"]["direction"]))
    np.testing.assert_allclose(moved, np.clip(plain + step, -1, 1), atol=1e-5)
    facts = json.loads((tmp_path / "g" / "seed-00000001.json").read_text())
    assert facts["knobs"] == {"brighter": 0.5, "longer": -0.2}
    assert command("vary", run, 1, "--out", tmp_path / "v", "--count", 1, "--knob", "brighter=0.5", "longer=-0.2") == 0
    np.testing.assert_allclose(np.load(tmp_path / "v" / "latents.npy")[0], moved[1], atol=1e-6)


def test_sounds_are_picked_and_kept_and_both_is_declared(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", str(run), "--out", str(tmp_path / "out"), "--count", "3", "--device", "cpu"]
    wishes = ["--pick", "brightest", "--from", "24", "--keep", "0.5"]
    assert main([*arguments, *wishes]) == 0
    assert "kept 50% of 24 sounds" in capsys.readouterr().out
    sidecars = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("seed-*.json")]
    assert len(sidecars) == 3
    for facts in sidecars:
        assert (facts["pick"], facts["from"], facts["keep"]) == ("brightest", 24, 0.5)
        assert "little buzz" in facts["kept_by"]
    assert len({facts["seed"] for facts in sidecars}) == 3
    before = contents(tmp_path / "out")
    (tmp_path / "out" / f"seed-{sidecars[0]['seed']:08d}.wav").unlink()
    assert main([*arguments, *wishes, "--quiet"]) == 0
    assert contents(tmp_path / "out") == before
    assert main([*arguments, "--quiet", "--pick", "darkest", "--from", "24"]) == 2
    assert "pick" in capsys.readouterr().err


def test_truncation_draws_latents_to_the_middle(run: Path, tmp_path: Path) -> None:
    assert command("generate", run, "--out", tmp_path / "t", "--count", 2, "--truncation", 0.5) == 0
    assert command("generate", run, "--out", tmp_path / "plain", "--count", 2) == 0
    half, whole = (np.load(tmp_path / name / "latents.npy") for name in ("t", "plain"))
    np.testing.assert_allclose(half, whole / 2)
    assert json.loads((tmp_path / "t" / "seed-00000000.json").read_text())["truncation"] == 0.5


def test_a_morph_passes_seeds_latents_and_recordings_at_one_loudness(run: Path, tmp_path: Path) -> None:
    sound = a_recording(tmp_path / "tom.wav")
    assert command("generate", run, "--out", tmp_path / "g", "--seed", 3, "--count", 2) == 0
    stops = [9, tmp_path / "g" / "latents.npy", sound]
    out = tmp_path / "m"
    assert command("morph", run, "--out", out, "--between", *stops, "--count", 7, "--equal-loudness") == 0
    latents = np.load(out / "latents.npy")
    np.testing.assert_array_equal(latents[[2, 4]], np.load(tmp_path / "g" / "latents.npy"))
    np.testing.assert_allclose(latents[1], (latents[0] + latents[2]) / 2, atol=1e-6)
    facts = json.loads((out / "morph-0005.json").read_text())
    assert [next(iter(end)) for end in facts["between"]] == ["latent_of", "nearest_to"]
    levels = [loudness(read(path), 16000) for path in sorted(out.glob("*.wav"))]
    assert max(levels) - min(levels) < 0.1
    alone = tmp_path / "alone"
    assert command("morph", run, "--out", alone, "--between", tmp_path / "g" / "latents.npy", "--count", 2) == 0
    np.testing.assert_array_equal(np.load(alone / "latents.npy"), np.load(tmp_path / "g" / "latents.npy"))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["vary", "{run}", "nowhere.wav"], "nowhere.wav"),
        (["vary", "{run}", "{text}"], "text.wav"),
        (["vary", "{run}", "{silence}"], "silent"),
        (["vary", "{run}", "{latents}"], "2 latents"),
        (["vary", "{run}", "-3"], ""),
        (["vary", "{run}", "_"], "neither a seed"),
        (["vary", "{run}", "9" * 30], "too large"),
        (["vary", "{run}", "9" * 5000], "...' is not a number"),
        (["vary", "{run}", "3", "--radius", "2"], "0 to 1"),
        (["vary", "{run}", "3", "--count", "0"], "at least 1"),
        (["vary", "{run}", "3", "--knob", "brighter"], "brighter=0.5"),
        (["vary", "{run}", "3", "--knob", "brigter=1"], "did you mean brighter"),
        (["vary", "{run}", "3", "--knob", "brighter=x"], "not a number"),
        (["morph", "{run}"], "--seeds"),
        (["morph", "{run}", "--seeds", "1", "2", "--between", "3", "4"], "--between"),
        (["morph", "{run}", "--between", "1"], "two or more"),
        (["morph", "{run}", "--between", "1", "nowhere"], "nowhere"),
        (["morph", "{run}", "--between", "1", "{latents}", "--count", "2"], "at least"),
        (["generate", "{run}", "--truncation", "0"], "truncation"),
        (["generate", "{run}", "--keep", "2"], "keep"),
        (["generate", "{run}", "--keep", "0.0000001"], "at most"),
        (["generate", "{run}", "--knob", "brigter=1"], "did you mean brighter"),
        (["generate", "{run}", "--from", "9"], "say how to choose"),
        (["generate", "{run}", "--pick", "longest", "--from", "3"], "cannot be chosen"),
        (["generate", "{run}", "--pick", "longest", "--latents", "{latents}"], "--latents"),
        (["generate", "{run}", "--keep", "0.5", "--classifier", "{run}"], "classifier"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], hint: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "silence.wav", np.zeros(3000), 16000)
    np.save(tmp_path / "two.npy", np.zeros((2, 100), np.float32))
    names = {"text": "text.wav", "silence": "silence.wav", "latents": "two.npy"}
    places = {"run": run} | {name: tmp_path / file for name, file in names.items()}
    out = ["--out", str(tmp_path / "out"), "--quiet"]
    assert main([*(argument.format(**places) for argument in arguments), *out]) in (1, 2)
    error = capsys.readouterr().err
    assert hint in error
    if hint:  # tyro answers what looks like a flag, in a box
        assert error.startswith("fauxley: ")
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken_is_said_before_the_search(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.latents.inversion.invert", lambda *_, **__: pytest.fail("searched in vain"))
    (tmp_path / "mine.txt").write_text("mine")
    sound = a_recording(tmp_path / "tom.wav")
    assert command("vary", run, sound, "--out", tmp_path) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert command("vary", run, sound, "--out", tmp_path / "mine.txt") == 2


def test_two_at_once_do_not_mix(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("vary", run, 3, "--out", tmp_path / "out", "--count", 1) == 0
    with hold_folder(tmp_path / "out"):
        assert command("vary", run, 3, "--out", tmp_path / "out", "--count", 1) == 1
    assert "another process" in capsys.readouterr().err


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has labels, although it has not learnt what they mean."""
    architecture = WaveGAN(4096, dim=1, labels=("kick", "snare", "hat"))
    generator = architecture.generator(Draws(0))
    generator.embed.weight.data.normal_(0, 3)  # type: ignore[operator, union-attr]
    model = Synthesizer(architecture, generator, architecture.representation(), 16000)
    return model.save(tmp_path_factory.mktemp("labelled") / "model")


def weights_of(folder: Path, name: str) -> dict[str, float]:
    facts = json.loads((folder / f"{name}.json").read_text())
    return facts.get("labels") or {facts["label"]: 1.0}


def test_variations_keep_the_label_of_their_sound(labelled: Path, tmp_path: Path) -> None:
    assert command("vary", labelled, 4, "--out", tmp_path / "own", "--count", 2, "--no-equal-loudness") == 0
    assert {path.stem for path in (tmp_path / "own").glob("*.wav")} == {
        "snare-0004",
        "variation-0001",
        "variation-0002",
    }
    assert command("generate", labelled, "--out", tmp_path / "g", "--seed", 4, "--count", 1) == 0
    assert np.abs(read(tmp_path / "own" / "snare-0004.wav") - read(tmp_path / "g" / "snare-0004.wav")).max() < 1e-4
    assert command("vary", labelled, 4, "--out", tmp_path / "hat", "--count", 1, "--label", "hat") == 0
    assert weights_of(tmp_path / "hat", "hat-0004") == {"hat": 1}
    mixture = ["--label", "kick=0.5,hat=0.5"]
    assert command("vary", labelled, 4, "--out", tmp_path / "mixed", "--count", 1, *mixture) == 0
    assert weights_of(tmp_path / "mixed", "kick+hat-0004") == {"kick": 0.5, "hat": 0.5}
    assert command("vary", labelled, 4, "--out", tmp_path / "no", "--label", "hut") == 2
    assert command("vary", labelled, 4, "--out", tmp_path / "no", "--label", "all") == 2


def test_labels_of_a_recording_are_found_or_kept_to(labelled: Path, tmp_path: Path) -> None:
    assert command("generate", labelled, "--out", tmp_path / "own", "--label", "hat", "--seed", 7, "--count", 1) == 0
    sound = tmp_path / "own" / "hat-0007.wav"
    assert command("vary", labelled, sound, "--out", tmp_path / "found", "--count", 1) == 0
    assert weights_of(tmp_path / "found", "resynthesis").get("hat", 0) > 0.5
    assert command("vary", labelled, sound, "--out", tmp_path / "kick", "--count", 1, "--label", "kick") == 0
    assert weights_of(tmp_path / "kick", "resynthesis") == {"kick": 1}
    stops = ["--between", 3, sound, "--label", "snare", "hat", "--count", 3]
    assert command("morph", labelled, "--out", tmp_path / "m", *stops) == 0
    facts = json.loads((tmp_path / "m" / "morph-0001.json").read_text())
    assert [facts["between"][0]["label"], facts["between"][1]["labels"]] == ["snare", {"hat": 1}]
    same = ["--seeds", 3, 3, "--label", "kick", "hat", "--count", 2]
    assert command("morph", labelled, "--out", tmp_path / "same", *same) == 0
    assert command("morph", labelled, "--out", tmp_path / "no", "--seeds", 3, 4, "--label", *["kick"] * 3) == 2


def test_choices_and_knobs_of_labels(labelled: Path, tmp_path: Path) -> None:
    assert command("generate", labelled, "--out", tmp_path / "kept", "--count", 6, "--keep", 0.5) == 0
    names = sorted(path.stem.partition("-")[0] for path in (tmp_path / "kept").glob("*.wav"))
    assert names == ["hat", "hat", "kick", "kick", "snare", "snare"]
    wishes = ["--label", "hat", "--knob", "brighter=0.3", "--pick", "longest", "--from", 6]
    assert command("generate", labelled, "--out", tmp_path / "hats", "--count", 2, *wishes) == 0
    assert all(path.stem.startswith("hat-") for path in (tmp_path / "hats").glob("*.wav"))
    assert command("knobs", labelled, "--label", "hat") == 0
