"""Benchmarks must run when they are needed: on a machine lent for minutes, and after interfaces have changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_benchmark_of_devices_runs_on_a_cpu(tmp_path):
    command = [sys.executable, str(_BENCHMARKS / "device.py"), "--quick", "--device", "cpu", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    report = json.loads((tmp_path / "report.json").read_text())
    tables = {name: rows for name, rows in report.items() if name != "machine"}
    assert len(tables) == 5
    for rows in tables.values():
        assert not any("failed" in row for row in rows)
    assert all(row["gradients, relative"] == 0 for row in tables["Against the CPU, float32"])
    assert {row["graphs"] for row in tables["The paper's step"]} == {"no", "yes"}
    assert all(f"## {name}" in (tmp_path / "report.md").read_text() for name in tables)


@pytest.mark.parametrize(
    "options",
    [
        "convolution.py",
        "train_step.py",
        "train_step.py --model specgan --objective relativistic",
        "train_step.py --objective hinge",
    ],
)
def test_what_make_bench_runs_agrees_with_plain_pytorch_and_ends(options):
    script, *rest = options.split()
    command = [sys.executable, str(_BENCHMARKS / script), "--quick", *rest]
    ran = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert "ratio" in ran.stdout or "plain / bfloat16" in ran.stdout
