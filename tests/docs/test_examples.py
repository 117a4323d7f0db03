"""What people copy from: the names that `import fauxley` offers, and the scripts in examples/."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fauxley

ROOT = Path(__file__).parents[2]


def test_public_names_are_there_and_lazy() -> None:
    code = f"import sys, fauxley; early = 'torch' in sys.modules; from fauxley import {', '.join(fauxley.__all__)}"
    assert not subprocess.run([sys.executable, "-c", f"{code}; sys.exit(early)"], check=False).returncode
    assert set(dir(fauxley)) == set(fauxley.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fauxley.nothing  # noqa: B018


def test_public_names_and_what_they_offer_are_documented() -> None:
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert {*re.findall(r"^::: fauxley\.(\w+)$", reference, re.MULTILINE), "__version__"} == set(fauxley.__all__)
    public = [getattr(fauxley, name) for name in fauxley.__all__ if name != "__version__"]
    members = [
        member.fget if isinstance(member, property) else member
        for each in public
        if inspect.isclass(each)
        for name, member in inspect.getmembers(each)
        if not name.startswith("_") and name in vars(each)
    ]
    assert len(members) > 20
    assert [each for each in (*public, *members) if not inspect.getdoc(each)] == []


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {fauxley.__version__}\n" in citation


@pytest.mark.slow
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
