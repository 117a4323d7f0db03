"""All that stands behind the page: models, the thread that plays them, recordings, long work, shelf, folder."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from fauxley.errors import FauxleyError, UsageError
from fauxley.export.kit import Layer, Variations
from fauxley.studio import latent_tools
from fauxley.studio.audition import Audition
from fauxley.studio.instruments import Float, Instrument, Mixture
from fauxley.studio.inversions import Found, nearest
from fauxley.studio.jobs import Job, Jobs
from fauxley.studio.kits import takes_of
from fauxley.studio.knobs import Knobs
from fauxley.studio.recordings import Recording, Recordings
from fauxley.studio.requests import Kept
from fauxley.studio.shelf import Shelf
from fauxley.studio.wire import SoundFacts
from fauxley.studio.worker import BusyError, Worker

_SECONDS_FOR_SOUNDS = 60.0
_MOST_VALUES = 1 << 26  # numbers in the sounds of one answer


class MissingError(FauxleyError):
    """What was asked for is not here."""


@dataclass
class Workshop:
    """All that stands behind the page. To be closed.

    Attributes:
        instruments: models, the first of which is shown first.
        shelf: of starred sounds.
        audition: the folder to listen through, if there is one.
        token: what requests must know; "" for nothing.
    """

    instruments: Sequence[Instrument]
    shelf: Shelf
    audition: Audition | None = None
    token: str = ""
    worker: Worker = field(default_factory=Worker)
    recordings: Recordings = field(default_factory=Recordings)
    jobs: Jobs = field(default_factory=Jobs)

    def __post_init__(self) -> None:
        self.knobs = Knobs(self.jobs)

    def instrument(self, identifier: str) -> Instrument:
        """The model of this name; MissingError if there is none."""
        for each in self.instruments:
            if each.id == identifier:
                return each
        raise MissingError("there is no such model here")

    def maker_of(self, model: str, latent: Sequence[float]) -> str:
        """Which of the models that are open has made a sound, by what is said beside it; "" if none has."""
        makers = [each for each in self.instruments if each.is_called(model) and each.latent_size == len(latent)]
        return makers[0].id if len(makers) == 1 else ""

    def recording(self, identifier: str) -> Recording:
        """The recording of this name; MissingError if there is none."""
        found = self.recordings.get(identifier)
        if found is None:
            raise MissingError("this recording is no longer here; drop the file again")
        return found

    def look_for(self, recording: Recording, instrument: Instrument, labels: dict[str, float]) -> Job[Found]:
        """Begin to look for the sound of a model that is nearest to a recording; BusyError if too much is going on."""
        return self.jobs.start(lambda tell, cancelled: nearest(instrument, recording, labels, tell, cancelled))

    def search(self, identifier: str) -> Job[Found]:
        """The search of this name; MissingError if there is none."""
        found = self.jobs.get(identifier)
        if found is None:
            raise MissingError("there is no such search")
        return found

    def folder(self) -> Audition:
        """The folder to listen through; MissingError if there is none."""
        if self.audition is None:
            raise MissingError("no folder is open; 'fauxley studio FOLDER' opens one")
        return self.audition

    async def sounds(self, instrument: Instrument, latents: Float, mixtures: Sequence[Mixture]) -> Float:
        """Sounds (N, C, T) of latents (N, Z)."""
        instrument.check(latents)
        channels, samples = instrument.shape
        if len(latents) * channels * samples > _MOST_VALUES:
            raise UsageError(f"{len(latents)} sounds of {instrument.name} are too much for one answer; ask for fewer")
        order: Future[Float] = self.worker.submit(instrument, latents, mixtures)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(order), _SECONDS_FOR_SOUNDS)
        except TimeoutError as error:
            raise BusyError("this takes too long just now; ask for fewer sounds, or try again") from error

    async def made(self, kept: Kept) -> tuple[Float, int, SoundFacts]:
        """A sound (C, T), its sample rate and what it is."""
        if kept.recording is not None:
            recording = self.recording(kept.recording)
            return recording.audio, recording.sample_rate, SoundFacts(made="recording", name=recording.name)
        if kept.model is None or (kept.latent is None and kept.seed is None):
            raise UsageError("a sound to write has a recording, or a model with a latent or a seed")
        instrument = self.instrument(kept.model)
        latents = instrument.latents_of([kept.seed or 0]) if kept.latent is None else rows([kept.latent])
        (mixture,) = instrument.mixtures(kept.labels, 1, kept.seed or 0)
        clips = await self.sounds(instrument, latents, [mixture])
        facts = facts_of(instrument, latents[0], mixture, kept.made, kept.seed)
        return clips[0], instrument.synthesizer.sample_rate, facts

    async def takes(self, kept: Kept, variations: Variations) -> list[Layer]:
        """The layers of a sound of a kit: variations of it, if a model has made it."""
        clip, rate, facts = await self.made(kept)
        if not facts.latent:
            return takes_of(kept.name, clip[None], rate, facts, variations)
        instrument, latent = self.instrument(facts.model), np.array(facts.latent, np.float32)
        others = latent_tools.vary(latent, variations.sounds - 1, variations.radius, 0)
        clips = await self.sounds(instrument, np.stack([latent, *others]), [facts.labels] * variations.sounds)
        return takes_of(kept.name, clips, rate, facts, variations)

    def warm_up(self) -> None:
        """Make a sound of each model, so that the first that is asked for comes at once.

        Raises:
            FauxleyError: one makes no sounds.
        """
        for each in self.instruments:
            self.worker.submit(each, each.latents_of([0]), each.mixtures({}, 1)).result()

    def close(self) -> None:
        """End all threads."""
        with ExitStack() as stack:
            for each in (self.worker, self.jobs, self.audition):
                if each is not None:
                    stack.callback(each.close)


def facts_of(instrument: Instrument, latent: Float, labels: Mixture, made: str, seed: int | None) -> SoundFacts:
    """What a sound of a latent (Z,) is."""
    return SoundFacts(
        model=instrument.id,
        model_name=instrument.name,
        seed=seed,
        latent=[float(value) for value in latent],
        labels=dict(labels),
        license=instrument.synthesizer.provenance.license,
        made=made,
    )


def rows(latents: Sequence[Sequence[float]]) -> Float:
    """Latents (N, Z).

    Raises:
        UsageError: they differ in length.
    """
    if len({len(latent) for latent in latents}) != 1:
        raise UsageError("all latents must have the same number of numbers")
    return np.array(latents, np.float32)
