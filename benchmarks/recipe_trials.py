"""Other recipes than the default, each for the same processor time on the same sounds: what wins is kept.

    python benchmarks/recipe_trials.py DATASET --out WORK [--minutes 8] [--seed 0] [--trial default attack ...]

DATASET is made by `fauxley prepare`, best of a folder with labels. Each trial trains on one thread until its processor
time is used up (the learning rate falls with it, as in the default training), and then writes sounds to
WORK/TRIAL-SEED/sounds, --count of each label, from the averaged generator. They are judged by `outside_judges.py` or
`fauxley evaluate`. What the trials are:

    default     the default recipe, unchanged
    unlabelled  without labels
    attack      a second critic that sees only the first 32 frames, where attacks are
    fine        the generator's spectrogram is made audio by a few iterations of Griffin-Lim during training, and both
                critics see that audio: the second one in windows a quarter as long
    residual    both networks of residual blocks of 3 × 3 convolutions, resampled by filters
    augment     both critics' inputs at random gains, a few frames late, and with a stretch of silence, drawn alike for
                real and generated sounds
    frozen      a second critic that reads what a frozen network, trained on the labels for a tenth of the time, sees
                (projected GAN, Sauer et al. 2021)
    drifting    a quarter of the time without a critic: the frozen network's features drift to those of real sounds
                (drifting, arXiv 2602.04770); the default from then on
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from recipe_networks import Block, FrozenNetwork, ProjectedCritic, ResidualCritic, ResidualGenerator
from safetensors.torch import save_file
from torch import Tensor

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.facts import gather_facts
from fauxley.models.band_spectrogram import BandSpectrogram, band_averages
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws, Purpose
from fauxley.models.log_spectrogram import LogSpectrogram
from fauxley.models.network import Generator, initialize
from fauxley.models.specgan import FRAMES, SpecGAN, SpecGANCritic
from fauxley.models.synthesizer import Synthesizer
from fauxley.signal.griffin_lim import griffin_lim
from fauxley.signal.stft import istft, stft
from fauxley.sounds.writing import write_audio
from fauxley.training.config import TrainingConfig
from fauxley.training.data import RealAudio
from fauxley.training.labels import with_labels
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import RepeatableOptimizer
from fauxley.training.recipe import recipe
from fauxley.training.state import averaged_copy, update_average

Views = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""What a critic is shown: of real audio (B, C, T), and of what the generator makes (B, C, R, F)."""
ATTACK_GRIDS = 1  # of 32 frames
FINE = 4  # times shorter than the default's windows
UNROLLED = 3  # iterations of Griffin-Lim in training
FROZEN_SHARE = 0.1  # of the time
DRIFTING_SHARE = 0.25
FLOOR, _TINY = 3e-3, 1e-12  # of levels, as in the representation; of power
TEMPERATURE = 0.2  # of drifting, times the mean distance of real sounds


class Recipe:
    """The default recipe's networks and schedule on a dataset; the trials change parts of it.

    Args:
        dataset: real sounds.
        config: of the default training.
        minutes: processor time.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, minutes: float) -> None:
        self.config, self.minutes = config, minutes
        self.data = RealAudio(dataset, config, torch.device("cpu"))
        assert isinstance(config.architecture, SpecGAN)
        self.architecture: SpecGAN = config.architecture
        representation = self.architecture.representation()
        assert isinstance(representation, BandSpectrogram)
        self.representation = representation
        self.representation.fit(self.data.once())
        self.generator: Generator = self.architecture.generator(Draws(Purpose.GENERATOR_WEIGHTS, config.seed))
        self.critics: list[tuple[Views, Critic]] = [
            ((self.representation.to_features, lambda features: features), self.critic(self.architecture, 0))
        ]
        self.make: Callable[[Tensor], Tensor] = lambda features: features  # what critics are shown of features
        self.drifting: Drifting | None = None
        self.spent = 0.0

    def critic(self, architecture: SpecGAN, number: int) -> SpecGANCritic:
        """A new critic for an architecture's images."""
        return architecture.critic(Draws(Purpose.CRITIC_WEIGHTS, self.config.seed, number))

    def labels(self, number: int) -> Tensor | None:
        """The labels of a batch, or None if the model has none."""
        return self.data.labels(number) if self.architecture.labels else None

    def audio_of(self, features: Tensor, iterations: int) -> Tensor:
        """Audio of features by so many iterations of Griffin-Lim, differentiable by the magnitudes.

        Its phases count as constants: derivatives through the iterations divide by magnitudes near zero.
        """
        of = self.representation
        magnitude = of.to_magnitude(features)
        sizes, frames = (of.window_length, of.hop_length), magnitude.shape[-2]
        with torch.no_grad():
            begin = of.first_phases(magnitude)
            rough = griffin_lim(
                magnitude, *sizes, iterations, momentum=0.99, compensate=True, phase=begin, silent=of.lead
            )
            phases = stft(rough, *sizes, frames=frames).angle()
        whole = istft(torch.polar(magnitude, phases), *sizes, compensate=True)
        return of.to_clip(whole)

    def features_of(self, audio: Tensor) -> Tensor:
        """The representation's features of audio that is differentiated, also where it is silent."""
        of = self.representation
        whole = F.pad(audio, (of.lead, 0))
        power = torch.view_as_real(stft(whole, of.window_length, of.hop_length, frames=of.frames)).square().sum(-1)
        averages = band_averages(of.window_length // 2).to(power.dtype)
        level = (power[..., :-1] @ averages.T + _TINY).sqrt()
        return ((torch.log(level + FLOOR) - of.mean) / of.std / 3).clamp(-1, 1).transpose(2, 3)


def default(of: Recipe) -> None:
    """Change nothing."""


def attack(of: Recipe) -> None:
    """Add a critic of the first frames."""
    frames = FRAMES * ATTACK_GRIDS
    of.critics.append(
        (
            (lambda audio: of.representation.to_features(audio)[..., :frames], lambda features: features[..., :frames]),
            of.critic(replace(of.architecture, clip_length=of.architecture.hop_length * (frames - 3)), 1),
        )
    )


def fine(of: Recipe) -> None:
    """Train through Griffin-Lim, with a second critic of short windows over the first quarter of the clip."""
    whole = of.architecture
    window, hop = whole.window_length // FINE, whole.hop_length // FINE
    frames = whole.grid[1] * FRAMES
    small = replace(whole, dim=max(1, whole.dim // 2), window_length=window, hop_length=hop, spectrogram="bins",
                    clip_length=frames * hop)  # fmt: skip
    transform = LogSpectrogram(small.clip_length, window, hop, 0, 0.0, True)
    transform.fit(audio[..., : small.clip_length] for audio in of.data.once())
    wide = (transform.std * 2).clamp(min=1e-3)  # attacks are rare and loud, and must not be clipped
    transform.std.copy_(wide)

    def heard(features: Tensor) -> Tensor:
        return of.audio_of(features, UNROLLED)

    def near(audio: Tensor) -> Tensor:
        return transform.to_features(audio[..., : small.clip_length])

    of.critics[0] = (of.representation.to_features, of.features_of), of.critics[0][1]
    of.critics.append(((near, near), of.critic(small, 1)))
    of.make = heard


def augment(of: Recipe) -> None:
    """Alter what the critic sees, alike for real and generated sounds."""
    drawn = torch.Generator().manual_seed(of.config.seed)
    steps = of.representation.std[:, None] * 3  # the logarithm's range in a feature of 1

    def altered(features: Tensor) -> Tensor:
        count, frames = len(features), features.shape[-1]
        draw = torch.rand(3, count, 1, 1, 1, generator=drawn)
        gain = (draw[0] * 2 - 1) * 3 / 20 * math.log(10)
        late = (draw[1] * 3).long()
        silent = (draw[2] * frames * 1.1).long() - frames // 10
        place = torch.arange(frames)
        moved = torch.gather(features, -1, (place - late).clamp(min=0).expand_as(features))
        masked = (place >= silent) & (place < silent + frames // 10)
        floor = (math.log(FLOOR) - of.representation.mean[:, None]) / steps
        return torch.where(masked, floor, (moved + gain / steps)).clamp(-1, 1)

    critic = of.critics[0][1]
    of.critics[0] = (lambda audio: altered(of.representation.to_features(audio)), altered), critic


def frozen(of: Recipe) -> None:
    """Add a critic that reads what a frozen network sees."""
    network = learn_labels(of)
    of.critics.append(
        (
            (of.representation.to_features, lambda features: features),
            ProjectedCritic(network, of.architecture, of.config.seed),
        )
    )


def drifting(of: Recipe) -> None:
    """Begin without a critic."""
    of.drifting = Drifting(learn_labels(of), of)


def residual(of: Recipe) -> None:
    """Use residual blocks in both networks."""
    generator = initialize(ResidualGenerator(of.architecture), Draws(Purpose.GENERATOR_WEIGHTS, of.config.seed))
    critic = initialize(ResidualCritic(of.architecture), Draws(Purpose.CRITIC_WEIGHTS, of.config.seed))
    for module in (*generator.modules(), *critic.modules()):
        if isinstance(module, Block):
            module.begin()
    of.generator, of.critics = generator, [(of.critics[0][0], critic)]


TRIALS: dict[str, Callable[[Recipe], None]] = {
    "default": default,
    "unlabelled": default,
    "attack": attack,
    "fine": fine,
    "residual": residual,
    "augment": augment,
    "frozen": frozen,
    "drifting": drifting,
}


def learn_labels(of: Recipe) -> FrozenNetwork:
    """A network that tells this dataset's labels apart, after a share of the trial's time."""
    network = initialize(FrozenNetwork(of.architecture), Draws(Purpose.CRITIC_WEIGHTS, of.config.seed, 9))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    began, number, right = time.process_time(), 0, 0.0
    while time.process_time() - began < 60 * of.minutes * FROZEN_SHARE:
        number += 1
        labels = of.data.labels(10**6 + number)
        scores = network(of.representation.to_features(of.data.batch(10**6 + number)))
        optimizer.zero_grad()
        F.cross_entropy(scores, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        right = 0.95 * right + 0.05 * float((scores.argmax(1) == labels.argmax(1)).float().mean())
    print(f"  the frozen network: {number} steps, {right:.0%} right of its last batches", flush=True)
    of.spent += time.process_time() - began
    return network.requires_grad_(False).eval()


class Drifting:
    """Moves generated sounds in a frozen network's features towards real ones of their label, and apart."""

    def __init__(self, network: FrozenNetwork, of: Recipe) -> None:
        self.network, self._of, self._real = network, of, {}
        kept: dict[int, list[Tensor]] = {}
        with torch.no_grad():
            for number in range(60):
                seen = self.features(of.representation.to_features(of.data.batch(2 * 10**6 + number)))
                for row, label in zip(seen, of.data.labels(2 * 10**6 + number).argmax(1).tolist(), strict=True):
                    kept.setdefault(label, []).append(row)
        self._real = {label: torch.stack(rows) for label, rows in kept.items()}
        some = torch.cat([rows[:20] for rows in self._real.values()])
        self._scale = float(torch.cdist(some, some).mean())

    def features(self, images: Tensor) -> Tensor:
        """Normalised signals of two depths, in 4 × 4 places: (B, D)."""
        signals = [F.adaptive_avg_pool2d(x, 4).flatten(1) for x in self.network.signals(images)[-3:-1]]
        return torch.cat([x / x.shape[1] ** 0.5 for x in signals], 1)

    def loss(self, generator: Generator, draws: Draws, step: int, batch_size: int) -> Tensor:
        """The squared way that the features of a batch of one label have to go."""
        label = list(self._real)[step % len(self._real)]
        weights = F.one_hot(torch.tensor(label), len(self._of.architecture.labels)).float().expand(batch_size, -1)
        made = self.features(generator(draws.latents(batch_size, generator.latent_size), weights))
        with torch.no_grad():
            real, temperature = self._real[label], TEMPERATURE * self._scale
            towards = -torch.cdist(made, real) / temperature
            apart = -torch.cdist(made, made) / temperature - 1e6 * torch.eye(batch_size)
            share = torch.softmax(torch.cat([towards, apart], 1), 1)
            pulled, pushed = share[:, : len(real)], share[:, len(real) :]
            way = pushed.sum(1, True) * (pulled @ real) - pulled.sum(1, True) * (pushed @ made)
            goal = made + way / way.norm(dim=1).mean().clamp(min=1e-9) * 0.1 * self._scale
        loss: Tensor = (made - goal).square().sum(1).mean() / self._scale**2
        return loss


def train(of: Recipe) -> tuple[Generator, int]:
    """Train until the time is used up: the averaged generator, and the number of clips seen."""
    config, objective = of.config, of.config.objective
    assert isinstance(objective, Relativistic)
    for network in (of.generator, *(critic for _, critic in of.critics)):
        network.precision = config.dtype
    average = averaged_copy(of.generator)
    of_critics = config.optimizer.build(weight for _, critic in of.critics for weight in critic.parameters())
    of_generator = config.optimizer.build(of.generator.parameters())
    began, step, spoken = time.process_time() - of.spent, 0, 0.0
    while (progress := (time.process_time() - began) / (60 * of.minutes)) < 1:
        of_critics.learning_rate = of_generator.learning_rate = config.optimizer.rate(step, progress)
        draws = Draws(Purpose.UPDATE, config.seed, step)
        if of.drifting and progress < DRIFTING_SHARE:
            of_generator.zero_grad()
            of.drifting.loss(of.generator, draws, step, config.batch_size).backward()  # type: ignore[no-untyped-call]
            of_generator.step()
        else:
            adversarial_step(of, objective.at(progress), step, draws, of_critics, of_generator)
        update_average(average, of.generator, config.averaging.decay(config.batch_size, step))
        step += 1
        if progress > spoken:
            print(f"  {progress:.0%}: {step} steps", flush=True)
            spoken += 0.2
    return average, step * config.batch_size


def adversarial_step(
    of: Recipe,
    objective: Relativistic,
    step: int,
    draws: Draws,
    of_critics: RepeatableOptimizer,
    of_generator: RepeatableOptimizer,
) -> None:
    """One update of all critics and one of the generator; the losses of several critics are averaged."""
    audio, labels = of.data.batch(step), of.labels(step)
    count, size = len(audio), of.generator.latent_size
    told = [cast(Critic, critic if labels is None else critic.given(labels)) for _, critic in of.critics]
    with torch.no_grad():
        made = of.make(of.generator(draws.latents(count, size), labels))
    of_critics.zero_grad()
    shown = [(views[0](audio), views[1]) for views, _ in of.critics]
    chance = draws.happens(1 / objective.penalty_every)
    now = replace(objective, penalty_every=1, penalty_weight=objective.penalty_weight * objective.penalty_every)
    for (real, view), critic, (_, plain) in zip(shown, told, of.critics, strict=True):
        if chance and not isinstance(plain, ProjectedCritic):
            loss = now.critic_loss(critic, real, view(made), draws).total
        else:
            scores = critic.score(real, view(made), draws=draws)
            loss = F.softplus(scores[1] - scores[0]).mean()
        (loss / len(told)).backward()  # type: ignore[no-untyped-call]
    of_critics.step()
    of_generator.zero_grad()
    for _, critic in of.critics:
        critic.requires_grad_(False)
    made = of.make(of.generator(draws.latents(count, size), labels))
    losses = [objective.generator_loss(critic, real, view(made), draws)
              for (real, view), critic in zip(shown, told, strict=True)]  # fmt: skip
    torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
    of_generator.step()
    for _, critic in of.critics:
        critic.requires_grad_(True)


def write(of: Recipe, average: Generator, folder: Path, count: int) -> None:
    """Write sounds, `count` of each label, or as many without labels."""
    labels = of.architecture.labels
    synthesizer = Synthesizer(of.architecture, average, of.representation, of.data.sample_rate)
    for label in labels or (None,):
        place = folder / (label or "sounds")
        place.mkdir(parents=True, exist_ok=True)
        sounds = synthesizer.generate(count if labels else count * 10, seed=0, labels=label).numpy()
        for number, sound in enumerate(sounds):
            write_audio(place / f"{number:04d}.wav", sound, synthesizer.sample_rate)


def main() -> None:
    """Train the trials one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trial", nargs="+", choices=list(TRIALS), default=list(TRIALS))
    parser.add_argument("--minutes", type=float, default=8.0, help="of processor time, each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20, help="sounds of each label")
    parser.add_argument("--dim", type=int, help="model size, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, facts = Dataset.open(options.dataset), gather_facts(options.dataset)
    for name in options.trial:
        config = replace(recipe(facts, options.minutes), seed=options.seed)
        if options.dim:
            config = replace(config, architecture=replace(config.architecture, dim=options.dim))
        if name == "unlabelled":
            config = replace(config, data=replace(config.data, labels=False))
        config = with_labels(config, dataset.label_counts())[0].settle(torch.device("cpu"))[0]
        of = Recipe(dataset, config, options.minutes)
        TRIALS[name](of)
        place = options.out / f"{name}-{options.seed}"
        print(name, flush=True)
        average, clips = train(of)
        write(of, average, place / "sounds", options.count)
        save_file(average.state_dict(), place / "generator.safetensors")
        done = {"trial": name, "minutes": options.minutes, "seed": options.seed, "clips": clips}
        (place / "trial.json").write_text(json.dumps(done))
        print(f"| {name} | {options.minutes:g} | {clips:,} |", flush=True)


if __name__ == "__main__":
    main()
