"""From parts to the audio of a dataset: runs the workers and appends what they wrote, in order, resumably.

A part's samples are deleted once they are appended and on the disk, so that packing needs the room of the dataset
only once. What has been appended follows from the parts' reports and the sizes on the disk, whatever ended the
run before: there is no journal that could contradict them.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from fauxley.dataset.board import Progress, board
from fauxley.dataset.parts import Encoding, Packed, read_part, split_into_parts, write_part
from fauxley.dataset.shard_writer import ShardWriter
from fauxley.dataset.store import PLACE, Entry
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.parallel import in_order
from fauxley.sounds.catalogue import Catalogue
from fauxley.sounds.decoder_process import close_idle
from fauxley.sounds.finding import Skipped

WORKER_DIED = "a worker process died: out of memory, or a decoder crashed on a hostile file; try --jobs 1"


class Assembly:
    """The parts of one packing in its work folder, and the audio that grows out of them in `output`."""

    def __init__(
        self, catalogue: Catalogue, encoding: Encoding, work: Path, strict: bool, shard_bytes: int | None
    ) -> None:
        self.output = work / "dataset"
        self.output.mkdir(exist_ok=True)
        self._catalogue = catalogue
        self._encoding = encoding
        self._strict = strict
        self._parts = split_into_parts(catalogue.sounds)
        self._names = [work / f"part-{index:06d}" for index in range(len(self._parts))]
        self.writer = ShardWriter(self.output, shard_bytes)
        self._results: list[Packed | Skipped] = []

    def run(self, n_jobs: int | None, progress: Progress) -> None:
        """Write what is missing of the parts and append all to the audio.

        Raises:
            OSError: no room, no permission.
            BrokenExecutor: a worker process died.
            FauxleyError: `strict`, and a file cannot be used.
        """
        first = self._recover()
        missing = [index for index in range(first, len(self._parts)) if not self._is_written(index)]
        folder = self._catalogue.folder.absolute()  # a worker may live in another folder
        total = sum(map(len, self._parts))
        unwritten = set(missing)
        with board(len(missing), total, progress, sum(map(len, self._parts[:first]))) as shown:
            tasks = (
                (folder, self._parts[index], self._names[index].absolute(), self._encoding, shown.place(number))
                for number, index in enumerate(missing)
            )
            with closing(in_order(write_part, tasks, n_jobs if len(missing) > 1 else 1)) as written:
                for index in range(first, len(self._parts)):
                    if index in unwritten:
                        next(written)
                    self._append(index)
                    shown.report(sum(map(len, self._parts[: index + 1])))
        close_idle()

    def entries(self) -> list[Entry]:
        """The rows of manifest.csv, after `run`.

        Raises:
            FauxleyError: there are none.
        """
        sounds = {sound.file: sound for sound in self._catalogue.sounds}
        first_of: dict[str, str] = {}
        entries = []
        used = [result for result in self._results if isinstance(result, Packed)]
        for packed, offset in zip(used, self.writer.offsets, strict=True):
            sound = sounds[packed.file]
            first = first_of.setdefault(packed.sha256, packed.file)
            same = f"same content as {first}" if first != packed.file else ""
            odd = [text for text in (*packed.warnings, sound.warning, same) if text]
            entry = Entry(
                file=f"{packed.file}{PLACE}{packed.seconds}" if packed.seconds else packed.file,
                label=sound.label,
                offset=offset // (2 * self._encoding.channels),
                num_samples=packed.num_samples,
                duration_seconds=packed.num_samples / self._encoding.sample_rate,
                peak=packed.peak,
                sha256=packed.sha256,
                license=sound.license,
                warnings="; ".join(odd),
                source=sound.source,
            )
            entries.append(entry)
        if not entries:
            complain(self.skipped())
        return entries

    def skipped(self) -> list[Skipped]:
        """The rows of skipped.csv."""
        failed = [result for result in self._results if isinstance(result, Skipped)]
        return sorted([*self._catalogue.unused, *failed], key=lambda skip: skip.file)

    def _recover(self) -> int:
        """How many parts an earlier run has appended whole; the rest of what it appended is cut off."""
        reported = []
        for name in self._names:
            results = read_part(name)
            if results is None:
                break
            reported.append(results)
        count = self.writer.recover([self._sizes(results) for results in reported])
        for results in reported[:count]:
            self._collect(results)
        return count

    def _is_written(self, index: int) -> bool:
        name = self._names[index]
        return name.with_suffix(".json").exists() and name.with_suffix(".int16").exists()

    def _append(self, index: int) -> None:
        name = self._names[index]
        results = read_part(name)
        if results is None:
            raise FauxleyError(f"{printable(name)}.json is gone; is another program clearing that folder?")
        self._collect(results)
        part = name.with_suffix(".int16")
        with part.open("rb") as source:
            self.writer.append(source, self._sizes(results))
        part.unlink()

    def _collect(self, results: Sequence[Packed | Skipped]) -> None:
        if self._strict:
            complain([result for result in results if isinstance(result, Skipped)])
        self._results += results

    def _sizes(self, results: Sequence[Packed | Skipped]) -> list[int]:
        return [2 * self._encoding.channels * r.num_samples for r in results if isinstance(r, Packed)]


def check_jobs(n_jobs: int | None) -> None:
    """Raise `UsageError` if there is no such number of workers, or no sense in it: each is a process."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if n_jobs == 0 or (n_jobs or 0) > most:
        raise UsageError(f"the number of jobs must be from 1 to {most}, or -1 for one on each core; got {n_jobs}")


def complain(skipped: Sequence[Skipped]) -> None:
    """Raise `FauxleyError` if there is anything in `skipped`."""
    if skipped:
        first = f"{printable(skipped[0].file)}: {skipped[0].reason}"
        raise FauxleyError(f"{len(skipped)} of the files cannot be used; the first: {first}")
