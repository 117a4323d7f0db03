"""Measures a file's levels while it streams past, and says in words what is wrong with them.

`scan` and `prepare` see a file through the same eyes: both feed every decoded block `(n, C)` to a `Levels`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fauxley.sounds.sources import Float, Source

# Beyond 32-bit integers that were taken for floats, which normalising sets right, there is no audio.
_ABSURD = 1e10
STEP = 2.0**-15  # one step of 16 bits; what stays below it is silence

# A file is a one-shot for a clip length if what follows its first clip is less than this share of its energy: 20 dB
# below the rest together, a decay. Of spoken words cut in half, few pass; of drums, most.
_TAIL_SHARE = 0.01
_FRONTS = [1 << power for power in range(10, 21)]
_BLOCK_SAMPLES = 1 << 18


class Levels:
    """Running measurements over blocks `(n, C)` of one file at its own rate.

    Attributes:
        num_samples: per channel.
        num_non_finite: values that are NaN or infinite, over all channels.
        peak: largest |x| over all channels.
        mono_peak: largest |x| of the mean over channels.
        num_front: samples from the start, a power of two, behind which there is nearly nothing; or `num_samples`.
        num_flat: values that continue a run of three or more equal ones at a block's peak: the tops of clipping.
    """

    def __init__(self) -> None:
        self.num_samples = 0
        self.num_non_finite = 0
        self.peak = 0.0
        self.mono_peak = 0.0
        self.num_flat = 0
        self._sum: np.ndarray | float = 0.0
        self._energy = 0.0
        self._front_energy = np.zeros(len(_FRONTS))
        self._channels = 1

    def watch(self, source: Source, heard: Callable[[float], None] | None = None) -> Iterator[Float]:
        """Pass the blocks of `source` on, measuring them; `heard` is told the share of the file that is done."""
        for block in source.blocks():
            yield self.add(block)
            if heard is not None and source.info.num_samples:
                heard(min(self.num_samples / source.info.num_samples, 1.0))

    def add(self, block: Float) -> Float:
        """Take `(n, C)` into account; return it with zeros where it is not finite."""
        begin = self.num_samples
        self.num_samples += len(block)
        self._channels = block.shape[1]
        peak = _peak(block)
        if not np.isfinite(peak):
            finite = np.isfinite(block)
            self.num_non_finite += int(block.size - finite.sum())
            block = np.where(finite, block, 0)
            peak = _peak(block)
        self.peak = max(self.peak, peak)
        if peak:  # else it is silence, of which there may be hours
            with np.errstate(over="ignore"):  # damaged floats may be anything
                self._add_sound(block, peak, begin)
        return block

    def _add_sound(self, block: Float, peak: float, begin: int) -> None:
        self._sum = self._sum + block.sum(axis=0, dtype=np.float64)
        mono = block[:, 0] if self._channels == 1 else block.mean(axis=1)
        self.mono_peak = max(self.mono_peak, _peak(mono))
        energy = np.square(block, dtype=np.float64)
        if begin < _FRONTS[-1]:
            each = energy.sum(axis=1)
            self._front_energy += [each[: max(front - begin, 0)].sum() for front in _FRONTS]
        self._energy += float(energy.sum())
        if peak >= 0.5:
            top = (np.abs(block[1:-1]) >= 0.98 * peak) & (block[1:-1] == block[:-2]) & (block[1:-1] == block[2:])
            self.num_flat += int(top.sum())

    @property
    def rms(self) -> float:
        return float(np.sqrt(self._energy / max(self.num_samples * self._channels, 1)))

    @property
    def num_front(self) -> int:
        nearly_all = self._front_energy >= (1 - _TAIL_SHARE) * self._energy
        return min([self.num_samples, *(front for front, enough in zip(_FRONTS, nearly_all, strict=True) if enough)])

    @property
    def dc_offset(self) -> float:
        """The mean of the channel where it is largest in magnitude."""
        return float(np.abs(np.asarray(self._sum)).max()) / max(self.num_samples, 1)

    def defect(self) -> str:
        """Why the file must not be used, or ""."""
        if self.num_samples == 0:
            return "has no samples"
        if self.num_non_finite:
            return f"{self.num_non_finite} samples are NaN or infinite"
        if self.peak > _ABSURD:
            return f"absurd values: its samples reach {self.peak:.1g} times full scale"
        return ""

    def warnings(self, source: Source, mono: bool) -> tuple[str, ...]:
        """What an ear or a network would stumble over although the file can be used.

        Args:
            source: the file, all of whose blocks were added.
            mono: whether the file is wanted as one channel.
        """
        info, found = source.info, list(source.warnings)
        # 2 %: lengths of compressed files are in whole frames.
        missing = info.num_samples - self.num_samples - (0.1 * info.sample_rate if info.is_rough else 0)
        if not found and missing > 0.02 * info.num_samples:
            found.append(f"truncated: ends after {self.num_samples} of {info.num_samples} samples")
        if self.num_samples < 0.005 * info.sample_rate:
            found.append(f"very short: {self.num_samples} samples")
        if self.peak < STEP:
            found.append("silent")
        elif mono and self.mono_peak < STEP:
            found.append("antiphase: its channels cancel, mixed to mono it is silent")
        if self.peak > 1.0 + STEP:
            found.append(f"over full scale: peaks at {self.peak:.3g}")
        if self.num_flat > max(8, self.num_samples // 10_000):
            found.append(f"clipped: {self.num_flat} samples in flat tops")
        if self.num_samples >= 256 and self.dc_offset > 0.02 and self.dc_offset > 0.1 * self.rms:
            found.append(f"DC offset: {self.dc_offset:.3f}")
        return tuple(found)


def _peak(values: Float) -> float:
    """The largest magnitude; NaN or infinite where there is such a value."""
    with np.errstate(invalid="ignore"):
        return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def is_one_shot(audio: NDArray[np.int16], clip_length: int) -> bool:
    """Whether a packed file, `(n, C)`, holds nearly all its energy in its first clip.

    Reads a block at a time and, in a file that goes on sounding, little more than the first clip.
    """
    first, rest = 0, 0
    for start in range(0, min(clip_length, len(audio)), _BLOCK_SAMPLES):
        first += _energy(audio[start : min(start + _BLOCK_SAMPLES, clip_length)])
    for start in range(clip_length, len(audio), _BLOCK_SAMPLES):
        rest += _energy(audio[start : start + _BLOCK_SAMPLES])
        if rest > _TAIL_SHARE * (first + rest):  # which only grows from here on
            return False
    return True


def _energy(audio: NDArray[np.int16]) -> int:
    return int(np.square(audio, dtype=np.int64).sum())
