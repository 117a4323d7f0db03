"""The listening test over HTTP: a page, and the few requests it makes.

    GET  /                 the page, its script and its style
    GET  /api/study        title, labels, what kinds of questions
    POST /api/listeners    begin: a token, and the first question
    GET  /api/step         the question that comes next
    POST /api/answers      an answer, acknowledged when it is on the disk; then the next question
    GET  /api/sounds/ID    a sound of this question or the next

Who is asking is told by the header `x-listener`. There are no cookies, so no other site can make a browser answer for
its owner. Nothing that a request holds becomes part of a path.
"""

import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from fauxley.listening.answers import Answers, BusyError, RefusedAnswerError, UnknownListenerError
from fauxley.listening.assignment import assign
from fauxley.listening.questions import Answer, Opinion, Question
from fauxley.listening.study import CANNOT_TELL, SOUNDS_FOLDER, Study, Task
from fauxley.web.clients import Allowance, client_of
from fauxley.web.guard import Guard, RequestLimits
from fauxley.web.hosts import Hosts
from fauxley.web.pages import serve_pages

Token = Annotated[str, Header(alias="x-listener", min_length=16, max_length=64, pattern=r"^[\w-]+$")]
Name = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]
Scale = Annotated[int, Field(ge=1, le=5)]

_FILES = ("listen.js", "api.js", "player.js", "listen.css", "icon.svg")
_PARTS: dict[Task, str] = {"label": "label", "pairs": "pair", "real-or-generated": "verdict"}
_SECONDS_TO_DECIDE = 4.0


@dataclass(frozen=True)
class Limits(RequestLimits):
    """How much the server puts up with.

    Attributes:
        listeners_per_hour: that may begin from one address; a class behind one router is one address.
        listeners: of the study in all.
    """

    listeners_per_hour: int = 200
    listeners: int = 10_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Begin(_Strict):
    agreed: Literal[True]


class _Opinion(_Strict):
    quality: Scale
    ease: Scale
    diversity: Scale


class _Answer(_Strict):
    trial: Name
    answer_id: Annotated[str, Field(min_length=16, max_length=64, pattern=r"^[\w-]+$")]
    value: Annotated[str, Field(min_length=1, max_length=40)] | _Opinion
    plays: Annotated[int, Field(ge=0, le=1000)] = 0


class _Question(BaseModel):
    trial: str
    kind: str
    sounds: tuple[str, ...]
    upcoming: tuple[str, ...]
    done: int
    total: int
    place: int
    size: int
    batch: int
    num_batches: int

    @classmethod
    def of(cls, step: Question) -> "_Question":
        return cls(**vars(step))


class _Begun(BaseModel):
    token: str
    step: _Question


class _StudyShown(BaseModel):
    id: str
    title: str
    labels: tuple[str, ...]
    cannot_tell: str
    parts: tuple[str, ...]
    headphones: bool
    minutes: int


def create_app(folder: Path, study: Study, answers: Answers, limits: Limits, hosts: Hosts, prefix: str = "") -> FastAPI:
    """The application that serves a study.

    Args:
        folder: of the study.
        study: what was read from it.
        answers: its database.
        limits: how much to put up with.
        hosts: names that the server goes by.
        prefix: of the addresses, if a proxy leaves it in front of them.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Guard, limits=limits, hosts=hosts, prefix=prefix)
    _answer_errors(app)
    _serve_questions(app, answers, limits)
    _serve_sounds(app, answers, folder / SOUNDS_FOLDER)
    _serve_page(app, study)
    return app


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(UnknownListenerError)
    def unknown(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 401)

    @app.exception_handler(RefusedAnswerError)
    def refused(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(BusyError)
    def busy(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"retry-after": "5"})

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "this is not a request that the page makes"}, 422)  # and is not repeated here


def _serve_questions(app: FastAPI, answers: Answers, limits: Limits) -> None:
    """Functions that are not `async` run in threads, so that waiting for the disk holds up nobody."""
    begun = Allowance(limits.listeners_per_hour, 3600.0)

    @app.post("/api/listeners")
    def begin(body: _Begin, request: Request) -> _Begun:
        if answers.num_listeners() >= limits.listeners:
            raise HTTPException(403, "this study has enough listeners")
        if not begun.take(client_of(request.scope)):
            raise HTTPException(429, "too many listeners from this address; try again later")
        token = answers.start(time.time())
        return _Begun(token=token, step=_Question.of(answers.step(token, time.time())))

    @app.get("/api/step")
    def step(listener: Token) -> _Question:
        return _Question.of(answers.step(listener, time.time()))

    @app.post("/api/answers")
    def answer(body: _Answer, listener: Token) -> _Question:
        value = Opinion(**body.value.model_dump()) if isinstance(body.value, _Opinion) else body.value
        given = Answer(body.trial, body.answer_id, value, body.plays)
        return _Question.of(answers.answer(listener, given, time.time()))


def _serve_sounds(app: FastAPI, answers: Answers, sounds: Path) -> None:
    @app.get("/api/sounds/{sound}")
    def sound(sound: str, listener: Token) -> Response:
        clip = answers.clip_of(listener, sound)
        if clip is None:
            raise HTTPException(404, "there is no such sound")
        try:
            content = (sounds / f"{clip}.wav").read_bytes()  # an ID from study.json, never what was asked for
        except OSError as error:
            raise HTTPException(503, "the sound cannot be read just now", {"retry-after": "5"}) from error
        return Response(content, media_type="audio/wav")


def _serve_page(app: FastAPI, study: Study) -> None:
    shown = _StudyShown(
        id=study.id,
        title=study.title,
        labels=study.labels,
        cannot_tell=CANNOT_TELL,
        parts=tuple(_PARTS[task] for task in study.design.tasks),
        headphones=study.design.headphones,
        minutes=max(1, round(len(assign(study, 0, {})) * (study.clip_seconds + _SECONDS_TO_DECIDE) / 60)),
    )

    @app.get("/api/study")
    async def get_study() -> _StudyShown:
        return shown

    serve_pages(app, resources.files("fauxley.listening").joinpath("web"), _FILES)
