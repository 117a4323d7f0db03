"""Measures a file while it is decoded: its levels, and whether it was made at a lower rate than it says.

`scan` and `prepare` see a file through the same eyes: both feed every decoded block `(n, C)` to a `Levels`, which says
in words what is wrong with it. Only `scan` asks for its `Bandwidth`, too: a file that was upsampled holds nothing above
half its old rate, and ends there in a cliff with nothing but rounding noise beyond. A dark sound has no cliff: it
fades. Spectra are taken at the loudest place of a block, where highs are if there are any, and at a few more.
"""

from collections.abc import Callable, Iterator

import numpy as np

from fauxley.sounds.reading import AudioFile, Float

# Beyond 32-bit integers that were taken for floats, which normalising sets right, there is no audio.
_ABSURD = 1e10
STEP = 2.0**-15  # one step of 16 bits; what stays below it is silence

_TAIL_SHARE = 0.01  # of a file's energy: what holds no more than this, 20 dB below the rest together, is a tail
_FRONTS = [1 << power for power in range(10, 21)]


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

    def watch(self, source: AudioFile, heard: Callable[[float], None] | None = None) -> Iterator[Float]:
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
            some = "one sample is" if self.num_non_finite == 1 else f"{self.num_non_finite} samples are"
            return f"{some} NaN or infinite"
        if self.peak > _ABSURD:
            return f"absurd values: its samples reach {self.peak:.1g} times full scale"
        return ""

    def warnings(self, source: AudioFile, mono: bool) -> tuple[str, ...]:
        """Say what an ear or a network would stumble over although the file can be used.

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
            found.append("very short: " + ("one sample" if self.num_samples == 1 else f"{self.num_samples} samples"))
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


# Rates from which files are brought to a higher one; half of them is where the cliff would be.
_LOWER_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
_LOUDEST = 1e6  # damaged floats may be anything; their squares must not overflow
_WINDOW = 4096
_PLACES = 2  # windows of a block, besides the loudest
_HANN = np.hanning(_WINDOW).astype(np.float32) / (_WINDOW / 4)
_CLIFF = 10 ** (30 / 10)  # power
_LEAST = 1e-9  # power of a bin, of full scale 1: below it there is too little sound to tell


class Bandwidth:
    """Takes blocks `(n, C)` and says whether they were upsampled."""

    def __init__(self) -> None:
        self._power = np.zeros(_WINDOW // 2 + 1)

    def add(self, block: Float) -> None:
        """Take the loudest of a few spectra of `block`, bin by bin, into account."""
        channel = np.clip(block[:, 0], -_LOUDEST, _LOUDEST)
        loudest = int(np.argmax(np.abs(channel)))
        last = max(len(block) - _WINDOW, 0)
        starts = {min(max(loudest - _WINDOW // 8, 0), last), *(last * place // _PLACES for place in range(_PLACES))}
        for start in starts:
            window = channel[start : start + _WINDOW]
            spectrum = np.fft.rfft(window * _HANN[: len(window)], _WINDOW)
            np.maximum(self._power, np.square(np.abs(spectrum)), out=self._power)

    def upsampled_from(self, sample_rate: int) -> int:
        """The lower rate at which the sound was made, in Hz; 0 if there is no sign of one."""
        sums = np.concatenate([[0.0], np.cumsum(self._power)])
        most_above = np.maximum.accumulate(self._power[::-1])[::-1]
        for rate in _LOWER_RATES:
            # Room for the slope of a resampling filter on both sides.
            nyquist = rate / sample_rate * _WINDOW / 2
            first, last, above = int(0.7 * nyquist), int(0.9 * nyquist), int(1.1 * nyquist) + 1
            if rate > 0.85 * sample_rate or last - first < 8 or above > _WINDOW // 2 - 8:
                continue
            below = (sums[last] - sums[first]) / (last - first)
            if below > max(_LEAST / _WINDOW, _CLIFF * most_above[above]):
                return rate
        return 0
