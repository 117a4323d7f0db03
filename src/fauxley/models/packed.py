"""Generators as a synthesizer plays them: copies whose layers' weights are laid out once for the processor.

Layers know nothing of it. `PackedLayers.copy` gives a copy of a generator that shares everything with it but its
convolutions, whose weights are packed (see `convolution_packed`) and kept from one sound to the next. Whether they are
still those of the generator is looked at before every batch, by reading all of them once: PyTorch counts some of the
ways in which a tensor can be written to, but not those by way of `data` or of NumPy. For 20 million weights
that adds two fifths to the time of a single clip, and 3 % in batches; packing anew would take twice the time.

A generator or a layer of which `forward` was overridden, or that has hooks, is played as it is.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fauxley.kernels.packed_convolution_1d import choose_packed
from fauxley.kernels.packed_convolution_2d import PackedPhases
from fauxley.models.layers import Upsampling
from fauxley.models.layers_2d import TransposedUpsampling2d
from fauxley.models.shortcut import is_open, runs, shortcut_of
from fauxley.models.specgan import SpecGANGenerator
from fauxley.models.wavegan import WaveGANGenerator

KeptT = TypeVar("KeptT")
_FORWARDS = WaveGANGenerator.forward, SpecGANGenerator.forward
_ROW = 4096  # weights that a fingerprint has a number for


class PackedLayer(nn.Module, ABC):
    """A layer with its weights packed, to be used without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[Hashable, Any] = {}
        self._packed_from: list[Tensor] = []

    @property
    @abstractmethod
    def weights(self) -> tuple[Tensor, Tensor]:
        """The layer's own weight and bias."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of x."""

    def look(self) -> None:
        """Forget what is packed if the layer's weights are no longer those that it was made of."""
        now, before = [fingerprint(each) for each in self.weights], self._packed_from
        if not before or not all(map(torch.equal, now, before)):
            self._kept = {}  # a new one: another thread may be using the old
            self._packed_from = now

    def _keep(self, key: Hashable, prepare: Callable[[], KeptT]) -> KeptT:
        """What `prepare` gives, from the first time on; oneDNN's order may depend on the number of threads, too."""
        kept, key = self._kept, (key, torch.get_num_threads())
        if key not in kept:
            kept[key] = prepare()
        found: KeptT = kept[key]
        return found


class PackedUpsampling(PackedLayer):
    """A layer of WaveGAN's generator, packed."""

    def __init__(self, layer: Upsampling) -> None:
        super().__init__()
        self._layer = layer

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        return self._layer.weight, self._layer.bias

    @shortcut_of(Upsampling.forward)
    def forward(self, x: Tensor) -> Tensor:
        by = choose_packed(x, self._layer.taps, self._layer.folded_channels)
        y = by.convolve(x, self._keep((by, x.dtype), lambda: by.prepare(*self._layer.folded(x.dtype))))
        return self._layer.unfold(y)


class PackedUpsampling2d(PackedLayer):
    """A layer of SpecGAN's generator, packed."""

    def __init__(self, layer: TransposedUpsampling2d) -> None:
        super().__init__()
        self._layer = layer

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        return self._layer.weight, self._layer.bias

    @shortcut_of(TransposedUpsampling2d.forward)
    def forward(self, x: Tensor) -> Tensor:
        kernel_length = self._layer.weight.shape[-1]
        if not PackedPhases.suits(x, kernel_length):
            plain: Tensor = self._layer(x)
            return plain
        by = PackedPhases(kernel_length, (x.shape[2], x.shape[3]))
        kept = self._keep((by, x.dtype), lambda: by.prepare(*(each.to(x.dtype) for each in self.weights)))
        return by.convolve(x, kept)


class PackedLayers:
    """The packed layers of one generator, kept from one use to the next. Copies of it begin empty."""

    def __init__(self) -> None:
        self._packed: dict[nn.Module, PackedLayer] = {}

    def copy(self, generator: nn.Module) -> nn.Module:
        """A generator that makes what `generator` makes now, to be used at once; itself, where nothing can be packed.

        Only CPUs gain by it.
        """
        on_cpu = all(parameter.device.type == "cpu" for parameter in generator.parameters())
        if not on_cpu or not any(runs(generator, forward) for forward in _FORWARDS):
            return generator
        layers = list(generator.get_submodule("layers").children())
        known, self._packed = self._packed, {}
        for layer in layers:
            if (pack := _way(layer)) is not None:
                self._packed[layer] = known.get(layer) or pack(layer)
                self._packed[layer].look()
        twin = copy.copy(generator)  # parameters and buffers are the very same
        twin._modules = {**generator._modules, "layers": nn.ModuleList(self._packed.get(each, each) for each in layers)}
        return twin

    def __reduce__(self) -> tuple[type["PackedLayers"], tuple[()]]:  # packed weights cannot be copied
        return PackedLayers, ()


def _way(layer: nn.Module) -> Callable[[Any], PackedLayer] | None:
    """What packs a layer, if it is one that was not altered."""
    ways: tuple[type[PackedUpsampling | PackedUpsampling2d], ...] = PackedUpsampling, PackedUpsampling2d
    return next((way for way in ways if is_open(layer, way.forward)), None)


def fingerprint(values: Tensor) -> Tensor:
    """What is another for other numbers, but for changes by rounding errors: each 4096 of them, times fixed weights."""
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
