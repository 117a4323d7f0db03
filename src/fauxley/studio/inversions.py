"""Finding the latent of a recording: what the search is given, and what it finds."""

from dataclasses import dataclass

from fauxley.latents.inversion import invert
from fauxley.studio.instruments import Float, Instrument
from fauxley.studio.jobs import Cancelled, Tell
from fauxley.studio.recordings import Recording


@dataclass(frozen=True)
class Found:
    """The sound of a model that is nearest to a recording.

    Attributes:
        instrument, recording: what was searched, and for what.
        latent: (Z,).
        labels: weights of labels.
        audio: the sound of the latent, (C, T).
        distance: how far it is.
        verdict: the same in words.
    """

    instrument: Instrument
    recording: Recording
    latent: Float
    labels: dict[str, float]
    audio: Float
    distance: float
    verdict: str


def nearest(
    instrument: Instrument, recording: Recording, labels: dict[str, float], tell: Tell, cancelled: Cancelled
) -> Found:
    """The nearest sound of some labels, or of any if none are given.

    Raises:
        UsageError: labels that the model does not have.
        CalledOffError: it was cancelled.
    """
    wanted = labels or None
    found = invert(instrument.synthesizer, recording.audio, labels=wanted, progress=tell, cancelled=cancelled)
    audio, latent = found.audio.numpy(), found.latent.numpy()
    return Found(instrument, recording, latent, found.labels, audio, found.distance, found.words)
