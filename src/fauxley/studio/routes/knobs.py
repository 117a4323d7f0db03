"""The knobs of a model in a player's words: looked for once, then remembered."""

from fastapi import APIRouter

from fauxley.latents.directions import Directions
from fauxley.studio.jobs import Job
from fauxley.studio.requests import KnobFacts, Knobs
from fauxley.studio.workshop import Workshop


def serve_knobs(api: APIRouter, workshop: Workshop) -> None:
    """Add the paths of knobs."""

    @api.get("/knobs/{model}")
    def look(model: str) -> Knobs:
        """The knobs of a model, if they are known; else how far the search for them is, if there is one.

        Turning knobs is adding to a latent: `position` times `travel` of each, and then clipping to -1 and 1.
        """
        return _answer(workshop.knobs.look(workshop.instrument(model)))

    @api.post("/knobs/{model}", status_code=202)
    def find(model: str) -> Knobs:
        """Begin to look for the knobs of a model; takes as long as making a few hundred sounds, once for each model."""
        return _answer(workshop.knobs.find(workshop.instrument(model)))

    @api.delete("/knobs/{model}")
    def cancel(model: str) -> Knobs:
        """Look for them no longer."""
        job = workshop.knobs.look(workshop.instrument(model))
        if job is not None:
            job.stop.set()
        return _answer(job)


def _answer(job: Job[Directions] | None) -> Knobs:
    if job is None:
        return Knobs(state="unknown")
    knobs = job.result.facts() if job.result and job.state == "done" else []
    return Knobs(**job.standing(), knobs=[KnobFacts(**each) for each in knobs])
