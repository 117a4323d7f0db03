import csv
import json
import re
import shutil
import signal
import socket
import sys
from html.parser import HTMLParser
from pathlib import Path
from secrets import token_hex

import numpy as np
import pytest
import soundfile
import torch

from fauxley.cli.main import main
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.evaluation.folder_clips import open_clips
from fauxley.listening.answers import Answers
from fauxley.listening.creation import StimulusSettings, assemble
from fauxley.listening.questions import Answer, Opinion, Rating
from fauxley.listening.report import page
from fauxley.listening.results import Results, evaluate
from fauxley.listening.study import Design, Study, read_study
from fauxley.signal.cleaning import loudness
from fauxley.signal.drumkit import write_kit

from .listening import serving

pytestmark = pytest.mark.slow


def create(folder: Path, dataset: Path, run: Path, *options: str) -> int:
    few = ["--clips", "10", "--quiet"]
    return main(["listen", "create", str(folder), "--models", str(run), "--real", str(dataset), *few, *options])


def test_all_sounds_of_a_study_are_alike_but_for_the_sound(listening_study: Path) -> None:
    study = read_study(listening_study)
    assert [source.role for source in study.sources] == ["real", "model", "model", "anchor"]
    assert len(study.clips) == 40
    files = [listening_study / "sounds" / f"{clip.id}.wav" for clip in study.clips]
    assert len({path.stat().st_size for path in files}) == 1
    assert len({path.read_bytes()[:44] for path in files}) == 1
    levels = [loudness(soundfile.read(path, always_2d=True)[0].T, study.sample_rate) for path in files]
    assert np.ptp(levels) < 0.5
    names = "".join(path.name for path in (listening_study / "sounds").iterdir())
    assert not any(word in names for word in ("zebra", "ibex", "walrus", "seed", "kick"))


def test_the_same_seed_draws_the_same_sounds_under_other_names(dataset: Path, run: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert create(tmp_path / name, dataset, run, "--seed", str(seed)) == 0
    a, b, c = (read_study(tmp_path / name) for name in "abc")
    assert [clip.origin for clip in a.clips] == [clip.origin for clip in b.clips]
    assert not {clip.id for clip in a.clips} & {clip.id for clip in b.clips}
    assert {clip.origin for clip in a.clips if clip.source == 1}.isdisjoint(clip.origin for clip in c.clips)


def test_folders_of_files_and_other_rates_and_channels(dataset: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "wavs").mkdir()
    for number in range(12):
        soundfile.write(tmp_path / "wavs" / f"{number}.wav", 0.1 * rng.normal(size=(5000 + 900 * number, 2)), 44100)
    (tmp_path / "wavs" / "broken.wav").write_bytes(b"RIFF")
    assert create(tmp_path / "study", dataset, tmp_path / "wavs", "--tasks", "pairs", "--seconds", "0.5") == 0
    study = read_study(tmp_path / "study")
    infos = {tuple(vars(soundfile.info(tmp_path / "study" / "sounds" / f"{clip.id}.wav"))[k] for k in
             ("samplerate", "channels", "frames", "subtype")) for clip in study.clips}  # fmt: skip
    assert infos == {(16000, 1, 8000 + 2 * 800, "PCM_16")}


def test_what_a_recogniser_hears_is_the_reference_of_a_model(dataset: Path, run: Path, tmp_path: Path) -> None:
    heard = []

    def recognise(audio: np.ndarray, sample_rate: int) -> str:
        heard.append((audio.shape, sample_rate))
        return "kick"

    real, model = open_clips(dataset, 10), open_clips(run, 10)
    made = assemble(
        tmp_path / "s", ("real", real), {"m": model}, Design(), StimulusSettings(clips=10), recognise=recognise
    )
    assert heard == [((1, 4096), 16000)] * 10
    assert {clip.label for clip in made.study.clips if clip.source == 1} == {"kick"}
    assert {clip.label for clip in made.study.clips if clip.source == 0} > {"kick"}


def test_a_classifier_names_the_clips_of_a_model(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_kit(tmp_path / "kit", per_instrument=5, duration_seconds=0.25)
    dataset = tmp_path / "dataset"
    assert main(["prepare", str(tmp_path / "kit"), str(dataset), "--clip-length", "4096", "--quiet"]) == 0
    small = ["--epochs", "2", "--least-steps", "0", "--width", "4", "--device", "cpu", "--quiet", "--force"]
    folder = tmp_path / "classifier"
    assert main(["train-classifier", "--data", str(dataset), *small, "--out", str(folder)]) == 0
    classifier = Classifier.load(folder)
    assert create(tmp_path / "study", dataset, run, "--classifier", str(folder)) == 0
    study = read_study(tmp_path / "study")
    (model,) = (place for place, source in enumerate(study.sources) if source.role == "model")
    labels = [clip.label for clip in study.clips if clip.source == model]
    # The classifier was trained at the study's rate and length, so clips reach it as they are.
    heard = [classifier.judge(torch.from_numpy(drawn.audio))[1].argmax() for drawn in open_clips(run, 10).originals()]
    assert labels == [classifier.labels[int(label)] for label in heard]
    assert create(tmp_path / "other", dataset, run, "--classifier", str(folder), "--labels", "yes", "no") == 2
    assert "give the study the labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--models", "{tmp}/nowhere", "--real", "{data}"], "nowhere"),
        (["--models", "{run}", "--real", "{tmp}"], "no audio"),
        (["--models", "{run}", "x={run}", "X={run}", "--real", "{data}"], "same name"),
        (["--models", "anchor={run}", "--real", "{data}"], "NAME=PATH"),
        (["--models", "{run}", "--real", "{data}", "--clips", "3"], "from 10"),
        (["--models", "{run}", "--real", "{data}", "--labels", "one"], "two labels"),
        (["--models", "{run}", "--real", "{data}", "--labels", "one", "?"], "a label must"),
        (["--models", "{run}", "--real", "{data}", "--labels", "One", "one"], "case"),
        (["--models", "{run}", "--real", "{data}", "--seconds", "0"], "seconds"),
        (["--models", "{run}", "--real", "{data}", "--loudness", "3"], "LKFS"),
        (["--models", "{run}", "--real", "{data}", "--seed", "-1"], "negative"),
        (["--models", "{run}", "--real", "{data}", "--verdicts", "0"], "verdicts"),
        (["--models", "{run}", "--real", "{data}", "--tasks", "label", "label"], "each once"),
        (["--models", "secret={run}", "--real", "{data}", "--title", "Secret sounds"], "title"),
        (["--models", "--real", "{data}"], "at least one model"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    options: list[str], hint: str, dataset: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    options = [option.format(tmp=tmp_path / "empty", data=dataset, run=run) for option in options]
    assert main(["listen", "create", str(tmp_path / "study"), "--clips", "10", "--quiet", *options]) in (1, 2)
    captured = capsys.readouterr().err.strip()
    assert hint in captured
    assert len(captured.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_study_is_not_replaced(listening_study: Path, dataset: Path, run: Path) -> None:
    before = (listening_study / "study.json").read_bytes()
    assert create(listening_study, dataset, run) == 2
    assert (listening_study / "study.json").read_bytes() == before


@pytest.mark.parametrize("command", ["serve", "report", "export"])
def test_what_is_no_study_is_one_line(
    command: str, listening_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer, damaged, hostile = (Path(shutil.copytree(listening_study, tmp_path / name)) for name in "abc")
    text = (newer / "study.json").read_text()
    (newer / "study.json").write_text(text.replace('"format_version": 1', '"format_version": 2'))
    next((damaged / "sounds").iterdir()).unlink()
    clip = read_study(listening_study).clips[0].id
    (hostile / "study.json").write_text(text.replace(clip, "../../../../etc/passwd"))
    for folder, code, hint in (
        (tmp_path, 2, "not a listening study"),
        (newer, 1, "update"),
        (damaged, 1, "missing"),
        (hostile, 1, "missing"),
    ):
        assert main(["listen", command, str(folder)]) == code
        captured = capsys.readouterr().err.strip()
        assert hint in captured
        assert len(captured.splitlines()) == 1


def test_no_answers_yet_is_one_line(listening_study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("report", "export"):
        assert main(["listen", command, str(listening_study)]) == 1
        assert "no answers yet" in capsys.readouterr().err


def test_a_port_in_use_is_one_line(listening_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = shutil.copytree(listening_study, tmp_path / "study")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["listen", "serve", str(study), "--port", str(port)]) == 1
    assert f"port {port}" in capsys.readouterr().err
    for options in (["--port", "99999"], ["--host", "no.such.host.invalid"], ["--root-path", "study"]):
        assert main(["listen", "serve", str(study), *options]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_without_the_extra_one_line_says_what_to_install(
    listening_study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for module in [name for name in sys.modules if name.startswith(("fauxley.listening.server", "fauxley.web."))]:
        monkeypatch.delitem(sys.modules, module)
    assert main(["listen", "serve", str(listening_study)]) == 2
    assert "pip install 'fauxley[web]'" in capsys.readouterr().err


def test_interrupted_it_stops_cleanly(listening_study: Path, tmp_path: Path) -> None:
    with serving(Path(shutil.copytree(listening_study, tmp_path / "study"))) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "stopped" in out
    assert err == ""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset")]


def test_a_report_stands_alone_and_escapes_what_it_is_given(make_results) -> None:
    results = make_results(evil="<script>alert(1)</script>&\"'")
    text = page(results)
    tags = _Tags()
    tags.feed(text)
    assert "script" not in tags.tags
    assert tags.links == []
    assert "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import", text)
    assert {"table", "svg"} <= set(tags.tags)


@pytest.fixture
def make_results(listening_study: Path):
    def make(evil: str) -> Results:
        text = (listening_study / "study.json").read_text()
        data = json.loads(text)
        data["title"] = evil
        data["sources"][1]["name"] = evil
        data["labels"][-1] = evil
        folder = listening_study.parent / "evil"
        if not folder.exists():
            shutil.copytree(listening_study, folder)
        (folder / "study.json").write_text(json.dumps(data))
        study = read_study(folder)
        return evaluate(study, _some_ratings(study, folder), {0: True})

    return make


def _some_ratings(study: Study, folder: Path) -> list[Rating]:
    """Two listeners who hear well and take their time."""
    answers = Answers(folder, study)
    now = 1e9
    for number in range(2):
        token = answers.start(now)
        step = answers.step(token, now)
        while step.trial:
            now += 5
            clip = str(answers.clip_of(token, step.sounds[0]))
            role = study.sources[study.clip[clip].source].role if clip in study.clip else ""
            label = study.reference(clip) if clip in study.clip else ""
            choices = {"volume": "ok", "headphones": "1", "verdict": "real", "label": label or study.labels[number]}
            choices["pair"] = "second" if role == "anchor" else "first"
            value = choices.get(step.kind) or Opinion(1 if role == "anchor" else 4 + number, 3, 5)
            step = answers.answer(token, Answer(step.trial, token_hex(16), value), now)
    ratings = answers.ratings()
    answers.close()
    return ratings


def test_report_and_export_write_whole_files_and_replace_nothing_unasked(
    listening_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(listening_study, tmp_path / "study"))
    ratings = _some_ratings(read_study(folder), folder)
    out, table = tmp_path / "report", tmp_path / "ratings.csv"
    assert main(["listen", "report", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "walrus" in printed
    assert "alpha" in printed
    assert json.loads((out / "report.json").read_text())["started"] == 2
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert main(["listen", "export", str(folder), "--out", str(table)]) == 0
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == len(ratings)
    capsys.readouterr()
    assert main(["listen", "report", str(folder), "--out", str(out)]) == 2
    assert main(["listen", "export", str(folder), "--out", str(table)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    first = (out / "report.html").read_bytes()
    assert main(["listen", "report", str(folder), "--out", str(out), "--overwrite", "--quiet"]) == 0
    assert (out / "report.html").read_bytes() == first
    assert capsys.readouterr().out == ""
    assert main(["listen", "export", str(folder)]) == 0
    assert capsys.readouterr().out == table.read_text()
