"""Benchmarks that wait for a machine nobody has at hand must run when it is lent."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
