"""The folder that is listened through: its files, one of them, and copies of the keepers."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response

from fauxley.errors import FauxleyError
from fauxley.sounds.reading import AudioFileError
from fauxley.studio.recordings import RecordingError
from fauxley.studio.requests import Copied, File, Keep
from fauxley.studio.routes.answers import SOUNDS, shelf_entry
from fauxley.studio.wire import MEDIA_TYPE, SoundFacts, pack
from fauxley.studio.workshop import Workshop


def serve_folder(api: APIRouter, workshop: Workshop) -> None:
    """Add the paths of the folder."""

    @api.get("/folder")
    async def listing() -> list[File]:
        """The files of the folder that is open, as far as they have been measured."""
        return [File(**vars(each)) for each in workshop.folder().sounds()]

    @api.get("/folder/{number}", responses=SOUNDS, response_class=Response)
    def load(number: Annotated[int, Path(ge=0)]) -> Response:
        """One of them."""
        try:
            audio, rate, said = workshop.folder().load(number)
        except IndexError as error:
            raise HTTPException(404, "there is no such file") from error
        except AudioFileError as error:
            raise RecordingError(f"{error.path.name}: {error.reason}") from error
        entry = shelf_entry("", said)
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
