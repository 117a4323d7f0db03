"""One training step: the objective's critic updates, then one generator update (paper, Algorithm of WGAN-GP).

Nothing here knows which networks or which loss it is running.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fauxley.models.draws import Draws
from fauxley.training.objectives import Objective
from fauxley.training.state import TrainingState


def train_step(
    state: TrainingState,
    objective: Objective,
    batches: Sequence[Tensor],
    draws: Callable[[int], Draws],
    accumulate: int = 1,
) -> dict[str, Tensor]:
    """Update the critic once on each of `batches`, then the generator once.

    Args:
        batches: real features (B, ...), one batch per critic update.
        draws: the random numbers of the n-th update of this step.
        accumulate: parts that each batch is computed in, to save memory; B must be a multiple.

    Returns:
        Losses and scores as tensors without gradient, of the step's last critic update and its generator update.
    """
    state.generator.train()
    for number, real in enumerate(batches):
        metrics = _update_critic(state, objective, real, draws(number), accumulate)
    metrics |= _update_generator(state, objective, batches[-1], draws(len(batches)), accumulate)
    state.step += 1
    return metrics


def _update_critic(
    state: TrainingState, objective: Objective, real: Tensor, draws: Draws, accumulate: int
) -> dict[str, Tensor]:
    state.critic_optimizer.zero_grad()
    losses = []
    for part in real.chunk(accumulate):
        with torch.no_grad():
            fake = state.generator(draws.latents(len(part), state.latent_size).to(part))
        loss = objective.critic_loss(state.critic, part, fake, draws)
        (loss.total / accumulate).backward()  # type: ignore[no-untyped-call]
        losses.append(loss)
    state.critic_optimizer.step()
    objective.after_critic_step(state.critic)
    on_real = torch.cat([loss.real for loss in losses]).detach()
    on_fake = torch.cat([loss.fake for loss in losses]).detach()
    penalties = [loss.penalty.detach() for loss in losses if loss.penalty is not None]
    return {
        "critic_loss": torch.stack([loss.total.detach() for loss in losses]).mean(),
        "score_real": on_real.mean(),
        "score_fake": on_fake.mean(),
        "separation": _separation(on_real, on_fake),
        **({"gradient_penalty": torch.stack(penalties).mean()} if penalties else {}),
    }


def _update_generator(
    state: TrainingState, objective: Objective, real: Tensor, draws: Draws, accumulate: int
) -> dict[str, Tensor]:
    state.generator_optimizer.zero_grad()
    total = torch.zeros((), device=real.device)
    with _frozen(state.critic):
        for part in real.chunk(accumulate):
            fake = state.generator(draws.latents(len(part), state.latent_size).to(part))
            loss = objective.generator_loss(state.critic, part, fake, draws) / accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
    state.generator_optimizer.step()
    return {"generator_loss": total}


def _separation(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """How many standard deviations lie between the scores (d' of detection theory); 0 where there is but one each."""
    if len(on_real) < 2:
        return torch.zeros((), device=on_real.device)
    return (on_real.mean() - on_fake.mean()) / (on_real.var() / 2 + on_fake.var() / 2 + 1e-12).sqrt()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Spare the gradients of weights that are not being updated."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
