"""Clips that are none of the labels, by which a classifier learns not to be sure of everything.

A classifier trained on words alone names a word for anything, and is often sure of it: words played backwards had half
the inception score of words. Outlier exposure (Hendrycks, Mazeika, Dietterich 2019) shows it clips that mean nothing,
with the shares of the labels as their target: what one would say without having heard them. No label is added, so the
probabilities, and the inception score made of them, are what the paper defines.

The clips are made from the training data itself: the same voices, drums or steps, in an order that none of them has.

Letters: T samples.
"""

from collections.abc import Callable

import numpy as np

from fauxley.evaluation.classifier.conditions import Float32, noise

_SILENCE = 1e-3  # of the peak, 60 dB below it


def outlier(audio: Float32, rng: np.random.Generator) -> Float32:
    """Something that is no clip of its label any more, made from a clip (T,): (T,)."""
    make = _WAYS[rng.integers(len(_WAYS))]
    return make(audio, rng)


def backwards(audio: Float32, rng: np.random.Generator) -> Float32:
    """The clip played backwards; in half of the cases what follows its end stays there, lest a place give it away."""
    end = len(audio)
    if rng.random() < 0.5:
        loud = np.flatnonzero(np.abs(audio) > _SILENCE * np.abs(audio).max(initial=0))
        end = int(loud[-1]) + 1 if len(loud) else end
    return np.concatenate([audio[:end][::-1], audio[end:]])


def shuffled(audio: Float32, rng: np.random.Generator) -> Float32:
    """The clip cut into 8 to 32 pieces of equal length, in another order."""
    pieces = np.array_split(audio, rng.integers(8, 33))
    return np.concatenate([pieces[place] for place in rng.permutation(len(pieces))])


def alike_noise(audio: Float32, rng: np.random.Generator) -> Float32:
    """Noise with the clip's spectrum: as loud at each frequency, with a phase of its own there."""
    magnitude = np.abs(np.fft.rfft(audio))
    turned = magnitude * np.exp(2j * np.pi * rng.random(len(magnitude), np.float32))
    return np.asarray(np.fft.irfft(turned, len(audio)), np.float32)


def mere_noise(audio: Float32, rng: np.random.Generator) -> Float32:
    """Noise between white and brown, nothing of the clip."""
    return noise(len(audio), rng.uniform(0, 2) if rng.random() < 0.7 else 0.0, rng)


# Half of them backwards: of all these it is the hardest to tell.
_WAYS: tuple[Callable[[Float32, np.random.Generator], Float32], ...] = (
    backwards,
    backwards,
    backwards,
    shuffled,
    alike_noise,
    mere_noise,
)
