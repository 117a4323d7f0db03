"""Packs a folder of sounds into a dataset: decoded once, in parallel, resumably, and to the same bytes every time.

Workers write parts (see `parts`) into a work folder beside the destination, named after a fingerprint of settings and
files; the parts are appended to the store in order and deleted. A run that was killed or ran out of disk is continued
by the next with the same settings and files. Only a finished dataset is ever renamed to its destination.

Two files of the same content are both kept, since nobody knows which label or weight was meant, but the later one
carries a warning; `scan` shows them.
"""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import (
    INFO_FILE,
    LABELS_FILE,
    LANES,
    LENGTHS_FILE,
    MANIFEST_FILE,
    SHARDED_VERSION,
    DatasetEntry,
    DatasetInfo,
    ShardedInfo,
    write_index,
    write_info,
    write_tables,
)
from fauxley.dataset.location import Folder, is_url
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.parts import DatasetBuilder, complain
from fauxley.dataset.shards import ShardWriter, open_shards
from fauxley.dataset.shared_progress import Progress
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.parallel import WORKER_DIED, check_jobs
from fauxley.sounds.catalogue import Catalogue, list_sounds
from fauxley.sounds.finding import Skipped
from fauxley.storage import flush, hash_file, hold_folder, remove_unless_held, replace
from fauxley.user_cache import cache_folder, writable_folder


def pack(
    folder: Path,
    dataset: Path,
    settings: PackSettings | None = None,
    *,
    shard_bytes: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Decode the sounds of `folder` into a new dataset folder `dataset`, or go on where an earlier run stopped.

    Args:
        folder: see `list_sounds`.
        dataset: appears only when finished. If it is there already, made from the same, it is opened as it is.
        settings: None for the defaults.
        shard_bytes: write the audio in shards of about this size, the files in mixed order; None: all in one.
        strict: fail on the first file that cannot be used, instead of listing it in skipped.csv.
        overwrite: replace a dataset that is there already, once the new one is finished.
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`, and with it Dask or Ray.
        progress: called with (files done, files in all).

    Raises:
        UsageError: `folder` is missing, or settings that can never hold.
        FauxleyError: nothing usable in it, the destination taken, the disk full.
    """
    settings = settings or PackSettings()
    folder, dataset = Path(folder), Path(dataset)
    if dataset.name in ("", ".."):
        raise UsageError(
            f"{dataset} has no name that a dataset could take; give the folder to make, such as my-dataset"
        )
    check_jobs(n_jobs)
    catalogue = list_sounds(folder, settings.where)
    if not overwrite and (finished := _finished(catalogue, dataset, settings, shard_bytes)):
        return finished
    if dataset.exists() and not _is_replaceable(dataset):
        raise FauxleyError(f"{printable(dataset)} exists and is not a dataset; choose another name")
    if strict:
        complain(catalogue.skipped)
    made_of = settings.made_of
    if shard_bytes is not None:
        catalogue, made_of = catalogue.mixed(), f"{made_of} in shards of {shard_bytes}"
    try:
        with _work_folder(dataset, catalogue.fingerprint(made_of)) as work:
            assembly = DatasetBuilder(catalogue, settings.encoding, work, strict, shard_bytes)
            assembly.run(n_jobs, progress or (lambda done, total: None))
            entries = assembly.entries()
            info = settings.describe(entries, lambda number: assembly.writer.samples(number, settings.channels))
            write_tables(assembly.output, entries, assembly.skipped())
            if shard_bytes is not None:
                info = _seal(info, entries, assembly.output, assembly.writer, shard_bytes)
            write_info(assembly.output, info)
            _replace(assembly.output, dataset)
    except BrokenExecutor as error:
        raise FauxleyError(WORKER_DIED) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise FauxleyError(
                f"no room for {printable(dataset)} ({error.strerror}); free some and run it again: it goes on from here"
            ) from error
        raise
    return Dataset.open(dataset)


def open_or_prepare(
    place: Path | str,
    settings: PackSettings | None = None,
    *,
    cache_dir: Path | None = None,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open a dataset, in a folder or behind a URL, or pack a folder of sounds into the cache and open that.

    The cache is `cache_dir`, else that of `fauxley.user_cache`; another set of files, a changed file or other settings
    make another dataset there. A dataset folder is opened as it is, whatever `settings` say.
    """
    if is_url(place):
        return Dataset.open(place)
    path = Path(place)
    if (path / INFO_FILE).exists():
        return Dataset.open(path)
    settings = settings or PackSettings()
    cache = cache_dir or cache_folder()
    key = list_sounds(path, settings.where).fingerprint(settings.made_of)
    cached = Path(cache) / "datasets" / f"{os.fsencode(path.resolve().name)[:100].decode(errors='ignore')}-{key}"
    try:
        return Dataset.open(cached)
    except (FauxleyError, PermissionError):
        pass  # not there, or damaged: left before it is replaced, as Windows replaces nothing that is still open
    if cache_dir is None:
        writable_folder("datasets")
    return pack(path, cached, settings, overwrite=True, n_jobs=n_jobs, progress=progress)


def find_finished(
    folder: Path, dataset: Path, settings: PackSettings, shard_bytes: int | None = None
) -> Dataset | None:
    """The dataset at `dataset` if it is finished and made from these very files and settings; None if nothing is there.

    Raises:
        FauxleyError: something else is there.
    """
    return _finished(list_sounds(folder, settings.where), Path(dataset), settings, shard_bytes)


def _finished(catalogue: Catalogue, dataset: Path, settings: PackSettings, shard_bytes: int | None) -> Dataset | None:
    if not dataset.exists() or (dataset.is_dir() and not any(dataset.iterdir())):
        return None
    if not (dataset / INFO_FILE).exists():
        raise FauxleyError(f"{printable(dataset)} exists and is not a dataset; choose another name")
    shards = open_shards(Folder(dataset))
    slicing = shards.info.slicing
    made_from = [(entry.origin(slicing), entry.label, entry.license, entry.sha256) for entry in shards.entries]
    skipped = shards.skipped()
    made_from += [(skip.file, "", "", skip.sha256) for skip in skipped]
    same = _is_as_described(shards.info, settings.describe(shards.entries, shards.samples), shard_bytes)
    if same and sorted(set(made_from)) == _contents(catalogue, skipped):
        return Dataset(shards)
    raise FauxleyError(
        f"{printable(dataset)} exists, made from other files or settings; choose another name, or overwrite it"
    )


def _is_as_described(info: DatasetInfo, described: DatasetInfo, shard_bytes: int | None) -> bool:
    if isinstance(info, ShardedInfo):
        shared = {name: getattr(info, name) for name in vars(described)}
        return info.shard_bytes == shard_bytes and shared == vars(described) | {"format_version": SHARDED_VERSION}
    return info == described and shard_bytes is None


def _seal(
    info: DatasetInfo, entries: Sequence[DatasetEntry], folder: Path, writer: ShardWriter, shard_bytes: int
) -> ShardedInfo:
    """Write the index and add to `info` what a dataset in shards says besides."""
    write_index(folder, entries, info.labels)
    return ShardedInfo(
        **vars(info) | {"format_version": SHARDED_VERSION},
        licenses=tuple(sorted({entry.license for entry in entries} - {""})),
        shard_bytes=shard_bytes,
        lanes=LANES,
        manifest_sha256=hash_file(folder / MANIFEST_FILE),
        lengths_sha256=hash_file(folder / LENGTHS_FILE),
        labels_sha256=hash_file(folder / LABELS_FILE),
        shards=writer.finish(2 * info.channels),
    )


def _contents(catalogue: Catalogue, skipped: Sequence[Skipped]) -> list[tuple[str, str, str, str]]:
    """The files that `catalogue` holds now, as (file, label, licence, sha256), to compare with a dataset's."""
    unused = {skip.file for skip in skipped}
    contents = [(skip.file, "", "", "") for skip in catalogue.unused]
    for sound in catalogue.sounds:
        try:
            sha256 = hash_file(catalogue.folder / sound.file)
        except OSError:
            sha256 = ""
        about = ("", "") if sound.file in unused else (sound.label, sound.license)
        contents.append((sound.file, *about, sha256))
    return sorted(contents)


@contextmanager
def _work_folder(dataset: Path, key: str) -> Iterator[Path]:
    """A folder beside `dataset` that outlives a killed run; ours alone while in the block, removed after success."""
    mark, name = ".partial-", dataset.name
    work = dataset.parent / f"{mark}{key}-{name}"
    work.mkdir(parents=True, exist_ok=True)
    try:
        with hold_folder(work) as ours:
            if not ours:
                raise FauxleyError(f"another process is preparing {printable(dataset)}; wait for it")
            for other in dataset.parent.iterdir():  # left by runs with other settings or files
                if other != work and re.fullmatch(f"{mark}[0-9a-f]{{16}}-{re.escape(name)}", other.name):
                    remove_unless_held(other)
            yield work
    except FauxleyError:  # would be the same next time
        remove_unless_held(work)
        raise
    remove_unless_held(work)


def _replace(finished: Path, dataset: Path) -> None:
    """Rename `finished` to `dataset`; a dataset that is there makes way first."""
    flush(*finished.iterdir(), finished)
    if dataset.exists():
        replace(dataset, finished.with_name("old"))
    replace(finished, dataset)


def _is_replaceable(dataset: Path) -> bool:
    return dataset.is_dir() and ((dataset / INFO_FILE).exists() or not any(dataset.iterdir()))
