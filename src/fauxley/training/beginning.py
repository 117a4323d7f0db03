"""Starting a training from a model instead of from random weights.

The generator's weights are taken over. Labels of the same name keep their embedding; a new label starts with the mean
of all embeddings, so that at first it sounds like the whole model. The representation keeps its statistics, too,
because the generator's output has a meaning only with them. A model has no critic, so the critic starts from random
weights. Its gradients would spoil the generator until it can tell real from generated sounds; therefore the generator
waits for the first steps (`Origin.critic_first`, `waits`).

All sizes are the model's, with one exception: a SpecGAN's clips may have another length, because its networks are the
same for any length, except for the length of the generator's first signal.
"""

import dataclasses
from typing import Any, cast

import torch
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.models.architecture import Architecture
from fauxley.models.network import DenseStart
from fauxley.models.representations import Representation
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.verified import checksum
from fauxley.training.config import AnyArchitecture, Origin, TrainingConfig
from fauxley.training.state import TrainingState

_LONGEST_WAIT = 0.05  # share of the training during which the generator waits, at most


def origin_of(source: Synthesizer, name: str) -> Origin:
    """What a run's configuration records about the model that it starts from."""
    return Origin(name, checksum(source), source.provenance.license)


def config_from(
    config: TrainingConfig, source: Synthesizer, name: str, clip_length: int | None = None
) -> TrainingConfig:
    """The configuration for a run that starts from a model: the model's sizes and sample rate, otherwise `config`.

    Args:
        name: of the model, to be recorded.
        clip_length: samples in a clip; None for the model's.

    Raises:
        UsageError: no training can start from this kind of model, or not with clips of that length.
    """
    model = source.architecture
    if not isinstance(source.generator, DenseStart):
        raise UsageError(f"{name} is a {type(model).__name__}; no training can begin from one")
    changed: dict[str, Any] = {"labels": ()}
    if clip_length is not None:
        changed["clip_length"] = clip_length
    if isinstance(model, SpecGAN):  # its network for phases was trained on the model's own sounds
        changed["inversion_dim"] = 0
    architecture = cast(AnyArchitecture, dataclasses.replace(cast(Any, model), **changed))
    require_fitting(architecture, model)
    data = dataclasses.replace(config.data, sample_rate=source.sample_rate)
    return dataclasses.replace(config, architecture=architecture, data=data, origin=origin_of(source, name))


def alike_but_for_length(first: Architecture, second: Architecture) -> bool:
    """Whether two models use the same spectrogram, so that one could have clips of the other's length."""
    if not (isinstance(first, SpecGAN) and isinstance(second, SpecGAN)):
        return False
    return all(getattr(first, name) == getattr(second, name) for name in ("spectrogram", "window_length", "hop_length"))


def require_fitting(architecture: Architecture, source: Architecture) -> None:
    """Check that a model's weights fit an architecture.

    Raises:
        UsageError: they do not; the message names the setting.
    """
    if type(architecture) is not type(source):
        raise UsageError(
            f"the model to begin from is a {type(source).__name__}, and this would be a {type(architecture).__name__}"
        )
    free = {"labels", "inversion_dim", "inversion_layers", "inversion_iterations"}
    if isinstance(source, SpecGAN):
        free |= {"clip_length", "griffin_lim_iterations", "griffin_lim_momentum", "compensate_windows"}
    for field in dataclasses.fields(cast(Any, source)):
        old, new = getattr(source, field.name), getattr(architecture, field.name)
        if field.name not in free and old != new:
            raise UsageError(
                f"the model to begin from has {field.name} = {old}, and this would have {new}; keep the model's, "
                "or begin without it"
            )


@torch.no_grad()
def take_over(state: TrainingState, architecture: Architecture, source: Synthesizer) -> None:
    """Copy what a model has learned to the generator, the average and the representation of a new state.

    Args:
        architecture: of the state, with its labels.

    Raises:
        UsageError: the model does not fit.
    """
    require_fitting(architecture, source.architecture)
    new, old = state.generator, source.generator
    assert isinstance(new, DenseStart)
    assert isinstance(old, DenseStart)
    weights = dict(old.state_dict())
    embedding = weights.pop("embed.weight", None)
    places = new.places_in(old).to(old.dense.weight.device)
    weights["dense.weight"], weights["dense.bias"] = old.dense.weight[places], old.dense.bias[places]
    if new.num_labels:
        weights["embed.weight"] = _embedding(embedding, source.labels, architecture.known_labels, old)[places]
    elif embedding is not None:
        weights["dense.bias"] = weights["dense.bias"] + embedding.mean(1)[places]
    new.load_state_dict(weights)
    if state.average is not None:
        state.average.load_state_dict(weights)
    statistics = source.representation.state_dict()
    kept = {name: statistics[name] for name in state.representation.state_dict()}
    state.representation.load_state_dict(kept)


def _embedding(embedding: Tensor | None, known: tuple[str, ...], labels: tuple[str, ...], old: DenseStart) -> Tensor:
    """The embeddings (out, L) of `labels`, from a model's; zeros if it had no labels, so that each sounds like it."""
    if embedding is None:
        return old.dense.weight.new_zeros(old.dense.out_features, len(labels))
    mean = embedding.mean(1)
    return torch.stack([embedding[:, known.index(each)] if each in known else mean for each in labels], 1)


def share_beyond(representation: Representation, audio: Tensor) -> float:
    """The share of the features of sounds (B, C, T) that are at the upper limit of features."""
    return float((representation.to_features(audio) >= 1).float().mean())


def waits(origin: Origin, step: int, progress: float) -> bool:
    """Whether the generator still waits for the critic when a share `progress` of the training is done."""
    return bool(origin.model) and step < origin.critic_first and progress < _LONGEST_WAIT


def joined_licenses(*licenses: str) -> str:
    """The distinct licences of several such lists, joined."""
    return "; ".join(dict.fromkeys(each for text in licenses for each in text.split("; ") if each))
