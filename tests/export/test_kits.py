"""Kits: what is on which key, as players of the formats hear it, and the sounds themselves."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.errors import FauxleyError
from fauxley.export.general_midi import assign_keys, drum_keys, key_name
from fauxley.export.kit import OneShot, Variations, make_kit
from fauxley.export.kit_formats import write_kit
from fauxley.export.kit_sources import layered, sounds_of_model
from fauxley.export.shaping import Shaping
from fauxley.models.synthesizer import Synthesizer
from fauxley.rendering.batches import from_seeds
from fauxley.signal.cleaning import loudness

RATE = 16000
# What DecentSampler's developers' guide has for groups and samples, as far as kits use it.
GROUPS = {"attack", "decay", "sustain", "release", "releaseCurve", "seqMode"}
GROUP = {"name", "ampVelTrack", "pitchKeyTrack", "seqMode", "seqLength", "tags", "silencedByTags", "silencingMode"}
SAMPLE = {"path", "rootNote", "loNote", "hiNote", "loVel", "hiVel", "seqPosition"}


def tone(hertz: float, name: str = "tone", label: str = "", seconds: float = 0.5) -> OneShot:
    time = np.arange(round(seconds * RATE)) / RATE
    audio = 0.3 * np.sin(2 * np.pi * hertz * time) * np.exp(-4 * time)
    return OneShot(audio[None].astype(np.float32), RATE, name, label)


def drum_kit():
    """A kick of three takes, a snare of two layers, two hats and something else."""
    return make_kit(
        "test",
        [
            [[tone(hertz, "boom", "kick") for hertz in (200, 300, 400)]],
            [[tone(500, "crack", "Snare"), tone(600)], [tone(700, "crack", "Snare"), tone(800)]],
            [[tone(1000, "tss", "hat_open", 2.0)]],
            [[tone(2000, "tick", "closed hi-hat")]],
            [[tone(3000, "../zi ther", "zither")]],
        ],
        {"model": "none"},
    )


def heard(audio) -> float:
    """The strongest frequency, to 10 Hz."""
    spectrum = np.abs(np.fft.rfft(np.asarray(audio).sum(axis=0), RATE))
    return round(float(np.argmax(spectrum)), -1)


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("kick", 36),
        ("Bass Drum 2", 36),
        ("BD", 36),
        ("snares", 38),
        ("rimshot", 37),
        ("crime", None),
        ("rim", 37),
        ("claps", 39),
        ("hat_closed", 42),
        ("ClosedHH", 42),
        ("Hi-Hats", 42),
        ("open hi hat", 46),
        ("hat-pedal", 44),
        ("Tom Lo", 41),
        ("ride bell", 53),
        ("crash", 49),
        ("footstep", None),
        ("", None),
    ],
)
def test_labels_lead_to_the_keys_of_general_midi(label, key):
    assert next(iter(drum_keys(label)), None) == key


def test_no_two_sounds_share_a_key_and_drums_have_their_own():
    keys = assign_keys(["glass", "kick", "kick", "kick", "", "snare"])
    assert keys == [37, 36, 35, 39, 40, 38]
    assert sorted(assign_keys([""] * 128)) == list(range(128))
    with pytest.raises(ValueError, match="128 keys"):
        assign_keys([""] * 129)
    assert [key_name(key) for key in (36, 60, 42)] == ["C1", "C3", "F#1"]


class Player:
    """sfizz with a kit."""

    def __init__(self, kit: Path) -> None:
        sfizz = pytest.importorskip("pysfizz", reason="no sfizz to play kits with: pip install pysfizz")
        self._synth = sfizz.Synth(sample_rate=RATE, block_size=64)
        assert self._synth.load_sfz_file(kit / "kit.sfz")
        self.keys = self._synth.playable_keys

    def strike(self, key: int, velocity: int = 127) -> np.ndarray:
        # Longer than any sound, for voices go on from one call to the next.
        return self._synth.render_note(key, velocity, 0.05, 2.5)

    def strike_two(self, first: int, second: int) -> np.ndarray:
        """What is heard for a second after `second`, struck a tenth of a second after `first`."""
        raw = self._synth._synth
        raw.note_on(0, first, 127)
        for _ in range(RATE // 640):
            raw.render_block()
        raw.note_on(0, second, 127)
        return np.concatenate([np.array(raw.render_block()) for _ in range(RATE // 64)], axis=1)


def test_a_player_of_sfz_finds_every_sound_on_its_key_and_takes_in_turn(tmp_path):
    write_kit(drum_kit(), "sfz", tmp_path / "kit")
    player = Player(tmp_path / "kit")
    assert player.keys == [36, 37, 38, 42, 46]
    assert [heard(player.strike(36)) for _ in range(7)] == [200, 300, 400, 200, 300, 400, 200]
    assert [heard(player.strike(38, 127)) for _ in range(3)] == [700, 800, 700]
    assert [heard(player.strike(38, 40)) for _ in range(3)] == [600, 500, 600]  # turns are the key's
    assert [heard(player.strike(key)) for key in (37, 42, 46)] == [3000, 2000, 1000]


def test_a_player_of_sfz_plays_a_sound_to_its_end_and_softer_when_struck_softer(tmp_path):
    write_kit(drum_kit(), "sfz", tmp_path / "kit")
    player = Player(tmp_path / "kit")
    loud, soft = player.strike(46, 127), player.strike(46, 40)
    assert np.abs(loud[:, RATE : RATE + 4000]).max() > 1e-3  # the key was let go long before
    assert np.abs(soft).max() < 0.5 * np.abs(loud).max()


def test_hats_choke_each_other_and_nothing_else(tmp_path):
    write_kit(drum_kit(), "sfz", tmp_path / "kit")

    def share(audio, hertz):
        spectrum = np.square(np.abs(np.fft.rfft(audio.sum(axis=0)[2000:], RATE)))
        return spectrum[hertz - 20 : hertz + 20].sum()

    choked = share(Player(tmp_path / "kit").strike_two(46, 42), 1000)
    unchoked = share(Player(tmp_path / "kit").strike_two(46, 38), 1000)
    assert choked < 1e-3 * unchoked


def spectrum_at(audio, hertz):
    """The power of a sound around a frequency."""
    spectrum = np.square(np.abs(np.fft.rfft(np.asarray(audio).sum(axis=0), RATE)))
    return spectrum[hertz - 20 : hertz + 20].sum()


def test_the_knobs_of_a_pad_are_heard_in_its_kit(tmp_path):
    """Each beside the same sound without, both played by sfizz."""
    clicks = OneShot((tone(200).audio + tone(3000).audio).astype(np.float32), RATE, "both")

    def played(shaping):
        folder = tmp_path / f"{shaping}".replace(" ", "")[:60]
        plain, shaped = Shaping(), shaping
        write_kit(make_kit("k", [[[clicks]], [[clicks]]], {}, [plain, shaped]), "sfz", folder)
        player = Player(folder)
        return player.strike(36).astype(np.float64), player.strike(37).astype(np.float64)

    dry, soft = played(Shaping(gain=-12))
    assert np.square(soft).sum() / np.square(dry).sum() == pytest.approx(10**-1.2, rel=0.02)
    dry, loud = played(Shaping(gain=6))  # what would be too loud lowers the others instead
    assert np.square(loud).sum() / np.square(dry).sum() == pytest.approx(10**0.6, rel=0.02)
    dry, up = played(Shaping(pitch=12))
    assert spectrum_at(up, 400) > 100 * spectrum_at(up, 200)
    assert spectrum_at(dry, 200) > 100 * spectrum_at(dry, 400)
    dry, slow = played(Shaping(attack=0.1))
    early = slice(0, RATE // 50)
    assert np.abs(slow[:, early]).max() < 0.3 * np.abs(dry[:, early]).max()
    dry, short = played(Shaping(decay=0.4))
    late = slice(RATE // 5, None)
    assert np.abs(dry[:, late]).max() > 0.05
    assert np.abs(short[:, late]).max() < 1e-3
    dry, dull = played(Shaping(tone=-0.7))
    assert spectrum_at(dull, 3000) / spectrum_at(dull, 200) < 0.01 * spectrum_at(dry, 3000) / spectrum_at(dry, 200)
    dry, thin = played(Shaping(tone=0.7))
    assert spectrum_at(thin, 200) / spectrum_at(thin, 3000) < 0.01 * spectrum_at(dry, 200) / spectrum_at(dry, 3000)
    dry, right = played(Shaping(pan=0.8))
    left_power, right_power = np.square(right).sum(axis=1)
    assert right_power > 20 * left_power
    np.testing.assert_allclose(dry[0], dry[1], atol=1e-6)


def test_pads_of_one_choke_group_end_each_other_and_no_others(tmp_path):
    pads = [[[tone(hertz, seconds=2.0)]] for hertz in (500, 900, 1300, 1700)]
    shapings = [Shaping(choke=group) for group in (1, 1, 2, 0)]
    write_kit(make_kit("k", pads, {}, shapings), "sfz", tmp_path / "kit")

    def left_of_the_first(second):
        return spectrum_at(Player(tmp_path / "kit").strike_two(36, second)[:, 2000:], 500)

    assert left_of_the_first(37) < 1e-3 * left_of_the_first(38)
    assert left_of_the_first(39) > 0.5 * left_of_the_first(38)
    write_kit(make_kit("k", pads, {}, shapings), "decentsampler", tmp_path / "other")
    groups = ET.parse(tmp_path / "other" / "kit.dspreset").getroot().findall("groups/group")
    assert [group.get("silencedByTags") for group in groups] == ["group-1", "group-1", "group-2", None]
    write_kit(make_kit("k", pads, {}, shapings), "folder", tmp_path / "plain")
    with (tmp_path / "plain" / "midi-map.csv").open(encoding="utf-8", newline="") as file:
        assert [row["choke_group"] for row in csv.DictReader(file)] == ["group-1", "group-1", "group-2", ""]


def test_silent_sounds_have_no_key_and_are_named():
    silence = OneShot(np.zeros((1, 4000), np.float32), RATE, "nothing", "kick")
    kit = make_kit("k", [[[silence, silence]], [[tone(300), silence], [tone(400)]], [[silence], [tone(500)]]], {})
    assert kit.left_out == ("nothing",)
    assert [[len(zone.takes) for zone in pad.zones] for pad in kit.pads] == [[1, 1], [1]]
    assert [(zone.lowest, zone.highest) for zone in kit.pads[1].zones] == [(1, 127)]
    with pytest.raises(FauxleyError, match="all of these sounds are silent"):
        make_kit("k", [[[silence]]], {})


def test_decentsampler_presets_have_what_its_guide_asks_for(tmp_path):
    write_kit(drum_kit(), "decentsampler", tmp_path / "kit")
    root = ET.parse(tmp_path / "kit" / "kit.dspreset").getroot()
    assert root.tag == "DecentSampler"
    (groups,) = root.findall("groups")
    assert set(groups.attrib) <= GROUPS
    played: dict[int, list[tuple[int, int, int]]] = {}
    for group in groups:
        samples = list(group)
        assert group.tag == "group"
        assert set(group.attrib) <= GROUP
        assert group.get("seqMode") == "round_robin"  # the default would sound all takes at once
        assert group.get("seqLength") == str(len(samples))
        assert [sample.get("seqPosition") for sample in samples] == [str(n + 1) for n in range(len(samples))]
        for sample in samples:
            assert sample.tag == "sample"
            assert set(sample.attrib) == SAMPLE
            assert (tmp_path / "kit" / sample.attrib["path"]).is_file()
            assert sample.get("rootNote") == sample.get("loNote") == sample.get("hiNote")
        key = int(samples[0].attrib["rootNote"])
        is_hat = key in (42, 46)
        assert (group.get("tags"), group.get("silencedByTags")) == (("hats", "hats") if is_hat else (None, None))
        played.setdefault(key, []).append((int(samples[0].get("loVel")), int(samples[0].get("hiVel")), len(samples)))
    one = [(1, 127, 1)]
    assert played == {36: [(1, 127, 3)], 37: one, 38: [(1, 64, 2), (65, 127, 2)], 42: one, 46: one}


@pytest.mark.filterwarnings("default:left out")
def test_a_file_that_cannot_be_read_is_left_out_of_a_kit_and_named(tmp_path, capsys):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name in ("kick.wav", "snare.wav"):
        soundfile.write(sounds / name, tone(200).audio.T, RATE)
    (sounds / "text.wav").write_text("no sound")
    whole = (sounds / "kick.wav").read_bytes()
    (sounds / "header.wav").write_bytes(whole[:16] + b"\xff" * 30)
    soundfile.write(sounds / "empty.wav", np.zeros(0), RATE)
    assert main(["export", str(sounds), "--to", "folder", "--out", str(tmp_path / "kit"), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert all(name in said for name in ("text.wav", "header.wav", "empty.wav"))
    assert len(list((tmp_path / "kit").rglob("*.wav"))) == 2
    for name in ("kick.wav", "snare.wav"):
        (sounds / name).unlink()
    assert main(["export", str(sounds), "--to", "folder", "--out", str(tmp_path / "none")]) == 1
    assert "can be read" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_plain_folders_have_a_table_of_keys(tmp_path):
    write_kit(drum_kit(), "folder", tmp_path / "kit")
    with (tmp_path / "kit" / "midi-map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    listed = {row["file"] for row in rows}
    assert listed == {path.relative_to(tmp_path / "kit").as_posix() for path in (tmp_path / "kit").rglob("*.wav")}
    assert [row["key_name"] for row in rows if row["label"] == "kick"] == ["C1"] * 3
    assert [(row["lowest_velocity"], row["turn"]) for row in rows if row["label"] == "Snare"] == [
        ("1", "1"),
        ("1", "2"),
        ("65", "1"),
        ("65", "2"),
    ]


def test_files_are_cut_faded_and_equally_loud(tmp_path):
    quiet = tone(440, "faint")
    quiet = OneShot(np.pad(0.01 * quiet.audio, ((0, 0), (4000, 8000))), RATE, "faint")
    write_kit(make_kit("k", [[[quiet]], [[tone(300)]], [[tone(2000), tone(100)]]], {}), "folder", tmp_path / "kit")
    files = sorted((tmp_path / "kit").rglob("*.wav"))
    levels = []
    for file in files:
        audio, rate = soundfile.read(file, always_2d=True)
        levels.append(loudness(audio.T, rate))
        assert np.abs(audio).max() <= 10 ** (-1 / 20)
        assert abs(audio[0, 0]) < 1e-3
        assert abs(audio[-1, 0]) < 1e-3
        assert len(audio) < 0.6 * rate
    assert len(files) == 4
    assert max(levels) - min(levels) < 0.1


def test_what_cannot_be_as_loud_as_the_rest_is_as_loud_as_it_can_be():
    click = OneShot(np.eye(1, 200, 50, dtype=np.float32), RATE, "click")
    pads = make_kit("k", [[[click]], [[tone(1000)]]], {}).pads
    peaks = [float(np.abs(pad.zones[0].takes[0].audio).max()) for pad in pads]
    assert peaks[0] == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    assert loudness(pads[1].zones[0].takes[0].audio, RATE) == pytest.approx(-24, abs=0.1)


def test_layers_go_from_dark_to_bright_where_variations_differ_and_hold_the_sound_itself():
    shots = [tone(hertz) for hertz in (500, 300, 320, 340, 480, 700, 720, 740)]
    soft, hard = layered(shots, takes=3, layers=2)
    assert [heard(shot.audio) for shot in soft] in ([500, 300, 320], [300, 320, 340])
    assert [heard(shot.audio) for shot in hard] in ([700, 720, 740], [500, 700, 720])
    assert sum(shot is shots[0] for shot in (*soft, *hard)) == 1
    alike = [tone(500 + number) for number in range(12)]
    assert layered(alike, takes=3, layers=2) == [alike[:3]]


def test_takes_are_variations_of_their_sound(model):
    synthesizer = Synthesizer.from_pretrained(model)
    requests = list(from_seeds(synthesizer, range(7, 8)))
    (layers,) = sounds_of_model(synthesizer, "m", requests, Variations(takes=4, layers=1, radius=0.05))
    (takes,) = layers
    assert len(takes) == 4
    np.testing.assert_allclose(takes[0].audio, synthesizer.generate(1, seed=7)[0].numpy(), atol=1e-5)
    assert takes[0].seed == 7
    for take in takes[1:]:
        step = np.abs(take.latent - takes[0].latent)
        assert 0 < step.max() <= 0.1 + 1e-6
        assert np.abs(take.latent).max() <= 1
    again = sounds_of_model(synthesizer, "m", requests, Variations(takes=4, layers=1, radius=0.05))[0][0]
    assert all(np.array_equal(one.audio, other.audio) for one, other in zip(takes, again, strict=True))


@pytest.mark.parametrize(
    ("to", "file"), [("sfz", "kit.sfz"), ("decentsampler", "kit.dspreset"), ("folder", "midi-map.csv")]
)
def test_the_command_makes_a_kit_of_a_model(model, tmp_path, to, file, capsys):
    assert main(["export", str(model), "--to", to, "--out", str(tmp_path / "kit"), "--count", "3"]) == 0
    assert "3 sounds on keys" in capsys.readouterr().out
    assert (tmp_path / "kit" / file).is_file()
    facts = json.loads((tmp_path / "kit" / "kit.json").read_text())
    assert {entry["key"] for entry in facts["files"]} == {36, 37, 38}
    assert {entry["seed"] for entry in facts["files"]} >= {0, 1, 2}
    assert "CC0" in (tmp_path / "kit" / "LICENSE.txt").read_text()
    assert "drum-model" in (tmp_path / "kit" / "README.md").read_text()
    assert str(tmp_path) not in (tmp_path / "kit" / "README.md").read_text()  # nobody's folders travel along


def test_chosen_sounds_become_a_kit_with_variations(model, tmp_path):
    assert main(["generate", str(model), "--out", str(tmp_path / "all"), "--count", "4", "--quiet"]) == 0
    (tmp_path / "chosen" / "snare").mkdir(parents=True)
    for suffix in ("wav", "json"):
        (tmp_path / "all" / f"seed-00000002.{suffix}").rename(tmp_path / "chosen" / "snare" / f"seed-2.{suffix}")
    command = ["export", str(tmp_path / "chosen"), "--to", "sfz", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "plain")]) == 0
    assert main([*command, "--model", str(model), "--takes", "2", "--layers", "1", "--out", str(tmp_path / "kit")]) == 0
    assert len(list((tmp_path / "plain").rglob("*.wav"))) == 1
    (original,), takes = (tmp_path / "plain").rglob("*.wav"), sorted((tmp_path / "kit").rglob("*.wav"))
    assert [path.parent.name for path in takes] == ["038-seed-2"] * 2
    one, other = (soundfile.read(path)[0] for path in (original, takes[0]))
    length = min(len(one), len(other))
    assert np.corrcoef(one[:length], other[:length])[0, 1] > 0.999


def test_labels_of_a_model_lead_to_keys_and_variations_keep_them(labelled_model, tmp_path):
    command = ["export", str(labelled_model), "--to", "sfz", "--layers", "1", "--takes", "2", "--quiet"]
    assert main([*command, "--count", "6", "--out", str(tmp_path / "kit")]) == 0
    entries = json.loads((tmp_path / "kit" / "kit.json").read_text())["files"]
    keys = {entry["key"]: entry["label"] for entry in entries}
    assert keys == {35: "kick", 36: "kick", 42: "hat_closed", 46: "hat_open", 37: "hat_closed", 38: "hat_open"}
    text = (tmp_path / "kit" / "kit.sfz").read_text()
    assert text.count("off_by=1") == 4
    synthesizer = Synthesizer.from_pretrained(labelled_model)
    for entry in entries:
        audio = soundfile.read(tmp_path / "kit" / entry["file"])[0]
        latent = np.float32([entry["latent"]])
        ours = {label: synthesizer.generate(latents=latent, labels=label)[0, 0].numpy() for label in synthesizer.labels}
        likeness = {label: np.abs(np.correlate(sound, audio, "full")).max() for label, sound in ours.items()}
        powers = {label: np.sqrt(np.square(sound).sum() * np.square(audio).sum()) for label, sound in ours.items()}
        assert likeness[entry["label"]] > 0.98 * powers[entry["label"]]
    assert main([*command, "--count", "2", "--label", "kick", "--out", str(tmp_path / "kicks")]) == 0
    entries = json.loads((tmp_path / "kicks" / "kit.json").read_text())["files"]
    assert {entry["label"] for entry in entries} == {"kick"}


def test_variations_of_a_folders_sounds_keep_their_labels(labelled_model, tmp_path):
    generate = ["generate", str(labelled_model), "--label", "kick", "kick=0.5,hat_open=0.5", "--count", "2"]
    assert main([*generate, "--out", str(tmp_path / "all"), "--quiet", "--no-sheet"]) == 0
    command = ["export", str(tmp_path / "all"), "--to", "folder", "--model", str(labelled_model), "--takes", "2"]
    assert main([*command, "--out", str(tmp_path / "kit"), "--quiet"]) == 0
    for beside in (tmp_path / "all").glob("kick-*.json"):
        facts = json.loads(beside.read_text())
        beside.write_text(json.dumps({**facts, "label": "cowbell"}))
    assert main([*command, "--out", str(tmp_path / "other"), "--quiet"]) == 2  # the model has no such label


def test_a_listing_tells_latents_too(model, tmp_path):
    assert (
        main(["generate", str(model), "--out", str(tmp_path / "all"), "--count", "2", "--listing", "--no-sheet"]) == 0
    )
    command = [
        "export",
        str(tmp_path / "all"),
        "--model",
        str(model),
        "--to",
        "folder",
        "--layers",
        "1",
        "--takes",
        "2",
    ]
    assert main([*command, "--out", str(tmp_path / "kit"), "--quiet"]) == 0
    assert len(list((tmp_path / "kit").rglob("*.wav"))) == 4


def test_names_of_sounds_cannot_lead_elsewhere_nor_break_a_file(tmp_path):
    evil = [
        [[tone(300 + number, name)]] for number, name in enumerate(("../../x", "a\n<region>", "con", "", "é…", "$A"))
    ]
    write_kit(make_kit("k\n<region> sample=/etc/passwd", evil, {"a": "b\nc"}), "sfz", tmp_path / "kit")
    assert {path.parent.parent.name for path in (tmp_path / "kit").rglob("*.wav")} == {"samples"}
    lines = (tmp_path / "kit" / "kit.sfz").read_text().splitlines()
    assert lines[0].startswith("// k ")
    assert sum(line.startswith("<region>") for line in lines) == 6
    assert not [line for line in lines if "$" in line]


@pytest.mark.filterwarnings("default:left out")
def test_nothing_is_overwritten_nor_left_behind(model, tmp_path, capsys):
    out = tmp_path / "kit"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert main(["export", str(model), "--to", "sfz", "--out", str(out)]) == 2
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "silence.wav", np.zeros(1000), RATE)
    command = ["export", str(tmp_path / "sounds"), "--to", "sfz", "--out", str(tmp_path / "new")]
    assert main(command) == 1
    assert "silent" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    soundfile.write(tmp_path / "sounds" / "tone.wav", tone(300).audio[0], RATE)
    assert main(command) == 0
    assert "left out: silence is silent" in capsys.readouterr().err
    assert len(list((tmp_path / "new").rglob("*.wav"))) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "0"], "--count"),
        (["--count", "129"], "128"),
        (["--seed", "-1"], "--seed"),
        (["--takes", "0"], "takes"),
        (["--radius", "nan"], "number"),
        (["--radius", "0"], "radius"),
        (["--layers", "9"], "layers"),
        (["--model", "x"], "folder of sounds"),
    ],
)
def test_wrong_use_is_one_line(model, tmp_path, arguments, said, capsys):
    assert main(["export", str(model), "--to", "sfz", "--out", str(tmp_path / "kit"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "kit").exists()


def test_a_latent_of_another_model_is_refused(model, tmp_path, capsys):
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", tone(300).audio[0], RATE)
    for latent, said in (([0.0] * 7, "another model"), (["x"], "cannot be used"), ([[1]], "cannot be used")):
        (tmp_path / "sounds" / "a.json").write_text(json.dumps({"latent": latent}))
        command = [
            "export",
            str(tmp_path / "sounds"),
            "--model",
            str(model),
            "--to",
            "sfz",
            "--out",
            str(tmp_path / "kit"),
        ]
        assert main(command) == 1
        assert said in capsys.readouterr().err
