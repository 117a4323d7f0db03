"""`fauxley pull`: fetches a model from a repository of the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import tyro

from fauxley.cli.shared.options import Switch, check_new
from fauxley.machine import importing


def pull(
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")],
    out: Path,
    revision: str | None = None,
    quiet: Switch = False,
) -> None:
    """Fetch a model from a repository of the Hugging Face Hub.

    Two files are fetched, config.json and model.safetensors, and checked before they are kept. They contain numbers and
    text, so no code of a stranger is run. HF_ENDPOINT names another hub.

    Example: fauxley pull me/kicks --out models/kicks

    Args:
        repository: Repository of the model.
        out: New folder for the model.
        revision: Branch, tag or commit; by default the newest.
        quiet: Print nothing.
    """
    check_new(out)
    with importing():
        from fauxley.export.hub import pull as pull_model

    synthesizer = pull_model(repository, out, revision)
    if not quiet:
        license = synthesizer.provenance.license or "not stated"  # noqa: A001
        print(
            f"{out}: a {type(synthesizer.architecture).__name__} at {synthesizer.sample_rate} Hz; "
            f"licence of its training data: {license}"
        )
