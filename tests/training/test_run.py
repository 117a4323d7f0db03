"""The folder of a run: what it refuses, keeps and forgets."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from fauxley.errors import FauxleyError, UsageError
from fauxley.models.wavegan import WaveGAN
from fauxley.runs import step_of
from fauxley.training.config import TrainingConfig
from fauxley.training.objectives import Relativistic, WassersteinGP
from fauxley.training.optimizers import Adam
from fauxley.training.run import Run

CONFIG = TrainingConfig("test", WaveGAN(4096, dim=2), WassersteinGP(), steps=10, batch_size=4)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    run.begin(CONFIG, "data")
    save(run, 0)
    return run


def save(run, *steps, keep=3, milestone_every=0):
    for step in steps:
        run.save(step, lambda folder, step=step: (folder / "weights").write_text(str(step)), keep, milestone_every)


def kept(run):
    return [step_of(folder) for folder in run.checkpoints()]


def test_a_run_remembers_what_was_asked_for(run):
    assert run.exists
    assert run.read() == (CONFIG, "data")
    run.begin(CONFIG, "data")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed = 0, not 1"),
        ({"batch_size": 8}, "batch_size = 4, not 8"),
        ({"architecture": WaveGAN(4096, dim=3)}, "architecture.dim = 2, not 3"),
        ({"optimizer": Adam(1e-3)}, "optimizer.learning_rate = 0.0001, not 0.001"),
        ({"objective": Relativistic()}, "objective = WassersteinGP, not Relativistic"),
        ({"objective": WassersteinGP(critic_steps=1)}, "objective.critic_steps = 5, not 1"),
    ],
)
def test_going_on_otherwise_is_refused_and_the_field_named(run, changed, named):
    save(run, 1)
    with pytest.raises(UsageError, match=named) as caught:
        run.begin(replace(CONFIG, **changed), "data")
    assert "\n" not in str(caught.value)
    assert run.read()[0] == CONFIG


def test_going_on_with_other_data_is_refused(run):
    save(run, 1)
    with pytest.raises(UsageError, match="other data"):
        run.begin(CONFIG, "other")


def test_a_run_that_has_learnt_nothing_may_begin_otherwise_from_new_weights(run):
    run.begin(replace(CONFIG, batch_size=8), "other")
    assert run.read() == (replace(CONFIG, batch_size=8), "other")
    assert kept(run) == []


@pytest.mark.parametrize("trace", ["run.lock", ".partial-1-config.json", "checkpoints/", "samples/"])
def test_what_a_run_leaves_that_was_ended_at_once_stands_in_no_way(trace, tmp_path):
    path = tmp_path / "run" / trace
    path.parent.mkdir()
    path.mkdir() if trace.endswith("/") else path.write_text("")
    Run(tmp_path / "run").begin(CONFIG, "data")


def test_a_model_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "config.json").write_text('{"format_version": 1, "architecture": {}}')
    with pytest.raises(FauxleyError, match="not a run"):
        Run(tmp_path).begin(CONFIG, "data")
    assert "architecture" in (tmp_path / "config.json").read_text()


def test_a_run_that_never_came_to_a_checkpoint_may_begin_otherwise(tmp_path):
    other = replace(CONFIG, seed=1)
    for config in (CONFIG, other):
        Run(tmp_path / "run").begin(config, "data")
    assert Run(tmp_path / "run").read()[0] == other


def test_how_long_and_how_often_may_change(run):
    longer = replace(CONFIG, steps=20, log_every=1, checkpoint_every=2, preview_every=3, keep_checkpoints=9)
    run.begin(longer, "data")
    assert run.read()[0] == longer


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not a run"):
        Run(tmp_path).begin(CONFIG, "data")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"format_version": 99}', '{"format_version": 1, "data": ""}']
)
def test_a_damaged_configuration_is_said_to_be_one(run, content):
    (run.path / "config.json").write_text(content)
    with pytest.raises(FauxleyError, match=str(run.path)) as caught:
        run.begin(CONFIG, "data")
    assert "\n" not in str(caught.value)


def test_settings_that_no_longer_exist_are_named(run):
    file = run.path / "config.json"
    content = json.loads(file.read_text())
    content["config"]["optimiser"] = content["config"].pop("optimizer")
    file.write_text(json.dumps(content))
    with pytest.raises(FauxleyError, match="did you mean 'optimizer'"):
        run.read()


def test_the_newest_checkpoints_are_kept_and_milestones_for_good(run):
    save(run, 0, 10, 20, 30, 40, 50, 60, 70, keep=2, milestone_every=30)
    assert kept(run) == [30, 60, 70]
    save(run, 80, 90, 100, keep=1, milestone_every=0)
    assert kept(run) == [100]


def test_a_checkpoint_that_fails_costs_none_that_is_there(run):
    save(run, 1, 2, 3)

    def fail(folder):
        (folder / "weights").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run.save(4, fail, 1, 0)
    assert kept(run) == [1, 2, 3]
    assert len(list((run.path / "checkpoints").iterdir())) == 3


def test_leftovers_are_passed_over_and_swept(run):
    save(run, 5, keep=1)
    leftovers = [
        run.path / "checkpoints" / ".partial-1-step-00000009",
        run.samples / ".partial-1-step-00000009",
        run.path / ".partial-1-config.json",
    ]
    leftovers[0].mkdir()
    leftovers[1].mkdir()
    leftovers[2].write_text("half")
    assert kept(run) == [5]
    run.begin(CONFIG, "data")
    assert not any(path.exists() for path in leftovers)
    assert kept(run) == [5]


def test_what_comes_after_a_step_is_forgotten(run):
    save(run, 5, 10, 15)
    for step in (5, 15):
        (run.samples / f"step-{step:08d}").mkdir()
    run.forget_after(10)
    assert kept(run) == [5, 10]
    assert [step_of(folder) for folder in run.samples.iterdir()] == [5]


def test_folders_of_other_names_do_no_harm(run):
    save(run, 5)
    (run.path / "checkpoints" / "step-00000005 (copy)").mkdir()
    (run.path / "checkpoints" / "best").mkdir()
    (run.samples / "step-by-step").mkdir()
    run.forget_after(3)
    assert kept(run) == [0]
    assert (run.path / "checkpoints" / "step-00000005 (copy)").exists()


@pytest.mark.slow
def test_two_processes_cannot_train_one_run(tmp_path):
    run = Run(tmp_path / "run")
    run.begin(CONFIG, "data")
    code = (
        "import sys; from pathlib import Path; from fauxley.training.run import Run; run = Run(Path(sys.argv[1])); "
        "config, data = run.read(); run.begin(config, data)"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is being trained by another process" in second.stderr
