"""Copies of generators whose weights are packed, laid out once for the processor, with which a synthesizer plays.

The layers themselves know nothing of packing. `PackedLayers.copy` returns a copy of a generator that shares everything
with it except its convolutions, whose weights are packed (see `kernels.packing`) and kept from one sound to the next.
Before every batch a fingerprint of all weights shows whether they have changed: PyTorch's version counters do not
notice writes by way of `data` or NumPy. For 20 million weights that adds two fifths to the time of a single clip, and
3 % in batches; packing again every time would take twice as long.

A generator or a layer with an overridden `forward` or with hooks is played as it is; so are all generators while plain
kernels are in use.
"""

import copy
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from fauxley import kernels
from fauxley.kernels.torch_private import is_unaltered
from fauxley.models.layers import ConvolutionLayer
from fauxley.models.specgan import SpecGANGenerator
from fauxley.models.wavegan import WaveGANGenerator

PackedT = TypeVar("PackedT")
_GENERATORS = WaveGANGenerator.forward, SpecGANGenerator.forward
_LAYER = ConvolutionLayer.forward
_ROW = 4096  # weights for each number of a fingerprint


class PackedLayer(nn.Module):
    """A layer with packed weights, for use without gradients."""

    def __init__(self, layer: ConvolutionLayer) -> None:
        super().__init__()
        self._layer = layer
        self._packed: dict[Hashable, Any] = {}
        self._packed_from: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        convolution, weight, bias, stride = self._layer.operands
        plan = kernels.plan_packed(convolution, x, weight, stride)
        if plan is None:
            return cast(Tensor, self._layer(x))
        return plan.convolve(x, self._once((plan.algorithm, x.dtype), lambda: plan.prepare(weight, bias, x.dtype)))

    def forget_if_changed(self) -> None:
        """Forget the packed weights if the layer's weights have changed since they were packed."""
        now, before = [fingerprint(each) for each in (self._layer.weight, self._layer.bias)], self._packed_from
        if not before or not all(map(torch.equal, now, before)):
            self._packed = {}  # a new dictionary, because another thread may be using the old one
            self._packed_from = now

    def _once(self, key: Hashable, prepare: Callable[[], PackedT]) -> PackedT:
        """Call `prepare` once for each key and keep the result. oneDNN's layout may depend on the number of threads."""
        packed, key = self._packed, (key, torch.get_num_threads())
        if key not in packed:
            packed[key] = prepare()
        found: PackedT = packed[key]
        return found


class PackedLayers:
    """The packed layers of one generator, kept from one use to the next. A copy or pickle of it starts empty."""

    def __init__(self) -> None:
        self._packed: dict[nn.Module, PackedLayer] = {}

    def copy(self, generator: nn.Module) -> nn.Module:
        """A packed copy of `generator` as it is now, for immediate use; `generator` itself where packing is no gain.

        Only CPUs gain by packing.
        """
        on_cpu = all(parameter.device.type == "cpu" for parameter in generator.parameters())
        known = any(is_unaltered(generator, forward) for forward in _GENERATORS)
        if not on_cpu or not known or not kernels.is_fast():
            return generator
        packed: dict[nn.Module, PackedLayer] = {}  # a new one: another thread may be using the old
        layers = list(generator.get_submodule("layers").children())
        for layer in layers:
            if _can_be_packed(layer):
                packed[layer] = self._packed.get(layer) or PackedLayer(cast(ConvolutionLayer, layer))
                packed[layer].forget_if_changed()
        self._packed = packed
        twin = copy.copy(generator)  # it shares parameters and buffers
        twin._modules = {**generator._modules, "layers": nn.ModuleList(packed.get(each, each) for each in layers)}
        return twin

    def __reduce__(self) -> tuple[type["PackedLayers"], tuple[()]]:  # packed weights cannot be copied
        return PackedLayers, ()


def _can_be_packed(layer: nn.Module) -> bool:
    return isinstance(layer, ConvolutionLayer) and layer.convolution in kernels.PACKABLE and is_unaltered(layer, _LAYER)


def fingerprint(values: Tensor) -> Tensor:
    """Numbers that change if any of `values` changes by more than rounding: a fixed projection of each 4096 values."""
    flat = values.detach().flatten()
    if flat.dtype != torch.float64:
        flat = flat.float()
    whole = len(flat) // _ROW * _ROW
    if not whole:
        return flat.clone()
    rows = flat[:whole].view(-1, _ROW) @ _key(flat.dtype)
    return rows if whole == len(flat) else torch.cat([rows, flat[whole:]])


@cache
def _key(dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.randn(_ROW, generator=torch.Generator().manual_seed(0), dtype=dtype)
