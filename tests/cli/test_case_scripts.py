"""The cases that come as a script: each is run as it is and has its right outcome. See the README of the cases."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fauxley

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="the scripts are for a POSIX shell")]

# Instead of sleeping: until the run that was begun has trained a little. What follows it signals that run.
_WAIT_FOR_TRAINING = """for _ in $(seq 600); do
  [ -s "$(echo "$TMPDIR"/*/r/log.jsonl)" ] && exit; {sleep} 0.1
done"""

Outcome = Callable[[str, Path], None]


def _goes_on(output: str, temporary: Path) -> None:
    assert re.findall(r"^rc (\d+)$", output, re.MULTILINE) == ["0", "0"]


def _saves(output: str, temporary: Path) -> None:
    assert "rc 0" in output
    steps = [int(folder.name.removeprefix("step-")) for folder in temporary.glob("*/r/checkpoints/step-*")]
    assert max(steps) > 0


def _needs_no_home(output: str, temporary: Path) -> None:
    complaints = [line for line in output.splitlines() if line.startswith("fauxley:")]
    assert "rc 0" in output or (len(complaints) == 1 and "FAUXLEY_CACHE_DIR" in complaints[0])


def _shows_whole_names(output: str, temporary: Path) -> None:
    sounds = [sound for sound in temporary.glob("*/**/*.wav") if ".cache" not in sound.parts]
    assert sounds
    for sound in sounds:
        assert sound.relative_to(temporary).as_posix().partition("/")[2] in output


def _uses_every_row(output: str, temporary: Path) -> None:
    assert "1 usable file" in output
    assert "0 not usable" in output


OUTCOMES: dict[str, Outcome] = {
    "fsync_of_folder": _goes_on,
    "hang_up": _saves,
    "manifest/absolute": _uses_every_row,
    "no_home": _needs_no_home,
    "table_cuts_names": _shows_whole_names,
}
# What other tests go through: see `test_cases_files` here and `test_cases` of the sounds.
_ELSEWHERE = {
    *("audio_ffmpeg_none", "format_changes", "info_hang", "misleading_reason", "no_decoder", "no_decoder_free"),
    *("silent_loss", "size_zero_wav", "unknown_length_flac", "models", "run_best", "run_log", "state_segv"),
    *("manifest/backslash", "manifest/listed_not_audio_name", "manifest/two_labels"),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_case_that_is_a_script_has_its_outcome(name: str, cases: Path, tmp_path: Path) -> None:
    script = cases / name / "run.sh"
    if not script.is_file():
        pytest.skip(f"{script} is not there")
    output = run_script(script, tmp_path)
    assert "Traceback" not in output, output
    OUTCOMES[name](output, tmp_path)


def test_cases_that_no_other_test_knows_end_without_a_traceback(cases: Path, tmp_path: Path) -> None:
    folders = [path for path in cases.iterdir() if path.is_dir() and path.name != "manifest"]
    folders += [path for path in (cases / "manifest").glob("*") if path.is_dir()]
    unknown = {path.relative_to(cases).as_posix() for path in folders} - OUTCOMES.keys() - _ELSEWHERE
    if not unknown:
        pytest.skip("every case has a test of its own")
    for number, name in enumerate(sorted(unknown)):
        if (cases / name / "run.sh").is_file():
            (tmp_path / str(number)).mkdir()
            output = run_script(cases / name / "run.sh", tmp_path / str(number))
        else:
            command = [sys.executable, "-m", "fauxley", "scan", str(cases / name), "--jobs", "1"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode in (0, 1), name
            output = done.stderr
        assert "Traceback" not in output, (name, output)


def run_script(script: Path, temporary: Path) -> str:
    """What a script says where `fauxley` and `python` are those under test, and its `sleep` is short."""
    programs = temporary / ".programs"
    programs.mkdir()
    source = Path(fauxley.__file__).parents[1]
    real_sleep = subprocess.run(["sh", "-c", "command -v sleep"], capture_output=True, text=True, check=True).stdout
    shims = {
        # The scripts put folders of their own into PYTHONPATH.
        "fauxley": f'PYTHONPATH="{source}:$PYTHONPATH" exec "{sys.executable}" -m fauxley "$@"',
        "python": f'exec "{sys.executable}" "$@"',
        "sleep": _WAIT_FOR_TRAINING.format(sleep=real_sleep.strip()),
    }
    for name, text in shims.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(stat.S_IRWXU)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "FAUXLEY_CACHE_DIR": str(temporary / ".cache"),
    }
    done = subprocess.run(
        ["bash", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    return done.stdout
