"""Packing a folder of sounds into a dataset: decoded once, in parallel, resumably, and always to the same bytes.

Workers write parts (see `parts`) to a work folder beside the destination that is named after a fingerprint of settings
and files. The parts are appended to the audio in order and then deleted. A packing that was killed or ran out of disk
is resumed by the next one with the same settings and files. Only a complete dataset is renamed to its destination.

Two files with the same content are both kept, because nobody knows which label or weight was meant, but the later one
gets a warning; `scan` shows such files.
"""

import errno
import functools
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, nullcontext, suppress
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
from fauxley.storage import flush, hash_file, remove_unless_held, replace, work_folder
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
    """Decode the sounds of `folder` into a new dataset, or resume where an earlier call stopped.

    While another process packs the same into `dataset`, it is waited for, with a warning; its result is taken.

    Args:
        folder: see `list_sounds`.
        dataset: the folder to make; it appears only when it is complete. If it exists, made from the same sounds and
            settings, it is opened as it is.
        settings: None for the defaults.
        shard_bytes: write the audio in shards of about this size, the files in random order; None writes one file.
        strict: raise on the first file that cannot be used, instead of listing it in skipped.csv.
        overwrite: replace an existing dataset once the new one is complete.
        n_jobs: parallel workers; None leaves it to joblib's `parallel_config`, and with it Dask or Ray.
        progress: called with (files done, files in all).

    Raises:
        UsageError: `folder` is missing, or the settings are impossible.
        FauxleyError: no file can be used, the destination is taken, or the disk is full.
    """
    settings = settings or PackSettings()
    folder, dataset = Path(folder), Path(dataset)
    if dataset.name in ("", ".."):
        raise UsageError(f"{dataset} cannot be the name of a dataset; give the folder to make, such as my-dataset")
    check_jobs(n_jobs)
    catalogue = list_sounds(folder, settings.where)
    find = functools.partial(_finished, catalogue, dataset, settings, shard_bytes)
    if not overwrite and (finished := find()):
        return finished
    if dataset.exists() and not _is_replaceable(dataset):
        raise FauxleyError(f"{printable(dataset)} exists and is not a dataset; choose another name")
    if strict:
        complain(catalogue.skipped)
    made_of = settings.made_of
    if shard_bytes is not None:
        catalogue, made_of = catalogue.mixed(), f"{made_of} in shards of {shard_bytes}"
    key = catalogue.fingerprint(made_of)
    with _explained(dataset), work_folder(dataset, key, f"preparing {printable(folder)}") as (work, waited):
        with suppress(FauxleyError) if overwrite else nullcontext():
            if (waited or not overwrite) and (finished := find()):  # by the process that had the work folder before
                return finished
        _remove_others(dataset, work)
        assembly = DatasetBuilder(catalogue, settings.encoding, work, strict, shard_bytes)
        assembly.run(n_jobs, progress or (lambda done, total: None))
        _describe(assembly, settings, shard_bytes)
        if not overwrite:
            find()  # raises if another process has made another dataset there
        _replace(assembly.output, dataset)
    return Dataset.open(dataset)


def open_or_prepare(
    place: Path | str,
    settings: PackSettings | None = None,
    *,
    cache_dir: Path | None = None,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open a dataset in a folder or behind a URL, or pack a folder of sounds into the cache and open the result.

    The cache is `cache_dir`, or by default that of `fauxley.user_cache`. Other files, a changed file or other settings
    lead to another dataset in it. A dataset is opened as it is, whatever `settings` say.
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
        pass  # missing or damaged. It is closed before it is replaced, because Windows cannot replace an open file
    if cache_dir is None:
        writable_folder("datasets")
    return pack(path, cached, settings, overwrite=True, n_jobs=n_jobs, progress=progress)


def find_finished(
    folder: Path, dataset: Path, settings: PackSettings, shard_bytes: int | None = None
) -> Dataset | None:
    """The dataset at `dataset` if it is complete and made from these files and settings; None if nothing is there.

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


def _describe(assembly: DatasetBuilder, settings: PackSettings, shard_bytes: int | None) -> None:
    """Write beside the audio what makes it a dataset: tables and `dataset.json`."""
    entries = assembly.entries()
    info = settings.describe(entries, lambda number: assembly.writer.samples(number, settings.channels))
    write_tables(assembly.output, entries, assembly.skipped())
    if shard_bytes is not None:
        info = _seal(info, entries, assembly.output, assembly.writer, shard_bytes)
    write_info(assembly.output, info)


def _seal(
    info: DatasetInfo, entries: Sequence[DatasetEntry], folder: Path, writer: ShardWriter, shard_bytes: int
) -> ShardedInfo:
    """Write the index, and add to `info` what `dataset.json` has besides in a dataset in shards."""
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
    """The present files of `catalogue` as (file, label, licence, sha256), to compare with a dataset's."""
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
def _explained(dataset: Path) -> Iterator[None]:
    """Say what to do about a worker that died, and about a disk that is full."""
    try:
        yield
    except BrokenExecutor as error:
        raise FauxleyError(WORKER_DIED) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise FauxleyError(
                f"no room for {printable(dataset)} ({error.strerror}); free some and run it again: it will resume"
            ) from error
        raise


def _remove_others(dataset: Path, work: Path) -> None:
    """Remove what packings into `dataset` with other settings or files left beside it."""
    for other in dataset.parent.iterdir():
        if other != work and re.fullmatch(f".partial-[0-9a-f]{{16}}-{re.escape(dataset.name)}", other.name):
            remove_unless_held(other)


def _replace(finished: Path, dataset: Path) -> None:
    """Rename `finished` to `dataset`, after moving an existing dataset out of the way."""
    flush(*finished.iterdir(), finished)
    if dataset.exists():
        replace(dataset, finished.with_name("old"))
    replace(finished, dataset)


def _is_replaceable(dataset: Path) -> bool:
    return dataset.is_dir() and ((dataset / INFO_FILE).exists() or not any(dataset.iterdir()))
