"""What the studio's server gives, refuses and puts up with, asked over HTTP."""

import base64
import csv
import io
import json
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from fauxley.latents.directions import Directions
from fauxley.models.synthesizer import Synthesizer
from fauxley.studio.instruments import Float, Instrument
from fauxley.studio.server import LIMITS
from fauxley.studio.wire import MEDIA_TYPE, unpack

from .conftest import check_sentence

Open = Callable[..., TestClient]


def sounds_of(response: Any) -> tuple[Any, Float]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    return unpack(response.content)


def test_a_seed_and_a_latent_are_the_sounds_that_python_makes(studio: TestClient, drums_model: Path) -> None:
    synthesizer = Synthesizer.from_pretrained(drums_model)
    header, clips = sounds_of(studio.post("/api/generate", json={"model": "drums", "seed": 5, "count": 3}))
    expected = synthesizer.generate(3, seed=5).numpy()
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(clips, expected, atol=1e-6)
    assert header.sample_rate == 16_000
    assert [facts.seed for facts in header.sounds] == [5, 6, 7]
    first = header.sounds[0]
    assert (first.model, first.license, first.made) == ("drums", "CC0-1.0", "new")
    _, again = sounds_of(studio.post("/api/generate", json={"model": "drums", "latents": [first.latent]}))
    np.testing.assert_allclose(again[0], expected[0], atol=1e-6)


def test_stereo_models_of_another_rate_are_played_too(studio: TestClient, wide_model: Path) -> None:
    header, clips = sounds_of(studio.post("/api/generate", json={"model": "wide-things", "count": 2}))
    assert (header.sample_rate, header.channels, clips.shape) == (22_050, 2, (2, 2, 4096))
    np.testing.assert_allclose(clips, Synthesizer.from_pretrained(wide_model).generate(2).numpy(), atol=1e-6)


def test_sounds_of_a_label_are_those_of_python(studio: TestClient, kinds_model: Path) -> None:
    synthesizer = Synthesizer.from_pretrained(kinds_model)
    ask = {"model": "kinds", "seed": 4, "count": 3}
    header, clips = sounds_of(studio.post("/api/generate", json=ask))
    assert [facts.labels for facts in header.sounds] == [{"kick": 1.0}, {"snare": 1.0}, {"hat": 1.0}]
    np.testing.assert_allclose(clips, synthesizer.generate(3, seed=4).numpy(), atol=1e-6)
    for labels in ({"snare": 1.0}, {"snare": 0.75, "hat": 0.25}):
        header, clips = sounds_of(studio.post("/api/generate", json={**ask, "labels": labels}))
        assert [facts.labels for facts in header.sounds] == [labels] * 3
        np.testing.assert_allclose(clips, synthesizer.generate(3, seed=4, labels=labels).numpy(), atol=1e-6)
    latent = header.sounds[0].latent
    again, varied = sounds_of(
        studio.post("/api/vary", json={"model": "kinds", "latent": latent, "labels": {"kick": 1.0}, "radius": 0})
    )
    assert again.sounds[0].labels == {"kick": 1.0}
    expected = synthesizer.generate(latents=np.array([latent], np.float32), labels="kick").numpy()
    np.testing.assert_allclose(varied, expected, atol=1e-6)
    corners = {"model": "kinds", "corners": [latent, latent], "labels": [{"kick": 1.0}, {"hat": 1.0}], "columns": 3}
    morph, _ = sounds_of(studio.post("/api/morph", json=corners))
    assert [facts.labels for facts in morph.sounds] == [{"kick": 1.0}, {"kick": 0.5, "hat": 0.5}, {"hat": 1.0}]
    unknown = studio.post("/api/generate", json={**ask, "labels": {"snair": 1.0}})
    assert (unknown.status_code, "snare" in unknown.json()["detail"]) == (409, True)


def test_variations_stay_near_and_within_the_prior(studio: TestClient) -> None:
    latent = np.linspace(-1, 1, 100)
    near, far = (
        sounds_of(studio.post("/api/vary", json=ask))[0]
        for ask in (
            {"model": "drums", "latent": latent.tolist(), "count": 8, "radius": radius, "seed": 1}
            for radius in (0.1, 0.8)
        )
    )
    away = [np.array([facts.latent for facts in header.sounds]) - latent for header in (near, far)]
    assert 0 < np.abs(away[0]).max() <= 0.2 + 1e-6
    assert np.abs(away[1]).mean() > 3 * np.abs(away[0]).mean()
    assert all(np.abs(facts.latent).max() <= 1 for facts in far.sounds)
    assert len({tuple(facts.latent) for facts in far.sounds}) == 8


def test_a_morph_begins_and_ends_at_its_corners(studio: TestClient) -> None:
    header, clips = sounds_of(studio.post("/api/generate", json={"model": "drums", "count": 4}))
    corners = [facts.latent for facts in header.sounds]
    _, line = sounds_of(studio.post("/api/morph", json={"model": "drums", "corners": corners[:2], "columns": 5}))
    assert len(line) == 5
    np.testing.assert_allclose(line[[0, -1]], clips[:2], atol=1e-5)
    ask = {"model": "drums", "corners": corners, "columns": 3, "rows": 3}
    _, square = sounds_of(studio.post("/api/morph", json=ask))
    np.testing.assert_allclose(square[[0, 2, 6, 8]], clips, atol=1e-5)
    _, middle = sounds_of(studio.post("/api/place", json={"model": "drums", "corners": corners, "x": 0.5, "y": 0.5}))
    np.testing.assert_allclose(middle[0], square[4], atol=1e-5)


def test_a_dragged_file_holds_the_samples_that_generate_writes(studio: TestClient) -> None:
    header, clips = sounds_of(studio.post("/api/generate", json={"model": "drums", "seed": 9}))
    latent = base64.urlsafe_b64encode(np.array(header.sounds[0].latent, "<f4").tobytes()).decode().rstrip("=")
    response = studio.get("/api/wav", params={"model": "drums", "latent": latent, "name": "snare/../x"})
    assert response.headers["content-type"] == "audio/wav"
    assert "/" not in response.headers["content-disposition"].partition("''")[2]
    samples, rate = soundfile.read(io.BytesIO(response.content), dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(samples, np.clip(np.rint(clips[0, 0] * 32768), -32768, 32767))
    assert studio.get("/api/wav", params={"model": "drums", "seed": 9}).content == response.content


@pytest.mark.parametrize(
    ("path", "body", "code", "said"),
    [
        ("generate", {"model": "drums", "count": 65}, 422, "count"),
        ("generate", {"model": "drums", "count": 0}, 422, "count"),
        ("generate", {"model": "drums", "seed": -1}, 422, "seed"),
        ("generate", {"model": "drums", "seed": 1.5}, 422, "seed"),
        ("generate", {"model": "drums", "more": 1}, 422, "more"),
        ("generate", {"model": "drums", "labels": {"snare": 1.0}}, 409, "no labels"),
        ("generate", {"model": "../drums"}, 422, "model"),
        ("generate", {"model": "trumpets"}, 404, "no such model"),
        ("generate", {"model": "drums", "latents": [[0.0] * 99]}, 409, "100 numbers"),
        ("generate", {"model": "drums", "latents": [[0.0] * 100, [0.0]]}, 409, "same number"),
        ("generate", {"model": "drums", "latents": [[1e9] * 100]}, 422, "latents"),
        ("vary", {"model": "drums", "latent": [0.0] * 100, "radius": 9}, 422, "radius"),
        ("vary", {"model": "drums", "latent": [0.0] * 7}, 409, "100 numbers"),
        ("morph", {"model": "drums", "corners": [[0.0] * 100] * 3}, 409, "two corners, or four"),
        ("place", {"model": "drums", "corners": [[0.0] * 100] * 2, "x": 1.1}, 422, "x"),
        ("invert", {"model": "drums", "recording": "gone"}, 404, "drop the file again"),
        ("shelf", {"name": "nothing"}, 409, "recording, or a model"),
        ("export", {"sounds": []}, 422, "sounds"),
        ("keepers", {"sounds": [0]}, 404, "no folder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    studio: TestClient, path: str, body: dict[str, Any], code: int, said: str
) -> None:
    response = studio.post(f"/api/{path}", json=body)
    assert response.status_code == code, response.text
    assert said in response.json()["detail"]
    assert "\n" not in response.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": "drums", "seed": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_no_requests_are_refused(studio: TestClient, content: bytes) -> None:
    response = studio.post("/api/generate", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert isinstance(response.json()["detail"], str)


def test_other_names_and_other_sites_are_refused(studio: TestClient) -> None:
    ask = {"model": "drums"}
    assert studio.post("/api/generate", json=ask, headers={"host": "evil.example"}).status_code == 421
    assert studio.post("/api/generate", json=ask, headers={"origin": "http://evil.example"}).status_code == 403
    assert studio.post("/api/generate", json=ask, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert studio.post("/api/generate", json=ask, headers={"origin": "http://localhost"}).status_code == 200


def test_a_token_is_asked_for_where_there_is_one(open_studio: Open) -> None:
    studio = open_studio(token="sesame")
    assert studio.get("/").status_code == 200
    for headers in ({}, {"x-fauxley-token": "sesam"}, {"x-fauxley-token": "sésame"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        response = studio.get("/api/studio", headers=encoded)
        assert response.status_code == 401
        assert "token" in response.json()["detail"]
    assert studio.get("/api/studio", headers={"x-fauxley-token": "sesame"}).status_code == 200
    assert studio.get("/api/wav", params={"model": "drums", "token": "sesame"}).status_code == 200


def test_uploads_are_bounded(open_studio: Open) -> None:
    studio = open_studio(limits=replace(LIMITS, body_bytes=1000))
    assert studio.post("/api/recordings", content=b"x" * 1001).status_code == 413


@pytest.mark.slow
def test_every_messy_file_is_taken_or_refused_in_a_sentence(studio: TestClient, strange_files: list[Path]) -> None:
    outcomes = set()
    for path in strange_files:
        ask = {"name": path.name, "model": "drums"}
        response = studio.post("/api/recordings", params=ask, content=path.read_bytes())
        outcomes.add(response.status_code)
        if response.status_code == 200:
            header, clips = unpack(response.content)
            assert header.sample_rate == 16_000
            assert np.isfinite(clips).all()
            assert 0 < clips.shape[2] <= 60 * 16_000
        else:
            assert response.status_code == 409, (path, response.text)
            check_sentence(path.name, response.json()["detail"])
    assert outcomes


def test_messy_files_that_are_fine_are_taken(studio: TestClient, data_dir: Path) -> None:
    listing = data_dir / "messy" / "manifest.csv"
    if not listing.is_file():
        pytest.skip(f"{listing} is not there; set FAUXLEY_DATA_DIR")
    with listing.open(encoding="utf-8") as file:
        fine = [row["file"] for row in csv.DictReader(file) if row["sensible_outcome"] == "ok"]
    for path in (data_dir / "messy" / name for name in fine):
        if path.is_file():
            response = studio.post("/api/recordings", params={"name": path.name}, content=path.read_bytes())
            assert response.status_code == 200, (path, response.text)


def test_a_recording_is_brought_to_the_model_it_is_dropped_on(studio: TestClient) -> None:
    time = np.arange(48_000) / 48_000
    tone = np.stack([0.5 * np.sin(2 * np.pi * 440 * time), np.zeros_like(time)], axis=1)
    encoded = io.BytesIO()
    soundfile.write(encoded, tone, 48_000, format="FLAC")
    ask = {"name": "tone.flac", "model": "drums"}
    response = studio.post("/api/recordings", params=ask, content=encoded.getvalue())
    header, clips = sounds_of(response)
    assert (header.sample_rate, clips.shape) == (16_000, (1, 1, 16_000))
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(clips[0, 0, 1000:-1000], expected[1000:-1000], atol=1e-3)
    assert header.sounds[0].made == "recording"
    assert response.headers["x-recording"]


def test_long_recordings_are_cut_and_said_to_be(studio: TestClient) -> None:
    encoded = io.BytesIO()
    soundfile.write(encoded, np.sin(np.arange(70 * 8000) / 9), 8000, format="FLAC")
    response = studio.post("/api/recordings", params={"name": "long.flac"}, content=encoded.getvalue())
    _, clips = sounds_of(response)
    assert clips.shape[2] == 60 * 8000
    assert "60" in response.headers["x-remark"]


def test_the_shelf_is_a_folder_that_loses_nothing(studio: TestClient, tmp_path: Path, drums_model: Path) -> None:
    star = {"name": "fat snare", "model": "drums", "seed": 3, "labels": {}}
    written = [studio.post("/api/shelf", json=star).json()["file"] for _ in range(2)]
    assert written == ["fat-snare.wav", "fat-snare-2.wav"]
    samples, rate = soundfile.read(tmp_path / "shelf" / "fat-snare.wav", dtype="int16")
    clip = Synthesizer.from_pretrained(drums_model).generate(1, seed=3).numpy()[0, 0]
    assert (rate, np.abs(samples - np.clip(np.rint(clip * 32768), -32768, 32767)).max()) == (16_000, 0)
    facts = json.loads((tmp_path / "shelf" / "fat-snare.json").read_text())
    assert (facts["seed"], facts["model_name"], facts["license"], len(facts["latent"])) == (3, "drums", "CC0-1.0", 100)
    assert [entry["name"] for entry in studio.get("/api/shelf").json()] == ["fat snare", "fat snare"]
    assert studio.delete("/api/shelf/fat-snare.wav").status_code == 200
    assert studio.delete("/api/shelf/fat-snare.wav").status_code == 404
    assert (tmp_path / "shelf" / "removed" / "fat-snare.wav").is_file()
    for name in ("../../x", "con", "", "a/b\\c:d*?", "x" * 100, "  .hidden"):
        file = studio.post("/api/shelf", json={**star, "name": name}).json()["file"]
        assert (tmp_path / "shelf" / file).is_file()
        assert not file.startswith(".")
        assert file.lower() != "con.wav"
    for file in ("..%2f..%2fx.wav", "removed", "nothing.wav"):
        assert studio.delete(f"/api/shelf/{file}").status_code == 404


def test_an_archive_holds_each_sound_and_what_it_is(studio: TestClient) -> None:
    sounds = [{"name": "hit", "model": "drums", "seed": seed} for seed in (1, 2)]
    response = studio.post("/api/export", json={"sounds": sounds})
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert sorted(archive.namelist()) == ["hit-2.json", "hit-2.wav", "hit.json", "hit.wav"]
    assert json.loads(archive.read("hit-2.json"))["seed"] == 2
    assert len(soundfile.read(io.BytesIO(archive.read("hit.wav")))[0]) == 4096


@pytest.mark.parametrize(("kind", "file"), [("sfz", "kit.sfz"), ("decentsampler", "kit.dspreset")])
def test_a_kit_has_a_key_for_each_sound_and_takes_in_turn(studio: TestClient, kind: str, file: str) -> None:
    encoded = io.BytesIO()
    soundfile.write(encoded, 0.5 * np.sin(np.arange(8000) / 5), 16_000, format="WAV")
    sent = studio.post("/api/recordings", params={"name": "a.wav", "model": "kinds"}, content=encoded.getvalue())
    sounds: list[dict[str, Any]] = [
        {"name": "my snare", "model": "kinds", "seed": 2, "labels": {"snare": 1.0}},
        {"name": "my kick", "model": "kinds", "seed": 1, "labels": {"kick": 1.0}},
        {"name": "knock", "recording": sent.headers["x-recording"]},
    ]
    response = studio.post("/api/export", json={"format": kind, "sounds": sounds, "takes": 3, "layers": 1})
    assert response.status_code == 200, response.text
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    files = [name for name in archive.namelist() if name.endswith(".wav")]
    assert sorted(len([name for name in files if each in name]) for each in ("snare", "kick", "knock")) == [1, 3, 3]
    text = archive.read(file).decode()
    assert all(Path(name).name in text for name in files)
    assert "LICENSE.txt" in archive.namelist()


def test_a_kit_has_the_knobs_of_its_pads_and_says_what_is_silent(
    studio: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kick = {"name": "kick", "model": "drums", "seed": 1}
    sounds = [kick, {**kick, "name": "soft", "settings": {"gain": -20, "choke": 2}}]
    response = studio.post("/api/export", json={"format": "sfz", "sounds": sounds, "takes": 1, "layers": 1})
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    loud, soft = (
        soundfile.read(io.BytesIO(archive.read(name)))[0]
        for name in sorted(archive.namelist())
        if name.endswith(".wav")
    )
    np.testing.assert_allclose(soft, 0.1 * loud, atol=1e-5)
    assert "group=1 off_by=1" in archive.read("kit.sfz").decode()
    entries = json.loads(archive.read("kit.json"))["files"]
    assert [entry["knobs"].get("gain") for entry in entries] == [None, -20]
    assert "x-remark" not in response.headers
    render = Instrument.render

    def mute(self: Instrument, latents: Float, mixtures: Any) -> Float:
        return render(self, latents, mixtures) * (latents[:, 0] != self.latents_of([3])[0, 0])[:, None, None]

    monkeypatch.setattr(Instrument, "render", mute)
    ask: dict[str, Any] = {
        "format": "folder",
        "sounds": [kick, {**kick, "name": "no thing", "seed": 3}],
        "takes": 1,
        "layers": 1,
    }
    response = studio.post("/api/export", json=ask)
    assert unquote(response.headers["x-remark"]) == "left out, because silent: no thing"
    assert sum(name.endswith(".wav") for name in zipfile.ZipFile(io.BytesIO(response.content)).namelist()) == 1
    nothing = studio.post("/api/export", json={**ask, "sounds": ask["sounds"][1:]})
    assert (nothing.status_code, "silent" in nothing.json()["detail"]) == (409, True)
    refused = studio.post("/api/export", json={"format": "sfz", "sounds": [{**kick, "settings": {"gain": 99}}]})
    assert (refused.status_code, "gain" in refused.json()["detail"]) == (422, True)


def test_sounds_of_several_rates_make_no_kit(studio: TestClient) -> None:
    sounds = [{"model": "kinds", "seed": 1}, {"model": "wide-things", "seed": 1}]
    response = studio.post("/api/export", json={"format": "sfz", "sounds": sounds})
    assert response.status_code == 409
    assert "sample rate" in response.json()["detail"]


def test_a_model_tells_its_knobs_once_they_are_found(
    studio: TestClient, drums_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    assert studio.get("/api/knobs/drums").json()["state"] == "unknown"
    assert studio.post("/api/knobs/trumpets").status_code == 404
    assert studio.post("/api/knobs/drums").status_code == 202
    for _ in range(2400):
        said = studio.get("/api/knobs/drums").json()
        if said["state"] not in ("waiting", "running"):
            break
        assert 0 <= said["share"] <= 1
        threading.Event().wait(0.05)
    assert said["state"] == "done", said
    knobs = {each["name"]: each for each in said["knobs"]}
    assert {"brighter", "boomier", "noisier"} <= set(knobs)
    synthesizer = Synthesizer.from_pretrained(drums_model)
    moved = Directions.fit(synthesizer).move(synthesizer.latents([1])[0], {"brighter": 0.5, "boomier": -0.25}).numpy()
    travel = 0.5 * np.array(knobs["brighter"]["travel"]) - 0.25 * np.array(knobs["boomier"]["travel"])
    np.testing.assert_allclose(np.clip(synthesizer.latents([1])[0].numpy() + travel, -1, 1), moved, atol=1e-4)
    assert knobs["brighter"]["low"] < knobs["brighter"]["middle"] < knobs["brighter"]["high"]
    assert studio.delete("/api/knobs/kinds").json()["state"] == "unknown"
    assert studio.post("/api/knobs/kinds").status_code == 202
    studio.delete("/api/knobs/kinds")
    for _ in range(2400):
        if studio.get("/api/knobs/kinds").json()["state"] in ("cancelled", "done"):
            break
        threading.Event().wait(0.05)
    assert studio.get("/api/knobs/kinds").json()["knobs"] == []


def searched(studio: TestClient, begun: Any) -> dict[str, Any]:
    """A search, once it has ended."""
    assert begun.status_code == 202, begun.text
    for _ in range(2400):
        state: dict[str, Any] = studio.get(f"/api/invert/{begun.json()['id']}").json()
        if state["state"] not in ("waiting", "running"):
            return state
        threading.Event().wait(0.05)
    raise AssertionError(state)


@pytest.mark.slow
def test_a_sound_of_the_model_is_found_again(
    studio: TestClient, kinds_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clip = Synthesizer.from_pretrained(kinds_model).generate(1, seed=77, labels="kick").numpy()[0, 0]
    encoded = io.BytesIO()
    soundfile.write(encoded, clip, 16_000, format="WAV", subtype="FLOAT")
    sent = studio.post("/api/recordings", params={"name": "a.wav", "model": "kinds"}, content=encoded.getvalue())
    ask = {"model": "kinds", "recording": sent.headers["x-recording"], "labels": {"kick": 1.0}}
    state = searched(studio, studio.post("/api/invert", json=ask))
    assert state["state"] == "done", state
    assert state["verdict"]
    assert state["distance"] >= 0
    header, found = sounds_of(studio.get(f"/api/invert/{state['id']}/sound"))
    assert (header.sounds[0].labels, header.sounds[0].made) == ({"kick": 1.0}, "resynthesis")
    latents = np.array([header.sounds[0].latent], np.float32)
    again = Synthesizer.from_pretrained(kinds_model).generate(latents=latents, labels="kick").numpy()
    np.testing.assert_allclose(found, again, atol=1e-5)
    begun = studio.post("/api/invert", json=ask)
    assert studio.delete(f"/api/invert/{begun.json()['id']}").status_code == 200
    assert searched(studio, begun)["state"] == "cancelled"


def test_a_folder_is_listened_through_and_keepers_are_copied(open_studio: Open, sounds: Path, tmp_path: Path) -> None:
    (sounds / "broken.wav").write_bytes(b"RIFFnothing")
    (sounds / "kick" / "00.json").write_text('{"seed": 4, "model": "runs/old", "latent": [0.5], "labels": 7}')
    studio = open_studio(folder=sounds)
    listing: list[dict[str, Any]] = []
    for _ in range(200):
        listing = studio.get("/api/folder").json()
        if all(each["seconds"] or each["problem"] for each in listing):
            break
        threading.Event().wait(0.05)
    assert len(listing) == 31
    by_name = {each["file"]: each for each in listing}
    assert by_name["broken.wav"]["problem"]
    kick = by_name["kick/00.wav"]
    assert (kick["label"], kick["seconds"], len(kick["likeness"])) == ("kick", 400 / 16_000, 49)
    assert -60 < kick["loudness"] < 0
    header, clips = sounds_of(studio.get(f"/api/folder/{kick['id']}"))
    expected, _ = soundfile.read(sounds / "kick" / "00.wav", always_2d=True)
    np.testing.assert_allclose(clips[0], expected.T, atol=1e-6)
    assert header.sounds[0].name == "kick/00.wav"
    assert studio.get(f"/api/folder/{by_name['broken.wav']['id']}").status_code == 409
    assert studio.get("/api/folder/999").status_code == 404
    kept = studio.post("/api/keepers", json={"sounds": [kick["id"], by_name["snare/01.flac"]["id"]]}).json()
    assert kept["copied"] == 2
    assert (tmp_path / "kept" / "kick" / "00.wav").read_bytes() == (sounds / "kick" / "00.wav").read_bytes()
    assert (tmp_path / "kept" / "kick" / "00.json").is_file()
    assert studio.post("/api/keepers", json={"sounds": [kick["id"]]}).json()["copied"] == 0
    assert studio.post("/api/keepers", json={"sounds": [999]}).status_code == 404


def test_every_answer_is_described(studio: TestClient) -> None:
    description = studio.get("/api/openapi.json").json()
    paths = {path for path in description["paths"] if path.startswith("/api/")}
    assert {f"/api/{name}" for name in ("generate", "vary", "morph", "invert", "export")} <= paths
    for operations in description["paths"].values():
        for operation in operations.values():
            assert operation["description"]


def test_other_methods_are_told_which_there_are(studio: TestClient) -> None:
    response = studio.put("/api/shelf")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
