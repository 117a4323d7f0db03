"""Teaching a classifier the labels of a dataset, and finding out how well it learnt them.

A few thousand clips are little. What helps is to pretend there were more, each time a clip is seen: it is shifted,
stretched in time, warped in frequency as a longer or shorter vocal tract would do, patches of it are hidden
(SpecAugment, Park et al. 2019) and clips are blended (mixup, Zhang et al. 2018). All of that happens on spectrograms
that are computed once. Such training makes a network too modest, so a temperature is fitted afterwards, on clips held
out.

What is held out must not share a speaker (or a drum machine) with what is learnt, or the accuracy is a memory test. A
dataset does not say who speaks; but file names often do. See `split`.

Letters: N clips, B batch, M mel bands, F frames, K labels.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fauxley.audio.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.augmentation import augment
from fauxley.evaluation.calibration import accuracy, calibration_error, confusion, fit_temperature
from fauxley.evaluation.classifier import Classifier, Judgement
from fauxley.evaluation.classifier_network import ClassifierNetwork, ClassifierSettings, LogMel

Int = NDArray[np.int64]
Progress = Callable[[int, int], None]

_CHUNK = 256  # clips turned into spectrograms, or asked, at a time
_LEAST_CLIPS = 40


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained."""

    epochs: int = 40
    """Passes over the data."""
    least_steps: int = 1500
    """Updates that are made at least, by more passes over small data."""
    batch_size: int = 64
    """Clips in a batch."""
    learning_rate: float = 3e-3
    """Highest; it rises for two passes and then falls along a cosine to zero."""
    weight_decay: float = 0.02
    """Step size of the optimiser, AdamW."""
    label_smoothing: float = 0.05
    """Share of the target spread over all labels."""
    mixup: float = 0.3
    """Parameter of the Beta distribution that clips are blended by; 0: not at all."""
    width: int = 24
    """Channels of the first stage."""
    held_out: float = 0.1
    """Share of the data kept for choosing the temperature, and for the accuracy if no test data is given."""
    bfloat16: bool = False
    """Compute in bfloat16, which is much faster on processors that have it and much slower on others."""
    seed: int = 0
    """Decides the initial weights, the order of the clips and all augmentation."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "width"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1; got {getattr(self, name)}")
        for name in ("least_steps", "learning_rate", "weight_decay", "mixup", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} must not be negative; got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"--label-smoothing must be from 0 to less than 1; got {self.label_smoothing}")
        if not 0.01 <= self.held_out <= 0.5:
            raise UsageError(f"--held-out must be from 0.01 to 0.5; got {self.held_out}")


@dataclass(frozen=True)
class _Clips:
    """Spectrograms (N, 1, M, F) with labels (N,)."""

    spectrograms: Tensor
    labels: Tensor

    def __getitem__(self, chosen: Int) -> "_Clips":
        index = torch.from_numpy(chosen)
        return _Clips(self.spectrograms[index], self.labels[index])


def split(dataset: Dataset, share: float) -> tuple[NDArray[np.bool_], str]:
    """Which of the labelled clips to hold out, (N,), and in words how they were chosen.

    Files whose names begin alike up to the first "_" or "-" are kept together if these beginnings look like sources:
    there are twenty of them or more, and most have files of several labels, as speakers do. Otherwise each file is on
    its own, but copies stay together. Which side a group is on is a function of its name alone, so more data does not
    reshuffle it.
    """
    beginnings = [re.split("[_-]", entry.file.rsplit("/", 1)[-1])[0] for entry in dataset.entries]
    by_source: dict[str, set[str]] = {}
    for beginning, entry in zip(beginnings, dataset.entries, strict=True):
        by_source.setdefault(beginning, set()).add(entry.label)
    mixed = sum(len(labels) > 1 for labels in by_source.values())
    by_name = len(by_source) >= 20 and mixed > len(by_source) / 2
    keys = beginnings if by_name else [entry.sha256 for entry in dataset.entries]
    labelled = dataset.clip_labels() >= 0
    clips_of = Counter(np.array(keys, object)[dataset.clips().file[labelled]].tolist())
    total = int(labelled.sum())
    small = (key for key in set(keys) if clips_of[key] <= total / 3)  # a giant is for learning
    order = sorted(small, key=lambda key: hashlib.sha256(key.encode(errors="surrogateescape")).digest())
    held: set[str] = set()
    for key in order:  # so many sources, and more of them if those have few clips
        if len(held) >= round(share * len(order)) and sum(clips_of[one] for one in held) >= 0.8 * share * total:
            break
        held.add(key)
    is_held = np.array([key in held for key in keys])[dataset.clips().file]
    what = f"{len(held)} of {len(order)} sources, told by how file names begin" if by_name else "files chosen at random"
    return is_held[labelled], what


def train_classifier(
    dataset: Dataset,
    recipe: Recipe,
    test: Dataset | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done, total: None,
) -> Classifier:
    """Train a classifier on a labelled dataset and measure it on `test`, or on clips it holds out itself.

    Args:
        progress: called with epochs done and epochs in all.

    Raises:
        FauxleyError: too few clips or labels, or a test set that does not match.
    """
    _check(dataset, test)
    slicing = dataset.info.slicing
    settings = ClassifierSettings.suiting(dataset.sample_rate, slicing.clip_length, dataset.labels, recipe.width)
    front = LogMel(settings)
    is_held, how = split(dataset, recipe.held_out)
    learn, hold = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    everything = _spectrograms(dataset, front)
    _fit_scale(front, everything.spectrograms[torch.from_numpy(learn)])
    everything = _Clips(front.standardise(everything.spectrograms), everything.labels)
    network = _fit(settings, everything[learn], recipe, torch.device(device), progress)
    held = everything[hold]
    temperature = fit_temperature(_logits(network, held, device).numpy(), held.labels.numpy())
    if test is not None:
        asked = _spectrograms(test, front)
        held = _Clips(front.standardise(asked.spectrograms), asked.labels)
        how = "the test data"
    probabilities = F.softmax(_logits(network, held, device).double() / temperature, 1).numpy()
    labels = held.labels.numpy()
    judgement = Judgement(
        accuracy=accuracy(probabilities, labels),
        calibration_error=calibration_error(probabilities, labels),
        num_clips=len(labels),
        held_out=how,
        confusion=tuple(map(tuple, confusion(probabilities, labels).tolist())),
    )
    return Classifier(settings, front, network, temperature, judgement, fingerprint(dataset))


def fingerprint(dataset: Dataset) -> str:
    """A short hash of what a dataset holds and how clips are cut from it."""
    content = [(entry.file, entry.label, entry.num_samples, entry.sha256) for entry in dataset.entries]
    settings = (dataset.sample_rate, dataset.channels, dataset.info.normalize, dataset.info.slicing)
    return hashlib.sha256(repr((settings, content)).encode(errors="surrogateescape")).hexdigest()[:16]


def _check(dataset: Dataset, test: Dataset | None) -> None:
    if len(dataset.labels) < 2:
        raise FauxleyError(
            f"{dataset.folder} has {len(dataset.labels)} labels; a classifier needs sounds sorted into at least two "
            "folders, or a manifest.csv with a column 'label'"
        )
    if (count := int((dataset.clip_labels() >= 0).sum())) < _LEAST_CLIPS:
        raise FauxleyError(f"{dataset.folder} has {count} labelled clips; a classifier needs {_LEAST_CLIPS} at least")
    if test is None:
        return
    if test.sample_rate != dataset.sample_rate:
        raise FauxleyError(
            f"{test.folder} is at {test.sample_rate} Hz and {dataset.folder} at {dataset.sample_rate} Hz; "
            f"prepare it with --sample-rate {dataset.sample_rate}"
        )
    if unknown := set(test.labels) - set(dataset.labels):
        raise FauxleyError(f"{test.folder} has the label {min(unknown)!r}, which {dataset.folder} has not")
    if not test.labels:
        raise FauxleyError(f"{test.folder} has no labels to test with")


def _spectrograms(dataset: Dataset, front: LogMel) -> _Clips:
    """All labelled clips of a dataset, not standardised; labels as numbers of the classifier's."""
    parts = []
    for clips in dataset.once(_CHUNK):
        audio = torch.from_numpy(clips).float().mean(1) / 32768  # (B, T)
        parts.append(front.raw(audio))
    places = torch.tensor([front.settings.labels.index(label) for label in dataset.labels])
    own = torch.from_numpy(dataset.clip_labels())
    labelled = own >= 0
    return _Clips(torch.cat(parts)[labelled], places[own[labelled]])


def _fit_scale(front: LogMel, raw: Tensor) -> None:
    front.mean.copy_(raw.mean((0, 1, 3)))
    front.std.copy_(raw.std((0, 1, 3)).clamp(min=1e-3))


def _logits(network: ClassifierNetwork, clips: _Clips, device: torch.device | str) -> Tensor:
    network.eval()
    with torch.inference_mode():
        parts = [network(part.to(device)).float().cpu() for part in torch.split(clips.spectrograms, _CHUNK)]
    return torch.cat(parts)


def _fit(
    settings: ClassifierSettings, clips: _Clips, recipe: Recipe, device: torch.device, progress: Progress
) -> ClassifierNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = ClassifierNetwork(settings).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.learning_rate)
    batches = max(1, len(clips.labels) // recipe.batch_size)
    epochs = max(recipe.epochs, -(-recipe.least_steps // batches))
    warmup, total = 2 * batches, epochs * batches
    step = 0
    for epoch in range(epochs):
        network.train()
        for chosen in np.array_split(rng.permutation(len(clips.labels)), batches):
            rate = min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * step / total)) / 2
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate
            batch = clips[chosen]
            spectrograms, target = augment(
                batch.spectrograms.to(device),
                F.one_hot(batch.labels, len(settings.labels)).float().to(device),
                rng,
                recipe.mixup,
            )
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
                logits = network(spectrograms.to(memory_format=torch.channels_last)).float()
            loss = F.cross_entropy(logits, target, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        progress(epoch + 1, epochs)
    # In the order that a loaded one has, lest the same weights give other last digits.
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.cpu()


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases and the scales of norms do not."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
