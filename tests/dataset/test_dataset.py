"""Batches: what is in them, how often, in which order, and what is said about a damaged dataset."""

import json
import time
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.order import Balanced, Shuffled
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.dataset.slicing import Slicing
from fauxley.errors import FauxleyError, UsageError


@pytest.fixture
def dataset(sounds: Path, tmp_path: Path) -> Dataset:
    return pack(sounds, tmp_path / "dataset", PackSettings(clip_length=512, slicing="all", normalize=False))


def test_clips_hold_the_samples_of_the_files(dataset: Dataset, sounds: Path) -> None:
    clips = dataset.clips()
    batch = np.concatenate(list(dataset.once(7)))
    assert batch.shape == (dataset.num_clips(), 1, 512)
    assert batch.dtype == np.int16
    for clip, file, start in zip(batch, clips.file, clips.start, strict=True):
        source, _ = soundfile.read(sounds / dataset.entries[file].file, always_2d=True)
        expected = np.zeros(512)
        part = source[start : start + 512].mean(axis=1)
        expected[: len(part)] = part
        np.testing.assert_allclose(clip[0] / 32768, expected, atol=0.5001 / 32768)


def test_16_bit_files_come_through_bit_for_bit_without_normalisation(tmp_path: Path) -> None:
    every_value = np.arange(-32768, 32768, dtype=np.int16)
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "all.wav", every_value, 16000)
    dataset = pack(tmp_path / "sounds", tmp_path / "dataset", PackSettings(normalize=False, clip_length=65536))
    np.testing.assert_array_equal(dataset.batch(0, 1, 0)[0, 0], every_value)


def test_any_epoch_draws_every_clip_once(dataset: Dataset) -> None:
    count = dataset.num_clips()
    size = 7
    steps = count * size // size  # `count` batches of 7 are 7 whole epochs
    drawn = np.concatenate([dataset.draw(step, size, seed=3)[0] for step in range(steps)])
    for epoch in drawn.reshape(size, count):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))
    assert not np.array_equal(drawn[:count], drawn[count : 2 * count])


@pytest.mark.parametrize("mode", ["first", "all", "random"])
@pytest.mark.parametrize("balance", [True, False])
def test_resuming_at_any_step_gives_the_same_batches(dataset: Dataset, mode: str, balance: bool) -> None:
    slicing = Slicing(mode, 256)  # type: ignore[arg-type]
    whole = list(islice(dataset.batches(5, 1, slicing=slicing, balance_labels=balance), 40))
    again = Dataset.open(dataset.folder)
    resumed = list(islice(again.batches(5, 1, 23, slicing=slicing, balance_labels=balance), 17))
    np.testing.assert_array_equal(resumed, whole[23:])
    other = list(islice(dataset.batches(5, 2, slicing=slicing, balance_labels=balance), 40))
    assert not np.array_equal(whole, other)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["first", "random"])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 9])
def test_the_shares_of_all_ranks_are_the_whole_batch(dataset: Dataset, mode: str, world_size: int) -> None:
    slicing = Slicing(mode, 256)  # type: ignore[arg-type]
    whole = dataset.batch(11, 7, 3, slicing=slicing, balance_labels=True)
    dealt = np.zeros_like(whole)
    for rank in range(world_size):
        rows = slice(rank, None, world_size)
        dealt[rows] = dataset.batch(11, 7, 3, slicing=slicing, balance_labels=True, rows=rows)
    np.testing.assert_array_equal(dealt, whole)
    ends = [7 * rank // world_size for rank in range(world_size + 1)]
    blocks = [
        next(dataset.batches(7, 3, 11, slicing=slicing, balance_labels=True, rows=slice(*pair)))
        for pair in pairwise(ends)
    ]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_only_the_rows_asked_for_are_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = Dataset.read
    monkeypatch.setattr(Dataset, "read", lambda *args: read.append(len(args[1].file)) or original(*args))  # type: ignore[func-returns-value]
    assert dataset.batch(0, 7, 0, rows=slice(1, None, 3)).shape == (2, 1, 512)
    assert dataset.batch(0, 2, 0, rows=slice(2, None, 3)).shape == (0, 1, 512)
    assert read == [2, 0]


def test_the_order_is_frozen() -> None:
    """Runs are resumed by later versions: the order must never change."""
    draws = Shuffled(np.arange(10), seed=7).draw(np.arange(12))
    assert draws.clip.tolist() == [8, 4, 3, 6, 2, 1, 0, 5, 9, 7, 3, 6]
    np.testing.assert_allclose(draws.uniform[:3], [0.802305247998636, 0.52773586710507, 0.102722280802126], atol=1e-12)


def test_a_random_start_differs_from_epoch_to_epoch_and_follows_the_seed(dataset: Dataset) -> None:
    slicing = Slicing("random", 256)
    count = dataset.num_clips(slicing)
    first, second = (dataset.draw(epoch, count, 0, slicing=slicing) for epoch in (0, 1))
    starts = [dict(zip(chosen.tolist(), clips.start.tolist(), strict=True)) for chosen, clips in (first, second)]
    assert sum(starts[0][clip] != starts[1][clip] for clip in range(count)) > count // 2


def test_balancing_draws_rare_labels_as_often_as_common_ones() -> None:
    labels = np.array([0] * 90 + [1] * 9 + [2])
    clips = Balanced(labels, seed=0).draw(np.arange(900)).clip
    assert Counter(labels[clips].tolist()) == {0: 300, 1: 300, 2: 300}
    within = Counter(clips[labels[clips] == 1].tolist())
    assert max(within.values()) - min(within.values()) <= 1


def test_balancing_leaves_clips_without_a_label_their_share() -> None:
    labels = np.array([-1] * 3 + [0] * 90 + [1] * 7)
    order = Balanced(labels, seed=0)
    clips = order.draw(np.arange(1000)).clip
    assert Counter(labels[clips].tolist()) == {-1: 30, 0: 485, 1: 485}
    assert Counter(clips[labels[clips] < 0].tolist()) == {0: 10, 1: 10, 2: 10}
    again = np.concatenate([Balanced(labels, seed=0).draw(np.arange(at, at + 50)).clip for at in range(0, 1000, 50)])
    np.testing.assert_array_equal(again, clips)


def test_balancing_through_a_dataset(dataset: Dataset) -> None:
    chosen, _ = dataset.draw(0, 300, 0, balance_labels=True)
    assert set(Counter(dataset.clip_labels()[chosen].tolist()).values()) == {100}
    assert dataset.labels == ("hat", "kick", "snare")


def test_a_late_step_costs_no_more_than_the_first(dataset: Dataset) -> None:
    begin = time.perf_counter()
    dataset.batch(10**9, 64, 0)
    assert time.perf_counter() - begin < 0.5


def test_what_makes_no_sense_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch_size"):
        dataset.batch(0, 0, 0)
    with pytest.raises(UsageError, match="seed"):
        dataset.batch(0, 4, -1)
    with pytest.raises(FauxleyError, match="as long as a clip"):
        dataset.batch(0, 4, 0, slicing=Slicing("all", 65536, pad_end=False))
    (tmp_path / "flat").mkdir()
    soundfile.write(tmp_path / "flat" / "a.wav", np.ones(100) / 2, 16000)
    with pytest.raises(UsageError, match="no labels"):
        pack(tmp_path / "flat", tmp_path / "unlabelled").batch(0, 4, 0, balance_labels=True)


def _truncate(folder: Path) -> None:
    path = folder / "audio.int16"
    path.write_bytes(path.read_bytes()[:-2])


def _from_the_future(folder: Path) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


def _cut_manifest(folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "bytes instead of"),
        (_from_the_future, "dataset format 99"),
        (_cut_manifest, "does not match"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json"),
        (lambda folder: (folder / "dataset.json").unlink(), "not a dataset"),
        (lambda folder: (folder / "audio.int16").unlink(), "0 bytes"),
        (lambda folder: (folder / "manifest.csv").write_bytes(b"\xff\x00,,"), "manifest.csv"),
        (lambda folder: folder.rename(folder.with_name("gone")), "does not exist"),
    ],
)
def test_a_damaged_dataset_is_refused_with_a_reason(dataset: Dataset, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    damage(dataset.folder)
    with pytest.raises(FauxleyError, match=message):
        Dataset.open(dataset.folder)


def test_a_fingerprint_differs_with_what_is_heard_and_how_it_is_cut(dataset, tmp_path):
    assert Dataset.open(dataset.folder).fingerprint() == dataset.fingerprint()
    assert dataset.fingerprint(dataset.info.slicing) == dataset.fingerprint()
    assert dataset.fingerprint(Slicing("all", 128)) != dataset.fingerprint()
    assert dataset.only([0, 1]).fingerprint() != dataset.fingerprint()
