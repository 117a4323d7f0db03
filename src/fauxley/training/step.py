"""One training step: the objective's updates, one after another.

Nothing here knows which networks or which loss it is running.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from fauxley.models.draws import Draws
from fauxley.training.objective import Networks, Objective, Update
from fauxley.training.state import TrainingState


def train_step(
    state: TrainingState,
    objective: Objective,
    batches: Sequence[Tensor],
    draws: Callable[[int], Draws],
    accumulate: int = 1,
) -> dict[str, Tensor]:
    """Carry out each of the objective's updates once.

    Args:
        batches: `objective.num_batches` batches of real features (B, ...).
        draws: the random numbers of the n-th update of this step.
        accumulate: parts that each batch is computed in, to save memory; B must be a multiple.

    Returns:
        Losses and what else tells how it goes, as tensors without gradient, of the last update of each network.
    """
    state.generator.train()
    metrics: dict[str, Tensor] = {}
    for number, update in enumerate(objective.updates()):
        real = batches[min(number, len(batches) - 1)]
        total, values = _update(state, update, real, draws(number), accumulate)
        metrics |= {f"{update.network}_loss": total, **objective.describe(values)}
    state.step += 1
    return metrics


def _update(
    state: TrainingState, update: Update, real: Tensor, draws: Draws, accumulate: int
) -> tuple[Tensor, dict[str, Tensor]]:
    optimizer = state.optimizers[update.network]
    optimizer.zero_grad()
    losses = []
    with _only(update.network, state.networks):
        for part in real.chunk(accumulate):
            loss = update.loss(state.networks, part, draws)
            (loss.total / accumulate).backward()  # type: ignore[no-untyped-call]
            losses.append(loss)
    optimizer.step()
    update.after(state.networks[update.network])
    total = torch.stack([loss.total.detach() for loss in losses]).mean()
    values = {name: torch.cat([loss.values[name].detach().view(-1) for loss in losses]) for name in losses[0].values}
    return total, values


@contextmanager
def _only(name: str, networks: Networks) -> Iterator[None]:
    """Spare the gradients of weights that are not being updated."""
    others = [network for other, network in networks.items() if other != name]
    for network in others:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in others:
            network.requires_grad_(True)
