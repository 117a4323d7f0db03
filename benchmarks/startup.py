"""How long commands take from a cold start to their end, and what importing takes of it.

    python benchmarks/startup.py               # a minute or two
    python benchmarks/startup.py --quick

Every figure is of a new process that finds Python's byte code and all files in the system's cache, as the second call
of a day does. Commands take turns; medians are printed: seconds by the clock, and of processor time, all threads
together, which other work on the machine changes less. No command that needs PyTorch can be quicker than it alone.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fauxley.cli.main import main as fauxley

_PYTHON = {"python alone": "pass", "import torch alone": "import torch", "import numpy alone": "import numpy"}
_COMMANDS = {
    "fauxley --help": "--help",
    "fauxley scan --help": "scan --help",
    "fauxley prepare --help": "prepare --help",
    "fauxley generate --help": "generate --help",
    "fauxley evaluate --help": "evaluate --help",
    "fauxley listen --help": "listen --help",
    "fauxley train --help": "train --help",
    "fauxley train wavegan --help": "train wavegan --help",
    "fauxley scan, 16 sounds": "scan KIT --quiet",
    "fauxley generate, 20 sounds": "generate MODEL --out OUT --count 20 --device cpu",
    "fauxley generate, 20 sounds, no sheet": "generate MODEL --out OUT --count 20 --no-sheet --device cpu",
    "fauxley train, 1 step of a tiny model": "train wavegan-tiny --data DATA --run OUT --dim 4 --batch-size 4 "
    "--steps 1 --preview-count 4 --tensorboard off --device cpu --quiet",
}
_PROFILED = "generate MODEL --out OUT --count 20 --device cpu"


class Cost(NamedTuple):
    """Of one process: seconds by the clock, seconds of processors."""

    wall: float
    processor: float


class Import(NamedTuple):
    """Of one module: milliseconds of its own, and with what it imports first."""

    name: str
    own: float
    cumulative: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dim", type=int, default=16, help="size of the WaveGAN that generates")
    parser.add_argument("--top", type=int, default=15, help="modules in the profile")
    parser.add_argument("--only", default="", help="measure only processes whose names in the table contain this")
    parser.add_argument("--quick", action="store_true", help="once each")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_inputs(folder, options.dim)
        commands = {name: ["-c", code] for name, code in _PYTHON.items()}
        commands |= {name: ["-m", "fauxley", *words(line, folder)] for name, line in _COMMANDS.items()}
        commands = {name: command for name, command in commands.items() if options.only in name}
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(repeats):
            for place, (name, arguments) in enumerate(commands.items()):
                costs[name].append(run([each.replace("OUT", f"OUT-{number}-{place}") for each in arguments]))
        print(f"WaveGAN of d = {options.dim}, 16384 samples; {os.cpu_count()} cores; medians of {repeats}\n")
        print("| process | s | s of processor |\n|---|---|---|")
        for name, each in costs.items():
            wall, processor = (statistics.median(values) for values in zip(*each, strict=True))
            print(f"| {name} | {wall:.2f} | {processor:.2f} |")
        print(f"\nWhat `fauxley {_PROFILED}` imports, by `python -X importtime`, which itself takes time:\n")
        profile(imports(["-m", "fauxley", *words(_PROFILED, folder)]), options.top)


def make_inputs(folder: Path, dim: int) -> None:
    """A model of random weights, a small kit of drums, and the dataset of it."""
    from fauxley.models.draws import Draws
    from fauxley.models.synthesizer import Synthesizer
    from fauxley.models.wavegan import WaveGAN
    from fauxley.signal.drumkit import write_kit

    architecture = WaveGAN(16384, dim=dim)
    generator = architecture.generator(Draws(0))
    Synthesizer(architecture, generator, architecture.representation(), 16000).save(folder / "MODEL")
    write_kit(folder / "KIT", per_instrument=2)
    assert fauxley(["prepare", str(folder / "KIT"), str(folder / "DATA"), "--clip-length", "8192", "--quiet"]) == 0


def words(line: str, folder: Path) -> list[str]:
    """The arguments of a command line, with names in capitals as files of the folder."""
    return [str(folder / word) if word.isupper() else word for word in line.split()]


def run(arguments: list[str]) -> Cost:
    """What a new Python costs."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def imports(arguments: list[str]) -> list[Import]:
    """The modules that a new Python imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    lines = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)", printed)
    return [Import(name, int(own) / 1e3, int(cumulative) / 1e3) for own, cumulative, name in lines]


def profile(modules: list[Import], top: int) -> None:
    """Print the sums over packages, and the slowest modules."""
    packages: dict[str, float] = {}
    for module in modules:
        package = module.name.partition(".")[0]
        package = "Python's own" if package in sys.stdlib_module_names else package
        packages[package] = packages.get(package, 0) + module.own
    print(f"| package | ms | of {len(modules)} modules |\n|---|---|---|")
    for name, own in sorted(packages.items(), key=lambda item: -item[1])[:top]:
        count = sum(1 for module in modules if module.name.partition(".")[0] == name)
        print(f"| {name} | {own:.0f} | {count or ''} |")
    print("\n| module | own ms | with its imports, ms |\n|---|---|---|")
    for module in sorted(modules, key=lambda module: -module.own)[:top]:
        print(f"| {module.name} | {module.own:.0f} | {module.cumulative:.0f} |")


if __name__ == "__main__":
    main()
