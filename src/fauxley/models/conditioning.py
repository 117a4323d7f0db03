"""Labels of conditional models: how users name them, and how both networks receive them.

A label is a word, such as `snare`. Networks receive a weight for each of the L labels; the weights of a sound sum to 1.
A single label has weight 1, a mixture several weights. The generator adds an embedding of the weights to its dense
layer's output; the critic has a readout for each label (projection, Miyato & Koyama 2018, equation 2):

    generator    dense(z) + labels @ E
    critic       D(x, labels) = <w + labels @ V, h> + b + labels @ c      V: one weight a channel, for all places

V and c start at 0. E starts 3 times larger than Glorot's rule says: otherwise labels are learnt late.

Letters: B batch, L labels, C channels.
"""

import difflib
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fauxley.errors import UsageError, printable

MOST_LABELS = 1000
_LONGEST = 100  # characters
_LONGEST_WORD = 100  # bytes, in the name of a file
_LISTED = 20  # labels in a message
_GAIN = 3.0  # of the embedding's initial weights
_TOLERANCE = 1e-3  # of sums of weights that should be 1

Labels = str | Sequence[str] | Mapping[str, float] | Tensor | np.ndarray
"""Labels of sounds, in any of the forms that `label_weights` accepts."""


class LabelEmbedding(nn.Linear):
    """Maps labels (B, L) to what is added to a generator's first signal (B, out)."""

    def __init__(self, num_labels: int, out_features: int) -> None:
        super().__init__(num_labels, out_features, bias=False)

    @torch.no_grad()
    def begin(self) -> None:
        """Enlarge the weights, which were drawn by the rule for all layers."""
        self.weight.mul_(_GAIN)


class LabelProjection(nn.Module):
    """What each label adds to a critic's readout and to its bias; 0 at the start."""

    def __init__(self, num_labels: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_labels, channels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """What labels (B, L) add to the scores of signals (B, places · C), channels fastest: (B,)."""
        channels = x.view(len(x), -1, self.weight.shape[1]).sum(1)
        scores: Tensor = (channels * (labels @ self.weight)).sum(1) + labels @ self.bias
        return scores

    def readouts(self, weight: Tensor, labels: Tensor) -> Tensor:
        """The readout of each example: the common weight (1, places · C) plus its labels' part. (B, places · C)."""
        places = weight.view(1, -1, self.weight.shape[1])
        return (places + (labels @ self.weight)[:, None]).flatten(1)

    @torch.no_grad()
    def begin(self) -> None:
        """Set the weights to 0, which were drawn by the rule for all layers."""
        self.weight.zero_()
        self.bias.zero_()


def check_labels(labels: Sequence[str]) -> None:
    """Check the labels of a model, which may come from a stranger's file.

    Raises:
        UsageError: too many, one twice, or one that is empty, too long, or cannot be written into a file's name.
    """
    if len(labels) > MOST_LABELS:
        raise UsageError(f"there may be at most {MOST_LABELS} labels; got {len(labels)}")
    for label in labels:
        if reason := reason_against(label):
            raise UsageError(f"a label {reason}; got {printable(label)[:60]!r}")
    if len(set(labels)) < len(labels):
        twice = next(label for number, label in enumerate(labels) if label in labels[:number])
        raise UsageError(f"the label {twice!r} is there twice")


def reason_against(label: str) -> str:
    """Why a word cannot be a model's label; "" if it can."""
    if not 1 <= len(label) <= _LONGEST:
        return f"must have from 1 to {_LONGEST} characters"
    if not label.isprintable() or "/" in label or "\\" in label:
        return "must not hold /, \\, line breaks or other control characters"
    return ""


def label_weights(labels: Labels | None, known: Sequence[str], count: int, first: int = 0) -> Tensor:
    """Convert labels as users give them to weights (count, L).

    Args:
        labels: one label for all sounds; a sequence with a label for each sound; a mapping from labels to the shares of
            a mixture, for all sounds; or an array of weights (count, L). None or "all" takes the known labels in turn.
        known: the model's L labels. An unconditional model has none, and its weights have no columns.
        count: the number of sounds.
        first: the number of the first sound. Where labels take turns, sound n has label n modulo L.

    Raises:
        UsageError: a label is not known, or the number of labels or the shape of the weights does not fit.
    """
    if not known:
        if labels is not None and not (isinstance(labels, (Tensor, np.ndarray)) and tuple(labels.shape)[1:] == (0,)):
            raise UsageError("this model has no labels; leave them out")
        return torch.zeros(count, 0)
    if labels is None or (isinstance(labels, str) and labels == "all" and "all" not in known):
        return one_hot([(first + number) % len(known) for number in range(count)], len(known))
    if isinstance(labels, str):
        return label_mixture({labels: 1.0}, known).expand(count, -1)
    if isinstance(labels, Mapping):
        return label_mixture(labels, known).expand(count, -1)
    if isinstance(labels, (Tensor, np.ndarray)):
        return _check_weights(torch.as_tensor(labels), count, len(known))
    if len(labels) != count:
        raise UsageError(f"there are {len(labels)} labels for {count} sounds; give one for each sound, or one for all")
    return one_hot([find_label(label, known) for label in labels], len(known))


def label_mixture(shares: Mapping[str, float], known: Sequence[str]) -> Tensor:
    """The weights (L,) of a mixture of labels, in proportion to the shares.

    Raises:
        UsageError: a label is not known, or a share is not a positive number.
    """
    weights = torch.zeros(len(known))
    if not shares:
        raise UsageError("a mixture needs one label or more")
    for label, share in shares.items():
        if not 0 < share < math.inf:
            raise UsageError(f"the share of {label!r} in a mixture must be a positive number; got {share}")
    largest = max(shares.values())  # relative to it, no share and no sum is too small or too large to compute with
    for label, share in shares.items():
        weights[find_label(label, known)] = share / largest
    return weights / weights.sum()


def find_label(label: str, known: Sequence[str]) -> int:
    """The index of a label among the known ones.

    Raises:
        UsageError: the label is not known; the message suggests the nearest and lists the known ones.
    """
    if label in known:
        return list(known).index(label)
    near = difflib.get_close_matches(str(label)[:_LONGEST].lower(), {each.lower(): each for each in known}, n=1)
    meant = next((each for each in known if near and each.lower() == near[0]), "")
    hint = f"; did you mean {meant!r}?" if meant else ";"
    raise UsageError(f"the model has no label {printable(str(label))[:60]!r}{hint} there are {enumerated(known)}")


def enumerated(labels: Collection[str]) -> str:
    """The labels, separated by commas, for a message; of very many only the first."""
    more = len(labels) - _LISTED
    return ", ".join(list(labels)[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def file_word(label: str) -> str:
    """A label in a form that any system allows in a file name; two labels may get the same form."""
    word = "".join(letter if letter.isalnum() or letter in "-_.+ " else "_" for letter in label)
    short = word.encode()[:_LONGEST_WORD].decode(errors="ignore")  # names of files are short everywhere
    return short.strip(" .") or "_"


def one_hot(numbers: Sequence[int], num_labels: int) -> Tensor:
    """Weights (N, L) of one label for each sound, given by index. Index -1, no label, becomes equal parts of all."""
    places = torch.as_tensor(numbers, dtype=torch.int64)
    weights = torch.zeros(len(places), num_labels)
    weights[torch.arange(len(places)), places.clamp(min=0)] = 1.0
    weights[places < 0] = 1 / num_labels
    return weights


def _check_weights(weights: Tensor, count: int, num_labels: int) -> Tensor:
    weights = weights.float()
    sums_to_one = weights.dim() == 2 and bool(((weights.sum(1) - 1).abs() < _TOLERANCE).all())  # NaN fails, too
    if tuple(weights.shape) != (count, num_labels) or not sums_to_one:
        raise UsageError(
            f"weights of labels must be finite numbers of shape ({count}, {num_labels}) whose rows sum to 1; "
            f"got {tuple(weights.shape)}"
        )
    return weights
