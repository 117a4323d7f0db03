"""A classifier of labelled sounds, which serves the inception score and as an embedding made for the data.

The paper (section 5.1) trains one on log-mel spectrograms of its data, because no network trained on something else
knows what a spoken digit is. This is the same idea with a small residual network: a log-mel spectrogram, four stages of
3 × 3 convolutions, the mean over time and frequency (the embedding), and a linear layer. Levels do not matter: every
clip is first scaled to a peak of 1, so that a quiet sound is judged by what it is. `metrics/signal_measures.py` judges
levels.

It is saved like a model: `config.json` and `classifier.safetensors`, which hold data and no code.

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
    """The quality of a classifier, measured on clips that it was not trained on.

    Attributes:
        accuracy: share of clips whose label it hears.
        noisy_accuracy: the same with white noise 10 dB below each clip.
        calibration_error: expected calibration error, see `calibration.py`.
        num_clips: the number of these clips.
        held_out: which clips these were, in words.
        confusion: how often label i (row) was taken for label j (column).
    """

    accuracy: float
    noisy_accuracy: float
    calibration_error: float
    num_clips: int
    held_out: str
    confusion: tuple[tuple[int, ...], ...]


@dataclass
class Classifier:
    """Names the label of a sound.

    Args:
        settings: its settings.
        log_mel: turns audio into spectrograms.
        network: turns spectrograms into logits.
        temperature: divides the logits, so that probabilities are reliable (Guo et al. 2017).
        judgement: its measured quality.
        data: fingerprint of the dataset that it was trained on.
        digest: short hash of its weights, by which one can tell whether figures can be compared.
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
        """Convert audio (B, T) at its sample rate to embeddings (B, E) and probabilities (B, K)."""
        device = self.network.output.weight.device
        embedding = self.network.embed(self.log_mel(audio.to(device)))
        logits = self.network.output(embedding)
        return embedding.float().cpu(), F.softmax(logits.double() / self.temperature, 1).cpu()

    def save(self, folder: Path) -> Path:
        """Write a classifier folder, completely or not at all.

        Raises:
            FileExistsError: `folder` is not empty.
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
            FauxleyError: it is missing, of another format version, or damaged.
        """
        if not (folder / _CONFIG).is_file():
            raise FauxleyError(f"{folder} is not a classifier; 'fauxley train-classifier' makes one")
        config = read_versioned(folder / _CONFIG, "classifier", (1, FORMAT_VERSION))
        if config["format_version"] == 1:
            raise FauxleyError(
                f"{folder} was trained by an earlier fauxley without noise, so its figures cannot be compared with "
                "today's; train it again with 'fauxley train-classifier'"
            )
        with reading(f"{folder} is not a usable classifier"):
            settings: ClassifierSettings = from_json(config["settings"], (ClassifierSettings,))
            # No storage yet: memory is allocated only for what the weight file holds.
            with torch.device("meta"):
                log_mel, network = LogMel(settings), ClassifierNetwork(settings)
            read_weights(folder / _WEIGHTS, _modules(log_mel, network), config["weights_sha256"])
            temperature = float(config["temperature"])
            if not 0 < temperature < 100:
                raise FauxleyError("its temperature is not a positive number")
            judgement: Judgement = from_json(config["judgement"], (Judgement,))
            size = len(settings.labels)
            if len(judgement.confusion) != size or any(len(row) != size for row in judgement.confusion):
                raise FauxleyError("its confusion matrix does not match its labels")
            digest = config["weights_sha256"][:12]
            return cls(settings, log_mel, network, temperature, judgement, str(config["data"]), digest)


def _modules(log_mel: LogMel, network: ClassifierNetwork) -> dict[str, nn.Module]:
    return {"front": log_mel, "network": network}
