"""manifest.csv from spreadsheets and other machines: every row leads to its file or is reported."""

import unicodedata
import warnings
from pathlib import Path

import pytest
import soundfile

from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError, UsageError
from fauxley.sounds.catalogue import Catalogue, list_sounds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for name in ("kick/one.wav", "kick/two.wav", "snare/ten.wav", "loose.wav", "caf\u00e9.wav", "notes.txt", "b.raw"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, [0.1] * 50, 16000, format="WAV")
    return folder


def _list(folder: Path, *rows: str, where: tuple[str, ...] = (), header: str = "file,label") -> Catalogue:
    (folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return list_sounds(folder, where)


@pytest.mark.parametrize(
    "written",
    [
        "kick/one.wav",
        " kick/one.wav ",
        "\u00a0kick/one.wav",
        "kick\\one.wav",
        ".\\kick\\one.wav",
        "./kick/one.wav",
        "kick//one.wav",
        "snare/../kick/one.wav",
        "../sounds/kick/one.wav",
        "{folder}/kick/one.wav",
        '"{folder}/kick/../kick/one.wav"',
    ],
)
def test_ways_to_write_a_name(folder: Path, written: str) -> None:
    catalogue = _list(folder, written.format(folder=folder) + ", boom ")
    assert [(sound.file, sound.label) for sound in catalogue.sounds] == [("kick/one.wav", "boom")]
    assert catalogue.skipped == ()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_either_form_of_unicode(folder: Path, form: str, on_disk: str) -> None:
    name = unicodedata.normalize(on_disk, "caf\u00e9.wav")
    (folder / "caf\u00e9.wav").rename(folder / name)
    catalogue = _list(folder, unicodedata.normalize(form, "caf\u00e9.wav") + ",x")
    assert [sound.label for sound in catalogue.sounds] == ["x"]
    assert (folder / catalogue.sounds[0].file).is_file()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("kick/onne.wav", "missing; perhaps kick/one.wav is meant"),
        ("one.wav", "missing; perhaps kick/one.wav is meant"),
        ("C:\\Users\\me\\sounds\\one.wav", "missing; perhaps kick/one.wav is meant"),
        ("kick/one.flac", "missing; perhaps kick/one.wav is meant"),
        ("kick/one", "missing; perhaps kick/one.wav is meant"),
        ("Kick/One.wav", "upper and lower case differ from kick/one.wav"),
        ("something else entirely.ogg", "missing"),
        ("b.raw", "'.raw' is not an ending|.raw is not an ending"),
        ("notes.txt", ".txt is not an ending"),
        (".hidden.wav", "hidden"),
        (".git/a.wav", "hidden"),
        ("kick", "a folder"),
        ("../elsewhere.wav", "out of the folder"),
        ("/etc/passwd", "out of the folder"),
        ("..\\..\\x.wav", "out of the folder"),
    ],
)
def test_rows_that_lead_nowhere_are_reported(folder: Path, written: str, words: str) -> None:
    (folder.parent / "elsewhere.wav").write_bytes(b"x")
    catalogue = _list(folder, "loose.wav,a", f"{written},b")
    assert [sound.file for sound in catalogue.sounds] == ["loose.wav"]
    (skip,) = catalogue.skipped
    assert skip.file == written
    assert any(word in skip.reason for word in words.split("|"))


def test_contradictions_warn_and_repetitions_do_not(folder: Path, tmp_path: Path) -> None:
    catalogue = _list(folder, "loose.wav,a", "./loose.wav,b", "kick/one.wav,c", "kick\\one.wav,c")
    warned = {sound.file: sound.warning for sound in catalogue.sounds}
    assert "label 'a' and 'b'" in warned["loose.wav"]
    assert warned["kick/one.wav"] == ""
    assert {sound.file: sound.label for sound in catalogue.sounds}["loose.wav"] == "a"
    entries = pack(folder, tmp_path / "dataset", n_jobs=1).entries
    assert "listed twice" in next(entry.warnings for entry in entries if entry.file == "loose.wav")


def test_headers_with_spaces_and_capitals(folder: Path) -> None:
    catalogue = _list(folder, "loose.wav , a , x", header=" File , LABEL , my split ", where=("my split=x",))
    assert [(sound.file, sound.label) for sound in catalogue.sounds] == [("loose.wav", "a")]


def test_rows_without_a_name(folder: Path) -> None:
    catalogue = _list(folder, "loose.wav,a", ",b", "", ",")
    assert [(skip.file, skip.reason) for skip in catalogue.skipped] == [("manifest.csv", "row 3 names no file")]


def test_labels_can_be_selected_wherever_they_come_from(folder: Path) -> None:
    for where, expected in (
        (("label=snare",), ["snare/ten.wav"]),
        (("label = kick",), ["kick/one.wav", "kick/two.wav"]),
    ):
        assert [sound.file for sound in list_sounds(folder, where).sounds] == expected
    with pytest.raises(UsageError, match=r"values of 'label': .*kick, snare"):
        list_sounds(folder, ("label=tom",))
    with pytest.raises(UsageError, match=r"needs a manifest\.csv"):
        list_sounds(folder, ("split=train",))
    rows = ("kick/one.wav,train", "kick/two.wav,test", "snare/ten.wav,train")
    both = _list(folder, *rows, header="file,split", where=("split=train", "label=kick"))
    assert [(sound.file, sound.label) for sound in both.sounds] == [("kick/one.wav", "kick")]
    labelled = _list(folder, "kick/one.wav,boom", where=("label=boom",))
    assert [sound.file for sound in labelled.sounds] == ["kick/one.wav"]


def test_hostile_tables(folder: Path) -> None:
    for content in (b"file\n\0\n", b"file,label\n" + b"x" * 200_000 + b",a\n", b'file\n"open', b"\xff\xfe\0", b""):
        (folder / "manifest.csv").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                list_sounds(folder)
            except FauxleyError as error:
                assert "\n" not in str(error)  # noqa: PT017


def test_placeholders_and_samplers_get_a_hint(folder: Path) -> None:
    (folder / ".tom.wav.icloud").write_bytes(b"bplist00")
    (folder / ".notes.txt.icloud").write_bytes(b"bplist00")
    (folder / "loop.rx2").write_bytes(b"CAT ")
    (folder / "piano.nki").write_bytes(b"x")
    reasons = {skip.file: skip.reason for skip in list_sounds(folder).skipped}
    assert reasons.keys() == {"tom.wav", "loop.rx2", "piano.nki"}
    assert "iCloud" in reasons["tom.wav"]
    assert "REX" in reasons["loop.rx2"]
    assert "Kontakt" in reasons["piano.nki"]


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        (["kick/a.wav", "snare/b.wav", "c.wav"], ["", "kick", "snare"]),
        (["kick/808/a.wav", "snare/909/b.wav"], ["kick", "snare"]),
        (["Pack/kick/a.wav", "Pack/snare/b.wav", "Pack/c.wav"], ["", "kick", "snare"]),
        (["Packs/Pack/kick/808/a.wav", "Packs/Pack/snare/b.wav"], ["kick", "snare"]),
        (["Pack/kick/a.wav", "Pack/snare/b.wav", "c.wav"], ["", "Pack", "Pack"]),
        (["kick/a.wav", "kick/b.wav"], ["kick", "kick"]),
        (["a.wav", "b.wav"], ["", ""]),
    ],
)
def test_the_first_folder_that_sorts_the_sounds_is_their_label(
    tmp_path: Path, files: list[str], labels: list[str]
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"sound")
    assert sorted(sound.label for sound in list_sounds(tmp_path).sounds) == labels
