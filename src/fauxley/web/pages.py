"""The files of a page: read once, served under their names and under no other."""

from collections.abc import Iterable
from importlib.resources.abc import Traversable

from fastapi import FastAPI, HTTPException, Response

INDEX = "index.html"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def serve_pages(app: FastAPI, folder: Traversable, names: Iterable[str]) -> None:
    """Serve these files of a folder, and its index.html as `/`. Call it after all other paths are there."""
    files = {name: _read(folder, name) for name in names}
    files[""] = _read(folder, INDEX)

    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
    async def page(name: str = "") -> Response:
        if name not in files:
            raise HTTPException(404, "there is nothing here")
        content, media_type = files[name]
        return Response(content, media_type=media_type)


def _read(folder: Traversable, name: str) -> tuple[bytes, str]:
    """Content and type."""
    content = folder.joinpath(name).read_bytes()
    return content, _TYPES[name.rpartition(".")[2]]
