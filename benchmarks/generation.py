"""From latents to audio: WaveGAN and SpecGAN beside plain PyTorch, other layers, onnxruntime and a WaveNet.

    python benchmarks/generation.py [--dim 64] [--batch-size 16] [--models RUN ...] [--device cpu] [--quick]

One clip at a time, then many in batches, as multiples of real time (16 kHz). Competitors take turns, the figures are
medians. "plain" are the same models with plain kernels (`fauxley.kernels.functions`): the same sounds, which is checked
first; so are those of onnxruntime, which runs their graph. "nearest + conv" is the default of the public ports: the
same sizes, other sounds. SpecGAN's figures include Griffin-Lim. The WaveNet is timed over a few samples and scaled.

Then what bfloat16 costs: how its sounds differ from those in float32, with random weights and for each of `--models`.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from train_step import record

import fauxley
from fauxley import kernels
from fauxley.machine import keep_freed_memory
from fauxley.models.architecture import Architecture
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.signal.stft import stft

SAMPLE_RATE = 16000  # Hz
EXCERPT = 128  # samples of the WaveNet that are timed
Make = Callable[[Tensor], Tensor]


class NearestGenerator(nn.Module):
    """The public ports' default: each sample four times, padded, then a convolution, channels first."""

    def __init__(self, architecture: WaveGAN) -> None:
        super().__init__()
        widths = (*reversed(architecture.widths), architecture.channels)
        self.strides = architecture.strides
        self.dense = nn.Linear(architecture.latent_size, 16 * widths[0])
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, architecture.kernel_length, padding=architecture.kernel_length // 2)
            for before, after in pairwise(widths)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z).unflatten(1, (16, -1)).transpose(1, 2)
        for layer, stride in zip(self.layers, self.strides, strict=True):
            x = layer(F.interpolate(F.relu(x), scale_factor=stride))
        return torch.tanh(x)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=64, help="model size d")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--clips", type=int, default=64, help="made in batches")
    parser.add_argument("--repeats", type=int, default=9, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--processor-time", action="store_true", help="count processor time: for one thread, on a busy CPU"
    )
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="models whose sounds are compared, too")
    parser.add_argument("--json", type=Path, help="add the ratios to this file")
    parser.add_argument("--quick", action="store_true", help="d = 4, few clips: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.dim, options.clips, options.batch_size, options.repeats = 4, 4, 2, 3
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    device = torch.device(options.device)
    clock = time.process_time if options.processor_time else time.perf_counter
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{options.threads} CPU threads"
    print(f"d = {options.dim}, clips of 16384 samples, batches of {options.batch_size}, {where}")
    print(f"{'':28}{'one clip':>24}{'in batches':>27}")
    for architecture in (WaveGAN(dim=options.dim), SpecGAN(dim=options.dim)):
        makes, latents = competitors(architecture, device, options.threads), latents_of(architecture, options.clips)
        # Griffin-Lim carries differences along.
        check(makes, latents[:2], 0.5 if isinstance(architecture, SpecGAN) else 0.05)
        name = type(architecture).__name__
        single = measure(makes, latents[:1], 1, options.repeats, clock)
        many = measure(makes, latents, options.batch_size, options.repeats // 3, clock)
        duration = architecture.clip_length / SAMPLE_RATE
        for kind in makes:
            one, each = single[kind], many[kind]
            print(
                f"{name + ', ' + kind:28}{1e3 * one:8.2f} ms {duration / one:7.0f} × rt"
                f"{1 / each:12.1f} clips/s {duration / each:5.0f} × rt"
                f"   plain: {single['plain'] / one:5.2f}, {many['plain'] / each:5.2f} ×",
                flush=True,
            )
        if options.json is not None:
            ratios = {f"one {kind}": single["plain"] / single[kind] for kind in ("float32", "bfloat16")}
            ratios |= {f"many {kind}": many["plain"] / many[kind] for kind in ("float32", "bfloat16")}
            record(options.json, f"generation {name} d={options.dim}", ratios)
    print(f"{'WaveNet, 20 layers, d = 32':28}{wavenet(device, clock):32.3f} × rt")
    quality(options.dim, options.models, device)


def competitors(architecture: WaveGAN | SpecGAN, device: torch.device, threads: int) -> dict[str, Make]:
    """Ways to make audio of latents, ours among them."""
    ours = {name: synthesizer(architecture, device) for name in ("float32", "bfloat16")}
    ours["bfloat16"].to(precision="bfloat16")
    plain = ours["float32"]

    def make_plainly(z: Tensor) -> Tensor:
        with kernels.use("plain"):
            return plain.generate(latents=z, batch_size=len(z))

    makes: dict[str, Make] = {"plain": make_plainly}
    if isinstance(architecture, WaveGAN):
        nearest = NearestGenerator(architecture).to(device)
        makes["nearest + conv"] = lambda z: nearest(z.to(device)).cpu()
        if device.type == "cpu":
            makes["onnxruntime"] = by_onnxruntime(plain.generator, architecture.latent_size, threads)
    for name, each in ours.items():
        makes[name] = lambda z, each=each: each.generate(latents=z, batch_size=len(z))  # type: ignore[misc]
    return makes


def synthesizer(architecture: Architecture, device: torch.device) -> Synthesizer:
    """A new one with random weights."""
    generator = architecture.generator(Draws(0))
    return Synthesizer(architecture, generator, architecture.representation(), SAMPLE_RATE).to(device)


def latents_of(architecture: Architecture, count: int) -> Tensor:
    """The latents of seeds 0 to count - 1."""
    return torch.cat([Draws(seed).latents(1, architecture.latent_size) for seed in range(count)])


def by_onnxruntime(generator: nn.Module, latent_size: int, threads: int) -> Make:
    """The graph of a generator, run by onnxruntime."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), kernels.use("plain"):
        file = str(Path(folder) / "generator.onnx")
        warnings.simplefilter("ignore")
        axes = {"z": {0: "batch"}, "audio": {0: "batch"}}
        example = (torch.zeros(2, latent_size),)
        torch.onnx.export(
            generator, example, file, input_names=["z"], output_names=["audio"], dynamic_axes=axes, dynamo=False
        )
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    return lambda z: torch.from_numpy(session.run(None, {"z": z.numpy()})[0])


@torch.inference_mode()
def check(makes: dict[str, Make], latents: Tensor, narrow: float) -> None:
    """Compare what should be the same sounds, within a share `narrow` of the amplitude in bfloat16."""
    expected = makes["plain"](latents)
    for name, tolerance in {"float32": 1e-3, "bfloat16": narrow, "onnxruntime": 1e-3}.items():
        if name in makes:
            error = (makes[name](latents) - expected).norm() / expected.norm()
            if not error < tolerance:
                raise SystemExit(f"{name} differs from plain PyTorch by {error:.1e} of the amplitude")


@torch.inference_mode()
def measure(
    makes: dict[str, Make], latents: Tensor, batch_size: int, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median seconds a clip of each, taking turns; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in makes}
    for round_ in range(max(repeats, 1) + 1):
        for name, make in makes.items():
            start = clock()
            for batch in torch.split(latents, batch_size):
                make(batch)
            if round_:
                times[name].append((clock() - start) / len(latents))
    return {name: statistics.median(each) for name, each in times.items()}


@torch.inference_mode()
def wavenet(device: torch.device, clock: Callable[[], float]) -> float:
    """Seconds of audio a second, from a few samples."""
    architecture = WaveNet(dim=32, skip_dim=64, layers=20)
    generator = synthesizer(architecture, device).generator
    z = latents_of(architecture, 1)[:, :EXCERPT].to(device)
    generator(z)
    start = clock()
    generator(z).cpu()
    return EXCERPT / SAMPLE_RATE / (clock() - start)


def quality(dim: int, models: list[Path], device: torch.device) -> None:
    """Print how sounds in bfloat16 differ from those in float32."""
    print("\nbfloat16 against float32, 32 sounds: signal to noise (dB), largest error (of full scale),")
    print("log-spectral distance (dB, spectrograms of 1024 samples, at most 80 dB below the peak)")
    named: dict[str, Synthesizer] = {f"WaveGAN d = {dim}, random": synthesizer(WaveGAN(dim=dim), device)}
    named |= {str(path): fauxley.load(path, device) for path in models}
    for name, each in named.items():
        exact = each.generate(32)
        narrow = each.to(precision="bfloat16").generate(32)
        one = torch.cat([each.generate(1, seed) for seed in range(32)])
        print(f"{name:28}{describe(exact, narrow)}")
        print(f"{'  one by one, in batches':28}{describe(narrow, one)}")


def describe(exact: Tensor, other: Tensor) -> str:
    """Figures of the difference of two batches of audio (B, C, T), as text."""
    noise = (other - exact).square().mean((1, 2)).sqrt().clamp(min=1e-12)
    ratio = 20 * torch.log10(exact.square().mean((1, 2)).sqrt() / noise)
    levels = []
    for audio in (exact, other):
        magnitude = stft(audio, 1024, 256).abs()
        levels.append(20 * torch.log10(magnitude.clamp(min=1e-4 * float(magnitude.max()))))
    distance = (levels[0] - levels[1]).square().mean(-1).sqrt().mean()
    worst = (other - exact).abs().max()
    return f"{ratio.median():6.1f} (worst {ratio.min():.1f})  {worst:.4f}  {distance:.3f}"


if __name__ == "__main__":
    main()
