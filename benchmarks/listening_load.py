"""A listening test under load: whole sessions of many listeners at once, every answer sent twice, nothing lost.

Serves a study of noises from a process of its own and lets `--listeners` take it at the same time: sounds fetched,
answers sent in duplicate, now and then the server killed and started again. Prints answers a second, how long an
acknowledgement takes, and counts what is in the database against what was acknowledged.
"""

import argparse
import asyncio
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import numpy as np

from fauxley.cli.main import main as fauxley
from fauxley.listening.study import ANSWERS_FILE
from fauxley.sounds.writing import write_audio

LABELS = ("one", "two")


def make_study(folder: Path) -> Path:
    """A study of two folders of noise; what it sounds like does not matter here."""
    rng = np.random.default_rng(0)
    for name in ("real", "model"):
        for label in LABELS:
            (folder / name / label).mkdir(parents=True)
        for number in range(20):
            write_audio(folder / name / LABELS[number % 2] / f"{number}.wav", 0.1 * rng.normal(size=(1, 16000)), 16000)
    arguments = ["--models", str(folder / "model"), "--real", str(folder / "real"), "--clips", "20", "--quiet"]
    assert fauxley(["listen", "create", str(folder / "study"), *arguments]) == 0
    return folder / "study"


class Server:
    """The server in a process of its own, on a port that stays the same when it is started again."""

    def __init__(self, study: Path) -> None:
        self.study, self.port = study, 0
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--listeners-per-hour", "100000"]
        command = [sys.executable, "-m", "fauxley", "listen", "serve", str(self.study), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        address = re.search(r"http://[\d.]+:(\d+)", self.process.stdout.readline())
        assert address is not None
        self.address, self.port = address[0], int(address[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Crowd:
    """Listeners who all answer at once, and what they were told."""

    def __init__(self, address: str, listeners: int) -> None:
        self.listeners = listeners
        self.acknowledged: list[str] = []
        self.waits: list[float] = []
        self._client = httpx.AsyncClient(
            base_url=address, limits=httpx.Limits(max_connections=listeners), timeout=httpx.Timeout(60)
        )

    async def run(self) -> None:
        async with self._client:
            await asyncio.gather(*(self._listen(number) for number in range(self.listeners)))

    async def _listen(self, number: int) -> None:
        begun = await self._send("POST", "/api/listeners", {}, json={"agreed": True})
        headers, step = {"x-listener": begun["token"]}, begun["step"]
        while step["trial"]:
            for token in step["sounds"][:2]:
                await self._send("GET", f"/api/sounds/{token}", headers)
            value: Any = {
                "volume": "ok",
                "headphones": "1",
                "label": LABELS[0],
                "pair": "first",
                "verdict": "real",
            }.get(step["kind"], {"quality": 1 + number % 5, "ease": 2, "diversity": 3})
            answer = {"trial": step["trial"], "answer_id": token_hex(16), "value": value, "plays": 1}
            begin = time.perf_counter()
            sent = [self._send("POST", "/api/answers", headers, json=answer) for _ in range(2)]
            step, copy = await asyncio.gather(*sent)
            self.waits.append(time.perf_counter() - begin)
            assert step == copy
            self.acknowledged.append(answer["answer_id"])

    async def _send(self, method: str, path: str, headers: dict[str, str], **body: Any) -> Any:
        """Try until there is an answer, as the page does."""
        while True:
            try:
                response = await self._client.request(method, path, headers=headers, **body)
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if response.status_code in (429, 503):
                await asyncio.sleep(0.5)
                continue
            response.raise_for_status()
            return response.json() if response.headers["content-type"] == "application/json" else response.content


async def kill_now_and_then(server: Server, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(3)
        server.kill()
        await asyncio.to_thread(server.start)


async def both(crowd: Crowd, server: Server, kills: int) -> None:
    killing = asyncio.create_task(kill_now_and_then(server, kills))
    await crowd.run()
    killing.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--kills", type=int, default=3, help="kill -9 the server so often, three seconds apart")
    parser.add_argument("--quick", action="store_true", help="ten listeners, one kill")
    arguments = parser.parse_args()
    listeners, kills = (10, 1) if arguments.quick else (arguments.listeners, arguments.kills)
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder))
        server = Server(study)
        crowd = Crowd(server.address, listeners)
        begin = time.perf_counter()
        asyncio.run(both(crowd, server, kills))
        seconds = time.perf_counter() - begin
        server.kill()
        with closing(sqlite3.connect(study / ANSWERS_FILE)) as db:
            stored = [row[0] for row in db.execute("SELECT answer_id FROM answer")]
            loads = [row[0] for row in db.execute("SELECT COUNT(*) FROM trial WHERE kind = 'opinion' GROUP BY unit")]
    lost = Counter(crowd.acknowledged) - Counter(stored)
    doubled = len(stored) - len(set(stored))
    waits = sorted(crowd.waits)
    print(f"{listeners} listeners at once, server killed up to {kills} times")
    print(f"{len(stored)} answers in {seconds:.1f} s")
    print(f"{len(stored) / seconds:.0f} answers/s, each sent twice, with their sounds")
    slow = waits[-1 - len(waits) // 100]
    print(f"acknowledged after {1e3 * statistics.median(waits):.0f} ms (median), {1e3 * slow:.0f} ms (99 %)")
    print(f"acknowledged but lost: {lost.total()}, doubled: {doubled}, not acknowledged: {len(stored) - len(waits)}")
    print(f"batches rated {min(loads)} to {max(loads)} times each")
    sys.exit(bool(lost or doubled))


if __name__ == "__main__":
    main()
