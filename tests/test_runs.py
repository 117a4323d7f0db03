"""Which checkpoint a run means."""

import json
import shutil

import pytest

from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Provenance, Synthesizer, load
from fauxley.models.wavegan import WaveGAN
from fauxley.runs import Best, model_folders, read_best, record_best


@pytest.fixture
def run(tmp_path):
    """A run of three checkpoints whose steps tell them apart."""
    architecture = WaveGAN(4096, dim=1)
    for step in (10, 20, 30):
        model = Synthesizer(architecture, architecture.generator(Draws(step)), architecture.representation(), 8000)
        model.provenance = Provenance(step=step)
        model.save(tmp_path / "checkpoints" / f"step-{step:08d}")
    return tmp_path


def best(run, step):
    return Best(run / "checkpoints" / f"step-{step:08d}", "kernel/log-mel", 1.5)


def test_a_run_means_its_newest_checkpoint_until_a_best_one_is_recorded(run):
    assert load(run).provenance.step == 30
    record_best(run, best(run, 20))
    assert read_best(run) == best(run, 20)
    assert load(run).provenance.step == 20
    assert [int(folder.name[-2:]) for folder in model_folders(run)] == [20, 30, 10]
    record_best(run, best(run, 10))
    assert load(run).provenance.step == 10


def test_a_damaged_or_vanished_best_checkpoint_is_passed_over(run):
    record_best(run, best(run, 20))
    (run / "checkpoints" / "step-00000020" / "model.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="passing over"):
        assert load(run).provenance.step == 30
    shutil.rmtree(run / "checkpoints" / "step-00000020")
    assert load(run).provenance.step == 30


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '"best"',
        "[" * 100_000,
        json.dumps({"checkpoint": "../checkpoints/step-00000010", "metric": "m", "value": 1}),
        json.dumps({"checkpoint": "/etc", "metric": "m", "value": 1}),
        json.dumps({"checkpoint": "step-00000010", "metric": "m", "value": float("nan")}),
        json.dumps({"checkpoint": "step-00000010"}),
        json.dumps({"checkpoint": "step-00000010", "metric": "m", "value": 10**350}),
        json.dumps({"checkpoint": "step-00000010", "metric": "m", "value": "9" * 5000}),
        json.dumps({"checkpoint": ["step-00000010"], "metric": "m", "value": 1}),
        json.dumps({"checkpoint": "step-00000010\0", "metric": "m", "value": 1}),
        json.dumps({"checkpoint": "step-00000010", "metric": "m" * (1 << 20), "value": 1}),
    ],
)
def test_a_record_that_makes_no_sense_is_none_and_a_warning_says_so(run, content):
    (run / "best.json").write_text(content)
    with pytest.warns(UserWarning, match="passing over .*best.json"):
        assert read_best(run) is None
    with pytest.warns(UserWarning, match="passing over .*best.json"):
        assert load(run).provenance.step == 30


def test_a_record_of_a_checkpoint_that_is_gone_is_none(run):
    (run / "best.json").write_text(json.dumps({"checkpoint": "step-99999999", "metric": "m", "value": 1}))
    assert read_best(run) is None
    assert load(run).provenance.step == 30
