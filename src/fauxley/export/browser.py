"""The studio's page without a server: a folder of static files for any web host, which makes sounds by itself.

The page asks `engine.js` for sounds. Here another `engine.js` computes them in the visitor's browser: the model is an
ONNX graph, which ONNX Runtime's WebAssembly runs in a worker of the page. All files come from the folder itself. The
page compares its first sound with samples computed in Python, and opens only if they agree. The folder
also holds the model's knobs (see `latents/directions.py`) as numbers.

Browsers let WebAssembly use threads only if the host sends two headers (COOP and COEP). Hosts that read a file
`_headers` send them; elsewhere the page computes in one thread, and says so.
"""

import json
import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.export.onnx_model import Weights, to_onnx
from fauxley.export.portable import Agreement, Inputs, allowed_difference
from fauxley.latents.directions import Directions
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import atomic_folder

_CHECKED_SEED = 0
_CHECKED_EVERY = 64  # one sample in so many is compared
_FILES = files("fauxley.export") / "web"
_ENGINE, _OWN_ENGINE = "engine.js", "engine-onnx.js"
_PAGE_FILES = (".css", ".html", ".js", ".svg")


def write_page(
    synthesizer: Synthesizer,
    out: Path,
    name: str,
    page: Traversable,
    weights: Weights = "float32",
    progress: Callable[[str, int, int], None] | None = None,
) -> Agreement:
    """Write the page of a model to a new folder, completely or not at all; return how near its sounds are to Python's.

    Args:
        name: of the model, shown on the page.
        page: the folder of the studio's page.
        progress: is told how far the search for the model's knobs is; see `Directions.fit`.

    Raises:
        FileExistsError: the folder is not empty.
        FauxleyError: see `to_onnx`.
    """
    model = to_onnx(synthesizer, weights)
    facts = {
        **model.facts,
        "name": name,
        "check": _check(synthesizer, model.agreement.largest_difference),
        "knobs": _knobs(synthesizer, progress),
    }
    readme = _README.format(
        name=" ".join(name.split()), license=model.facts["license_of_training_data"] or "not stated"
    )
    with atomic_folder(out) as partial:
        copy_page(page, partial)
        (partial / "model.onnx").write_bytes(model.content)
        (partial / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (partial / "README.md").write_text(readme, encoding="utf-8")
    return model.agreement


def copy_page(page: Traversable, folder: Path) -> None:
    """Copy the studio's page to an existing folder, with the engine that needs no server in place of its own."""
    for file in page.iterdir():
        if file.name.endswith(_PAGE_FILES) and file.name != _ENGINE:
            (folder / file.name).write_bytes(file.read_bytes())
    with as_file(_FILES) as own:
        shutil.copytree(own, folder, dirs_exist_ok=True)
    (folder / _OWN_ENGINE).rename(folder / _ENGINE)


def _check(synthesizer: Synthesizer, difference: float) -> dict[str, Any]:
    """Samples of a sound, and how far a browser may be from them: twice as far as the graph is on this machine."""
    inputs = Inputs.of_seeds(synthesizer, range(_CHECKED_SEED, _CHECKED_SEED + 1))
    sound = inputs.reference(synthesizer)[0]
    share = max(allowed_difference(synthesizer, inputs), 2 * difference)
    return {
        "seed": _CHECKED_SEED,
        "every": _CHECKED_EVERY,
        "samples": [round(value, 6) for value in sound[:, ::_CHECKED_EVERY].ravel().tolist()],
        "tolerance": share * max(float(np.abs(sound).max()), 1e-6) + 1e-6,
    }


def _knobs(synthesizer: Synthesizer, progress: Callable[[str, int, int], None] | None) -> list[dict[str, Any]]:
    """The model's knobs in a player's words, in numbers; none where its sounds are all silent."""
    try:
        return Directions.fit(synthesizer, progress=progress).facts()
    except FauxleyError:
        return []


_README = """# {name}

A page that makes sounds in the visitor's browser, made by fauxley. Put this folder on any web host, or try it here:

    python -m http.server --directory . 8000

and open http://localhost:8000/. It does not work when opened as a file, because browsers do not allow that.

The model was trained on sounds under this licence: {license}. ONNX Runtime, in `ort/`, is under the MIT licence.
"""
