"""Whether results can go where they are to go, asked before the work and not after it."""

from pathlib import Path

from fauxley.errors import UsageError, printable


def check_folder_place(folder: Path) -> None:
    """Whether a folder is at `folder` or could be made there.

    Raises:
        UsageError: a file is in its way.
    """
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"{printable(there)} is a file, where a folder is to be; move it away, or choose another name")


def check_file_place(file: Path) -> None:
    """Whether a file could be written to `file`, into a folder that is there.

    Raises:
        UsageError: a folder is in its way, or its own folder is missing.
    """
    check_folder_place(file.parent)
    if file.is_dir():
        raise UsageError(f"{printable(file)} is a folder, where a file is to be; choose another name")
    if not file.parent.exists():
        raise UsageError(f"{printable(file.parent)} does not exist; make that folder, or choose another")
