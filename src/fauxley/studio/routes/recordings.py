"""Recordings that are dropped on the page, and the search for the latents nearest to them."""

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from fauxley.studio.inversions import Found
from fauxley.studio.jobs import Job
from fauxley.studio.requests import Invert, Search
from fauxley.studio.routes.answers import SOUNDS
from fauxley.studio.wire import MEDIA_TYPE, SoundFacts, pack
from fauxley.studio.workshop import Workshop, facts_of

_DECODERS = 2  # files decoded at a time


def serve_recordings(api: APIRouter, workshop: Workshop) -> None:
    """Add the paths of recordings."""
    decoding = asyncio.Semaphore(_DECODERS)

    @api.post("/recordings", responses=SOUNDS, response_class=Response)
    async def add(
        request: Request,
        name: Annotated[str, Query(max_length=300)] = "",
        model: Annotated[str, Query(max_length=100)] = "",
    ) -> Response:
        """Decode a sound file, the body of the request, up to a minute of it; its id is in the header `x-recording`."""
        instrument = workshop.instrument(model) if model else None
        content = await request.body()
        rate = instrument.synthesizer.sample_rate if instrument else None
        channels = instrument.shape[0] if instrument else None
        async with decoding:
            made = await run_in_threadpool(workshop.recordings.add, content, name, rate, channels)
        headers = {"x-recording": made.id}
        if made.remarks:
            headers["x-remark"] = quote("; ".join(made.remarks))
        facts = SoundFacts(made="recording", name=made.name)
        return Response(pack(made.audio[None], made.sample_rate, [facts]), media_type=MEDIA_TYPE, headers=headers)

    @api.post("/invert", status_code=202)
    async def invert(body: Invert) -> Search:
        """Begin to look for the latent whose sound is nearest to a recording."""
        instrument, recording = workshop.instrument(body.model), workshop.recording(body.recording)
        return _search(workshop.look_for(recording, instrument, body.labels))

    @api.get("/invert/{search}")
    async def progress(search: str) -> Search:
        """How far the search is."""
        return _search(workshop.search(search))

    @api.delete("/invert/{search}")
    async def cancel(search: str) -> Search:
        """Cancel the search."""
        found = workshop.search(search)
        found.stop.set()
        return _search(found)

    @api.get("/invert/{search}/sound", responses=SOUNDS, response_class=Response)
    async def result(search: str) -> Response:
        """The sound that was found."""
        found = workshop.search(search).result
        if found is None:
            raise HTTPException(404, "nothing has been found yet")
        facts = facts_of(found.instrument, found.latent, found.labels, "resynthesis", None)
        facts.name = found.recording.name
        rate = found.instrument.synthesizer.sample_rate
        return Response(pack(found.audio[None], rate, [facts]), media_type=MEDIA_TYPE)


def _search(job: Job[Found]) -> Search:
    found = job.result
    return Search(
        id=job.id,
        **job.standing(),
        verdict=found.verdict if found else "",
        distance=found.distance if found else None,
    )
