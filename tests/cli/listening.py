"""A study made by the command line, a server in a process of its own, and a listener that speaks its language."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

HEADPHONES = {"volume": "ok", "headphones": "1", "pair": "first", "verdict": "real"}
OPINION = {"quality": 4, "ease": 3, "diversity": 2}


@contextmanager
def serving(study: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve a study on a free port: the process and its address."""
    command = [sys.executable, "-m", "fauxley", "listen", "serve", str(study), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address, process.communicate(timeout=10)
        yield process, address[0].rstrip("/")
    finally:
        process.kill()
        process.communicate()


def answer_to(step: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    """The body of some valid answer."""
    value = OPINION if step["kind"] == "opinion" else HEADPHONES.get(step["kind"]) or labels[step["done"] % len(labels)]
    return {"trial": step["trial"], "answer_id": token_hex(16), "value": value, "plays": 1}
