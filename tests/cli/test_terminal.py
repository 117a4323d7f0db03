"""Whatever there is to say can be said on any console."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

_SAY = """
from fauxley.terminal.outputs import prepare_outputs
import sys
prepare_outputs()
for stream in (sys.stdout, sys.stderr):
    print("a → b ≤ 3 × 2 ± σ: straße 鼓 \\udcff ✂", file=stream)
"""


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "a → b ≤ 3 × 2 ± σ: straße 鼓 \\udcff ✂"),
        ("cp1252", "a -> b <= 3 × 2 ± sigma: straße \\u9f13 \\udcff \\u2702"),
        ("ascii", "a -> b <= 3 x 2 +- sigma: stra\\xdfe \\u9f13 \\udcff \\u2702"),
    ],
)
def test_what_a_console_does_not_know_is_written_otherwise(encoding, expected):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    process = subprocess.run([sys.executable, "-c", _SAY], env=environment, capture_output=True, check=True)
    assert process.stdout.decode(encoding).rstrip() == expected
    assert process.stderr.decode(encoding).rstrip() == expected


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
@pytest.mark.parametrize("arguments", ["--help", "scan --help", "train wavegan --help", "nonsense", "scan nowhere"])
def test_help_and_complaints_are_text_everywhere(encoding, arguments):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "fauxley", *arguments.split()]
    process = subprocess.run(command, env=environment, capture_output=True, check=False)
    output = (process.stdout + process.stderr).decode(encoding)
    assert process.returncode == (0 if "help" in arguments else 2)
    assert "Traceback" not in output
    assert "\\u" not in output
