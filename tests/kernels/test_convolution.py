"""The convolution under all layers: its values and derivatives of any order, by each of the algorithms."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from fauxley.kernels import convolution
from fauxley.kernels.bilinear import BilinearConvolution
from fauxley.kernels.convolution import input_gradients
from fauxley.kernels.convolution_1d import DirectConvolution, WindowsConvolution, choose_convolution
from fauxley.kernels.convolution_2d import FewChannelsConvolution, StridedConvolution, WindowsConvolution2d

# Batch, frames, inputs, outputs, taps.
SHAPES = {
    "few frames": (2, 6, 18, 3, 3),
    "many frames": (2, 66, 17, 2, 5),
    "one frame, one tap": (3, 1, 2, 2, 1),
    "fewer frames than taps": (2, 2, 2, 3, 7),
}
ALGORITHMS = {
    "direct": DirectConvolution,
    "windows": WindowsConvolution,
    "bilinear": lambda taps: BilinearConvolution(taps, tile=2),
    "bilinear, odd tiles": lambda taps: BilinearConvolution(taps, tile=3),
}


def random(*shape, requires_grad=True):
    return torch.randn(shape, dtype=torch.float64, requires_grad=requires_grad)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def operands(request):
    torch.manual_seed(0)
    batch, frames, inputs, outputs, taps = request.param
    return random(batch, frames, inputs), random(taps, inputs, outputs)


@pytest.fixture(params=ALGORITHMS.values(), ids=ALGORITHMS)
def convolve(request):
    """A convolution by one of the algorithms."""

    def by_algorithm(x, weight, bias=None):
        by = request.param(len(weight))
        if isinstance(by, BilinearConvolution) and (x.shape[1] % by.tile or by.taps // 2 > by.tile):
            pytest.skip("a case without whole tiles")
        return convolution.convolve(x, by.prepare(weight), by, bias)

    return by_algorithm


def plain(x, weight):
    """PyTorch's convolution in the same layout."""
    return F.conv1d(x.transpose(1, 2), weight.permute(2, 1, 0), padding=len(weight) // 2).transpose(1, 2)


def test_equals_plain_convolution(convolve, operands):
    torch.testing.assert_close(convolve(*operands), plain(*operands))


def test_derivatives_equal_those_of_plain_convolution(convolve, operands):
    grad = random(*plain(*operands).shape, requires_grad=False)
    ours = torch.autograd.grad(convolve(*operands), operands, grad)
    expected = torch.autograd.grad(plain(*operands), operands, grad)
    torch.testing.assert_close(ours, expected)


def test_derivatives_of_first_and_second_order_agree_with_differences(convolve, operands):
    # Fast mode compares along random directions; with thousands of numbers the full check would take minutes.
    assert gradcheck(convolve, operands, fast_mode=True)
    assert gradgradcheck(convolve, operands, fast_mode=True)


def test_a_bias_is_added_to_each_channel_and_has_its_derivative(convolve, operands):
    x, weight = operands
    bias = random(weight.shape[2])
    with_bias = convolve(x, weight, bias)
    torch.testing.assert_close(with_bias, plain(x, weight) + bias)
    (slope,) = torch.autograd.grad(with_bias.square().sum() / 2, bias, create_graph=True)
    torch.testing.assert_close(slope, with_bias.sum((0, 1)))
    assert gradgradcheck(convolve, (x, weight, bias), fast_mode=True)


def test_views_of_any_layout_are_taken(convolve):
    torch.manual_seed(0)
    x, weight = random(2, 3, 72, requires_grad=False).transpose(1, 2), random(4, 3, 5, requires_grad=False)
    weight = weight.permute(2, 1, 0)
    torch.testing.assert_close(convolve(x, weight), plain(x, weight))
    torch.testing.assert_close(convolve(x[:, ::2], weight), plain(x[:, ::2], weight))


def penalty(convolution, gradients, x, *weights):
    """A gradient penalty on two layers with a curved function between: all second derivatives take part."""
    scores = convolution(torch.tanh(convolution(x, weights[0])), weights[1]).sum((1, 2))
    (slope,) = gradients(scores, x)
    return slope.square().sum((1, 2)).sqrt().sub(1).square().mean()


def plain_gradients(scores, x):
    return torch.autograd.grad(scores.sum(), x, create_graph=True)


def test_gradient_penalty_has_the_weight_gradients_of_plain_convolution(convolve):
    torch.manual_seed(0)
    x, weights = random(3, 66, 2), (random(5, 2, 17), random(3, 17, 4))
    ours = torch.autograd.grad(penalty(convolve, input_gradients, x, *weights), weights)
    expected = torch.autograd.grad(penalty(plain, plain_gradients, x, *weights), weights)
    torch.testing.assert_close(ours, expected)


def test_input_gradients_forms_no_weight_gradients(convolve, operands):
    x, weight = operands
    seen = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t.shape) or t, lambda t: t):
        (gradient,) = input_gradients(convolve(x, weight).square().sum((1, 2)), x)
        sparing = len(seen)
        torch.autograd.grad(convolve(x, weight).square().sum(), x, create_graph=True)
    assert sparing < len(seen) - sparing
    (expected,) = torch.autograd.grad(plain(x, weight).square().sum(), x)
    torch.testing.assert_close(gradient, expected)


def test_weight_gradients_are_back_after_input_gradients_even_if_it_failed(convolve, operands):
    x, weight = operands
    with pytest.raises(RuntimeError):
        input_gradients(convolve(x, weight).sum((1, 2)), torch.ones(1, requires_grad=True))
    convolve(x, weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(("taps", "tile", "frames"), [(7, 16, 32), (7, 16, 16), (3, 8, 24), (9, 4, 12), (25, 16, 48)])
def test_tiles_of_any_size_are_as_exact_as_a_direct_convolution(taps, tile, frames):
    torch.manual_seed(0)
    x, weight = random(2, frames, 40, requires_grad=False), random(taps, 40, 8, requires_grad=False)
    expected = plain(x, weight)
    by = BilinearConvolution(taps, tile)
    torch.testing.assert_close(convolution.convolve(x, by.prepare(weight), by), expected)
    errors = [
        (convolution.convolve(x.float(), algorithm.prepare(weight.float()), algorithm) - expected).norm()
        / expected.norm()
        for algorithm in (by, DirectConvolution(taps))
    ]
    assert errors[0] < 5 * errors[1] < 1e-5


def test_what_generation_keeps_serves_training_later():
    by = BilinearConvolution(5, 6)  # no other test's
    x, weight = random(2, 12, 3), random(5, 3, 2)
    with torch.inference_mode():
        convolution.convolve(x, by.prepare(weight), by)
    convolution.convolve(x, by.prepare(weight), by).sum().backward()
    assert x.grad is not None


def test_a_transform_needs_a_third_of_the_products():
    assert len(BilinearConvolution(7, 16).prepare(torch.zeros(7, 1, 1))) == 32  # for 7 · 16 = 112


@pytest.mark.parametrize(
    ("shape", "taps", "outputs", "algorithm"),
    [
        ((16, 64, 256), 7, 128, BilinearConvolution),  # many frames, many channels
        ((1, 16, 2048), 7, 1024, WindowsConvolution),  # the deepest layer for a single clip
        ((64, 4096, 4), 7, 16, DirectConvolution),  # the first layer
        ((16, 72, 256), 7, 128, DirectConvolution),  # no whole number of tiles
        ((16, 64, 256), 1, 128, DirectConvolution),
    ],
)
def test_each_shape_has_its_algorithm(shape, taps, outputs, algorithm):
    assert isinstance(choose_convolution(torch.empty(shape, device="meta"), taps, outputs), algorithm)


@pytest.mark.parametrize("algorithm", [StridedConvolution, FewChannelsConvolution, WindowsConvolution2d])
@pytest.mark.parametrize(("kernel_length", "stride"), [(5, 2), (4, 2), (1, 2), (3, 1), (6, 3)])
def test_images_products_equal_plain_ones_in_value_and_derivatives_of_both_orders(algorithm, kernel_length, stride):
    torch.manual_seed(0)
    by = algorithm(kernel_length, stride)
    weight = random(3, 2, kernel_length, kernel_length)
    x, y = random(2, 2, 4 * stride, 3 * stride), random(2, 3, 4, 3)
    total = kernel_length - stride
    front, back = max(total, 0) // 2, total - max(total, 0) // 2

    def same(x, weight):
        return F.conv2d(F.pad(x, (front, back, front, back)), weight, stride=stride)

    def transposed(y, weight):
        return F.pad(F.conv_transpose2d(y, weight, stride=stride), (-front, -back, -front, -back))

    for ours, theirs, signal in ((convolution.convolve, same, x), (convolution.transpose, transposed, y)):
        torch.testing.assert_close(ours(signal, by.prepare(weight), by), theirs(signal, weight))
        assert gradcheck(lambda a, w, f=ours: f(a, by.prepare(w), by), (signal, weight), fast_mode=True)
        assert gradgradcheck(lambda a, w, f=ours: f(a, by.prepare(w), by), (signal, weight), fast_mode=True)
