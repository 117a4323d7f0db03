"""Models in repositories of the Hugging Face Hub: a model folder and a card.

A repository may be a stranger's. Only two files are fetched, `config.json` and `model.safetensors`, of sizes that are
known beforehand, and they are checked like any model's before they are kept. Nothing in them is run.

The environment variable HF_ENDPOINT names another hub.
"""

import importlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.export.cards import Judgement, model_card
from fauxley.machine import require_disk
from fauxley.models.synthesizer import Synthesizer
from fauxley.runs import MODEL_CONFIG_FILE, MODEL_WEIGHTS_FILE
from fauxley.serialization import one_line, parse_json, read_file, reading
from fauxley.storage import atomic_folder

_CARD = "README.md"
_FILES = {MODEL_CONFIG_FILE: 1 << 20, MODEL_WEIGHTS_FILE: 8 << 30}  # bytes at most
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def push(
    synthesizer: Synthesizer,
    repository: str,
    *,
    judgement: Judgement = Judgement(),  # noqa: B008 - frozen
    public: bool = False,
    replace_card: bool = False,
) -> str:
    """Write a model and its card to a repository, which is created if necessary, and return its address.

    Args:
        repository: OWNER/NAME.
        judgement: the result of an evaluation, for the card.
        public: whether a new repository is public; an existing one stays as it is.
        replace_card: whether to replace an existing card, which somebody may have edited.

    Raises:
        UsageError: the name is not of this form.
        FauxleyError: the user is not logged in, or there is no network.
    """
    _check_name(repository)
    with _talking(repository) as hub, tempfile.TemporaryDirectory() as temporary:
        folder = synthesizer.save(Path(temporary) / "model")
        api = hub.HfApi()
        url = api.create_repo(repository, private=not public, exist_ok=True)
        if replace_card or not api.file_exists(repository, _CARD):
            (folder / _CARD).write_text(model_card(synthesizer, repository, judgement), encoding="utf-8")
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"Step {synthesizer.provenance.step}")
        return str(url)


def pull(repository: str, out: Path, revision: str | None = None) -> Synthesizer:
    """Fetch a model from a repository to a new folder, completely or not at all, and return it.

    Args:
        repository: OWNER/NAME.
        revision: a branch, tag or commit; None for the newest.

    Raises:
        UsageError: the name is not of this form.
        FileExistsError: the folder is not empty.
        FauxleyError: the repository does not exist, or holds no model that can be used here.
    """
    _check_name(repository)
    with _talking(repository) as hub, atomic_folder(out) as partial, tempfile.TemporaryDirectory() as temporary:
        about = hub.HfApi().model_info(repository, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size for file in about.siblings or ()}
        for name, most in _FILES.items():
            size = sizes.get(name)
            if size is None:
                raise FauxleyError(f"{repository} holds no fauxley model: it has no {name}")
            if size > most:
                raise FauxleyError(f"{repository}: {name} has {size:,} bytes, which is too large for a model")
            require_disk("fetching it", 2 * size, out, "make room")
            file = hub.hf_hub_download(repository, name, revision=about.sha, local_dir=temporary)
            if Path(file).stat().st_size != size:
                raise FauxleyError(f"{repository}: {name} has another size than announced; try again later")
            shutil.copyfile(file, partial / name)
            if name == MODEL_CONFIG_FILE:
                _check_config(partial / name, repository)
        with reading(f"{repository} is not a usable model"):
            return Synthesizer.from_pretrained(partial)


def _check_config(file: Path, repository: str) -> None:
    """Check before weights are fetched that config.json is fauxley's and not another program's."""
    with reading(f"{repository} holds no fauxley model"):
        config = parse_json(read_file(file))
        if not isinstance(config, dict) or "weights_sha256" not in config:
            raise FauxleyError("its config.json is another program's")


def _check_name(repository: str) -> None:
    if not _NAME.fullmatch(repository) or len(repository) > 96 or ".." in repository:
        raise UsageError(f"a repository must be OWNER/NAME; got {printable(repository)!r:.100}")


@contextmanager
def _talking(repository: str) -> Iterator[Any]:
    """Yield huggingface_hub without its output, and turn its errors into one line."""
    try:
        hub, errors, utils = (importlib.import_module(f"huggingface_hub{part}") for part in ("", ".errors", ".utils"))
    except ImportError as error:
        raise FauxleyError("sharing models needs huggingface_hub; pip install 'fauxley[hub]'") from error
    utils.disable_progress_bars()
    try:
        yield hub
    except errors.LocalTokenNotFoundError as error:
        raise FauxleyError(f"{repository}: not logged in; run 'hf auth login', or set HF_TOKEN") from error
    except errors.HfHubHTTPError as error:
        raise FauxleyError(f"{repository}: {_reason(error.response.status_code)}") from error
    except errors.HTTPError as error:
        raise FauxleyError(f"{repository} cannot be reached: {one_line(error)}") from error


def _reason(status: int) -> str:
    if status in (401, 403):
        return "it does not exist, or you may not read it; log in by 'hf auth login', or set HF_TOKEN"
    if status == 404:
        return "there is no such repository or revision; private ones need 'hf auth login'"
    return f"the hub answered {status}; try again later"
