"""A classifier of labelled sounds: the judge behind the inception score, and an embedding made for the data at hand.

The paper (section 5.1) trains one on log-mel spectrograms of its data, because no network trained on something else
knows what a spoken digit is. This is the same idea in a small residual network: log-mel spectrogram, four stages of
3 × 3 convolutions, the mean over time and frequency (the embedding), one linear layer. Its level does not matter:
every clip is scaled to a peak of 1 first, so that a quiet sound is judged by what it is. Levels are the business of
`metrics/signal_measures.py`.

Saved as a model is: `config.json` and `classifier.safetensors`, data and nothing else.

Letters: B batch, T samples, M mel bands, F frames, E embedding size, K labels.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier.network import ClassifierNetwork, ClassifierSettings, LogMel
from fauxley.models.weights import pack_weights, read_weights, write_weights
from fauxley.serialization import from_json, read_versioned, reading, to_json
from fauxley.storage import atomic_folder

FORMAT_VERSION = 2  # 1: trained without noise
_CONFIG = "config.json"
_WEIGHTS = "classifier.safetensors"


@dataclass(frozen=True)
class Judgement:
    """Quality of a classifier, measured on clips that it has not learnt from.

    Attributes:
        accuracy: share of clips it names rightly.
        noisy_accuracy: the same with white noise 10 dB below each clip.
        calibration_error: expected calibration error, see `calibration.py`.
        num_clips: number of clips that it was asked about.
        held_out: words for which clips these were.
        confusion: how often label i, the row, was taken for label j.
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
        settings: its settings.
        log_mel: turns audio into spectrograms.
        network: turns spectrograms into logits.
        temperature: number that logits are divided by, so that probabilities are reliable (Guo et al. 2017).
        judgement: its measured quality.
        data: fingerprint of the dataset that it learnt from.
        digest: short hash of its weights, by which figures can be compared.
    """

    settings: ClassifierSettings
    log_mel: LogMel
    network: ClassifierNetwork
    temperature: float
    judgement: Judgement
    data: str
    digest: str = field(default="")

    def __post_init__(self) -> None:
        self.network.eval()
        weights = _modules(self.log_mel, self.network)
        self.digest = self.digest or hashlib.sha256(pack_weights(weights)).hexdigest()[:12]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.settings.labels

    def to(self, device: torch.device | str) -> "Classifier":
        """Move to a device and return self."""
        self.log_mel.to(device)
        self.network.to(device)
        return self

    @torch.inference_mode()
    def judge(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (B, T) at its sample rate to embeddings (B, E) and probabilities (B, K)."""
        device = self.network.output.weight.device
        embedding = self.network.embed(self.log_mel(audio.to(device)))
        logits = self.network.output(embedding)
        return embedding.float().cpu(), F.softmax(logits.double() / self.temperature, 1).cpu()

    def save(self, folder: Path) -> Path:
        """Write a classifier folder, whole or not at all.

        Raises:
            FileExistsError: `folder` has something in it.
        """
        with atomic_folder(folder) as partial:
            config = {
                "format_version": FORMAT_VERSION,
                "settings": to_json(self.settings),
                "temperature": self.temperature,
                "judgement": to_json(self.judgement),
                "data": self.data,
                "weights_sha256": write_weights(partial / _WEIGHTS, _modules(self.log_mel, self.network)),
            }
            (partial / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Open a classifier folder.

        Raises:
            FauxleyError: missing, of another format version, or damaged.
        """
        if not (folder / _CONFIG).is_file():
            raise FauxleyError(f"{folder} is not a classifier; 'fauxley train-classifier' makes one")
        config = read_versioned(folder / _CONFIG, "classifier", (1, FORMAT_VERSION))
        if config["format_version"] == 1:
            raise FauxleyError(
                f"{folder} was trained by an earlier fauxley, which taught it nothing about noise, so that its figures "
                "do not compare with today's; train it again with 'fauxley train-classifier'"
            )
        with reading(f"{folder} is not a usable classifier"):
            settings: ClassifierSettings = from_json(config["settings"], (ClassifierSettings,))
            # Without storage: memory is taken only for what the weight file really holds.
            with torch.device("meta"):
                log_mel, network = LogMel(settings), ClassifierNetwork(settings)
            read_weights(folder / _WEIGHTS, _modules(log_mel, network), config["weights_sha256"])
            temperature = float(config["temperature"])
            if not 0 < temperature < 100:
                raise FauxleyError("its temperature makes no sense")
            judgement: Judgement = from_json(config["judgement"], (Judgement,))
            size = len(settings.labels)
            if len(judgement.confusion) != size or any(len(row) != size for row in judgement.confusion):
                raise FauxleyError("its confusion matrix does not suit its labels")
            digest = config["weights_sha256"][:12]
            return cls(settings, log_mel, network, temperature, judgement, str(config["data"]), digest)


def _modules(log_mel: LogMel, network: ClassifierNetwork) -> dict[str, nn.Module]:
    return {"front": log_mel, "network": network}
