"""Flags that the commands which judge sounds share, and what is wrong with them before anything is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fauxley.dataset.format import INFO_FILE
from fauxley.errors import UsageError, printable
from fauxley.rendering.places import check_folder_place


@dataclass(frozen=True)
class Reference:
    """What clips are judged by."""

    data: Path
    """Real sounds that the model learnt from: a dataset, or a folder of sounds."""
    test: Path | None = None
    """Real sounds that it did not learn from: what is possible, and what copying is told by."""
    classifier: Path | None = None
    """Made by 'fauxley train-classifier'; by default the one trained on this data before, if there is one."""
    embedding: tuple[Literal["speech"], ...] = ()
    """Pretrained embeddings to measure distances in too; needs pip install 'fauxley[speech]'."""
    speech_quality: int = 0
    """Clips of each set whose speech quality is estimated (DNSMOS, slow); needs 'fauxley[speech]'."""

    def __post_init__(self) -> None:
        if self.speech_quality < 0:
            raise UsageError(f"--speech-quality must not be negative; got {self.speech_quality}")

    def check_prepared(self) -> None:
        """Whether the real sounds are datasets, which a cluster's workers can open too.

        Raises:
            UsageError: they are still to be prepared, which would be into a cache of this machine.
        """
        for path in (self.data, self.test):
            if path is not None and not (path / INFO_FILE).is_file():
                raise UsageError(
                    f"{printable(path)} is no dataset, which --cluster needs; make one with 'fauxley prepare' where "
                    "all machines see it"
                )


def check_out(out: Path, overwrite: bool) -> None:
    """Whether results may be written into a folder.

    Raises:
        UsageError: it has something in it that is not to be replaced.
    """
    check_folder_place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
        raise UsageError(f"{printable(out)} has something in it; choose another --out, or give --overwrite")
