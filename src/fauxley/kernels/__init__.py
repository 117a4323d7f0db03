"""Fast ways to compute the networks, behind functions that say what is computed.

Read `functions`: the convolutions, leaky ReLU and phase shuffle in plain PyTorch, and the switch between plain and
fast, `use`. All other modules are about speed alone. `sweeps` computes whole critics with their gradients; `packing`
keeps weights for generating; `torch_private` holds what PyTorch does not promise to keep.
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
