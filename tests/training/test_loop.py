"""Runs that are killed, stopped, damaged, diverge or fill the disk, and what is left of them."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fauxley.cli.main import main
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.runs import step_of
from fauxley.signal.drumkit import write_kit
from fauxley.training.cuda_graphs import Repetition
from fauxley.training.data import RealAudio, fingerprint
from fauxley.training.labels import with_labels
from fauxley.training.log import read_log
from fauxley.training.loop import Trainer
from fauxley.training.optimizers import Adam
from fauxley.training.presets import PRESETS
from fauxley.training.run import Run
from fauxley.training.state import Averaging

pytestmark = pytest.mark.slow

CONFIG = replace(
    PRESETS["wavegan-small"][1],
    architecture=WaveGAN(clip_length=4096, dim=2, latent_size=4),
    averaging=Averaging(half_life=50.0),
    steps=10,
    batch_size=4,
    log_every=1,
    checkpoint_every=5,
    preview_count=0,
)
FLAGS = """
    --clip-length 4096 --dim 2 --latent-size 4 --half-life 50 --batch-size 4
    --log-every 1 --checkpoint-every 5 --preview-count 0 --device cpu --tensorboard off --no-labels
"""
FOREVER = 1_000_000


class Listener:
    """Hears what a terminal would show."""

    def __init__(self):
        self.warnings, self.said = [], []

    def begin(self, step, steps):
        pass

    def step(self, step, steps):
        pass

    def numbers(self, values):
        pass

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warnings.append(text)


def trainer_of(path, dataset, config=CONFIG, recorder=None, **changed):
    config = replace(config, **changed)
    run = Run(path)
    run.begin(config, fingerprint(config, dataset))
    return Trainer(run, config, dataset, torch.device("cpu"), Listener(), recorder=recorder)


def train(path, dataset, config=CONFIG, **changed):
    trainer = trainer_of(path, dataset, config, **changed)
    assert trainer.train()
    return trainer


def command(path, dataset, *flags):
    return [
        "train",
        "wavegan-small",
        "--data",
        str(dataset.folder),
        "--run",
        str(path),
        *FLAGS.split(),
        *map(str, flags),
    ]


@contextmanager
def training(path, dataset, *flags):
    """`fauxley train` as a process of its own, once it has taken a few steps."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fauxley", *command(path, dataset, *flags)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            while len(read_log(Run(path))) < 5 or not (path / "checkpoints" / "step-00000005").exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def steps_logged(path):
    return [line["step"] for line in read_log(Run(path)) if "critic_loss" in line]


def newest(path):
    return Run(path).checkpoints()[-1]


def leaves(tree, path=""):
    if isinstance(tree, dict):
        return {name: leaf for key, value in tree.items() for name, leaf in leaves(value, f"{path}/{key}").items()}
    return {path: tree}


def assert_same_checkpoint(one, other):
    """Weights and all that training goes on from, bit for bit."""
    assert one.name == other.name
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    states = [leaves(torch.load(folder / "training_state.pt", weights_only=True)) for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        expected = states[1][name]
        assert torch.equal(value, expected) if isinstance(value, torch.Tensor) else value == expected, name


@pytest.fixture(scope="module")
def uninterrupted(drums, tmp_path_factory):
    """A run of ten steps."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    train(path, drums)
    return path


def damage(checkpoint):
    file = checkpoint / "training_state.pt"
    file.write_bytes(file.read_bytes()[:-1000])


def test_a_run_leaves_its_log_and_the_checkpoints_it_should(uninterrupted):
    assert steps_logged(uninterrupted) == list(range(1, 11))
    assert [step_of(folder) for folder in Run(uninterrupted).checkpoints()] == [0, 5, 10]
    model = Synthesizer.from_pretrained(uninterrupted)
    assert model.provenance.step == 10
    assert model.provenance.license == "CC0-1.0"
    assert model.sample_rate == 8000


def test_five_steps_and_five_more_are_ten(tmp_path, drums, uninterrupted):
    train(tmp_path / "run", drums, steps=5)
    train(tmp_path / "run", drums, steps=10)
    assert_same_checkpoint(newest(tmp_path / "run"), newest(uninterrupted))


def test_five_conditional_steps_and_five_more_are_ten(tmp_path, drums):
    config, _ = with_labels(CONFIG, drums.label_counts())
    assert config.architecture.labels == drums.labels
    for path, ends in (("whole", [10]), ("in two goes", [5, 10])):
        for end in ends:
            trainer = train(tmp_path / path, drums, config, steps=end)
    assert_same_checkpoint(newest(tmp_path / "in two goes"), newest(tmp_path / "whole"))
    projection = trainer.state.networks["critic"].projection.weight
    assert projection.abs().min(1).values.all(), "every label was learnt"
    recorded = train(tmp_path / "recorded", drums, config, recorder=Repetition())
    assert_same_checkpoint(newest(tmp_path / "recorded"), newest(tmp_path / "whole"))
    assert recorded.state.step == 10


def test_five_steps_at_several_pitches_and_five_more_are_ten(tmp_path, drums, uninterrupted):
    data = replace(CONFIG.data, pitch=0.5)
    for path, ends in (("whole", [10]), ("in two goes", [5, 10])):
        for end in ends:
            train(tmp_path / path, drums, data=data, steps=end)
    assert_same_checkpoint(newest(tmp_path / "in two goes"), newest(tmp_path / "whole"))
    weights = [load_file(newest(path) / "model.safetensors") for path in (tmp_path / "whole", uninterrupted)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_labels_of_a_batch_are_those_of_its_clips(drums):
    config, _ = with_labels(CONFIG, drums.label_counts())
    data = RealAudio(drums, replace(config, batch_size=16), torch.device("cpu"))
    clips = {}
    for file, entry in enumerate(drums.entries):
        clips[drums.audio(file)[0, :2000].tobytes()] = entry.label
    for number in (0, 7):
        audio, labels = data.batch(number), data.labels(number)
        assert labels.sum(0).max() - labels.sum(0).min() <= 1, "every label comes equally often"
        for clip, row in zip(audio, labels, strict=True):
            heard = clips[clip[0, :2000].numpy().tobytes()]
            assert drums.labels[int(row.argmax())] == heard
            assert row.max() == 1


def test_other_labels_than_the_models_are_refused(drums, tmp_path):
    config, _ = with_labels(CONFIG, drums.label_counts())
    one = drums.labels[0]
    few = drums.only([file for file, entry in enumerate(drums.entries) if entry.label != one])
    with pytest.raises(UsageError, match=f"has the labels {one}"):
        RealAudio(few, config, torch.device("cpu"))
    with pytest.raises(UsageError, match=f"has the labels {one}.*another folder"):
        with_labels(CONFIG, few.label_counts(), drums.labels)


def test_killed_at_any_moment_and_resumed_it_ends_in_the_same_bits(tmp_path, drums):
    with training(tmp_path / "killed", drums, "--steps", FOREVER) as process:
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
    saved = step_of(newest(tmp_path / "killed"))
    end = saved + 7

    train(tmp_path / "killed", drums, steps=end)
    train(tmp_path / "whole", drums, steps=end)

    assert_same_checkpoint(newest(tmp_path / "killed"), newest(tmp_path / "whole"))
    assert steps_logged(tmp_path / "killed") == list(range(1, end + 1))
    assert not list((tmp_path / "killed").rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_leaves_cleanly(tmp_path, drums, number):
    with training(tmp_path / "run", drums, "--steps", FOREVER) as process:
        process.send_signal(number)
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    step = int(re.search(r"stopped, saved at step (\d+)", printed)[1])
    assert "Traceback" not in errors
    assert step == step_of(newest(tmp_path / "run")) == steps_logged(tmp_path / "run")[-1]
    train(tmp_path / "run", drums, steps=step + 1)


def test_a_full_disk_ends_it_in_one_line_and_costs_no_checkpoint(tmp_path, drums, uninterrupted, capfd):
    # The first checkpoint has no Adam moments yet, so a limit on the size of files can let it pass and stop the next.
    first, later = (
        folder.joinpath("training_state.pt").stat().st_size for folder in Run(uninterrupted).checkpoints()[:2]
    )
    assert first < 0.8 * later
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(0.9 * later), limits[1]))
    try:
        code = main(command(tmp_path / "run", drums, "--steps", "10", "--quiet"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "File too large" in line
    assert [step_of(folder) for folder in Run(tmp_path / "run").checkpoints()] == [0]
    assert Synthesizer.from_pretrained(tmp_path / "run").generate(1).isfinite().all()

    train(tmp_path / "run", drums)
    assert_same_checkpoint(newest(tmp_path / "run"), newest(uninterrupted))


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, drums, uninterrupted):
    path = tmp_path / "run"
    train(path, drums)
    damage(newest(path))
    trainer = trainer_of(path, drums)
    assert trainer.state.step == 5
    (warning,) = trainer.reporter.warnings
    assert "step-00000010" in warning
    trainer.train()
    assert_same_checkpoint(newest(path), newest(uninterrupted))
    assert steps_logged(path) == list(range(1, 11))


def test_a_run_of_repeated_updates_stopped_and_resumed_ends_like_any_other(tmp_path, drums, uninterrupted):
    train(tmp_path / "run", drums, recorder=Repetition(), steps=5)
    train(tmp_path / "run", drums, recorder=Repetition(), steps=10)
    assert_same_checkpoint(newest(tmp_path / "run"), newest(uninterrupted))


def test_half_written_checkpoints_are_ignored_and_swept(tmp_path, drums):
    path = tmp_path / "run"
    train(path, drums, steps=5)
    half = path / "checkpoints" / ".partial-99999-step-00000007"
    half.mkdir()
    (half / "training_state.pt").write_bytes(b"half")
    assert trainer_of(path, drums).state.step == 5
    assert not half.exists()


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(tmp_path, drums):
    path = tmp_path / "run"
    train(path, drums, steps=1)
    for folder in Run(path).checkpoints():
        damage(folder)
    with pytest.raises(FauxleyError, match="no checkpoint can be read"):
        trainer_of(path, drums)
    assert len(Run(path).checkpoints()) == 2


def test_going_on_with_other_sounds_is_refused(tmp_path, drums):
    train(tmp_path / "run", drums, steps=1)
    write_kit(tmp_path / "kit", per_instrument=1, sample_rate=8000, duration_seconds=0.5, seed=9)
    other = pack(tmp_path / "kit", tmp_path / "other", PackSettings(sample_rate=8000, clip_length=4096), n_jobs=1)
    with pytest.raises(UsageError, match="other data"):
        trainer_of(tmp_path / "run", other)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_divergence_goes_back_once_then_stops_with_an_explanation(tmp_path, drums):
    trainer = trainer_of(tmp_path / "run", drums, optimizer=Adam(learning_rate=1e30))
    with pytest.raises(FauxleyError, match=r"diverged at step \d+ for the second time.*learning rate") as caught:
        trainer.train()
    assert "\n" not in str(caught.value)
    (warning,) = trainer.reporter.warnings
    assert re.search(r"diverged at step \d+.*Going on from step 0", warning)
    events = [line["event"] for line in read_log(Run(tmp_path / "run")) if "event" in line]
    assert len(events) == 2
    assert Synthesizer.from_pretrained(tmp_path / "run").generate(2).isfinite().all()
    steps = steps_logged(tmp_path / "run")
    assert steps == sorted(set(steps))


def test_a_set_back_run_goes_another_way_and_can_recover(tmp_path, drums):
    """A single accident: after it, training goes on from the last checkpoint and reaches its end."""
    trainer = trainer_of(tmp_path / "run", drums, steps=20)
    reached = []

    def accident(step, steps):
        reached.append(step)
        if reached.count(7) == 1 and step == 7:
            with torch.no_grad():
                next(trainer.state.networks["critic"].parameters()).fill_(torch.nan)

    trainer.reporter.step = accident
    assert trainer.train()
    assert reached == [*range(1, 8), *range(6, 21)]
    assert trainer.state.attempt == 1
    assert steps_logged(tmp_path / "run") == list(range(1, 21))
    # The attempt is part of the checkpoint: having been set back survives resuming.
    assert trainer_of(tmp_path / "run", drums, steps=20).state.attempt == 1


def test_the_averaged_generator_is_what_is_shared(uninterrupted):
    checkpoint = newest(uninterrupted)
    state = torch.load(checkpoint / "training_state.pt", weights_only=True)
    shared = load_file(checkpoint / "model.safetensors")
    for name, value in state["average"].items():
        assert torch.equal(shared[f"generator.{name}"], value), name
    assert not torch.equal(shared["generator.dense.weight"], state["generator"]["dense.weight"])


def test_without_averaging_the_generator_itself_is_shared(tmp_path, drums):
    train(tmp_path / "run", drums, steps=2, averaging=Averaging())
    checkpoint = newest(tmp_path / "run")
    state = torch.load(checkpoint / "training_state.pt", weights_only=True)
    assert "average" not in state
    assert torch.equal(
        load_file(checkpoint / "model.safetensors")["generator.dense.weight"], state["generator"]["dense.weight"]
    )


def set_weights(generator, dense=None, bias=None):
    """Make the generator do one thing whatever the latent."""
    with torch.no_grad():
        if dense is not None:
            generator.dense.weight.mul_(dense)
        if bias is not None:
            generator.layers[-1].weight.zero_()
            generator.layers[-1].bias.fill_(bias)


STUCK = {
    "makes silence": lambda generator: set_weights(generator, bias=0.0),
    "not centred on zero": lambda generator: set_weights(generator, bias=0.5),
    "mode collapse": lambda generator: torch.nn.init.uniform_(
        set_weights(generator, dense=1e-6) or generator.dense.bias, -3, 3
    ),
}


@pytest.mark.parametrize("said", STUCK)
def test_a_stuck_generator_is_noticed(tmp_path, drums, said):
    standing_still = replace(CONFIG, averaging=Averaging(), optimizer=Adam(learning_rate=1e-12), steps=4)
    trainer = trainer_of(tmp_path / "run", drums, standing_still, preview_every=2, preview_count=4)
    STUCK[said](trainer.state.generator)
    assert trainer.train()
    assert [text for text in trainer.reporter.warnings if said in text]
    assert [line for line in read_log(Run(tmp_path / "run")) if said in line.get("event", "")]
    written = {path.name for path in (tmp_path / "run" / "samples" / "step-00000004").iterdir()}
    assert written == {"00.wav", "01.wav", "02.wav", "03.wav", "sheet.png"}


def test_a_critic_that_knows_the_data_by_heart_is_noticed(tmp_path):
    write_kit(tmp_path / "kit", per_instrument=1, sample_rate=8000, duration_seconds=0.5)
    for folder in (tmp_path / "kit").iterdir():
        if folder.is_dir() and folder.name != "kick":
            folder.joinpath(f"{folder.name}-0001.wav").unlink()
    (tmp_path / "kit" / "manifest.csv").unlink()
    one_kick = pack(tmp_path / "kit", tmp_path / "one", PackSettings(sample_rate=8000, clip_length=4096), n_jobs=1)
    assert one_kick.num_clips() == 1
    config = replace(CONFIG, architecture=replace(CONFIG.architecture, phase_shuffle=0), steps=45)
    trainer = trainer_of(tmp_path / "run", one_kick, config)
    set_weights(trainer.state.generator, dense=1e-6)
    assert trainer.train()
    assert [text for text in trainer.reporter.warnings if "the critic tells real from generated" in text]


def test_the_order_of_data_depends_on_the_seed_alone(tmp_path, drums):
    first, again, other = (trainer_of(tmp_path / str(n), drums, seed=seed).data for n, seed in enumerate((3, 3, 4)))
    assert torch.equal(first.batch(5), again.batch(5))
    assert not torch.equal(first.batch(5), other.batch(5))
    assert not torch.equal(first.batch(5), first.batch(5, attempt=1))
    assert first.batch(0).shape == (4, 1, 4096)
    assert np.abs(first.batch(0).numpy()).max() <= 1


class Clock:
    """A clock on which every step takes ten seconds."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock, step = Clock(), Trainer._step

    def slow_step(self):
        clock.now += 10
        return step(self)

    monkeypatch.setattr("fauxley.training.loop.time", clock)
    monkeypatch.setattr(Trainer, "_step", slow_step)
    return clock


def test_minutes_end_a_training_and_rates_follow_them(tmp_path, drums, clock):
    optimizer = Adam(1e-3, decay="cosine")
    trainer = train(tmp_path / "run", drums, minutes=2.0, steps=1, optimizer=optimizer)
    assert trainer.state.step == 12
    rates = [line["learning_rate"] for line in read_log(trainer.run) if "learning_rate" in line]
    assert rates == pytest.approx([optimizer.rate(0, step / 12) for step in range(12)])
    assert step_of(newest(trainer.run.path)) == 12


def test_minutes_go_on_where_they_stopped(tmp_path, drums, clock):
    train(tmp_path / "run", drums, minutes=1.0)
    assert train(tmp_path / "run", drums, minutes=1.0).state.step == 6
    clock.now += 1e6  # between two sessions
    trainer = train(tmp_path / "run", drums, minutes=2.0)
    assert trainer.state.step == 12


def test_checkpoints_and_previews_can_go_by_the_clock(tmp_path, drums, clock):
    settings = {"save_minutes": 0.5, "checkpoint_every": 1, "preview_every": 1, "preview_count": 2}
    train(tmp_path / "run", drums, minutes=1.4, keep_checkpoints=10, **settings)
    saved = [0, 3, 6, 9]  # half a minute is three steps, and the last is always saved
    assert [step_of(folder) for folder in Run(tmp_path / "run").checkpoints()] == saved
    assert sorted(step_of(folder) for folder in (tmp_path / "run" / "samples").iterdir()) == saved[1:]
    assert train(tmp_path / "run", drums, minutes=2.0, keep_checkpoints=10, **settings).state.step == 12
    assert [step_of(folder) for folder in Run(tmp_path / "run").checkpoints()] == [*saved, 12]
