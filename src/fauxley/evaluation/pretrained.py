"""Networks that others trained on other sounds. Their weights come inside packages on PyPI, so nothing is downloaded.

Only the weight files are used, through onnxruntime; the packages' own code is never imported. The extra `speech`
installs them.

    speech           Google's speech embedding (Lin et al. 2020), 96 numbers, from the package openwakeword
    speech quality   DNSMOS (Reddy et al. 2021), an estimated opinion score, 1 to 5, from the package speechmos

A session of onnxruntime cannot be sent to another process, so each process opens its own, once.

Letters: B batch, T samples, W windows, D dimensions.
"""

import importlib.util
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fauxley.errors import FauxleyError, UsageError
from fauxley.evaluation.clips import Audio
from fauxley.evaluation.features import Extractor, Float32, resample

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_HINT = "pip install 'fauxley[speech]'"
_RATE = 16000


class SpeechEmbedding(Extractor):
    """Google's speech embedding, averaged over windows of 0.76 s every 80 ms; shorter clips are padded with zeros."""

    title = "speech"
    _frames, _step = 76, 8

    def __init__(self) -> None:
        self._spectrogram = _session("openwakeword", "resources/models/melspectrogram.onnx")
        self._embedding = _session("openwakeword", "resources/models/embedding_model.onnx")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, Float32]:
        audio = resample(clips, sample_rate, _RATE)
        audio = np.pad(audio, ((0, 0), (0, max(0, 12_800 - audio.shape[1])))) * np.float32(32767)
        rows = []
        for clip in audio:  # the model takes one at a time
            (spectrogram,) = self._spectrogram.run(None, {"input": clip[None]})
            bands = spectrogram.reshape(-1, 32) / 10 + 2  # the scaling that the embedding was trained with
            starts = range(0, len(bands) - self._frames + 1, self._step)
            windows = np.stack([bands[start : start + self._frames] for start in starts])[..., None]
            (embedded,) = self._embedding.run(None, {"input_1": windows.astype(np.float32)})
            rows.append(embedded.reshape(len(windows), -1).mean(0))
        return {"speech": np.stack(rows)}


class SpeechQuality(Extractor):
    """DNSMOS's overall score. Short clips score low, so compare it only with real clips of the same length.

    Args:
        limit: the most clips to rate, the first ones; each takes a third of a second.
    """

    title = "speech quality"
    _length = 144_160  # 9.01 s; shorter clips are repeated

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._model = _session("speechmos", "dnsmos_models/sig_bak_ovr.onnx")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.limit,)

    def extract(self, clips: Audio, sample_rate: int) -> Mapping[str, Float32]:
        audio = resample(clips, sample_rate, _RATE)[: self.limit]
        times = -(-self._length // audio.shape[1])
        rows = []
        for clip in np.tile(audio, (1, times))[:, : self._length]:
            (scores,) = self._model.run(None, {"input_1": clip[None].astype(np.float32)})
            rows.append(
                np.polyval([-0.06766283, 1.11546468, 0.04602535], scores[0, 2])
            )  # the polynomial that DNSMOS's authors fitted to listeners' answers
        return {"speech_quality": np.array(rows, np.float32)[:, None]}


EMBEDDINGS: Mapping[str, Callable[[], Extractor]] = {"speech": SpeechEmbedding}


def open_embeddings(names: tuple[str, ...]) -> dict[str, Extractor]:
    """The extractors of these names.

    Raises:
        UsageError: a name is unknown.
        FauxleyError: the packages are not installed.
    """
    for name in names:
        if name not in EMBEDDINGS:
            raise UsageError(f"unknown embedding {name!r}; there are {', '.join(EMBEDDINGS)}")
    return {name: EMBEDDINGS[name]() for name in names}


def _session(package: str, file: str) -> "InferenceSession":
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("onnxruntime") is None:
        raise FauxleyError(f"this needs the packages onnxruntime and {package}: {_HINT}")
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise FauxleyError(f"the installed {package} lacks {file}: {_HINT} --force-reinstall")
    return _opened(path)


@lru_cache
def _opened(path: Path) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
