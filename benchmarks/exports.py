"""What the variants of an exported model weigh, how fast ONNX Runtime computes them, and how near they are to PyTorch.

    python benchmarks/exports.py [MODEL ...] [--quick]

Without models, networks of random weights: their size and speed are those of any such model, their errors are not. One
clip at a time, in one thread; fauxley and all variants take turns, and the figures are medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import onnxruntime
import torch

from fauxley.export.onnx_model import to_onnx
from fauxley.export.portable import Inputs
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN

WEIGHTS: tuple[Literal["float32", "float16", "int8"], ...] = ("float32", "float16", "int8")


def untrained(quick: bool) -> dict[str, Synthesizer]:
    sizes = {"WaveGAN, d = 64": WaveGAN(), "WaveGAN, d = 16": WaveGAN(dim=16), "SpecGAN, d = 16": SpecGAN(dim=16)}
    if quick:
        sizes = {"WaveGAN, d = 2": WaveGAN(4096, dim=2)}
    return {
        name: Synthesizer(one, one.generator(Draws(0, 0)), one.representation(), 16000) for name, one in sizes.items()
    }


def measure(name: str, synthesizer: Synthesizer, repeats: int) -> None:
    models = {weights: to_onnx(synthesizer, weights) for weights in WEIGHTS}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {}
    for weights, model in models.items():
        sessions[weights] = onnxruntime.InferenceSession(model.content, options)
    inputs = Inputs.of_seeds(synthesizer, range(1))
    fed = {name: value.numpy() for name, value in inputs.named.items()}
    ways: dict[str, Callable[[], Any]] = {"fauxley": partial(inputs.reference, synthesizer)}
    ways |= {weights: partial(one.run, None, fed) for weights, one in sessions.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, compute in ways.items():
            start = time.perf_counter()
            compute()
            seconds[way].append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        own = sum(file.stat().st_size for file in synthesizer.save(Path(folder) / "m").iterdir())
    rows = [("fauxley", own, "–")]
    rows += [(way, len(model.content), f"{model.agreement.signal_to_error_db:.0f} dB") for way, model in models.items()]
    for way, size, error in rows:
        median = 1e3 * statistics.median(seconds[way][repeats // 5 :])
        print(f"| {name} | {way} | {size / 1e6:.2f} MB | {median:.1f} ms | {error} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    named = {str(path): Synthesizer.from_pretrained(path) for path in arguments.models}
    print("| model | weights | size | one clip | signal to error |\n|---|---|---|---|---|")
    for name, synthesizer in (named or untrained(arguments.quick)).items():
        measure(name, synthesizer, 3 if arguments.quick else 30)


if __name__ == "__main__":
    main()
