"""The short-time Fourier transform with the official code's conventions (TensorFlow's, which are not librosa's).

    X[k, n] = sum over m of  w[m] x[n·H + m] e^(-2πi km/N),    w[m] = 1/2 - 1/2 cos(2πm/N)

Frame n begins at sample n·H, not half a window before; what lacks at the end is zero. The window of N samples is the
periodic Hann window, and w² is what a sample is multiplied by on a round trip through `stft` and `istft`: summed over
frames half a window apart it ripples as sin⁴ + cos⁴, between 1/2 and 1. The official inverse leaves it so.

Letters: T samples, N window length, H hop length, K = N/2 + 1 bins, F frames.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def hann_window(length: int, like: Tensor) -> Tensor:
    """The periodic Hann window: (N,), with the device and precision of `like`."""
    return _hann_window(length, like.device, like.dtype)


@cache
@torch.inference_mode(False)  # whose tensors no training could use later
def _hann_window(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.hann_window(length, periodic=True, device=device, dtype=dtype)


def num_frames(num_samples: int, hop_length: int) -> int:
    """Frames that begin within the signal, the last ones filled with zeros: ceil(T / H)."""
    return -(-num_samples // hop_length)


def stft(audio: Tensor, window_length: int, hop_length: int, frames: int | None = None) -> Tensor:
    """Spectrum over time: (..., T) to complex (..., F, K), bins fastest.

    Args:
        frames: F; by default all that begin within the signal. The signal is cut or zero-padded at its end to fit.
    """
    frames = num_frames(audio.shape[-1], hop_length) if frames is None else frames
    lacking = (frames - 1) * hop_length + window_length - audio.shape[-1]
    whole = F.pad(audio, (0, lacking)) if lacking else audio
    windows = whole.unfold(-1, window_length, hop_length)  # (..., F, N)
    spectrum: Tensor = torch.fft.rfft(windows * hann_window(window_length, audio))
    return spectrum


def istft(spectrum: Tensor, window_length: int, hop_length: int, *, compensate: bool = False) -> Tensor:
    """Overlap and add the inverse transforms, windowed once more: complex (..., F, K) to (..., (F - 1) H + N).

    Args:
        compensate: multiply by `evening_gain`, which makes this the least-squares inverse (Griffin and Lim 1984,
            equation 6). The official code does not.
    """
    windows = torch.fft.irfft(spectrum, n=window_length)  # (..., F, N)
    audio = _overlap_add(windows, hann_window(window_length, windows), hop_length)
    return audio * evening_gain(spectrum.shape[-2], window_length, hop_length, windows) if compensate else audio


def evening_gain(frames: int, window_length: int, hop_length: int, like: Tensor) -> Tensor:
    """One by the sum of squared windows that each sample lies under, unless that is nearly zero: ((F - 1) H + N,)."""
    window = hann_window(window_length, like)
    return _overlap_add(window.expand(frames, -1), window, hop_length).clamp(min=1e-3).reciprocal()


def _overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Frames (..., F, N) times a window (N,) to (..., (F - 1) H + N), piece after piece of one hop of all frames."""
    count, length = frames.shape[-2:]
    pieces = -(-length // hop_length)
    audio = frames.new_zeros(*frames.shape[:-2], count + pieces - 1, hop_length)
    hops = zip(torch.split(frames, hop_length, -1), torch.split(window, hop_length), strict=True)
    for place, (piece, weight) in enumerate(hops):
        audio[..., place : place + count, : len(weight)].addcmul_(piece, weight)
    return audio.flatten(-2)[..., : (count - 1) * hop_length + length]
