"""The convolutions under all layers: each algorithm, and each fast function against its plain definition."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from fauxley import kernels
from fauxley.errors import UsageError
from fauxley.kernels.algorithm import Plan, Transposed, accelerate
from fauxley.kernels.algorithms_1d import BilinearConvolution, DirectConvolution, WindowsConvolution, choose_1d
from fauxley.kernels.algorithms_2d import FewChannelsConvolution, StridedConvolution, WindowsConvolution2d

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


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES))
def operands(request):
    torch.manual_seed(0)
    batch, frames, inputs, outputs, taps = request.param
    return random(batch, frames, inputs), random(taps, inputs, outputs)


@pytest.fixture(params=ALGORITHMS.values(), ids=list(ALGORITHMS))
def convolve(request):
    """A convolution by one of the algorithms."""

    def by_algorithm(x, weight, bias=None):
        algorithm = request.param(len(weight))
        if isinstance(algorithm, BilinearConvolution) and (
            x.shape[1] % algorithm.tile or algorithm.taps // 2 > algorithm.tile
        ):
            pytest.skip("a case without whole tiles")
        shape = (*x.shape[:2], weight.shape[2])
        plan = Plan(algorithm, lambda weight: weight, tuple(x.shape), shape, shape)
        return accelerate(plain, plan, x, weight, weight.new_zeros(weight.shape[2]) if bias is None else bias, 1)

    return by_algorithm


def plain(x, weight, bias=None, stride=1):
    """PyTorch's convolution in the same layout."""
    return F.conv1d(x.transpose(1, 2), weight.permute(2, 1, 0), bias, padding=len(weight) // 2).transpose(1, 2)


def convolve_by(algorithm, x, weight):
    return algorithm.convolve(algorithm.prepare_input(x), algorithm.prepare(weight))


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


def penalty(convolution, x, *weights):
    """A gradient penalty on two layers with a curved function between: all second derivatives take part."""
    scores = convolution(torch.tanh(convolution(x, weights[0])), weights[1]).sum((1, 2))
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return slope.square().sum((1, 2)).sqrt().sub(1).square().mean()


def test_gradient_penalty_has_the_weight_gradients_of_plain_convolution(convolve):
    torch.manual_seed(0)
    x, weights = random(3, 66, 2), (random(5, 2, 17), random(3, 17, 4))
    ours = torch.autograd.grad(penalty(convolve, x, *weights), weights)
    expected = torch.autograd.grad(penalty(plain, x, *weights), weights)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("taps", "tile", "frames"), [(7, 16, 32), (7, 16, 16), (3, 8, 24), (9, 4, 12), (25, 16, 48)])
def test_tiles_of_any_size_are_as_exact_as_a_direct_convolution(taps, tile, frames):
    torch.manual_seed(0)
    x, weight = random(2, frames, 40, requires_grad=False), random(taps, 40, 8, requires_grad=False)
    expected = plain(x, weight)
    tiled = BilinearConvolution(taps, tile)
    torch.testing.assert_close(convolve_by(tiled, x, weight), expected)
    errors = [
        (convolve_by(algorithm, x.float(), weight.float()) - expected).norm() / expected.norm()
        for algorithm in (tiled, DirectConvolution(taps))
    ]
    assert errors[0] < 5 * errors[1] < 1e-5


def test_what_generation_keeps_serves_training_later():
    algorithm = BilinearConvolution(5, 6)  # no other test's
    x, weight = random(2, 12, 3), random(5, 3, 2)
    with torch.inference_mode():
        convolve_by(algorithm, x, weight)
    convolve_by(algorithm, x, weight).sum().backward()
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
    assert isinstance(choose_1d(shape, taps, outputs, on_gpu=False), algorithm)


@pytest.mark.parametrize("algorithm", [StridedConvolution, FewChannelsConvolution, WindowsConvolution2d])
@pytest.mark.parametrize(("kernel_length", "stride"), [(5, 2), (4, 2), (1, 2), (3, 1), (6, 3)])
def test_images_products_equal_plain_ones_in_value_and_derivatives_of_both_orders(algorithm, kernel_length, stride):
    torch.manual_seed(0)
    way = algorithm(kernel_length, stride)
    weight = random(3, 2, kernel_length, kernel_length)
    x, y = random(2, 2, 4 * stride, 3 * stride), random(2, 3, 4, 3)
    total = kernel_length - stride
    front, back = max(total, 0) // 2, total - max(total, 0) // 2

    def same(x, weight, bias, stride=stride):
        return F.conv2d(F.pad(x, (front, back, front, back)), weight, bias, stride=stride)

    def transposed(y, weight, bias, stride=stride):
        full = F.conv_transpose2d(y, weight, stride=stride)
        return F.pad(full, (-front, -back, -front, -back)) + bias[:, None, None]

    for algorithm, definition, signal in ((way, same, x), (Transposed(way), transposed, y)):
        bias = random(3 if signal is x else 2)
        expected = definition(signal, weight, bias)
        shapes = tuple(signal.shape), tuple(expected.shape), tuple(expected.shape)
        plan = Plan(algorithm, lambda weight: weight, *shapes)

        def ours(x, weight, bias, definition=definition, plan=plan):
            return accelerate(definition, plan, x, weight, bias, stride)

        torch.testing.assert_close(ours(signal, weight, bias), expected)
        assert gradcheck(ours, (signal, weight, bias), fast_mode=True)
        assert gradgradcheck(ours, (signal, weight, bias), fast_mode=True)


# Function, shape of x, shape of the weight, stride.
FUNCTIONS = {
    "down": (kernels.convolve_down, (2, 24, 3), (25, 3, 2), 4),
    "down, few taps": (kernels.convolve_down, (2, 8, 3), (2, 3, 2), 4),
    "down, one frame": (kernels.convolve_down, (2, 4, 1), (25, 1, 2), 4),
    "down, by transforms": (kernels.convolve_down, (6, 256, 16), (25, 16, 64), 4),
    "up": (kernels.convolve_up, (2, 6, 3), (25, 3, 2), 4),
    "up, few taps": (kernels.convolve_up, (2, 6, 3), (2, 3, 2), 4),
    "up, even": (kernels.convolve_up, (2, 5, 3), (24, 3, 1), 2),
    "up nearest": (kernels.convolve_up_nearest, (2, 6, 3), (25, 3, 2), 4),
    "up nearest, even": (kernels.convolve_up_nearest, (2, 6, 3), (4, 3, 2), 3),
    "images": (kernels.convolve_images, (2, 3, 8, 6), (2, 3, 5, 5), 2),
    "images, stride 1": (kernels.convolve_images, (2, 3, 8, 6), (2, 3, 4, 4), 1),
    "images, many channels": (kernels.convolve_images, (2, 64, 2, 2), (64, 64, 5, 5), 2),
    "up images": (kernels.convolve_up_images, (2, 3, 4, 6), (3, 2, 5, 5), 2),
    "up images, one tap": (kernels.convolve_up_images, (2, 3, 4, 6), (3, 2, 1, 1), 2),
}


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("of", ["one order", "both orders"])
def test_fast_functions_are_the_plain_ones_in_value_and_derivatives(case, of):
    torch.manual_seed(0)
    function, x_shape, weight_shape, stride = case
    x, weight = random(*x_shape), random(*weight_shape)
    up_images = function is kernels.convolve_up_images
    bias = random(weight_shape[1] if up_images else weight_shape[0 if len(weight_shape) == 4 else 2])
    results = []
    for implementation in ("plain", "fast"):
        with kernels.use(implementation):
            y = function(x, weight, bias, stride)
        torch.manual_seed(1)
        direction = torch.randn(y.shape, dtype=y.dtype)
        found = torch.autograd.grad(y.tanh(), (x, weight, bias), direction, create_graph=of == "both orders")
        results.append([y, *found])
        if of == "both orders":
            results[-1] += torch.autograd.grad(sum(each.square().sum() for each in found), (x, weight, bias))
    for ours, expected in zip(*reversed(results), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
def test_both_implementations_compute_in_the_precision_of_their_input(case, dtype):
    function, x_shape, weight_shape, stride = case
    x, weight = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) for shape in (x_shape, weight_shape))
    up_images = function is kernels.convolve_up_images
    bias = torch.zeros(weight_shape[1] if up_images else weight_shape[0 if len(weight_shape) == 4 else 2])
    found = []
    for implementation in ("plain", "fast"):
        with kernels.use(implementation), torch.no_grad():
            found.append(function(x.to(dtype), weight, bias, stride))
    assert {each.dtype for each in found} == {dtype}
    assert (found[1] - found[0]).norm() < (1e-5 if dtype == torch.float32 else 0.02) * found[0].norm()


def test_the_switch_is_a_block_or_an_environment_variable(monkeypatch):
    monkeypatch.delenv("FAUXLEY_KERNELS", raising=False)
    assert kernels.is_fast()
    with kernels.use("plain"):
        assert not kernels.is_fast()
        with kernels.use("fast"):
            assert kernels.is_fast()
        assert not kernels.is_fast()
    monkeypatch.setenv("FAUXLEY_KERNELS", "plain")
    assert not kernels.is_fast()
    with kernels.use("fast"):
        assert kernels.is_fast()
    monkeypatch.setenv("FAUXLEY_KERNELS", "quick")
    with pytest.raises(UsageError, match="FAUXLEY_KERNELS must be plain or fast; got 'quick'"):
        kernels.is_fast()
