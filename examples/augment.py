"""Synthetic training data: as many sounds as wanted from a model, in batches, as a stream of tensors.

python examples/augment.py runs/mine 1000
"""

import sys

import fauxley


def main() -> None:
    model = fauxley.load(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    loudest, done = 0.0, 0
    for batch in model.stream(model.latents(range(count)), batch_size=64):  # (64, C, T), in constant memory
        loudest = max(loudest, float(batch.abs().max()))
        done += len(batch)
    seconds = model.architecture.clip_length / model.sample_rate
    print(f"{done} sounds of {seconds:.2f} s; the loudest peak is {loudest:.2f}")


if __name__ == "__main__":
    main()
