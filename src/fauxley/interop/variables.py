"""Variables of the official TensorFlow code under fauxley's names, in fauxley's layout.

WaveGAN's kernels, [width, in, out], are kept as they are; its transposed ones, [1, width, out, in], lose their height
of 1 and become (width, in, out). SpecGAN's, [time, frequency, in, out] or, transposed, [time, frequency, out, in], are
read backwards, which gives PyTorch's layout for images of (bins, frames), and so are the dense ones, [in, out].
The dense layers flatten time before channels on both sides.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN


def wavegan_variables(architecture: WaveGAN) -> tuple[dict[str, str], dict[str, str]]:
    """Name of every tensor of a generator and of a critic → name of the official variable."""
    kernel = "conv2d_transpose" if architecture.upsampling == "zeros" else "conv1d"
    moving = ("moving_mean", "moving_variance")
    generator, critic = _variables(len(architecture.strides), architecture.batch_norm, kernel, "conv1d", moving)
    if architecture.post_filter_length:
        generator["post_filter.weight"] = "G/pp_filt/conv1d/kernel"
    return generator, critic


def specgan_variables(architecture: SpecGAN) -> tuple[dict[str, str], dict[str, str]]:
    """Name of every tensor of a generator and of a critic → name of the official variable."""
    kernel = "conv2d_transpose" if architecture.upsampling == "zeros" else "conv2d"
    moving = ("running_mean", "running_var")
    return _variables(len(architecture.widths), architecture.batch_norm, kernel, "conv2d", moving)


def convert(variables: Mapping[str, np.ndarray], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The state dict of the module whose tensors `names` maps to official variables."""
    return {name: from_tensorflow(variables[variable], variable) for name, variable in names.items()}


def from_tensorflow(value: np.ndarray, variable: str) -> Tensor:
    """One official variable, or its gradient, in fauxley's layout."""
    if variable.endswith("conv2d_transpose/kernel") and len(value) == 1:
        value = value[0].swapaxes(1, 2)
    elif not variable.endswith("conv1d/kernel"):
        value = value.T
    return torch.from_numpy(np.array(value, order="C"))


def _variables(
    layers: int, batch_norm: bool, upsampling: str, downsampling: str, moving: tuple[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    generator = dict(_affine("dense", "G/z_project/dense"))
    if batch_norm:
        generator |= _norm("norms.0", "G/z_project/batch_normalization", moving)
    for layer in range(layers):
        generator |= _affine(f"layers.{layer}", f"G/upconv_{layer}/{upsampling}")
        if batch_norm and layer < layers - 1:
            generator |= _norm(f"norms.{layer + 1}", f"G/upconv_{layer}/batch_normalization", moving)
    critic = dict(_affine("dense", "D/output/dense"))
    for layer in range(layers):
        critic |= _affine(f"layers.{layer}", f"D/downconv_{layer}/{downsampling}")
        if batch_norm and layer > 0:
            critic |= _norm(f"norms.{layer}", f"D/downconv_{layer}/batch_normalization", ())
    return generator, critic


def _affine(name: str, scope: str) -> Iterator[tuple[str, str]]:
    yield f"{name}.weight", f"{scope}/kernel"
    yield f"{name}.bias", f"{scope}/bias"


def _norm(name: str, scope: str, moving: tuple[str, ...]) -> dict[str, str]:
    names = {f"{name}.weight": f"{scope}/gamma", f"{name}.bias": f"{scope}/beta"}
    return names | {
        f"{name}.{ours}": f"{scope}/{theirs}"
        for ours, theirs in zip(moving, ("moving_mean", "moving_variance"), strict=False)
    }
