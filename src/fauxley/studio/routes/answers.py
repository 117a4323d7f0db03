"""What answers have in common: sounds as numbers, files to keep, and what a file beside a sound says."""

from typing import Any
from urllib.parse import quote

from fastapi import Response

from fauxley.studio.requests import Problem, ShelfEntry
from fauxley.studio.wire import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

SOUNDS: Responses = {
    200: {
        "description": "Sounds: a header and float32 samples.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
PROBLEMS: Responses = {
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


def file_answer(content: bytes, media_type: str, name: str) -> Response:
    """A file to keep."""
    return Response(
        content, media_type=media_type, headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    )


def shelf_entry(file: str, said: dict[str, Any]) -> ShelfEntry | None:
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
