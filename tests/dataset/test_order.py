"""The order of a dataset in shards: every clip once an epoch, few shards at a time, each rank its own."""

from collections import Counter

import numpy as np
import pytest

from fauxley.dataset.order import BalancedLanes, Laned

COUNTS = np.array([40, 17, 40, 0, 40, 39, 40, 3, 40, 40])
ENDS = np.cumsum(COUNTS)


def shards_of(clips: np.ndarray) -> np.ndarray:
    return np.searchsorted(ENDS, clips, side="right")


@pytest.mark.parametrize("lanes", [1, 4, 16, 1000])
def test_any_epoch_draws_every_clip_once(lanes: int) -> None:
    total = int(COUNTS.sum())
    order = Laned(COUNTS, lanes, seed=5)
    drawn = order.draw(np.arange(4 * total))
    for epoch in drawn.clip.reshape(4, total):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(total))
    assert not np.array_equal(drawn.clip[:total], drawn.clip[total : 2 * total])
    assert drawn.uniform.min() >= 0
    assert drawn.uniform.max() < 1


def test_it_is_a_function_of_the_position_alone() -> None:
    whole = Laned(COUNTS, 4, seed=5).draw(np.arange(2000))
    positions = np.random.default_rng(0).permutation(2000)
    again = Laned(COUNTS, 4, seed=5)
    for part in np.split(positions, 20):
        drawn = again.draw(part)
        np.testing.assert_array_equal(drawn.clip, whole.clip[part])
        np.testing.assert_array_equal(drawn.uniform, whole.uniform[part])
    assert not np.array_equal(Laned(COUNTS, 4, seed=6).draw(np.arange(2000)).clip, whole.clip)


def test_the_order_is_frozen() -> None:
    """Runs are resumed by later versions: the order must never change."""
    draws = Laned(np.array([3, 4, 2]), lanes=2, seed=7).draw(np.arange(12))
    assert draws.clip.tolist() == [8, 6, 7, 0, 4, 1, 5, 2, 3, 6, 8, 4]
    np.testing.assert_allclose(draws.uniform[:2], [0.16070622458181427, 0.8361884876364278], atol=1e-12)


def test_a_batch_comes_from_few_shards_and_each_rank_has_its_own() -> None:
    counts = np.full(64, 100)
    order = Laned(counts, 8, seed=0)
    total = int(counts.sum())
    touched: list[set[int]] = [set() for _ in range(4)]
    for step in range(total // 16):
        positions = np.arange(step * 16, (step + 1) * 16)
        shards = order.draw(positions).clip // 100
        assert len(np.unique(shards)) <= 16
        for rank in range(4):
            touched[rank] |= set(shards[rank::4].tolist())
    # An epoch: 64 shards among four ranks; a shard in which a lane begins may be read twice.
    assert all(16 <= len(own) <= 16 + 2 for own in touched)
    assert set.union(*touched) == set(range(64))


def test_what_is_wanted_soon_is_wanted_half_a_shard_later() -> None:
    counts = np.full(64, 100)
    order = Laned(counts, 8, seed=0)
    positions = np.arange(1600, 1616)
    later = order.draw(positions + 8 * 50).clip // 100
    assert set(order.soon(positions).tolist()) == set(later.tolist())


def test_balancing_draws_the_labels_of_each_shard_equally_often() -> None:
    labels = np.array(([0] * 90 + [1] * 9 + [2]) * 10)
    order = BalancedLanes(np.full(10, 100), 4, 0, lambda shard: labels[100 * shard : 100 * shard + 100])
    clips = order.draw(np.arange(1000)).clip
    counts = Counter(labels[clips].tolist())
    assert max(counts.values()) - min(counts.values()) <= 10  # a shard has 100 places for 3 labels
    # Within a visit each clip of a rare label comes equally often, to one.
    rare = Counter(clips[(labels[clips] == 1) & (clips < 100)].tolist())
    assert len(rare) == 9
    assert max(rare.values()) - min(rare.values()) <= 1
    batch = Counter(labels[clips[:60]].tolist())
    assert max(batch.values()) - min(batch.values()) <= 12
