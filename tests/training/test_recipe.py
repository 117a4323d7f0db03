"""The default recipe on given facts: sizes by hand, shapes of what it builds, what is known of sounds before."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fauxley.dataset.facts import MOST_FILES, Facts, gather_facts
from fauxley.dataset.folder_report import scan_catalogue
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.sounds.catalogue import Catalogue, list_sounds
from fauxley.training.expectations import Curve, expectations
from fauxley.training.recipe import clip_length, recipe, window_length


@pytest.mark.parametrize(
    ("rate", "seconds", "window", "samples"),
    [
        (8000, 0.5, 256, 3904),  # 64 frames of 64, less 3 hops
        (16000, 1.0, 512, 16000),  # 128 frames
        (16000, 0.01, 512, 3712),  # 32 frames are the least
        (22050, 1.0, 512, 20096),
        (44100, 1.5, 1024, 64768),  # 256 frames
        (48000, 4.0, 1024, 179456),
        (1000, 1.0, 128, 928),  # no window is shorter than 128
    ],
)
def test_window_and_clip_follow_from_rate_and_length(rate: int, seconds: float, window: int, samples: int) -> None:
    assert window_length(rate) == window
    assert clip_length(seconds, rate) == samples
    architecture = recipe(Facts(rate, 1, seconds)).architecture
    assert (architecture.window_length, architecture.hop_length) == (window, window // 4)  # type: ignore[union-attr]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("seconds", [0.1, 0.33, 0.5, 1.0, 1.5, 2.2, 4.0])
def test_a_clip_is_the_shortest_of_whole_grids_that_holds_nine_tenths(rate: int, seconds: float) -> None:
    length, window = clip_length(seconds, rate), window_length(rate)
    grid = 32 * window // 4
    assert (length + window - window // 4) % grid == 0
    assert length >= 0.9 * seconds * rate
    assert length - grid < 0.9 * seconds * rate


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "channels", "seconds"), [(44100, 2, 1.0), (48000, 1, 4.0), (48000, 2, 4.0)])
def test_stereo_and_long_clips_have_networks_that_fit(rate: int, channels: int, seconds: float) -> None:
    config = recipe(Facts(rate, channels, seconds))
    architecture = config.architecture
    assert isinstance(architecture, SpecGAN)
    audio = torch.rand(1, channels, architecture.clip_length) - 0.5
    representation = architecture.representation()
    representation.fit(iter([audio]))
    features = representation.to_features(audio)
    fake = architecture.generator(Draws(0))(torch.zeros(1, architecture.latent_size))
    assert fake.shape == features.shape
    (scores,) = architecture.critic(Draws(1)).score(features, draws=Draws(2))
    assert scores.shape == (1,)
    assert representation.to_audio(fake.detach()).shape == audio.shape


def test_a_gpu_gets_more_and_checkpoints_come_every_few_minutes() -> None:
    facts = Facts(16000, 1, 1.0)
    small, large = (recipe(facts, on_gpu=gpu) for gpu in (False, True))
    assert (small.architecture.dim, small.batch_size) == (16, 16)  # type: ignore[union-attr]
    assert (large.architecture.dim, large.batch_size) == (32, 32)  # type: ignore[union-attr]
    assert [recipe(facts, minutes).save_minutes for minutes in (3, 24, 60, 600)] == [1, 2, 5, 5]


def test_few_one_shots_are_shown_at_several_pitches() -> None:
    assert recipe(Facts(44100, 1, 1.0, "first", one_shots=773)).data.pitch == 0.5
    assert recipe(Facts(44100, 1, 1.0, "first", one_shots=3509)).data.pitch == 0
    assert recipe(Facts(44100, 1, 1.0, "random")).data.pitch == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stereo sounds of 0.5 s, one of ten longer, at 22.05 kHz, and one of a lower rate."""
    random = np.random.default_rng(0)
    for number in range(20):
        rate, seconds = (11025 if number == 3 else 22050), (0.9 if number % 10 == 7 else 0.5)
        decay = np.exp(-np.arange(round(seconds * rate)) / (0.1 * rate))[:, None]
        path = tmp_path / "sounds" / f"{'ab'[number % 2]}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * decay * random.standard_normal((len(decay), 2)), rate)
    return tmp_path / "sounds"


@pytest.mark.slow
def test_facts_of_a_folder_and_of_its_dataset_agree(folder: Path, tmp_path: Path) -> None:
    facts = gather_facts(folder, n_jobs=1)
    assert (facts.sample_rate, facts.channels, facts.slicing, facts.one_shots) == (22050, 2, "first", 20)
    assert facts.seconds == pytest.approx(0.54, abs=0.05)
    dataset = pack(folder, tmp_path / "data", PackSettings(22050, 2, clip_length=16384), n_jobs=1)
    prepared = gather_facts(dataset.folder)
    assert (prepared.sample_rate, prepared.channels, prepared.one_shots) == (22050, 2, 20)
    assert prepared.seconds == pytest.approx(facts.seconds, abs=0.01)
    assert gather_facts(folder, sample_rate=16000, channels=1, n_jobs=1).sample_rate == 16000
    with pytest.raises(UsageError, match="was prepared with 22050 Hz, not 16000"):
        gather_facts(dataset.folder, sample_rate=16000)
    with pytest.raises(UsageError, match="2 channel"):
        gather_facts(dataset.folder, channels=1)


def test_of_a_dataset_of_long_sounds_a_clip_is_as_it_was_prepared(tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    soundfile.write(tmp_path / "long" / "drone.wav", np.sin(np.arange(20 * 8000) / 5), 8000)
    dataset = pack(tmp_path / "long", tmp_path / "data", PackSettings(8000, clip_length=8192), n_jobs=1)
    assert dataset.info.slicing.mode == "random"
    assert gather_facts(tmp_path / "long", n_jobs=1) == Facts(8000, 1, 1.0, "random")
    assert gather_facts(dataset.folder).seconds == pytest.approx(1.024)
    assert gather_facts(dataset.folder).one_shots == 0


@pytest.mark.slow
def test_of_many_files_a_sample_from_all_over_the_folder_is_heard(tmp_path: Path) -> None:
    for number in range(30):
        soundfile.write(tmp_path / f"{number:02}.wav", np.full(1000, 0.1), 16000)
    catalogue = list_sounds(tmp_path)
    few = scan_catalogue(catalogue, n_jobs=1, most_files=10)
    assert [file.file for file in few.files] == [f"{number:02}.wav" for number in range(0, 30, 3)]
    assert len(scan_catalogue(catalogue, n_jobs=1, most_files=10, most_bytes=3 * 2044).files) == 3
    assert len(scan_catalogue(catalogue, n_jobs=1, most_files=10, most_bytes=1).files) == 1
    assert len(scan_catalogue(catalogue, n_jobs=1, most_files=100).files) == 30


@pytest.mark.slow
def test_a_folder_is_listed_once_and_all_its_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        soundfile.write(tmp_path / f"{number}.wav", np.full(4000, 0.1), 16000)
    monkeypatch.setattr("fauxley.dataset.facts.MOST_FILES", 2)
    listed: list[Path] = []

    def listing(folder: Path) -> Catalogue:
        listed.append(folder)
        return list_sounds(folder)

    monkeypatch.setattr("fauxley.dataset.facts.list_sounds", listing)
    assert gather_facts(tmp_path, n_jobs=1).one_shots == 5
    assert listed == [tmp_path]


@pytest.mark.slow
def test_where_all_of_the_sample_are_broken_the_others_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fauxley.dataset.facts.MOST_FILES", 1)
    (tmp_path / "0.wav").write_bytes(b"junk")
    with pytest.raises(FauxleyError, match=r"0\.wav"):
        gather_facts(tmp_path, n_jobs=1)
    soundfile.write(tmp_path / "1.wav", np.full(8000, 0.1), 16000)
    assert gather_facts(tmp_path, n_jobs=1).sample_rate == 16000
    assert MOST_FILES >= 100


def test_expectations_lie_between_measured_points_and_nothing_is_made_up() -> None:
    curve = Curve("drums", "kernel distance, in multiples of real against real,", ((1.0, 40.0), (100.0, 10.0)))
    assert curve.at(10) == pytest.approx(25)  # half of the way, on a logarithmic scale
    assert (curve.at(1), curve.at(100)) == pytest.approx((40, 10))
    assert curve.at(0.9) is curve.at(101) is None
    assert expectations(10_000, [curve]) == ["drums: kernel distance, in multiples of real against real, 25"]
    assert expectations(10, [curve]) == expectations(10_000, []) == []
