"""How much memory was needed at most."""

import importlib
import math
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(device: torch.device) -> float:
    """The most memory in use so far: tensors on a GPU; on a CPU the whole process, with Python and PyTorch.

    NaN on Windows, which keeps no such count that Python can ask for.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if _STATUS.is_file():  # Linux's ru_maxrss would include the process that started this one
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:
        return math.nan
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e3 if sys.platform != "darwin" else peak / 1e6


def forget_peak(device: torch.device) -> None:
    """Count the peak from now on; where the system does not offer that, it stays what it was."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5", encoding="ascii")
        except OSError:  # not allowed in some containers
            return
