"""How soon the studio answers: one client alone, then many at once for a while.

python benchmarks/studio.py MODEL [--clients 30] [--seconds 60]

Each client asks for a new sound, again as soon as it has one; every fourth time for eight variations of the last. What
is measured is the time from asking to having all samples, over a connection to a server in a process of its own.
"""

import argparse
import re
import subprocess
import sys
import threading
import time

import httpx
import numpy as np

from fauxley.studio.wire import unpack


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60.0)
    settings = parser.parse_args()
    command = [sys.executable, "-m", "fauxley", "studio", settings.model, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, "the studio did not start"
            for clients, seconds in ((1, min(10.0, settings.seconds)), (settings.clients, settings.seconds)):
                report(f"{clients} client{'s' * (clients > 1)}", *measure(found[0], clients, seconds))
        finally:
            process.terminate()


def measure(address: str, clients: int, seconds: float) -> tuple[dict[str, list[float]], int, float]:
    """Seconds that each request took, by what was asked for, how many failed, and sounds made a second."""
    taken: dict[str, list[float]] = {"new sound": [], "8 variations": []}
    failed, begun_at = [0], time.monotonic()
    until = begun_at + seconds

    def play(number: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            model = client.get("api/studio").json()["models"][0]["id"]
            latent: list[float] = []
            for turn in range(sys.maxsize):
                if time.monotonic() > until:
                    return
                varies = turn % 4 == 3
                ask = (
                    {"model": model, "latent": latent, "count": 8}
                    if varies
                    else {"model": model, "seed": turn + number * 10_000}
                )
                begun = time.perf_counter()
                response = client.post("api/vary" if varies else "api/generate", json=ask)
                taken["8 variations" if varies else "new sound"].append(time.perf_counter() - begun)
                if response.status_code != 200:
                    failed[0] += 1
                else:
                    latent = unpack(response.content)[0].sounds[0].latent

    threads = [threading.Thread(target=play, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sounds = len(taken["new sound"]) + 8 * len(taken["8 variations"])
    return taken, failed[0], sounds / (time.monotonic() - begun_at)


def report(title: str, taken: dict[str, list[float]], failed: int, rate: float) -> None:
    """Print what was measured."""
    for what, times in taken.items():
        middle, late, last = (1000 * np.percentile(times, share) for share in (50, 95, 100))
        figures = f"median {middle:5.0f} ms, 95 % {late:5.0f}, slowest {last:5.0f}"
        print(f"{title:12} {what:13} {len(times):6} requests: {figures}")
    print(f"{title:12} {rate:.1f} sounds a second; failed: {failed}")


if __name__ == "__main__":
    main()
