"""What training minimises: adversarial losses with their gradient penalties, and the negative likelihood.

An objective is a frozen dataclass, at once configuration and behaviour. It divides a training step into updates. Each
updates one network by the gradient of one loss, so the step need not know whether there is one network or two. Every
loss is a mean over the batch. Phase shuffle is random, so each batch is scored only once, and that score is
differentiated.

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
"""A generator and a critic by name; conditional ones are bound to the labels of the batch."""


@dataclass(frozen=True)
class Loss:
    """A mean over the batch, to be minimised, and values to record, each () or one for each example (B,)."""

    total: Tensor
    values: Mapping[str, Tensor] = field(default_factory=dict)


def _unchanged(network: nn.Module) -> None:
    """Leave the network as the optimiser leaves it."""


@dataclass(frozen=True)
class Update:
    """One update of a step.

    Args:
        network: the name of the network whose weights are updated.
        loss: computes the loss from all networks, real features (B, ...) and this update's random numbers.
        after: is called with the network after its update, for instance to clip weights.
    """

    network: str
    loss: Callable[[Networks, Tensor, Draws], Loss]
    after: Callable[[nn.Module], None] = _unchanged


@dataclass(frozen=True)
class Objective(ABC):
    """The losses of all networks, with their regularisers."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, str) and not 0 <= value < math.inf:
                raise UsageError(f"{each.name} must be finite and not negative; got {value}")

    @abstractmethod
    def suits(self, architecture: Architecture) -> bool:
        """Whether the architecture has the networks that this objective needs."""

    @abstractmethod
    def updates(self) -> tuple[Update, ...]:
        """The updates of a step, in order; the last is the generator's."""

    def at(self, progress: float) -> "Objective":
        """The objective when a share `progress` of the training is done."""
        return self

    @property
    @abstractmethod
    def num_batches(self) -> int:
        """How many batches of real clips a step needs: one for each of the first updates; the others share the last."""

    def describe(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What to record of an update, from the values of its whole batch."""
        return {name: value.mean() for name, value in values.items()}


_MOST_CRITIC_STEPS = 1000
_STAGES = 16  # in which a changing penalty changes


@dataclass(frozen=True)
class CriticLoss:
    """The loss of the critic, and its scores (B,) and penalty, to be recorded."""

    total: Tensor
    real: Tensor
    fake: Tensor
    penalty: Tensor | None = None


@dataclass(frozen=True)
class Adversarial(Objective):
    """A generator against a critic: several updates of the critic, then one of the generator."""

    critic_steps: int

    def __post_init__(self) -> None:
        if not 1 <= self.critic_steps <= _MOST_CRITIC_STEPS:
            raise UsageError(f"critic_steps must be from 1 to {_MOST_CRITIC_STEPS}; got {self.critic_steps}")
        super().__post_init__()

    @abstractmethod
    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        """The critic's loss on features `real` and `fake` of equal shape (B, ...); `fake` carries no gradient."""

    @abstractmethod
    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """The loss of the generator that made `fake`; `real` matters only where scores are compared."""

    def after_critic_step(self, critic: nn.Module) -> None:
        """Constrain the critic after its update."""

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
    """Generate as many clips as there are real ones."""
    generator = cast(Generator, networks["generator"])
    fake: Tensor = generator(draws.latents(len(real), generator.latent_size).to(real))
    return fake


def _separation(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """The distance of the mean scores in standard deviations (d' of detection theory); 0 for single scores."""
    if len(on_real) < 2:
        return torch.zeros((), device=on_real.device)
    return (on_real.mean() - on_fake.mean()) / (on_real.var() / 2 + on_fake.var() / 2 + 1e-12).sqrt()


@dataclass(frozen=True)
class NonSaturating(Adversarial):
    """The original game with the generator's non-saturating loss (Goodfellow et al. 2014), as in DCGAN.

    D minimises  (softplus(D(G(z))) + softplus(-D(x))) / 2;  G minimises  softplus(-D(G(z))).
    """

    critic_steps: int = 5
    """Critic updates for each generator update."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return CriticLoss((F.softplus(on_fake).mean() + F.softplus(-on_real).mean()) / 2, on_real, on_fake)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return F.softplus(-score).mean()


@dataclass(frozen=True)
class LeastSquares(Adversarial):
    """LSGAN (Mao et al. 2017): the targets of scores are 1 for real and 0 for generated.

    D minimises  ((D(x) - 1)² + D(G(z))²) / 2;  G minimises  (D(G(z)) - 1)².
    """

    critic_steps: int = 5
    """Critic updates for each generator update."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return CriticLoss(((on_real - 1).square().mean() + on_fake.square().mean()) / 2, on_real, on_fake)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return (score - 1).square().mean()


@dataclass(frozen=True)
class Wasserstein(Adversarial):
    """WGAN (Arjovsky et al. 2017): clipping its weights keeps the critic smooth, if crudely.

    D minimises  D(G(z)) - D(x);  G minimises  -D(G(z)).
    """

    critic_steps: int = 5
    """Critic updates for each generator update."""
    clip: float = 0.01
    """Largest absolute value of the critic's weights."""

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
    """Critic updates for each generator update."""
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
    Comparing real with generated sounds in pairs removes bad minima (dropped modes) of the losses. One critic update
    for each generator update is enough, so it learns several times faster per second than WGAN-GP.
    """

    critic_steps: int = 1
    """Critic updates for each generator update."""
    penalty_weight: float = 1.0
    """γ, weight of the penalties."""
    penalty_every: int = 1
    """One critic update in so many, on average, has the penalties, which are as much stronger. Chance decides which."""
    penalty_decay: Literal["none", "cosine"] = "none"
    """How γ changes during training: none, or a cosine to a tenth."""

    def at(self, progress: float) -> "Relativistic":
        if self.penalty_decay == "none":
            return self
        stage = int(progress * _STAGES) / _STAGES  # few different values, because each needs its own CUDA graph
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
    The penalty is costly and changes slowly, so only one update in `penalty_every` has it, as much stronger.
    """

    critic_steps: int = 1
    """Critic updates for each generator update."""
    penalty_weight: float = 1.0
    """γ, weight of the penalty."""
    penalty_every: int = 16
    """One critic update in so many, on average, has the penalty. Chance decides which, so no count has to be kept."""

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
    """The Euclidean norm of each example's gradient, without an epsilon, which would bias it: (B,)."""
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms


@dataclass(frozen=True)
class MaximumLikelihood(Objective):
    """A generator with a known likelihood minimises -log p(x), without a critic.

    All samples are predicted at once, each from the real samples before it. The loss is recorded in bits per sample;
    without any knowledge it is log₂ of the number of levels.
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
