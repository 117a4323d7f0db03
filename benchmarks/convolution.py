"""Which algorithm suits which product of a convolution: what `fauxley.models.convolution_1d` chooses by, measured.

    python benchmarks/convolution.py [--dims 16 32 64] [--batch-size 16] [--threads 2] [--quick]

For each layer of the critic of 16384 samples, in the folded form of stride 1 (the generator's layers are its mirror
images), the time of the forward product, the gradient by the input and the gradient by the weight: with PyTorch's own
strided `conv1d` on channels-first signals, with each algorithm, and with what `convolve` picks. Candidates take
turns, so that whatever else the machine does hits all alike; the figures are medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from fauxley.models.convolution_1d import SameConvolution
from fauxley.models.layers import Downsampling
from fauxley.models.wavegan import WaveGAN

Product = Callable[[], object]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 32, 64], help="model sizes d")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="d = 8, batches of 2: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dims, options.batch_size, options.repeats = [8], 2, 3
    torch.set_num_threads(options.threads)
    print(f"batch {options.batch_size}, {options.threads} threads, PyTorch {torch.__version__}; milliseconds")
    print("layer: channels in → out, frames behind the stride.  ratio: conv1d / chosen, above 1 is a gain\n")
    print(f"{'d':>3} {'layer':>18} {'product':>8} {'conv1d':>8} {'direct':>8} {'other':>8} {'chosen':>8} {'ratio':>6}")
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
    weight = torch.randn(2 * layer.radius + 1, stride * inputs, outputs)
    grad = torch.randn(batch_size, frames, outputs)
    adjoint = weight.flip(0).transpose(1, 2)
    kernel = layer.weight.permute(2, 1, 0).contiguous()
    chosen = SameConvolution(len(weight))
    # The plain problem, with the asymmetric padding paid for once, beforehand.
    padding = max(taps - stride, 0)
    plain = F.pad(torch.randn(batch_size, inputs, length), (padding // 2, padding - padding // 2))
    plain_grad = torch.randn(batch_size, outputs, frames)

    def backward(by_input: bool) -> object:
        return torch.ops.aten.convolution_backward(
            plain_grad, plain, kernel, None, [stride], [0], [1], False, [0], 1, [by_input, not by_input, False]
        )

    rows: dict[str, tuple[Product, Product, Product, Product]] = {
        "forward": (
            lambda: F.conv1d(plain, kernel, stride=stride),
            lambda: direct(x, weight),
            lambda: windows(x, weight),
            lambda: chosen.convolve(x, weight),
        ),
        "d input": (
            lambda: backward(True),
            lambda: direct(grad, adjoint),
            lambda: windows(grad, adjoint),
            lambda: chosen.transpose(grad, weight),
        ),
        "d weight": (
            lambda: backward(False),
            lambda: per_tap(x, grad, len(weight)),
            lambda: windows_correlation(x, grad, len(weight)),
            lambda: chosen.correlate(x, grad),
        ),
    }
    for product, candidates in rows.items():
        plain_ms, direct_ms, other_ms, chosen_ms = medians(candidates, repeats)
        name = f"{inputs} → {outputs}, {frames}"
        numbers = f"{plain_ms:8.2f} {direct_ms:8.2f} {other_ms:8.2f} {chosen_ms:8.2f} {plain_ms / chosen_ms:6.2f}"
        print(f"{dim:3d} {name:>18} {product:>8} {numbers}", flush=True)


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


# The algorithms by themselves. "direct" and "other" in the table: for the weight's gradient, a product per tap and one
# over windows.


def direct(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """oneDNN's direct convolution, channels last."""
    image = x.transpose(1, 2).unsqueeze(2)
    kernel = weight.permute(2, 1, 0).unsqueeze(2).contiguous(memory_format=torch.channels_last)
    return F.conv2d(image, kernel, padding=(0, len(weight) // 2))


def windows(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """One matrix product over explicit windows."""
    return SameConvolution(len(weight))._windows(x) @ weight.reshape(-1, weight.shape[2])


def windows_correlation(x: torch.Tensor, grad: torch.Tensor, taps: int) -> torch.Tensor:
    """The weight's gradient as one matrix product over explicit windows."""
    return SameConvolution(taps)._windows(x).t() @ grad.reshape(-1, grad.shape[2])


def per_tap(x: torch.Tensor, grad: torch.Tensor, taps: int) -> torch.Tensor:
    """The weight's gradient as one matrix product per tap, on views of the padded signal."""
    signal = SameConvolution(taps)._pad(x).view(-1, x.shape[2])
    masked = F.pad(grad, (0, 0, 0, taps - 1)).view(-1, grad.shape[2])
    length = len(signal) - (taps - 1)
    return torch.stack([signal[tap : tap + length].t() @ masked[:length] for tap in range(taps)])


if __name__ == "__main__":
    main()
