"""A classifier of labelled sounds: the judge behind the inception score, and an embedding made for the data at hand.

The paper (section 5.1) trains one on log-mel spectrograms of its data, because no network trained on something else
knows what a spoken digit is. This is the same idea in a small residual network: log-mel spectrogram, four stages of
3 × 3 convolutions, the mean over time and frequency (the embedding), one linear layer. Its level does not matter:
every clip is scaled to a peak of 1 first, so that a quiet sound is judged by what it is. Levels are the business of
`signals.py`.

Saved as a model is: `config.json` and `classifier.safetensors`, data and nothing else.

Letters: B batch, T samples, M mel bands, F frames, E embedding size, K labels.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fauxley.atomic import atomic_folder
from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier_network import ClassifierNetwork, ClassifierSettings, LogMel
from fauxley.serialization import from_json, to_json

FORMAT_VERSION = 2  # 1: trained without noise
_CONFIG = "config.json"
_WEIGHTS = "classifier.safetensors"


@dataclass(frozen=True)
class Judgement:
    """How good a classifier is, measured on clips it has not learnt from.

    Attributes:
        accuracy: share of clips it names rightly.
        noisy_accuracy: the same with white noise 10 dB below each clip.
        calibration_error: expected calibration error, see `calibration.py`.
        num_clips: how many were asked.
        held_out: in words, which clips these were.
        confusion: how often label i was taken for label j.
    """

    accuracy: float
    noisy_accuracy: float
    calibration_error: float
    num_clips: int
    held_out: str
    confusion: tuple[tuple[int, ...], ...]


@dataclass
class Classifier:
    """Names sounds.

    Args:
        settings: what it hears.
        front: audio to spectrograms.
        network: spectrograms to logits.
        temperature: what logits are divided by, so that probabilities mean what they say (Guo et al. 2017).
        judgement: how good it is.
        data: fingerprint of what it learnt from.
        digest: short hash of its weights, by which figures can be compared.
    """

    settings: ClassifierSettings
    front: LogMel
    network: ClassifierNetwork
    temperature: float
    judgement: Judgement
    data: str
    digest: str = field(default="")

    def __post_init__(self) -> None:
        self.network.eval()
        self.digest = self.digest or hashlib.sha256(save(self._tensors())).hexdigest()[:12]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.settings.labels

    def to(self, device: torch.device | str) -> "Classifier":
        """Move to a device and return self."""
        self.front.to(device)
        self.network.to(device)
        return self

    @torch.inference_mode()
    def judge(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (B, T) at its sample rate to embeddings (B, E) and probabilities (B, K)."""
        device = self.network.output.weight.device
        embedding = self.network.embed(self.front(audio.to(device)))
        logits = self.network.output(embedding)
        return embedding.float().cpu(), F.softmax(logits.double() / self.temperature, 1).cpu()

    def save(self, folder: Path) -> Path:
        """Write a classifier folder, whole or not at all.

        Raises:
            FileExistsError: `folder` has something in it.
        """
        weights = save(self._tensors())
        config = {
            "format_version": FORMAT_VERSION,
            "settings": to_json(self.settings),
            "temperature": self.temperature,
            "judgement": to_json(self.judgement),
            "data": self.data,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        with atomic_folder(folder) as partial:
            (partial / _WEIGHTS).write_bytes(weights)
            (partial / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Open a classifier folder.

        Raises:
            FauxleyError: missing, of another format version, or damaged.
        """
        config = _read_config(folder)
        try:
            settings: ClassifierSettings = from_json(config["settings"], (ClassifierSettings,))
            weights = (folder / _WEIGHTS).read_bytes()
            digest = hashlib.sha256(weights).hexdigest()
            if digest != config["weights_sha256"]:
                raise FauxleyError(f"{_WEIGHTS} is damaged: its checksum is not the one in {_CONFIG}")
            # Without storage: memory is taken only for what the weight file really holds.
            with torch.device("meta"):
                front, network = LogMel(settings), ClassifierNetwork(settings)
            tensors = load(weights)
            for prefix, module in (("front.", front), ("network.", network)):
                mine = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
                if any(t.dtype not in (torch.float32, torch.int64) for t in mine.values()):
                    raise FauxleyError(f"{_WEIGHTS} holds numbers of another precision")
                module.load_state_dict(mine, assign=True)
            temperature = float(config["temperature"])
            if not 0 < temperature < 100 or not all(bool(torch.isfinite(t).all()) for t in tensors.values()):
                raise FauxleyError("its numbers make no sense")
            judgement: Judgement = from_json(config["judgement"], (Judgement,))
            size = len(settings.labels)
            if len(judgement.confusion) != size or any(len(row) != size for row in judgement.confusion):
                raise FauxleyError("its confusion matrix does not suit its labels")
            return cls(settings, front, network, temperature, judgement, str(config["data"]), digest[:12])
        except (FauxleyError, OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            text = " ".join(str(error).split())[:300] or type(error).__name__
            raise FauxleyError(f"{folder} is not a usable classifier: {text}") from error

    def _tensors(self) -> dict[str, Tensor]:
        parts = (("front", self.front), ("network", self.network))
        return {
            f"{prefix}.{name}": value.detach().cpu().contiguous()
            for prefix, module in parts
            for name, value in module.state_dict().items()
        }


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        version = config["format_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FauxleyError(
            f"{folder} is not a classifier; make one with 'fauxley train-classifier --data DATASET --out {folder}'"
        ) from error
    if version == 1:
        raise FauxleyError(
            f"{folder} was trained by an earlier fauxley, which taught it nothing about noise, so that its figures do "
            "not compare with today's; train it again with 'fauxley train-classifier'"
        )
    if version != FORMAT_VERSION:
        raise FauxleyError(f"{folder} has classifier format {version!r}; this fauxley reads {FORMAT_VERSION}")
    return dict(config)
