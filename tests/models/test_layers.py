"""Layers against the plain definitions that they fold, and what they do to signals."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from fauxley import kernels
from fauxley.kernels import leaky_relu, phase_shuffle
from fauxley.models.layers import (
    BatchNorm,
    Downsampling,
    NearestUpsampling,
    TransposedUpsampling,
)

KERNELS = (1, 2, 3, 4, 5, 7, 8, 24, 25, 31)
STRIDES = (1, 2, 3, 4, 5)
COMBINATIONS = list(itertools.product(KERNELS, STRIDES))


def make(layer, kernel_length, stride, inputs=3, outputs=2):
    torch.manual_seed(0)
    made = layer(inputs, outputs, kernel_length, stride).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def same_padding(length, kernel_length, stride):
    """TensorFlow's rule: as many outputs as strides begin in the signal; of the zeros, the smaller half in front."""
    total = max((-(-length // stride) - 1) * stride + kernel_length - length, 0)
    return total // 2, total - total // 2


def downsampled(layer, x):
    front, back = same_padding(x.shape[2], len(layer.weight), layer.stride)
    return F.conv1d(F.pad(x, (front, back)), layer.weight.permute(2, 1, 0), layer.bias, layer.stride)


def zero_stuffed(layer, x):
    """The full transposed convolution, cropped; missing samples at the end are zero before the bias."""
    stride, kernel_length = layer.stride, len(layer.weight)
    full = F.conv_transpose1d(x, layer.weight.permute(1, 2, 0), stride=stride)
    front, length = max(kernel_length - stride, 0) // 2, x.shape[2] * stride
    cropped = full[:, :, front : front + length]
    return F.pad(cropped, (0, length - cropped.shape[2])) + layer.bias[:, None]


def repeated(layer, x):
    longer = x.repeat_interleave(layer.stride, dim=2)
    return F.conv1d(
        F.pad(longer, same_padding(longer.shape[2], len(layer.weight), 1)), layer.weight.permute(2, 1, 0), layer.bias
    )


PLAIN = {Downsampling: downsampled, TransposedUpsampling: zero_stuffed, NearestUpsampling: repeated}


@pytest.mark.parametrize(("kernel_length", "stride"), COMBINATIONS)
@pytest.mark.parametrize("layer_class", PLAIN, ids=lambda layer_class: layer_class.__name__)
def test_resampling_equals_the_plain_definition(layer_class, kernel_length, stride):
    layer = make(layer_class, kernel_length, stride)
    for frames in (1, 2, 9, 70):
        length = frames * stride if layer_class is Downsampling else frames
        x = torch.randn(2, 3, length, dtype=torch.float64)
        for implementation in ("plain", "fast"):
            with kernels.use(implementation):
                ours = layer(x.transpose(1, 2)).transpose(1, 2)
            torch.testing.assert_close(ours, PLAIN[layer_class](layer, x))


@pytest.mark.parametrize(("kernel_length", "stride"), [(25, 4), (24, 2), (3, 4)])
@pytest.mark.parametrize("layer_class", PLAIN, ids=lambda layer_class: layer_class.__name__)
def test_resampling_has_the_gradients_of_the_plain_definition(layer_class, kernel_length, stride):
    layer = make(layer_class, kernel_length, stride)
    x = torch.randn(2, 3, 12 * stride, dtype=torch.float64, requires_grad=True)
    wanted = (x, layer.weight, layer.bias)
    ours = torch.autograd.grad(layer(x.transpose(1, 2)).sin().sum(), wanted)
    expected = torch.autograd.grad(PLAIN[layer_class](layer, x).sin().sum(), wanted)
    torch.testing.assert_close(ours, expected)


def test_leaky_relu_is_the_steeper_of_two_lines():
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    torch.testing.assert_close(leaky_relu(x), torch.maximum(0.2 * x, x))


def test_leaky_relu_bends_nowhere():
    x = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad((leaky_relu(x) ** 3).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    steepness = torch.tensor([0.2, 0.2, 1.0, 1.0])
    torch.testing.assert_close(slope.detach(), 3 * steepness**3 * x.detach() ** 2)
    torch.testing.assert_close(curvature, 6 * steepness**3 * x.detach())


def shifted(signal, shift):
    """What phase shuffle does to a signal, sample by sample: beyond its ends it goes on as in a mirror."""
    last = len(signal) - 1
    return [signal[last - abs(last - abs(n - shift))] for n in range(len(signal))]


@pytest.mark.parametrize("shifts", [[0, 0, 0], [2, 2, 2], [-3, -3, -3], [1, 1, -1], [4, 0, -4], [-7, 7, 7]])
def test_phase_shuffle_shifts_each_example_and_reflects(shifts):
    x = torch.randn(3, 8, 2)
    expected = torch.stack([torch.stack(shifted(example, shift)) for example, shift in zip(x, shifts, strict=True)])
    for implementation in ("plain", "fast"):
        with kernels.use(implementation):
            assert torch.equal(phase_shuffle(x, torch.tensor(shifts), 7), expected)


def test_batch_norm_in_training_leaves_mean_zero_and_variance_one_per_channel():
    norm = BatchNorm(3, track=True)
    x = torch.randn(4, 50, 3) * torch.tensor([1.0, 5.0, 20.0]) + torch.tensor([0.0, -7.0, 3.0])
    y = norm(x)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var((0, 1), correction=0), torch.ones(3), atol=2e-3, rtol=0)
    torch.testing.assert_close(norm.moving_mean, 0.01 * x.mean((0, 1)))
    torch.testing.assert_close(norm.moving_variance, 0.99 + 0.01 * x.var((0, 1), correction=0))


def test_batch_norm_in_use_treats_each_example_alone():
    norm = BatchNorm(2, track=True)
    norm(torch.randn(4, 50, 2))
    norm.eval()
    before = norm.moving_mean.clone()
    x = torch.randn(3, 10, 2)
    torch.testing.assert_close(norm(x)[1:], norm(x[1:]))
    assert torch.equal(norm.moving_mean, before)


def test_the_critics_batch_norm_always_goes_by_the_batch():
    norm = BatchNorm(2, track=False).eval()
    y = norm(5 * torch.randn(4, 50, 2) + 3)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(2), atol=1e-5, rtol=0)
    assert not list(norm.buffers())


def test_batch_norm_has_exact_first_derivatives():
    norm = BatchNorm(2, track=False).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, x)
