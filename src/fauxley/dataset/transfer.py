"""Fetching one file over a network from a server that may be broken or hostile, with limits on bytes and time.

A server may announce one length and send another, never end, send two megabytes that unpack to four gigabytes, fall
silent, or send a byte a second. So nothing is unpacked on the way, reading stops at the first byte too many, and the
answer must keep a pace: its head must arrive within `Pace.seconds`, and then `Pace.num_bytes` in every such period.

For HTTP that is done here, with aiohttp; for fsspec's other drivers, by the progress that they report.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20
_MOST_REDIRECTS = 5
_PLAIN = {"", "identity", "aws-chunked"}  # the last marks objects that were uploaded in chunks
_WORTH_WAITING = {408, 425, 429}  # of the 4xx


@dataclass(frozen=True)
class Pace:
    """The slowest that a server may be: `num_bytes` in every `seconds`. The defaults are 8 kB/s."""

    seconds: float = 20.0
    num_bytes: int = 160_000


class TransferError(Exception):
    """The file cannot be fetched now; `args[0]` says why. `hopeless`: it cannot be fetched later either."""

    def __init__(self, reason: str, hopeless: bool = False) -> None:
        super().__init__(reason)
        self.hopeless = hopeless


def download(url: str, path: Path, num_bytes: int, pace: Pace) -> None:
    """Copy the file of a URL to `path`. Reading stops after `num_bytes`; the caller checks the checksum.

    Raises:
        TransferError, FileNotFoundError, PermissionError: see their names.
        Exception: any other error of the driver.
    """
    system, remote = _open(url)
    if _is_http(url):
        with path.open("wb") as file:
            _get(system, remote, num_bytes, pace, file.write)
    else:
        system.get_file(remote, str(path), callback=_callback(num_bytes, pace))


def read(url: str, most_bytes: int, pace: Pace) -> bytes:
    """The content of the file of a URL, of at most `most_bytes`. Raises the errors of `download`."""
    system, remote = _open(url)
    content = bytearray()
    if _is_http(url):
        _get(system, remote, most_bytes, pace, content.extend)
    else:
        content += system.cat_file(remote, 0, most_bytes + 1)
    if len(content) > most_bytes:
        raise _too_long(most_bytes)
    return bytes(content)


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the file's path in it."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url, **({"client_kwargs": {"auto_decompress": False}} if _is_http(url) else {}))
    return system, path


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _get(system: Any, url: str, most_bytes: int, pace: Pace, write: Callable[[bytes], object]) -> None:
    from fsspec.asyn import sync

    sync(system.loop, _stream, system, url, most_bytes, pace, write)


async def _stream(system: Any, url: str, most_bytes: int, pace: Pace, write: Callable[[bytes], object]) -> None:
    """GET a URL, and write its body piece by piece."""
    from aiohttp import ClientError

    session = await system.set_session()
    received = 0
    try:
        response = await _in_time(pace, _ask(session, system.encode_url(url)))
        try:
            _check(response, most_bytes)
            while chunks := await _in_time(pace, _window(response.content, pace.num_bytes)):
                for chunk in chunks:
                    received += len(chunk)
                    if received > most_bytes:
                        raise _too_long(most_bytes)
                    write(chunk)
        finally:
            response.close()  # without waiting for what was not read
    except ClientError as error:
        raise _in_words(error, received) from None


def _in_words(error: Exception, received: int) -> TransferError:
    """Why there was no complete answer. aiohttp's own words may contain addresses with secrets."""
    import aiohttp

    if isinstance(error, aiohttp.TooManyRedirects):
        return TransferError(f"the server redirects more than {_MOST_REDIRECTS} times", hopeless=True)
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return TransferError("this is not an address, or the server redirects to something that is not", hopeless=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransferError("the server's certificate is not trusted", hopeless=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransferError("there is no connection to the server")
    if isinstance(error, aiohttp.ClientResponseError):
        return TransferError("the server's answer is not HTTP")
    return TransferError(f"the server ended the transfer early, after {received} bytes")


async def _ask(session: Any, url: Any) -> Any:
    """The answer to a GET once its head has arrived. The pace replaces aiohttp's own time limits."""
    import aiohttp

    unlimited = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)
    plain = {"Accept-Encoding": "identity"}
    return await session.get(url, headers=plain, timeout=unlimited, max_redirects=_MOST_REDIRECTS)


async def _window(content: Any, num_bytes: int) -> list[bytes]:
    """The next `num_bytes` or, at the end, what is left."""
    chunks: list[bytes] = []
    while sum(map(len, chunks)) < num_bytes and (chunk := await content.read(_CHUNK_BYTES)):
        chunks.append(chunk)
    return chunks


async def _in_time(pace: Pace, work: Coroutine[Any, Any, Any]) -> Any:
    try:
        async with asyncio.timeout(pace.seconds):
            return await work
    except TimeoutError:
        raise _too_slow(pace) from None


def _check(response: Any, most_bytes: int) -> None:
    """Refuse an answer whose head shows that it is not the file."""
    status = response.status
    if status in (404, 410):
        raise FileNotFoundError
    if status in (401, 403, 407):
        raise PermissionError
    if status != 200:
        hopeless = status < 500 and status not in _WORTH_WAITING
        raise TransferError(f"the server answers {status}", hopeless=hopeless)
    if response.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
        raise TransferError("the server sends the file compressed although it was asked not to", hopeless=True)
    if (response.content_length or 0) > most_bytes:
        raise _too_long(most_bytes)


def _callback(num_bytes: int, pace: Pace) -> Any:
    """A callback to which fsspec's drivers report their progress, and which can stop them."""
    from fsspec.callbacks import Callback

    class Meter(Callback):  # type: ignore[misc]
        """Counts bytes, in all and in the current period."""

        received = 0
        begin, at_begin = time.monotonic(), 0

        def set_size(self, size: int | None) -> None:
            if (size or 0) > num_bytes:
                raise _too_long(num_bytes)

        def relative_update(self, inc: int = 1) -> None:
            self.received += inc
            if self.received > num_bytes:
                raise _too_long(num_bytes)
            if self.received - self.at_begin >= pace.num_bytes:
                self.begin, self.at_begin = time.monotonic(), self.received
            elif time.monotonic() - self.begin > pace.seconds:
                raise _too_slow(pace)

    return Meter()


def _too_long(most_bytes: int) -> TransferError:
    return TransferError(f"it is longer than the {most_bytes} bytes allowed")


def _too_slow(pace: Pace) -> TransferError:
    return TransferError(f"the server sent less than {pace.num_bytes / 1000:g} kB in {pace.seconds:g} s")
