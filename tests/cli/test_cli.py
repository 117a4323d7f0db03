import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fauxley
from fauxley.cli.main import COMMANDS, main


def test_the_overview_names_every_command_and_needs_no_pytorch() -> None:
    code = "import sys; from fauxley.cli.main import main; main(['--help']); print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in printed for name in COMMANDS)
    assert printed.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["train", "wavegan"]])
def test_every_command_explains_itself_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"fauxley {' '.join(command)}" in printed
    assert "xample" in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["fauxley", fauxley.__version__]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["genrate"], "did you mean 'generate'?"),
        (["train", "wavegan-smal", "--data", "x", "--run", "y"], "did you mean 'wavegan-small'?"),
        (["train", "wavegan", "--data", "x", "--run", "y", "--batchsize", "3"], "--batch-size"),
        (
            ["train", "wavegan", "--data", "x", "--run", "y", "--batch-size", "many"],
            "--batch-size: 'many' is not a number",
        ),
        (["train", "wavegan", "--data", "x", "--run", "y", "--clip-length", "20000"], "got 20000"),
        (["generate"], "--out"),
        ([], "usage"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_do(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert hint in captured.err + captured.out
    assert "Traceback" not in captured.err


@pytest.mark.slow
def test_the_installed_module_runs(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    command = [sys.executable, "-m", "fauxley", "generate", str(missing), "--out", str(tmp_path / "out")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    (line,) = finished.stderr.strip().splitlines()
    assert line.startswith(f"fauxley: {missing} does not exist; MODEL is a run folder")  # and which models ship
    assert not (tmp_path / "out").exists()


def test_the_library_names_no_flags() -> None:
    """It is used from Python, too; what the command line calls a setting is for `fauxley.cli` to say."""
    of_others = {"--nproc-per-node", "--max-restarts", "--force-reinstall"}  # torchrun's and pip's
    pages = {"export/cards.py", "export/browser.py"}  # texts that show commands to those who get a model
    source = Path(fauxley.__file__).parent
    named = {
        f"{path.relative_to(source)}: {flag}"
        for path in source.rglob("*.py")
        if "cli" not in path.relative_to(source).parts and path.relative_to(source).as_posix() not in pages
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for flag in re.findall(r"(?<![\w\"!<-])--[a-z][a-z-]+", node.value)
        if flag not in of_others
    }
    assert named == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nope", "--data", "{kit}", "--out", "r"], "nope does not exist"),
        (["evaluate", "{kit}", "--data", "{kit}", "--test", "nope", "--out", "r"], "nope does not exist"),
        (["evaluate", "{kit}", "--data", "{kit}", "--classifier", "nope", "--out", "r"], "nope does not exist"),
        (["evaluate", "{kit}", "--data", "{kit}", "--best-by", "nope", "--out", "r"], "--best-by cannot be 'nope'"),
        (["compare", "{kit}", "nope", "--data", "{kit}"], "nope does not exist"),
        (["train-classifier", "--data", "{kit}", "--test", "nope"], "nope does not exist"),
        (["listen", "create", "s", "--models", "nope", "--real", "{kit}"], "nope does not exist"),
        (["export", "nope", "--to", "sfz", "--out", "k"], "it must be sounds or a model"),
    ],
)
def test_what_is_missing_is_told_before_any_sound_is_read(
    arguments: list[str],
    message: str,
    kit: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fauxley.dataset.packing.pack", lambda *_, **__: pytest.fail("sounds were read"))
    assert main([each.format(kit=kit) for each in arguments]) == 2
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        "generate nope --out x",
        "generate drums --latents nope --out x",
        "vary nope 7 --out x",
        "vary drums nope --out x",
        "morph nope --seeds 1 2 --out x",
        "knobs nope",
        "export nope --to onnx --out x.onnx",
        "push nope me/x",
        "studio nope",
        "evaluate nope --data {kit} --out x",
        "compare nope drums --data {kit}",
        "scan nope",
        "cut nope --out x",
        "prepare nope x",
        "train --data nope --run x",
        "train wavegan-tiny --data nope --run x",
        "train --data {kit} --run x --from nope",
        "train-classifier --data nope",
        "train-inversion nope --data {kit} --out x",
        "listen serve nope",
        "listen report nope",
        "import-tensorflow nope --out x",
    ],
)
def test_what_does_not_exist_is_wrong_use(
    command: str, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", None)
    assert main([word.format(kit=kit) for word in command.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nope" in line
    assert not any(tmp_path.iterdir())


def test_a_model_is_no_place_for_a_run(kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    for preset in ([], ["wavegan-tiny"]):
        assert main(["train", *preset, "--data", str(kit), "--run", str(tmp_path), "--dry-run"]) == 2
        assert "is a model, not a run" in capsys.readouterr().err


def test_a_choice_lists_its_words_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "drums", "--out", "x", "--pick", "brigt"]) == 2
    error = capsys.readouterr().err
    assert "'brightest'," in error
    assert "None" not in error
