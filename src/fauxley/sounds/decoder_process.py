"""A decoder in a process of its own, which may hang or crash without taking anything along.

Decoders are C code that works on strangers' bytes: some files make them go round in circles, some make them fault.
Neither can be stopped from within. So each process that reads audio keeps a decoder process, asks it for one file
after another, and gets messages back through a pipe. A decoder that falls silent is killed, one that dies is replaced.
Nothing is pickled on the way: requests and facts are JSON, samples are float32.

A message is a letter, a length and that many bytes. The decoder process ends when its input does, hence with its
parent, however that ends.
"""

import atexit
import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fauxley.errors import FauxleyError

READY, INFO, BLOCK, DONE, REFUSED = b"R", b"I", b"B", b"D", b"E"

# Seconds that a decoder may keep us waiting beyond the time that the sound itself takes. They are fast, 100 times real
# time and more, so that even a crowded machine is far from it.
PATIENCE_SECONDS = 10.0
_START_SECONDS = 120.0
_TICK_SECONDS = 0.25
_MEMORY_BYTES = 1 << 30  # what decoding one file may take, where the system can be told
_DISPENSABLE = ("av", "fcntl", "resource")
_HEADER = struct.Struct("<cI")
_LARGEST_MESSAGE = 1 << 26

_START = (
    "import json, sys; about = json.loads(sys.argv[1]); sys.path[:] = about['path']; "
    "sys.modules.update(dict.fromkeys(about['blocked'])); "
    "from fauxley.sounds.decoders import serve; serve()"
)


class DecoderLostError(Exception):
    """The decoder process is gone: it crashed or, if it is `late`, was killed."""

    def __init__(self, late: bool) -> None:
        way = f"came to no end within {PATIENCE_SECONDS:g} seconds and was stopped" if late else "crashed"
        super().__init__(f"its decoder {way}")
        self.late = late


class DecoderProcess:
    """The parent's end: send a request, receive messages until the last."""

    def __init__(self) -> None:
        self.blocked = _blocked_modules()
        self.is_fresh = True  # has not worked on any file
        self.is_at_rest = False
        self._patience = _START_SECONDS
        self._waits = True
        self._late = False
        self._closed = threading.Event()
        about = json.dumps({"path": sys.path, "blocked": self.blocked})
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, about],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise FauxleyError(f"no process for decoding can be started: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        _widen(self._output)
        threading.Thread(target=self._watch, daemon=True, name="decoder watch").start()

    def request(self, **what: Any) -> None:
        """Ask for something; all answers must be received before the next request.

        Raises:
            FauxleyError: the process does not even start.
        """
        if self.is_fresh:
            try:
                self._message()
            except DecoderLostError as error:
                self.close()
                raise FauxleyError("a process for decoding cannot be started; is the memory used up?") from error
        self.is_at_rest = False
        self._patience = PATIENCE_SECONDS
        with contextlib.suppress(OSError):  # where it died, receiving says so
            self._input.write(json.dumps(what).encode() + b"\n")
            self._input.flush()

    def receive(self, heard_seconds: float = 0.0) -> tuple[bytes, bytearray]:
        """The next message; the one before held `heard_seconds` of sound.

        Raises:
            DecoderLostError: the process crashed, or kept us waiting too long and was killed.
        """
        self._patience = min(self._patience + heard_seconds, PATIENCE_SECONDS)
        kind, content = self._message()
        if kind in (DONE, REFUSED):
            self.is_at_rest, self.is_fresh = True, False
        return kind, content

    def close(self) -> None:
        """End the process, in the middle of whatever it does."""
        self._closed.set()
        self._process.kill()
        for stream in (self._input, self._output):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def _message(self) -> tuple[bytes, bytearray]:
        self._waits = True
        try:
            kind, size = _HEADER.unpack(_read(self._output, _HEADER.size))
            if size > _LARGEST_MESSAGE:
                raise EOFError
            return kind, _read(self._output, size)
        except (EOFError, OSError) as error:
            raise DecoderLostError(self._late) from error
        finally:
            self._waits = False

    def _watch(self) -> None:
        """Use up the patience while we wait, in ticks: a machine that was asleep has not been waiting."""
        while not self._closed.wait(_TICK_SECONDS):
            self._patience -= _TICK_SECONDS if self._waits else 0.0
            if self._patience < 0:
                self._late = True
                self._process.kill()
                return


def _read(stream: Any, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = stream.readinto(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


def _widen(pipe: BinaryIO | Any) -> None:
    """Let a pipe hold a block, where it can be told to."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def _blocked_modules() -> list[str]:
    """Modules that this process does without (`sys.modules[name] = None`), so that decoders do without them too."""
    return [name for name in _DISPENSABLE if sys.modules.get(name, sys) is None]


_idle: list[DecoderProcess] = []
_idle_lock = threading.Lock()


def take() -> DecoderProcess:
    """A decoder process, at rest or new, to be given back."""
    blocked = _blocked_modules()
    with _idle_lock:
        for process in [each for each in _idle if each.blocked == blocked]:
            _idle.remove(process)
            if process.is_alive:
                return process
            process.close()
    return DecoderProcess()


def give_back(process: DecoderProcess) -> None:
    """Keep a process that is at rest for later; end one that is not."""
    if process.is_at_rest and process.is_alive:
        with _idle_lock:
            _idle.append(process)
    else:
        process.close()


def close_idle() -> None:
    """End the decoder processes that wait for work; the next file starts one again."""
    with _idle_lock:
        waiting, _idle[:] = list(_idle), []
    for process in waiting:
        process.close()


atexit.register(close_idle)
if hasattr(os, "register_at_fork"):  # the processes are the parent's
    os.register_at_fork(after_in_child=_idle.clear)


class Outlet:
    """The decoder process's end: requests come out of it, messages go in."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal; we end with our parent
        self._output = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
        with open(os.devnull, "wb") as null:  # noqa: PTH123
            os.dup2(null.fileno(), 1)  # what libraries print is no message
        self._requests: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        _limit_memory()
        self.send(READY)
        self.flush()

    def requests(self) -> Iterator[dict[str, Any]]:
        while True:
            yield json.loads(self._requests.get())
            self.flush()

    def send(self, kind: bytes, content: bytes | memoryview = b"") -> None:
        self._output.write(_HEADER.pack(kind, len(content)))
        self._output.write(content)

    def flush(self) -> None:
        self._output.flush()

    def _read(self) -> None:
        """Take requests in a thread of its own, so that the parent's end ends a decoder that never returns, too."""
        for line in sys.stdin.buffer:
            self._requests.put(line.decode())
        os._exit(0)


def _limit_memory() -> None:
    """Let allocations beyond what any honest file needs fail, where the system can (Linux).

    Mapped files do not count, or else large ones could not be examined.
    """
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        text = Path("/proc/self/status").read_text()
        limit = 1024 * int(text.partition("VmData:")[2].split()[0]) + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
