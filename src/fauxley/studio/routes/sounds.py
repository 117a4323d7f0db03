"""Sounds: new ones, variations, what lies between some, and one as a file."""

import base64
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from fauxley.errors import UsageError
from fauxley.studio import latent_tools
from fauxley.studio.instruments import Float, Instrument, Mixture
from fauxley.studio.requests import Generate, Morph, Place, Vary
from fauxley.studio.routes.answers import SOUNDS, file_answer
from fauxley.studio.shelf import file_name
from fauxley.studio.wire import MEDIA_TYPE, pack, wav_bytes
from fauxley.studio.workshop import Workshop, facts_of, rows

_WAV = {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}


def serve_sounds(api: APIRouter, workshop: Workshop) -> None:
    """Add the paths of sounds."""

    async def answer(
        instrument: Instrument, latents: Float, mixtures: Sequence[Mixture], made: str, first_seed: int | None = None
    ) -> Response:
        clips = await workshop.sounds(instrument, latents, mixtures)
        facts = [
            facts_of(instrument, latent, mixture, made, None if first_seed is None else first_seed + place)
            for place, (latent, mixture) in enumerate(zip(latents, mixtures, strict=True))
        ]
        return Response(pack(clips, instrument.synthesizer.sample_rate, facts), media_type=MEDIA_TYPE)

    @api.post("/generate", responses=SOUNDS, response_class=Response)
    async def generate(body: Generate) -> Response:
        """New sounds, of seeds or of latents."""
        instrument = workshop.instrument(body.model)
        if body.latents is not None:
            latents = rows(body.latents)
            return await answer(instrument, latents, instrument.mixtures(body.labels, len(latents)), "latent")
        latents = instrument.latents_of(range(body.seed, body.seed + body.count))
        mixtures = instrument.mixtures(body.labels, len(latents), body.seed)
        return await answer(instrument, latents, mixtures, "new", body.seed)

    @api.post("/vary", responses=SOUNDS, response_class=Response)
    async def vary(body: Vary) -> Response:
        """Sounds around a latent."""
        instrument = workshop.instrument(body.model)
        latent = rows([body.latent])
        instrument.check(latent)
        latents = latent_tools.vary(latent[0], body.count, body.radius, body.seed)
        mixtures = instrument.mixtures(body.labels, 1) * len(latents)
        return await answer(instrument, latents, mixtures, "variation")

    @api.post("/morph", responses=SOUNDS, response_class=Response)
    async def morph(body: Morph) -> Response:
        """Sounds between two latents, or in a square of four."""
        instrument = workshop.instrument(body.model)
        places = latent_tools.grid(body.rows if len(body.corners) == 4 else 1, body.columns)
        latents, mixtures = _between(instrument, body.corners, body.labels, places)
        return await answer(instrument, latents, mixtures, "morph")

    @api.post("/place", responses=SOUNDS, response_class=Response)
    async def place(body: Place) -> Response:
        """The sound at a place between two latents, or in a square of four."""
        instrument = workshop.instrument(body.model)
        latents, mixtures = _between(instrument, body.corners, body.labels, [(body.x, body.y)])
        return await answer(instrument, latents, mixtures, "morph")

    @api.get("/wav", responses={200: {"content": _WAV}}, response_class=Response)
    async def wav(
        model: Annotated[str, Query(max_length=100)],
        seed: Annotated[int, Query(ge=0, lt=2**53)] = 0,
        latent: Annotated[str, Query(max_length=24_000, description="float32, little-endian, base64url")] = "",
        label: Annotated[str, Query(max_length=100)] = "",
        name: Annotated[str, Query(max_length=100)] = "sound",
    ) -> Response:
        """One sound as a WAV file of 16 bits, of a seed or a latent."""
        instrument = workshop.instrument(model)
        latents = _decode_latent(latent) if latent else instrument.latents_of([seed])
        mixtures = instrument.mixtures({label: 1.0} if label else {}, 1, 0 if latent else seed)
        clips = await workshop.sounds(instrument, latents, mixtures)
        return file_answer(
            wav_bytes(clips[0], instrument.synthesizer.sample_rate), "audio/wav", f"{file_name(name)}.wav"
        )


def _between(
    instrument: Instrument, corners: list[list[float]], labels: Sequence[Mixture], places: Sequence[tuple[float, float]]
) -> tuple[Float, list[Mixture]]:
    """Latents and labels at places of a square."""
    if len(corners) == 3:
        raise UsageError("a morph has two corners, or four")
    if labels and len(labels) != len(corners):
        raise UsageError("give the labels of all corners, or none")
    known_latents = rows(corners)
    instrument.check(known_latents)
    known = [instrument.mixtures(mixture, 1)[0] for mixture in labels or [{}] * len(corners)]
    latents = np.stack([latent_tools.at(known_latents, x, y) for x, y in places])
    return latents, [latent_tools.mix(known, x, y) for x, y in places]


def _decode_latent(text: str) -> Float:
    try:
        values = np.frombuffer(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "<f4").astype(np.float32)
    except ValueError as error:
        raise UsageError("the latent must be float32 numbers in base64url") from error
    if not len(values) or not np.isfinite(values).all() or np.abs(values).max() > 8:
        raise UsageError("the latent must be finite numbers between -8 and 8")
    return values[None]
