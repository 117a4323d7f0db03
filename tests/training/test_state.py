"""Checkpoints of training come back exactly, and damaged or hostile ones not at all."""

import pickle

import pytest
import torch

from fauxley.errors import FauxleyError
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

SMALL = WaveGAN(clip_length=4096, dim=1, latent_size=3, batch_norm=True)


def new_state(architecture=SMALL, averaged=True, seed=0):
    return TrainingState.new(architecture, Adam(), averaged, seed, torch.device("cpu"))


def step(state):
    torch.manual_seed(state.step)
    real = torch.rand(2, 1, 4096) - 0.5
    train_step(state, Relativistic(), [real], lambda update, now=state.step: Draws(now, update))


def flat(tree, path=""):
    """All leaves of nested dictionaries and lists."""
    if isinstance(tree, (dict, list, tuple)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {name: leaf for key, value in items for name, leaf in flat(value, f"{path}/{key}").items()}
    return {path: tree}


def assert_equal_states(one, other):
    one, other = flat(one.state_dict()), flat(other.state_dict())
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name], name


def test_a_restored_state_goes_on_exactly_as_the_original(tmp_path):
    original, restored = new_state(), new_state(seed=1)
    step(original)
    original.attempt = 1
    original.write(tmp_path)
    restored.read(tmp_path)
    assert_equal_states(restored, original)
    for state in (original, restored):
        step(state)
    assert restored.step == 2
    assert_equal_states(restored, original)


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def flip(path, tmp_path):
    content = bytearray(path.read_bytes())
    content[content.index(new_state().networks["critic"].dense.weight.detach().numpy().tobytes()) + 1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "missing": lambda path, tmp_path: path.unlink(),
    "empty": lambda path, tmp_path: path.write_bytes(b""),
    "cut short": lambda path, tmp_path: path.write_bytes(path.read_bytes()[:-500]),
    "half": lambda path, tmp_path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a bit flipped": flip,
    "not ours": lambda path, tmp_path: path.write_text("hello"),
    "a list": lambda path, tmp_path: torch.save([1, 2], path),
    "words for tensors": lambda path, tmp_path: torch.save({"step": 1, "generator": "x"}, path),
    "a bomb": lambda path, tmp_path: torch.save({"step": Bomb(tmp_path / "boom")}, path),
    "a bare bomb": lambda path, tmp_path: path.write_bytes(pickle.dumps(Bomb(tmp_path / "boom"))),
    "other networks": lambda path, tmp_path: new_state(WaveGAN(8192, dim=1, latent_size=3)).write(path.parent),
    "no average": lambda path, tmp_path: new_state(averaged=False).write(path.parent),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_cannot_be_resumed_from_says_so_in_one_line_and_runs_nothing(tmp_path, damage):
    state = new_state()
    state.write(tmp_path)
    damage(tmp_path / "training_state.pt", tmp_path)
    with pytest.raises(FauxleyError, match=r"training_state.pt (cannot be resumed from|is damaged)") as caught:
        state.read(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "boom").exists()


def test_not_finite_weights_are_noticed_in_every_network():
    for name in ("generator", "critic", "average"):
        state = new_state()
        assert state.is_finite()
        with torch.no_grad():
            network = state.average if name == "average" else state.networks[name]
            next(network.parameters()).view(-1)[0] = torch.inf
        assert not state.is_finite(), name
