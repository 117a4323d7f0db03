"""Three small models (one is stereo, one knows labels), a workshop that plays them, and clients of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import torch

from fauxley.errors import printable
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.models.wavegan import WaveGAN

pytest.importorskip("fastapi", reason="no fastapi: pip install 'fauxley[studio]'")

from fastapi.testclient import TestClient

from fauxley.studio.audition import Audition
from fauxley.studio.instruments import open_instruments
from fauxley.studio.server import LIMITS, UPLOAD_BYTES, create_app
from fauxley.studio.shelf import Shelf
from fauxley.studio.workshop import Workshop
from fauxley.web.hosts import Hosts


def make_model(
    folder: Path, sample_rate: int, channels: int = 1, licence: str = "", labels: tuple[str, ...] = ()
) -> Path:
    """A model of random weights, loud enough to be heard."""
    architecture = WaveGAN(4096, dim=2, channels=channels, labels=labels)
    generator = architecture.generator(Draws(3))
    with torch.no_grad():
        for weights in generator.parameters():
            weights.mul_(2.0)
    provenance = Provenance(preset="tiny", step=7, license=licence)
    return Synthesizer(architecture, generator, architecture.representation(), sample_rate, provenance).save(folder)


@pytest.fixture(scope="session")
def drums_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "drums", 16_000, licence="CC0-1.0")


@pytest.fixture(scope="session")
def kinds_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows three kinds of sounds."""
    return make_model(tmp_path_factory.mktemp("models") / "kinds", 16_000, labels=("hat", "kick", "snare"))


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "Wide Things", 22_050, channels=2)


@pytest.fixture
def open_studio(
    drums_model: Path, wide_model: Path, kinds_model: Path, tmp_path: Path
) -> Iterator[Callable[..., TestClient]]:
    """Opens a studio: a client of it."""
    with ExitStack() as stack:

        def make(*, folder: Path | None = None, token: str = "", **limits: Any) -> TestClient:
            instruments = open_instruments([drums_model, wide_model, kinds_model], torch.device("cpu"))
            audition = Audition(folder, tmp_path / "kept") if folder else None
            workshop = stack.enter_context(closing(Workshop(instruments, Shelf(tmp_path / "shelf"), audition, token)))
            app = create_app(workshop, Hosts(), limits.pop("limits", LIMITS))
            return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

        yield make


@pytest.fixture
def studio(open_studio: Callable[..., TestClient]) -> TestClient:
    return open_studio()


@pytest.fixture(scope="session")
def strange_files() -> list[Path]:
    """All files of the folders of messy data and of cases, whatever they are: what people might drop on the page."""
    shared = Path(__file__).parents[3] / "shared"
    data = Path(os.environ.get("FAUXLEY_DATA_DIR") or shared / "data") / "messy"
    cases = Path(os.environ.get("FAUXLEY_CASES_DIR") or shared / "cases")
    found = [path for folder in (data, cases) for path in sorted(folder.rglob("*")) if path.is_file()]
    if not found:
        pytest.skip(f"there is nothing in {data} nor {cases}; set FAUXLEY_DATA_DIR, FAUXLEY_CASES_DIR")
    return [path for path in found if path.stat().st_size <= UPLOAD_BYTES]


def check_sentence(name: str, said: str) -> None:
    """Whether what is said of a file names it, says why in a line, and tells nothing of this machine."""
    shown = printable(name)[:100]
    assert said.startswith(f"{shown}: "), said
    reason = said.removeprefix(f"{shown}: ")
    assert 5 < len(reason) < 250, said
    assert "\n" not in reason
    assert not [word for word in ("Traceback", "Error", "/tmp", "dropped.", "went wrong", "None") if word in reason], (
        said
    )
