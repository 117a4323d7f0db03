"""The studio over HTTP: a page, and what it asks for. `GET /api/openapi.json` describes it all.

    GET    /                     the page, its modules and its style
    GET    /api/studio           models, folders, what this installation can do
    POST   /api/generate         new sounds, of seeds or latents
    POST   /api/vary             sounds around a latent
    POST   /api/morph            sounds between latents; /api/place: one of them
    GET    /api/wav              one sound as a file, by its own address, for dragging it out
    GET    /api/knobs/MODEL      a model's knobs in a player's words; POST: look for them; DELETE: no longer
    POST   /api/recordings       decode a file
    POST   /api/invert           look for its latent; GET and DELETE /api/invert/ID: how far it is, and cancelling
    POST   /api/export           an archive of sounds
    GET    /api/shelf            starred sounds on disk; POST and DELETE
    GET    /api/folder           the sounds of a folder; GET /api/folder/N: one; POST /api/keepers: copy some

A token, if there is one, comes in the header `x-fauxley-token`, or as `token` in the address of a file. There are no
cookies, so no other site can make a browser ask on its owner's behalf. Sounds travel as `fauxley.studio.wire` says.
"""

import secrets
from importlib import resources
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.routing import Match, Route

from fauxley import __version__
from fauxley.errors import FauxleyError
from fauxley.studio.requests import Model, Studio
from fauxley.studio.routes.answers import PROBLEMS
from fauxley.studio.routes.files import serve_files
from fauxley.studio.routes.folder import serve_folder
from fauxley.studio.routes.knobs import serve_knobs
from fauxley.studio.routes.recordings import serve_recordings
from fauxley.studio.routes.sounds import serve_sounds
from fauxley.studio.worker import BusyError
from fauxley.studio.workshop import MissingError, Workshop
from fauxley.web.guard import Guard, RequestLimits
from fauxley.web.hosts import Hosts
from fauxley.web.pages import serve_pages

UPLOAD_BYTES = 32 << 20
LIMITS = RequestLimits(body_bytes=UPLOAD_BYTES, body_seconds=60.0, requests_per_minute=60_000)


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

    api = APIRouter(prefix="/api", dependencies=[Depends(check_token)], responses=PROBLEMS)
    _serve_studio(api, workshop, limits)
    serve_sounds(api, workshop)
    serve_knobs(api, workshop)
    serve_recordings(api, workshop)
    serve_files(api, workshop)
    serve_folder(api, workshop)
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


def _serve_studio(api: APIRouter, workshop: Workshop, limits: RequestLimits) -> None:
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
        upload_bytes=limits.body_bytes,
    )

    @api.get("/studio")
    async def get_studio() -> Studio:
        """What there is to play."""
        return shown
