"""`fauxley studio`: plays models in the browser, and opens folders of sounds for choosing."""

import secrets
import threading
import time
import webbrowser
from contextlib import ExitStack, closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fauxley.cli.shared.options import Switch, check_sounds
from fauxley.errors import UsageError, printable
from fauxley.machine import Device, choose_device, importing, keep_freed_memory, one_thread
from fauxley.runs import names_model
from fauxley.storage import check_folder_place
from fauxley.terminal.formatting import counted

if TYPE_CHECKING:  # comes with the extra `studio`
    from fauxley.web.server import Server

Places = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
_HERE = ("127.0.0.1", "localhost", "::1")


def studio(
    places: Places,
    /,
    host: str = "127.0.0.1",
    port: int = 8000,
    shelf: Path = Path("fauxley-shelf"),
    kept: Path | None = None,
    token: str = "",
    allowed_hosts: tuple[str, ...] = (),
    root_path: str = "",
    device: Device = "auto",
    open: Switch = False,  # noqa: A002 - the name of the flag
    quiet: Switch = False,
) -> None:
    """Play models in the browser: pads, variations, morphs, a sequencer. Ctrl-C stops it.

    A folder of sounds is opened for listening: keep or reject each sound by a key, and copy those that you keep.

    For example:

      fauxley studio runs/drums --open

      fauxley studio runs/drums runs/footsteps

      fauxley studio new-sounds

    Args:
        places: Models (model folders, or run folders, whose best checkpoint is played), a folder of sounds, or both.
        host: Address to listen on. The default admits only this machine; 0.0.0.0 admits everybody who can reach it and
            knows the token.
        port: Port to listen on; 0 chooses a free one.
        shelf: Folder for starred sounds.
        kept: Folder for the sounds that are kept from a folder of sounds; by default FOLDER-kept.
        token: Word that everybody who opens the page must know. By default there is none if only this machine is
            admitted, otherwise a random one.
        allowed_hosts: Names by which people reach the page through a proxy or a tunnel, such as example.org.
        root_path: Prefix of all addresses, if a proxy passes it on.
        device: Device to compute on; auto uses a GPU if there is one.
        open: Open the page in the browser.
        quiet: Do not print the address.
    """
    for needed in ("fastapi", "uvicorn"):
        if find_spec(needed) is None:
            raise UsageError(f"the studio needs {needed}: pip install 'fauxley[studio]'")
    from fauxley.web.hosts import Hosts
    from fauxley.web.server import Server, address_of, bind

    if root_path and not root_path.startswith("/"):
        raise UsageError(f"--root-path begins with a slash; got {root_path!r}")
    models, folder = _sorted(places)
    check_folder_place(shelf)
    prefix, secret = root_path.rstrip("/"), token or ("" if host in _HERE else secrets.token_urlsafe(16))
    hosts = Hosts((*allowed_hosts, host))
    keep_freed_memory()
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        bound = stack.enter_context(bind(host, port))
        with importing():
            from fauxley.studio.audition import Audition
            from fauxley.studio.instruments import open_instruments
            from fauxley.studio.server import create_app
            from fauxley.studio.shelf import Shelf
            from fauxley.studio.workshop import Workshop

        with one_thread():  # all sounds are made in another thread, which is to have the processors
            instruments = open_instruments(models, choose_device(device))
        audition = None
        if folder is not None:
            whole = folder.resolve()
            audition = Audition(folder, kept or whole.with_name(f"{whole.name}-kept"))
        workshop = stack.enter_context(closing(Workshop(instruments, Shelf(shelf), audition, secret)))
        workshop.warm_up()
        address = address_of(bound, host, prefix) + (f"#token={secret}" if secret else "")
        what = ", ".join(printable(each) for each in (*models, *([folder] if folder else [])))
        ready = "" if quiet else f"{what}: {address}  (Ctrl-C stops)"
        server = Server(create_app(workshop, hosts, prefix=prefix), announcement=ready)
        if open:
            threading.Thread(target=_show, args=(server, address), daemon=True).start()
        server.serve_on(bound)
    if not quiet:
        starred = len(list(shelf.glob("*.wav"))) if shelf.is_dir() else 0
        print(f"stopped; {counted(starred, 'sound')} in {printable(shelf)}" if starred else "stopped")


def _show(server: "Server", address: str) -> None:
    """Open the page once the server takes requests."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    webbrowser.open(address)


def _sorted(places: tuple[Path, ...]) -> tuple[list[Path], Path | None]:
    """Models, and the folder of sounds.

    Raises:
        UsageError: nothing was given, or several folders.
        FauxleyError: what was given is neither.
    """
    if not places:
        raise UsageError("say what to play: fauxley studio MODEL, or a folder of sounds")
    check_sounds(places)
    models, folders = [], []
    for place in places:
        if not names_model(place) and place.is_dir():
            folders.append(place)
        else:
            models.append(place)
    if len(folders) > 1:
        raise UsageError(f"one folder of sounds at a time; got {', '.join(map(printable, folders))}")
    return models, folders[0] if folders else None
