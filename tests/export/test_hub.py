"""Models pushed to and pulled from a hub, which is a stand-in on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fauxley.export.cards import Judgement, model_card, read_judgement
from fauxley.models.synthesizer import Synthesizer

from .hub_stand_in import Hub, serving

pytest.importorskip("huggingface_hub", reason="no huggingface_hub: pip install 'fauxley[hub]'")
pytestmark = pytest.mark.slow


class Commands:
    """Runs fauxley with this hub. In processes of their own: the library reads its settings once."""

    def __init__(self, hub: Hub, address: str, home: Path) -> None:
        self.hub = hub
        self._settings = os.environ | {
            "HF_ENDPOINT": address,
            "HF_HOME": str(home),
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def __call__(self, *arguments: str | Path, **settings: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "fauxley", *map(str, arguments)]
        done = subprocess.run(
            command, env=self._settings | settings, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def fauxley(tmp_path) -> Iterator[Commands]:
    with serving() as (hub, address):
        yield Commands(hub, address, tmp_path / "home")


def test_a_model_comes_back_from_a_hub_as_it_was(fauxley, model, tmp_path):
    code, said = fauxley("push", model, "me/kicks")
    assert code == 0, said
    assert "/me/kicks" in said
    files = fauxley.hub.repositories["me/kicks"]
    assert set(files) == {"config.json", "model.safetensors", "README.md"}
    assert fauxley.hub.private["me/kicks"]  # nothing is made public unasked
    assert b"Licence of the training data: CC0" in files["README.md"]
    code, said = fauxley("pull", "me/kicks", "--out", tmp_path / "pulled")
    assert code == 0, said
    assert "CC0" in said
    assert {path.name for path in (tmp_path / "pulled").iterdir()} == {"config.json", "model.safetensors"}
    ours, theirs = Synthesizer.from_pretrained(model), Synthesizer.from_pretrained(tmp_path / "pulled")
    assert ours.generate(2).equal(theirs.generate(2))
    code, said = fauxley("pull", "me/kicks", "--out", tmp_path / "pulled")
    assert code == 2
    assert "something in it" in said


def test_a_card_that_somebody_worked_on_stays(fauxley, model):
    fauxley.hub.repositories["me/kicks"] = {"README.md": b"mine"}
    assert fauxley("push", model, "me/kicks")[0] == 0
    assert fauxley.hub.repositories["me/kicks"]["README.md"] == b"mine"
    assert fauxley("push", model, "me/kicks", "--replace-card")[0] == 0
    assert b"fauxley pull me/kicks" in fauxley.hub.repositories["me/kicks"]["README.md"]


def test_strangers_repositories_are_looked_at_before_they_are_kept(fauxley, model, tmp_path):
    good = {name: (model / name).read_bytes() for name in ("config.json", "model.safetensors")}
    config = json.loads(good["config.json"])
    huge = config | {"architecture": config["architecture"] | {"dim": 10**9}}
    cases = {
        "empty": ({}, {}, "no config.json"),
        "other": ({"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"}, {}, "another program"),
        "broken": ({"config.json": b"{", "model.safetensors": b"x"}, {}, "JSON"),
        "swapped": (good | {"model.safetensors": good["model.safetensors"][:-4] + b"\0\0\0\1"}, {}, "checksum"),
        "short": (good | {"model.safetensors": good["model.safetensors"][:100]}, {}, "damaged"),
        "huge": (good | {"config.json": json.dumps(huge).encode()}, {}, "not a usable model"),
        "large": (good, {"model.safetensors": 1 << 40}, "too large for a model"),
        "long": (good, {"config.json": 1 << 30}, "too large for a model"),
        "pickle": ({"config.json": good["config.json"], "pytorch_model.bin": b"x"}, {}, "no model.safetensors"),
    }
    for name, (files, lies, reason) in cases.items():
        fauxley.hub.repositories[f"evil/{name}"], fauxley.hub.lies = files, lies
        code, said = fauxley("pull", f"evil/{name}", "--out", tmp_path / "new")
        assert code == 1, (name, said)
        assert reason in said, (name, said)
        assert len(said.strip().splitlines()) == 1, said
        assert not (tmp_path / "new").exists()
    assert not any("pytorch_model.bin" in asked for asked in fauxley.hub.asked)


def test_what_goes_wrong_on_the_way_is_one_line(fauxley, model, tmp_path):
    for arguments, code, said in (
        (("pull", "me/missing", "--out", tmp_path / "new"), 1, "no such repository"),
        (("pull", "no-slash", "--out", tmp_path / "new"), 2, "OWNER/NAME"),
        (("pull", "../../etc/passwd", "--out", tmp_path / "new"), 2, "OWNER/NAME"),
        (("push", model, "a/b/c"), 2, "OWNER/NAME"),
        (("push", model, "me/kicks", "--report", tmp_path), 1, "report.json"),
    ):
        found, text = fauxley(*arguments)
        assert (found, len(text.strip().splitlines())) == (code, 1), text
        assert said in text
    fauxley.hub.failure = 403
    code, text = fauxley("push", model, "me/kicks")
    assert code == 1
    assert "HF_TOKEN" in text
    code, text = fauxley("pull", "me/kicks", "--out", tmp_path / "new", HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 1
    assert "cannot be reached" in text
    assert not (tmp_path / "new").exists()


def test_a_card_has_the_figures_and_remarks_of_an_evaluation(model, tmp_path):
    scores = {"copies": {"value": 0.01}, "kernel/log-mel": {"value": 1.234567, "spread": 0.1}, "new": {"value": 1}}
    content = {"generated": [{"scores": scores, "remarks": ["2 clips are\ncopies"]}]}
    (tmp_path / "report.json").write_text(json.dumps(content))
    card = model_card(Synthesizer.from_pretrained(model), "me/kicks", read_judgement(tmp_path))
    assert "| Copies | 0.01 |" in card
    assert "| Kernel distance (log-mel) | 1.235 |" in card
    assert "- 2 clips are copies" in card
    assert "drums" in card
    assert "not evaluated" in model_card(Synthesizer.from_pretrained(model), "me/kicks", Judgement())
    (tmp_path / "report.json").write_text(json.dumps({"generated": []}))
    with pytest.raises(Exception, match="0 models"):
        read_judgement(tmp_path)
