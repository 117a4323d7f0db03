"""Packing as users meet it: killed, out of disk, repeated, on huge files, into places that are taken."""

import csv
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fauxley.dataset import parts
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.folder_report import scan_folder
from fauxley.dataset.pack_settings import PackSettings, is_one_shot
from fauxley.dataset.packing import open_or_prepare, pack
from fauxley.dataset.slicing import Slicing
from fauxley.errors import FauxleyError

_PACK = """
import sys
from pathlib import Path
from fauxley.dataset.packing import pack
try:
    folder, dataset, jobs = sys.argv[1:]
    report = lambda done, total: print(done, flush=True)
    pack(Path(folder), Path(dataset), n_jobs=int(jobs), progress=report)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _many(folder: Path, count: int, seconds: float = 0.05) -> Path:
    """More files than fit into a part."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(count):
        soundfile.write(folder / f"{index:04d}.wav", random.uniform(-0.5, 0.5, int(8000 * seconds)), 8000)
    return folder


@pytest.mark.slow
def test_same_input_same_bytes_whatever_the_parallelism_and_the_place(sounds: Path, tmp_path: Path) -> None:
    one = pack(sounds, tmp_path / "one", n_jobs=1)
    moved = sounds.rename(tmp_path / "elsewhere")
    for path in moved.rglob("*"):
        os.utime(path, (1, 1))
    two = pack(moved, tmp_path / "two", n_jobs=2)
    assert _contents(one.folder) == _contents(two.folder)
    assert set(_contents(one.folder)) == {"audio.int16", "dataset.json", "manifest.csv", "skipped.csv"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_second_run_finds_the_first_and_a_change_is_noticed(sounds: Path, tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    pack(sounds, target)
    before = (target / "audio.int16").stat()
    pack(sounds, target)
    assert (target / "audio.int16").stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(FauxleyError, match="overwrite it"):
        pack(sounds, target, PackSettings(sample_rate=8000))
    soundfile.write(sounds / "kick" / "00.wav", np.full(400, 0.25), 16000)
    with pytest.raises(FauxleyError, match="overwrite it"):
        pack(sounds, target)
    assert (target / "audio.int16").stat().st_mtime_ns == before.st_mtime_ns
    assert pack(sounds, target, PackSettings(sample_rate=8000), overwrite=True).sample_rate == 8000


def test_nothing_but_a_dataset_is_ever_replaced(sounds: Path, tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.txt").write_text("...")
    for overwrite in (False, True):
        with pytest.raises(FauxleyError, match="is not a dataset"):
            pack(sounds, precious, overwrite=overwrite)
    assert (precious / "chapter1.txt").read_text() == "..."


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    folder = _many(tmp_path / "sounds", 64 * 6)
    whole = _contents(pack(folder, tmp_path / "whole", n_jobs=1).folder)
    target = tmp_path / "dataset"
    command = [sys.executable, "-c", _PACK, folder, target, "1"]
    resumed_at = []
    for wanted in (1, 128, 257):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            progress = [int(process.stdout.readline())]
            while progress[-1] < wanted:
                progress.append(int(process.stdout.readline()))
            process.send_signal(signal.SIGKILL)
        resumed_at.append(progress[0])
        assert not target.exists()
        with pytest.raises(FauxleyError):
            Dataset.open(target)
    assert resumed_at[0] == 0
    assert resumed_at[2] >= 128  # what was done is not done again
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) >= 256
    assert _contents(target) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "sounds", "whole"]


@pytest.mark.slow
def test_a_half_written_store_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power lost while a part was being appended: its tail is garbage, the part is still there."""
    folder = _many(tmp_path / "sounds", 130)
    whole = _contents(pack(folder, tmp_path / "whole", n_jobs=1).folder)

    def append_half(source, store, num_bytes):  # type: ignore[no-untyped-def]
        store.write(source.read(num_bytes)[:1001])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fauxley.dataset.shards.copy_bytes", append_half)
        with pytest.raises(KeyboardInterrupt):
            pack(folder, tmp_path / "dataset", n_jobs=1)
    assert _contents(pack(folder, tmp_path / "dataset", n_jobs=1).folder) == whole


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_out_of_disk_it_says_so_and_goes_on_later(tmp_path: Path, jobs: str) -> None:
    """A limit on file size stands in for a full disk: writing fails at the same places, with an errno of its own."""
    folder = _many(tmp_path / "sounds", 64 * 4)
    target = tmp_path / "dataset"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))

    command = [sys.executable, "-c", _PACK, folder, target, jobs]
    failed = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert failed.returncode == 1
    assert failed.stderr.startswith("FauxleyError: no room for")
    assert not target.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) > 0
    assert _contents(target) == _contents(pack(folder, tmp_path / "whole").folder)


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    folder = _many(tmp_path / "sounds", 64 * 4)
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only the superuser may mount a small disk")
    try:
        with pytest.raises(FauxleyError, match="No space left on device"):
            pack(folder, small / "dataset", n_jobs=1)
        assert not (small / "dataset").exists()
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        assert len(pack(folder, small / "dataset", n_jobs=1).entries) == 64 * 4
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


@pytest.mark.slow
def test_hours_of_audio_need_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    with soundfile.SoundFile(folder / "long.flac", "w", 8000, 1) as file:
        minute = (0.25 * np.sin(np.arange(8000 * 60) * 0.3)).astype(np.float32)
        for _ in range(60):
            file.write(minute)
    settings = PackSettings(sample_rate=16000)
    tracemalloc.start()
    try:
        dataset = pack(folder, tmp_path / "dataset", settings, n_jobs=1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        scan_folder(folder, n_jobs=1)
        _, scan_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dataset.duration_seconds == 3600  # 230 MB as float32
    assert peak < 64 << 20
    assert scan_peak < 32 << 20
    assert dataset.info.slicing.mode == "random"
    assert np.abs(dataset.batch(10, 8, 0)).max() > 20000


def test_peaks_are_normalised_over_all_channels_before_slicing(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    stereo = np.zeros((1000, 2))
    stereo[900] = 0.5, -0.25
    soundfile.write(folder / "a.wav", stereo, 16000)
    soundfile.write(folder / "b.wav", np.zeros((100, 2)), 16000)
    loud = pack(folder, tmp_path / "loud", PackSettings(channels=2))
    np.testing.assert_allclose(loud.audio(0)[:, 900], [1, -0.5], atol=1e-4)
    assert loud.entries[0].peak == 0.5
    assert not loud.audio(1).any()
    as_is = pack(folder, tmp_path / "as_is", PackSettings(channels=2, normalize=False))
    np.testing.assert_allclose(as_is.audio(0)[:, 900], [0.5, -0.25], atol=1e-6)


@pytest.mark.slow
def test_one_bad_file_stops_nothing_unless_strict(sounds: Path, tmp_path: Path) -> None:
    (sounds / "kick" / "bad.wav").write_bytes(b"RIFF....")
    dataset = pack(sounds, tmp_path / "dataset")
    assert [skip.file for skip in dataset.skipped()] == ["kick/bad.wav"]
    assert len(dataset.entries) == 30
    with pytest.raises(FauxleyError, match=r"1 of the files cannot be used; the first: kick/bad.wav: "):
        pack(sounds, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_a_folder_of_nothing_but_broken_files(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.wav").write_bytes(b"junk")
    with pytest.raises(FauxleyError, match=r"a\.wav: not recognised"):
        pack(tmp_path / "sounds", tmp_path / "dataset")
    assert [path.name for path in tmp_path.iterdir()] == ["sounds"]


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.full(100, 0.5), 16000)
    name = os.fsdecode(b'caf\xe9, "x"\n.wav')
    (folder / "a.wav").rename(folder / name)
    dataset = pack(folder, tmp_path / "dataset")
    assert dataset.entries[0].file == name
    assert len(pack(folder, tmp_path / "dataset").entries) == 1
    assert (folder / Dataset.open(dataset.folder).entries[0].file).exists()


def test_the_manifest_carries_labels_licences_and_duplicates(sounds: Path, tmp_path: Path) -> None:
    (sounds / "hat" / "zz.wav").write_bytes((sounds / "kick" / "00.wav").read_bytes())
    names = sorted(path.relative_to(sounds).as_posix() for path in sounds.rglob("*.*"))
    with (sounds / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "license"])
        writer.writerows([name, f"label of {name}", "CC-BY-4.0"] for name in names)
    dataset = pack(sounds, tmp_path / "dataset")
    assert [entry.file for entry in dataset.entries] == names
    assert {entry.license for entry in dataset.entries} == {"CC-BY-4.0"}
    assert len(dataset.labels) == 31
    warnings = {entry.file: entry.warnings for entry in dataset.entries}
    assert "same content as hat/zz.wav" in warnings["kick/00.wav"]


def test_slicing_is_chosen_by_length(tmp_path: Path) -> None:
    folder = _many(tmp_path / "sounds", 3, seconds=1)
    assert pack(folder, tmp_path / "1").info.slicing == Slicing("first", 16384)
    assert pack(folder, tmp_path / "2", PackSettings(clip_length=4096)).info.slicing == Slicing("random", 4096)


def test_one_shots_with_silent_tails_give_their_first_clip(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 20_000)
    hits, drones = tmp_path / "hits", tmp_path / "drones"
    for index in range(5):  # 1.25 s, the hits of which sound for a tenth of a second
        for folder, envelope in ((hits, np.exp(-np.arange(20_000) / 500)), (drones, np.ones(20_000))):
            folder.mkdir(exist_ok=True)
            soundfile.write(folder / f"{index}.wav", (0.5 + 0.05 * index) * envelope * noise, 16000)
    soundfile.write(hits / "drone.wav", 0.5 * noise, 16000)
    settings = PackSettings(clip_length=4096)
    assert pack(hits, tmp_path / "1", settings).info.slicing == Slicing("first", 4096)
    assert pack(hits, tmp_path / "1", settings).info.slicing == Slicing("first", 4096)  # known as the same again
    assert pack(drones, tmp_path / "2", settings).info.slicing == Slicing("random", 4096)


def test_scan_advises_the_first_clip_of_hits_with_long_tails(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 100_000)
    hits, drones = tmp_path / "hits", tmp_path / "drones"
    for folder, envelope in ((hits, np.exp(-np.arange(100_000) / 3000)), (drones, np.ones(100_000))):
        folder.mkdir()
        for index in range(3):  # 6.25 s, the hits of which sound for half a second
            soundfile.write(folder / f"{index}.wav", (0.5 + 0.05 * index) * envelope * noise, 16000)
    advice = [scan_folder(folder, n_jobs=1).advice for folder in (hits, drones)]
    assert [a and (a.slicing, a.clip_length) for a in advice] == [("first", 8192), ("random", 16384)]


def test_what_counts_as_a_one_shot() -> None:
    loud, quiet = np.full((1000, 2), 30_000, np.int16), np.full((400_000, 2), 1000, np.int16)
    assert is_one_shot(loud, 1000)
    assert is_one_shot(np.concatenate([loud, quiet[:8000]]), 1000)  # 0.9 % of the energy is behind
    assert not is_one_shot(np.concatenate([loud, quiet]), 1000)  # 31 %
    assert is_one_shot(np.concatenate([np.concatenate([loud, quiet])] * 2), 900_000)
    assert is_one_shot(np.concatenate([loud, 0 * quiet]), 1000)


@contextmanager
def _packing(folder: Path, dataset: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that packs, stopped in the midst of it; it goes on in the end."""
    command = [sys.executable, "-c", _PACK, folder, dataset, "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.stdout.read()


@contextmanager
def _when_it_waits(action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the block, call `action` instead of the second sleep of one that waits, and expect one warning of it."""
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 2:
            action()
        wait(seconds)

    wait = time.sleep
    monkeypatch.setattr("fauxley.storage.time.sleep", sleep)
    with pytest.warns(UserWarning, match="another process is preparing .*sounds; waiting until it is done") as told:
        yield
    assert len(told) == 1


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
def test_who_comes_second_waits_and_takes_what_the_first_has_made(
    tmp_path: Path, end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    folder = _many(tmp_path / "sounds", 64 * 3)
    whole = _contents(pack(folder, tmp_path / "whole", n_jobs=1).folder)
    with (
        _packing(folder, tmp_path / "dataset") as process,
        _when_it_waits(lambda: process.send_signal(end), monkeypatch),
    ):
        pack(folder, tmp_path / "dataset", n_jobs=1, progress=lambda done, total: seen.append(done))
    assert process.returncode == (0 if end == signal.SIGCONT else -end)
    assert bool(seen) == (end == signal.SIGKILL)  # of a process that was killed the work is continued
    assert _contents(tmp_path / "dataset") == whole
    assert {path.name for path in tmp_path.iterdir()} == {"sounds", "whole", "dataset"}


@pytest.mark.slow
def test_who_waits_for_a_cache_or_to_overwrite_takes_the_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = _many(tmp_path / "sounds", 64 * 3), tmp_path / "cache"
    place = open_or_prepare(folder, cache_dir=cache, n_jobs=1).folder
    shutil.rmtree(place)
    with _packing(folder, place) as process, _when_it_waits(lambda: process.send_signal(signal.SIGCONT), monkeypatch):
        dataset = open_or_prepare(folder, cache_dir=cache, progress=lambda done, total: pytest.fail("done twice"))
    assert dataset.folder == place
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.slow
def test_waiting_ends_at_once_when_it_is_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _many(tmp_path / "sounds", 64 * 3)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _packing(folder, tmp_path / "dataset") as process:
        with _when_it_waits(interrupt, monkeypatch), pytest.raises(KeyboardInterrupt):
            pack(folder, tmp_path / "dataset", n_jobs=1)
        assert not (tmp_path / "dataset").exists()
    assert process.returncode == 0
    assert len(Dataset.open(tmp_path / "dataset").entries) == 64 * 3


@pytest.mark.slow
def test_a_dataset_with_other_settings_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    folder, target = _many(tmp_path / "sounds", 64 * 3), tmp_path / "dataset"

    def come_between(done: float, total: int) -> None:
        if done == total:
            pack(folder, target, PackSettings(sample_rate=4000), n_jobs=1)

    with pytest.raises(FauxleyError, match="made from other files or settings"):
        pack(folder, target, n_jobs=1, progress=come_between)
    assert Dataset.open(target).sample_rate == 4000
    assert {path.name for path in tmp_path.iterdir()} == {"sounds", "dataset"}


@pytest.mark.slow
def test_training_prepares_into_a_cache_once_and_again_after_a_change(sounds: Path, tmp_path: Path) -> None:
    first = open_or_prepare(sounds, cache_dir=tmp_path / "cache")
    begin = time.perf_counter()
    again = open_or_prepare(sounds, cache_dir=tmp_path / "cache")
    assert time.perf_counter() - begin < 0.5
    assert again.folder == first.folder
    assert open_or_prepare(first.folder).folder == first.folder
    (first.folder / "audio.int16").write_bytes(b"")
    assert len(open_or_prepare(sounds, cache_dir=tmp_path / "cache").entries) == 30
    (sounds / "kick" / "00.wav").unlink()
    assert len(open_or_prepare(sounds, cache_dir=tmp_path / "cache").entries) == 29


def test_parts_depend_on_the_list_alone_and_are_bounded(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fauxley.sounds.catalogue import list_sounds

    catalogue = list_sounds(sounds)
    monkeypatch.setattr(parts, "_PART_FILES", 7)
    dealt = parts.split_into_parts(catalogue.sounds)
    assert [len(part) for part in dealt] == [7, 7, 7, 7, 2]
    assert [name for part in dealt for name in part] == [sound.file for sound in catalogue.sounds]


@pytest.mark.slow
@pytest.mark.parametrize("work", ["scan", "pack"])
def test_progress_shows_inside_a_long_file(tmp_path: Path, work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fauxley.dataset.shared_progress._EVERY_SECONDS", 0.001)
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "long.flac", np.zeros(8000 * 600), 8000)
    seen: list[tuple[float, int]] = []
    if work == "scan":
        scan_folder(folder, n_jobs=1, progress=lambda done, total: seen.append((done, total)))
    else:
        pack(folder, tmp_path / "dataset", n_jobs=1, progress=lambda done, total: seen.append((done, total)))
    done = [share for share, _ in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 1
    assert sum(0 < share < 1 for share in done) >= 3
    assert {total for _, total in seen} == {1}
