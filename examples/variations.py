"""Variations around one sound, all brought to one loudness, so that a sampler can play them in turn.

python examples/variations.py runs/mine 7 variations
"""

import sys
from pathlib import Path

import torch

import fauxley
from fauxley.latents import moves
from fauxley.signal.cleaning import at_loudness


def main() -> None:
    model = fauxley.load(sys.argv[1])
    seed, out = int(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(exist_ok=True)
    centre = model.latents([seed])  # (1, latent_size), uniform in [-1, 1]
    around = moves.vary(centre[0], count=8, radius=0.1)  # (8, latent_size)
    clips = model.generate(latents=torch.cat([centre, around])).numpy()  # (9, C, T)
    for number, clip in enumerate(clips):
        audio = at_loudness(clip, model.sample_rate, lkfs=-24, peak=0.9)
        fauxley.write_audio(out / f"variation-{number}.wav", audio, model.sample_rate)
    print(f"{len(clips)} sounds in {out}")


if __name__ == "__main__":
    main()
