"""Previews of a run: sounds from the same latents every time, a sheet beside real clips, and curves of the log."""

import math

import numpy as np
from numpy.typing import NDArray

from fauxley.models.draws import Draws, Purpose
from fauxley.models.synthesizer import Synthesizer
from fauxley.pictures.curves import write_curves
from fauxley.pictures.sheet import write_sheet
from fauxley.runs import step_name
from fauxley.sounds.writing import write_audio
from fauxley.training.log import Log, read_log
from fauxley.training.run import Run

Clips = NDArray[np.float32]

# Number → title of its curve: what it is, and which way is good.
_CURVES = {
    "critic_loss": "Critic's loss (no way is better)",
    "generator_loss": "Generator's loss (no way is better)",
    "wasserstein_estimate": "Score of real over generated (shrinks slowly)",
    "separation": "Critic's lead, std. dev. (0.5 to 8 is healthy)",
    "gradient_penalty": "Gradient penalty (small is good)",
    "bits_per_sample": "Bits a sample (falling is good)",
}


class Previews:
    """Writes previews of a run.

    Args:
        run: its folder.
        log: shows the sounds in TensorBoard, too.
        real: clips to compare with, (N, C, T).
        seed: of the latents, which stay the same for the whole run.
    """

    def __init__(self, run: Run, log: Log, real: Clips, seed: int) -> None:
        self._run = run
        self._log = log
        self._real = real
        self._seed = seed

    def write(self, step: int, synthesizer: Synthesizer) -> Clips:
        """Write sounds, a sheet and the curves; return the sounds (N, C, T)."""
        rate = synthesizer.sample_rate
        latents = Draws(Purpose.PREVIEW, self._seed).latents(len(self._real), synthesizer.architecture.latent_size)
        fake: Clips = np.nan_to_num(synthesizer.generate(latents=latents).numpy())
        folder = self._run.samples / step_name(step)
        folder.mkdir(exist_ok=True)
        for number, clip in enumerate(fake):
            write_audio(folder / f"{number:02d}.wav", clip, rate)
        write_sheet(folder / "sheet.png", {"real": self._real, f"generated, step {step}": fake}, rate)
        self._log.sounds(step, {"real": self._real, "generated": fake}, rate)
        self._draw_curves()
        return fake

    def _draw_curves(self) -> None:
        lines = [line for line in read_log(self._run) if "generator_loss" in line]
        if lines:
            drawn = [name for name in _CURVES if any(name in line for line in lines)]
            columns = {_CURVES[name]: [float(line.get(name, math.nan)) for line in lines] for name in drawn}
            write_curves(self._run.curves_file, columns, [line["step"] for line in lines])
