"""Writes audio files: each appears whole or not at all, and holds exactly the samples that it was given.

The 16-bit reader divides by 32768, so writing multiplies by 32768, and a sound that is read and written again does not
change by a bit. (The official code multiplies by 32767 and truncates toward zero, which loses half a step on average
and adds a bias toward zero.)
"""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray

from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.storage import atomic_file

# Suffix → subtypes that can be written, the default first.
_SUBTYPES = {
    ".wav": ("PCM_16", "PCM_24", "FLOAT"),
    ".flac": ("PCM_16", "PCM_24"),
    ".ogg": ("VORBIS",),
}
# Encoding is repeated so often at most to stay below a ceiling; a lossy codec's next peak differs a little again.
_LOWERED_AT_MOST, _LOSSY_MARGIN = 8, 0.998
# In Hz. Above its own, libvorbis crashes.
_HIGHEST_RATES = {".wav": 768_000, ".flac": 655_350, ".ogg": 192_000}


def write_audio(
    path: Path,
    audio: ArrayLike,
    sample_rate: int,
    subtype: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    dither: np.random.Generator | None = None,
    ceiling: float | None = None,
) -> None:
    """Write `(C, T)` audio, full scale at ±1, as WAV, FLAC or Ogg Vorbis by the suffix; whole or not at all.

    Args:
        path: ends in .wav, .flac or .ogg.
        audio: `(C, T)`; what exceeds ±1 is clipped, never wrapped (FLOAT keeps it).
        sample_rate: in Hz.
        subtype: PCM_16 (default of wav and flac), PCM_24, FLOAT (wav) or VORBIS (ogg).
        metadata: if given, written beside it by `write_sidecar`.
        dither: adds triangular noise of ±1 step before rounding; None, the default, adds nothing.
        ceiling: the largest |x| that whoever decodes the file may find. Rounding, dither and above all lossy codecs
            move peaks: what comes out higher is lowered as a whole and encoded again.

    Raises:
        UsageError: a suffix or subtype that cannot be written, or audio that is not `(C, T)`.
        FauxleyError: the audio holds NaN or infinity.
    """
    path = Path(path)
    subtypes = _SUBTYPES.get(path.suffix.lower())
    if subtypes is None:
        raise UsageError(f"cannot write {printable(path.name)}: the name must end in {', '.join(_SUBTYPES)}")
    subtype = subtype or subtypes[0]
    if subtype not in subtypes:
        raise UsageError(f"{path.suffix} takes {' or '.join(subtypes)}; got {subtype}")
    samples = np.asarray(audio, np.float64)
    if samples.ndim != 2 or not samples.shape[0]:
        raise UsageError(f"audio must be (channels, samples); got the shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise FauxleyError(f"{printable(path)}: not written, the audio holds NaN or infinity")
    highest = _HIGHEST_RATES[path.suffix.lower()]
    if not 1 <= sample_rate <= highest:
        raise UsageError(f"{path.suffix} takes sample rates up to {highest} Hz; got {sample_rate}")
    encoded = _to_bytes(samples, sample_rate, subtype, path.suffix[1:], dither)
    if ceiling is not None:
        encoded = _kept_below(ceiling, encoded, samples, sample_rate, subtype, path.suffix[1:], dither)
    with atomic_file(path, durable=False) as partial:
        partial.write_bytes(encoded)
    if metadata is not None:
        write_sidecar(path, metadata)


def _kept_below(ceiling: float, encoded: bytes, samples: NDArray[np.float64], *how: Any) -> bytes:
    """`encoded`, or samples (C, T) so much softer that no decoded peak exceeds `ceiling`; `how`: see `_to_bytes`."""
    _, subtype, *_ = how
    for _ in range(_LOWERED_AT_MOST):
        peak = float(np.abs(soundfile.read(BytesIO(encoded))[0]).max(initial=0))
        if peak <= ceiling:
            break
        samples = samples * (ceiling / peak) * (_LOSSY_MARGIN if subtype == "VORBIS" else 1)
        encoded = _to_bytes(samples, *how)
    return encoded


def _to_bytes(
    samples: NDArray[np.float64], sample_rate: int, subtype: str, kind: str, dither: np.random.Generator | None
) -> bytes:
    """The file that `write_audio` writes, of samples (C, T)."""
    # By way of memory: writing to a full disk libsndfile knows only a "System error", and not every name is text to it.
    encoded = BytesIO()
    try:
        soundfile.write(encoded, _encode(samples, subtype, dither).T, sample_rate, subtype=subtype, format=kind)
    except soundfile.LibsndfileError as error:
        what = f"{samples.shape[0]} channels at {sample_rate} Hz"
        raise UsageError(f".{kind} cannot hold {what}; choose another format") from error
    return _without_time(encoded.getvalue()) if subtype == "FLOAT" else encoded.getvalue()


def write_sidecar(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write `name.json` beside the audio file `path`: model, seed, latent, licence, whatever is to travel along."""
    with atomic_file(Path(path).with_suffix(".json"), durable=False) as partial:
        text = json.dumps(dict(metadata), ensure_ascii=False, indent=2, default=_as_list)
        # A name that is no text holds lone surrogates, which JSON can only escape.
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def quantise(audio: NDArray[np.floating[Any]], bits: int = 16) -> NDArray[np.int32]:
    """round(x · 2^(bits-1)), clipped to what `bits` can hold; +1.0 becomes the largest value, one step below."""
    scale = 1 << (bits - 1)
    return np.clip(np.rint(np.asarray(audio, np.float64) * scale), -scale, scale - 1).astype(np.int32)


def _encode(samples: NDArray[np.float64], subtype: str, dither: np.random.Generator | None) -> NDArray[Any]:
    if subtype == "FLOAT":
        return np.asarray(samples, np.float32)
    if subtype == "VORBIS":
        return np.asarray(np.clip(samples, -1, 1), np.float32)
    bits = int(subtype.removeprefix("PCM_"))
    if dither is not None:
        noise = dither.random(samples.shape) - dither.random(samples.shape)
        samples = samples + noise / (1 << (bits - 1))
    values = quantise(samples, bits)
    # libsndfile takes 24 bits at the top of 32.
    return np.asarray(values, np.int16) if bits == 16 else np.left_shift(values, np.int32(32 - bits))


def _without_time(wav: bytes) -> bytes:
    """Zero the time that libsndfile puts into the PEAK chunk of a float WAV: the same sound, the same bytes."""
    chunk = wav.find(b"PEAK", 0, 512)
    time = chunk + 12  # after name, size and version
    return wav if chunk < 0 else wav[:time] + bytes(4) + wav[time + 4 :]


def _as_list(value: Any) -> Any:
    """JSON for numpy arrays and scalars."""
    return np.asarray(value).tolist()
