"""Which algorithm suits which product of a convolution: what `fauxley.kernels.algorithms_1d` chooses by, measured.

    python benchmarks/convolution.py [--dims 16 32 64] [--batch-size 16] [--threads 2] [--quick]

For each layer of the critic of 16384 samples, in the folded form of stride 1 (the generator's layers are its mirror
images), the time of the forward product, the gradient by the input and the gradient by the weight: with PyTorch's own
strided `conv1d` on channels-first signals, with each algorithm (weights prepared), and with the one that is chosen.
Candidates take turns, so that whatever else the machine does hits all alike; the figures are medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.nn.grad import conv1d_input, conv1d_weight

from fauxley import kernels
from fauxley.kernels.algorithm import Algorithm
from fauxley.kernels.algorithms_1d import BilinearConvolution, DirectConvolution, WindowsConvolution
from fauxley.models.layers import Downsampling
from fauxley.models.wavegan import WaveGAN

Product = Callable[[], object]
_TILE = 16
_COLUMNS = ("conv1d", "direct", "windows", "bilinear", "chosen")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 32, 64], help="model sizes d")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--quick", action="store_true", help="d = 8, batches of 2: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dims, options.batch_size, options.repeats = [8], 2, 3
    torch.set_num_threads(options.threads)
    torch.set_default_dtype(getattr(torch, options.precision))
    print(f"batch {options.batch_size}, {options.threads} threads, PyTorch {torch.__version__}; milliseconds")
    print("layer: channels in → out, frames behind the stride.  ratio: conv1d / chosen, above 1 is a gain\n")
    print(f"{'d':>3} {'layer':>18} {'product':>8} {' '.join(f'{name:>8}' for name in _COLUMNS)} {'ratio':>6}")
    for dim in options.dims:
        architecture = WaveGAN(dim=dim)
        widths, length = (architecture.channels, *architecture.widths), architecture.clip_length
        for before, after, stride in zip(widths[:-1], widths[1:], architecture.strides, strict=True):
            layer = Downsampling(before, after, architecture.kernel_length, stride)
            for parameter in layer.parameters():
                torch.nn.init.normal_(parameter)
            measure(dim, layer, options.batch_size, length, options.repeats)
            length //= stride


@torch.no_grad()
def measure(dim: int, layer: Downsampling, batch_size: int, length: int, repeats: int) -> None:
    """Print the rows of one layer, whose input has `length` samples."""
    taps, inputs, outputs = layer.weight.shape
    stride, frames = layer.stride, length // layer.stride
    # The folded problem: s·in channels, ceil-ed taps.
    x = torch.randn(batch_size, frames, stride * inputs)
    plan = kernels.convolve_down.plan(torch.empty(batch_size, length, inputs), layer.weight, stride)
    weight = torch.randn_like(plan.fold_weight(layer.weight))
    grad = torch.randn(batch_size, frames, outputs)
    kernel = layer.weight.permute(2, 1, 0).contiguous()
    taps_folded = len(weight)
    algorithms: dict[str, Algorithm] = {
        "direct": DirectConvolution(taps_folded),
        "windows": WindowsConvolution(taps_folded),
    }
    if frames % _TILE == 0:
        algorithms["bilinear"] = BilinearConvolution(taps_folded, _TILE)
    algorithms["chosen"] = plan.algorithm
    weights = {name: algorithm.prepare(weight) for name, algorithm in algorithms.items()}
    # The plain problem, with the asymmetric padding paid for once, beforehand.
    padding = max(taps - stride, 0)
    plain = F.pad(torch.randn(batch_size, inputs, length), (padding // 2, padding - padding // 2))
    plain_grad = torch.randn(batch_size, outputs, frames)

    plain_products: dict[str, Product] = {
        "forward": lambda: F.conv1d(plain, kernel, stride=stride),
        "d input": lambda: conv1d_input(plain.shape, kernel, plain_grad, stride),  # type: ignore[no-untyped-call]
        "d weight": lambda: conv1d_weight(plain, kernel.shape, plain_grad, stride),  # type: ignore[no-untyped-call]
    }
    for product, reference in plain_products.items():
        candidates = {"conv1d": reference}
        for name, algorithm in algorithms.items():
            candidates[name] = products(algorithm, x, grad, weights[name])[product]
        milliseconds = dict(zip(candidates, medians(tuple(candidates.values()), repeats), strict=True))
        title = f"{inputs} → {outputs}, {frames}"
        numbers = " ".join(f"{milliseconds.get(name, float('nan')):8.2f}" for name in _COLUMNS)
        ratio = milliseconds["conv1d"] / milliseconds["chosen"]
        print(f"{dim:3d} {title:>18} {product:>8} {numbers} {ratio:6.2f}", flush=True)


def products(algorithm: Algorithm, x: torch.Tensor, grad: torch.Tensor, weight: torch.Tensor) -> dict[str, Product]:
    """The three products of one algorithm."""
    return {
        "forward": lambda: algorithm.convolve(algorithm.prepare_input(x), weight),
        "d input": lambda: algorithm.transpose(algorithm.prepare_output(grad), weight),
        "d weight": lambda: algorithm.correlate(algorithm.prepare_input(x), algorithm.prepare_output(grad)),
    }


def medians(candidates: tuple[Product, ...], repeats: int) -> list[float]:
    """Milliseconds of each, taking turns; the first round warms up."""
    times: list[list[float]] = [[] for _ in candidates]
    for round_ in range(repeats + 1):
        for number, candidate in enumerate(candidates):
            start = time.perf_counter()
            candidate()
            if round_:
                times[number].append(1e3 * (time.perf_counter() - start))
    return [statistics.median(each) for each in times]


if __name__ == "__main__":
    main()
