"""Updates that are recorded and repeated, against those that are carried out each time."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fauxley.kernels import functions, shifting
from fauxley.models.conditioning import one_hot
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.training.checkpoint import from_bytes, to_bytes
from fauxley.training.cuda_graphs import WARM_UP, BufferedDraws, RecordedUpdater, Recorder, Repetition
from fauxley.training.objectives import (
    Hinge,
    MaximumLikelihood,
    NonSaturating,
    Relativistic,
    Wasserstein,
    WassersteinGP,
)
from fauxley.training.optimizers import Adam, RMSProp
from fauxley.training.ranks import ONE, OneRank
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location("tape", Path(__file__).with_name("tape.py"))
_tape = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tape)
Tape = _tape.Tape

STEPS = WARM_UP + 3
WAVE = WaveGAN(clip_length=4096, dim=2, latent_size=5)
SPECTRAL = SpecGAN(clip_length=2048, dim=2, latent_size=5, window_length=64, hop_length=64)
CASES = {
    "paper": (WAVE, WassersteinGP(critic_steps=2), Adam(decay="linear", warmup=3), 1, torch.float32),
    "shifts per example, in parts": (
        *(replace(WAVE, phase_shuffle_per_example=True), WassersteinGP(critic_steps=2), Adam(), 2, torch.float32),
    ),
    "bfloat16": (WAVE, WassersteinGP(critic_steps=1), Adam(), 1, torch.bfloat16),
    "two outcomes": (WAVE, Hinge(penalty_every=3), Adam(beta2=0.999), 1, torch.float32),
    "clipped weights": (WAVE, Wasserstein(critic_steps=2, clip=0.05), RMSProp(), 1, torch.float32),
    "moving statistics": (replace(WAVE, batch_norm=True), NonSaturating(2), Adam(), 1, torch.float32),
    "spectrograms": (*(replace(SPECTRAL, batch_norm=True, phase_shuffle=1), Relativistic(), Adam(), 1, torch.float32),),
    "labels, in parts": (
        *(replace(WAVE, labels=("a", "b", "c")), WassersteinGP(critic_steps=2), Adam(), 2, torch.float32),
    ),
    "likelihood": (WaveNet(256, dim=4, skip_dim=4, layers=3), MaximumLikelihood(), Adam(), 1, torch.float32),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(autouse=True)
def gathering(monkeypatch):
    """Shuffle as a GPU does: the CPU's slices are cut by numbers on the host."""
    monkeypatch.setattr(functions, "_are_known", lambda shifts: False)
    monkeypatch.setattr(shifting, "shift_by_slices", shifting.shift_by_gathering)
    monkeypatch.setattr(shifting, "shift_transposed_by_slices", shifting.shift_transposed_by_gathering)


def new_state(case):
    architecture, _, optimizer, _, precision = case
    return TrainingState.new(architecture, optimizer, False, 0, torch.device("cpu"), precision)


def take(case, state, updater, first=0, last=STEPS, ranks=ONE):
    """Take steps; the metrics of each."""
    architecture, objective, optimizer, accumulate, _ = case
    metrics = []
    for step in range(first, last):
        shape = (4, architecture.channels, architecture.clip_length)
        batches = [
            architecture.representation().to_features(Draws(step, 100 + n).uniform(shape, 0.5))
            for n in range(objective.num_batches)
        ]
        state.set_learning_rate(optimizer.rate(step, step / 100))
        names = architecture.known_labels
        labels = [
            one_hot([(step + n + row) % len(names) for row in range(4)], len(names))
            for n in range(objective.num_batches if names else 0)
        ]
        draws = lambda update, step=step: Draws(step, update)  # noqa: E731
        metrics.append(train_step(state, objective, batches, draws, accumulate, ranks, updater, labels))
    return metrics


def assert_same(ours, expected):
    for name, network in expected.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(ours.networks[name].state_dict()[key], value), (name, key)
    saved, wanted = (state.state_dict() for state in (ours, expected))
    for name in expected.optimizers:
        for one, other in zip(*(s[f"{name}_optimizer"]["state"].values() for s in (saved, wanted)), strict=True):
            assert all(torch.equal(one[key], other[key]) for key in other)


@each_case
@pytest.mark.parametrize("recorder", [Repetition, Tape])
def test_repeated_updates_are_those_carried_out_each_time(case, recorder):
    plain, repeated, recording = new_state(case), new_state(case), recorder()
    expected = take(case, plain, None)
    metrics = take(case, repeated, RecordedUpdater(recording))
    assert_same(repeated, plain)
    for one, other in zip(metrics, expected, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in other)
    if isinstance(recording, Tape):
        assert recording.recorded >= 2


def test_each_outcome_of_chance_has_a_recording_of_its_own():
    case = CASES["two outcomes"]
    plain, state, recorder = new_state(case), new_state(case), Tape()
    take(case, plain, None, last=24)
    metrics = take(case, state, RecordedUpdater(recorder), last=24)
    assert_same(state, plain)
    with_penalty = ["gradient_penalty" in each for each in metrics]
    assert sum(with_penalty) > WARM_UP
    assert not all(with_penalty)
    assert recorder.recorded == 6  # two halves of the generator's update, and of either of the critic's
    assert recorder.performed == 6 * WARM_UP


@pytest.mark.parametrize("at", [1, WARM_UP + 2])
def test_going_on_from_a_checkpoint_is_exact(at):
    case = CASES["paper"]
    plain, first, second = (new_state(case) for _ in range(3))
    take(case, plain, None)
    take(case, first, RecordedUpdater(Tape()), last=at)
    from_bytes(bytes(to_bytes(first)), second)
    take(case, second, RecordedUpdater(Tape()), first=at)
    assert_same(second, plain)


class Exchanging(OneRank):
    """Moves gradients into buffers of its own and changes them there, as many processes do."""

    def __init__(self):
        self.buffers = {}

    def average_gradients(self, name, network):
        weights = list(network.parameters())
        buffers = self.buffers.setdefault(name, [torch.empty_like(weight) for weight in weights])
        for weight, buffer in zip(weights, buffers, strict=True):
            weight.grad = buffer.copy_(weight.grad).mul_(0.5).sign_()


@pytest.mark.parametrize("recorder", [Repetition, Tape])
def test_gradients_are_exchanged_between_the_halves(recorder):
    case = CASES["paper"]
    plain, alone, repeated = (new_state(case) for _ in range(3))
    take(case, plain, None, ranks=Exchanging())
    take(case, alone, None)
    take(case, repeated, RecordedUpdater(recorder()), ranks=Exchanging())
    assert_same(repeated, plain)
    with pytest.raises(AssertionError):
        assert_same(alone, plain)


class Unable(Recorder):
    """Fails to record one of the two halves."""

    def __init__(self, half):
        self.left = half

    def perform(self, work):
        return work()

    def record(self, work):
        if not self.left:
            work_was_begun = "operation not permitted when stream is capturing\nmore lines"
            raise RuntimeError(work_was_begun)
        self.left -= 1
        return work


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("case", ["paper", "moving statistics", "two outcomes"])
def test_where_recording_fails_training_goes_on_plainly(half, case):
    case, said = CASES[case], []
    plain, other = new_state(case), new_state(case)
    take(case, plain, None)
    take(case, other, RecordedUpdater(Unable(half), said.append))
    assert_same(other, plain)
    assert said == ["continuing without CUDA graphs, which is slower: operation not permitted when stream is capturing"]


def test_buffered_draws_give_the_numbers_of_each_occasion_in_the_same_places():
    def ask(draws):
        return (
            *(draws.latents(3, 4), draws.happens(0.99), draws.interpolation(3)),
            *(draws.shifts(2, 3, 1, False), draws.uniform(torch.Size([2]), 1.0)),
        )

    buffered = BufferedDraws(Draws(0), torch.device("cpu"))
    first = ask(buffered)
    places = [value.data_ptr() for value in first if isinstance(value, torch.Tensor)]
    for seed in (1, 2):
        assert buffered.refill(Draws(seed))
        again = ask(buffered)
        assert [value.data_ptr() for value in again if isinstance(value, torch.Tensor)] == places
        for ours, expected in zip(again, ask(Draws(seed)), strict=True):
            assert torch.equal(torch.as_tensor(ours), torch.as_tensor(expected))
