"""What the documentation names exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fauxley
from fauxley.cli.main import COMMANDS
from fauxley.training.presets import PRESETS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_presets_and_modules_exist(page: Path) -> None:
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    text = "\n".join(block.strip("`") for block in code)
    for command in re.findall(r"^fauxley ([a-z][a-z-]+)", text, re.MULTILINE):
        assert command in COMMANDS
    for preset in re.findall(r"fauxley train ([a-z][a-z-]+)", text):
        assert preset in PRESETS
    for module in re.findall(r"^((?:audio|models|training|export|apps)/[\w/]+\.py)$", text, re.MULTILINE):
        assert (ROOT / "src" / "fauxley" / module).is_file(), module


def test_public_names_are_there_and_lazy() -> None:
    for name in fauxley.__all__:
        assert getattr(fauxley, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fauxley.nothing  # noqa: B018


@pytest.mark.parametrize("example", ["augment.py RUN 3", "variations.py RUN 7 OUT"])
def test_examples_run(example: str, tmp_path: Path) -> None:
    from fauxley.models.draws import Draws
    from fauxley.models.synthesizer import Synthesizer
    from fauxley.models.wavegan import WaveGAN

    architecture = WaveGAN(4096, dim=1)
    Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 16000).save(
        tmp_path / "m"
    )
    script, *arguments = example.replace("RUN", str(tmp_path / "m")).replace("OUT", str(tmp_path / "out")).split()
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "sounds" in finished.stdout
