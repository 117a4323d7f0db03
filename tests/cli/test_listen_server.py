"""The listening page's server: what it gives away, and what it puts up with."""

import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fauxley.listening.answers import Answers
from fauxley.listening.server import Limits, create_app
from fauxley.listening.study import ANSWERS_FILE, read_study
from fauxley.web.hosts import Hosts
from fauxley.web.server import Server

from .listening import answer_to, serving

pytestmark = pytest.mark.slow

LABELS = ["kick", "snare"]


def app_of(folder: Path, limits: Limits | None = None, prefix: str = "") -> Any:
    study = read_study(folder)
    return create_app(folder, study, Answers(folder, study), limits or Limits(), Hosts(), prefix)


@contextmanager
def client_of(app: Any) -> Iterator[httpx.Client]:
    """A client of an application that runs in a thread, over a real connection."""
    server = Server(app)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.serve_on, args=(bound,))
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def client(folder: Path) -> Iterator[httpx.Client]:
    with client_of(app_of(folder)) as client:
        yield client


def begin(client: httpx.Client) -> dict[str, Any]:
    begun = client.post("/api/listeners", json={"agreed": True}).json()
    client.headers["x-listener"] = begun["token"]
    return begun["step"]


def labels_of(client: httpx.Client) -> list[str]:
    return client.get("/api/study").json()["labels"]


# ---- what it gives away


def test_nothing_that_is_served_tells_where_a_clip_is_from(folder: Path) -> None:
    """Every byte of two whole sessions: no name, path, file, seed, role or ID, and no clip unlike the others."""
    study = read_study(folder)
    secrets = {text for source in study.sources for text in (source.name, source.path, source.role) if text}
    secrets |= {text for clip in study.clips for text in (clip.id, clip.origin)} | {unit.id for unit in study.units}
    secrets |= {"repeat", "purpose", "source", "uvicorn", "lsf", "libsndfile"}
    secrets -= {"real"}  # a word of the questions
    text, sounds, headers, tokens = bytearray(), {}, set(), []
    with serving(folder) as (_, address), httpx.Client(base_url=address) as client:
        labels = client.get("/api/study").json()["labels"]
        for path in ("/", "/listen.js", "/api.js", "/player.js", "/listen.css", "/icon.svg"):
            assert client.get(path).status_code == 200
        for _ in range(2):
            response = client.post("/api/listeners", json={"agreed": True})
            client.headers["x-listener"], step = response.json()["token"], response.json()["step"]
            text += response.content
            while step["trial"]:
                for token in step["sounds"]:
                    sound = client.get(f"/api/sounds/{token}")
                    tokens.append(token)
                    if step["kind"] not in ("volume", "headphones"):
                        sounds[token] = sound.content
                        headers.add(tuple((k, v) for k, v in sound.headers.multi_items() if k != "date"))
                response = client.post("/api/answers", json=answer_to(step, labels))
                step = response.json()
                text += response.content + repr(sorted(response.headers.items())).encode()
    found = {secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text.decode(), re.IGNORECASE)}
    assert found == set()
    assert len(tokens) == len(set(tokens))  # even a repeated clip has another address
    assert len(headers) == 1
    assert len({len(sound) for sound in sounds.values()}) == 1
    assert len({sound[:44] for sound in sounds.values()}) == 1
    samples = np.array([np.frombuffer(sound[44:], "<i2") for sound in sounds.values()])
    lead = samples[:, :500]  # dither, not digital silence, ahead of each
    assert np.abs(lead).max() == 1
    zeros = (lead == 0).mean(axis=1)
    assert zeros.min() > 0.5
    assert zeros.max() < 0.95


def test_the_order_of_questions_does_not_tell_the_sources(folder: Path) -> None:
    """Among many listeners, each source comes first about equally often, and no batch is shaped otherwise."""
    study = read_study(folder)
    answers = Answers(folder, study)
    first, shapes = Counter(), set()
    for _ in range(24):
        answers.start(time.time())
    rows = answers._db.execute(
        "SELECT listener, unit, batch, kind FROM trial WHERE batch >= 0 ORDER BY listener, place"
    )
    by_batch: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for listener, unit, batch, kind in rows:
        by_batch.setdefault((listener, batch), []).append((unit, kind))
    for (_, batch), trials in by_batch.items():
        shapes.add(tuple(kind for _, kind in trials))
        if batch == 0:
            first[study.sources_of(study.unit[trials[0][0]])] += 1
    answers.close()
    assert len(shapes) == 1
    assert set(first.values()) == {6}


def test_files_of_the_study_cannot_be_had(client: httpx.Client, folder: Path) -> None:
    step = begin(client)
    clip = read_study(folder).clips[0].id
    for path in (
        "/study.json", "/answers.sqlite", "/sounds/x.wav", f"/sounds/{clip}.wav", f"/api/sounds/{clip}",
        "/../study.json", "/%2e%2e/study.json", "/..%2fstudy.json", "/api/sounds/..%2f..%2fstudy.json",
        "/api/sounds/%2fetc%2fpasswd", "/api/sounds/' OR 1=1 --", f"/api/sounds/{step['sounds'][0]}%00",
        "/api/sounds/" + 3000 * "a", "/docs", "/openapi.json", "/redoc", "/api", "/api/answers",
    ):  # fmt: skip
        response = client.get(path)
        assert response.status_code in (404, 405), path
        assert b"RIFF" not in response.content
        assert response.headers["x-content-type-options"] == "nosniff"


# ---- what it puts up with


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", b"[" * 1500, b'{"a":' * 300, b"{}",
        b'{"trial": 1}', b'{"trial": "x", "answer_id": "y", "value": "z"}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_and_not_repeated(client: httpx.Client, body: bytes) -> None:
    begin(client)
    response = client.post("/api/answers", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert len(response.content) < 100


def test_answers_with_wrong_values_change_nothing(client: httpx.Client) -> None:
    step = begin(client)
    good = answer_to(step, LABELS)
    wrong: list[dict[str, Any]] = [
        {"value": value}
        for value in (
            None, 1, [], {}, "", "x" * 41, "'; DROP TABLE answer; --", "ok\u0000", "\ud800",
            {"quality": 6, "ease": 1, "diversity": 1}, {"quality": True, "ease": 1, "diversity": 1},
            {"quality": "5", "ease": 1, "diversity": 1}, {"quality": 1, "ease": 1},
            {"quality": 1.5, "ease": 1, "diversity": 2},
            {"quality": 1, "ease": 1, "diversity": 1, "more": 1},
        )
    ]  # fmt: skip
    wrong += [{"plays": plays} for plays in (-1, 1001, 1.5, "1", None, 10**30)]
    wrong += [{"trial": trial} for trial in ("", "../../etc/passwd", "x" * 65, 7, "' OR '1'='1")]
    wrong += [{"answer_id": name} for name in ("", "short", "x" * 65, "'; --" * 4, None)]
    wrong += [{"extra": 1}, {"listener": 0}]
    for change in wrong:
        content = json.dumps({**good, **change}).encode()
        response = client.post("/api/answers", content=content, headers={"content-type": "application/json"})
        assert response.status_code in (400, 409, 422), change
    assert client.get("/api/step").json() == step
    assert client.post("/api/answers", json=good).json()["done"] == 1


def test_random_bodies_are_never_an_error_of_the_server(client: httpx.Client) -> None:
    step = begin(client)
    rng = random.Random(0)
    good = json.dumps(answer_to(step, LABELS)).encode()
    for _ in range(80):
        body = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(body))
            body[place : place + rng.randint(0, 4)] = rng.randbytes(rng.randint(0, 4))
        response = client.post("/api/answers", content=bytes(body), headers={"content-type": "application/json"})
        assert response.status_code in (200, 400, 401, 409, 422), body


@pytest.mark.parametrize(
    "token", ["", "x", "x" * 65, "' OR 1=1 --------", "unknown-but-well-formed", "../../../../etc/x"]
)
def test_tokens_that_are_none(client: httpx.Client, token: str) -> None:
    step = begin(client)
    headers = {"x-listener": token}
    codes = {
        client.get("/api/step", headers=headers).status_code,
        client.get(f"/api/sounds/{step['sounds'][0]}", headers=headers).status_code,
        client.post("/api/answers", json=answer_to(step, LABELS), headers=headers).status_code,
    }
    assert codes <= {401, 422}


def test_other_listeners_questions_and_sounds_are_not_ones_own(client: httpx.Client) -> None:
    theirs = begin(client)
    mine = begin(client)
    assert client.get(f"/api/sounds/{theirs['sounds'][0]}").status_code == 404
    assert client.post("/api/answers", json=answer_to(theirs, LABELS)).status_code == 409
    assert client.get("/api/step").json() == mine


def test_an_answer_replayed_is_counted_once(client: httpx.Client) -> None:
    step = begin(client)
    answer = answer_to(step, LABELS)
    first, second = (client.post("/api/answers", json=answer) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["done"] == 1


def test_requests_from_other_sites_are_refused(client: httpx.Client) -> None:
    body = {"agreed": True}
    for site in ("cross-site", "same-site"):
        assert client.post("/api/listeners", json=body, headers={"sec-fetch-site": site}).status_code == 403
    # What a form of another site can send without asking first is no JSON.
    response = client.post("/api/listeners", content=json.dumps(body), headers={"content-type": "text/plain"})
    assert response.status_code == 422
    preflight = client.options("/api/listeners", headers={"origin": "https://x.example"})
    assert "access-control-allow-origin" not in preflight.headers
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # a link to the page


def test_every_answer_carries_the_same_protection(client: httpx.Client) -> None:
    begin(client)
    responses = [
        client.get("/"), client.get("/listen.js"), client.get("/nothing"), client.get("/api/step"),
        client.post("/api/answers", json={}), client.post("/api/listeners", content=b"x" * 5000),
    ]  # fmt: skip
    assert {response.status_code for response in responses} == {200, 404, 413, 422}
    for response in responses:
        assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert response.headers["cache-control"] == "no-store"
        assert "set-cookie" not in response.headers
        assert not {"etag", "last-modified", "server"} & response.headers.keys()


def test_the_page_asks_nobody_else_and_has_nothing_inline(client: httpx.Client) -> None:
    pages = {name: client.get(f"/{name}").text for name in ("", "listen.js", "api.js", "player.js", "listen.css")}
    for name, text in pages.items():
        links = set(re.findall(r"https?://[^\"' )]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not links, name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|\bstyle=|<style|onclick=", text
        ), name
    assert re.findall(r"<script[^>]*>([^<]*)<", pages[""]) == [""]


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_cut_off(folder: Path, chunked: bool) -> None:
    with serving(folder) as (_, address), httpx.Client(base_url=address) as client:
        size = 3_000_000
        content: Any = (b"x" * 1000 for _ in range(size // 1000)) if chunked else b"x" * size
        with suppress(httpx.WriteError):  # the server may hang up in the middle
            assert client.post("/api/answers", content=content).status_code == 413
        assert client.get("/api/study").status_code == 200


def test_so_many_requests_and_no_more(folder: Path) -> None:
    with client_of(app_of(folder, Limits(requests_per_minute=20))) as client:
        codes = [client.get("/api/study").status_code for _ in range(30)]
    assert codes == [200] * 20 + [429] * 10


def test_so_many_listeners_and_no_more(folder: Path) -> None:
    with client_of(app_of(folder, Limits(listeners_per_hour=3))) as client:
        codes = [client.post("/api/listeners", json={"agreed": True}).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    with client_of(app_of(folder, Limits(listeners=4))) as client:
        codes = [client.post("/api/listeners", json={"agreed": True}).status_code for _ in range(3)]
    assert codes == [200, 403, 403]


@pytest.mark.parametrize("passed_on", ["", "/study"])
def test_behind_a_proxy_with_a_prefix(folder: Path, passed_on: str) -> None:
    with client_of(app_of(folder, prefix="/study")) as client:
        assert client.get(f"{passed_on}/").text.startswith("<!doctype html>")
        assert client.get(f"{passed_on}/listen.js").status_code == 200
        begun = client.post(f"{passed_on}/api/listeners", json={"agreed": True}).json()
        headers = {"x-listener": begun["token"]}
        assert client.get(f"{passed_on}/api/sounds/{begun['step']['sounds'][0]}", headers=headers).status_code == 200
        assert client.get("/study/study/").status_code == 404


@pytest.mark.parametrize(("options", "second"), [((), 429), (("--trust-proxy", "127.0.0.1"), 200)])
def test_who_asks_is_taken_from_a_proxy_only_if_it_is_trusted(
    folder: Path, options: tuple[str, ...], second: int
) -> None:
    with serving(folder, "--listeners-per-hour", "1", *options) as (_, address):
        codes = [
            httpx.post(
                f"{address}/api/listeners", json={"agreed": True}, headers={"x-forwarded-for": origin}
            ).status_code
            for origin in ("203.0.113.1", "203.0.113.2", "203.0.113.2")
        ]
    assert codes == [200, second, 429]


@pytest.mark.parametrize(("options", "status"), [((), 421), (("--allowed-hosts", "*.example.org"), 200)])
def test_by_which_names_it_is_reached(folder: Path, options: tuple[str, ...], status: int) -> None:
    with serving(folder, *options) as (_, address):
        names = {"host": "study.example.org", "origin": "https://study.example.org"}
        assert httpx.get(address).status_code == 200
        assert httpx.get(address, headers=names).status_code == status
        assert httpx.post(f"{address}/api/listeners", json={"agreed": True}, headers=names).status_code == status


def test_a_database_that_is_locked_is_waited_for_and_then_the_listener_told(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = read_study(folder)
    answers = Answers(folder, study, busy_seconds=0.05)
    app = create_app(folder, study, answers, Limits(), Hosts())
    with client_of(app) as client:
        step = begin(client)
        answer = answer_to(step, LABELS)
        with closing(sqlite3.connect(folder / ANSWERS_FILE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            refused = [
                client.get("/api/step"),
                client.post("/api/answers", json=answer),
                client.post("/api/listeners", json={"agreed": True}),
            ]
            assert client.get("/").status_code == 200
            other.execute("ROLLBACK")
        for response in refused:
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            assert "locked" in response.json()["detail"]
        assert client.get("/api/step").json() == step
        assert client.post("/api/answers", json=answer).json()["done"] == 1
        answers.close()  # whatever else befalls it
        assert client.get("/api/step").status_code == 503
    assert capfd.readouterr().err == ""


def test_a_sound_that_has_gone_from_the_disk(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with client_of(app_of(folder)) as client:
        step = begin(client)
        shutil.rmtree(folder / "sounds")
        response = client.get(f"/api/sounds/{step['sounds'][0]}")
    assert response.status_code == 503
    assert str(folder) not in response.text
    assert capfd.readouterr().err == ""


def test_a_title_does_nothing_to_the_terminal(folder: Path) -> None:
    study = json.loads((folder / "study.json").read_text())
    study["title"] = "Dr\x1b]0;owned\x07\x1b[31mums\r\n\u202e\x9b2J gr\u00fcn"
    (folder / "study.json").write_text(json.dumps(study))
    command = [sys.executable, "-m", "fauxley", "listen", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        process.kill()
    assert line.startswith("Dr]0;owned[31mums2J gr\u00fcn: http://127.0.0.1:")
    assert line.endswith("(Ctrl-C stops)\n")
