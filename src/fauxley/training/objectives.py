"""What the two players minimise.

An objective is a frozen dataclass, at once configuration and behaviour. Every loss is a mean over the batch. Phase
shuffle is random, so each batch is scored once and that score is what is differentiated.

Notation: D the critic, x real, G(z) generated; softplus(a) = log(1 + exp a).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from fauxley.errors import UsageError
from fauxley.models.architecture import Critic
from fauxley.models.convolution import input_gradients
from fauxley.models.draws import Draws


@dataclass(frozen=True)
class CriticLoss:
    """What the critic minimises, and the scores (B,) and penalty that tell how it fares."""

    total: Tensor
    real: Tensor
    fake: Tensor
    penalty: Tensor | None = None


@dataclass(frozen=True)
class Objective(ABC):
    """A pair of losses with its regulariser."""

    critic_steps: int

    def __post_init__(self) -> None:
        if self.critic_steps < 1:
            raise UsageError(f"critic_steps must be at least 1; got {self.critic_steps}")
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < math.inf:
                raise UsageError(f"{field.name} must be finite and not negative; got {getattr(self, field.name)}")

    @abstractmethod
    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        """Loss of the critic on features `real` and `fake` of equal shape (B, ...); `fake` carries no gradient."""

    @abstractmethod
    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """Loss of the generator that made `fake`; `real` matters only where scores are compared."""

    def after_critic_step(self, critic: Critic) -> None:  # noqa: B027 - most objectives have nothing to do here
        """Restrain the critic after its update."""


@dataclass(frozen=True)
class WassersteinGP(Objective):
    """WGAN-GP, the paper's choice (section 2.1; Gulrajani et al. 2017, equation 3).

    D minimises  D(G(z)) - D(x) + λ (|∇ D(x̂)| - 1)²,  x̂ on the line between x and G(z);  G minimises  -D(G(z)).
    """

    critic_steps: int = 5
    """Critic updates for one generator update."""
    penalty_weight: float = 10.0
    """λ, weight of the gradient penalty."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        # Scored on its own: joined to the others, the penalty's derivative would be taken through all three.
        alpha = draws.interpolation(len(real)).to(real)
        between = torch.lerp(real, fake, alpha.view(-1, *[1] * (real.dim() - 1))).requires_grad_()
        (on_between,) = critic.score(between, draws=draws)
        (gradient,) = input_gradients(on_between, between)
        slopes = _norms(gradient)
        penalty = (slopes - 1).square().mean()
        total = on_fake.mean() - on_real.mean() + self.penalty_weight * penalty
        return CriticLoss(total, on_real, on_fake, penalty)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        (score,) = critic.score(fake, draws=draws)
        return -score.mean()


@dataclass(frozen=True)
class Relativistic(Objective):
    """Relativistic pairing with two zero-centred penalties (R3GAN, Huang et al. 2024, equations 2 and 4).

    D minimises  softplus(D(G(z)) - D(x)) + γ/2 (|∇ D(x)|² + |∇ D(G(z))|²);  G minimises  softplus(D(x) - D(G(z))).
    Comparing real with generated in pairs removes the losses' bad minima (dropped modes), and one critic update for
    one of the generator is enough, so it learns several times faster per second than WGAN-GP.
    """

    critic_steps: int = 1
    """Critic updates for one generator update."""
    penalty_weight: float = 1.0
    """γ, weight of the penalties."""

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> CriticLoss:
        real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        on_real, on_fake = critic.score(real, fake, draws=draws)
        with_real, with_fake = input_gradients(torch.cat([on_real, on_fake]), real, fake)
        penalty = (_norms(with_real).square() + _norms(with_fake).square()).mean()
        total = F.softplus(on_fake - on_real).mean() + self.penalty_weight / 2 * penalty
        return CriticLoss(total, on_real, on_fake, penalty)

    def generator_loss(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        on_real, on_fake = critic.score(real, fake, draws=draws)
        return F.softplus(on_real - on_fake).mean()


def _norms(gradient: Tensor) -> Tensor:
    """Euclidean norm of each example's gradient, without the epsilon that would bias it: (B,)."""
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms
