"""Checkpoints: what they hold, and reading them without trusting them.

    RUN/checkpoints/step-N/
        config.json          the model: architecture, sample rate, provenance
        model.safetensors    the weights of the best generator: the averaged one if there is one
        training_state.pt    all networks, their optimisers, and the step, for resuming

The first two are a model folder (`fauxley.models.synthesizer`), which can be shared. There is no random state to save:
every random number is a function of the seed and the step.

`training_state.pt` is a file of `torch.save`: a zip archive of raw tensors, with a pickle that describes them.
PyTorch's restricted reader runs no code, but it inflates compressed records, does not verify checksums, and builds many
more kinds of tensors than we need. So the archive is examined before PyTorch reads it, and everything in it is compared
with the present networks before anything is used.
"""

import io
import pickletools
import zlib
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor, nn

from fauxley.errors import FauxleyError
from fauxley.models.synthesizer import Synthesizer
from fauxley.serialization import one_line, read_file, reading
from fauxley.training.optimizers import RepeatableOptimizer
from fauxley.training.state import TrainingState

STATE_FILE = "training_state.pt"
_ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch FloatStorage",
    "torch LongStorage",
}
_PICKLE_BYTES, _PICKLE_BYTES_A_TENSOR = 8192, 512  # at most, and more for each tensor
_OTHER_RECORDS = 20  # besides tensors: version, byte order, ...


def write_checkpoint(folder: Path, state: TrainingState, synthesizer: Synthesizer) -> None:
    """Write a checkpoint into an existing folder."""
    synthesizer.write(folder)
    write_state(folder, state)


def write_state(folder: Path, state: TrainingState) -> None:
    """Write the training state into an existing folder."""
    # Written by way of memory, because PyTorch hides the OSError of a full disk behind "enforce fail".
    (folder / STATE_FILE).write_bytes(to_bytes(state))


def read_state(folder: Path, state: TrainingState) -> None:
    """Load into `state` what `write_state` wrote.

    Raises:
        FauxleyError: the file is missing, damaged, or of other networks. The state is unchanged then.
    """
    file = folder / STATE_FILE
    with reading(f"{file} cannot be resumed from"):
        content = read_file(file, _most_bytes(state))
        _require_tensors_only(content, _most_tensors(state))
        from_bytes(content, state)


def to_bytes(state: TrainingState) -> memoryview:
    """The training state as bytes."""
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    return buffer.getbuffer()


def from_bytes(content: bytes, state: TrainingState) -> None:
    """Load into `state` what `to_bytes` returned.

    Raises:
        FauxleyError: the content is damaged, or does not fit. The state is unchanged then.
    """
    try:
        # weights_only: nothing but tensors and plain containers is unpickled.
        saved = torch.load(io.BytesIO(content), map_location=state.device, weights_only=True)
    except Exception as error:  # damaged files make PyTorch raise all kinds of errors
        raise FauxleyError(one_line(error)) from error
    try:
        _require_fitting(saved, state)
        state.load_state_dict(saved)
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # containers of another kind
        raise FauxleyError("it is not a training state") from error


def _most_tensors(state: TrainingState) -> int:
    """The most tensors that a file of this state may hold."""
    in_networks = sum(len(part.state_dict()) for part in state.parts().values() if isinstance(part, nn.Module))
    return in_networks + sum(len(each.moments) * len(each.weights) for each in state.optimizers.values())


def _most_bytes(state: TrainingState) -> int:
    """A generous size limit for a file of this state; a larger file is not read."""
    modules = [part for part in state.parts().values() if isinstance(part, nn.Module)]
    kept = sum(int(value.nbytes) for module in modules for value in module.state_dict().values())
    moments = max(len(optimizer.moments) for optimizer in state.optimizers.values())
    return (1 + moments) * kept + (_most_tensors(state) + 1000) * 1024


def _require_fitting(saved: Any, state: TrainingState) -> None:
    """Compare everything with the present state before anything is used.

    Raises:
        FauxleyError: something does not fit.
    """
    parts = state.parts()
    if saved.keys() | {"milliseconds"} != {"step", "attempt", "milliseconds", *parts}:
        raise FauxleyError("it is of other networks")
    for name in ("step", "attempt"):
        _require_count(saved[name], name)
    _require_count(saved.get("milliseconds", 0), "the time it was trained")
    for name, part in parts.items():
        if isinstance(part, RepeatableOptimizer):
            _require_fitting_optimizer(saved[name], part)
            continue
        expected = part.state_dict()
        if saved[name].keys() != expected.keys():
            raise FauxleyError(f"its {name} is another network")
        for weight, like in expected.items():
            _require_like(saved[name][weight], like, f"{name}.{weight}")


def _require_fitting_optimizer(saved: Any, optimizer: RepeatableOptimizer) -> None:
    """Compare an optimiser's tensors with its weights: a kernel would crash on another shape."""
    (group,) = saved["param_groups"]
    if len(group["params"]) != len(optimizer.weights):
        raise FauxleyError("it is of other weights")
    _require_count(group.get("updates", 0), "the number of updates")
    for number, values in saved["state"].items():
        if number not in range(len(optimizer.weights)) or values.keys() != optimizer.moments.keys():
            raise FauxleyError("it is of another optimiser")
        for name, least in optimizer.moments.items():
            _require_like(values[name], optimizer.weights[number], f"{name} of weight {number}")
            if not (values[name] >= least).all():
                raise FauxleyError(f"{name} of weight {number} is negative")


def _require_like(value: Any, like: Tensor, what: str) -> None:
    """Check that a value from a file is a plain, finite tensor of the same shape and type as `like`."""
    plain = isinstance(value, Tensor) and value.layout == torch.strided
    if not plain or (value.dtype, value.shape) != (like.dtype, like.shape):
        raise FauxleyError(f"{what} is not {str(like.dtype).removeprefix('torch.')} of shape {tuple(like.shape)}")
    if not torch.isfinite(value).all():
        raise FauxleyError(f"{what} holds numbers that are not finite")


def _require_count(value: Any, what: str) -> None:
    """Check that a value from a file is a count."""
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise FauxleyError(f"{what} cannot be {value!r:.40}")


def _require_tensors_only(content: bytes, num_tensors: int) -> None:
    """Check that an archive holds at most `num_tensors` plain float32 or int64 tensors, complete, in plain containers.

    Raises:
        FauxleyError: it is damaged, or holds something else.
    """
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            records = archive.infolist()
            if len(records) > num_tensors + _OTHER_RECORDS:
                raise FauxleyError("it holds too many records")
            if any(record.compress_type != ZIP_STORED for record in records):
                raise FauxleyError("its records are compressed")
            if sum(record.file_size for record in records) > len(content):
                raise FauxleyError("its records are larger than it is")
            if damaged := archive.testzip():
                raise FauxleyError(f"the checksum of {damaged!r:.60} is wrong")
            pickles = [record for record in records if record.filename.endswith("data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _PICKLE_BYTES + _PICKLE_BYTES_A_TENSOR * num_tensors:
                raise FauxleyError("its description is missing or too long")
            _require_known(archive.read(pickles[0]))
    except (
        OSError,
        ValueError,
        LookupError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        BadZipFile,
        zlib.error,
    ) as error:
        raise FauxleyError(f"it is not an archive of tensors: {error!s:.200}") from error


def _require_known(pickle: bytes) -> None:
    """Check that a pickle refers only to what is allowed, by any opcode."""
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise FauxleyError(f"it builds objects by {opcode.name}")
        if opcode.name == "GLOBAL" and argument not in _ALLOWED:
            raise FauxleyError(f"it holds {argument!r:.80}")
