"""The studio over HTTP: a page, and what it asks for. `GET /api/openapi.json` describes it all.

    GET    /                     the page, its modules and its style
    GET    /api/studio           models, folders, what this installation can do
    POST   /api/generate         new sounds, of seeds or latents
    POST   /api/vary             sounds around a latent
    POST   /api/morph            sounds between latents; /api/place: one of them
    GET    /api/wav              one sound as a file, by its own address, for dragging it out
    POST   /api/recordings       decode a file
    POST   /api/invert           look for its latent; GET and DELETE /api/invert/ID: how far it is, and cancelling
    POST   /api/export           an archive of sounds
    GET    /api/shelf            starred sounds on disk; POST and DELETE
    GET    /api/folder           the sounds of a folder; GET /api/folder/N: one; POST /api/keepers: copy some

A token, if there is one, comes in the header `x-fauxley-token`, or as `token` in the address of a file. There are no
cookies, so no other site can make a browser ask on its owner's behalf. Sounds travel as `fauxley.studio.wire` says.
"""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.routing import Match, Route

from fauxley import __version__
from fauxley.errors import FauxleyError, UsageError
from fauxley.export.kit import Variations
from fauxley.sounds.reading import AudioFileError
from fauxley.studio import latent_tools
from fauxley.studio.archive import write_archive
from fauxley.studio.instruments import Float, Instrument, Mixture
from fauxley.studio.inversions import Inversion
from fauxley.studio.kits import kit_archive
from fauxley.studio.recordings import RecordingError
from fauxley.studio.requests import (
    Copied,
    Export,
    File,
    Generate,
    Invert,
    Keep,
    Kept,
    Model,
    Morph,
    Place,
    Problem,
    Search,
    ShelfEntry,
    Studio,
    Vary,
    Written,
)
from fauxley.studio.shelf import file_name
from fauxley.studio.wire import MEDIA_TYPE, SoundFacts, pack, wav_bytes
from fauxley.studio.worker import BusyError
from fauxley.studio.workshop import MissingError, Workshop, facts_of, rows
from fauxley.web.guard import Guard, RequestLimits
from fauxley.web.hosts import Hosts
from fauxley.web.pages import serve_pages

UPLOAD_BYTES = 32 << 20
LIMITS = RequestLimits(body_bytes=UPLOAD_BYTES, body_seconds=60.0, requests_per_minute=60_000)
MOST_KEYS = 64  # of a kit
_DECODERS = 2  # files decoded at a time
_WAV = {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}
_SOUNDS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Sounds: a header and float32 samples.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "The body cannot be read.",
        401: "The token is missing or wrong.",
        404: "There is no such thing.",
        409: "What was asked for does not fit what is here: a latent of another model, a label unknown to it, a file \
that is no sound.",
        413: "Too large.",
        422: "Not a request that can be understood.",
        429: "Too many requests.",
        500: "Something went wrong.",
        503: "Busy; try again.",
    }.items()
}


def create_app(workshop: Workshop, hosts: Hosts, limits: RequestLimits = LIMITS, prefix: str = "") -> FastAPI:
    """The application that serves the studio.

    Args:
        workshop: what it serves.
        hosts: names that the server goes by.
        limits: how much to put up with.
        prefix: of the addresses, if a proxy leaves it in front of them.
    """
    app = FastAPI(
        title="fauxley studio",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    app.add_middleware(Guard, limits=limits, hosts=hosts, prefix=prefix)

    def check_token(
        header: Annotated[str, Header(alias="x-fauxley-token", max_length=200)] = "",
        token: Annotated[str, Query(max_length=200, include_in_schema=False)] = "",
    ) -> None:
        given = (header or token).encode()
        if workshop.token and not secrets.compare_digest(given, workshop.token.encode()):
            raise HTTPException(401, "this studio asks for a token; open the address that 'fauxley studio' printed")

    api = APIRouter(prefix="/api", dependencies=[Depends(check_token)], responses=_PROBLEMS)
    _serve_studio(api, workshop)
    _serve_sounds(api, workshop)
    _serve_recordings(api, workshop)
    _serve_files(api, workshop)
    _serve_folder(api, workshop)
    _answer_errors(app, api)
    app.include_router(api)
    pages = resources.files("fauxley.studio").joinpath("web")
    serve_pages(app, pages, [file.name for file in pages.iterdir() if file.name.endswith((".js", ".css", ".svg"))])
    return app


def _answer_errors(app: FastAPI, api: APIRouter) -> None:
    @app.exception_handler(FauxleyError)
    def failed(request: Request, error: Exception) -> JSONResponse:
        code = 503 if isinstance(error, BusyError) else 404 if isinstance(error, MissingError) else 409
        return JSONResponse({"detail": str(error)}, code, {"retry-after": "2"} if code == 503 else None)

    @app.exception_handler(405)
    async def not_allowed(request: Request, error: Exception) -> JSONResponse:
        """Name all methods of a path: the framework names those of its first route alone."""
        found = [
            each for each in api.routes if isinstance(each, Route) and each.matches(request.scope)[0] != Match.NONE
        ]
        methods = sorted({method for each in found for method in each.methods or ()})
        return JSONResponse({"detail": "this is not done here"}, 405, {"allow": ", ".join(methods)})

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse({"detail": f"{where}: {first['msg']}".removeprefix(": ")[:300]}, 422)


def _serve_studio(api: APIRouter, workshop: Workshop) -> None:
    models = [
        Model(
            id=each.id,
            name=each.name,
            sample_rate=each.synthesizer.sample_rate,
            channels=each.shape[0],
            samples=each.shape[1],
            latent_size=each.latent_size,
            labels=each.labels,
            license=each.synthesizer.provenance.license,
            preset=each.synthesizer.provenance.preset,
            step=each.synthesizer.provenance.step,
            dataset=each.synthesizer.provenance.dataset,
        )
        for each in workshop.instruments
    ]
    audition = workshop.audition
    shown = Studio(
        version=__version__,
        models=models,
        folder=str(audition.folder) if audition else "",
        kept=str(audition.kept) if audition else "",
        shelf=str(workshop.shelf.folder),
        can_invert=bool(models),
        formats=["wav", "sfz", "decentsampler", "folder"],
    )

    @api.get("/studio")
    async def get_studio() -> Studio:
        """What there is to play."""
        return shown


def _serve_sounds(api: APIRouter, workshop: Workshop) -> None:
    async def answer(
        instrument: Instrument, latents: Float, mixtures: Sequence[Mixture], made: str, first_seed: int | None = None
    ) -> Response:
        clips = await workshop.sounds(instrument, latents, mixtures)
        facts = [
            facts_of(instrument, latent, mixture, made, None if first_seed is None else first_seed + place)
            for place, (latent, mixture) in enumerate(zip(latents, mixtures, strict=True))
        ]
        return Response(pack(clips, instrument.synthesizer.sample_rate, facts), media_type=MEDIA_TYPE)

    @api.post("/generate", responses=_SOUNDS, response_class=Response)
    async def generate(body: Generate) -> Response:
        """New sounds, of seeds or of latents."""
        instrument = workshop.instrument(body.model)
        if body.latents is not None:
            latents = rows(body.latents)
            return await answer(instrument, latents, instrument.mixtures(body.labels, len(latents)), "latent")
        latents = instrument.latents_of(range(body.seed, body.seed + body.count))
        mixtures = instrument.mixtures(body.labels, len(latents), body.seed)
        return await answer(instrument, latents, mixtures, "new", body.seed)

    @api.post("/vary", responses=_SOUNDS, response_class=Response)
    async def vary(body: Vary) -> Response:
        """Sounds around a latent."""
        instrument = workshop.instrument(body.model)
        latent = rows([body.latent])
        instrument.check(latent)
        latents = latent_tools.vary(latent[0], body.count, body.radius, body.seed)
        mixtures = instrument.mixtures(body.labels, 1) * len(latents)
        return await answer(instrument, latents, mixtures, "variation")

    @api.post("/morph", responses=_SOUNDS, response_class=Response)
    async def morph(body: Morph) -> Response:
        """Sounds between two latents, or in a square of four."""
        instrument = workshop.instrument(body.model)
        places = latent_tools.grid(body.rows if len(body.corners) == 4 else 1, body.columns)
        latents, mixtures = _between(instrument, body.corners, body.labels, places)
        return await answer(instrument, latents, mixtures, "morph")

    @api.post("/place", responses=_SOUNDS, response_class=Response)
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
        return _file(wav_bytes(clips[0], instrument.synthesizer.sample_rate), "audio/wav", f"{file_name(name)}.wav")


def _serve_recordings(api: APIRouter, workshop: Workshop) -> None:
    decoding = asyncio.Semaphore(_DECODERS)

    @api.post("/recordings", responses=_SOUNDS, response_class=Response)
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
        return _search(workshop.inversions.start(instrument, recording, body.labels))

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

    @api.get("/invert/{search}/sound", responses=_SOUNDS, response_class=Response)
    async def result(search: str) -> Response:
        """The sound that was found."""
        found = workshop.search(search)
        if found.found is None:
            raise HTTPException(404, "nothing has been found yet")
        facts = facts_of(found.instrument, found.found.latent, found.found.labels, "resynthesis", None)
        facts.name = found.recording.name
        rate = found.instrument.synthesizer.sample_rate
        return Response(pack(found.found.audio[None], rate, [facts]), media_type=MEDIA_TYPE)


def _serve_files(api: APIRouter, workshop: Workshop) -> None:
    @api.get("/shelf")
    def shelf() -> list[ShelfEntry]:
        """Starred sounds that are on the disk."""
        return [entry for each in workshop.shelf.sounds() if (entry := _shelf_entry(each.file, dict(each.facts)))]

    @api.post("/shelf", status_code=201)
    async def put(body: Kept) -> Written:
        """Write a sound to the shelf's folder."""
        clip, rate, facts = await workshop.made(body)
        content = facts.model_dump(exclude={"name"})
        try:
            file = await run_in_threadpool(workshop.shelf.put, body.name or "sound", clip, rate, content)
        except OSError as error:
            raise FauxleyError(f"the shelf cannot be written: {error.strerror or error}") from error
        return Written(file=file, folder=str(workshop.shelf.folder))

    @api.delete("/shelf/{file}")
    def remove(file: str) -> Written:
        """Take a sound off the shelf; its files go to the folder `removed` there."""
        if not workshop.shelf.remove(file):
            raise HTTPException(404, "there is no such sound on the shelf")
        return Written(file=file, folder=str(workshop.shelf.folder))

    @api.post("/export", responses={200: {"content": {"application/zip": {}}}}, response_class=Response)
    async def export(body: Export) -> Response:
        """An archive of sounds, each with what it is in a file beside it; or of a kit that samplers play."""
        if body.format == "wav":
            sounds = [(each.name, *(await workshop.made(each))) for each in body.sounds]
            return _file(await run_in_threadpool(write_archive, sounds), "application/zip", "sounds.zip")
        if len(body.sounds) > MOST_KEYS:
            raise UsageError(f"a kit has at most {MOST_KEYS} sounds; got {len(body.sounds)}")
        variations = Variations(body.takes, body.layers, body.radius)
        pads = [await workshop.takes(each, variations) for each in body.sounds]
        content = await run_in_threadpool(kit_archive, body.name, body.format, pads, {"fauxley": __version__})
        return _file(content, "application/zip", f"{file_name(body.name)}-{body.format}.zip")


def _serve_folder(api: APIRouter, workshop: Workshop) -> None:
    @api.get("/folder")
    async def listing() -> list[File]:
        """The files of the folder that is open, as far as they have been measured."""
        return [File(**vars(each)) for each in workshop.folder().sounds()]

    @api.get("/folder/{number}", responses=_SOUNDS, response_class=Response)
    def load(number: Annotated[int, Path(ge=0)]) -> Response:
        """One of them."""
        try:
            audio, rate, said = workshop.folder().load(number)
        except IndexError as error:
            raise HTTPException(404, "there is no such file") from error
        except AudioFileError as error:
            raise RecordingError(f"{error.path.name}: {error.reason}") from error
        entry = _shelf_entry("", said)
        facts = SoundFacts(made="file", name=workshop.folder().sounds()[number].file)
        if entry is not None:
            facts.seed, facts.labels, facts.license = entry.seed, entry.labels, entry.license
            facts.model_name, facts.latent = entry.model, entry.latent
            facts.model = workshop.maker_of(entry.model, entry.latent)
        return Response(pack(audio[None], rate, [facts]), media_type=MEDIA_TYPE)

    @api.post("/keepers")
    def keep(body: Keep) -> Copied:
        """Copy files to the folder of keepers."""
        folder = workshop.folder()
        try:
            return Copied(copied=folder.keep(body.sounds), folder=str(folder.kept))
        except IndexError as error:
            raise HTTPException(404, "there is no such file") from error
        except OSError as error:
            raise FauxleyError(f"keepers cannot be copied: {error.strerror or error}") from error


def _shelf_entry(file: str, said: dict[str, Any]) -> ShelfEntry | None:
    """What a file beside a sound says, as far as it makes sense; whoever wrote it may have written anything."""
    plain = {
        "file": file,
        "name": said.get("name", ""),
        "model": said.get("model_name") or said.get("model") or "",
        "seed": said.get("seed"),
        "latent": said.get("latent") or [],
        "labels": said.get("labels") or {},
        "license": said.get("license") or said.get("license_of_training_data") or "",
    }
    try:
        return ShelfEntry(**plain)
    except ValueError:
        return ShelfEntry(file=file, name="", model="", seed=None, latent=[], labels={}, license="") if file else None


def _search(search: Inversion) -> Search:
    found = search.found
    return Search(
        id=search.id,
        state=search.state,
        stage=search.stage,
        share=search.share,
        problem=search.problem,
        verdict=found.verdict if found else "",
        distance=found.distance if found else None,
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


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(
        content, media_type=media_type, headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    )
