"""Variables of the official TensorFlow code under fauxley's names, in fauxley's layout.

TensorFlow keeps channels last and the tap axis first; read backwards, its arrays have PyTorch's layout: a kernel
[width, in, out] becomes (out, in, width), and a transposed one, [1, width, out, in], becomes (in, out, width) once
its height of 1 is dropped. Dense kernels [in, out] become (out, in). The dense layers flatten (time, channels) in
that order on both sides.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from fauxley.models.wavegan import WaveGAN


def wavegan_variables(architecture: WaveGAN) -> tuple[dict[str, str], dict[str, str]]:
    """Name of every tensor of a generator and of a critic → name of the official variable."""
    layers = len(architecture.strides)
    kernel = "conv2d_transpose" if architecture.upsampling == "zeros" else "conv1d"
    generator = dict(_affine("dense", "G/z_project/dense"))
    if architecture.batch_norm:
        generator |= _norm("norms.0", "G/z_project/batch_normalization", track=True)
    for layer in range(layers):
        generator |= _affine(f"layers.{layer}", f"G/upconv_{layer}/{kernel}")
        if architecture.batch_norm and layer < layers - 1:
            generator |= _norm(f"norms.{layer + 1}", f"G/upconv_{layer}/batch_normalization", track=True)
    if architecture.post_filter_length:
        generator["post_filter.weight"] = "G/pp_filt/conv1d/kernel"

    critic = dict(_affine("dense", "D/output/dense"))
    for layer in range(layers):
        critic |= _affine(f"layers.{layer}", f"D/downconv_{layer}/conv1d")
        if architecture.batch_norm and layer > 0:
            critic |= _norm(f"norms.{layer}", f"D/downconv_{layer}/batch_normalization", track=False)
    return generator, critic


def convert(variables: Mapping[str, np.ndarray], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The state dict of the module whose tensors `names` maps to official variables."""
    return {name: from_tensorflow(variables[variable], variable) for name, variable in names.items()}


def from_tensorflow(value: np.ndarray, variable: str) -> Tensor:
    """One official variable, or its gradient, in PyTorch's layout."""
    if variable.endswith("conv2d_transpose/kernel"):
        value = value.squeeze(0)
    return torch.from_numpy(np.ascontiguousarray(value.T))


def to_tensorflow(value: Tensor, variable: str) -> np.ndarray:
    """The inverse of `from_tensorflow`."""
    array = value.detach().cpu().numpy().T
    return array[None] if variable.endswith("conv2d_transpose/kernel") else array


def _affine(name: str, scope: str) -> Iterator[tuple[str, str]]:
    yield f"{name}.weight", f"{scope}/kernel"
    yield f"{name}.bias", f"{scope}/bias"


def _norm(name: str, scope: str, track: bool) -> dict[str, str]:
    names = {f"{name}.weight": f"{scope}/gamma", f"{name}.bias": f"{scope}/beta"}
    if track:
        names |= {f"{name}.{part}": f"{scope}/{part}" for part in ("moving_mean", "moving_variance")}
    return names
