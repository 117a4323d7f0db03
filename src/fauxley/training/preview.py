"""Previews of a run: sounds from the same latents every time, a sheet with real clips beside them, and curves.

The sounds of a conditional model have the labels of the real clips. The sheet has a row for each label, and files are
named after their label.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fauxley.models.conditioning import file_word
from fauxley.models.draws import Draws, Purpose
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.curves import write_curves
from fauxley.pictures.sheet import write_sheet
from fauxley.runs import step_name
from fauxley.sounds.writing import write_audio
from fauxley.training.log import Log, read_log
from fauxley.training.run import Run

Clips = NDArray[np.float32]

_OF_A_LABEL = 4  # real clips on a sheet, and as many generated ones
_MOST_A_WISH = 4  # labels for each sound asked for; with more labels, not every label is in the preview

# The title of each number's curve: its name, and which direction is good.
_CURVES = {
    "critic_loss": "Critic's loss (neither way is better)",
    "generator_loss": "Generator's loss (neither way is better)",
    "wasserstein_estimate": "Score of real over generated (shrinks slowly)",
    "separation": "Critic's lead, std. dev. (0.5 to 8 is healthy)",
    "gradient_penalty": "Gradient penalty (small is good)",
    "bits_per_sample": "Bits a sample (falling is good)",
}


def preview_size(count: int, num_labels: int) -> int:
    """The number of sounds in a preview if `count` are asked for: some of every label, unless there are very many."""
    return -(-count // num_labels) * num_labels if 0 < num_labels <= _MOST_A_WISH * count else count


class Previews:
    """Writes previews of a run.

    Args:
        run: its folder.
        log: shows the sounds in TensorBoard, too.
        real: clips to compare with, (N, C, T).
        seed: of the latents, which stay the same for the whole run.
        labels: of the real clips, and therefore of the generated ones, (N, L).
    """

    def __init__(self, run: Run, log: Log, real: Clips, seed: int, labels: Tensor | None = None) -> None:
        self._run = run
        self._log = log
        self._real = real
        self._seed = seed
        self._labels = None if labels is None else labels.cpu()

    def write(self, step: int, synthesizer: Synthesizer) -> Clips:
        """Write sounds, a sheet and the curves; return the sounds (N, C, T)."""
        if synthesizer.representation.searches_phases:  # a training in bfloat16 would show others than are made later
            synthesizer = replace(synthesizer, generator=copy.deepcopy(synthesizer.generator)).to(precision="auto")
        rate = synthesizer.sample_rate
        latents = Draws(Purpose.PREVIEW, self._seed).latents(len(self._real), synthesizer.architecture.latent_size)
        fake: Clips = np.nan_to_num(synthesizer.generate(latents=latents, labels=self._labels).numpy())
        folder = self._run.samples / step_name(step)
        folder.mkdir(exist_ok=True)
        names = self._names(synthesizer.labels)
        for number, (clip, name) in enumerate(zip(fake, names, strict=True)):
            stem = f"{file_word(name)}-{number:02d}" if name else f"{number:02d}"
            write_audio(folder / f"{stem}.wav", clip, rate)
        write_sheet(folder / "sheet.png", self._rows(fake, step, names), rate)
        self._log.sounds(step, {"real": self._real, "generated": fake}, rate)
        self._draw_curves()
        return fake

    def _names(self, known: Sequence[str]) -> list[str]:
        """The label of each clip, or ""."""
        if self._labels is None or not known:
            return [""] * len(self._real)
        return [known[place] for place in self._labels.argmax(1).tolist()]

    def _rows(self, fake: Clips, step: int, names: Sequence[str]) -> dict[str, Clips]:
        """The rows of a sheet: for each label real clips, then as many generated ones; without labels, all of both."""
        if not any(names):
            return {"real": self._real, f"generated, step {step}": fake}
        rows: dict[str, Clips] = {}
        for label in sorted(set(names)):
            here = [number for number, name in enumerate(names) if name == label][:_OF_A_LABEL]
            title = f"{label}: {len(here)} real, {len(here)} generated, step {step}"
            rows[title] = np.concatenate([self._real[here], fake[here]])
        return rows

    def _draw_curves(self) -> None:
        lines = [line for line in read_log(self._run) if "generator_loss" in line]
        if lines:
            drawn = [name for name in _CURVES if any(name in line for line in lines)]
            columns = {_CURVES[name]: [float(line.get(name, math.nan)) for line in lines] for name in drawn}
            write_curves(self._run.curves_file, columns, [line["step"] for line in lines])
