"""A model as one ONNX graph from latents to audio, for any batch size, with a description for players beside it.

PyTorch exports the graph of `PortableModel`; before it is written, ONNX Runtime computes it and the result is compared
with PyTorch's. All variants compute in float32, which every processor and browser supports well. They differ in how the
file stores the weights:

- float32: as they are.
- float16: half the size.
- int8: a quarter of the size; integers from -127 to 127 with a scale for each row, along the dimension of a weight
  where the error is smallest.

The graph converts them back to float32, which ONNX Runtime does once when it loads the file.
"""

import io
import json
import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley import __version__, kernels
from fauxley.errors import FauxleyError
from fauxley.export.portable import Agreement, Inputs, PortableModel, agreement_of, describe, require_agreement
from fauxley.models.synthesizer import Synthesizer
from fauxley.storage import atomic_file

if TYPE_CHECKING:
    import onnx

Weights = Literal["float32", "float16", "int8"]

AUDIO = "audio"
_OPSET = 18
_LARGEST_BATCH = 4096
_LEAST_NUMBERS = 1024  # smaller tensors stay in float32
_TRANSFORMS = ("to_audio.analysis", "to_audio.synthesis", "to_audio.gain")  # Fourier transforms stay exact
_CHECKED_SEEDS = 8


@dataclass(frozen=True)
class OnnxModel:
    """A graph as the content of a file, its description, and how near its sounds are to PyTorch's."""

    content: bytes
    facts: dict[str, Any]
    agreement: Agreement


def to_onnx(synthesizer: Synthesizer, weights: Weights = "float32") -> OnnxModel:
    """Export a model as a graph of float32 tensors.

    Its inputs are `latents` (B, latent_size) and, for a conditional model, `labels` (B, L). Its output is `audio`
    (B, C, T).

    Raises:
        UsageError: the model cannot be exported, see `PortableModel`.
        FauxleyError: a package is missing, or ONNX Runtime's sounds differ from PyTorch's.
    """
    _require_packages()
    model = PortableModel(synthesizer)
    graph = _export(model, synthesizer)
    if weights != "float32":
        _store(graph, weights, {name for name, _ in model.named_parameters()})
    facts = {**describe(synthesizer), "weights": weights}
    for name, value in facts.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    content = graph.SerializeToString()
    inputs = Inputs.of_seeds(synthesizer, range(_CHECKED_SEEDS))
    agreement = compare(content, synthesizer, inputs)
    if weights == "float32":
        require_agreement(agreement, synthesizer, inputs, "ONNX Runtime")
    return OnnxModel(content, facts, agreement)


def write_onnx(synthesizer: Synthesizer, path: Path, weights: Weights = "float32") -> OnnxModel:
    """Export a model to a file, with a description in a .json beside it; raises the errors of `to_onnx`."""
    model = to_onnx(synthesizer, weights)
    facts = {**model.facts, "agreement_with_pytorch": model.agreement.rounded()}
    with atomic_file(path) as partial:
        partial.write_bytes(model.content)
    with atomic_file(path.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return model


def compare(content: bytes, synthesizer: Synthesizer, inputs: Inputs) -> Agreement:
    """Compare ONNX Runtime's sounds, in batches of several sizes, with PyTorch's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    parts = [inputs[start : start + 3].named for start in range(0, len(inputs.latents), 3)]
    fed = [{name: value.numpy() for name, value in part.items()} for part in parts]
    theirs = np.concatenate([session.run([AUDIO], each)[0] for each in fed])
    return agreement_of(theirs, inputs.reference(synthesizer))


def _export(model: PortableModel, synthesizer: Synthesizer) -> "onnx.ModelProto":
    """The graph by PyTorch's exporter, without its notes on where operations come from."""
    names, example = zip(*Inputs.of_seeds(synthesizer, range(2)).named.items(), strict=True)
    example = tuple(value.to(synthesizer.device) for value in example)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    with kernels.use("plain"), torch.no_grad(), _quietly():
        model(
            *example
        )  # tables that are kept from their first use on must be of numbers, not of an exporter's stand-ins
        program = torch.onnx.export(
            model,
            example,
            dynamo=True,
            input_names=list(names),
            output_names=[AUDIO],
            dynamic_shapes=tuple({0: batch} for _ in example),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    graph.producer_name, graph.producer_version, graph.doc_string = "fauxley", __version__, ""
    parts = (graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer)
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.graph.value_info[:]
    del graph.metadata_props[:]
    return graph


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the exporter's messages about unneeded packages and about its own work."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _store(graph: "onnx.ModelProto", weights: Literal["float16", "int8"], parameters: Collection[str]) -> None:
    """Store large weights in fewer bits, and let the graph widen them.

    With float16, tables (of first phases, of bands) stay exact: of `drums`, their rounding was most of the error, 25 dB
    below the sound instead of 62. With int8 the error of the networks' weights is far above theirs.

    Args:
        parameters: the names of the networks' weights; what else is in `to_audio` are tables.
    """
    from onnx import TensorProto, helper, numpy_helper

    def is_exact(name: str) -> bool:
        is_table = name.startswith("to_audio.") and name not in parameters
        return is_table if weights == "float16" else name in _TRANSFORMS

    before: list[Any] = []
    for tensor in list(graph.graph.initializer):
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < _LEAST_NUMBERS or is_exact(tensor.name):
            continue
        graph.graph.initializer.remove(tensor)
        name = tensor.name
        if weights == "float16":
            if np.abs(value).max() > np.finfo(np.float16).max:
                raise FauxleyError(f"{name} holds numbers that are too large for float16; store float32")
            stored: dict[str, NDArray[Any]] = {f"{name}.stored": value.astype(np.float16)}
            before.append(helper.make_node("Cast", [f"{name}.stored"], [name], to=TensorProto.FLOAT))
        else:
            numbers, scale = _quantise(value)
            stored = {f"{name}.stored": numbers, f"{name}.scale": scale}
            before.append(helper.make_node("Cast", [f"{name}.stored"], [f"{name}.wide"], to=TensorProto.FLOAT))
            before.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name]))
        graph.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in stored.items())
    nodes = [*before, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _quantise(value: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise to integers from -127 to 127, with scales along the one dimension where the error is smallest."""
    best: tuple[float, NDArray[np.int8], NDArray[np.float32]] | None = None
    for dim in range(value.ndim):
        others = tuple(other for other in range(value.ndim) if other != dim)
        scale = np.maximum(np.abs(value).max(axis=others, keepdims=True) / 127, 1e-30).astype(np.float32)
        numbers = np.rint(value / scale).astype(np.int8)
        error = float(np.square(numbers * scale - value, dtype=np.float64).sum())
        if best is None or error < best[0]:
            best = error, numbers, scale
    assert best is not None
    return best[1], best[2]


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise FauxleyError(f"exporting to ONNX needs {error.name}; pip install 'fauxley[onnx]'") from error
