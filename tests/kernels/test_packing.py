"""Convolutions with weights that are laid out beforehand: each way against plain convolution."""

import pytest
import torch
import torch.nn.functional as F

from fauxley.kernels import packing
from fauxley.kernels.algorithms_1d import DirectConvolution
from fauxley.kernels.packing import (
    PackedBilinear,
    PackedFrames,
    PackedPhases,
    PackedWindows,
    Unpacked,
    choose_packed,
    has_packing,
)
from fauxley.models.layers import TransposedUpsampling2d
from fauxley.models.packed import PackedLayer

# Way, batch, frames, inputs, outputs, taps.
CASES = {
    "windows": (PackedWindows(7, 16), 3, 16, 40, 24, 7),
    "windows, one clip": (PackedWindows(3, 5), 1, 5, 17, 3, 3),
    "bilinear, one by one": (PackedBilinear(7, 8, 1, 8), 3, 64, 48, 32, 7),
    "bilinear, one clip": (PackedBilinear(7, 16, 1, 8), 1, 128, 16, 64, 7),
    "bilinear, whole groups": (PackedBilinear(7, 16, 4, 2), 8, 32, 32, 48, 7),
    "bilinear, a group filled up": (PackedBilinear(7, 16, 4, 1), 6, 16, 32, 16, 7),
    "bilinear, odd sizes": (PackedBilinear(5, 3, 2, 4), 3, 12, 18, 21, 5),
    "frames": (PackedFrames(7, 4), 2, 64, 6, 4, 7),
    "frames, two at a time": (PackedFrames(7, 2), 2, 10, 5, 8, 7),
    "frames, more than taps": (PackedFrames(3, 8), 1, 16, 5, 2, 3),
    "unpacked": (Unpacked(DirectConvolution(7)), 2, 12, 6, 4, 7),
}


def operands(batch, frames, inputs, outputs, taps, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, frames, inputs), (taps, inputs, outputs), (outputs,)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def plain(x, weight, bias):
    """PyTorch's convolution in float64."""
    x, weight, bias = x.double(), weight.double(), bias.double()
    return F.conv1d(x.transpose(1, 2), weight.permute(2, 1, 0), bias, padding=len(weight) // 2).transpose(1, 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 1.5e-2)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_way_equals_plain_convolution(case, dtype, tolerance):
    by, *sizes = case
    if not has_packing(dtype):  # then none of these is chosen but the one that takes over
        by = choose_packed(torch.empty(sizes[:3], dtype=dtype), sizes[4], sizes[3])
        assert isinstance(by, Unpacked)
    x, weight, bias = operands(*sizes, dtype=dtype)
    before = x.clone()
    y = by.convolve(x, by.prepare(weight, bias))
    assert y.dtype == dtype
    expected = plain(x, weight, bias)
    assert y.shape == expected.shape
    assert (y - expected).norm() < tolerance * expected.norm()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("shape", "outputs", "by"),
    [
        ((1, 16, 1024), 2048, PackedWindows(7, 16)),  # the deepest layer, a single clip
        ((1, 64, 512), 1024, PackedBilinear(7, 8, 1, 8)),
        ((7, 1024, 128), 256, PackedBilinear(7, 16, 1, 64)),
        ((64, 16, 1024), 2048, PackedBilinear(7, 16, 16, 1)),
        ((64, 1024, 128), 256, PackedBilinear(7, 16, 1, 64)),
        ((64, 4096, 64), 4, PackedFrames(7, 4)),  # the layer that makes audio
        ((1, 1, 4), 12, Unpacked(DirectConvolution(7))),
    ],
)
def test_each_shape_has_its_way(shape, outputs, by, monkeypatch):
    monkeypatch.setattr(packing, "has_packing", lambda dtype: True)
    assert choose_packed(torch.empty(1).expand(shape), 7, outputs) == by


def test_without_packing_the_usual_algorithms_compute(monkeypatch):
    assert isinstance(choose_packed(torch.empty(1, 16, 1024, dtype=torch.float64), 7, 2048), Unpacked)
    monkeypatch.setattr(packing, "has_packing", lambda dtype: False)
    assert isinstance(choose_packed(torch.empty(1, 16, 1024), 7, 2048), Unpacked)


@pytest.mark.parametrize("broken", ["fails", "is wrong"])
def test_packing_is_not_taken_on_trust(broken, monkeypatch):
    def fails(*_):
        raise RuntimeError("could not create a primitive")

    def is_wrong(matrices, kept):
        return torch.zeros(*matrices.shape[:2], kept[1].numel() // matrices.shape[1])

    has_packing.cache_clear()
    monkeypatch.setattr(packing, "multiply_packed_matrices", {"fails": fails, "is wrong": is_wrong}[broken])
    try:
        assert not has_packing(torch.float32)
    finally:
        has_packing.cache_clear()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("kernel_length", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize(("batch", "size", "outputs"), [(1, (4, 4), 8), (3, (2, 6), 1)])
def test_an_image_layer_in_use_equals_plain_transposed_convolution(
    kernel_length, batch, size, outputs, dtype, tolerance, monkeypatch
):
    monkeypatch.setattr(packing, "_MANY_IMAGE_CHANNELS", 1)
    torch.manual_seed(0)
    layer = TransposedUpsampling2d(6, outputs, kernel_length)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(batch, 6, *size).to(dtype)
    weight, bias = (parameter.detach().to(dtype).double() for parameter in (layer.weight, layer.bias))
    full = F.conv_transpose2d(x.double(), weight, bias, stride=2)
    full = F.pad(full, (0, 2, 0, 2))  # where few taps reach not far enough
    full[:, :, -2:] = full[:, :, :, -2:] = bias.view(-1, 1, 1)
    front = (kernel_length - 2) // 2
    expected = full[:, :, front : front + 2 * size[0], front : front + 2 * size[1]]
    with torch.no_grad():
        for y in (layer(x), PackedLayer(layer)(x)):
            assert y.shape == expected.shape
            assert (y - expected).norm() < tolerance * expected.norm()


def test_images_of_few_channels_are_left_to_the_usual_algorithm(monkeypatch):
    monkeypatch.setattr(packing, "has_packing", lambda dtype: True)
    assert PackedPhases.suits(torch.empty(1).expand(1, 256, 4, 4), 5)
    assert not PackedPhases.suits(torch.empty(1).expand(1, 128, 4, 4), 5)
    assert not PackedPhases.suits(torch.empty(1).expand(8, 256, 4, 4), 5)
