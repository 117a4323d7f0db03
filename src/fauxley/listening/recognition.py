"""What a classifier takes a clip for: the reference of listeners' accuracy where a model's sounds have no labels."""

from collections.abc import Callable, Sequence

import torch

from fauxley.errors import UsageError
from fauxley.evaluation.classifier.classifier import Classifier
from fauxley.listening.stimuli import Leveller
from fauxley.sounds.sources import Float


def recogniser(classifier: Classifier, labels: Sequence[str]) -> Callable[[Float, int], str]:
    """A function that names a clip (C, T) of any rate by the classifier's likeliest label.

    Args:
        classifier: mono, of one rate and clip length, to which clips are brought.
        labels: what listeners choose from.

    Raises:
        UsageError: the classifier knows a label that listeners cannot choose.
    """
    if unknown := sorted(set(classifier.labels) - set(labels)):
        raise UsageError(f"the classifier's label {unknown[0]!r} is none of the study's: give --labels as it has them")
    rate, length = classifier.settings.sample_rate, classifier.settings.clip_length
    leveller = Leveller(rate, 1, length / rate, -30.0)  # its loudness is not used

    def recognise(audio: Float, sample_rate: int) -> str:
        _, probabilities = classifier.judge(torch.from_numpy(leveller.fit(audio, sample_rate)))
        return classifier.labels[int(probabilities[0].argmax())]

    return recognise
