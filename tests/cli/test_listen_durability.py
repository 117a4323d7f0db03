"""The listening page's server never loses nor doubles what it acknowledged: killed, or crowded."""

import asyncio
import signal
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from fauxley.listening.study import ANSWERS_FILE

from .listening import answer_to, serving

pytestmark = pytest.mark.slow


def take_part(address: str, acknowledged: list[str], sent: list[str], stop: threading.Event) -> None:
    """Answer until the server is gone; note what was sent and what was acknowledged."""
    try:
        with httpx.Client(base_url=address, timeout=10) as client:
            labels = client.get("/api/study").json()["labels"]
            begun = client.post("/api/listeners", json={"agreed": True}).json()
            client.headers["x-listener"], step = begun["token"], begun["step"]
            while step["trial"] and not stop.is_set():
                answer = answer_to(step, labels)
                sent.append(answer["answer_id"])
                response = client.post("/api/answers", json=answer)
                response.raise_for_status()
                acknowledged.append(answer["answer_id"])
                step = response.json()
    except httpx.HTTPError:
        pass


def test_killed_in_the_middle_nothing_acknowledged_is_lost(folder: Path) -> None:
    acknowledged: list[str] = []
    sent: list[str] = []
    with serving(folder) as (process, address):
        arguments = (address, acknowledged, sent, threading.Event())
        threads = [threading.Thread(target=take_part, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < 40 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    assert len(acknowledged) >= 40
    stored = stored_ids(folder)
    assert set(acknowledged) <= set(stored) <= set(sent)
    assert len(stored) == len(set(stored))
    with serving(folder) as (_, address):  # and it opens again
        assert httpx.get(f"{address}/api/study").status_code == 200


def test_fifty_at_once_and_no_rating_lost_or_doubled(folder: Path) -> None:
    """Every answer is sent twice, as over a bad network; each is there once."""

    async def one(client: httpx.AsyncClient, labels: list[str]) -> list[str]:
        begun = (await client.post("/api/listeners", json={"agreed": True})).json()
        headers, step, ids = {"x-listener": begun["token"]}, begun["step"], []
        while step["done"] < 4:
            sound = await client.get(f"/api/sounds/{step['sounds'][0]}", headers=headers)
            assert sound.status_code == 200
            answer = answer_to(step, labels)
            twice = await asyncio.gather(*(client.post("/api/answers", json=answer, headers=headers) for _ in range(2)))
            # The copy that comes first counts; the other is told the same, or that it was answered.
            assert {response.status_code for response in twice} == {200}
            step = twice[0].json()
            ids.append(answer["answer_id"])
        return ids

    async def everybody(address: str) -> list[list[str]]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
            labels = (await client.get("/api/study")).json()["labels"]
            return await asyncio.gather(*(one(client, labels) for _ in range(50)))

    with serving(folder) as (_, address):
        ids = [each for own in asyncio.run(everybody(address)) for each in own]
    assert len(ids) == 50 * 4
    assert Counter(stored_ids(folder)) == Counter(ids)


def stored_ids(folder: Path) -> list[str]:
    with sqlite3.connect(folder / ANSWERS_FILE) as db:
        rows = [row[0] for row in db.execute("SELECT answer_id FROM answer")]
    db.close()
    return rows
