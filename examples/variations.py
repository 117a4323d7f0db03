"""Variations around one sound: its latent, and small steps away from it in random directions.

python examples/variations.py runs/mine 7 variations
"""

import sys
from pathlib import Path

import torch

import fauxley


def main() -> None:
    model = fauxley.load(sys.argv[1])
    seed, out = int(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(exist_ok=True)
    centre = model.latents([seed])  # (1, latent_size), uniform in [-1, 1]
    around = (centre + 0.2 * model.latents(range(1000, 1008))).clamp(-1, 1)
    for number, clip in enumerate(model.generate(latents=torch.cat([centre, around]))):
        fauxley.write_audio(out / f"variation-{number}.wav", clip.numpy(), model.sample_rate)
    print(f"{len(around) + 1} sounds in {out}")


if __name__ == "__main__":
    main()
