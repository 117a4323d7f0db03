"""The short-time Fourier transform with the official code's conventions (TensorFlow's, which are not librosa's).

    X[k, n] = sum over m of  w[m] x[n·H + m] e^(-2πi km/N),    w[m] = 1/2 - 1/2 cos(2πm/N)

Frame n begins at sample n·H, not half a window before; what lacks at the end is zero. The window of N samples is the
periodic Hann window, and w² is what a sample is multiplied by on a round trip through `stft` and `istft`: summed over
frames half a window apart it ripples as sin⁴ + cos⁴, between 1/2 and 1. The official inverse leaves it so.

Letters: T samples, N window length, H hop length, K = N/2 + 1 bins, F frames.
"""

from functools import cache, reduce

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
    needed = (frames - 1) * hop_length + window_length
    windows = F.pad(audio, (0, needed - audio.shape[-1])).unfold(-1, window_length, hop_length)  # (..., F, N)
    spectrum: Tensor = torch.fft.rfft(windows * hann_window(window_length, audio))
    return spectrum


def istft(spectrum: Tensor, window_length: int, hop_length: int, *, compensate: bool = False) -> Tensor:
    """Overlap and add the inverse transforms, windowed once more: complex (..., F, K) to (..., (F - 1) H + N).

    Args:
        compensate: divide by the sum of squared windows where it is not nearly zero, which makes this the least-squares
            inverse (Griffin and Lim 1984, equation 6). The official code does not.
    """
    windows = torch.fft.irfft(spectrum, n=window_length)  # (..., F, N)
    window = hann_window(window_length, windows)
    audio = _overlap_add(windows * window, hop_length)
    if compensate:
        weight = _overlap_add(window.square().expand(windows.shape[-2], -1), hop_length)
        audio = audio / weight.clamp(min=1e-3)
    return audio


def _overlap_add(windows: Tensor, hop_length: int) -> Tensor:
    """(..., F, N) to (..., (F - 1) H + N): windows in pieces of one hop, each piece moved to its place as a whole."""
    frames, length = windows.shape[-2:]
    pieces = -(-length // hop_length)
    padded = F.pad(windows, (0, pieces * hop_length - length))
    parts = padded.view(*windows.shape[:-1], pieces, hop_length)  # (..., F, P, H)
    moved = [F.pad(parts[..., p, :], (0, 0, p, pieces - 1 - p)) for p in range(pieces)]
    audio = reduce(torch.add, moved).flatten(-2)
    return audio[..., : (frames - 1) * hop_length + length]
