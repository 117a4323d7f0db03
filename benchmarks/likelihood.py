"""How well a trained WaveNet predicts sounds: bits per sample, on data it was trained on and on data it was not.

    python benchmarks/likelihood.py RUN train.dataset test.dataset

For comparison: what the levels' frequencies alone give, as measured on the same clips, which is what a model without
memory could reach. Padding counts as sound: a clip that is half silence takes about half the bits.
"""

import argparse
import math
from pathlib import Path

import torch

from fauxley import load
from fauxley.dataset.dataset import Dataset
from fauxley.models.wavenet import WaveNetGenerator
from fauxley.signal.mu_law import compress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="run or model folder of a WaveNet")
    parser.add_argument("datasets", type=Path, nargs="+", help="made by 'fauxley prepare'")
    parser.add_argument("--clips", type=int, default=200, help="clips of each dataset (default: 200)")
    parser.add_argument("--quick", action="store_true", help="8 clips")
    arguments = parser.parse_args()
    synthesizer = load(arguments.model)
    generator = synthesizer.generator
    assert isinstance(generator, WaveNetGenerator), "only a WaveNet knows its likelihood"
    print(f"{arguments.model}, step {synthesizer.provenance.step}")
    print("data, clips, bits per sample, standard error, of the levels' frequencies alone")
    for folder in arguments.datasets:
        dataset, count = Dataset.open(folder), 8 if arguments.quick else arguments.clips
        audio = torch.from_numpy(dataset.batch(0, count, seed=0)).float() / 32768
        length = synthesizer.architecture.clip_length
        with torch.inference_mode():
            bits = torch.cat([generator.bits_per_sample(clip) for clip in torch.split(audio[:, :, :length], 4)])
        shares = torch.bincount(compress(audio, generator.levels).flatten(), minlength=generator.levels) / audio.numel()
        alone = -(shares * shares.clamp(min=1e-12).log2()).sum()
        error = bits.std() / math.sqrt(len(bits))
        print(f"{folder.name}, {len(bits)}, {bits.mean():.3f}, {error:.3f}, {alone:.3f}")


if __name__ == "__main__":
    main()
