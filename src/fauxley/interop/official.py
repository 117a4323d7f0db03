"""Which model an official checkpoint holds, worked out from the names and shapes of its generator's variables.

Two things leave no trace there: whether the last of six layers lengthens by 2 (clips of 32768) or by 4 (65536), since
strides have no weights; and by which resize a SpecGAN enlarges images. For those, `args.txt` or the user is asked.

The architecture found is compared, variable by variable, with the shapes that are there, before any memory is taken
for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import nn

from fauxley.errors import FauxleyError, UsageError
from fauxley.interop.tensorflow_checkpoint import Checkpoint
from fauxley.interop.variables import convert, specgan_variables, wavegan_variables
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN

Upsampling = Literal["nearest", "linear", "cubic"]
Shape = tuple[int, ...]

_CLIP_LENGTHS = (16384, 32768, 65536)
# The official command line's names; it offers `lin` and `cub`, its code takes `linear` and `cubic`.
_UPSAMPLING: dict[str, Upsampling] = {
    "nn": "nearest",
    "lin": "linear",
    "linear": "linear",
    "cub": "cubic",
    "cubic": "cubic",
}
_GRID = 16  # samples, or 4 × 4 pixels, that the dense layer makes
# Far above any real model, and low enough that no product of them is absurd.
_MOST = {"dim": 4096, "kernel_length": 4096, "latent_size": 65536, "channels": 64, "post_filter_length": 65536}


@dataclass
class OfficialModel:
    """What was found.

    Args:
        architecture: sizes and options.
        sample_rate: Hz.
        notes: what had to be assumed, for the user to read.
    """

    architecture: WaveGAN | SpecGAN
    sample_rate: int
    notes: list[str] = field(default_factory=list)


def recognize(
    checkpoint: Checkpoint, clip_length: int | None = None, upsampling: Upsampling | None = None
) -> OfficialModel:
    """Work out the model.

    Args:
        clip_length: for a WaveGAN, if nothing else tells.
        upsampling: of a SpecGAN that resizes, if `args.txt` does not tell.

    Raises:
        FauxleyError: the variables are not those of an official generator, or the clip length remains unknown.
        UsageError: an option contradicts the variables.
    """
    shapes, arguments = checkpoint.shapes, checkpoint.arguments
    kernel = _upsampling_kernel(shapes, 0)
    layers = 1
    while f"G/upconv_{layers}/{kernel}/kernel" in shapes:
        layers += 1
    last = shapes[f"G/upconv_{layers - 1}/{kernel}/kernel"]
    model = OfficialModel(WaveGAN(), _argument(arguments, "data_sample_rate", 16000, 1000, 384_000))
    if _is_wavegan(kernel, last, checkpoint):
        model.architecture = _wavegan(model, checkpoint, last, layers, clip_length)
        if upsampling is not None:
            raise UsageError("upsampling is for SpecGANs; this is a WaveGAN, whose variables tell it")
    else:
        if clip_length not in (None, SpecGAN.clip_length):
            raise UsageError(f"clip_length is for WaveGANs; this is a SpecGAN, with {SpecGAN.clip_length}")
        model.architecture = _specgan(model, checkpoint, last, upsampling)
    _compare(model.architecture, shapes)
    return model


def load_generator(architecture: WaveGAN | SpecGAN, checkpoint: Checkpoint) -> nn.Module:
    """The generator with the checkpoint's weights.

    Raises:
        FauxleyError: they are damaged, or not finite.
    """
    names = _names(architecture)
    with torch.device("meta"):  # shapes without memory
        generator = architecture.generator(None)
    values = {}
    for variable in names.values():
        value = checkpoint.read(variable).astype(np.float32, copy=False)
        if not np.isfinite(value).all():
            raise FauxleyError(f"{variable} holds numbers that are not finite: that training had diverged")
        values[variable] = value
    like = generator.state_dict()
    weights = {name: value.reshape(like[name].shape) for name, value in convert(values, names).items()}
    generator.load_state_dict(weights, assign=True)
    return generator.requires_grad_(False)


def load_representation(architecture: SpecGAN, mean: np.ndarray, std: np.ndarray) -> LogSpectrogram:
    """The representation with the moments (bins,) of the official data."""
    representation = architecture.representation()
    representation.mean.copy_(torch.from_numpy(mean))
    representation.std.copy_(torch.from_numpy(std).clamp(min=1e-6))  # as `fit`: never divide by zero
    return representation


def _wavegan(
    model: OfficialModel, checkpoint: Checkpoint, last: Shape, layers: int, clip_length: int | None
) -> WaveGAN:
    shapes, arguments = checkpoint.shapes, checkpoint.arguments
    transposed = len(last) == 4
    taps, width, channels = (last[1], last[3], last[2]) if transposed else last
    post_filter, *others = shapes.get("G/pp_filt/conv1d/kernel", (0, 1, 1)) or (-1,)
    if others == [channels, 1] and channels > 1:
        raise FauxleyError(
            f"G/pp_filt/conv1d/kernel, its post filter, mixes {channels} channels into one; fauxley has filters for "
            "each channel alone, so this model would sound otherwise. Trained without one, it can be imported"
        )
    if others != [1, 1] or (post_filter and channels != 1):
        raise FauxleyError(
            f"G/pp_filt/conv1d/kernel has shape {(post_filter, *others)}; of {channels} channel(s) the official post "
            f"filter is (taps, {channels}, 1)"
        )
    return WaveGAN(
        clip_length=_clip_length(model, checkpoint, layers, clip_length),
        phase_shuffle=_argument(arguments, "wavegan_disc_phaseshuffle", 2, 0, 63),
        upsampling="zeros" if transposed else "nearest",
        batch_norm="G/z_project/batch_normalization/gamma" in shapes,
        channels=_size("channels", channels),
        dim=_size("dim", width),
        kernel_length=_size("kernel_length", taps),
        latent_size=_size("latent_size", _latent_size(shapes)),
        post_filter_length=_size("post_filter_length", post_filter, least=0),
    )


def _specgan(model: OfficialModel, checkpoint: Checkpoint, last: Shape, upsampling: Upsampling | None) -> SpecGAN:
    shapes, arguments = checkpoint.shapes, checkpoint.arguments
    transposed = _upsampling_kernel(shapes, 0) == "conv2d_transpose"
    width, channels = (last[3], last[2]) if transposed else (last[2], last[3])
    if transposed and upsampling is not None:
        raise UsageError("upsampling does not fit: this SpecGAN has transposed convolutions")
    told = _UPSAMPLING.get(arguments.get("specgan_genr_upsample", ""))
    if not transposed and upsampling is None and told is None:
        model.notes.append("nothing tells how it enlarges images: assuming nearest; else give upsampling")
    return SpecGAN(
        upsampling="zeros" if transposed else upsampling or told or "nearest",
        batch_norm="G/z_project/batch_normalization/gamma" in shapes,
        griffin_lim_iterations=_argument(arguments, "specgan_ngl", 16, 0, 1000),
        channels=_size("channels", channels),
        dim=_size("dim", width),
        kernel_length=_size("kernel_length", last[0]),
        latent_size=_size("latent_size", _latent_size(shapes)),
    )


def _clip_length(model: OfficialModel, checkpoint: Checkpoint, layers: int, wanted: int | None) -> int:
    fitting = [length for length in _CLIP_LENGTHS if len(WaveGAN(clip_length=length).strides) == layers]
    if not fitting:
        raise FauxleyError(f"its generator has {layers} layers; official ones have 5 or 6")
    choices = " or ".join(map(str, fitting))
    if wanted is not None:
        if wanted not in fitting:
            raise UsageError(f"clip_length {wanted} does not fit {layers} layers; {choices} would")
        return wanted
    told = checkpoint.arguments.get("data_slice_len", "")
    if told in map(str, fitting):
        return int(told)
    if len(fitting) > 1:
        raise FauxleyError(f"nothing tells whether its clips have {choices} samples; give clip_length")
    if told:
        model.notes.append(f"args.txt says data_slice_len {told[:20]!r}, which {layers} layers do not fit: {choices}")
    return fitting[0]


def _upsampling_kernel(shapes: Mapping[str, Shape], layer: int) -> str:
    for kernel in ("conv2d_transpose", "conv1d", "conv2d"):
        if f"G/upconv_{layer}/{kernel}/kernel" in shapes:
            return kernel
    raise FauxleyError(
        f"no G/upconv_{layer} among its {len(shapes)} variables: not a generator of the official WaveGAN or SpecGAN"
    )


def _is_wavegan(kernel: str, shape: Shape, checkpoint: Checkpoint) -> bool:
    """Whether it is audio that this kernel makes, not images."""
    if len(shape) != (3 if kernel == "conv1d" else 4):
        raise FauxleyError(f"the kernel of its last layer has shape {shape}")
    if kernel != "conv2d_transpose":
        return kernel == "conv1d"
    if shape[:2] == (1, 1):  # one tap: audio or images?
        names = (*checkpoint.shapes, *checkpoint.arguments)
        return not any(re.match(r"D/downconv_0/conv2d/|specgan_", name) for name in names)
    return shape[0] == 1


def _latent_size(shapes: Mapping[str, Shape]) -> int:
    shape = shapes.get("G/z_project/dense/kernel", ())
    if len(shape) != 2:
        raise FauxleyError("there is no proper variable G/z_project/dense/kernel")
    return shape[0]


def _size(name: str, size: int, least: int = 1) -> int:
    if not least <= size <= _MOST[name]:
        raise FauxleyError(f"its variables mean {name} = {size}; from {least} to {_MOST[name]} is possible")
    return size


def _compare(architecture: WaveGAN | SpecGAN, shapes: Mapping[str, Shape]) -> None:
    """Check the shape of each variable that the generator needs."""
    for variable in _names(architecture).values():
        expected = _expected(architecture, variable)
        if variable not in shapes:
            raise FauxleyError(f"it lacks {variable}")
        if shapes[variable] != expected:
            raise FauxleyError(f"{variable} has shape {shapes[variable]}; the others want {expected}")


def _expected(architecture: WaveGAN | SpecGAN, variable: str) -> Shape:
    """The official shape of a generator's variable."""
    widths = (*reversed(architecture.widths), architecture.channels)
    _, scope, kind, name = variable.split("/")
    if scope == "pp_filt":
        assert isinstance(architecture, WaveGAN)
        return architecture.post_filter_length, 1, 1
    if scope == "z_project":
        before, after = architecture.latent_size, widths[0]
        dense = _GRID * after
        return {"dense/kernel": (before, dense), "dense/bias": (dense,)}.get(f"{kind}/{name}", (after,))
    layer = int(scope.removeprefix("upconv_"))
    before, after = widths[layer : layer + 2]
    if name != "kernel":
        return (after,)
    transposed, taps = kind == "conv2d_transpose", architecture.kernel_length
    size = (taps, taps) if isinstance(architecture, SpecGAN) else (1, taps) if transposed else (taps,)
    return (*size, after, before) if transposed else (*size, before, after)


def _names(architecture: WaveGAN | SpecGAN) -> dict[str, str]:
    """The generator's tensors → official variables."""
    if isinstance(architecture, WaveGAN):
        return wavegan_variables(architecture)[0]
    return specgan_variables(architecture)[0]


def _argument(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}(\.0*)?", text) or not least <= int(float(text)) <= most:
        raise FauxleyError(f"args.txt says {name} {text[:20]!r}; from {least} to {most} is possible: correct the file")
    return int(float(text))
