"""Checkpoints of training come back exactly, and damaged or hostile ones not at all."""

import copy
import os
import pickle
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch

from fauxley.errors import FauxleyError
from fauxley.models.draws import Draws
from fauxley.models.wavegan import WaveGAN
from fauxley.training.checkpoint import read_state, write_state
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
    assert_equal_dicts(one.state_dict(), other.state_dict())


def assert_equal_dicts(one, other):
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name], name


def test_a_restored_state_goes_on_exactly_as_the_original(tmp_path):
    original, restored = new_state(), new_state(seed=1)
    step(original)
    original.attempt = 1
    write_state(tmp_path, original)
    read_state(tmp_path, restored)
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
    weight = torch.load(path, weights_only=True)["critic"]["dense.weight"]
    content[content.index(weight.numpy().tobytes()) + 1] ^= 1
    path.write_bytes(content)


def change(edit):
    """What saves a state that is whole, but for what `edit` does to its containers."""

    def damage(path, tmp_path):
        saved = torch.load(path, weights_only=True)
        edit(saved)
        torch.save(saved, path)

    return damage


def moments(saved, name="critic_optimizer", number=0):
    return saved[name]["state"][number]


def overlapping(saved):
    """Moments as a view of a single number: all of them would change as one."""
    first = moments(saved)
    first["exp_avg_sq"] = first["exp_avg_sq"].flatten()[:1].expand(first["exp_avg_sq"].shape)


def compress(path, tmp_path):
    """The same, deflated, with much of nothing."""
    with ZipFile(path) as archive:
        content = {record.filename: archive.read(record) for record in archive.infolist()}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        with archive.open("training_state/data/zeros", "w") as record:
            for _ in range(1 << 2):
                record.write(bytes(1 << 24))


def rewrite(old, new):
    """The pickle that says how tensors hang together, changed."""

    def damage(path, tmp_path):
        with ZipFile(path) as archive:
            content = {record.filename: archive.read(record) for record in archive.infolist()}
        with ZipFile(path, "w") as archive:
            for name, data in content.items():
                assert not name.endswith("data.pkl") or old in data
                archive.writestr(name, data.replace(old, new, 1) if name.endswith("data.pkl") else data)

    return damage


def sparse(path, tmp_path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def pipe(path, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes among its files")
    path.unlink()
    os.mkfifo(path)


def folder(path, tmp_path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "a weight of another shape": change(lambda s: s["critic"].update({"dense.weight": torch.zeros(1, 3)})),
    "a weight too few": change(lambda s: s["critic"].pop("dense.bias")),
    "a weight too many": change(lambda s: s["critic"].update({"more": torch.zeros(1)})),
    "weights of another precision": change(lambda s: s["critic"].update({"dense.bias": torch.zeros(1).double()})),
    "weights that are whole numbers": change(lambda s: s["critic"].update({"dense.bias": torch.zeros(1).long()})),
    "a weight that is not finite": change(lambda s: s["generator"]["dense.bias"].fill_(torch.nan)),
    "an average that is not finite": change(lambda s: s["average"]["dense.bias"].fill_(torch.inf)),
    "an average of another shape": change(lambda s: s["average"].update({"dense.bias": torch.zeros(3)})),
    "statistics of another shape": change(lambda s: s["generator"].update({"norms.0.moving_mean": torch.zeros(3)})),
    "moments of another shape": change(lambda s: moments(s).update(exp_avg=torch.zeros(3))),
    "moments of no shape": change(lambda s: moments(s).update(exp_avg=torch.zeros(()))),
    "moments of another precision": change(lambda s: moments(s).update(exp_avg=moments(s)["exp_avg"].double())),
    "moments that are not finite": change(lambda s: moments(s)["exp_avg"].fill_(torch.nan)),
    "squares below zero": change(lambda s: moments(s)["exp_avg_sq"].fill_(-1)),
    "sparse moments": change(lambda s: moments(s).update(exp_avg=moments(s)["exp_avg"].to_sparse())),
    "moments that are words": change(lambda s: moments(s).update(exp_avg="x")),
    "moments of another optimiser": change(lambda s: moments(s).update(mean_square=moments(s).pop("exp_avg"))),
    "moments of weights that are not there": change(lambda s: s["critic_optimizer"]["state"].update({99: moments(s)})),
    "moments in a list": change(lambda s: s["critic_optimizer"].update(state=[moments(s)])),
    "no groups": change(lambda s: s["critic_optimizer"].update(param_groups=[])),
    "updates below zero": change(lambda s: s["critic_optimizer"]["param_groups"][0].update(updates=-5)),
    "updates without end": change(lambda s: s["critic_optimizer"]["param_groups"][0].update(updates=2**60)),
    "updates that are words": change(lambda s: s["critic_optimizer"]["param_groups"][0].update(updates="5")),
    "weights of a group": change(lambda s: s["critic_optimizer"]["param_groups"][0].update(params=[0])),
    "a network that is a number": change(lambda s: s.update(critic=1)),
    "a network that is a list": change(lambda s: s.update(critic=list(s["critic"]))),
    "a step below zero": change(lambda s: s.update(step=-1)),
    "a step that is a share": change(lambda s: s.update(step=1.5)),
    "a step that is a tensor": change(lambda s: s.update(step=torch.ones(3))),
    "a step without end": change(lambda s: s.update(step=2**60)),
    "an attempt that is a word": change(lambda s: s.update(attempt="x")),
    "a part too many": change(lambda s: s.update(more={})),
    "a part too few": change(lambda s: s.pop("representation")),
    "much compressed": compress,
    "a storage larger than its record": rewrite(b"K\x01tq", b"J\xff\xff\xff\x7ftq"),
    "a tensor of another class": rewrite(b"torch\nFloatStorage", b"torch\nQInt8Storage"),
    "a builder of other tensors": rewrite(b"_rebuild_tensor_v2", b"_rebuild_sparse_tensor"),
    "a hole in the disk": sparse,
    "a pipe": pipe,
    "a folder": folder,
    "a link to nowhere": lambda path, tmp_path: (path.unlink(), path.symlink_to(tmp_path / "nowhere")),
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
    "other networks": lambda path, tmp_path: write_state(path.parent, new_state(WaveGAN(8192, dim=1, latent_size=3))),
    "no average": lambda path, tmp_path: write_state(path.parent, new_state(averaged=False)),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_cannot_be_resumed_from_says_so_in_one_line_and_runs_nothing(tmp_path, damage):
    state = new_state()
    step(state)
    before = copy.deepcopy(state.state_dict())
    write_state(tmp_path, state)
    damage(tmp_path / "training_state.pt", tmp_path)
    with pytest.raises(FauxleyError, match=r"training_state.pt (cannot be resumed from|is damaged)") as caught:
        read_state(tmp_path, state)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "boom").exists()
    assert_equal_dicts(state.state_dict(), before)


def test_moments_that_share_their_memory_are_taken_apart(tmp_path):
    """The right shape over one number: updating it in place would otherwise write each onto all."""
    original, restored = new_state(), new_state(seed=1)
    step(original)
    write_state(tmp_path, original)
    change(overlapping)(tmp_path / "training_state.pt", tmp_path)
    read_state(tmp_path, restored)
    for optimizer in restored.optimizers.values():
        for kept in optimizer.state.values():
            assert all(value.is_contiguous() for value in kept.values())
            assert len({value.data_ptr() for value in kept.values()}) == len(kept)
    step(restored)
    assert restored.is_finite()


def test_optimisers_of_earlier_versions_are_taken_over(tmp_path):
    """They had their settings in the file; those of the run hold."""
    original, restored = new_state(), new_state(seed=1)
    step(original)
    write_state(tmp_path, original)
    change(lambda s: s["critic_optimizer"]["param_groups"][0].update(lr=1.0, betas=(0.0, 0.0)))(
        tmp_path / "training_state.pt", tmp_path
    )
    read_state(tmp_path, restored)
    for state in (original, restored):
        step(state)
    assert_equal_states(restored, original)


def test_not_finite_weights_are_noticed_in_every_network():
    for name in ("generator", "critic", "average"):
        state = new_state()
        assert state.is_finite()
        with torch.no_grad():
            network = state.average if name == "average" else state.networks[name]
            next(network.parameters()).view(-1)[0] = torch.inf
        assert not state.is_finite(), name
