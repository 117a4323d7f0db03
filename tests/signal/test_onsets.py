"""Hits of long recordings: found where they were put, whatever lies around them, and cut as an ear would."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset.cutting import Cutter, Cutting, fade_ends
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.folder_report import scan_folder
from fauxley.dataset.hit_files import find_hits, read_hits
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import find_finished, open_or_prepare, pack
from fauxley.dataset.slicing import HitSlicing, Slicing
from fauxley.errors import FauxleyError, UsageError
from fauxley.signal.onsets import OnsetDetector

RATE = 16000


def hit(kind: int, rate: int, random: np.random.Generator) -> np.ndarray:
    """A step, a clap or a drum of about 0.3 s that begins at once."""
    time = np.arange(round(0.4 * rate)) / rate
    if kind == 0:  # a dull thud and its grit
        return np.sin(2 * np.pi * 120 * time) * np.exp(-time / 0.03) + 0.2 * random.standard_normal(len(time)) * np.exp(
            -time / 0.05
        )
    if kind == 1:
        return random.standard_normal(len(time)) * np.exp(-time / 0.03)
    return np.cos(2 * np.pi * (180 * time + 20 * np.exp(-time / 0.02))) * np.exp(-time / 0.06)


def recording(
    seconds: float = 60, rate: int = RATE, noise_db: float | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Hits at random times, (T,), and these times in seconds; noise so far below the power of the typical hit."""
    random = np.random.default_rng(seed)
    audio = np.zeros(round(seconds * rate))
    times, now = [], 0.4
    while now < seconds - 1:
        sound = hit(int(random.integers(3)), rate, random)
        sound *= 10 ** (random.uniform(-12, 0) / 20) / np.abs(sound).max()
        start = round(now * rate)
        audio[start : start + len(sound)] += sound
        times.append(start / rate)
        now += random.uniform(0.2, 2)
    if noise_db is not None:
        power = np.square(hit(1, rate, random)[: rate // 20] / 4).mean()
        audio += random.standard_normal(len(audio)) * np.sqrt(power * 10 ** (-noise_db / 10))
    return (0.4 * audio / np.abs(audio).max()).astype(np.float32), np.array(times)


def detect(audio: np.ndarray, rate: int = RATE, block: int = 10_000, **options: float) -> np.ndarray:
    """Seconds at which hits of (T,) or (T, C) begin."""
    detector = OnsetDetector(rate, **options)
    audio = audio[:, None] if audio.ndim == 1 else audio
    for begin in range(0, len(audio), block):
        detector.add(audio[begin : begin + block])
    return detector.finish().start / rate


def f_score(truth: np.ndarray, found: np.ndarray, tolerance: float = 0.025) -> float:
    pairs = sum(np.abs(found - time).min(initial=1) <= tolerance for time in truth)
    return 2 * pairs / (len(truth) + len(found))


@pytest.mark.parametrize("noise_db", [None, 40, 30, 20])
def test_hits_are_found_where_they_are(noise_db: float | None) -> None:
    audio, times = recording(noise_db=noise_db)
    found = detect(audio)
    assert f_score(times, found) >= (0.95 if noise_db != 20 else 0.9)
    near = np.array([np.abs(found - time).min() for time in times])
    assert np.median(near) < 0.003


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_every_rate(rate: int) -> None:
    audio, times = recording(20, rate, 40)
    assert f_score(times, detect(audio, rate)) >= 0.93


def test_gain_offset_hum_and_antiphase_change_nothing_that_matters() -> None:
    audio, times = recording(noise_db=40)
    as_is = detect(audio)
    np.testing.assert_array_equal(detect(audio * np.float32(2.0**-10)), as_is)
    assert f_score(as_is, detect(audio + np.float32(0.3)), 0.004) > 0.98
    np.testing.assert_array_equal(detect(np.stack([audio, -audio], 1)), as_is)
    time = np.arange(len(audio)) / RATE
    hum = 0.02 * np.sin(2 * np.pi * 50 * time) + 0.01 * np.sin(2 * np.pi * 150 * time)
    assert f_score(times, detect((audio + hum).astype(np.float32))) >= 0.9


def test_the_blocks_that_it_comes_in_change_nothing() -> None:
    audio, _ = recording(70, noise_db=30)
    whole = detect(audio, block=len(audio))
    for block in (777, 30_720, 262_144):
        np.testing.assert_array_equal(detect(audio, block=block), whole)


def test_minutes_of_silence_between_hits_change_nothing() -> None:
    audio, _ = recording(10)
    found, silence = detect(audio), np.zeros(90 * RATE, np.float32)
    shift = (len(audio) + len(silence)) / RATE
    np.testing.assert_array_equal(detect(np.concatenate([silence, audio]))[1:], found[1:] + len(silence) / RATE)
    both = detect(np.concatenate([audio, silence, audio]))
    assert f_score(np.concatenate([found, found + shift]), both, 0.004) > 0.95


def test_what_only_goes_on_has_no_hits() -> None:
    random = np.random.default_rng(0)
    assert len(detect(np.zeros(20 * RATE, np.float32))) == 0
    assert len(detect(np.zeros(0, np.float32))) == 0
    assert len(detect((0.1 * random.standard_normal(40 * RATE)).astype(np.float32))) == 0
    assert len(detect(np.full(20 * RATE, 0.5, np.float32))) == 0


def test_a_file_that_begins_with_its_hit() -> None:
    audio = hit(1, RATE, np.random.default_rng(0)).astype(np.float32)
    np.testing.assert_allclose(detect(np.pad(audio, (0, RATE))), [0], atol=0.002)


def test_hits_closer_than_the_gap_are_one_and_sensitivity_finds_fainter_ones() -> None:
    random = np.random.default_rng(0)
    audio = np.zeros(20 * RATE, np.float32)
    for second in range(1, 19):
        for offset, level in ((0, 0.5), (0.2, 0.04)):
            start = round((second + offset) * RATE)
            audio[start : start + round(0.1 * RATE)] += level * hit(1, RATE, random)[: round(0.1 * RATE)].astype("f4")
    assert len(detect(audio, min_gap_seconds=0.3)) == 18
    assert len(detect(audio, min_gap_seconds=0.05, sensitivity=3)) == 36


def hits_of(audio: np.ndarray, cutting: Cutting | None = None, rate: int = RATE) -> list:
    cutter = Cutter(rate, cutting or Cutting())
    list(cutter.watch([audio.reshape(len(audio), -1)]))
    return cutter.hits()


def test_tails_end_at_silence_or_where_the_next_begins() -> None:
    audio, times = recording(noise_db=50)
    hits = hits_of(audio)
    for now, following in pairwise(hits):
        assert now.begin <= now.attack < now.end <= following.begin
    lengths = np.array([h.num_samples / RATE for h in hits])
    gaps = np.diff([*(h.begin / RATE for h in hits), len(audio) / RATE])
    assert lengths[gaps > 1].max() < 0.6  # the sounds last 0.4 s
    assert np.all(np.isclose(lengths, gaps, atol=1e-3) | (lengths > 0.1))
    assert np.median([(h.attack - h.begin) / RATE for h in hits]) == pytest.approx(0.003, abs=1e-3)
    shortened = hits_of(audio, Cutting(max_length_seconds=0.15))
    assert max(h.num_samples for h in shortened) == round(0.15 * RATE)
    assert len(shortened) == len(hits) == pytest.approx(len(times), abs=3)


def test_both_ends_are_faded_and_the_attack_is_whole() -> None:
    faded = fade_ends(np.ones((2, 100), np.float32), 10, 20)
    assert (faded[:, 0] == 0).all()
    assert (faded[:, 10:80] == 1).all()
    assert (np.diff(faded[0, 80:]) < 0).all()
    assert faded[0, -1] < 0.02
    assert fade_ends(np.ones((1, 1), np.float32), 10, 20).shape == (1, 1)


@pytest.mark.parametrize(
    "wrong", [{"sensitivity": 0}, {"min_gap_seconds": float("nan")}, {"silence_db": 3}, {"max_length_seconds": -1}]
)
def test_senseless_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Cutting(**wrong)


@pytest.fixture
def walks(tmp_path: Path) -> Path:
    """Two recordings in a folder of their label, one in stereo, and one without any hit."""
    folder = tmp_path / "walks"
    (folder / "steps").mkdir(parents=True)
    audio, _ = recording(20, noise_db=40)
    soundfile.write(folder / "steps" / "a.wav", audio, RATE, subtype="PCM_24")
    audio, _ = recording(15, 44100, noise_db=40, seed=1)
    soundfile.write(folder / "steps" / "b.flac", np.stack([audio, audio], 1), 44100)
    soundfile.write(folder / "steps" / "hiss.wav", 0.01 * np.random.default_rng(0).standard_normal(10 * RATE), RATE)
    return folder


@pytest.mark.slow
def test_a_dataset_cut_at_onsets(walks: Path, tmp_path: Path) -> None:
    settings = PackSettings(slicing="onsets", clip_length=4096)
    dataset = pack(walks, tmp_path / "one", settings, n_jobs=1)
    assert dataset.info.slicing == HitSlicing("onsets", 4096)
    info, hits = find_hits(walks / "steps" / "a.wav", Cutting())
    mine = [entry for entry in dataset.entries if entry.file.startswith("steps/a.wav#t=")]
    assert [entry.file for entry in mine] == [f"steps/a.wav#t={h.begin / info.sample_rate:.3f}" for h in hits]
    assert {entry.label for entry in dataset.entries} == {"steps"}
    assert max(entry.num_samples for entry in dataset.entries) <= 4096
    assert not any("same content" in entry.warnings for entry in dataset.entries)
    assert [(skip.file, skip.reason[:6]) for skip in dataset.skipped()] == [("steps/hiss.wav", "no hit")]
    # Each hit is a clip, scaled on its own, with its attack at the start and zeros behind.
    clips = next(iter(dataset.once(1000))).astype(int)
    assert len(clips) == len(dataset.entries)
    assert (np.abs(clips).max(axis=(1, 2)) >= 32767).all()
    for clip, entry in zip(clips, dataset.entries, strict=True):
        assert not clip[:, entry.num_samples :].any()
    early = np.array([np.flatnonzero(np.abs(clip[0]) > 10_000)[0] for clip in clips])
    assert np.median(early) < 0.015 * RATE
    # The same bytes in parallel and in pieces, and found again.
    again = pack(walks, tmp_path / "two", settings, n_jobs=2)
    for name in ("audio.int16", "dataset.json", "manifest.csv", "skipped.csv"):
        assert (again.folder / name).read_bytes() == (dataset.folder / name).read_bytes()
    assert find_finished(walks, tmp_path / "one", settings) is not None
    with pytest.raises(FauxleyError, match="overwrite it"):
        find_finished(walks, tmp_path / "one", PackSettings(slicing="onsets", clip_length=4096, cutting=Cutting(0.5)))
    sharded = pack(walks, tmp_path / "three", settings, shard_bytes=50_000, n_jobs=1)
    assert sorted(e.file for e in sharded.entries) == sorted(e.file for e in dataset.entries)
    assert Dataset.open(tmp_path / "three").batch(0, 4, 0).shape == (4, 1, 4096)


def test_levels_of_a_recording_are_kept_where_nothing_is_normalised(walks: Path, tmp_path: Path) -> None:
    dataset = pack(walks, tmp_path / "one", PackSettings(slicing="onsets", normalize=False), n_jobs=1)
    peaks = np.array([np.abs(dataset.audio(index)).max() for index in range(len(dataset.entries))])
    np.testing.assert_allclose(peaks, [entry.peak for entry in dataset.entries], atol=1e-4)
    assert peaks.max() > 2 * peaks.min()


@pytest.mark.slow
def test_the_dataset_is_that_of_the_files_that_are_cut(walks: Path, tmp_path: Path) -> None:
    path = walks / "steps" / "a.wav"
    _, hits = find_hits(path, Cutting())
    dataset = pack(walks, tmp_path / "one", PackSettings(slicing="onsets", clip_length=65536, normalize=False))
    for index, audio in enumerate(read_hits(path, hits, Cutting())):
        assert audio.shape == (1, hits[index].num_samples)
        np.testing.assert_allclose(dataset.audio(index), audio, atol=2**-15)


def test_other_datasets_and_their_keys_are_as_they_were(walks: Path, tmp_path: Path) -> None:
    assert PackSettings().made_of == repr(PackSettings())
    assert "cutting" not in repr(PackSettings())
    assert repr(Slicing("first", 4096)) == "Slicing(mode='first', clip_length=4096, overlap=0.0, pad_end=True)"
    plain = pack(walks, tmp_path / "plain", n_jobs=1)
    assert '"type": "Slicing"' in (plain.folder / "dataset.json").read_text()
    assert open_or_prepare(plain.folder, PackSettings(slicing="onsets")).info.slicing.mode == "random"


@pytest.mark.slow
def test_an_hour_needs_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    audio, times = recording(60, 8000, 40)
    with soundfile.SoundFile(folder / "long.flac", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(audio)
    tracemalloc.start()
    try:
        dataset = pack(folder, tmp_path / "dataset", PackSettings(sample_rate=8000, slicing="onsets"), n_jobs=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert len(dataset.entries) == pytest.approx(60 * len(times), rel=0.05)


@pytest.mark.slow
def test_scan_recognises_recordings_of_hits_and_nothing_else(tmp_path: Path) -> None:
    for name in ("walk", "hiss", "swell"):
        (tmp_path / name).mkdir()
    audio, times = recording(40, noise_db=40)
    soundfile.write(tmp_path / "walk" / "a.wav", audio, RATE)
    soundfile.write(tmp_path / "hiss" / "a.wav", 0.05 * np.random.default_rng(0).standard_normal(40 * RATE), RATE)
    time = np.arange(40 * RATE) / RATE  # a tone that comes and goes softly
    soundfile.write(tmp_path / "swell" / "a.wav", 0.4 * np.sin(2000 * time) * np.sin(np.pi * time) ** 2, RATE)
    advice = scan_folder(tmp_path / "walk", n_jobs=1)
    assert advice.advice is not None
    assert advice.advice.slicing == "onsets"
    assert advice.files[0].hits.count == pytest.approx(len(times), abs=2)
    assert 4096 <= advice.advice.clip_length <= 16384
    assert "cut" in advice.advice.remarks[0]
    for name in ("hiss", "swell"):
        report = scan_folder(tmp_path / name, n_jobs=1)
        assert report.advice is not None
        assert report.advice.slicing == "random"
