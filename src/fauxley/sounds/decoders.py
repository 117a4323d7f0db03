"""Decodes audio files, in a process of its own: libsndfile first and, where it fails or stops early, FFmpeg.

`containers.examine` tells which streams a file holds. Each is opened by content and not by name, with libsndfile; what
it does not know (m4a, aac, wma, webm, soundtracks of videos), refuses, or is known to read too little of goes to
FFmpeg through PyAV, an extra. Streams that were joined to one file come out as one, at rate and channels of the first.

Why a file cannot be used is one of a few reasons: not recognised as audio (with a hint what it is instead), no decoder
for its codec, broken, not plausible, too long, too much memory.
"""

import importlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from io import BufferedReader
from typing import Any, BinaryIO

import numpy as np
import soundfile

from fauxley.sounds.containers import ContradictionError, examine, foreign_kind, is_audio_like, truncation_in
from fauxley.sounds.decoder_process import BLOCK, DONE, INFO, REFUSED, Outlet
from fauxley.sounds.embedded_stream import EmbeddedStream, EmbeddedStreamFile
from fauxley.sounds.reading import BLOCK_VALUES, LONGEST_HOURS, AudioFileInfo, Float, convert_blocks, too_long

# Outside of this a sample rate is a broken header; a file "at 1 Hz" would become 16,000 times as long.
_SAMPLE_RATES = range(1_000, 768_001)
_MOST_CHANNELS = 64
# FFmpeg sniffs contents, and some of what it knows (HLS playlists, concat scripts) opens further files and URLs.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,mp3,ogg,flac,wav,w64,aiff,caf,au,avi,flv,mpegts,mpeg,"
    "ac3,eac3,dts,amr,ape,wv,tta,tak,mpc,mpc8,shn,rm,voc,dsf,oma,aa,aax"
)
_FFMPEG_HINT = 'for more formats: pip install "fauxley[ffmpeg]"'
_NOT_RECOGNISED = "not recognised as audio"
# What a decoder may read less than was counted: MP3 has a delay and fills up its last frame.
_SLACK = 0.98
_SLACK_SAMPLES = 4 * 1152
_WITHOUT_LENGTH = ("AAC", "AC3", "EAC3", "DTS", "MP3", "AMR", "MPEG", "MPEGTS")
# libsndfile's subtypes of which a file's size tells the length.
_PLAIN = ("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW")


class RefusedError(Exception):
    """A stream that cannot be used; the message is the reason."""


class Stream:
    """An opened stream: what its header says, and its samples to be taken once as `(n, C)`."""

    info: AudioFileInfo

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def blocks(self) -> Iterator[Float]:
        raise NotImplementedError


class _Unseekable(soundfile.SoundFile):  # type: ignore[misc]
    """Read strictly forward. Else soundfile seeks after each read, which loses sound where totals are wrong."""

    def seekable(self) -> bool:
        return False


class SndfileStream(Stream):
    """A stream that libsndfile reads."""

    def __init__(self, file: Any, part: EmbeddedStream) -> None:
        super().__init__()
        self._file = file
        self.frames = file.frames if 0 < file.frames < 1 << 62 else 0
        promised = self.frames or part.num_samples
        if part.counted and not part.num_samples:  # libsndfile has guessed
            promised = min(promised, part.counted)
        self.info = AudioFileInfo(file.format, file.subtype, file.samplerate, file.channels, promised)
        if not part.warning and (warning := truncation_in(file.extra_info)):
            self.warnings.append(warning)
        if file.subtype.startswith(_PLAIN) and file.format != "FLAC":
            _check_length(self.info)

    def blocks(self) -> Iterator[Float]:
        size = max(BLOCK_VALUES // self.info.channels, 1)
        while len(block := self._file.read(size, dtype="float32", always_2d=True)):
            yield block


class FFmpegStream(Stream):
    """A stream that FFmpeg reads, at rate and layout of the first frame, whatever comes behind.

    Raises:
        RefusedError: no track, no decoder, or nothing that can be decoded.
    """

    def __init__(self, av: Any, container: Any, part: EmbeddedStream) -> None:
        super().__init__()
        self._av = av
        self._container = container
        tracks: Any = container.streams.audio  # a cover picture is a stream too, of video
        if not tracks:
            raise RefusedError("has no audio track")
        self._track: Any = next((track for track in tracks if track.codec_context is not None), None)
        if self._track is None:
            raise RefusedError(f"no decoder for its codec{f' ({part.codec})' if part.codec else ''}")
        self._track.codec_context.thread_count = 1
        self._damaged = 0
        self._decoded = 0
        self._frames = self._decode()
        self._first = next(self._frames, None)
        codec = self._track.codec_context.name.upper()
        if self._first is None:
            raise RefusedError(f"broken: nothing in it can be decoded as {codec}")
        form = container.format.name.split(",")[0].upper()
        self._rate, self._layout = self._first.sample_rate, self._first.layout
        promised = part.num_samples or part.counted or round(self._seconds(form) * self._rate)
        self.info = AudioFileInfo(form, codec, self._rate, self._layout.nb_channels, promised, is_rough=True)

    def blocks(self) -> Iterator[Float]:
        frames, self._frames = self._frames, iter(())
        resampler, form = None, None
        changes = 0
        while self._first is not None:
            frame, self._first = self._first, next(frames, None)
            if form != (frame.sample_rate, frame.layout.name, frame.format.name):
                if resampler is not None:
                    yield from self._converted(resampler, None)
                    changes += 1
                form = (frame.sample_rate, frame.layout.name, frame.format.name)
                resampler = self._av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
            frame.pts = None  # where stamps jump, the resampler must not fill up or drop
            yield from self._converted(resampler, frame)
        if resampler is not None:
            yield from self._converted(resampler, None)
        if self._damaged > self._decoded:
            raise RefusedError(f"broken: {self._damaged} of {self._damaged + self._decoded} pieces cannot be decoded")
        if self._damaged:
            self.warnings.append(f"damaged: {self._damaged} pieces that cannot be decoded are left out")
        if changes:
            first = f"{self._rate} Hz and {self.info.channels} channels"
            self.warnings.append(f"changes rate or channels inside; all brought to the first: {first}")

    def _seconds(self, form: str) -> float:
        """How long the track is by its header; 0 where FFmpeg would have to guess from the bit rate."""
        seconds = 0.0
        if form not in _WITHOUT_LENGTH and self._track.duration:
            seconds = float(self._track.duration * self._track.time_base)
        elif form not in _WITHOUT_LENGTH and self._container.duration:
            seconds = self._container.duration / self._av.time_base
        return seconds if 0 < seconds < 1e9 else 0.0

    def _converted(self, resampler: Any, frame: Any) -> Iterator[Float]:
        for part in resampler.resample(frame):
            block = np.ascontiguousarray(part.to_ndarray().T)
            size = max(BLOCK_VALUES // block.shape[1], 1)
            for start in range(0, len(block), size):
                yield block[start : start + size]

    def _decode(self) -> Iterator[Any]:
        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                for frame in packet.decode():
                    if frame.samples:
                        self._decoded += 1
                        yield frame
            except self._av.EOFError:
                return
            except self._av.DecoderNotFoundError:
                raise RefusedError("no decoder for its codec") from None
            except self._av.FFmpegError:
                self._damaged += 1
                if self._damaged > 1000 + self._decoded:
                    return


def decode(file: BinaryIO, header_only: bool, outlet: Outlet) -> None:
    """Send the streams of `file`, as one, to `outlet`.

    Raises:
        RefusedError: it cannot be used.
    """
    try:
        parts = examine(file)
    except ContradictionError as error:
        raise RefusedError(str(error)) from error
    with _opened(file, parts[0]) as stream:
        info = _checked(stream.info)
        total = info.num_samples if len(parts) == 1 else 0  # the others may be of other rates
        outlet.send(INFO, json.dumps(asdict(info) | {"num_samples": total}).encode())
        if header_only:
            outlet.send(DONE, b"[]")
            return
        warnings = [parts[0].warning] if parts[0].warning else []
        for block in _whole(file, parts[0], stream):
            outlet.send(BLOCK, block.data.cast("B"))
        warnings += stream.warnings
    for number, part in enumerate(parts[1:], 2):
        try:
            with _opened(file, part) as stream:
                for block in _brought_to(info, _checked(stream.info), _whole(file, part, stream)):
                    outlet.send(BLOCK, block.data.cast("B"))
                warnings += stream.warnings
        except RefusedError as error:
            warnings.append(f"joined of {len(parts)} recordings, of which number {number} cannot be used: {error}")
    outlet.send(DONE, json.dumps(list(dict.fromkeys(warnings))).encode())


def _whole(file: BinaryIO, part: EmbeddedStream, stream: Stream) -> Iterator[Float]:
    """The blocks of `stream`; where libsndfile fails in the middle and FFmpeg does not, FFmpeg's from there on.

    FFmpeg makes up or passes over what it cannot decode, so it counts as better only where it finds just as much as the
    header promises.
    """
    num_samples = 0
    try:
        for block in stream.blocks():
            num_samples += len(block)
            yield np.ascontiguousarray(block, np.float32)
        return
    except soundfile.LibsndfileError as error:
        refusal = _broken(error)
    promised = stream.info.num_samples
    with ExitStack() as stack:
        try:
            with _ffmpeg(file, part, refusal) as dry:
                count = sum(map(len, dry.blocks()))
            if dry.warnings or not promised or abs(count - promised) > (1 - _SLACK) * promised:
                raise RefusedError(refusal)
            other = stack.enter_context(_ffmpeg(file, part, refusal))
        except RefusedError:
            raise RefusedError(refusal) from None
        place = 0
        for block in other.blocks():
            if len(new := block[max(num_samples - place, 0) :]):
                yield np.ascontiguousarray(new, np.float32)
            place += len(block)
        stream.warnings += other.warnings


def _brought_to(info: AudioFileInfo, other: AudioFileInfo, blocks: Iterator[Float]) -> Iterator[Float]:
    """Blocks of a joined stream at rate and channels of the first."""
    if (info.sample_rate, info.channels) == (other.sample_rate, other.channels):
        yield from blocks
        return
    mono = None if info.channels == other.channels else 1  # the only rule that fits any two numbers of channels
    for block in convert_blocks(blocks, other, info.sample_rate, mono):
        block = np.ascontiguousarray(block.T)
        yield block if mono is None else np.ascontiguousarray(np.repeat(block, info.channels, axis=1))


@contextmanager
def _opened(file: BinaryIO, part: EmbeddedStream) -> Iterator[Stream]:
    """Open with libsndfile or, where it refuses or would stop too early, with FFmpeg."""
    with ExitStack() as stack:
        try:
            stream = SndfileStream(stack.enter_context(_sndfile(file, part)), part)
        except soundfile.LibsndfileError as error:
            yield stack.enter_context(_ffmpeg(file, part, _refusal(file, part, error)))
            return
        if part.counted - stream.frames > max(_SLACK_SAMPLES, (1 - _SLACK) * part.counted):
            with ExitStack() as attempt:
                try:
                    other = attempt.enter_context(_ffmpeg(file, part, ""))
                except RefusedError:
                    stream.warnings.append(
                        f"less was read than is there: {stream.frames} of about {part.counted} samples"
                    )
                else:
                    yield other
                    return
        yield stream


@contextmanager
def _sndfile(file: BinaryIO, part: EmbeddedStream) -> Iterator[Any]:
    whole = part.start == 0 and part.end == os.fstat(file.fileno()).st_size and not part.patches
    if whole and os.name == "posix":  # elsewhere a descriptor of Python's means nothing to libsndfile's own C library
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        opened = _Unseekable(file.fileno(), closefd=False)
    else:
        opened = _Unseekable(BufferedReader(EmbeddedStreamFile(file, part), 1 << 16))
    with opened:
        yield opened


@contextmanager
def _ffmpeg(file: BinaryIO, part: EmbeddedStream, refusal: str) -> Iterator[FFmpegStream]:
    """Open with FFmpeg what libsndfile refused for the reason `refusal`."""
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise RefusedError(f"{refusal}; {_FFMPEG_HINT}") from error
    # A name, a fragment of a URL, means nothing to FFmpeg here: it gets the bytes.
    opened = BufferedReader(EmbeddedStreamFile(file, part), 1 << 16)
    options = {"probesize": "1048576", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(opened, options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise RefusedError(refusal or "broken") from error
    with container:
        try:
            yield FFmpegStream(av, container, part)
        except av.FFmpegError as error:
            raise RefusedError(f"broken: {error.strerror}") from error


def _checked(info: AudioFileInfo) -> AudioFileInfo:
    if info.sample_rate not in _SAMPLE_RATES:
        raise RefusedError(f"a sample rate of {info.sample_rate} Hz is not plausible")
    if info.channels < 1:
        raise RefusedError("has no channels")
    if info.channels > _MOST_CHANNELS:
        raise RefusedError(f"has {info.channels} channels; at most {_MOST_CHANNELS} can be used")
    return info


def _check_length(info: AudioFileInfo) -> None:
    if info.num_samples > LONGEST_HOURS * 3600 * max(info.sample_rate, 1):
        raise RefusedError(too_long())


def _refusal(file: BinaryIO, part: EmbeddedStream, error: soundfile.LibsndfileError) -> str:
    """Why libsndfile refuses a stream, in our words: its own are often about something else."""
    file.seek(part.start)
    head = file.read(1 << 12)
    text = str(error.error_string)
    if not is_audio_like(head) and not part.counted:
        kind = foreign_kind(head)
        return f"{_NOT_RECOGNISED}: {kind}" if kind else _NOT_RECOGNISED
    if part.codec.startswith("WAV"):
        return f"no decoder for its codec ({part.codec})"
    if "unimplemented" in text:
        return "no decoder for its codec"
    return _NOT_RECOGNISED if "not recognised" in text else _broken(error)


# Of what libsndfile says, what is about something else than the content.
_VAGUE = ("No Error", "System error", "Internal", "internal", "does not exist", "unspecified", "Unspecified", "bug")


def _broken(error: soundfile.LibsndfileError) -> str:
    text = str(error.error_string).strip().removeprefix("Error : ").removeprefix("Error in ").rstrip(".")
    if not text or any(word in text for word in _VAGUE):
        return "broken: its header and its content contradict one another"
    return f"broken: {text}"


@contextmanager
def _open_regular(path: str) -> Iterator[BinaryIO]:
    """Open without ever blocking: opening a FIFO would wait for a writer for ever.

    Decoders get the bytes, not the name: a name such as `http:...` or an ending such as `.mp3` on something else would
    make them try what the content does not call for.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise RefusedError(f"cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError("is not a regular file")
        if status.st_size == 0:
            raise RefusedError("is empty (0 bytes)")
        yield file


def serve() -> None:
    """Answer requests until there are no more."""
    outlet = Outlet()
    for request in outlet.requests():
        try:
            with _open_regular(request["path"]) as file:
                decode(file, request["header_only"], outlet)
        except RefusedError as error:
            outlet.send(REFUSED, str(error).encode())
        except MemoryError:
            outlet.send(REFUSED, b"broken: decoding it takes too much memory")
        except OSError as error:
            outlet.send(REFUSED, f"cannot be read: {error.strerror or type(error).__name__}".encode())
        except Exception as error:  # whatever a decoder thinks of: no single file may stop a folder
            outlet.send(REFUSED, f"broken: its decoder failed ({type(error).__name__})".encode())
