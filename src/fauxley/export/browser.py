"""A page that makes sounds in the visitor's browser: a folder of static files for any web host.

The model is an ONNX graph, computed by ONNX Runtime's WebAssembly in a worker of the page. All files come from the
folder itself. The page compares its first sound with samples of Python's, and says when a browser computes others.

Browsers let WebAssembly use threads where the host sends two headers (COOP and COEP). Hosts that read a file `_headers`
do so; elsewhere the page computes in one thread, and says so.
"""

import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from fauxley.export.onnx_model import Weights, to_onnx
from fauxley.export.portable import Agreement, Inputs, allowed_difference
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import atomic_folder

_CHECKED_SEED = 0
_CHECKED_EVERY = 64  # samples
_PAGE = files("fauxley.export") / "web"


def write_page(synthesizer: Synthesizer, out: Path, name: str, weights: Weights = "float32") -> Agreement:
    """Write the page of a model into a new folder, whole or not at all; gives how near its sounds are.

    Args:
        name: shown as the title.

    Raises:
        FileExistsError: there is something in the folder.
        FauxleyError: as `to_onnx`.
    """
    model = to_onnx(synthesizer, weights)
    facts = {**model.facts, "name": name, "check": _check(synthesizer, model.agreement.largest_difference)}
    readme = _README.format(
        name=" ".join(name.split()), license=model.facts["license_of_training_data"] or "not stated"
    )
    with atomic_folder(out) as partial, as_file(_PAGE) as page:
        shutil.copytree(page, partial, dirs_exist_ok=True)
        (partial / "model.onnx").write_bytes(model.content)
        (partial / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (partial / "README.md").write_text(readme, encoding="utf-8")
    return model.agreement


def _check(synthesizer: Synthesizer, difference: float) -> dict[str, Any]:
    """Samples of a sound, and how far a browser may be from them: as far as the graph is here, twice over."""
    inputs = Inputs.of_seeds(synthesizer, range(_CHECKED_SEED, _CHECKED_SEED + 1))
    sound = inputs.reference(synthesizer)[0]
    share = max(allowed_difference(synthesizer, inputs), 2 * difference)
    return {
        "seed": _CHECKED_SEED,
        "every": _CHECKED_EVERY,
        "samples": [round(value, 6) for value in sound[:, ::_CHECKED_EVERY].ravel().tolist()],
        "tolerance": share * max(float(np.abs(sound).max()), 1e-6) + 1e-6,
    }


_README = """# {name}

A page that makes sounds in the visitor's browser, made by fauxley. Put this folder on any web host, or try it here:

    python -m http.server --directory . 8000

and open http://localhost:8000/. Opened as a file it does not work: browsers let no page do that.

The model learnt from sounds under this licence: {license}. ONNX Runtime, in `ort/`, is under the MIT licence.
"""
