"""Training curves of several runs over one another: does a precision, a machine or a change alter the way they take?

    python benchmarks/curves.py float32=RUN float32=RUN bfloat16=RUN bfloat16=RUN --out curves.png [--until 3000]

Runs of one label, which differ by their seeds, share a colour. Prints, for each tenth of the way, each label's mean of
every number over that tenth (all its runs), and the differences between runs of one label beside those between labels:
what two seeds differ by is what a difference between labels has to be judged by.
"""

import argparse
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib
import numpy as np

from fauxley.training.log import read_log
from fauxley.training.run import Run

NUMBERS = ("critic_loss", "generator_loss", "gradient_penalty", "separation")
PARTS = 10


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="LABEL=RUN")
    parser.add_argument("--out", type=Path, default=Path("curves.png"))
    parser.add_argument("--until", type=int, help="steps that count; default: of the shortest run")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, np.ndarray]]] = defaultdict(list)
    for each in options.runs:
        label, _, path = each.partition("=")
        lines = [line for line in read_log(Run(Path(path))) if "critic_loss" in line]
        runs[label].append({name: np.array([line[name] for line in lines], float) for name in ("step", *NUMBERS)})
    until = options.until or int(min(run["step"][-1] for several in runs.values() for run in several))
    print(f"steps 1 to {until}; means over tenths")
    for name in NUMBERS:
        tenths = {label: np.array([in_parts(run, name, until) for run in several]) for label, several in runs.items()}
        for label, values in tenths.items():
            print(f"{name:18} {label:10} " + " ".join(f"{value:7.3f}" for value in values.mean(0)))
        every = [(label, row) for label, values in tenths.items() for row in values]
        between = [np.abs(a - b).mean() for (one, a), (other, b) in combinations(every, 2) if one != other]
        within = [np.abs(a - b).mean() for (one, a), (other, b) in combinations(every, 2) if one == other]
        means = [np.mean(each) if each else np.nan for each in (between, within)]
        print(f"{name:18} mean difference of two runs: {means[0]:.3f} between labels, {means[1]:.3f} within one")
    draw(runs, until, options.out)


def in_parts(run: dict[str, np.ndarray], name: str, until: int) -> list[float]:
    """Means of a number over equal parts of the steps."""
    ends = np.linspace(0, until, PARTS + 1)
    return [float(run[name][(run["step"] > a) & (run["step"] <= b)].mean()) for a, b in pairwise(ends)]


def draw(runs: dict[str, list[dict[str, np.ndarray]]], until: int, path: Path) -> None:
    """A panel for each number, smoothed over a twentieth of the way."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(10, 6), layout="constrained")
    for name, panel in zip(NUMBERS, panels.flat, strict=True):
        for number, (label, several) in enumerate(runs.items()):
            for again, run in enumerate(several):
                step, values = run["step"][run["step"] <= until], run[name][run["step"] <= until]
                width = max(len(values) // 20, 1)
                smooth = np.convolve(values, np.ones(width) / width, "valid")
                panel.plot(step[width - 1 :], smooth, color=f"C{number}", alpha=0.8, label=None if again else label)
        panel.set_title(name)
        panel.set_xlabel("step")
    panels[0, 0].legend()
    figure.savefig(path, dpi=80)
    print(f"drawn: {path}")


if __name__ == "__main__":
    main()
