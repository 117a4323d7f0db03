"""The choice of precision: bfloat16 on machines where it is fast, otherwise float32.

In bfloat16, signals between the layers have 8 bits of mantissa. Processors and GPUs with instructions for it are about
twice as fast; all others emulate it, up to twenty times slower than float32. So `auto` first asks whether there are
such instructions and then times a layer in both precisions. That takes a moment, once for each kind of machine and
version of PyTorch; the result is kept in the user's cache folder.

    FAUXLEY_PRECISION   what auto means on this machine, float32 or bfloat16; nothing is timed then
"""

import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

import torch

from fauxley.errors import FauxleyError, UsageError
from fauxley.kernels.torch_private import may_have_bfloat16
from fauxley.machine import one_thread
from fauxley.models.layers import Downsampling
from fauxley.storage import atomic_file
from fauxley.user_cache import cache_folder

Precision = Literal["auto", "float32", "bfloat16"]
Settled = Literal["float32", "bfloat16"]
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_LEAST_GAIN = 1.2  # a smaller gain of bfloat16 is not worth its rounding
_ROUNDS = 4
# Time of this thread alone, so that other work on the machine does not matter. On Windows its resolution is too coarse.
_clock = time.perf_counter if sys.platform == "win32" else time.thread_time
_ISA = "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"  # these limit the instructions PyTorch uses
_FILE = Path("measures", "precision.json")


@dataclass(frozen=True)
class Choice:
    """A precision to compute in.

    Attributes:
        precision: the precision.
        warning: a line that says why it is a bad choice here; empty if it is not.
    """

    precision: Settled
    warning: str = ""


def choose_precision(asked: Precision, device: torch.device, sensitive: bool = False) -> Choice:
    """Return the precision asked for, and for "auto" the faster one on this device.

    Args:
        sensitive: whether rounding errors matter more than time, so that "auto" is float32.

    Raises:
        UsageError: there is no such precision.
    """
    by_name = asked != "auto"
    if not by_name:
        asked = cast(Precision, os.environ.get("FAUXLEY_PRECISION") or ("float32" if sensitive else "auto"))
    if asked == "auto":
        return Choice("bfloat16" if has_bfloat16(device) and bfloat16_gain(device) >= _LEAST_GAIN else "float32")
    if asked not in DTYPES:
        raise UsageError(f"precision must be auto, {' or '.join(DTYPES)}; got {asked!r}")
    if by_name and asked == "bfloat16" and (gain := bfloat16_gain(device)) < 1:
        return Choice(asked, f"bfloat16 takes {1 / gain:.2g} times as long as float32 on this machine")
    return Choice(asked)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device may have instructions for bfloat16 that PyTorch may use."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    for name in _ISA[:2]:
        allowed = os.environ.get(name, "").upper()
        if allowed not in ("", "ALL", "DEFAULT") and not any(
            kind in allowed for kind in ("BF16", "FP16", "AMX", "AVX10")
        ):
            return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True  # unknown: timing will show
    return may_have_bfloat16()


def bfloat16_gain(device: torch.device) -> float:
    """The speed of bfloat16 relative to float32, measured once for each kind of machine and version of PyTorch."""
    return _gain(_machine(device), device)


@cache
def _gain(machine: str, device: torch.device) -> float:
    known = _read()
    if machine in known:
        return known[machine]
    gain = measure_gain(device)
    _write({**known, machine: gain})
    return gain


def measure_gain(device: torch.device) -> float:
    """Time a layer, forward and backward, in both precisions in turn, and return the ratio of the shortest times.

    On a CPU only one thread computes: more threads would have to compete with other work on the machine.
    """
    with torch.inference_mode(False), torch.enable_grad(), one_thread():
        layer = Downsampling(128, 256, 25, 4).to(device)
        for parameter in layer.parameters():
            parameter.data.fill_(0.01)
        batch = 2 if device.type == "cpu" else 256  # a small batch would not occupy a GPU
        inputs = {dtype: torch.ones(batch, 256, 128, device=device, dtype=dtype) for dtype in DTYPES.values()}
        times: dict[torch.dtype, list[float]] = {dtype: [] for dtype in inputs}
        for number in range(_ROUNDS + 1):
            for dtype, x in inputs.items():
                with _timed(device, times[dtype] if number else []):  # the first round includes setup
                    torch.autograd.grad(layer(x.requires_grad_()).sum(), [x, *layer.parameters()])
    return min(times[torch.float32]) / min(times[torch.bfloat16])


@contextmanager
def _timed(device: torch.device, into: list[float]) -> Iterator[None]:
    clock = _clock if device.type == "cpu" else time.perf_counter
    start = clock()
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    into.append(clock() - start)


def _machine(device: torch.device) -> str:
    """A name for everything that the measurement depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    limits = [f"{name}={os.environ[name]}" for name in _ISA if os.environ.get(name)]
    return ", ".join([name, f"PyTorch {torch.__version__}", *limits])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        found = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        found = platform.processor()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{found or platform.machine()}, {capability}"  # names on virtual machines say little


def _read() -> dict[str, float]:
    """The measurements so far; none if they cannot be read."""
    try:
        content = json.loads((cache_folder() / _FILE).read_text(encoding="utf-8"))
        gains = {str(machine): float(gain) for machine, gain in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, RuntimeError, FauxleyError):
        return {}
    return {machine: gain for machine, gain in gains.items() if math.isfinite(gain) and gain > 0}


def _write(gains: dict[str, float]) -> None:
    try:
        file = cache_folder() / _FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as partial:
            partial.write_text(json.dumps(gains, indent=2) + "\n", encoding="utf-8")
    except (OSError, RuntimeError, FauxleyError):
        pass  # it is measured again next time
