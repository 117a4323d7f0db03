"""What several parts of the tests share: the official numbers, and a drum kit of a few short sounds."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.signal.drumkit import write_kit

_PARITY = Path(os.environ.get("FAUXLEY_PARITY_DIR") or Path(__file__).parents[2] / "shared" / "parity")
_CASES = Path(os.environ.get("FAUXLEY_CASES_DIR") or Path(__file__).parents[2] / "shared" / "cases")

# What "auto" means must not depend on the machine; tests of it say so themselves.
os.environ["FAUXLEY_PRECISION"] = "float32"

# A shell's background jobs ignore SIGINT, nohup's SIGHUP, and hand that down to all they start; some tests send these.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Two cores, and tests of many small tensors: more threads only wait for each other.
torch.set_num_threads(1)


class Recorded:
    """One file of official numbers, with those of the files it builds on.

    A large array is kept thinned, in TensorFlow's order: `name_s7` is every 7th element of `name`.
    """

    def __init__(self, case):
        self.name = case["file"].removesuffix(".npz")
        self.cfg = case["cfg"]
        sources = [*re.findall(r"\w+/\w+\.npz", json.dumps(self.cfg)), case["file"]]
        if "x_and_variables_of" in self.cfg:
            sources.insert(0, f"{case['kind']}/{self.cfg['x_and_variables_of']}.npz")
        self.own = _arrays(case["file"])
        self._arrays = {}
        for source in sources:
            self._arrays |= _arrays(source)

    def __getitem__(self, name):
        return self._arrays[name]

    def get(self, name, default):
        return self._arrays.get(name, default)

    def __contains__(self, name):
        return name in self._arrays

    def group(self, prefix):
        """All that lies under a prefix, in full or thinned: name, every how manieth element, values."""
        for key, values in self.own.items():
            if match := re.fullmatch(rf"{re.escape(prefix)}(?:_s(\d+))?/(.+)", key):
                yield match[2], int(match[1] or 1), values

    def variables(self):
        return {key.removeprefix("var/"): values for key, values in self._arrays.items() if key.startswith("var/")}

    def versions(self, name):
        """One array, in full, thinned, or both: every how manieth element, values."""
        for key, values in self.own.items():
            if match := re.fullmatch(rf"{re.escape(name)}(?:_s(\d+))?", key):
                yield int(match[1] or 1), values


def pytest_configure(config):
    config.addinivalue_line("markers", "parity(kind, name): runs for every file of official numbers that fits")
    config.addinivalue_line("markers", "slow: takes about a second or more; `make test-quick` leaves it out")


def pytest_generate_tests(metafunc):
    """Give a test marked `parity` one `recorded` for each file in the folder of its kind and name (a pattern)."""
    for marker in metafunc.definition.iter_markers("parity"):
        kind, pattern = (*marker.args, ".*")[:2]
        found = [c for c in _cases() if c["kind"] == kind and re.fullmatch(pattern, c["name"])]
        reason = f"no official numbers of {kind} in {_PARITY}; set FAUXLEY_PARITY_DIR"
        missing = [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
        metafunc.parametrize("recorded", found or missing, ids=[c["name"] for c in found] or ["missing"], indirect=True)


@pytest.fixture
def recorded(request):
    return Recorded(request.param)


@pytest.fixture(scope="session")
def cases():
    """The folder of small inputs that went wrong."""
    if not _CASES.is_dir():
        pytest.skip(f"there are no cases in {_CASES}; set FAUXLEY_CASES_DIR")
    return _CASES


@pytest.fixture(scope="session")
def make_kit(tmp_path_factory):
    """Writes a folder `kit` with two sounds of each drum, or as `write_kit` is told."""

    def make(**settings):
        folder = tmp_path_factory.mktemp("sounds") / "kit"
        write_kit(folder, **{"per_instrument": 2} | settings)
        return folder

    return make


@pytest.fixture(scope="session")
def kit(make_kit):
    """A folder with two short sounds of each drum, at 8 kHz."""
    return make_kit(sample_rate=8000, duration_seconds=0.5)


@pytest.fixture(scope="session")
def drums(kit, tmp_path_factory):
    """The same, prepared in clips of 4096 samples."""
    settings = PackSettings(sample_rate=8000, clip_length=4096)
    return pack(kit, tmp_path_factory.mktemp("packed") / "drums", settings, n_jobs=1)


@cache
def _cases():
    manifest = _PARITY / "manifest.json"
    return json.loads(manifest.read_text())["cases"] if manifest.is_file() else []


@cache
def _arrays(file):
    return dict(np.load(_PARITY / file, allow_pickle=False))


_SHARED = Path(__file__).parents[2] / "shared"


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable) or _SHARED / default)
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable}")
    return folder


@pytest.fixture
def parity_dir() -> Path:
    return _folder("FAUXLEY_PARITY_DIR", "parity")


@pytest.fixture
def data_dir() -> Path:
    return _folder("FAUXLEY_DATA_DIR", "data")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder of 30 short files with three labels, of different lengths, levels and formats."""
    folder = tmp_path / "sounds"
    random = np.random.default_rng(0)
    for index in range(30):
        label = ("kick", "snare", "hat")[index % 3]
        (folder / label).mkdir(parents=True, exist_ok=True)
        audio = 0.1 * random.standard_normal((400 + 37 * index, 1 + index % 2))
        suffix = ("wav", "flac")[index % 2]
        soundfile.write(folder / label / f"{index:02d}.{suffix}", np.clip(audio, -1, 1), 16000)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser without a window, in which the pages are tested."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'fauxley[dev]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()
