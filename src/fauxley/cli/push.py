"""`fauxley push`: shares a model in a repository of the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import tyro

from fauxley.cli.shared.options import Model, Switch
from fauxley.machine import importing


def push(
    model: Model,
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")],
    report: Path | None = None,
    public: Switch = False,
    replace_card: Switch = False,
    quiet: Switch = False,
) -> None:
    """Share a model in a repository of the Hugging Face Hub: its weights, its configuration, and a card.

    The card says what the model was trained on, under which licence, and how good it is. Log in first, by
    'hf auth login' or HF_TOKEN. HF_ENDPOINT names another hub.

    Example: fauxley push runs/kicks me/kicks --report report

    Args:
        model: A run folder (its best checkpoint if one is recorded, otherwise its newest) or a model folder.
        repository: Repository for the model; if it does not exist, a private one is created.
        report: Folder of a report of 'fauxley evaluate' on this model; its figures go onto the card.
        public: Make a new repository public.
        replace_card: Replace an existing card; by default it stays as it is.
        quiet: Print nothing.
    """
    with importing():
        from fauxley.export.cards import Judgement, read_judgement
        from fauxley.export.hub import push as push_model
        from fauxley.models.synthesizer import Synthesizer

    judgement = Judgement() if report is None else read_judgement(report)
    synthesizer = Synthesizer.from_pretrained(model)
    address = push_model(synthesizer, repository, judgement=judgement, public=public, replace_card=replace_card)
    if not quiet:
        print(f"{model} is at {address}")
