"""The slicing rule against the official loader, and what a random start must and must not reach."""

import re
from pathlib import Path

import numpy as np
import pytest

from fauxley.dataset.slicing import Slicing
from fauxley.errors import UsageError


def _rows(slicing: Slicing, lengths: np.ndarray, offset: int = 0) -> np.ndarray:
    return np.stack(slicing.clips(lengths, offset), axis=1)


def test_parity_slices(parity_dir: Path) -> None:
    fixture = np.load(parity_dir / "loader" / "slices.npz", allow_pickle=False)
    lengths = fixture["lengths"]
    checked = 0
    for key in fixture.files:
        expected = fixture[key]
        if found := re.fullmatch(r"len(\d+)_first([01])_pad([01])_ov([\d.]+)", key):
            length, first, pad, overlap = found.groups()
            slicing = Slicing("first" if first == "1" else "all", int(length), float(overlap), pad == "1")
            actual = _rows(slicing, lengths)
        elif found := re.fullmatch(r"hop_len(\d+)_ov([\d.]+)", key):
            actual = _rows(Slicing("all", int(found[1]), float(found[2])), lengths[2:3])[:, 1:]
        elif found := re.fullmatch(r"start(\d+)_pad([01])_ov([\d.]+)", key):
            actual = _rows(Slicing("all", 16384, float(found[3]), found[2] == "1"), lengths, int(found[1]))
        else:
            continue
        np.testing.assert_array_equal(actual, expected, err_msg=key)
        checked += 1
    assert checked == len(fixture.files) - 1


@pytest.mark.slow
@pytest.mark.parametrize("pad_end", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_random_starts_are_uniform_over_every_place_and_reach_head_and_tail(pad_end: bool, overlap: float) -> None:
    slicing = Slicing("random", 8, overlap, pad_end)
    lengths = np.array([29])
    clips = slicing.clips(lengths)
    random = np.random.default_rng(0)
    starts = np.concatenate([slicing.starts(clips, lengths, random.random(len(clips.file))).start for _ in range(9000)])
    counts = np.bincount(starts, minlength=22)
    assert len(counts) == 22  # 0 ... 29 - 8, both ends included
    # The places of one clip are equally likely, and clips have equal shares up to rounding of a place.
    assert counts.min() > 0.9 * counts.mean()
    assert counts.max() < 1.1 * counts.mean()


def test_a_one_shot_shorter_than_a_clip_is_never_beheaded() -> None:
    slicing = Slicing("random", 1000)
    lengths = np.array([10, 1000, 1001])
    clips = slicing.clips(lengths)
    latest = slicing.starts(clips, lengths, np.full(len(clips.file), np.nextafter(1, 0)))
    assert dict(zip(latest.file.tolist(), latest.start.tolist(), strict=True)) == {0: 0, 1: 0, 2: 1}
    assert latest.num_samples.tolist() == [10, 1000, 1000, 1000]


@pytest.mark.parametrize(
    "arguments", [("last",), ("all", 0), ("all", 100, 1.0), ("all", 100, -0.1), ("all", 10, 0.99), ("first", -5)]
)
def test_nonsense_is_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(UsageError):
        Slicing(*arguments)  # type: ignore[arg-type]
