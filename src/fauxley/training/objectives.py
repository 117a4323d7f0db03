"""What training minimises: the adversarial losses with their gradient penalties, and maximum likelihood.

An objective is a frozen dataclass, at once configuration and behaviour. It divides a training step into updates, each
of one network by the gradient of one loss, so that the step need not know whether one network is trained or two
against each other. Every loss is a mean over the batch. Phase shuffle is random, so each batch is scored once, and that
score is what is differentiated.

Notation: D the critic, x real, G(z) generated; softplus(a) = log(1 + exp a).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fauxley.errors import UsageError
from fauxley.models.architecture import AdversarialArchitecture, Architecture, AutoregressiveArchitecture
from fauxley.models.critic import Critic
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator, Generator
from fauxley.training.optimizers import falling

Networks = Mapping[str, object]
"""By name: a generator and a critic, which conditional ones are only together with the labels of the batch."""


@dataclass(frozen=True)
class Loss:
    """A mean over the batch, to be minimised, and values to record: each one per example (B,), or one ()."""

    total: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)


def _unchanged(network: nn.Module) -> None:
    """Most networks stay as the optimiser leaves them."""


@dataclass(frozen=True)
class Update:
    """One update of a step.

    Args:
        network: name of the network whose weights are updated; all others stay.
        loss: computes the loss from all networks, real features (B, ...) and the random numbers of this update.
        after: is called with the network after its update, for instance to clip weights.
    """

    network: str
    loss: Callable[[Networks, Tensor, Draws], Loss]
    after: Callable[[nn.Module], None] = _unchanged


@dataclass(frozen=True)
class Objective(ABC):
    """Losses of all networks, with their regularisers."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, str) and not 0 <= value < math.inf:
                raise UsageError(f"{each.name} must be finite and not negative; got {value}")

    @abstractmethod
    def suits(self, architecture: Architecture) -> bool:
        """Whether the architecture has the networks that it needs."""

    @abstractmethod
    def updates(self) -> tuple[Update, ...]:
        """The updates of a step, in order; the last is the generator's."""

    def at(self, progress: float) -> "Objective":
        """The objective as it is when a share `progress` of the training is done."""
        return self

    @property
    @abstractmethod
    def num_batches(self) -> int:
        """How many batches of real clips a step needs: the first updates have one each, the rest share the last."""

    def describe(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What to record of an update, from the values of its whole batch."""
        return {name: value.mean() for name, value in values.items()}


_MOST_CRITIC_STEPS = 1000
_STAGES = 16  # of a penalty that changes


@dataclass(frozen=True)
class CriticLoss:
    """What the critic minimises, and its scores (B,) and penalty, to record."""

    total: Tensor
    real: Tensor
    fake: Tensor
    penalty: Tensor | None = None


@dataclass(frozen=True)
class Adversarial(Objective):
    """A generator against a critic: some updates of the critic, then one of the generator."""

    critic_steps: int

    def __post_init__(self) -> None:
        if not 1 <= self.critic_steps <= _MOST_CRITIC_STEPS:
            raise UsageError(f"critic_steps must be from 1 to {_MOST_CRITIC_STEPS}; got {self.critic_steps}")
        super().__post_init__()

    @abstractmethod
    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        """Loss of the critic on features `real` and `fake` of equal shape (B, ...); `fake` carries no gradient."""

    @abstractmethod
    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """Loss of the generator that made `fake`; `real` matters only where scores are compared."""

    def after_critic_step(self, critic: nn.Module) -> None:
        """Restrain the critic after its update."""

    def suits(self, architecture: Architecture) -> bool:
        return isinstance(architecture, AdversarialArchitecture)

    def updates(self) -> tuple[Update, ...]:
        critic = Update("critic", self._critic_update, self.after_critic_step)
        return (*[critic] * self.critic_steps, Update("generator", self._generator_update))

    @property
    def num_batches(self) -> int:
        return self.critic_steps

    def describe(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        metrics = super().describe(values)
        if "score_real" in values:
            metrics["wasserstein_estimate"] = metrics["score_real"] - metrics["score_fake"]
            metrics["separation"] = _separation(values["score_real"], values["score_fake"])
        return metrics

    def _critic_update(self, networks: Networks, real: Tensor, draws: Draws) -> Loss:
        with torch.no_grad():
            fake = _generate(networks, real, draws)
        loss = self.critic_loss(cast(Critic, networks["critic"]), real, fake, draws)
        penalty = {} if loss.penalty is None else {"gradient_penalty": loss.penalty}
        return Loss(loss.total, {"score_real": loss.real, "score_fake": loss.fake, **penalty})

    def _generator_update(self, networks: Networks, real: Tensor, draws: Draws) -> Loss:
        fake = _generate(networks, real, draws)
        return Loss(self.generator_loss(cast(Critic, networks["critic"]), real, fake, draws))


def _generate(networks: Networks, real: Tensor, draws: Draws) -> Tensor:
    """As many generated clips as there are real ones."""
    generator = cast(Generator, networks["generator"])
    fake: Tensor = generator(draws.latents(len(real), generator.latent_size).to(real))
    return fake


def _separation(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """How many standard deviations lie between the scores (d' of detection theory); 0 where there is but one each."""
    if len(on_real) < 2:
        return torch.zeros((), device=on_real.device)
    return (on_real.mean() - on_fake.mean()) / (on_real.var() / 2 + on_fake.var() / 2 + 1e-12).sqrt()


@dataclass(frozen=True)
class NonSaturating(Adversarial):
    """The original game with the generator's non-saturating loss (Goodfellow et al. 2014), as DCGAN plays it.

    D minimises  (softplus(D(G(z))) + softplus(-D(x))) / 2;  G minimises  softplus(-D(G(z))).
    """

    critic_steps: int = 5
    """Critic updates for one generator update."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return CriticLoss((F.softplus(on_fake).mean() + F.softplus(-on_real).mean()) / 2, on_real, on_fake)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return F.softplus(-score).mean()


@dataclass(frozen=True)
class LeastSquares(Adversarial):
    """LSGAN (Mao et al. 2017): scores are pulled to 1 for real and 0 for generated.

    D minimises  ((D(x) - 1)² + D(G(z))²) / 2;  G minimises  (D(G(z)) - 1)².
    """

    critic_steps: int = 5
    """Critic updates for one generator update."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return CriticLoss(((on_real - 1).square().mean() + on_fake.square().mean()) / 2, on_real, on_fake)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return (score - 1).square().mean()


@dataclass(frozen=True)
class Wasserstein(Adversarial):
    """WGAN (Arjovsky et al. 2017): the critic is kept smooth, crudely, by clipping its weights.

    D minimises  D(G(z)) - D(x);  G minimises  -D(G(z)).
    """

    critic_steps: int = 5
    """Critic updates for one generator update."""
    clip: float = 0.01
    """Largest size of any of the critic's weights."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return CriticLoss(on_fake.mean() - on_real.mean(), on_real, on_fake)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return -score.mean()

    @torch.no_grad()
    def after_critic_step(self, critic: nn.Module) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class WassersteinGP(Adversarial):
    """WGAN-GP, the paper's choice (section 2.1; Gulrajani et al. 2017, equation 3).

    D minimises  D(G(z)) - D(x) + λ (|∇ D(x̂)| - 1)²,  x̂ on the line between x and G(z);  G minimises  -D(G(z)).
    """

    critic_steps: int = 5
    """Critic updates for one generator update."""
    penalty_weight: float = 10.0
    """λ, weight of the gradient penalty."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        alpha = draws.interpolation(len(real)).to(real)
        between = torch.lerp(real, fake, alpha.view(-1, *[1] * (real.dim() - 1)))
        (on_real, on_fake, _), (gradient,) = critic.score_with_gradients(real, fake, penalized=(between,), draws=draws)
        penalty = (_norms(gradient) - 1).square().mean()
        total = on_fake.mean() - on_real.mean() + self.penalty_weight * penalty
        return CriticLoss(total, on_real, on_fake, penalty)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return -score.mean()


@dataclass(frozen=True)
class Relativistic(Adversarial):
    """Relativistic pairing with two zero-centred penalties (R3GAN, Huang et al. 2024, equations 2 and 4).

    D minimises  softplus(D(G(z)) - D(x)) + γ/2 (|∇ D(x)|² + |∇ D(G(z))|²);  G minimises  softplus(D(x) - D(G(z))).
    Comparing real with generated in pairs removes the losses' bad minima (dropped modes), and one critic update for
    one of the generator is enough, so it learns several times faster per second than WGAN-GP.
    """

    critic_steps: int = 1
    """Critic updates for one generator update."""
    penalty_weight: float = 1.0
    """γ, weight of the penalties."""
    penalty_every: int = 1
    """Critic updates for one with the penalties, which are that much stronger, on average: which ones is drawn."""
    penalty_decay: Literal["none", "cosine"] = "none"
    """How γ changes until the end: not at all, or as half a cosine to a tenth."""

    def at(self, progress: float) -> "Relativistic":
        if self.penalty_decay == "none":
            return self
        stage = int(progress * _STAGES) / _STAGES  # few different ones: each is recorded as a CUDA graph of its own
        return replace(self, penalty_weight=self.penalty_weight * falling(stage), penalty_decay="none")

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        if self.penalty_every > 1 and not draws.happens(1 / self.penalty_every):
            on_real, on_fake = critic.score(real, fake, draws=draws)
            return CriticLoss(F.softplus(on_fake - on_real).mean(), on_real, on_fake)
        (on_real, on_fake), (real_gradient, fake_gradient) = critic.score_with_gradients(
            penalized=(real, fake), draws=draws
        )
        penalty = (_norms(real_gradient).square() + _norms(fake_gradient).square()).mean()
        weight = max(1, self.penalty_every) * self.penalty_weight / 2
        total = F.softplus(on_fake - on_real).mean() + weight * penalty
        return CriticLoss(total, on_real, on_fake, penalty)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return F.softplus(on_real - on_fake).mean()


@dataclass(frozen=True)
class Hinge(Adversarial):
    """Hinge loss with a lazy R1 penalty (Lim and Ye 2017; Mescheder et al. 2018; Karras et al. 2020, appendix B).

    D minimises  max(0, 1 - D(x)) + max(0, 1 + D(G(z))) + γ/2 |∇ D(x)|²;  G minimises  -D(G(z)).
    The penalty is costly and changes slowly, so it is applied in one update of `penalty_every`, that much stronger.
    """

    critic_steps: int = 1
    """Critic updates for one generator update."""
    penalty_weight: float = 1.0
    """γ, weight of the penalty."""
    penalty_every: int = 16
    """Critic updates for one with the penalty, on average: which ones is drawn, so that no count has to be kept."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        penalized = draws.happens(1 / max(self.penalty_every, 1))
        if not penalized:
            on_real, on_fake = critic.score(real, fake, draws=draws)
            return CriticLoss(self._hinges(on_real, on_fake), on_real, on_fake)
        (on_fake, on_real), (gradient,) = critic.score_with_gradients(fake, penalized=(real,), draws=draws)
        penalty = _norms(gradient).square().mean()
        total = self._hinges(on_real, on_fake) + self.penalty_every * self.penalty_weight / 2 * penalty
        return CriticLoss(total, on_real, on_fake, penalty)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return -score.mean()

    def _hinges(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()


def _norms(gradient: Tensor) -> Tensor:
    """Euclidean norm of each example's gradient, without the epsilon that would bias it: (B,)."""
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms


@dataclass(frozen=True)
class MaximumLikelihood(Objective):
    """A generator that knows its own likelihood minimises -log p(x), without a critic.

    Every sample is predicted from the real ones before it, all at once.

    Recorded in bits per sample: log₂ of the number of levels if nothing is known.
    """

    def suits(self, architecture: Architecture) -> bool:
        return isinstance(architecture, AutoregressiveArchitecture)

    def updates(self) -> tuple[Update, ...]:
        return (Update("generator", self._update),)

    @property
    def num_batches(self) -> int:
        return 1

    def _update(self, networks: Networks, real: Tensor, draws: Draws) -> Loss:
        bits = cast(AutoregressiveGenerator, networks["generator"]).bits_per_sample(real)
        return Loss(bits.mean() * math.log(2), {"bits_per_sample": bits})
