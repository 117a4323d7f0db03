"""How training WaveGAN (d = 64) would scale to many GPUs, by counting; nothing is measured here.

    python benchmarks/scaling_on_paper.py [--step-milliseconds 20.8] [--memory 3350] [--nvlink 350] [--network 150]

A step on N GPUs takes

    C · b / 64  +  A  +  sum over the updates of (2 (N-1) / N · gradient bytes / link speed + latency)

with C the computing time of one GPU at batch 64, b the rows of each GPU and A what does not shrink with b: Adam reads
four and writes three numbers for each weight, and the gradients are copied into a flat buffer and scaled there (two
reads, two writes). Nothing overlaps, as in the code.
"""

import argparse

_CRITIC, _GENERATOR = 17.43e6, 19.07e6  # weights at d = 64
_GAMES = {"WGAN-GP, 5 + 1 updates": (5, 1, 1.0), "relativistic, 1 + 1 updates": (1, 1, 0.24)}
_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-milliseconds", type=float, default=1e3 / 48, help="of WGAN-GP on one GPU, batch 64")
    parser.add_argument("--memory", type=float, default=3350, help="GB/s of a GPU's memory")
    parser.add_argument("--nvlink", type=float, default=350, help="GB/s of an all-reduce among 8 GPUs of one machine")
    parser.add_argument("--network", type=float, default=150, help="GB/s of an all-reduce among machines of 8 GPUs")
    arguments = parser.parse_args()
    print("| objective | GPUs | batch | compute ms | fixed ms | exchange ms | step ms | clips/s | efficiency |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (critic, generator, share) in _GAMES.items():
        weights = critic * _CRITIC + generator * _GENERATOR
        fixed = 7 * 4 * weights / arguments.memory / 1e6
        bucket = 4 * 4 * weights / arguments.memory / 1e6
        alone = share * arguments.step_milliseconds
        compute = alone - fixed
        for count, speed, latency in (
            (1, arguments.nvlink, 0.0),
            (8, arguments.nvlink, 0.03),
            (64, arguments.network, 0.1),
            (512, arguments.network, 0.15),
        ):
            exchange = 2 * (count - 1) / count * 4 * weights / speed / 1e6 + (critic + generator) * latency
            for batch in sorted({_BATCH, _BATCH * count}):
                if batch < count:
                    continue
                computing = compute * batch / count / _BATCH
                overhead = fixed + (bucket if count > 1 else 0)
                step = computing + overhead + exchange
                rate = batch / step * 1e3
                efficiency = rate / (_BATCH / alone * 1e3) / count
                print(
                    f"| {name} | {count} | {batch} | {computing:.2f} | {overhead:.2f} | {exchange:.2f} | {step:.2f} | "
                    f"{rate:,.0f} | {efficiency:.0%} |"
                )


if __name__ == "__main__":
    main()
