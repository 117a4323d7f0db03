"""Training of a classifier on the labels of a dataset, and measuring how well it learned them.

A few thousand clips are few, so each clip is varied whenever it is used: it is heard under other conditions
(`augmentation.py`: noise, rooms, narrow bands), and its spectrogram is shifted, stretched in time, warped in frequency
as by a longer or shorter vocal tract, partly hidden (SpecAugment, Park et al. 2019) and blended with another (mixup,
Zhang et al. 2018). Some additional clips belong to no label (`augmentation.py`).

Its quality is measured on sources that it was not trained on. If there are many sources, a tenth of them is held out. A
tenth of few sources, one or two drum machines, would mean little; then the data is divided into folds by source, each
fold is judged by a classifier trained on the others, and one more classifier is trained on everything. A temperature is
fitted on these answers, and used if it helps; see `calibration.py`.

Letters: N clips, B batch, T samples, M mel bands, F frames, K labels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.classifier.augmentation import (
    add_noise,
    augment_spectrograms,
    make_outlier,
    noise,
    vary_conditions,
)
from fauxley.evaluation.classifier.calibration import (
    accuracy,
    calibration_error,
    confusion,
    helpful_temperature,
    softmax,
)
from fauxley.evaluation.classifier.classifier import Classifier, Judgement
from fauxley.evaluation.classifier.grouping import Groups, Mask, find_groups, grouped_folds, held_out
from fauxley.evaluation.classifier.network import ClassifierNetwork, ClassifierSettings, LogMel

Int = NDArray[np.int64]
Float32 = NDArray[np.float32]
Progress = Callable[[int, int], None]

NOISY_DB = 10  # the noise of `Judgement.noisy_accuracy` is this much softer than the clip
_CHUNK = 256  # clips judged at a time
_SCALE_CLIPS = 1024  # for the mean and deviation of each band
_LEAST_CLIPS = 40
_FEW_HELD_OUT = 10  # sources; fewer say too little


@dataclass(frozen=True)
class Recipe:
    """The settings of the training."""

    epochs: int = 30
    """Passes over the data."""
    least_steps: int = 1000
    """The fewest updates; small data is passed over more often to reach them."""
    batch_size: int = 64
    """Clips in a batch."""
    learning_rate: float = 3e-3
    """Highest learning rate, reached after two passes; then it falls along a cosine to zero."""
    weight_decay: float = 0.02
    """Weight decay of the optimiser, AdamW."""
    label_smoothing: float = 0.05
    """Share of the target that is spread over all labels."""
    mixup: float = 0.3
    """Parameter of the Beta distribution of blends. 0: no blending."""
    outliers: float = 0.2
    """Number of clips without a label (backwards, scrambled, noise) for each clip of the data."""
    conditions: bool = True
    """Train with noise, rooms, narrow bands and other speeds, too."""
    width: int = 24
    """Channels of the first stage."""
    held_out: float = 0.1
    """Share of the data held out for the temperature and, without test data, for the accuracy."""
    folds: int = 3
    """Number of parts for cross-validation, used if fewer than ten sources would be held out. 1: none."""
    bfloat16: bool = False
    """Compute in bfloat16, which is much faster on processors that support it and much slower on others."""
    seed: int = 0
    """Determines the initial weights, the order of the clips and all augmentation."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "width", "folds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("least_steps", "learning_rate", "weight_decay", "mixup", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must not be negative; got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing must be from 0 to less than 1; got {self.label_smoothing}")
        if not 0 <= self.outliers <= 1:
            raise UsageError(f"outliers must be from 0 to 1; got {self.outliers}")
        if not 0.01 <= self.held_out <= 0.5:
            raise UsageError(f"held_out must be from 0.01 to 0.5; got {self.held_out}")


@dataclass(frozen=True)
class _Clips:
    """Labelled clips (N, T), 16 bits, and their labels (N,)."""

    audio: NDArray[np.int16]
    labels: Int

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Float32:
        """One clip, (T,), in [-1, 1]."""
        return np.asarray(self.audio[index].astype(np.float32) / np.float32(32768))


def train_classifier(
    dataset: Dataset,
    recipe: Recipe,
    test: Dataset | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done, total: None,
) -> Classifier:
    """Train a classifier on a labelled dataset, and measure it on `test` or on held-out clips.

    Args:
        progress: called with (epochs done, epochs in all).

    Raises:
        FauxleyError: there are too few clips, labels or sources, or the test data does not match.
    """
    _check(dataset, test)
    slicing = dataset.info.slicing
    settings = ClassifierSettings.suiting(dataset.sample_rate, slicing.clip_length, dataset.labels, recipe.width)
    clips, groups = _read(dataset, settings), find_groups(dataset)
    folds, how = _folds(groups, recipe)
    splits = [*folds, np.zeros(len(clips), bool)] if len(folds) > 1 else folds  # the last one is trained on everything
    total, passed = sum(_epochs(int((~held).sum()), recipe) for held in splits), count(1)

    def after_epoch() -> None:
        progress(next(passed), total)

    answers = np.zeros((2, len(clips), len(settings.labels)), np.float32)  # without and with noise
    for held in splits:
        log_mel, network = _fit(settings, clips, np.flatnonzero(~held), recipe, torch.device(device), after_epoch)
        if held.any():
            answers[:, held] = _logits(log_mel, network, clips, np.flatnonzero(held), device)
    asked = np.logical_or.reduce(folds)
    temperature = helpful_temperature(answers[0, asked], clips.labels[asked], groups.of_clip[asked])
    answers, labels = answers[:, asked], clips.labels[asked]
    if test is not None:
        before = f"{accuracy(answers[0], labels):.3f} on {len(labels)} of its own data, {how}"
        clips = _read(test, settings)
        answers, labels = _logits(log_mel, network, clips, np.arange(len(clips)), device), clips.labels
        how = f"{_about_test(dataset, test)}; {before}"
    probabilities = softmax(answers[0] / temperature)
    judgement = Judgement(
        accuracy=accuracy(probabilities, labels),
        noisy_accuracy=accuracy(answers[1], labels),
        calibration_error=calibration_error(probabilities, labels),
        num_clips=len(labels),
        held_out=how,
        confusion=tuple(map(tuple, confusion(probabilities, labels).tolist())),
    )
    return Classifier(settings, log_mel.cpu(), network.cpu(), temperature, judgement, dataset.fingerprint())


def _check(dataset: Dataset, test: Dataset | None) -> None:
    if len(dataset.labels) < 2:
        raise FauxleyError(
            f"{dataset.folder} has {len(dataset.labels)} labels; a classifier needs sounds sorted into at least two "
            "folders, or a manifest.csv with a column 'label'"
        )
    if (clips := int((dataset.clip_labels() >= 0).sum())) < _LEAST_CLIPS:
        raise FauxleyError(f"{dataset.folder} has {clips} labelled clips; a classifier needs at least {_LEAST_CLIPS}")
    if test is None:
        return
    if test.sample_rate != dataset.sample_rate:
        raise FauxleyError(
            f"{test.folder} is at {test.sample_rate} Hz and {dataset.folder} at {dataset.sample_rate} Hz; "
            f"prepare it at {dataset.sample_rate} Hz"
        )
    if unknown := set(test.labels) - set(dataset.labels):
        raise FauxleyError(f"{test.folder} has the label {min(unknown)!r}, which {dataset.folder} does not have")
    if not test.labels:
        raise FauxleyError(f"{test.folder} has no labels to test with")


def _read(dataset: Dataset, settings: ClassifierSettings) -> _Clips:
    """All labelled clips of a dataset, with channels averaged and the classifier's numbers of labels."""
    places = np.array([settings.labels.index(label) for label in dataset.labels], np.int64)
    own = dataset.clip_labels()
    parts = [clips.mean(1).round().astype(np.int16) for clips in dataset.once(_CHUNK)]
    return _Clips(np.concatenate(parts)[own >= 0], places[own[own >= 0]])


def _folds(groups: Groups, recipe: Recipe) -> tuple[list[Mask], str]:
    """Masks (N,) of the clips that are held out, in one or more turns, and in words how they were chosen."""
    if len(groups.names) < 2:
        raise FauxleyError("all labelled clips are from one source, so none can be held out for testing")
    few = groups.known and round(recipe.held_out * len(groups.names)) < _FEW_HELD_OUT
    parts = min(recipe.folds, len(groups.names))
    if few and parts > 1:
        how = f"cross-validated: {len(groups.names)} {groups.kind}, in {parts} parts that share none"
        return grouped_folds(groups.of_clip, parts), how
    held = held_out(groups, recipe.held_out)
    return [held], f"{len(set(groups.of_clip[held]))} of {len(groups.names)} {groups.kind}"


def _about_test(dataset: Dataset, test: Dataset) -> str:
    """A description of the test data: how much of it shares a source with the training data, if sources are known."""
    learnt, asked = find_groups(dataset), find_groups(test)
    if not (learnt.known and asked.known):
        return "the test data"
    shared = np.isin(asked.names, learnt.names)[asked.of_clip].sum()
    about = (
        f"{shared} of its clips from sources it was trained on" if shared else "none from a source it was trained on"
    )
    return f"the test data, {about}"


def _epochs(num_clips: int, recipe: Recipe) -> int:
    return max(recipe.epochs, -(-recipe.least_steps // max(1, num_clips // recipe.batch_size)))


def _logits(
    log_mel: LogMel, network: ClassifierNetwork, clips: _Clips, chosen: Int, device: torch.device | str
) -> Float32:
    """Logits of these clips, and of the same clips with white noise: (2, N, K)."""
    network.eval()
    answers = []
    for part in np.array_split(chosen, -(-len(chosen) // _CHUNK)):
        plain = [clips.read(index) for index in part]
        noisy = [
            add_noise(clip, noise(len(clip), 0, np.random.default_rng(index)), NOISY_DB)
            for index, clip in zip(part, plain, strict=True)
        ]
        with torch.inference_mode():
            asked = [torch.from_numpy(np.stack(each)).to(device) for each in (plain, noisy)]
            answers.append(np.stack([network(log_mel(each)).float().cpu().numpy() for each in asked]))
    return np.concatenate(answers, 1)


def _make_batch(clips: _Clips, chosen: Int, outliers: Int, epoch: int, recipe: Recipe, sample_rate: int) -> Float32:
    """A batch for an epoch: augmented clips (B, T), then outliers made from other clips.

    The augmentation of a clip depends only on the seed, the epoch and its index in the data.
    """
    heard = []
    for kind, indices in enumerate((chosen, outliers)):
        for index in indices:
            rng = np.random.default_rng((recipe.seed, epoch, index, kind))
            clip = make_outlier(clips.read(index), rng) if kind else clips.read(index)
            heard.append(vary_conditions(clip, sample_rate, rng) if recipe.conditions else clip)
    return np.stack(heard)


def _fit(
    settings: ClassifierSettings,
    clips: _Clips,
    learn: Int,
    recipe: Recipe,
    device: torch.device,
    after_epoch: Callable[[], None],
) -> tuple[LogMel, ClassifierNetwork]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        log_mel, network = LogMel(settings).to(device), ClassifierNetwork(settings).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(recipe.seed)
    some = np.stack([clips.read(index) for index in rng.permutation(learn)[:_SCALE_CLIPS]])
    log_mel.fit_scale(torch.from_numpy(some).to(device))
    labels = F.one_hot(torch.from_numpy(clips.labels), len(settings.labels)).float()
    shares = labels[learn].mean(0)
    optimizer = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.learning_rate)
    batches, epochs = max(1, len(learn) // recipe.batch_size), _epochs(len(learn), recipe)
    warmup, total = 2 * batches, epochs * batches
    step = 0
    for epoch in range(epochs):
        network.train()
        others = rng.permutation(learn)
        for chosen in np.array_split(rng.permutation(learn), batches):
            nonsense, others = np.split(others, [round(recipe.outliers * len(chosen))])
            rate = min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * step / total)) / 2
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate
            heard = _make_batch(clips, chosen, nonsense, epoch, recipe, settings.sample_rate)
            target = torch.cat([labels[chosen], shares.expand(len(nonsense), -1)])
            with torch.no_grad():
                spectrograms = log_mel(torch.from_numpy(heard).to(device))
            spectrograms, target = augment_spectrograms(spectrograms, target.to(device), rng, recipe.mixup)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
                logits = network(spectrograms.to(memory_format=torch.channels_last)).float()
            loss = F.cross_entropy(logits, target, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        after_epoch()
    # The memory layout of a loaded network, so that the same weights give the same digits.
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return log_mel, network


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases and the scales of norms do not."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
