"""Models of hearing that others trained, for `outside_judges.py`. Their weights come inside packages on PyPI.

    pip install --no-deps aisfx            sounds: an embedding of sound effects (Ma and Lerch 2022), weights CC BY 4.0
    pip install --no-deps pocketsphinx     words: a recogniser of US English, model under a BSD licence

Without `--no-deps` aisfx asks for a numpy of 2022, pocketsphinx for a library that records. Neither needs another
PyTorch. `StandIn` needs neither package; it is for trying the arithmetic.

Letters: N clips, T samples, F frames, K words, D dimensions.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fauxley.errors import FauxleyError
from fauxley.evaluation.features import LogMelNeighbours
from fauxley.signal.mel import mel_matrix

Clip = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class AiSfx:
    """The embedding of aiSFX: 512 numbers for the first 2.3 s of a clip.

    Its authors compute spectrograms with Essentia; `log_mel` does the same sums in PyTorch. The network is theirs.
    """

    title = "aiSFX"
    sample_rate = 44100
    _frames = 100
    _batch = 16

    def __init__(self) -> None:
        folder = _package("aisfx")
        from aisfx.models.cnn2d import EmbeddingNet

        # Beside the weights lies a table of numpy integers, which these three build; nothing else of the file is run.
        rebuild = np.int64(0).__reduce__()[0]
        harmless: list[Any] = [(rebuild, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.int64))]
        with torch.serialization.safe_globals(harmless):
            weights, _ = torch.load(folder / "models" / "checkpoint.pth", map_location="cpu", weights_only=True)
        prefix = "embedding_net."  # the others are classifiers on top of it
        self._network = EmbeddingNet("max", 3, 1, 64)
        self._network.load_state_dict(
            {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        )
        self._network.eval()

    @torch.inference_mode()
    def embed(self, clips: Sequence[Clip]) -> Float64:
        """Embed clips of any lengths (T,) in [-1, 1]: (N, 512)."""
        rows = []
        for start in range(0, len(clips), self._batch):
            pictures = torch.zeros(min(self._batch, len(clips) - start), self._frames, 96)
            for picture, clip in zip(pictures, clips[start : start + self._batch], strict=True):
                frames = log_mel(clip)[: self._frames]
                picture[: len(frames)] = frames
            rows.append(self._network(pictures).double().numpy())
        return np.concatenate(rows)


def log_mel(clip: Clip) -> torch.Tensor:
    """The spectrogram that aiSFX looks at: (T,) at 44.1 kHz to (F, 96), from 0 to about 1.

    Frames of 2048 samples every 1024, the first around sample 0; power in 96 bands of the mel scale, each divided by
    the sum of its weights; log10(1 + 10000 ·), divided by the highest value that the authors met. The clip is scaled
    to a peak of 0.9 first, so that its level does not matter.
    """
    peak = max(1e-4, float(np.abs(clip).max(initial=0)))
    audio = torch.from_numpy(np.asarray(clip * (0.9 / peak), np.float32))
    short = -len(audio) % 1024
    padded = torch.nn.functional.pad(audio, (1024, 1024 + short))
    power = torch.fft.rfft(padded.unfold(0, 2048, 1024) * torch.hann_window(2048)).abs().square()
    return torch.log10(1 + 10000 * (power @ _bands())) / 9.457798957824707


def _bands() -> torch.Tensor:
    matrix = mel_matrix(1025, 44100, 96, low=0, high=22050)
    return torch.from_numpy(matrix / matrix.sum(0)).float()


class Recogniser:
    """Pocketsphinx, made to hear one of K words in every clip."""

    title = "pocketsphinx"
    sample_rate = 16000
    _rate = 100  # frames in a second
    _exponent = 1024  # scores are given as likelihoods to the power of 1 / 1024

    def __init__(self, words: Sequence[str]) -> None:
        _package("pocketsphinx")
        self.words = tuple(words)
        self._choosing = self._decoder()
        unknown = [word for word in words if self._choosing.lookup_word(word) is None]
        if unknown:
            raise FauxleyError(
                f"the recogniser does not know {', '.join(map(repr, unknown[:5]))}; labels must be English words, "
                "in small letters"
            )
        _add_grammar(self._choosing, "all", words)

    def hear(self, clips: Sequence[Clip]) -> Int64:
        """The likeliest word in each clip (T,) in [-1, 1]: its index, (N,), or K where nothing is heard."""
        heard = [self._decode(self._choosing, "all", clip) for clip in clips]
        return np.array([self.words.index(found.hypstr) if found else len(self.words) for found in heard], np.int64)

    def scores(self, clips: Sequence[Clip]) -> Float64:
        """Log-likelihood of each word in each clip, in nats a frame: (N, K). It takes thirty times as long as `hear`.

        Each clip is decoded once for each word, with a grammar that allows this word alone. The likelihoods can be
        compared because every unit of speech is scored in every frame (`compallsen`) and next to nothing is pruned.
        The likeliest is what `hear` hears.
        """
        scoring = self._decoder(compallsen=True, beam=1e-100, pbeam=1e-100, wbeam=1e-80)
        for word in self.words:
            _add_grammar(scoring, word, [word])
        table = np.full((len(clips), len(self.words)), _NEVER)
        for row, clip in zip(table, clips, strict=True):
            frames = max(1.0, len(clip) / self.sample_rate * self._rate)
            for place, word in enumerate(self.words):
                if found := self._decode(scoring, word, clip):
                    row[place] = self._exponent * float(np.log(found.score)) / frames
        return table

    def _decoder(self, **settings: Any) -> Any:
        from pocketsphinx import Decoder

        return Decoder(lm=None, samprate=self.sample_rate, loglevel="FATAL", bestpath=False, **settings)

    def _decode(self, decoder: Any, grammar: str, clip: Clip) -> Any:
        """The word found and its score, or None."""
        decoder.activate_search(grammar)
        decoder.reinit_feat()  # forget the noise and the loudness of the clip before: the order must not matter
        decoder.start_utt()
        decoder.process_raw((np.clip(clip, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found if found and found.hypstr in self.words else None


def _add_grammar(decoder: Any, name: str, words: Sequence[str]) -> None:
    decoder.add_jsgf_string(name, f"#JSGF V1.0; grammar words; public <word> = {' | '.join(words)};")


_NEVER = -100.0  # nats a frame; a word that fits badly has -10


class StandIn:
    """Log-mel in place of both, so that the arithmetic can be tried without packages."""

    title = "log-mel, a stand-in"
    sample_rate = 16000

    def __init__(self, words: Sequence[str] = (), examples: tuple[Sequence[Clip], NDArray[Any]] | None = None) -> None:
        self._log_mel = LogMelNeighbours()
        self.words = tuple(words)
        if examples:
            embedded = self.embed(examples[0])
            self._means = np.stack([embedded[examples[1] == word].mean(0) for word in words])

    def embed(self, clips: Sequence[Clip]) -> Float64:
        """Embed clips (T,): (N, D)."""
        rows = [self._log_mel.extract(clip[None], self.sample_rate)["log-mel"] for clip in clips]
        return np.concatenate(rows).astype(np.float64)

    def hear(self, clips: Sequence[Clip]) -> Int64:
        """The index of the nearest mean: (N,)."""
        return np.asarray(self.scores(clips).argmax(1))

    def scores(self, clips: Sequence[Clip]) -> Float64:
        """How near each clip is to the mean of each word's examples: (N, K)."""
        return np.asarray(-np.square(self.embed(clips)[:, None] - self._means).mean(2))


def _package(name: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FauxleyError(f"this judge needs the package {name}: pip install --no-deps {name}")
    return Path(spec.submodule_search_locations[0])
