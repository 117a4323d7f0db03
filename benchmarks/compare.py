"""Compares ratios measured now with those committed, so that what became slower shows on any machine.

    python benchmarks/compare.py MEASURED.json [--baseline benchmarks/baseline.json] [--tolerance 0.15]

Both files hold, for each benchmark, how many times as fast as plain PyTorch each way was in the same run. Ratios carry
over between machines better than times do, but not perfectly: the instructions a processor has decide, too. Exits with
1 if a ratio fell by more than the tolerance.
"""

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    """Print a line for each ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--baseline", type=Path, default=Path(__file__).with_name("baseline.json"))
    parser.add_argument("--tolerance", type=float, default=0.15, help="share by which a ratio may fall")
    options = parser.parse_args()
    measured, baseline = (json.loads(path.read_text()) for path in (options.measured, options.baseline))
    slower = 0
    for key in sorted(measured.keys() & baseline.keys()):
        for name, before in baseline[key].items():
            now = measured[key].get(name, 0.0)
            fell = now < before * (1 - options.tolerance)
            slower += fell
            print(f"{key:36} {name:14} {before:6.2f} → {now:6.2f} × plain{'   slower' if fell else ''}")
    if not measured.keys() & baseline.keys():
        print("nothing in common with the baseline")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
