"""`fauxley studio`: what it says where it cannot begin, whom it lets in, and how it ends."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from fauxley.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say what to play"),
        (["{}/nothing"], 2, "does not exist"),
        (["{}"], 2, "neither a model nor sounds"),
        (["{}", "{}"], 2, "one folder of sounds at a time"),
        (["{}", "--root-path", "studio"], 2, "begins with a slash"),
        (["{}", "--shelf", "{}/file"], 2, "is a file"),
        (["{}", "--port", "70000"], 2, "port"),
    ],
)
def test_what_cannot_be_played_is_one_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["studio", *(each.format(tmp_path) for each in arguments)]) == code
    written = capfd.readouterr().err
    assert said in written
    assert written.count("\n") == 1


def test_without_its_extra_a_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fauxley.cli.studio.find_spec", lambda name: None)
    assert main(["studio", str(tmp_path)]) == 2
    assert "pip install 'fauxley[studio]'" in capfd.readouterr().err


def test_a_model_that_is_too_slow_to_play_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from fauxley.models.draws import Draws
    from fauxley.models.synthesizer import Synthesizer
    from fauxley.models.wavenet import WaveNet

    architecture = WaveNet(256, dim=4, skip_dim=4, layers=2)
    Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000).save(
        tmp_path / "w"
    )
    assert main(["studio", str(tmp_path / "w"), "--port", "0"]) == 2
    assert "too long for each sound" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_others_need_a_token_and_ctrl_c_ends_it(drums_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fauxley", "studio", str(drums_model), "--port", "0", "--host", "0.0.0.0"]
    process = subprocess.Popen(
        [*command, "--shelf", str(tmp_path / "shelf")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/#token=(\S+)", process.stdout.readline())
        assert found
        address = f"http://127.0.0.1:{found[1]}/api/studio"
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"x-fauxley-token": found[2]}).json()["models"][0]["name"] == "drums"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (out, err) == ("stopped\n", "")
        assert process.returncode in (0, 130)
    finally:
        process.kill()
        process.communicate()
