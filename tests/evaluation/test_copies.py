"""Copies of training clips are found and named however they were moved; new real clips are not taken for copies."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fauxley.errors import FauxleyError
from fauxley.evaluation.clips import DatasetClips
from fauxley.evaluation.evaluator import Evaluator, Judged
from fauxley.evaluation.features import Fingerprints
from fauxley.evaluation.metrics.copies import COPY, align, aligning_rate, find_copies
from fauxley.evaluation.protocol import Protocol
from fauxley.evaluation.report.page import build_pairs
from fauxley.evaluation.report.report import to_json
from fauxley.evaluation.verdict import remarks
from fauxley.sounds.reading import read_audio

from .conftest import ArrayClips

pytestmark = pytest.mark.slow

_DATA = Path(os.environ.get("FAUXLEY_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
_RATE, _LENGTH = 16000, 16384


def _packs():
    """Labelled packs that come in parts for learning and for testing: their lists of files."""
    found = []
    for listing in sorted(_DATA.glob("*/manifest.csv")) if _DATA.is_dir() else ():
        with listing.open(newline="", encoding="utf-8") as stream:
            splits = [row.get("split") for row in csv.DictReader(stream)]
        if min(splits.count("train"), splits.count("test")) >= 60:
            found.append(listing)
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings in {_DATA}"))]


@pytest.fixture(scope="module", params=_packs(), ids=lambda listing: listing.parent.name if listing else "missing")
def recordings(request):
    """Up to 400 training clips and 100 new real ones, (N, T) each, at a peak of 0.9."""
    with request.param.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = []
    for split, most in (("train", 400), ("test", 100)):
        clips, files = [], [row["file"] for row in rows if row["split"] == split]
        for index in np.random.default_rng(0).permutation(len(files)):
            try:
                audio = read_audio(request.param.parent / files[index], _RATE, 1)[0, :_LENGTH]
            except FauxleyError:
                continue
            if len(clips) < most and np.abs(audio).max(initial=0) > 0.01:
                clips.append(np.pad(audio, (0, _LENGTH - len(audio))) * 0.9 / np.abs(audio).max())
        found.append(np.stack(clips).astype(np.float32))
    return found


def later(clips, milliseconds):
    moved = np.roll(clips, shift := round(milliseconds * _RATE / 1000), axis=1)
    moved[:, slice(0, shift) if shift > 0 else slice(shift, None)] = 0
    return moved


def noisy(clips, decibels):
    level = np.sqrt(np.square(clips).mean(1, keepdims=True)) * 10 ** (-decibels / 20)
    return clips + level * np.random.default_rng(1).standard_normal(clips.shape)


def filtered(clips):
    """A shelf: up to 4 dB less at the bottom, up to 4 dB more at the top."""
    frequency = np.maximum(np.fft.rfftfreq(clips.shape[1], 1 / _RATE), 20)
    return np.fft.irfft(np.fft.rfft(clips) * 10 ** (4 * np.tanh(np.log2(frequency / 1000)) / 20), clips.shape[1])


def trimmed(clips):
    """The last tenth of a second gone, and the rest moved to where a sound begins."""
    kept = clips.copy()
    kept[:, -round(0.1 * _RATE) :] = 0
    return later(kept, 20)


COPIES = {
    "exact": lambda x: x,
    "a quarter as loud, turned over": lambda x: -0.25 * x,
    "50 ms later": lambda x: later(x, 50),
    "100 ms later": lambda x: later(x, 100),
    "with noise at 15 dB": lambda x: noisy(x, 15),
    "later, with noise": lambda x: noisy(later(x, 100), 15),
    "filtered": filtered,
    "trimmed": trimmed,
    "all of it": lambda x: noisy(filtered(later(-0.4 * x, 75)), 15),
}


def fingerprints(clips):
    parts = [
        Fingerprints().extract(clips[start : start + 64].astype(np.float32), _RATE)
        for start in range(0, len(clips), 64)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def learnt(recordings):
    return fingerprints(recordings[0])


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_recordings_are_found(recordings, learnt, how):
    chosen = np.arange(0, len(recordings[0]), 7)[:50]
    # What a shift pushes out of the clip is not there to be recognised.
    sounds = recordings[0][chosen]
    kept = np.square(later(sounds, 100)).sum(1) > 0.6 * np.square(sounds).sum(1)
    made = COPIES[how](sounds[kept])
    found = find_copies(fingerprints(made), learnt)
    assert found.copied.mean() > 0.95


def test_new_real_clips_are_seldom_taken_for_copies(recordings, learnt):
    """Of spoken words none is; drum machines of other makers hold the same samples and the same sines."""
    found = find_copies(fingerprints(recordings[1]), learnt)
    assert found.copied.mean() <= 0.06
    assert np.median(found.similarity) < 0.7


def test_noise_and_reversal_make_hardly_any_new_copies(recordings, learnt):
    usual = find_copies(fingerprints(recordings[1]), learnt).copied.mean()
    for spoilt in (noisy(recordings[1], 10), recordings[1][:, ::-1].copy(), 0.1 * noisy(0 * recordings[1] + 0.1, 0)):
        assert find_copies(fingerprints(spoilt), learnt).copied.mean() <= usual + 0.05


def test_the_similarity_is_the_normalised_correlation_where_clips_overlap():
    rng = np.random.default_rng(0)
    length = 60
    x, y = rng.standard_normal(length), rng.standard_normal((3, length))
    y[1] = -3 * np.roll(x, -4)
    for row, found, lag, gain in zip(y, *align(torch.from_numpy(x).float(), torch.from_numpy(y).float()), strict=True):
        best = {}
        for shift in range(-length + 1, length):
            mine, theirs = x[max(0, shift) : length + min(0, shift)], row[max(0, -shift) : length - max(0, shift)]
            if mine @ mine >= 0.5 * x @ x and theirs @ theirs >= 0.5 * row @ row:
                best[shift] = mine @ theirs / np.sqrt((mine @ mine) * (theirs @ theirs))
        expected = max(best, key=lambda shift: abs(best[shift]))
        assert lag == expected
        assert found == pytest.approx(abs(best[expected]), abs=1e-5)
        assert np.sign(float(gain)) == np.sign(best[expected])
    similarity, lags, gains = align(torch.from_numpy(x).float(), torch.from_numpy(y).float())
    assert similarity[1] == pytest.approx(1, abs=0.02)
    assert lags[1] == 4
    assert gains[1] == pytest.approx(-1 / 3, rel=0.02)


def test_silence_is_a_copy_of_nothing_and_clips_are_no_copies_of_themselves():
    rng = np.random.default_rng(0)
    sounds = 0.2 * rng.standard_normal((6, 4096)) * np.linspace(1, 0, 4096) ** 3
    quiet = np.concatenate([np.zeros((2, 4096)), 0.3 + np.zeros((1, 4096)), 1e-5 * sounds[:2], sounds])
    features = fingerprints(quiet)
    assert not find_copies(features, features, own=True).copied.any()
    assert find_copies(features, features).copied.tolist() == [False] * 5 + [True] * 6
    assert not find_copies(fingerprints(sounds[:1]), fingerprints(sounds[:1]), own=True).copied.any()


def test_long_clips_are_aligned_at_a_rate_that_can_be_paid():
    assert aligning_rate(16000, 16384) == 16000
    assert aligning_rate(8000, 4096) == 8000
    for rate, length in ((44100, 65536), (48000, 480_000), (1000, 262_144)):
        assert length * aligning_rate(rate, length) <= 32768 * rate


@pytest.fixture(scope="module")
def evaluator(learnt_kit, new_kit):
    return Evaluator(learnt_kit, new_kit, protocol=Protocol(count=90, neighbours=90))


def test_a_few_copies_among_many_clips_are_named_with_both_names(evaluator, learnt_kit, new_kit, tmp_path):
    learnt, new = (DatasetClips(kit, "kit", None, 3) for kit in (learnt_kit, new_kit))
    clips = np.concatenate([new.read(range(70)), -0.5 * learnt.read(range(4))])
    source = ArrayClips(clips, sample_rate=8000)
    figures = evaluator.evaluate(source)
    named = {copy.clip: copy.training_clip for copy in figures.copies}
    for number in range(4):
        assert named[f"clip {70 + number}"] == learnt.name(number)
    (remark,) = [one for one in remarks(figures, evaluator.real[-1]) if "copies" in one.text or "copy of" in one.text]
    assert f"{len(named)} of 74" in remark.text
    first = figures.copies[0]
    assert f"{first.clip} is {first.training_clip}" in remark.text
    assert not any("No sign of memorising" in one.text for one in remarks(figures, evaluator.real[-1]))
    judged = Judged(source, figures)
    written = json.loads(json.dumps(to_json(evaluator, [judged])))["generated"][0]["copies"]
    assert {copy["clip"]: copy["training_clip"] for copy in written} == named
    assert all(copy["similarity"] >= COPY for copy in written)
    (copy,) = [one for one in figures.copies if one.clip == "clip 71"]
    assert copy.gain_db == pytest.approx(-6.02, abs=0.1)
    assert copy.later_seconds == pytest.approx(0, abs=0.001)
    assert build_pairs(evaluator, judged)[0]["how"].startswith("a copy")


def test_repetition_leads_the_verdicts(evaluator, new_kit):
    few = DatasetClips(new_kit, "new").read(range(4))
    figures = evaluator.evaluate(ArrayClips(few[np.arange(80) % 4], sample_rate=8000))
    first = remarks(figures, evaluator.real[-1])[0]
    assert first.verdict == "poor"
    assert "repeats itself" in first.text
    assert figures.scores["repeated"].value == 1
    assert figures.scores["recall/log-mel"].value == 0


@pytest.mark.parametrize("decibels", [20, 10])
def test_noise_on_distinct_clips_is_not_called_repetition(recordings, learnt, decibels):
    new = recordings[1]
    spread = {}
    for name, clips in (("real", new), ("noisy", noisy(new, decibels)), ("repeated", new[np.arange(len(new)) % 8])):
        features = fingerprints(clips)
        apart = np.linalg.norm(features["fingerprints"][:, None] - features["fingerprints"], axis=2)
        spread[name] = (apart + 9 * np.eye(len(clips))).min(1).mean()
    assert spread["noisy"] > 0.95 * spread["real"]
    assert spread["repeated"] < 0.01 * spread["real"]


def test_without_a_classifier_the_verdict_says_what_nobody_has_heard(evaluator, new_kit):
    figures = evaluator.evaluate(DatasetClips(new_kit, "new"))
    texts = [remark.text for remark in remarks(figures, evaluator.real[-1])]
    assert any("No classifier" in text and "reversed" in text and "single label" in text for text in texts)
