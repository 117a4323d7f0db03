"""Small models, quick to make and to export."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fauxley.models.architecture import Architecture
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.models.wavegan import WaveGAN


def small(architecture: Architecture) -> Synthesizer:
    """A model that has learnt nothing, loud enough to be heard."""
    generator = architecture.generator(Draws(0, 1))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(2)
    about = Provenance("wavegan-tiny", 3, "drums", "CC0", "0.1")
    return Synthesizer(architecture, generator, architecture.representation(), 16000, about)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is found out about models is kept apart from what the user's own are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder."""
    return small(WaveGAN(4096, dim=2)).save(tmp_path_factory.mktemp("models") / "drum-model")


@pytest.fixture(scope="session")
def labelled_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a model that has learnt labels."""
    architecture = WaveGAN(4096, dim=2, labels=("hat_closed", "hat_open", "kick"))
    return small(architecture).save(tmp_path_factory.mktemp("models") / "labelled-model")
