"""How generated sounds become files: options that all commands which make sounds share, and a common loudness."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import soxr

from fauxley.errors import UsageError
from fauxley.serialization import to_json
from fauxley.signal.cleaning import Cleaning, loudest_at

LOUDEST_PEAK = 10 ** (-1 / 20)
"""The largest |x| of sounds that get a common loudness: 1 dB below full scale, which leaves room for encoders."""
_LOWERED_DB = 12.0  # of a common loudness at most, so that a single click does not make all other sounds faint


@dataclass(frozen=True)
class Output:
    """How sounds become files."""

    format: Literal["wav", "flac", "ogg"] = "wav"
    """Format of the files."""
    subtype: Literal["PCM_16", "PCM_24", "FLOAT", "VORBIS"] | None = None
    """Sample format of the files; by default 16 bits, or Vorbis for ogg."""
    sample_rate: int | None = None
    """Sample rate of the files in Hz, such as 44.1k; by default the model's."""
    clean: bool = False
    """Make usable one-shots: remove the offset, trim silence, fade the end, set the peak to -1 dB."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """How sounds are cleaned."""
    sheet: bool = True
    """Draw the first sounds on sheet.png."""
    sidecars: bool = True
    """Write a JSON file beside each sound: model, seed, latent, licence."""
    listing: bool = False
    """Write the facts of all sounds to one file, sounds.jsonl, instead: faster for very many sounds."""
    batch_size: int = 32
    """Sounds computed at a time. It affects speed and memory, and sounds only by rounding errors."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision to compute in. bfloat16 can take half the time where the processor supports it, and makes nearly the
    same sounds; auto uses it only where it is fast, and never where phases are searched for (SpecGAN, the default
    model). With float32 a seed gives the same sound on other machines, too."""
    overwrite: bool = False
    """Write into a folder that is not empty, replacing files of the same name."""
    quiet: bool = False
    """Print nothing."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise UsageError(f"sample_rate must be from 1000 to 384000 Hz; got {self.sample_rate}")
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1; got {self.batch_size}")

    @property
    def sidecar_suffixes(self) -> tuple[str, ...]:
        """The endings of the files beside each sound."""
        return ("json",) if self.sidecars and not self.listing else ()

    def decisive(self) -> dict[str, Any]:
        """The options that affect what is written."""
        options: dict[str, Any] = to_json(self)
        return {name: value for name, value in options.items() if name not in ("type", "overwrite", "quiet")}

    def finish(self, clip: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
        """Convert a generated clip (C, T) to what is written, and return it with its sample rate.

        Cleaning comes last, because resampling changes peaks and rings into silence.
        """
        if self.sample_rate is not None and self.sample_rate != sample_rate:
            clip = soxr.resample(clip.T, sample_rate, self.sample_rate, quality="HQ").T
            sample_rate = self.sample_rate
        return self.cleaning.apply(clip, sample_rate) if self.clean else clip, sample_rate

    @property
    def ceiling(self) -> float | None:
        """The largest |x| that a written file may hold, full scale being 1; None for no limit."""
        return self.cleaning.ceiling if self.clean else None


def common_loudness(clips: Iterable[np.ndarray], sample_rate: int, output: Output) -> float | None:
    """A loudness, in LKFS, that all clips (C, T) can have when they are written; None if all are silent.

    It is for sounds that are played in turn, such as round robins or the steps of a morph. It is the greatest loudness
    that the clip with the sharpest peaks can reach, but at most 12 dB below what half of the clips can reach: then a
    click stays softer than the others.
    """
    reached = np.array([loudest_at(*output.finish(clip, sample_rate), LOUDEST_PEAK) for clip in clips])
    reached = reached[np.isfinite(reached)]
    return float(max(reached.min(), np.median(reached) - _LOWERED_DB)) if reached.size else None
