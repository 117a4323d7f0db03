"""What real sounds lose on the way through SpecGAN's representation and back, and how fast that is.

    python benchmarks/round_trip.py --data DATASET [--count 256] [--threads 2] [--recognize]

Clips of a dataset go through `LogSpectrogram` (clipping at three standard deviations included) and several ways of
finding phases. Per way: spectral convergence against the clip's own magnitudes (dB, lower is better), the root mean
square difference of the log spectrograms within 60 dB of the loudest cell (dB), and clips a second. Beside it librosa's
Griffin-Lim with its own conventions, if librosa is installed. `--recognize` lets pocketsphinx, an independent word
recogniser, say which of the dataset's labels it hears, before and after.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.signal.griffin_lim import griffin_lim, spectral_convergence
from fauxley.signal.stft import stft

_WAYS = {
    "zero phase, no iteration": (0, 0.0, False),
    "16 iterations (official)": (16, 0.0, False),
    "16, compensated": (16, 0.0, True),
    "16, momentum 0.99": (16, 0.99, False),
    "16, momentum 0.99, compensated": (16, 0.99, True),
    "60, momentum 0.99, compensated": (60, 0.99, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recognize", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    dataset = Dataset.open(options.data)
    chosen, _ = dataset.draw(0, options.count, seed=0)
    audio = torch.from_numpy(dataset.batch(0, options.count, seed=0)).float() / 32768
    labels = [dataset.labels[label] for label in dataset.clip_labels()[chosen]] if dataset.labels else []
    fitted = LogSpectrogram(audio.shape[2])
    fitted.fit(torch.from_numpy(batch).float() / 32768 for batch in dataset.once(256))
    magnitude = fitted.to_magnitude(fitted.to_features(audio))

    print(f"{options.count} clips of {options.data}, {options.threads} threads, PyTorch {torch.__version__}")
    print(f"{'':32} {'convergence':>11} {'log diff':>8} {'clips/s':>8}" + ("  recognised" if options.recognize else ""))
    row("the clips themselves", audio, audio, 0.0, labels, options.recognize)
    ways: dict[str, Callable[[], Tensor]] = {
        name: lambda way=way: griffin_lim(  # type: ignore[misc]
            magnitude, 256, 128, way[0], momentum=way[1], compensate=way[2]
        )[..., : audio.shape[2]]
        for name, way in _WAYS.items()
    }
    if importlib.util.find_spec("librosa"):
        ways["librosa, 16"] = lambda: _librosa(audio, 0.0)
        ways["librosa, 16, momentum 0.99"] = lambda: _librosa(audio, 0.99)
    for name, way in ways.items():
        times = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            back = way()
            times.append(time.perf_counter() - start)
        row(name, back, audio, options.count / statistics.median(times), labels, options.recognize)


def row(name: str, back: Tensor, audio: Tensor, rate: float, labels: list[str], recognize: bool) -> None:
    """Print one way's figures."""
    mine, reference = (stft(signal, 256, 128).abs() for signal in (back, audio))
    convergence = 20 * torch.log10(spectral_convergence(mine, reference).clamp(min=1e-6)).mean()
    floor = reference.amax((-2, -1), keepdim=True) * 1e-3
    difference = 20 * (torch.log10(mine.maximum(floor)) - torch.log10(reference.maximum(floor)))
    heard = f"  {recognized(back, labels):10.2f}" if recognize else ""
    print(f"{name:32} {convergence:11.1f} {difference.square().mean().sqrt():8.2f} {rate:8.1f}{heard}", flush=True)


def _librosa(audio: Tensor, momentum: float) -> Tensor:
    import librosa

    magnitude = np.abs(librosa.stft(audio.numpy(), n_fft=256, hop_length=128))
    back = librosa.griffinlim(
        magnitude, n_iter=16, hop_length=128, n_fft=256, momentum=momentum, init=None, length=audio.shape[2]
    )
    return torch.from_numpy(back)


def recognized(audio: Tensor, labels: list[str]) -> float:
    """Share of clips at 16 kHz in which pocketsphinx hears the label."""
    from pocketsphinx import Decoder

    words = sorted(set(labels))
    grammar = f"#JSGF V1.0; grammar words; public <word> = {' | '.join(words)};"
    decoder = Decoder(lm=None, samprate=16000, loglevel="FATAL", bestpath=False)
    decoder.add_jsgf_string("words", grammar)
    decoder.activate_search("words")
    right = 0
    for clip, label in zip(audio.mean(1).clamp(-1, 1).numpy(), labels, strict=True):
        decoder.start_utt()
        decoder.process_raw((clip * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        right += decoder.hyp() is not None and decoder.hyp().hypstr == label
    return right / len(labels)


if __name__ == "__main__":
    main()
