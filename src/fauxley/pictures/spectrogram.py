"""Spectrograms of clips, as pixels.

- Frequency is in mel (see `fauxley.signal.mel`), even in steps of pitch as the ear hears them, from 0 to half
  the sample rate. A row of pixels sums the power under a triangle that ends at its neighbours' centres, much as a
  critical band of the ear does; a sine of full scale reads about 0 dB.
- Colours run from `FLOOR_DB` to 0 dB.

What is not finite is drawn as 0. Letters: C channels, T samples, H × W pixels, K bins of the Fourier transform.
"""

import base64
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fauxley.pictures.canvas import Clips, Image, drawable
from fauxley.signal.mel import hertz_to_mel, mel_to_hertz

FLOOR_DB = -80.0

_WINDOW_SECONDS = 0.025

# "magma" of Smith and van der Walt (CC0), as in matplotlib: red, green and blue of 256 levels.
_MAGMA = np.frombuffer(
    base64.b85decode(
        b"0009300aO41_1yE0RagC0Sf{G4FUoW0|OBR0}})U6$Jzr1_c=h1sezk9SH{?3I`$!2qX*%CJhQG4hkv{3oH-}FA)qe5)CsH4K)=G"
        b"I2H~%7Y{rb4?h|ZK^qW691unx5J?{qOCS+VA`ws{5mF@)RVEQvC=ppI5nL+~UM&z{FA!od5M?qDXEYFKH4kbx4{SLPZaWWeJP&a`"
        b"4{|^cb3zYvLl1RD4|YcncSsO;N)UNV5P3}zdQTC1P!fAm5`0q=d{q;DR}_6%6@FS3ep?oPT^D{{7k^+Fe_<GZV;O&C8h~aRfM^?l"
        b"X&iuS9Dr;cfNmavZytehAAxfpfpj2&b|HaxA%S@!fqEi=d?SH=B!Pb<fq^A~f+c~3CV_<}frlr7i70`JD1nSAfQ>1Dk1BwXDu9wJ"
        b"fRrnMl`MdlEPt6Tf0`|SoGyQ!E`FacexWaZqcDD?Fny*meWx*fsWN=4GkmNwd#*HlurzzIHF~o(dbKurwl;aVH+Z=>c)K`vy*YQj"
        b"Id;H0b;3Gz!#i}vJaoo9bI3h%%06<-K5@-IaLzz*&_Qp}LT=MSZPY_;)<kUAMQhncYT8F>+(>ENNod|mXW&a_;Y?=YO=aXxWaUs}"
        b"=22qjQex;-Vd_<2>sDawSYPc~U+!C8?p<B)US05DUGZUD@?%`{WnA-TTl8pK^=e!7Y+LqjTlR2U_i<bIb6og!T=;if`FULVdtLc`"
        b"UHX4s`hZ^gf?xZDVEcw(`-oxtiemhXWBiU|{E%e)l4bmpX8o0C{g-I{nQ8r-YW<yS{hw_8p>F-6Z~dfj{-$yMsB`|RbpEV${;qcZ"
        b"uXz5kdH%C|{<VDmw|)M(fBw6G{=9<zzJvb2h5o{Z{=|s>#)<yNi~h-t{>zU2&5-@ilKs(>{nC~F)R+C%nElwA{o0)U+@1a1pZ(vV"
        b"{o$kh<E8xNru^op{OGFu>a6_iuKez>{P3~-@w5E%wfyzB`}eu~`Mdl2z5D#X"
    ),
    np.uint8,
).reshape(256, 3)


def spectrogram_image(clip: Clips, sample_rate: int, *, height: int = 128, width: int = 256) -> Image:
    """A clip, (C, T), as a picture, (H, W, 3): mel from bottom to top, decibels as colours, channels as one."""
    num_samples = clip.shape[1]
    window_length = max(2, round(_WINDOW_SECONDS * sample_rate))
    window = np.hanning(window_length + 2)[1:-1]
    # A frame under each column of pixels, centred on it.
    centres = (np.arange(width) + 0.5) * num_samples / width
    padded = np.pad(drawable(clip), ((0, 0), (window_length, window_length)))
    starts = np.round(centres + window_length / 2).astype(np.int64)
    frames = padded[:, starts[:, None] + np.arange(window_length)] * window  # (C, W, window)
    num_bins = 1 << window_length.bit_length()  # at least twice as fine as the window resolves, so that rows differ
    power = np.square(np.abs(np.fft.rfft(frames, 2 * num_bins))).mean(axis=0)  # (W, K)
    # A sine of amplitude 1 spreads the power (Σ window)² / 4 over its lobe; summed over bins by Parseval's theorem
    # that makes (2 · num_bins) Σ window² / 4.
    power /= 2 * num_bins * np.square(window).sum() / 4
    bands = _mel_triangles(height, power.shape[1], sample_rate) @ power.T  # (H, W)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12))
    return colours(1 - decibels[::-1] / FLOOR_DB)


def colours(level: NDArray[np.float64]) -> Image:
    """The colours of levels, (...,) to (..., 3); what is outside [0, 1] is clipped."""
    return np.asarray(_MAGMA[np.clip(256 * level, 0, 255).astype(np.uint8)])


@lru_cache(maxsize=8)
def _mel_triangles(height: int, num_bins: int, sample_rate: int) -> NDArray[np.float64]:
    """The share of each bin that goes to each band, (H, K), between 0 and 1."""
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(sample_rate / 2), height + 2))  # Hz
    bin_width = sample_rate / 2 / (num_bins - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    # No side is narrower than a bin, lest a band fall between bins and stay dark.
    rise, fall = np.maximum(centre - low, bin_width), np.maximum(high - centre, bin_width)
    frequency = bin_width * np.arange(num_bins)
    return np.clip(np.minimum(1 - (centre - frequency) / rise, 1 - (frequency - centre) / fall), 0, 1)
