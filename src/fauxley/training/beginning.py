"""Beginning a training from a model instead of random weights.

The generator's weights are taken over. Labels of the same name keep their embedding; new ones begin with the mean of
all, so that a new label sounds like the whole model at first. So do the statistics of the representation: the
generator's numbers mean bands' levels by them, and fitted anew they would mean others. The critic is not part of a
model and begins anew; until it tells real from generated sounds, what it asks for would only spoil the generator, which
therefore waits for the first steps (`Origin.critic_first`, `waits`).

Sizes are the model's. The length of clips may be another for a SpecGAN, whose networks are alike at any length: only
the generator's first signal is longer or shorter.
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

_LONGEST_WAIT = 0.05  # share of the training in which the generator waits


def origin_of(source: Synthesizer, name: str) -> Origin:
    """What a run's configuration records of the model that it begins from."""
    return Origin(name, checksum(source), source.provenance.license)


def config_from(
    config: TrainingConfig, source: Synthesizer, name: str, clip_length: int | None = None
) -> TrainingConfig:
    """The configuration for a run that begins from a model: its sizes and sample rate, all else as in `config`.

    Args:
        name: of the model, as it is recorded.
        clip_length: samples in a clip, if it is to be another than the model's.

    Raises:
        UsageError: no training can begin from this kind of model, or not with clips of that length.
    """
    model = source.architecture
    if not isinstance(source.generator, DenseStart):
        raise UsageError(f"{name} is a {type(model).__name__}, from which no training can begin")
    changed: dict[str, Any] = {"labels": ()}
    if clip_length is not None:
        changed["clip_length"] = clip_length
    if isinstance(model, SpecGAN):  # what finds phases was taught those of the model's own sounds
        changed["inversion_dim"] = 0
    architecture = cast(AnyArchitecture, dataclasses.replace(cast(Any, model), **changed))
    require_fitting(architecture, model)
    data = dataclasses.replace(config.data, sample_rate=source.sample_rate)
    return dataclasses.replace(config, architecture=architecture, data=data, origin=origin_of(source, name))


def alike_but_for_length(first: Architecture, second: Architecture) -> bool:
    """Whether two models show sounds by the same spectrogram, so that one could have clips as long as the other's."""
    if not (isinstance(first, SpecGAN) and isinstance(second, SpecGAN)):
        return False
    return all(getattr(first, name) == getattr(second, name) for name in ("spectrogram", "window_length", "hop_length"))


def require_fitting(architecture: Architecture, source: Architecture) -> None:
    """Check that a model's weights fit an architecture.

    Raises:
        UsageError: they do not; the setting is named.
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
    """Give the generator of a new state, its average and its representation what a model has learnt.

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
    """A column (out,) for each label: (out, L); of a model without labels zeros, so that each sounds as it does."""
    if embedding is None:
        return old.dense.weight.new_zeros(old.dense.out_features, len(labels))
    mean = embedding.mean(1)
    return torch.stack([embedding[:, known.index(each)] if each in known else mean for each in labels], 1)


def share_beyond(representation: Representation, audio: Tensor) -> float:
    """The share of the features of sounds (B, C, T) that are at the upper end of what there is."""
    return float((representation.to_features(audio) >= 1).float().mean())


def waits(origin: Origin, step: int, progress: float) -> bool:
    """Whether the generator still waits for the critic, when a share `progress` of the training is done."""
    return bool(origin.model) and step < origin.critic_first and progress < _LONGEST_WAIT


def joined_licenses(*licenses: str) -> str:
    """The distinct licences of several such lists, joined."""
    return "; ".join(dict.fromkeys(each for text in licenses for each in text.split("; ") if each))
