"""The ways by which samples reach the device: the same batches, bit for bit."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.dataset.slicing import Slicing
from fauxley.errors import UsageError
from fauxley.models.wavegan import WaveGAN
from fauxley.signal.pitch import at_pitch
from fauxley.training.config import Data
from fauxley.training.data import MappedReader, PrefetchingReader, RealAudio, ResidentReader, choose_reader, to_float
from fauxley.training.presets import PRESETS
from fauxley.training.ranks import OneRank

CPU = torch.device("cpu")
CONFIG = replace(PRESETS["wavegan-small"][1], architecture=WaveGAN(clip_length=4096, dim=2), batch_size=7)


class SomeRows(OneRank):
    rows = np.array([1, 4, 6])  # type: ignore[assignment]


@pytest.fixture(scope="module")
def in_shards(kit, tmp_path_factory):
    """Clips longer than some files, so that they are padded; several shards."""
    settings = PackSettings(sample_rate=8000, clip_length=4096)
    return pack(kit, tmp_path_factory.mktemp("packed") / "shards", settings, n_jobs=1, shard_bytes=20_000)


@pytest.fixture(params=["one file", "shards", "a selection"])
def dataset(request, drums, in_shards):
    if request.param == "a selection":
        return in_shards.only(range(1, len(in_shards.entries), 2))
    return drums if request.param == "one file" else in_shards


@pytest.mark.parametrize("reader", [ResidentReader, PrefetchingReader])
@pytest.mark.parametrize("slicing", ["first", "all", "random"])
@pytest.mark.parametrize("balance_labels", [False, True])
@pytest.mark.parametrize("clip_length", [4096, 16384])
def test_every_way_gives_the_batches_of_the_memory_map(dataset, reader, slicing, balance_labels, clip_length):
    architecture = WaveGAN(clip_length=clip_length, dim=2)
    config = replace(CONFIG, architecture=architecture, data=Data(slicing=slicing, balance_labels=balance_labels))
    for ranks in (OneRank(), SomeRows()):
        other = RealAudio(dataset, config, CPU, ranks, reader(dataset, CPU))
        mapped = RealAudio(dataset, config, CPU, ranks, MappedReader(dataset, CPU))
        for request in ((0,), (1,), (2,), (40,), (41, 1), (41,), (0, 0, 3)):  # also back and forth
            expected = mapped.batch(*request)
            assert expected.any()
            assert torch.equal(other.batch(*request), expected)
        other.close()


def test_the_kit_has_several_shards_and_short_clips(in_shards):
    assert len(list(in_shards.whole())) > 2
    assert min(entry.num_samples for entry in in_shards.entries) < 16384


def test_a_cpu_reads_the_memory_map(drums):
    assert type(choose_reader(drums, CPU)) is MappedReader


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fauxley-batches")]


def test_the_thread_ends_with_training_and_can_begin_again(drums):
    data = RealAudio(drums, CONFIG, CPU, reader=PrefetchingReader(drums, CPU))
    first = data.batch(0)
    assert len(workers()) == 1
    data.close()
    assert not workers()
    assert torch.equal(data.batch(0), first)
    data.close()
    assert not workers()


def test_the_thread_reads_ahead(drums, monkeypatch):
    read, real = [], Dataset.batch
    third = threading.Event()

    def batch(self, step, *args, **options):
        read.append(step)
        if len(read) == 3:
            third.set()
        return real(self, step, *args, **options)

    monkeypatch.setattr(Dataset, "batch", batch)
    data = RealAudio(drums, CONFIG, CPU, reader=PrefetchingReader(drums, CPU))
    data.batch(5)
    assert third.wait(10)
    data.batch(6)
    data.close()
    assert read[:3] == [5, 6, 7]
    assert read.count(6) == 1


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_wanted(drums, monkeypatch):
    data = RealAudio(drums, CONFIG, CPU, reader=PrefetchingReader(drums, CPU))
    data.batch(0)

    def unplugged(self, *args, **options):
        raise OSError("the disk is gone")

    monkeypatch.setattr(Dataset, "batch", unplugged)
    with pytest.raises(OSError, match="the disk is gone"):
        [data.batch(number) for number in range(2, 5)]
    data.close()
    assert not workers()


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stereo")
    for number in range(6):
        wave = np.sin(0.2 * np.arange(3000 + 300 * number)) * np.exp(-np.arange(3000 + 300 * number) / 900)
        soundfile.write(folder / f"{number}.wav", np.stack([0.5 * wave, -0.25 * wave], 1), 8000)
    return pack(folder, folder / "packed", PackSettings(8000, 2, clip_length=4096), n_jobs=1)


def with_pitch(pitch, batch_size=16, channels=2):
    architecture = WaveGAN(clip_length=4096, dim=2, channels=channels)
    return replace(CONFIG, architecture=architecture, batch_size=batch_size, data=Data(8000, pitch=pitch))


def test_clips_are_shown_at_five_pitches_each_as_often(stereo):
    data, plain = RealAudio(stereo, with_pitch(2.0), CPU), RealAudio(stereo, with_pitch(0.0), CPU)
    found = []
    for number in range(20):
        for clip, own in zip(data.batch(number), plain.batch(number), strict=True):
            versions = [at_pitch(own[None], pitch)[0] if pitch else own for pitch in (-2, -1, 0, 1, 2)]
            distances = [float((clip - version).abs().max()) for version in versions]
            found.append(int(np.argmin(distances)))
            assert min(distances) < 1e-5
    counts = np.bincount(found, minlength=5)
    assert counts.sum() == 320
    assert counts.min() > 40  # of 64 expected


def test_pitches_are_a_function_of_seed_and_number_whatever_was_read_before_and_by_whom(stereo):
    config = with_pitch(0.5)
    whole = RealAudio(stereo, config, CPU)
    batches = [whole.batch(number) for number in range(4)]
    again = RealAudio(stereo, config, CPU, reader=PrefetchingReader(stereo, CPU))
    assert torch.equal(again.batch(3), batches[3])
    again.close()
    assert not torch.equal(whole.batch(3, attempt=1), batches[3])

    class Half(OneRank):
        rows = slice(1, None, 2)

    torch.testing.assert_close(RealAudio(stereo, config, CPU, Half()).batch(2), batches[2][1::2], rtol=0, atol=1e-6)


def test_without_pitches_and_for_previews_clips_are_as_they_are(stereo):
    data, plain = RealAudio(stereo, with_pitch(0.5), CPU), RealAudio(stereo, with_pitch(0.0), CPU)
    expected = to_float(torch.from_numpy(stereo.batch(3, 16, 0, slicing=Slicing("first", 4096))))
    assert torch.equal(plain.batch(3), expected)
    assert not torch.equal(data.batch(3), expected)
    assert torch.equal(data.batch(3, size=16), expected)
    (only,), (first, lower, higher) = plain.once(), data.once()
    assert torch.equal(only, first)
    assert torch.equal(lower, at_pitch(first, -0.5))
    assert torch.equal(higher, at_pitch(first, 0.5))


@pytest.mark.parametrize("pitch", [-0.5, 12.5, float("nan")])
def test_pitches_have_a_range(pitch):
    with pytest.raises(UsageError, match="pitch must be between 0 and 12 semitones"):
        Data(pitch=pitch)
