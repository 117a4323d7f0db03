"""What a command imports before it does anything, which is most of what starting it takes."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fauxley.cli.main import main
from fauxley.machine import importing

from .conftest import train_arguments

pytestmark = pytest.mark.slow

_CODE = "import sys; from fauxley.cli.main import main; main(sys.argv[1:]); print(*sys.modules, sep='\\n')"
# Each takes from a tenth of a second to one and a half, and is for something else.
_NEVER = (
    *("matplotlib", "scipy", "sklearn", "pandas", "joblib", "fsspec", "jinja2", "fastapi", "uvicorn", "onnxruntime"),
    *("av", "distributed", "ray", "tensorboard", "sympy", "torch._dynamo", "torch._inductor"),
)


def imported(*arguments: object) -> set[str]:
    """The modules that there are when a command is done."""
    command = [sys.executable, "-c", _CODE, *map(str, arguments)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(printed.splitlines())


def test_the_overview_needs_the_standard_library_only() -> None:
    assert not {"torch", "numpy", "tyro", "rich"} & imported("--help")


@pytest.mark.parametrize(
    "command", ["scan", "prepare", "generate", "vary", "morph", "knobs", "evaluate", "compare", "listen"]
)
def test_help_of_everyday_commands_needs_no_pytorch(command: str) -> None:
    modules = imported(command, "--help")
    assert f"fauxley.cli.{command}" in modules
    assert not {"torch", *_NEVER} - {"joblib"} & modules


def test_generating_imports_only_what_it_uses(run: Path, tmp_path: Path) -> None:
    modules = imported("generate", run, "--out", tmp_path / "sounds", "--count", 2)
    assert (tmp_path / "sounds" / "sheet.png").is_file()
    assert "torch" in modules
    assert not set(_NEVER) & modules


def test_training_leaves_pytorchs_compiler_alone(dataset: Path, tmp_path: Path) -> None:
    modules = imported(*train_arguments(dataset, tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir()
    assert not set(_NEVER) - {"matplotlib"} & modules  # which draws the curves


def test_importing_leaves_modules_to_themselves_and_the_rest_to_the_collector() -> None:
    before = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before
    gc.unfreeze()
    gc.disable()
    with importing():
        pass
    assert not gc.isenabled()
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "10000"), ({"OMP_WAIT_POLICY": "active"}, None), ({"GOMP_SPINCOUNT": "9"}, "9")]
)
def test_threads_that_compute_together_soon_sleep_while_they_wait_unless_told_otherwise(
    given: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert main(["models"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    assert os.environ.get("OMP_WAIT_POLICY") == given.get("OMP_WAIT_POLICY")
