"""Files: the shelf of starred sounds, archives, kits for samplers."""

from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Response
from fastapi.concurrency import run_in_threadpool

from fauxley import __version__
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.export.kit import Variations
from fauxley.export.shaping import Shaping
from fauxley.studio.archive import write_archive
from fauxley.studio.kits import kit_archive
from fauxley.studio.requests import Export, Kept, ShelfEntry, Written
from fauxley.studio.routes.answers import file_answer, shelf_entry
from fauxley.studio.shelf import file_name
from fauxley.studio.workshop import Workshop

MOST_KEYS = 64  # of a kit


def serve_files(api: APIRouter, workshop: Workshop) -> None:
    """Add the paths of the shelf, archives and kits."""

    @api.get("/shelf")
    def shelf() -> list[ShelfEntry]:
        """Starred sounds that are on the disk."""
        return [entry for each in workshop.shelf.sounds() if (entry := shelf_entry(each.file, dict(each.facts)))]

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
        """An archive of sounds as pads play them, each with a file that says what it is; or of a kit for samplers."""
        shapings = [Shaping(**each.settings.model_dump()) for each in body.sounds]
        if body.format == "wav":
            sounds = [(each.name, *(await workshop.made(each))) for each in body.sounds]
            shaped = [
                (name, shaping.apply(clip, rate), rate, facts)
                for (name, clip, rate, facts), shaping in zip(sounds, shapings, strict=True)
            ]
            return file_answer(await run_in_threadpool(write_archive, shaped), "application/zip", "sounds.zip")
        if len(body.sounds) > MOST_KEYS:
            raise UsageError(f"a kit has at most {MOST_KEYS} sounds; got {len(body.sounds)}")
        variations = Variations(body.takes, body.layers, body.radius)
        pads = [await workshop.takes(each, variations) for each in body.sounds]
        about = {"fauxley": __version__}
        content, silent = await run_in_threadpool(kit_archive, body.name, body.format, pads, shapings, about)
        answer = file_answer(content, "application/zip", f"{file_name(body.name)}-{body.format}.zip")
        if silent:
            names = ", ".join(printable(name)[:60] for name in silent)
            answer.headers["x-remark"] = quote(f"left out, because silent: {names}")
        return answer
