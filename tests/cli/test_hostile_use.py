"""What a clumsy user does: one line that helps, exit code 1 or 2, nothing lost, nothing left in the way."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import COMMANDS, main
from fauxley.terminal.progress import Stages
from fauxley.terminal.training_line import TerminalReporter

from .conftest import train_arguments

pytestmark = pytest.mark.slow

_HUGE = ("1e12", "1e15", "9e18")
_TRAIN = ["train", "wavegan-tiny", "--data", "{kit}", "--run", "{out}", "--device", "cpu", "--dry-run"]
_MAKING = {
    "generate": ["generate", "{run}", "--out", "{out}", "--device", "cpu"],
    "morph": ["morph", "{run}", "--out", "{out}", "--seeds", "3", "4", "--device", "cpu"],
    "vary": ["vary", "{run}", "3", "--out", "{out}", "--device", "cpu"],
}


def use(arguments: list[str], capsys: pytest.CaptureFixture[str], **places: Path) -> str:
    """Use the command wrongly; the one line that it answers."""
    code = main([argument.format(**places) for argument in arguments])
    error = capsys.readouterr().err
    assert code in (1, 2), arguments
    assert error.startswith("fauxley: "), error
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize("value", _HUGE)
@pytest.mark.parametrize(
    "flags",
    [
        *(["--dim", "{}"], ["--latent-size", "{}"], ["--channels", "{}"], ["--kernel-length", "{}"]),
        *(["--post-filter-length", "{}"], ["--preview-count", "{}"], ["--critic-steps", "{}"], ["--clip-length", "{}"]),
        *(["--batch-size", "{}"], ["--batch-size", "{}", "--accumulate", "{}"], ["--phase-shuffle", "{}"]),
    ],
    ids=lambda flags: " ".join(flags),
)
def test_sizes_beyond_any_machine_are_refused_by_arithmetic(
    flags: list[str],
    value: str,
    kit: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("fauxley.machine.memory_bytes", lambda device: 2**36)
    use([*_TRAIN, *(flag.format(value) for flag in flags)], capsys, kit=kit, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", list(_MAKING))
@pytest.mark.parametrize("flags", [["--count", "1e12"], ["--count", "1e18"], ["--sample-rate", "1e9"]])
def test_sounds_beyond_any_disk_are_refused(
    command: str, flags: list[str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use([*_MAKING[command], *flags], capsys, run=run, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_lies_between_a_seed_and_itself(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["morph", str(run), "--out", str(tmp_path / "out"), "--seeds", "3", "3"]
    assert "3 3" in use(arguments, capsys)


@pytest.mark.parametrize("place", ["file", "file/folder", "file/folder/deeper"])
@pytest.mark.parametrize(
    "command",
    [
        ["generate", "{run}", "--overwrite", "--out", "{out}"],
        ["morph", "{run}", "--seeds", "1", "2", "--overwrite", "--out", "{out}"],
        ["vary", "{run}", "1", "--overwrite", "--out", "{out}"],
        ["evaluate", "{run}", "--data", "{kit}", "--overwrite", "--out", "{out}"],
        ["compare", "{run}", "--data", "{kit}", "--overwrite", "--out", "{out}"],
        ["train-classifier", "--data", "{kit}", "--out", "{out}"],
        ["train-inversion", "{run}", "--data", "{kit}", "--out", "{out}"],
        ["import-tensorflow", "{run}", "--out", "{out}"],
        ["listen", "create", "{out}", "--models", "{run}", "--real", "{kit}"],
        ["prepare", "{kit}", "{out}", "--overwrite"],
        ["bench", "--json", "{out}/figures.json"],
        ["scan", "{kit}", "--json", "{out}/report.json"],
        train_arguments("{kit}", Path("{out}")),
    ],
    ids=lambda command: command[0],
)
def test_a_file_in_the_way_of_a_folder_is_said_to_be_one(
    command: list[str], place: str, run: Path, kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    error = use(command, capsys, run=run, kit=kit, out=tmp_path / place)
    assert str(tmp_path / "file") in error
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["empty folder", "file", "missing", "no name"])
@pytest.mark.parametrize(
    "command",
    [
        ["scan", "{bad}"],
        ["prepare", "{bad}", "{out}"],
        ["generate", "{bad}", "--out", "{out}"],
        ["morph", "{bad}", "--out", "{out}", "--seeds", "1", "2"],
        ["evaluate", "{bad}", "--data", "{kit}", "--out", "{out}", "--quiet"],
        ["compare", "{bad}", "--data", "{kit}", "--out", "{out}", "--quiet"],
        ["train-classifier", "--data", "{bad}", "--out", "{out}", "--quiet"],
        ["train-inversion", "{bad}", "--data", "{kit}", "--out", "{out}"],
        ["import-tensorflow", "{bad}", "--out", "{out}"],
        ["listen", "create", "{out}", "--models", "{bad}", "--real", "{kit}"],
        ["listen", "report", "{bad}", "--out", "{out}"],
        ["listen", "export", "{bad}", "--out", "{out}"],
        train_arguments("{bad}", Path("{out}")),
    ],
    ids=lambda command: " ".join(command[:2]) if command[0] == "listen" else command[0],
)
def test_what_is_not_there_is_one_line_and_leaves_nothing(
    command: list[str], kind: str, kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "ünï cödé"
    if kind == "empty folder":
        bad.mkdir()
    elif kind == "file":
        bad.write_text("neither sounds nor a model")
    places = {"bad": "" if kind == "no name" else bad, "kit": kit, "out": tmp_path / "out"}
    use(command, capsys, **places)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "refused",
    [
        *(["--channels", "3"], ["--overlap", "2"], ["--sample-rate", "3"], ["--learning-rate", "-1"]),
        *(["--batch-size", "6", "--accumulate", "4"], ["--evaluate-every", "1"], ["--learning-rate", "1e30"]),
    ],
    ids=lambda flags: " ".join(flags),
)
def test_after_a_refused_training_the_corrected_one_runs(refused: list[str], dataset: Path, tmp_path: Path) -> None:
    assert main(train_arguments(dataset, tmp_path / "run", *refused)) != 0 or refused[-1] == "1e30"
    shutil.rmtree(tmp_path / "run") if refused[-1] == "1e30" else None
    assert main(train_arguments(dataset, tmp_path / "run")) == 0


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["train", "wavegan"], ["listen", "create"]])
def test_no_help_text_is_a_riddle(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "torchrun" not in printed
    lines = [line.strip("│ ") for line in printed.splitlines()]
    assert not [line for line in lines if line.startswith(("Of ", "How. ", "What. "))]


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("ge", "generate"),
        ("train wavegan-sm", "wavegan-small"),
        ("train --min", "--minutes"),
        ("generate x --fo", "--format"),
        ("listen s", "serve"),
    ],
)
def test_a_shell_completes_commands_presets_and_flags(
    words: str, completed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed here")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(
        capsys.readouterr().out
        + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}\n'
        '_tyro_fauxley fauxley "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"\n'
    )
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [bash, script, "fauxley", *words.split()], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    assert completed in done.stdout.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*COMMANDS, "wavegan-small", "--batch-size"))


def test_long_work_speaks_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.terminal.progress.SPEAK_EVERY", 0.01)
    for quiet in (False, True):
        with Stages(quiet) as stages:
            stages.begin("scanning", 10)
            stages.advance(4)
            while not quiet and "4 of 10" not in capsys.readouterr().err:
                pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("separation", "words"), [(0.0, "even"), (3.0, "critic ahead, healthy"), (20.0, "far ahead"), (-3.0, "mistaken")]
)
def test_training_says_in_words_how_it_stands(
    separation: float, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.terminal.training_line.SPEAK_EVERY", -1.0)
    with TerminalReporter(quiet=False) as reporter:
        reporter.begin(0, 100)
        reporter.numbers({"critic_loss": -1.5, "generator_loss": 0.5, "separation": separation, "steps_per_second": 2})
        reporter.step(5, 100)
    line = capsys.readouterr().err
    assert "step 5 of 100" in line
    assert words in line
    assert "left" in line
    assert f"{separation:.1f}" in line


def test_names_are_whole_in_pipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path.joinpath(*(f"a folder with a long name, number {number}" for number in range(4)))
    folder.mkdir(parents=True)
    for name in ("kick", "snare"):
        soundfile.write(folder / f"{name}.wav", np.zeros(4000), 16000)
    assert main(["scan", str(tmp_path), "--jobs", "1", "--quiet"]) == 0
    printed = capsys.readouterr().out
    for name in ("kick", "snare"):
        assert (folder / f"{name}.wav").relative_to(tmp_path).as_posix() in printed


def test_advice_is_a_training_that_suits_and_keeps_stereo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", noise * (number + 1) / 3, 16000)
    assert main(["scan", str(tmp_path), "--jobs", "1", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert f"fauxley train --data {tmp_path} --run RUN" in printed
    assert "0.49 s at 16000 Hz, stereo" in printed
    assert "60 minutes" in printed
    assert "clips seen" in printed
    assert "--channels 2" in printed
