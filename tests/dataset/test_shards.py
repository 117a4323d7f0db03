"""A dataset in shards: what is in it, that it goes on after a kill, and what is said about damage."""

import json
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import find_finished, pack
from fauxley.dataset.slicing import Slicing
from fauxley.errors import FauxleyError, UsageError

pytestmark = pytest.mark.slow

SETTINGS = PackSettings(clip_length=256, slicing="all", normalize=False)
SHARD_BYTES = 6000

_PACK = """
import sys
from pathlib import Path
from fauxley.dataset.packing import pack
folder, dataset = map(Path, sys.argv[1:])
pack(folder, dataset, shard_bytes=9000, n_jobs=1, progress=lambda done, total: print(done, flush=True))
"""


@pytest.fixture
def sharded(sounds: Path, tmp_path: Path) -> Dataset:
    return pack(sounds, tmp_path / "sharded", SETTINGS, shard_bytes=SHARD_BYTES, n_jobs=1)


def test_it_holds_the_same_sounds_as_one_in_a_single_file(sharded: Dataset, sounds: Path, tmp_path: Path) -> None:
    single = pack(sounds, tmp_path / "single", SETTINGS, n_jobs=1)
    assert sharded.labels == single.labels
    assert sharded.duration_seconds == single.duration_seconds
    assert sharded.num_clips() == single.num_clips()
    files = {entry.file: index for index, entry in enumerate(single.entries)}
    for index, entry in enumerate(sharded.entries):
        np.testing.assert_array_equal(sharded.audio(index), single.audio(files[entry.file]))
    own, other = ({clip.tobytes() for batch in data.once(7) for clip in batch} for data in (sharded, single))
    assert own == other


def test_some_files_alone_are_read_from_where_they_are(sharded: Dataset) -> None:
    last = sharded.info.num_files - 1
    kept = [last, 1, last // 2]  # whole shards fall away
    some = sharded.only(kept)
    assert [entry.file for entry in some.entries] == [sharded.entries[file].file for file in sorted(kept)]
    assert some.info.num_samples == sum(sharded.entries[file].num_samples for file in kept)
    for index, file in enumerate(sorted(kept)):
        np.testing.assert_array_equal(some.audio(index), sharded.audio(file))
    whole = sharded.clips()
    mine = np.isin(whole.file, kept)
    expected = sharded.read(type(whole)(*(column[mine] for column in whole)), 256)
    np.testing.assert_array_equal(np.concatenate(list(some.once(7))), expected)
    np.testing.assert_array_equal(some.clip_labels(), sharded.clip_labels()[mine])
    drawn = some.batch(0, some.num_clips(), seed=3)
    assert sorted(clip.tobytes() for clip in drawn) == sorted(clip.tobytes() for clip in expected)


def test_shards_hold_whole_files_in_mixed_order_up_to_their_size(sharded: Dataset) -> None:
    sizes = [path.stat().st_size for path in sorted(sharded.folder.glob("audio-*.int16"))]
    assert len(sizes) > 5
    assert max(sizes) <= SHARD_BYTES
    assert min(a + b for a, b in pairwise(sizes)) > SHARD_BYTES
    labels = [entry.label for entry in sharded.entries]
    assert labels != sorted(labels)
    assert [entry.file for entry in sharded.entries] != sorted(entry.file for entry in sharded.entries)


def test_a_file_larger_than_a_shard_has_one_to_itself(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    for index, length in enumerate((100, 5000, 100)):
        soundfile.write(tmp_path / "sounds" / f"{index}.wav", np.full(length, 0.5), 16000)
    dataset = pack(tmp_path / "sounds", tmp_path / "dataset", shard_bytes=1000, n_jobs=1)
    sizes = sorted(path.stat().st_size for path in dataset.folder.glob("audio-*.int16"))
    assert sizes in ([200, 200, 10000], [400, 10000])
    assert dataset.batch(0, 3, 0, slicing=Slicing("first", 5000)).max() > 0


def test_resuming_and_sharing_give_the_same_batches(sharded: Dataset) -> None:
    slicing = Slicing("random", 200)
    for balance in (False, True):
        again = Dataset.open(sharded.folder)
        for step in (0, 41, 10**6):
            whole = sharded.batch(step, 12, 3, slicing=slicing, balance_labels=balance)
            shares = [
                again.batch(step, 12, 3, slicing=slicing, balance_labels=balance, rows=slice(rank, None, 5))
                for rank in range(5)
            ]
            dealt = np.zeros_like(whole)
            for rank, share in enumerate(shares):
                dealt[rank::5] = share
            np.testing.assert_array_equal(dealt, whole)


def test_an_epoch_draws_every_clip_once(sharded: Dataset) -> None:
    count = sharded.num_clips()
    chosen, clips = sharded.draw(2, count, 0)
    np.testing.assert_array_equal(np.sort(chosen), np.arange(count))
    every = sharded.clips()
    for column, expected in zip(clips, every, strict=True):
        np.testing.assert_array_equal(column, expected[chosen])


def test_balancing_labels(sharded: Dataset) -> None:
    chosen, _ = sharded.draw(0, 600, 0, balance_labels=True)
    counts = Counter(sharded.clip_labels()[chosen].tolist())
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 100


def test_a_second_run_finds_the_first_and_another_size_is_another_dataset(sharded: Dataset, sounds: Path) -> None:
    assert find_finished(sounds, sharded.folder, SETTINGS, SHARD_BYTES) is not None
    for other in (None, 7000):
        with pytest.raises(FauxleyError, match="overwrite it"):
            find_finished(sounds, sharded.folder, SETTINGS, other)
    with pytest.raises(UsageError, match="shard"):
        pack(sounds, sharded.folder.with_name("other"), SETTINGS, shard_bytes=0)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(64 * 4):
        soundfile.write(folder / f"{index:04d}.wav", random.uniform(-0.5, 0.5, 400), 16000)
    whole = pack(folder, tmp_path / "whole", shard_bytes=9000, n_jobs=1)
    command = [sys.executable, "-c", _PACK, folder, tmp_path / "dataset"]
    for wanted in (64, 129):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < wanted:
                pass
            process.send_signal(signal.SIGKILL)
    work = next(path for path in tmp_path.iterdir() if path.name.startswith(".partial-"))
    last = sorted((work / "dataset").glob("audio-*.int16"))[-1]
    last.with_name("audio-999999.int16").write_bytes(b"of a later part, of which only this reached the disk")
    with last.open("ab") as file:
        file.write(b"half a sound")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) >= 128
    names = sorted(path.name for path in whole.folder.iterdir())
    assert sorted(path.name for path in (tmp_path / "dataset").iterdir()) == names
    for name in names:
        assert (tmp_path / "dataset" / name).read_bytes() == (whole.folder / name).read_bytes(), name


def _edit(name: str, value: object) -> object:
    def damage(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "audio-000002.int16").unlink(), "audio-000002.int16 has 0 bytes"),
        (lambda folder: (folder / "lengths.uint32").write_bytes(bytes(120)), "does not match"),
        (lambda folder: (folder / "lengths.uint32").write_bytes(b""), "0 bytes instead of 120"),
        (lambda folder: (folder / "labels.int32").write_bytes(b"\7" * 120), "labels.int32 does not match"),
        (_edit("shards", []), "inconsistent"),
        (_edit("lanes", 0), "inconsistent"),
        (_edit("format_version", 1), "unknown type"),
        (_edit("num_files", 10**15), "instead of"),
    ],
)
def test_damage_is_said_in_one_line(sharded: Dataset, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    damage(sharded.folder)
    with pytest.raises(FauxleyError, match=message):
        Dataset.open(sharded.folder)
