"""Fast implementations of the networks' functions, behind plain definitions.

Read `functions` first: it defines the convolutions, leaky ReLU and phase shuffle in plain PyTorch, and `use`, which
switches between plain and fast. All other modules are about speed only. `sweeps` computes whole critics with their
gradients, `packing` lays out weights for generating, and `torch_private` wraps what PyTorch does not promise to keep.
"""

from fauxley.kernels.functions import (
    SLOPE,
    Convolution,
    Implementation,
    convolve_down,
    convolve_images,
    convolve_up,
    convolve_up_images,
    convolve_up_nearest,
    is_fast,
    leaky_relu,
    phase_shuffle,
    use,
)
from fauxley.kernels.packing import PACKABLE, PackedPlan, plan_packed
from fauxley.kernels.sweeps import SWEPT, Stage, sweep

__all__ = [
    "PACKABLE",
    "SLOPE",
    "SWEPT",
    "Convolution",
    "Implementation",
    "PackedPlan",
    "Stage",
    "convolve_down",
    "convolve_images",
    "convolve_up",
    "convolve_up_images",
    "convolve_up_nearest",
    "is_fast",
    "leaky_relu",
    "phase_shuffle",
    "plan_packed",
    "sweep",
    "use",
]
