"""A learned inversion beside Griffin-Lim, on real clips that neither has seen.

    python benchmarks/inversion.py --data HELD_OUT_DATASET --models MODEL... [--count 192] [--recognize] [--quality 32]

Clips go through the first model's representation; each model of `fauxley train-inversion` (all of them made for the
same spectrograms) and Griffin-Lim then make audio of the same magnitudes. Per way, all lower is better but the last
columns: spectral convergence at the frames it was given (dB), the same at frames half a hop later, which nobody was
given (dB), log-spectral distance and mel distance (64 bands) within 60 dB of the loudest cell (dB, frames of 512 with a
quarter's hop), the training's loss, clips a second (median of turns taken in one run). `--recognize` as in
round_trip.py. `--quality` lets DNSMOS judge so many clips (pip install speechmos librosa).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from round_trip import recognized
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.synthesizer import load
from fauxley.signal.griffin_lim import griffin_lim, spectral_convergence
from fauxley.signal.stft import stft
from fauxley.training.inversion_training import spectral_loss

_GRIFFIN_LIM = {
    "Griffin-Lim, 16 (official)": (16, 0.0, False),
    "Griffin-Lim, 16, 0.99, comp.": (16, 0.99, True),
    "Griffin-Lim, 60, 0.99, comp.": (60, 0.99, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recognize", action="store_true")
    parser.add_argument("--quality", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few clips, once")
    options = parser.parse_args()
    count, repeats = (16, 1) if options.quick else (options.count, options.repeats)
    torch.set_num_threads(options.threads)

    dataset = Dataset.open(options.data)
    chosen, _ = dataset.draw(0, count, seed=0)
    audio = torch.from_numpy(dataset.batch(0, count, seed=0)).float() / 32768
    labels = [dataset.labels[label] for label in dataset.clip_labels()[chosen]] if options.recognize else []
    representations = {path.name: _representation(path) for path in options.models}
    first = next(iter(representations.values()))
    window, hop = first.window_length, first.hop_length
    magnitude = first.to_magnitude(first.to_features(audio))
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        name: lambda m, way=way: griffin_lim(m, window, hop, way[0], momentum=way[1], compensate=way[2])  # type: ignore[misc]
        for name, way in _GRIFFIN_LIM.items()
    }
    for name, representation in representations.items():
        if representation.inversion is None:
            raise SystemExit(f"{name} has no learned inversion")
        ways[name] = representation.inversion
        parameters = sum(weight.numel() for weight in representation.inversion.parameters())
        print(f"{name}: {parameters:,} weights, then {representation.inversion.iterations} iterations of Griffin-Lim")

    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {"the clips themselves": audio}
    with torch.inference_mode():
        for _ in range(repeats):
            for name, way in ways.items():
                start = time.perf_counter()
                found[name] = torch.cat([way(part) for part in torch.split(magnitude, 32)])[..., : audio.shape[2]]
                seconds[name].append(time.perf_counter() - start)
    print(f"{count} clips of {options.data}, {options.threads} threads, PyTorch {torch.__version__}")
    print(f"{'':30} {'given':>6} {'between':>7} {'LSD':>5} {'mel':>5} {'loss':>6} {'clips/s':>7}  recognised  DNSMOS")
    for name, back in found.items():
        figures = _figures(back, audio, window, hop, dataset.sample_rate)
        rate = f"{count / statistics.median(seconds[name]):7.0f}" if name in seconds else 7 * " "
        heard = f"{recognized(back, labels):10.2f}" if labels else 10 * " "
        quality = f"{_quality(back[: options.quality]):8.2f}" if options.quality else ""
        print(f"{name:30} {figures} {rate}  {heard}{quality}", flush=True)


def _representation(path: Path) -> LogSpectrogram:
    representation = load(path).representation
    if not isinstance(representation, LogSpectrogram):
        raise SystemExit(f"{path} has no spectrograms to invert")
    return representation


def _figures(back: Tensor, audio: Tensor, window: int, hop: int, sample_rate: int) -> str:
    given, between = (
        20 * torch.log10(spectral_convergence(*(stft(x[..., skip:], window, hop).abs() for x in (back, audio))))
        for skip in (0, hop // 2)
    )
    mine, reference = (stft(x, 512, 128).abs() for x in (back, audio))
    bands = _mel_bands(reference.shape[-1], sample_rate)
    distances = _distance(mine, reference), _distance(mine @ bands, reference @ bands)
    loss = float(spectral_loss(back, audio))
    if back is audio:
        return f"{'-':>6} {'-':>7} {0:5.2f} {0:5.2f} {0:6.3f}"
    return f"{given.mean():6.1f} {between.mean():7.1f} {distances[0]:5.2f} {distances[1]:5.2f} {loss:6.3f}"


def _distance(mine: Tensor, reference: Tensor) -> float:
    """Root mean square over the cells of a frame, mean over frames (dB)."""
    floor = reference.amax((-2, -1), keepdim=True) * 1e-3
    difference = 20 * (torch.log10(mine.maximum(floor)) - torch.log10(reference.maximum(floor)))
    return float(difference.square().mean(-1).sqrt().mean())


def _mel_bands(bins: int, sample_rate: int, count: int = 64) -> Tensor:
    """Triangles, evenly spaced on the mel scale (O'Shaughnessy 1987), each of sum 1: (bins, count)."""
    highest = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = (
        torch.from_numpy(700 * (10 ** (np.linspace(0, highest, count + 2) / 2595) - 1)) * 2 * (bins - 1) / sample_rate
    )
    places = torch.arange(bins).double().unsqueeze(1)
    rising, falling = (
        (places - edges[:-2]) / (edges[1:-1] - edges[:-2]),
        (edges[2:] - places) / (edges[2:] - edges[1:-1]),
    )
    triangles = rising.minimum(falling).clamp(min=0) + 1e-6
    return (triangles / triangles.sum(0)).float()


def _quality(audio: Tensor) -> float:
    """DNSMOS's overall quality of clips at 16 kHz, mean."""
    from speechmos import dnsmos

    clips = audio.mean(1).clamp(-1, 1).numpy()
    return float(np.mean([dnsmos.run(clip, 16000, return_df=False)["ovrl_mos"] for clip in clips]))


if __name__ == "__main__":
    main()
