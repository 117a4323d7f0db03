"""What many sounds cost: computing alone, writing alone, both together; and the memory of 1,000 and of 10,000.

    python benchmarks/generate_many.py [--quick] [--dim 4] [--folder DIR]

Each figure comes from a process of its own. "disk" is what the file system allows: files of the same number and size,
created by one thread with nothing but open, write and rename. Interleaved `--repeats` times; medians are printed.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("disk", "write", "compute", "sidecars", "listing")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=4, help="size of the WaveGAN: small, so that writing counts")
    parser.add_argument("--count", type=int, default=2000, help="sounds of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to write; by default the system's temporary folder"
    )
    parser.add_argument("--quick", action="store_true", help="20 sounds, once, and memory at 20 and 40")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "COUNT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, count, folder = arguments.one
        print(json.dumps(measure(kind, int(count), Path(folder), arguments.dim)))
        return
    count, repeats = (20, 1) if arguments.quick else (arguments.count, arguments.repeats)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(repeats):
            for kind in KINDS:
                seconds[kind].append(run(kind, count, Path(scratch), arguments.dim)["seconds"])
        median = {kind: statistics.median(times) for kind, times in seconds.items()}
        print(f"{count} sounds of 16384 samples, WaveGAN of d = {arguments.dim}, {os.cpu_count()} cores")
        names = {
            "disk": "bare files of that size, one thread",
            "write": "writing WAVs alone, one thread",
            "compute": "computing alone",
            "sidecars": "generate, a sidecar each (two files)",
            "listing": "generate --listing (one file each)",
        }
        for kind, name in names.items():
            print(
                f"  {name:<38}{count / median[kind]:8.0f} sounds/s   {median[kind] / median['compute']:.2f} x computing"
            )
        for number in (20, 40) if arguments.quick else (1000, 10_000):
            peak = run("listing", number, Path(scratch), arguments.dim)["peak_megabytes"]
            print(f"  memory of generate --listing, {number:>6} sounds: {peak:.0f} MB at most")


def run(kind: str, count: int, scratch: Path, dim: int) -> dict[str, float]:
    """Measure in a process of its own."""
    folder = scratch / kind
    command = [sys.executable, __file__, "--dim", str(dim), "--one", kind, str(count), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(folder)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(kind: str, count: int, folder: Path, dim: int) -> dict[str, float]:
    """Seconds and megabytes of one kind of work on `count` sounds."""
    from fauxley.models.draws import Draws
    from fauxley.models.synthesizer import Synthesizer
    from fauxley.models.wavegan import WaveGAN
    from fauxley.rendering.batches import from_seeds
    from fauxley.rendering.folder import write_sounds
    from fauxley.rendering.output import Output
    from fauxley.sounds.writing import write_audio

    architecture = WaveGAN(16384, dim=dim)
    synthesizer = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 16000)
    clips = synthesizer.generate(32).numpy()
    folder.mkdir()
    begin = time.perf_counter()
    if kind == "disk":
        for number in range(count):
            with (folder / "unfinished").open("wb") as file:
                file.write(bytes(44 + 2 * 16384))
            (folder / "unfinished").rename(folder / f"seed-{number:08d}.wav")
    elif kind == "write":
        for number in range(count):
            write_audio(folder / f"seed-{number:08d}.wav", clips[number % len(clips)], 16000)
    elif kind == "compute":
        for first in range(0, count, 32):
            synthesizer.generate(latents=synthesizer.latents(range(first, min(first + 32, count))))
    else:
        output = Output(listing=kind == "listing", sheet=False, quiet=True)
        requests = from_seeds(synthesizer, range(count))
        write_sounds(synthesizer, Path("model"), requests, count, folder, output, made_from={"first_seed": 0})
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


if __name__ == "__main__":
    main()
